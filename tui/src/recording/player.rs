//! Plays a recording at the speed that somebody wants, and answers what is asked meanwhile
//! from what was answered then.

use std::{collections::VecDeque, time::Duration};

use jiff::{SignedDuration, Timestamp};
use tokio::time::{Instant, sleep_until};

use super::film::Film;
use crate::{
    actions::Work,
    events::{Event, EventKind, News, Play},
    state::{Answer, Question, RegionIndex},
    trouble::Trouble,
};

/// How many times as fast as it happened.
const SPEEDS: [u32; 6] = [1, 2, 5, 10, 30, 120];

/// Who answers where no daemon does.
pub(crate) trait Troupe: Send {
    /// What would be answered.
    fn answer(&mut self, region: RegionIndex, question: &Question, now: Timestamp) -> Answer;
    /// What would come of a change, and what would then be seen.
    fn work(&mut self, work: &Work, now: Timestamp) -> (Result<Vec<String>, Trouble>, Vec<News>);
}

/// Where somebody is in a recording, for the screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// What it is.
    pub(crate) title: &'static str,
    pub(crate) seconds: i64,
    /// How many there are.
    pub(crate) of: i64,
    pub(crate) playing: bool,
    pub(crate) speed: u32,
    /// Whether its end is missing.
    pub(crate) cut: bool,
}

/// A recording that is played.
pub(crate) struct Player {
    film: Film,
    title: &'static str,
    troupe: Option<Box<dyn Troupe>>,
    /// Where it was at an instant, and since then it goes on.
    anchor: (Instant, Timestamp),
    playing: bool,
    speed: usize,
    /// The last answers, and when they came.
    answers: Vec<(RegionIndex, Question, Answer, Timestamp)>,
    /// What somebody caused, to be told next.
    caused: VecDeque<Event>,
}

impl Player {
    pub(crate) fn new(film: Film, title: &'static str, troupe: Option<Box<dyn Troupe>>) -> Self {
        let anchor = (Instant::now(), film.header().begin());
        let (answers, caused) = (Vec::new(), VecDeque::new());
        Self { film, title, troupe, anchor, playing: true, speed: 0, answers, caused }
    }

    /// What time it is in the recording.
    pub(crate) fn now(&self) -> Timestamp {
        let (since, then) = self.anchor;
        if !self.playing {
            return then;
        }
        let passed = since.elapsed().saturating_mul(self.speed());
        let passed = SignedDuration::try_from(passed).unwrap_or(SignedDuration::MAX);
        let now = then.checked_add(passed).unwrap_or(then);
        // Nothing is told after what has not been told yet.
        now.min(self.film.next_time().unwrap_or(self.film.end())).max(then)
    }

    fn speed(&self) -> u32 {
        SPEEDS.get(self.speed).copied().unwrap_or(1)
    }

    pub(crate) fn place(&self) -> Place {
        let begin = self.film.header().begin().as_second();
        Place {
            title: self.title,
            seconds: self.now().as_second() - begin,
            of: self.film.end().as_second() - begin,
            playing: self.playing && self.film.next_time().is_some(),
            speed: self.speed(),
            cut: self.film.is_cut(),
        }
    }

    /// The next event, when its time has come; never while it stands still. Safe to drop while
    /// it waits.
    pub(crate) async fn next(&mut self) -> Event {
        if let Some(event) = self.caused.pop_front() {
            return event;
        }
        let Some(time) = self.film.next_time().filter(|_| self.playing) else {
            return std::future::pending().await;
        };
        let (since, then) = self.anchor;
        let left = Duration::try_from(time.duration_since(then)).unwrap_or_default();
        sleep_until(since + left / self.speed()).await;
        match self.take() {
            Some(event) => event,
            None => std::future::pending().await,
        }
    }

    /// The next event at once.
    fn take(&mut self) -> Option<Event> {
        let mut event = self.film.next()?;
        event.at = event.at.max(self.anchor.1);
        if let EventKind::News(region, News::Answer(question, Ok(answer))) = &event.kind {
            self.answers.retain(|(at, asked, ..)| at != region || asked != question);
            self.answers.push((*region, question.clone(), answer.clone(), event.at));
        }
        Some(event)
    }

    /// Moves. Returns where to, if that is elsewhere: see [`Self::go`].
    pub(crate) fn play(&mut self, play: Play) -> Option<Timestamp> {
        let now = self.now();
        self.anchor = (Instant::now(), now);
        match play {
            Play::Toggle => self.playing = !self.playing,
            Play::Faster(true) => self.speed = (self.speed + 1).min(SPEEDS.len() - 1),
            Play::Faster(false) => self.speed = self.speed.saturating_sub(1),
            Play::By(seconds) => {
                let begin = self.film.header().begin();
                let to = now.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(now);
                return Some(to.clamp(begin, self.film.end().max(begin)));
            }
        }
        None
    }

    /// Begins to go to a time. Returns whether that begins anew, because it is before.
    pub(crate) fn go(&mut self, to: Timestamp) -> bool {
        let anew = to < self.anchor.1;
        if anew {
            self.film.rewind();
            self.answers.clear();
            self.anchor.1 = self.film.header().begin();
        }
        anew
    }

    /// What happens next on the way to a time; at the end of the way it is there.
    pub(crate) fn pass(&mut self, to: Timestamp) -> Option<Event> {
        let passed = self.film.next_time().filter(|time| *time <= to).and_then(|_| self.take());
        if passed.is_none() {
            self.anchor = (Instant::now(), to);
        }
        passed
    }

    /// Stands still.
    pub(crate) fn stop(&mut self) {
        self.anchor = (Instant::now(), self.now());
        self.playing = false;
    }

    /// Answers as it was answered last; else says that nobody asked then.
    pub(crate) fn ask(&mut self, region: RegionIndex, question: Question) {
        let now = self.now();
        let known = self.answers.iter().find(|(at, asked, ..)| *at == region && *asked == question);
        let (at, answer) = match (&mut self.troupe, known) {
            (Some(troupe), _) => (now, Ok(troupe.answer(region, &question, now))),
            // As old as it is.
            (None, Some((_, _, answer, at))) => (*at, Ok(answer.clone())),
            (None, None) => (now, Err(Trouble::new("nobody asked for this until then"))),
        };
        let kind = EventKind::News(region, News::Answer(question, answer));
        self.caused.extend([Event { at, kind }, Event { at: now, kind: EventKind::Tick }]);
    }

    /// Does what was asked for, where somebody plays the daemon.
    pub(crate) fn work(&mut self, work: Box<Work>) {
        let now = self.now();
        let region = work.subject.region;
        let (result, news) = match &mut self.troupe {
            Some(troupe) => troupe.work(&work, now),
            None => (Err(Trouble::new("a recording cannot be changed")), Vec::new()),
        };
        let worked = std::iter::once(News::Worked(work, result));
        let events = worked.chain(news).map(|news| EventKind::News(region, news));
        self.caused.extend(events.map(|kind| Event { at: now, kind }));
    }
}
