//! What must hold, with its numbers.

use proptest::prelude::*;

use super::*;

#[test]
fn one_core_and_two_gib_for_340_seconds() {
    let history = History::new([
        transition(1, time("10:02:00"), SessionPhase::Pending),
        runs(2, time("10:02:30"), None),
        transition(3, time("10:08:10"), SessionPhase::Terminated),
    ]);
    let rows = intervals(&history, &watched(), whole_day());
    let buckets: Vec<_> =
        rows.iter().map(|row| (row.bucket.start(), row.usage.sessions.0)).collect();
    assert_eq!(buckets, [(time("10:00:00"), 150), (time("10:05:00"), 190)]);
    let usage = total(&rows);
    assert_eq!(usage.cpu, MillicoreSeconds(340_000));
    assert_eq!(usage.memory, ByteSeconds(680 * i128::from(GIB)));
    // The home is there while it is pending, too.
    assert_eq!(usage.storage, ByteSeconds(370 * 10 * i128::from(GIB)));
    assert_eq!(usage.started, SessionCount(1));
    let seconds = covered(&rows);
    assert_eq!((seconds.measured, seconds.total()), (340, 370));
    assert_eq!(seconds.unbilled, BTreeMap::from([(Unbilled::Pending, 30)]));
    assert!(rows[0].is_started() && !rows[1].is_started() && rows[1].is_active());
    assert_eq!(integrate(&history, &watched(), rows[1].bucket).as_ref(), Some(&rows[1]));
    assert_eq!(integrate(&history, &watched(), rows[1].bucket.next()), None);
}

#[test]
fn a_bucket_is_half_open() {
    let history = History::new([
        runs(1, time("10:00:00"), None),
        transition(2, time("10:05:00"), SessionPhase::Terminated),
    ]);
    let rows = intervals(&history, &watched(), whole_day());
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].covered.measured, 300);
    let first = History::new([runs(1, time("10:04:59"), None)]);
    let bucket = Bucket::holding(time("10:00:00"));
    assert_eq!(integrate(&first, &watched(), bucket).unwrap().covered.measured, 1);
}

#[test]
fn ten_tib_for_thirty_days_do_not_overflow() {
    let mut start = transition(1, instant("2026-11-01T00:00:00Z"), SessionPhase::Hibernated);
    start.state.home = Bytes(10 << 40);
    let end = transition(2, instant("2026-12-01T00:00:00Z"), SessionPhase::Terminated);
    let span = Span::new(start.at, end.at);
    let rows = intervals(&History::new([start, end]), &watched(), span);
    assert_eq!(rows.len(), 30 * 288);
    let storage = total(&rows).storage.0;
    assert_eq!(storage, 28_499_341_391_953_920_000);
    assert!(storage > i128::from(i64::MAX));
    assert_eq!(total(&rows).sessions, SessionSeconds(0));
    // The most that a request can be, for ten years.
    let mut largest = runs(1, Second(0), None);
    largest.state.memory = Bytes(i64::MAX);
    let span = Span::new(Second(0), Second(315_360_000));
    let all = pieces(&History::new([largest]), &watched(), span);
    assert_eq!(all[0].usage().memory.0, i128::from(i64::MAX) * 315_360_000);
}

#[test]
fn a_name_that_comes_back_is_another_session() {
    let end = time("10:02:00");
    let mut second = runs(3, end, pod(2, end));
    second.session = uid(2);
    let facts = [
        runs(1, time("10:00:00"), pod(1, time("10:00:00"))),
        transition(2, end, SessionPhase::Terminated),
        second,
        Transition { session: uid(2), ..transition(4, time("10:03:00"), SessionPhase::Terminated) },
    ];
    let histories = History::by_session(facts);
    let of = |number| intervals(&histories[&uid(number)], &watched(), whole_day());
    let (first, second) = (of(1), of(2));
    assert_eq!((first[0].covered.measured, second[0].covered.measured), (120, 60));
    assert_eq!((first[0].session, second[0].session), (uid(1), uid(2)));
    assert!(first[0].is_started() && second[0].is_started());
}

#[test]
fn requests_change_while_it_runs() {
    let mut more = runs(2, time("10:01:00"), pod(2, time("10:01:00")));
    more.state.cpu = Millicores(2500);
    more.state.memory = Bytes(GIB);
    let history = History::new([
        runs(1, time("10:00:00"), pod(1, time("10:00:00"))),
        more,
        transition(3, time("10:01:10"), SessionPhase::Hibernated),
        transition(4, time("10:02:00"), SessionPhase::Terminated),
    ]);
    let usage = total(&intervals(&history, &watched(), whole_day()));
    assert_eq!(usage.cpu.0, 60 * 1000 + 10 * 2500);
    assert_eq!(usage.memory.0, i128::from(GIB) * (60 * 2 + 10));
    assert_eq!(usage.storage.0, i128::from(GIB) * 10 * 120);
    assert_eq!(usage.sessions.0, 70);
}

#[test]
fn the_last_state_of_a_second_counts() {
    let history = History::new([
        runs(1, time("10:00:00"), None),
        transition(3, time("10:00:10"), SessionPhase::Hibernated),
        runs(2, time("10:00:10"), None),
        transition(4, time("10:01:00"), SessionPhase::Terminated),
    ]);
    assert_eq!(total(&intervals(&history, &watched(), whole_day())).sessions.0, 10);
}

