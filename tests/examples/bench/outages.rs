//! How soon the dashboard says that its daemon is away, and that it is back.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use streamspace_tests::{pty::Drawing, region::Region};

use crate::table::{Line, Table, milliseconds, verdict};

const ROUNDS: usize = 5;
const PATIENCE: Duration = Duration::from_mins(1);
/// What is told of an absence, and of a return.
const SOON: Duration = Duration::from_secs(2);
const LEAVING: Duration = Duration::from_millis(100);

/// The slowest of some rounds each.
pub(crate) async fn measure(region: &Region, table: &mut Table) {
    let screen = Drawing::start(region.admin(), &["ui"], 120, 40);
    let live = |text: &str| text.contains("● live");
    screen.blocks_until(PATIENCE, "it is live", live);
    let [mut asleep, mut awake, mut dead, mut back] = [Duration::ZERO; 4];
    for _ in 0..ROUNDS {
        region.signal(Signal::STOP).await;
        asleep = asleep.max(until(&screen, "the data are told as old", |text| !live(text)));
        region.signal(Signal::CONT).await;
        awake = awake.max(until(&screen, "it is live", live));
        region.kill().await;
        dead = dead.max(until(&screen, "it is told as not live", |text| !live(text)));
        region.launch().await;
        region.is_well().await;
        back = back.max(until(&screen, "it is live", live));
    }
    for (what, took) in [
        ("A daemon stands still, until its data are told as old", asleep),
        ("It goes on, until they are live", awake),
        ("A daemon is killed, until that is told", dead),
        ("It is back and well, until all is live", back),
    ] {
        table.add(line(what, took, SOON, "< 2 s"));
    }
    region.signal(Signal::STOP).await;
    until(&screen, "the data are told as old", |text| !live(text));
    let mut screen = screen;
    let begin = Instant::now();
    screen.press("q");
    while screen.ended().is_none() {
        std::thread::sleep(Duration::from_micros(200));
    }
    let took = begin.elapsed();
    region.signal(Signal::CONT).await;
    table.add(line(
        "`q` while it stands still, until the program has ended",
        took,
        LEAVING,
        "< 100 ms",
    ));
}

fn until(screen: &Drawing, what: &str, is_so: impl Fn(&str) -> bool) -> Duration {
    let begin = Instant::now();
    screen.blocks_until(PATIENCE, what, is_so);
    begin.elapsed()
}

fn line(what: &str, took: Duration, limit: Duration, target: &str) -> Line {
    Line {
        what: format!("{what} (the slowest of {ROUNDS})"),
        ours: milliseconds(took),
        against: String::new(),
        bare: String::new(),
        ratio: String::new(),
        remark: verdict(took < limit, target),
    }
}
