//! Blind spans: what is proved across them, and what is not.

use super::*;

const FROM: &str = "10:00:00";
const TO: &str = "13:00:00";

/// The daemon was dead from 10:00 to 13:00; its list shows state 500.
fn dead() -> Ledger {
    let gap = Gap { from: time(FROM), to: time(TO), list: Order(500) };
    Ledger::new([gap], always())
}

/// Ran with this before, and ends at 14:00.
fn ran(before: impl Into<Option<Incarnation>>, between: &[Transition]) -> Vec<Transition> {
    let mut facts = vec![runs(1, time("09:00:00"), before)];
    facts.extend(between);
    facts.push(transition(900, time("14:00:00"), SessionPhase::Terminated));
    facts
}

fn seconds(facts: Vec<Transition>) -> CoveredSeconds {
    covered(&intervals(&History::new(facts), &dead(), whole_day()))
}

fn unproved(reason: Reason, seconds: i64) -> BTreeMap<Unbilled, i64> {
    BTreeMap::from([(Unbilled::Unproved(reason), seconds)])
}

fn same() -> Incarnation {
    pod(1, time("08:59:00"))
}

#[test]
fn the_same_pod_is_measured() {
    // It was written to in between, as every beat of a heart does.
    for facts in [ran(same(), &[]), ran(same(), &[runs(400, time("12:59:00"), same())])] {
        let once = History::new(facts.clone());
        let rows = intervals(&once, &dead(), whole_day());
        assert_eq!(total(&rows).sessions, SessionSeconds(18_000));
        assert_eq!(covered(&rows), CoveredSeconds { measured: 18_000, ..Default::default() });
        // Replayed twice.
        let twice = History::new(facts.iter().chain(&facts).copied());
        assert_eq!(intervals(&twice, &dead(), whole_day()), rows);
    }
}

#[test]
fn another_pod_is_estimated_and_says_so() {
    let other = pod(2, time("11:29:00"));
    let found = seconds(ran(same(), &[runs(400, time("11:30:00"), other)]));
    // From 11:30 on the list proves it; before, it may have slept all the time.
    assert_eq!(found.measured, 7200);
    assert_eq!(found.estimated, BTreeMap::from([(Reason::AnotherIncarnation, 5400)]));
    assert_eq!(found.unbilled, unproved(Reason::AnotherIncarnation, 5400));
    assert_eq!(found.total(), 18_000);
    // The same pod whose container started again is another incarnation, too.
    let restarted = pod(1, time("11:29:00"));
    assert_eq!(seconds(ran(same(), &[runs(400, time("11:30:00"), restarted)])), found);
}

#[test]
fn an_unknown_pod_is_no_proof() {
    let reason = Reason::IncarnationUnknown;
    let found = seconds(ran(None, &[runs(400, time("12:00:00"), same())]));
    assert_eq!(found.estimated, BTreeMap::from([(reason, 3600)]));
    assert_eq!(found.unbilled, unproved(reason, 7200));
    // Not written to since: it is certain, and still not measured.
    let found = seconds(ran(None, &[]));
    assert_eq!((found.measured, found.estimated[&reason]), (7200, 10_800));
}

#[test]
fn what_did_not_run_on_both_sides() {
    let slept = [transition(400, time("11:00:00"), SessionPhase::Hibernated)];
    let found = seconds(ran(same(), &slept));
    // Where it sleeps, that is exact: nothing was written after.
    let mut unbilled = unproved(Reason::NotRunningAfter, 3600);
    unbilled.insert(Unbilled::Hibernated, 3 * 3600);
    assert_eq!((found.measured, &found.unbilled), (3600, &unbilled));

    let woke = [
        transition(2, time("09:30:00"), SessionPhase::Hibernated),
        runs(400, time("12:00:00"), pod(2, time("11:59:00"))),
    ];
    let found = seconds(ran(same(), &woke));
    assert_eq!(found.estimated, BTreeMap::from([(Reason::NotRunningBefore, 3600)]));
    assert_eq!(found.unbilled[&Unbilled::Unproved(Reason::NotRunningBefore)], 7200);

    // Its life began in the span: the part from the list's state on.
    let born = vec![
        runs(400, time("12:00:00"), pod(2, time("11:59:00"))),
        transition(900, time("14:00:00"), SessionPhase::Terminated),
    ];
    let found = seconds(born);
    assert_eq!(found.estimated, BTreeMap::from([(Reason::BeganUnseen, 3600)]));
    assert_eq!((found.measured, found.total()), (3600, 7200));
}

#[test]
fn a_home_is_counted_at_its_least() {
    let slept = [transition(400, time("11:00:00"), SessionPhase::Hibernated)];
    let storage = |facts: Vec<Transition>| {
        total(&intervals(&History::new(facts), &dead(), whole_day())).storage.0 / i128::from(GIB)
    };
    // A home stays while its session does.
    assert_eq!(storage(ran(same(), &slept)), 18_000 * 10);
    let mut grown = runs(400, time("12:00:00"), same());
    grown.state.home = Bytes(30 * GIB);
    let mut end = ran(same(), &[grown]);
    assert_eq!(storage(end.clone()), 3 * 3600 * 10 + 2 * 3600 * 30);
    let found = seconds(end.clone());
    // The compute is proved all the same.
    assert_eq!(found.billed(), 18_000);
    assert_eq!(found.estimated, BTreeMap::from([(Reason::HomeChanged, 10_800)]));
    // Gone when the list was made: it may have gone at once.
    end.truncate(1);
    end.push(transition(400, time("12:00:00"), SessionPhase::Terminated));
    assert_eq!(storage(end), 3600 * 10);
}

