//! Commits, corrections, rollups and their proof.

use super::*;

fn row(from: &str, seconds: i64) -> Interval {
    let history = History::new([
        runs(1, time(from), None),
        transition(2, time(from).plus(seconds), SessionPhase::Terminated),
    ]);
    intervals(&history, &watched(), whole_day()).remove(0)
}

#[test]
fn late_facts_are_signed_differences() {
    let (committed, less, more) = (row("10:00:00", 100), row("10:00:00", 40), row("10:00:00", 200));
    let bucket = committed.bucket;
    let next = |earlier: &[Correction], now: &Interval| {
        correct(uid(1), bucket, Some(&committed), earlier, Some(now))
    };
    let first = next(&[], &less).unwrap();
    assert_eq!((first.number, first.usage.cpu.0, first.covered.measured), (1, -60_000, -60));
    assert_eq!(first.usage.started.0, 0);
    let second = next(std::slice::from_ref(&first), &more).unwrap();
    assert_eq!((second.number, second.usage.sessions.0), (2, 160));
    let both = [first, second];
    assert_eq!(corrected(committed.clone(), &both), more);
    assert_eq!(next(&both, &more), None);
    // A session that was not known when the bucket was closed, and one that never was.
    let unknown = correct(uid(1), bucket, None, &[], Some(&more)).unwrap();
    assert_eq!((unknown.usage, &unknown.covered), (more.usage, &more.covered));
    let gone = correct(uid(1), bucket, Some(&more), &[], None).unwrap();
    assert_eq!(gone.usage, Usage::default() - more.usage);
    assert_eq!(corrected(more, [&gone]), Interval::empty(uid(1), bucket));
    assert_eq!(correct(uid(1), bucket, None, &[], None), None);
}

#[test]
fn a_fact_is_late_when_the_facts_were_complete() {
    let from = |to| Span::new(time("06:00:00"), time(to));
    let gap = |from, to| Gap { from: time(from), to: time(to), list: Order(5) };
    let ledger = Ledger::new([gap("10:00:00", "11:00:00")], from("12:00:10"));
    let span = |from| Some(Span::new(time(from), time("12:00:10")));
    assert_eq!(late(time("12:00:10"), &ledger), None);
    assert_eq!(late(time("12:00:09"), &ledger), span("12:00:09"));
    // A blind span is judged anew as a whole, also by a fact at its end.
    assert_eq!(late(time("10:30:00"), &ledger), span("10:00:00"));
    assert_eq!(late(time("11:00:00"), &ledger), span("10:00:00"));
    assert_eq!(late(time("11:00:01"), &ledger), span("11:00:01"));
    assert_eq!(late(time("09:00:00"), &ledger), span("09:00:00"));
    // The list's own second is not complete, and ends the blind span all the same.
    let listed = Ledger::new([gap("10:00:00", "11:00:00")], from("11:00:00"));
    let blind = Span::new(time("10:00:00"), time("11:00:00"));
    assert_eq!(late(time("11:00:00"), &listed), Some(blind));
    assert_eq!(late(time("11:00:01"), &listed), None);
}

fn watermark() -> Watermark {
    Watermark {
        leader_term: LeaderTerm(3),
        begins: time("06:00:00"),
        complete_through: time("10:20:07"),
        closed_through: time("10:05:00"),
    }
}

#[test]
fn due_is_what_is_complete_and_settled() {
    let due = |now, settle, buckets| {
        watermark().due(time(now), settle, buckets).map(|commit| commit.through)
    };
    assert_eq!(due("10:20:00", 60, 100), Some(time("10:15:00")));
    assert_eq!(due("10:21:00", 60, 100), Some(time("10:20:00")));
    assert_eq!(due("10:20:59", 60, 100), Some(time("10:15:00")));
    // A clock that is ten minutes early or late, or wholly wrong.
    assert_eq!(due("10:31:00", 60, 100), Some(time("10:20:00")));
    assert_eq!(due("10:11:00", 60, 100), Some(time("10:10:00")));
    assert_eq!(due("10:10:59", 60, 100), None);
    assert_eq!(due("23:00:00", 60, 1), Some(time("10:10:00")));
    assert_eq!(due("23:00:00", 60, 0), None);
    assert_eq!(due("00:00:00", i64::MAX, 100), None);
    let beginning = Watermark::beginning(time("10:00:01"));
    assert_eq!(beginning.closed_through, time("10:05:00"));
    assert_eq!(beginning.closed(), None);
    assert_eq!(
        Watermark { closed_through: time("10:10:00"), ..beginning }.closed(),
        Some(time("10:10:00"))
    );
    assert_eq!(beginning.due(time("11:00:00"), 0, 100), None);
}

