use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use jiff::Timestamp;
use proptest::prelude::*;
use ratatui::{buffer::Buffer, layout::Size};
use uuid::Uuid;

use super::*;
use crate::{
    Options,
    events::{Event, EventKind, Play},
    keys::Key,
    state::State,
    table::AnyTable as _,
    testing::{NOW, any_event_anywhere, three_regions},
    update::update,
    views,
};

fn header(state: &State) -> Header {
    let targets: Vec<_> = state.regions.iter().map(|region| region.target.clone()).collect();
    Header::new(&targets, state.now, state.size, None, Uuid::nil(), &state.keys)
}

/// A file that nobody else has.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos();
        let name = format!("streamspace-{name}-{}-{now}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // It may never have been made.
        let _ = fs::remove_file(&self.0);
    }
}

/// What somebody does for an hour: a key every few seconds, through every page.
const KEYS: &str =
    "tjj/acm\n\njj\x1b\x1bsSjjoO/running\n\naw\x1b\x1bvpcru U\x1blxY\x1b[[]]?\x1bvt\nak\x1btac";

fn key(c: char) -> EventKind {
    use crossterm::event::KeyCode;
    EventKind::Key(Key::plain(match c {
        '\n' => KeyCode::Enter,
        '\x1b' => KeyCode::Esc,
        c => KeyCode::Char(c),
    }))
}

/// The story of the demonstration told twice, one after the other, with keys between.
fn an_hour() -> Vec<Event> {
    let mut events = Vec::new();
    let mut keys = KEYS.chars().cycle();
    for round in 0..2_i64 {
        let (mut film, _) = crate::demo::made_up();
        let begin = film.header().begin();
        let length = film.end().as_second() - begin.as_second() + 1;
        let mut ticks = 0;
        while let Some(mut event) = film.next() {
            let shift = jiff::SignedDuration::from_secs(round * length);
            event.at = event.at.checked_add(shift).unwrap();
            let at = event.at;
            let ticked = matches!(event.kind, EventKind::Tick);
            events.push(event);
            ticks += usize::from(ticked);
            if ticked && ticks.is_multiple_of(7) {
                events.push(Event { at, kind: key(keys.next().unwrap()) });
            }
            if ticked && ticks == 500 {
                let kind = EventKind::Resize(Size { width: 90, height: 30 });
                events.push(Event { at, kind });
            }
        }
    }
    events
}

#[test]
fn a_recorded_hour_gives_the_same_frames() {
    let file = Scratch::new("hour");
    let story = crate::demo::made_up().0;
    let mut state = begin(&story, &Options::default(), Size { width: 120, height: 40 });
    let mut recorder = Recorder::create(&file.0, &header(&state)).unwrap();
    let events = an_hour();
    let (first, last) = (events[0].at, events.last().unwrap().at);
    assert!(last.as_second() - first.as_second() >= 3600);
    let is_looked_at = |number: usize| number.is_multiple_of(23);
    let mut frames: Vec<Buffer> = Vec::new();
    for (number, event) in events.into_iter().enumerate() {
        recorder.keep_waiting(&event);
        update(&mut state, event);
        if is_looked_at(number) {
            frames.push(views::draw(&state));
        }
    }
    recorder.close().unwrap();
    let mode = fs::metadata(&file.0).unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0, "it has what only operators may see");

    let mut again = Projection::open(&file.0, &Options::default()).unwrap();
    let mut number = 0;
    let mut seen = frames.into_iter();
    while again.step().is_some() {
        if is_looked_at(number) {
            assert!(Some(again.frame()) == seen.next(), "event {number}");
        }
        number += 1;
    }
    assert_eq!(seen.next(), None);
}

#[test]
fn a_file_that_is_there_stays_as_it_is() {
    let file = Scratch::new("there");
    fs::write(&file.0, "mine").unwrap();
    let error = Recorder::create(&file.0, &header(&three_regions(80, 24))).unwrap_err();
    assert!(error.to_string().contains("File exists"), "{error}");
    assert_eq!(fs::read_to_string(&file.0).unwrap(), "mine");
    let error = Film::open(&file.0).unwrap_err();
    assert!(error.to_string().contains("is no recording of this dashboard"), "{error}");
}