#[test]
fn the_cluster_decides_the_order_and_not_its_clocks() {
    // Another API server, whose clock is a second behind, wrote the end.
    let history = History::new([
        runs(1, time("10:00:00"), None),
        runs(2, time("10:00:10"), None),
        transition(3, time("10:00:09"), SessionPhase::Terminated),
    ]);
    assert_eq!(total(&intervals(&history, &watched(), whole_day())).sessions.0, 10);
}

#[test]
fn midnight_month_end_and_a_change_of_the_clocks_leave_nothing_out() {
    let new_york = jiff::tz::TimeZone::get("America/New_York").unwrap();
    let start = instant("2026-10-31T23:58:20Z");
    let end = instant("2026-12-02T00:01:40Z");
    let history =
        History::new([runs(1, start, None), transition(2, end, SessionPhase::Terminated)]);
    let rows = intervals(&history, &watched(), Span::new(start, end));
    let seconds = end.0 - start.0;
    assert_eq!(total(&rows).sessions.0, i128::from(seconds));
    let who = session(1, "ada");
    let of_row = |row: &Interval| entries(&who, row.bucket, &row.usage).collect::<Vec<_>>();
    let all: Vec<_> = rows.iter().flat_map(of_row).collect();
    let days = rollup(Grain::Day, all.iter().copied());
    let time_of = |cell: &Cell| cell.metric == Metric::SessionTime;
    let by_day: Vec<_> =
        days.iter().filter(|(cell, _)| time_of(cell)).map(|(_, seconds)| *seconds).collect();
    assert_eq!((by_day[0], by_day[1], by_day[31]), (100, 86_400, 86_400));
    assert_eq!(by_day.last(), Some(&100));
    // The November of New York: its hours are 721, and the session ran in all of them.
    let november: Month = "2026-11".parse().unwrap();
    let parts = parts(november.cut(&new_york).unwrap());
    let hours = rollup(Grain::Hour, all.iter().copied());
    let inside: i128 = hours
        .iter()
        .filter(|(cell, _)| time_of(cell) && parts.hours.contains(cell.start))
        .map(|(_, seconds)| seconds)
        .sum();
    assert_eq!((inside, parts.hour_count()), (721 * 3600, 721));
}

#[test]
fn ten_thousand_sessions_of_one_to_three_seconds() {
    let begin = time("09:00:00");
    let mut lived = 0;
    let mut facts = Vec::new();
    for number in 0..10_000_u32 {
        // Spread over an hour without a rhythm, many over the edge of a bucket.
        let start = begin.plus(i64::from(number * 7919 % 3600));
        let seconds = i64::from(number % 3 + 1);
        lived += seconds;
        let session = uid(u128::from(number) + 1);
        facts.push(Transition { session, ..runs(u64::from(number) * 2 + 1, start, None) });
        let end =
            transition(u64::from(number) * 2 + 2, start.plus(seconds), SessionPhase::Terminated);
        facts.push(Transition { session, ..end });
    }
    let histories = History::by_session(facts);
    assert_eq!(histories.len(), 10_000);
    let rows: Vec<_> = histories
        .values()
        .flat_map(|history| intervals(history, &watched(), whole_day()))
        .collect();
    assert!(rows.len() > 10_000);
    let usage = total(&rows);
    assert_eq!(usage.sessions.0, i128::from(lived));
    assert_eq!(usage.cpu.0, i128::from(lived) * 1000);
    assert_eq!(usage.started.0, 10_000);
    assert_eq!(covered(&rows).measured, lived);
}

proptest! {
    /// Repeated and reordered facts are the same history, and give the same usage.
    #[test]
    fn repeated_and_reordered_is_the_same(
        steps in prop::collection::vec((0..400_i64, 0..5_usize, 0..3_u128), 1..12),
        shuffled in prop::collection::vec(any::<prop::sample::Index>(), 0..40),
    ) {
        let mut at = time("10:00:00");
        let mut facts = Vec::new();
        for (order, (wait, phase, number)) in (1..).zip(steps) {
            at = at.plus(wait);
            let incarnation = (number > 0).then(|| pod(number, at));
            facts.push(Transition { incarnation, ..transition(order, at, SessionPhase::ALL[phase]) });
        }
        let history = History::new(facts.iter().copied());
        let mut again: Vec<_> = facts.iter().rev().copied().collect();
        again.extend(shuffled.iter().map(|index| *index.get(&facts)));
        prop_assert_eq!(&History::new(again), &history);
        // Cut anywhere, the pieces are the same seconds.
        let rows = intervals(&history, &watched(), whole_day());
        let single: Vec<_> = whole_day()
            .buckets()
            .filter_map(|bucket| integrate(&history, &watched(), bucket))
            .collect();
        prop_assert_eq!(&rows, &single);
        for row in &rows {
            prop_assert!(row.covered.total() <= BUCKET_SECONDS);
            prop_assert_eq!(i128::from(row.covered.billed()), row.usage.sessions.0);
        }
    }
}