#[test]
fn another_leader_or_another_watermark_refuses() {
    let commit = watermark().due(time("11:00:00"), 60, 2).unwrap();
    assert_eq!(commit.span(), Span::new(time("10:05:00"), time("10:15:00")));
    let after = watermark().advance(&commit).unwrap();
    assert_eq!(after, Watermark { closed_through: time("10:15:00"), ..watermark() });
    // A second time, also in another's hands.
    let moved = Refusal::Moved { expected: time("10:05:00"), found: time("10:15:00") };
    assert_eq!(after.advance(&commit), Err(moved));
    let newer = watermark().lead(LeaderTerm(4)).unwrap();
    let (leads, mine) = (LeaderTerm(4), LeaderTerm(3));
    assert_eq!(newer.advance(&commit), Err(Refusal::OtherLeader { leads, mine }));
    assert_eq!(newer.lead(mine), Err(Refusal::OtherLeader { leads, mine }));
    assert_eq!(newer.lead(leads), Ok(newer));
    assert!(newer.confirmed(mine, time("11:00:00")).is_err());
    // One that did not take the lead first.
    let early = Commit { leader_term: LeaderTerm(4), ..commit };
    assert!(watermark().advance(&early).is_err());
    for through in ["10:05:00", "10:00:00", "10:07:30", "10:25:00"] {
        let through = time(through);
        let wrong = Commit { through, ..commit };
        assert_eq!(watermark().advance(&wrong), Err(Refusal::NotDue { through }));
    }
    let said = Refusal::OtherLeader { leads, mine }.to_string();
    assert_eq!(said, "leader term 4 leads and not 3: stop, and drop what was computed");
}

#[test]
fn a_list_ends_the_gap_since_what_was_complete() {
    let listing = Listing { order: Order(8), at: time("11:00:00") };
    let (after, gap) = watermark().listed(LeaderTerm(3), listing).unwrap();
    assert_eq!(after.complete_through, time("11:00:00"));
    assert_eq!(gap, Gap { from: time("10:20:07"), to: time("11:00:00"), list: Order(8) });
    assert!(watermark().listed(LeaderTerm(2), listing).is_err());
    // An older list takes nothing back.
    let listing = Listing { order: Order(8), at: time("10:00:00") };
    let (after, gap) = watermark().listed(LeaderTerm(3), listing).unwrap();
    assert_eq!((after, gap.span().is_empty()), (watermark(), true));
}

struct Stored {
    sessions: BTreeMap<SessionUid, Session>,
    intervals: Vec<Interval>,
    corrections: Vec<Correction>,
    hours: Rollup,
    days: Rollup,
}

impl Stored {
    /// Two sessions over midnight.
    fn new() -> Self {
        let facts = |number, from: &str, to: &str| {
            [
                Transition { session: uid(number), ..runs(1, instant(from), None) },
                Transition {
                    session: uid(number),
                    ..transition(2, instant(to), SessionPhase::Terminated)
                },
            ]
        };
        let ada = facts(1, "2026-11-02T22:30:00Z", "2026-11-03T01:00:10Z");
        let grace = facts(2, "2026-11-02T22:59:59Z", "2026-11-02T23:00:01Z");
        let span = Span::new(whole_day().from, whole_day().to.plus(86_400));
        let histories = History::by_session(ada.into_iter().chain(grace));
        let rows = histories.values().flat_map(|history| intervals(history, &watched(), span));
        let mut stored = Self {
            sessions: BTreeMap::from([(uid(1), session(1, "ada")), (uid(2), session(2, "grace"))]),
            intervals: rows.collect(),
            corrections: Vec::new(),
            hours: Rollup::new(),
            days: Rollup::new(),
        };
        stored.roll_up();
        stored
    }

    fn roll_up(&mut self) {
        let sums = |grain| {
            let of = |uid, bucket, usage: &Usage| {
                self.sessions.get(&uid).map(|session| entries(session, bucket, usage))
            };
            let rows = self.intervals.iter().map(|row| of(row.session, row.bucket, &row.usage));
            let more = self.corrections.iter().map(|row| of(row.session, row.bucket, &row.usage));
            rollup(grain, rows.chain(more).flatten().flatten())
        };
        (self.hours, self.days) = (sums(Grain::Hour), sums(Grain::Day));
    }

    fn faults(&self) -> Vec<Fault> {
        verify(&Books {
            sessions: &self.sessions,
            intervals: &self.intervals,
            corrections: &self.corrections,
            hours: &self.hours,
            days: &self.days,
        })
    }

    fn sum(rollup: &Rollup, user: &str, metric: Metric) -> Vec<i128> {
        let of = |cell: &Cell| cell.metric == metric && cell.user == user;
        rollup.iter().filter(|(cell, _)| of(cell)).map(|(_, quantity)| *quantity).collect()
    }
}