#[test]
fn a_request_that_changed_in_place_is_no_proof() {
    let mut resized = runs(400, time("12:00:00"), same());
    resized.state.cpu = Millicores(4000);
    let found = seconds(ran(same(), &[resized]));
    assert_eq!(found.estimated, BTreeMap::from([(Reason::RequestChanged, 3600)]));
    assert_eq!(found.unbilled, unproved(Reason::RequestChanged, 7200));
}

#[test]
fn the_list_is_told_from_what_followed_in_its_second() {
    // State 501 came in the second of the list, and after it.
    let asleep = transition(501, time(TO), SessionPhase::Hibernated);
    let found = seconds(ran(same(), &[asleep]));
    assert_eq!(found.measured, 4 * 3600);
    // State 499 is what the list showed.
    let asleep = transition(499, time(TO), SessionPhase::Hibernated);
    let found = seconds(ran(same(), &[asleep]));
    assert_eq!(found.measured, 3600);
    assert_eq!(found.unbilled[&Unbilled::Unproved(Reason::NotRunningAfter)], 3 * 3600);
}

#[test]
fn what_is_not_complete_is_not_counted() {
    let history = History::new([runs(1, time("09:00:00"), same())]);
    let ledger = Ledger::new([], Span::new(time("09:00:00"), time("09:07:00")));
    let found =
        covered(&intervals(&history, &ledger, Span::new(time("09:00:00"), time("09:10:00"))));
    assert_eq!(found.measured, 420);
    assert_eq!(found.unbilled, unproved(Reason::NotYetSeen, 180));
}

#[test]
fn what_was_before_the_metering_is_not_counted() {
    let history = History::new([
        runs(1, time("08:00:00"), same()),
        transition(2, time("10:00:00"), SessionPhase::Terminated),
    ]);
    let beginning = Watermark::beginning(time("08:57:00"));
    assert_eq!(beginning.begins, time("09:00:00"));
    let ledger = Ledger::new([], Span::new(beginning.begins, time("12:00:00")));
    let rows = intervals(&history, &ledger, whole_day());
    assert_eq!((total(&rows).sessions.0, total(&rows).started.0), (3600, 0));
    assert_eq!(
        late(time("08:00:00"), &ledger),
        Some(Span::new(time("09:00:00"), time("12:00:00")))
    );
}

#[test]
fn gaps_that_overlap_are_one() {
    let gap = |from, to, list| Gap { from: time(from), to: time(to), list: Order(list) };
    let gaps = [
        gap("11:00:00", "12:00:00", 7),
        gap("10:00:00", "11:30:00", 6),
        gap("12:00:00", "12:10:00", 8),
        gap("13:00:00", "13:00:00", 9),
    ];
    let ledger = Ledger::new(gaps, Span::new(time("09:00:00"), time("14:00:00")));
    assert_eq!(ledger.gaps(), [gap("10:00:00", "12:00:00", 7), gap("12:00:00", "12:10:00", 8)]);
    assert_eq!(ledger.complete_through(), time("14:00:00"));
}

#[test]
fn a_session_that_a_list_lacks_is_over() {
    let listing = Listing { order: Order(500), at: time(TO) };
    let history = History::new([runs(1, time("09:00:00"), same())]);
    let over = vanished([&history], &BTreeSet::new(), listing);
    assert_eq!(over[0].at, time(TO));
    assert_eq!(vanished([&history], &BTreeSet::from([uid(1)]), listing), []);
    let found = seconds(vec![history.transitions()[0], over[0]]);
    assert_eq!((found.measured, found.billed()), (3600, 3600));
    // One that is younger than the list, and one that is over.
    assert_eq!(History::new([runs(501, time(TO), same())]).vanished(listing), None);
    assert_eq!(History::new([history.transitions()[0], over[0]]).vanished(listing), None);
    // A fact that comes after a list that lacked its session.
    let fact = runs(300, time("11:00:00"), same());
    assert_eq!(History::default().unlisted(&fact, &dead()), Some(over[0]));
    assert_eq!(history.unlisted(&fact, &dead()), None);
    assert_eq!(History::default().unlisted(&runs(501, time(TO), None), &dead()), None);
}

#[test]
fn words_are_read_back() {
    for reason in Reason::ALL {
        assert_eq!(Reason::parse(reason.as_str()), Some(reason));
    }
    for phase in SessionPhase::ALL {
        assert_eq!(SessionPhase::parse(phase.as_str()), Some(phase));
    }
    for metric in Metric::ALL {
        assert_eq!(Metric::parse(metric.as_str()), Some(metric));
    }
    assert_eq!(Reason::parse("because"), None);
}
