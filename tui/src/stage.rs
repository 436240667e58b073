//! The loop that owns the state: it takes events in, does what they ask of the world, and has
//! the screen drawn. Nothing in it waits but for the next event.

use std::time::Duration;

use jiff::Timestamp;
use streamspace_client::text::escape;
use tokio::{sync::mpsc, task::JoinSet, time::Instant};

use crate::{
    Begin, UiError,
    events::{Effect, Event, EventKind, Play},
    feed::Feed,
    keys::{Action, KeyMap, Mode},
    recording::Recorder,
    save,
    state::{Details, State},
    terminal::{self, Picture, Screen, Signals},
    update::update,
    views,
};

/// Keys that may wait to be read.
const QUEUE: usize = 64;
/// No more frames than a screen can show.
const FRAME_TIME: Duration = Duration::from_millis(16);

/// What the loop works with.
pub(crate) struct Stage {
    pub(crate) state: State,
    pub(crate) feed: Feed,
    pub(crate) recorder: Option<Recorder>,
    /// While the keys of a recording move the screen: those of who looks at it.
    following: Option<KeyMap>,
    repaint: bool,
    copy: Option<String>,
    /// Files that are being written.
    saving: JoinSet<String>,
}

/// Whether the loop goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    On,
    Over,
}

impl Stage {
    pub(crate) fn new(state: State, feed: Feed) -> Self {
        Self {
            state,
            feed,
            recorder: None,
            following: None,
            repaint: false,
            copy: None,
            saving: JoinSet::new(),
        }
    }

    /// Lets the keys of a recording move the screen, until somebody takes over with theirs.
    pub(crate) fn follow(&mut self, keys: KeyMap) {
        self.following = Some(keys);
    }

    /// Begins somewhere in a recording.
    pub(crate) fn begin(&mut self, begin: Begin) {
        let Feed::Played(player) = &mut self.feed else { return };
        let at = i64::try_from(begin.at.as_secs()).unwrap_or(i64::MAX);
        if begin.stopped {
            player.stop();
        }
        self.play(Play::By(at));
    }

    /// Runs until somebody leaves, or a signal ends it.
    pub(crate) async fn run(
        &mut self,
        screen: &mut Screen,
        signals: &mut Signals,
    ) -> Result<(), UiError> {
        let (sender, mut input) = mpsc::channel(QUEUE);
        // It ends when nobody reads any more.
        tokio::spawn(terminal::read_input(sender));
        let mut stale_picture = true;
        let mut next_frame = Instant::now();
        loop {
            let next = tokio::select! {
                biased;
                () = signals.next() => return Ok(()),
                event = input.recv() => match event {
                    Some(Ok(kind)) => self.own(kind),
                    Some(Err(error)) => return Err(error.into()),
                    None => return Ok(()),
                },
                picture = screen.ready(next_frame), if stale_picture => {
                    self.state.place = self.feed.place();
                    let buffer = views::draw(&self.state);
                    let (repaint, copy) = (std::mem::take(&mut self.repaint), self.copy.take());
                    picture?.send(Picture { buffer, repaint, copy });
                    stale_picture = false;
                    next_frame = Instant::now() + FRAME_TIME;
                    continue;
                }
                Some(saved) = self.saving.join_next() => {
                    self.state.notify(saved.unwrap_or_else(|error| error.to_string()));
                    Next::On
                }
                event = self.feed.next() => self.told(event),
            };
            if next == Next::Over {
                return Ok(());
            }
            stale_picture = true;
        }
    }

    /// Somebody pressed a key, or did the like.
    fn own(&mut self, kind: EventKind) -> Next {
        let at = self.feed.now();
        let Some(keys) = self.following.take() else {
            return self.happen(Event { at, kind }, true);
        };
        let goes_on = goes_on(&keys, self.state.mode(), &kind);
        let theirs = std::mem::replace(&mut self.state.keys, keys);
        if !goes_on {
            self.state.take_over("this is a recording");
        }
        let next = self.happen(Event { at, kind }, true);
        if goes_on {
            let own = std::mem::replace(&mut self.state.keys, theirs);
            self.follow(own);
        }
        next
    }

    /// Something came from where events come from.
    fn told(&mut self, event: Event) -> Next {
        if self.shows(&event.kind) {
            self.happen(event, self.following.is_none())
        } else {
            Next::On
        }
    }

    /// Whether something that is told of is shown: what somebody did then, only while that is
    /// followed.
    fn shows(&self, kind: &EventKind) -> bool {
        match kind {
            // The screen is as large as it is.
            EventKind::Resize(_) => false,
            EventKind::Key(_) | EventKind::Paste(_) | EventKind::Wheel(_) | EventKind::Click(_) => {
                self.following.is_some()
            }
            EventKind::News(..) | EventKind::Tick => true,
        }
    }

    /// Takes an event in. What it asks of the world is done where `acts`: what a recording
    /// tells of was done then.
    fn happen(&mut self, event: Event, acts: bool) -> Next {
        if let Some(recorder) = &mut self.recorder
            && let Err(why) = recorder.keep(&event)
        {
            self.state.notify(format!("the recording has ended: {why}"));
        }
        for effect in update(&mut self.state, event) {
            match effect {
                _ if !acts => {}
                Effect::Quit => return Next::Over,
                Effect::Repaint => self.repaint = true,
                Effect::Copy(text) => self.copy = Some(text),
                Effect::Ask(region, question) => self.feed.ask(region, question),
                Effect::Work(work) => self.feed.work(work),
                Effect::Save(name, text) => {
                    // A disk may be slow, and keys must not wait for it.
                    self.saving.spawn_blocking(move || saved(&name, &text));
                }
                Effect::Play(play) => self.play(play),
            }
        }
        Next::On
    }

    /// Moves within a recording.
    fn play(&mut self, play: Play) {
        let Feed::Played(player) = &mut self.feed else {
            return self.state.notify("only a recording can be moved in".into());
        };
        if let Some(to) = player.play(play) {
            self.go(to);
        }
    }

    /// Goes elsewhere in a recording. What happens on the way is seen there at once.
    fn go(&mut self, to: Timestamp) {
        let Feed::Played(player) = &mut self.feed else { return };
        if player.go(to) {
            self.state.forget();
        }
        while let Feed::Played(player) = &mut self.feed
            && let Some(event) = player.pass(to)
        {
            if self.shows(&event.kind) {
                update(&mut self.state, event);
            }
        }
        if self.following.is_none() {
            // What was asked on the way is asked again, and answered.
            self.state.details = Details::default();
        }
        let at = self.feed.now();
        self.happen(Event { at, kind: EventKind::Tick }, self.following.is_none());
    }
}

/// Writes a text to a file of its own here, and says which. What is there is kept.
fn saved(name: &str, text: &str) -> String {
    match save::new_file(name, text) {
        Ok(path) => format!("written to {}", escape(&path.to_string_lossy())),
        Err(error) => format!("{name} cannot be written here: {error}"),
    }
}

/// Whether somebody goes on to look at what was looked at then.
fn goes_on(keys: &KeyMap, mode: Mode, kind: &EventKind) -> bool {
    match kind {
        EventKind::Key(key) => matches!(
            keys.lookup(mode, *key),
            Some(Action::Quit | Action::Repaint | Action::Pause | Action::Faster | Action::Slower)
        ),
        EventKind::Resize(_) => true,
        _ => false,
    }
}