/// What a recording of these events has, in memory.
fn recorded(state: &State, events: &[Event]) -> Vec<u8> {
    let (mut encoder, mut bytes) = Encoder::new(&header(state));
    for event in events {
        bytes.extend(encoder.encode(event));
    }
    bytes
}

fn last_frame(film: Film) -> Buffer {
    let mut projection = Projection::new(film, &Options::default());
    while projection.step().is_some() {}
    projection.frame()
}

fn any_events() -> impl Strategy<Value = Vec<Event>> {
    proptest::collection::vec((any_event_anywhere(), 0..20_i64), 0..30).prop_map(|kinds| {
        let mut second = NOW;
        let at = |(kind, pause): (EventKind, i64)| {
            second += pause;
            Event { at: Timestamp::from_second(second).unwrap(), kind }
        };
        kinds.into_iter().map(at).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn whatever_happened_is_seen_again(events in any_events()) {
        let mut state = three_regions(80, 24);
        let bytes = recorded(&state, &events);
        for event in events {
            update(&mut state, event);
        }
        prop_assert!(views::draw(&state) == last_frame(Film::new(bytes).unwrap()));
    }

    #[test]
    fn what_a_crash_left_can_be_seen(events in any_events(), kept in 0..4096_usize) {
        let mut bytes = recorded(&three_regions(80, 24), &events);
        bytes.truncate(kept);
        if let Some(film) = Film::new(bytes) {
            last_frame(film);
        }
    }

    #[test]
    fn a_hostile_file_harms_nobody(
        events in any_events(),
        wrong in proptest::collection::vec((0..4096_usize, any::<u8>()), 1..20),
    ) {
        let mut bytes = recorded(&three_regions(80, 24), &events);
        for (place, byte) in wrong {
            if let Some(old) = bytes.get_mut(place) {
                *old = byte;
            }
        }
        if let Some(film) = Film::new(bytes) {
            last_frame(film);
        }
    }
}

fn told(player: &mut Player, state: &mut State, play: Play) {
    let to = player.play(play).unwrap();
    if player.go(to) {
        state.forget();
    }
    while let Some(event) = player.pass(to) {
        update(state, event);
    }
}

#[tokio::test(start_paused = true)]
async fn the_way_back_and_forth_ends_where_the_straight_way_does() {
    let (film, _) = crate::demo::made_up();
    let size = Size { width: 120, height: 40 };
    let look = |ways: &[i64]| {
        let (film, _) = crate::demo::made_up();
        let mut state = begin(&film, &Options::default(), size);
        let mut player = Player::new(film, "recording", None);
        player.stop();
        for way in ways {
            told(&mut player, &mut state, Play::By(*way));
        }
        assert_eq!(player.place().seconds, 300);
        state.sessions.total()
    };
    let straight = look(&[300]);
    assert!(straight > 0);
    assert_eq!(look(&[900, -700, 40, 60]), straight);
    assert_eq!(look(&[-5, 300]), straight);

    // It goes on by itself, faster where that is wanted, and stands where it is stopped.
    let begin = film.header().begin();
    let mut player = Player::new(film, "recording", None);
    let mut at = begin;
    while at.as_second() - begin.as_second() < 20 {
        at = player.next().await.at;
    }
    player.play(Play::Faster(true));
    player.play(Play::Faster(true));
    let before = tokio::time::Instant::now();
    while at.as_second() - begin.as_second() < 120 {
        at = player.next().await.at;
    }
    let passed = before.elapsed().as_secs();
    assert!((19..=21).contains(&passed), "100 seconds at five times the speed take {passed}");
    player.stop();
    let waited = tokio::time::timeout(Duration::from_hours(1), player.next()).await;
    assert!(waited.is_err(), "it stands still");
}
