//! Whether a frame costs the same whatever number of rows there is: only what is in view is
//! built.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use streamspace_tui::{Options, Projection};

use crate::table::{Line, Table, middle, permille, verdict};

/// How many times as many rows the larger one has: about fifty thousand.
const LARGER: u64 = 125;
const FRAMES: usize = 400;
const FRAME_TIME: Duration = Duration::from_micros(16_667);
/// What may be lost to a colder cache.
const BOUND: f64 = 1.2;

/// A page each.
pub(crate) fn measure(table: &mut Table) {
    let (mut few, mut many) = (loaded(1), loaded(LARGER));
    for (page, key) in [("overview", 'v'), ("tenants", 't'), ("sessions", 'S'), ("changes", 'c')] {
        few.press(key);
        many.press(key);
        let [mut ours, mut bare] = [const { Vec::new() }; 2];
        // In turns, so that both meet the same machine.
        for _ in 0..FRAMES {
            bare.push(frame(&few));
            ours.push(frame(&many));
        }
        let (ours, bare) = (middle(ours), middle(bare));
        let ratio = ours.as_secs_f64() / bare.as_secs_f64();
        table.add(Line {
            what: format!("A frame of the {page}, {} rows (p50 of {FRAMES})", many.rows()),
            ours: micros(ours),
            against: format!("{} rows", few.rows()),
            bare: micros(bare),
            ratio: format!("{ratio:.2}"),
            remark: verdict(ratio <= BOUND, "<= 1.2"),
        });
    }
    chart(&mut many, table);
}

/// The burn chart of an SLO, against the time that a frame has.
fn chart(shown: &mut Projection, table: &mut Table) {
    for key in "b\r".chars() {
        shown.press(key);
    }
    let drawn = shown.text();
    assert!(drawn.contains("burn-1h"), "it is not the page of an SLO:\n{drawn}");
    let mut ours: Vec<_> = (0..FRAMES).map(|_| frame(shown)).collect();
    let ours = permille(&mut ours, 990);
    let ratio = ours.as_secs_f64() / FRAME_TIME.as_secs_f64();
    table.add(Line {
        what: format!("A frame of a burn chart (p99 of {FRAMES})"),
        ours: micros(ours),
        against: "a frame of sixty a second".into(),
        bare: micros(FRAME_TIME),
        ratio: format!("{ratio:.3}"),
        remark: verdict(ratio <= 0.5, "<= 0.5"),
    });
}

fn micros(time: Duration) -> String {
    format!("{:.0} µs", time.as_secs_f64() * 1e6)
}

/// The demonstration, once all is there.
fn loaded(times: u64) -> Projection {
    let mut shown = Projection::made_up(times, &Options::default());
    let begin = shown.step();
    while shown.step() == begin {}
    shown
}

fn frame(shown: &Projection) -> Duration {
    let begin = Instant::now();
    black_box(shown.frame());
    begin.elapsed()
}