#[test]
fn hours_and_days_are_the_sums_of_intervals() {
    let stored = Stored::new();
    assert_eq!(stored.faults(), []);
    let hours = |user, metric| Stored::sum(&stored.hours, user, metric);
    assert_eq!(hours("ada", Metric::SessionTime), [1800, 3600, 3600, 10]);
    assert_eq!(Stored::sum(&stored.days, "ada", Metric::SessionTime), [5400, 3610]);
    assert_eq!(hours("grace", Metric::Cpu), [1000, 1000]);
    // Distinct sessions are no sum: one in each hour, and one in the day.
    assert_eq!(hours("grace", Metric::SessionsActive), [1, 1]);
    assert_eq!(Stored::sum(&stored.days, "grace", Metric::SessionsActive), [1]);
    assert_eq!(hours("grace", Metric::SessionsStarted), [1]);
    // Twice the same is the same, and order is nothing.
    let mut other = Stored::new();
    other.intervals.reverse();
    other.roll_up();
    assert_eq!((other.hours, other.days), (stored.hours, stored.days));
    let buckets = stored.intervals.iter().map(|row| row.bucket);
    assert_eq!(dirty(Grain::Hour, buckets.clone()).len(), 4);
    assert_eq!(dirty(Grain::Day, buckets).len(), 2);
}

#[test]
fn a_correction_is_in_the_sums() {
    let mut stored = Stored::new();
    let wrong = stored.intervals[0].clone();
    let gone = correct(wrong.session, wrong.bucket, Some(&wrong), &[], None).unwrap();
    stored.corrections.push(gone);
    assert!(!stored.faults().is_empty());
    stored.roll_up();
    assert_eq!(stored.faults(), []);
    assert_eq!(Stored::sum(&stored.days, "ada", Metric::SessionTime), [5100, 3610]);
    // A session that by its corrections never ran is not active.
    let grace: Vec<_> =
        stored.intervals.iter().filter(|row| row.session == uid(2)).cloned().collect();
    for row in &grace {
        stored.corrections.extend(correct(uid(2), row.bucket, Some(row), &[], None));
    }
    stored.roll_up();
    assert_eq!(stored.faults(), []);
    assert_eq!(Stored::sum(&stored.days, "grace", Metric::SessionsActive), [0; 0]);
}

#[test]
fn what_is_wrong_in_the_books_is_named() {
    let found = |change: fn(&mut Stored), with_rollup| {
        let mut stored = Stored::new();
        change(&mut stored);
        if with_rollup {
            stored.roll_up();
        }
        stored.faults()
    };
    let bucket = Stored::new().intervals[0].bucket;
    let twice = found(|stored| stored.intervals.push(stored.intervals[0].clone()), true);
    assert_eq!(twice, [Fault::CountedTwice(uid(1), bucket)]);
    let more = found(
        |stored| {
            stored.intervals[0].covered.measured += 1;
            stored.intervals[0].usage.sessions.0 += 1;
        },
        true,
    );
    assert_eq!(more, [Fault::Seconds(uid(1), bucket, 301)]);
    assert_eq!(
        more[0].to_string(),
        format!("session {}: 301 seconds in the 300 at 2026-11-02T22:30:00Z", uid(1))
    );
    let billed = found(|stored| stored.intervals[0].usage.sessions.0 -= 1, true);
    let expected = Fault::Billed { session: uid(1), bucket, billed: 299, covered: 300 };
    assert_eq!(billed, [expected]);
    let negative = found(|stored| stored.intervals[0].usage.cpu.0 = -1, true);
    assert_eq!(negative, [Fault::Negative(uid(1), bucket)]);
    let unknown = found(|stored| drop(stored.sessions.remove(&uid(2))), true);
    assert_eq!(unknown, [Fault::UnknownSession(uid(2))]);
    let corrected_twice = found(
        |stored| {
            let usage = Usage::default();
            let covered = CoveredSeconds::default();
            let bucket = stored.intervals[0].bucket;
            let empty = Correction { session: uid(1), bucket, number: 1, usage, covered };
            stored.corrections = vec![empty.clone(), empty];
        },
        true,
    );
    assert_eq!(corrected_twice, [Fault::CorrectedTwice(uid(1), bucket, 1)]);
    // An hour that is off by one is wrong by itself and against its day.
    let hour = found(|stored| *stored.hours.values_mut().next().unwrap() += 1, false);
    assert!(matches!(hour[..], [Fault::Rollup { grain: Grain::Hour, .. }, Fault::Day { .. }]));
    let day = found(|stored| drop(stored.days.pop_first()), false);
    assert!(matches!(day[..], [Fault::Rollup { found: None, .. }, Fault::Day { day: 0, .. }]));
    let lost = found(|stored| drop(stored.intervals.pop()), false);
    assert!(lost.iter().all(|fault| matches!(fault, Fault::Rollup { .. })) && !lost.is_empty());
}
