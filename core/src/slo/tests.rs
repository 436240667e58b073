use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{openslo, promql, *};
use crate::ids::SloId;

const MINUTE_NANOS: i128 = 60_000_000_000;

fn objective(percent: &str) -> Objective {
    percent.parse().unwrap()
}

fn sums(total: u64, bad: u64) -> Sums {
    Sums { counts: Counts { total, bad }, measured: 1, excluded: 0 }
}

fn days(days: i64) -> Bounds {
    Window::rolling(days).unwrap().at(Minute(30_000_000))
}

/// Hundredths of a minute.
fn centi_minutes(nanos: i128) -> i128 {
    assert_eq!(nanos * 100 % MINUTE_NANOS, 0, "{nanos} ns are no whole hundredths of a minute");
    nanos * 100 / MINUTE_NANOS
}

#[test]
fn the_arithmetic_of_a_budget() {
    let budget = Budget::new(objective("99.9"), days(30), sums(1_000_000, 300));
    assert_eq!(centi_minutes(budget.allowed), 4_320);
    assert_eq!(budget.availability_ppm(), Some(999_700));
    assert_eq!(centi_minutes(budget.used), 1_296);
    assert_eq!(centi_minutes(budget.remaining()), 3_024);
    assert_eq!(budget.remaining_ppm(), 700_000);
    assert_eq!(budget.remaining_events(), 700);
    assert_eq!(budget.used_percent(), 30);
    let month = Budget::new(objective("99.9"), days(31), Sums::default());
    assert_eq!(centi_minutes(month.allowed), 4_464);
    let zone = Window::calendar_month("UTC").unwrap();
    let at = Minute::holding("2026-12-15T00:00:00Z".parse::<Timestamp>().unwrap());
    let december = Budget::new(objective("99.9"), zone.at(at), Sums::default());
    assert_eq!(centi_minutes(december.allowed), 4_464);
    // A year has 365 days, and no window is as long: the budget is what is asked for.
    let minute = Minute(30_000_000);
    let year = Bounds { from: minute.plus(-365 * 1_440), now: minute, to: minute };
    let year = Budget::new(objective("99.5"), year, Sums::default());
    assert_eq!(year.allowed, 43 * 60 * MINUTE_NANOS + 48 * MINUTE_NANOS);
}

#[test]
fn the_thresholds_of_the_rules() {
    let rules = default_rules(&Window::rolling(30).unwrap());
    let factors: Vec<u64> = rules.iter().map(|rule| rule.factor_milli).collect();
    assert_eq!(factors, [14_400, 6_000, 3_000, 1_000]);
    let windows: Vec<(u32, u32)> = rules.iter().map(|rule| (rule.long, rule.short)).collect();
    assert_eq!(windows, [(60, 5), (360, 30), (1_440, 120), (4_320, 360)]);
    // The least share of bad events that fires, in events of a million, by objective.
    for (percent, shares) in [
        ("99.0", [144_000, 60_000, 30_000, 10_000]),
        ("99.5", [72_000, 30_000, 15_000, 5_000]),
        ("99.9", [14_400, 6_000, 3_000, 1_000]),
        ("99.95", [7_200, 3_000, 1_500, 500]),
        ("99.99", [1_440, 600, 300, 100]),
    ] {
        let objective = objective(percent);
        for (rule, share) in rules.iter().zip(shares) {
            let of = |bad| exceeds(objective, rule.factor_milli, &sums(1_000_000, bad));
            assert!(!of(share) && of(share + 1), "{percent} {}", rule.name());
            assert_eq!(rate_milli(objective, &sums(1_000_000, share)), Some(rule.factor_milli));
            assert!(!rule.can_never_fire(objective));
        }
    }
    let week = default_rules(&Window::rolling(7).unwrap());
    let factors: Vec<u64> = week.iter().map(|rule| rule.factor_milli).collect();
    assert_eq!(factors, [3_360, 1_400, 1_000, 1_000], "a budget that lasts is no alert");
    assert_eq!(default_rules(&Window::rolling(1).unwrap()).len(), 3);
}

#[test]
fn a_total_outage_is_detected_after_its_seconds() {
    let rules = default_rules(&Window::rolling(30).unwrap());
    let seconds = |percent, rule: &BurnRule| {
        detection(objective(percent), rule).map(|nanos| nanos / 10_000_000)
    };
    // In hundredths of a second: 14.4 · 0.001 · 3600 s = 51.84 s.
    assert_eq!(rules.first().and_then(|rule| seconds("99.9", rule)), Some(5_184));
    assert_eq!(rules.first().and_then(|rule| seconds("99.99", rule)), Some(518));
    assert_eq!(rules.get(1).and_then(|rule| seconds("99.9", rule)), Some(12_960));
    assert_eq!(rules.first().and_then(|rule| seconds("90", rule)), None, "it never fires");
}

#[test]
fn what_an_outage_would_cost() {
    let budget = Budget::new(objective("99.9"), days(30), sums(1_000_000, 300));
    let rules = default_rules(&Window::rolling(30).unwrap());
    let twenty = outage(&budget, &rules, 20 * MINUTE_NANOS);
    // 20 of 43.2 minutes are 46.2963 %.
    assert_eq!((twenty.cost_ppm, twenty.remaining_ppm), (462_963, 237_037));
    assert_eq!(centi_minutes(twenty.longest), 3_024);
    assert_eq!(twenty.page_after, Some(51_840_000_000));
    assert_eq!(twenty.used_percent, 76);
    assert_eq!(outage(&budget, &rules, 30_000_000_000).page_after, None, "it is over before");
    let long = outage(&budget, &rules, 60 * MINUTE_NANOS);
    assert_eq!(long.remaining_ppm, -688_889);
}

#[test]
fn how_long_it_lasts_and_what_will_be_left() {
    let budget = Budget::new(objective("99.9"), days(30), sums(1_000_000, 300));
    // 30.24 minutes at one bad of a hundred last 3,024 minutes.
    assert_eq!(budget.exhausted_in(&sums(100, 1)), Some(3_024 * MINUTE_NANOS));
    assert_eq!(budget.exhausted_in(&sums(100, 0)), None);
    assert_eq!(budget.exhausted_in(&Sums::default()), None);
    assert_eq!(budget.forecast_ppm(&sums(10_000, 5)), Some(500_000));
    assert_eq!(budget.forecast_ppm(&Sums::default()), None);
    let broken = Budget::new(objective("99.9"), days(30), sums(1_000, 2));
    assert_eq!(broken.remaining_ppm(), -1_000_000);
    assert_eq!(broken.remaining_events(), -1);
    assert_eq!(broken.exhausted_in(&sums(100, 1)), Some(0));
    assert!(broken.is_exhausted());
    // The tenth day of thirty: what is used is r of ten days, and the rest is as the last day.
    let zone = Window::calendar_month("UTC").unwrap();
    let at = Minute::holding("2026-11-11T00:00:00Z".parse::<Timestamp>().unwrap());
    let month = Budget::new(objective("99.9"), zone.at(at), sums(1_000_000, 900));
    assert_eq!(centi_minutes(month.used), 1_296);
    assert_eq!(month.forecast_ppm(&sums(10_000, 5)), Some(366_666));
}

#[test]
fn what_is_owed() {
    let steps = [("99.9", 10), ("99.0", 25), ("95.0", 100)]
        .map(|(below, percent)| CreditStep { below: objective(below), percent });
    for (bad, owed) in [(0, 0), (10, 0), (11, 10), (100, 10), (101, 25), (500, 25), (501, 100)] {
        assert_eq!(credit(&steps, &sums(10_000, bad)), owed, "{bad}");
    }
    assert_eq!(credit(&steps, &Sums::default()), 0);
}

#[test]
fn an_objective_is_read_or_refused() {
    for (text, billionths, shown) in [
        ("99.9", 999_000_000, "99.9"),
        ("99", 990_000_000, "99"),
        ("99.990", 999_900_000, "99.99"),
        ("0.0000001", 1, "0.0000001"),
        ("99.9999999", 999_999_999, "99.9999999"),
        ("50.00000000000", 500_000_000, "50"),
    ] {
        let read = objective(text);
        assert_eq!((read.billionths(), read.to_string().as_str()), (billionths, shown));
    }
    for text in
        ["", "NaN", "inf", "1e1", "99,9", "99.", ".5", "٩٩", "99.99999999", "0x63", " 99", "+99"]
    {
        assert!(
            matches!(text.parse::<Objective>(), Err(ObjectiveError::Unreadable(_))),
            "{text:?}"
        );
    }
    for text in ["0", "0.0", "-1", "-0"] {
        assert!(matches!(text.parse::<Objective>(), Err(ObjectiveError::Nothing(_))), "{text}");
    }
    for text in ["100", "100.0", "101", "99999999999999999999", "18446744073709551616"] {
        assert!(matches!(text.parse::<Objective>(), Err(ObjectiveError::Everything(_))), "{text}");
    }
    assert_eq!(Objective::from_share("0.999"), Ok(objective("99.9")));
    assert_eq!(Objective::from_ppm(999_900), Some(objective("99.99")));
    assert_eq!((Objective::from_ppm(0), Objective::from_ppm(1_000_000)), (None, None));
}

#[test]
fn a_month_is_as_long_as_it_is_in_its_zone() {
    let zone = Window::calendar_month("Europe/Berlin").unwrap();
    let at = |text: &str| Minute::holding(text.parse::<Timestamp>().unwrap());
    let march = zone.at(at("2026-03-20T00:00:00Z"));
    assert_eq!(march.from, at("2026-02-28T23:00:00Z"));
    assert_eq!(march.minutes(), 31 * 1_440 - 60, "an hour is lost");
    // At the first minute of a month the month before is whole.
    let whole = zone.at(at("2026-03-31T22:00:00Z"));
    assert_eq!((whole.from, whole.elapsed()), (march.from, march.minutes()));
    assert_eq!(zone.nominal_minutes(), 4_3200);
    assert!(Window::calendar_month("Mars/Olympus").is_err());
    assert!(Window::calendar_month("").is_err());
    for days in [0, -1, 91, i64::MAX] {
        assert!(Window::rolling(days).is_err());
    }
}

#[test]
fn a_selector_is_read_or_refused() {
    for (text, written) in [
        ("up", "up"),
        (" http:x_total { a = \"b\" , c=~'5..', } ", "http:x_total{a=\"b\",c=~\"5..\"}"),
        (r#"x{a!="q\"uo\\te"}"#, r#"x{a!="q\"uo\\te"}"#),
        ("x{}", "x"),
    ] {
        assert_eq!(Selector::parse(text).unwrap().to_string(), written);
    }
    for text in [
        "",
        "sum(x)",
        "x[5m]",
        "x offset 1m",
        "x{a=\"b\"} or vector(1)",
        "x{a=\"b\"",
        "x{a=b}",
        "x{a==\"b\"}",
        "x{a=\"b\nc\"}",
        "x{__name__=\"y\"}",
        "{a=\"b\"}",
        "1x",
        "x{a=\"\\u0000\"}",
        "x # y",
    ] {
        assert!(Selector::parse(text).is_err(), "{text:?}");
    }
    let bucket = Selector::parse("t{a=\"b\"}").unwrap();
    let bucket = bucket.with_suffix("_bucket").with_label("le", "0.5");
    assert_eq!(bucket.to_string(), "t_bucket{a=\"b\",le=\"0.5\"}");
}

fn ratio(id: &str) -> Slo {
    Slo {
        id: SloId::parse(id).unwrap(),
        display_name: String::new(),
        description: String::new(),
        service: "api".into(),
        goal: Goal::Fixed(objective("99.9")),
        window: Window::rolling(30).unwrap(),
        sli: Sli::Bad {
            bad: Selector::parse("http_requests_total{code=~\"5..\"}").unwrap(),
            total: Selector::parse("http_requests_total").unwrap(),
        },
        per_tenant: None,
        rules: Vec::new(),
        least_total: 0,
        least_bad: 0,
        policy: Vec::new(),
        credits: Vec::new(),
        runbook_url: String::new(),
    }
}

#[test]
fn what_can_never_alert_is_refused() {
    let faults = |slo: &Slo| -> String {
        let faults = validate(slo).err().unwrap_or_default();
        faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    };
    let slo = ratio("api");
    assert_eq!(faults(&slo), "");
    let low = Slo { goal: Goal::Fixed(objective("90")), ..slo.clone() };
    let told = faults(&low);
    assert!(
        told.contains("objective: 90 % with a burn rate of 14.4 over 1h could never fire"),
        "{told}"
    );
    let rule =
        |factor_milli| BurnRule { severity: Severity::Page, long: 60, short: 5, factor_milli };
    let own = |rules| Slo { rules, ..low.clone() };
    assert_eq!(faults(&own(vec![rule(9_999)])), "");
    assert!(faults(&own(vec![rule(10_000)])).contains("rules[0]: 90 %"));
    assert!(faults(&own(vec![rule(2_000), rule(3_000)])).contains("rules[1].long_window"));
    assert!(faults(&own(vec![BurnRule { short: 60, ..rule(2_000) }])).contains("short_window"));
    assert!(faults(&own(vec![rule(0)])).contains("burn_rate_milli"));
    let by_plan = Slo { goal: Goal::ByPlan, ..slo.clone() };
    assert!(faults(&by_plan).contains("per_tenant.by_plan"));
    let tenants = Some(PerTenant { label: "a-b".into(), label_is_namespace: false });
    assert!(
        faults(&Slo { per_tenant: tenants.clone(), ..slo.clone() }).contains("per_tenant.label")
    );
    let own = Slo { per_tenant: tenants, sli: Sli::Own(OwnCounter::Calls), ..slo.clone() };
    assert!(faults(&own).contains("`calls` is counted for the region"));
    let hostile = Slo { service: "a\u{1b}[2J".into(), runbook_url: "javascript:x".into(), ..slo };
    assert!(faults(&hostile).contains("service:") && faults(&hostile).contains("runbook_url:"));
}

/// The sums over windows that end at a minute, by adding up every cell.
struct Slow<'a>(&'a [Cell]);

impl Windows for Slow<'_> {
    fn last(&self, minutes: u32) -> Sums {
        let from = self.0.len().saturating_sub(minutes as usize);
        self.0.iter().skip(from).fold(Sums::default(), |sums, cell| sums + cell.sums())
    }
}

fn cells() -> impl Strategy<Value = Cell> {
    let counts = (0..5_000_u64, 0..=100_u64)
        .prop_map(|(total, share)| Counts::new(total, total * share / 100));
    (proptest::option::of(counts), proptest::bool::weighted(0.1))
        .prop_map(|(counts, excluded)| Cell { counts, excluded })
}

fn any_sums() -> impl Strategy<Value = Sums> {
    let maximum = Counts::MAXIMUM * 90 * 1_440 / 1_000;
    prop_oneof![Just(0), 0..1_000_u64, 0..maximum]
        .prop_flat_map(|total| (Just(total), 0..=total))
        .prop_map(|(total, bad)| sums(total, bad))
}

fn any_objective() -> impl Strategy<Value = Objective> {
    prop_oneof![1..1_000_000_000_u32, 990_000_000..1_000_000_000_u32]
        .prop_map(|billionths| Objective::from_billionths(billionths).unwrap())
}

proptest! {
    #[test]
    fn an_hour_is_read_as_it_was_written(
        all in proptest::collection::vec(cells(), 0..=60), before in any_sums()
    ) {
        let mut hour = Hour::after(before);
        for (index, cell) in all.iter().enumerate() {
            hour.set(index, *cell);
        }
        let bytes = hour.encode();
        prop_assert_eq!(Hour::decode(before, &bytes).unwrap(), hour);
    }

    #[test]
    fn any_bytes_are_an_hour_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(hour) = Hour::decode(Sums::default(), &bytes) {
            prop_assert!(hour.end().counts.bad <= hour.end().counts.total);
        }
    }

    #[test]
    fn a_time_is_the_difference_of_two_points(
        all in proptest::collection::vec(cells(), 200..400), from in 0..200_usize, length in 0..200_usize
    ) {
        let to = (from + length).min(all.len());
        let mut hours: Vec<Hour> = Vec::new();
        for (index, cell) in all.iter().enumerate() {
            if index % MINUTES == 0 {
                hours.push(Hour::after(hours.last().map_or(Sums::default(), Hour::end)));
            }
            hours.last_mut().unwrap().set(index % MINUTES, *cell);
        }
        let up_to = |minute: usize| {
            let point = Point::before(Minute(i64::try_from(minute).unwrap()));
            usize::try_from(point.hour).map_or(Sums::default(), |hour| hours[hour].up_to(point.minutes))
        };
        let slow = all[from..to].iter().fold(Sums::default(), |sums, cell| sums + cell.sums());
        prop_assert_eq!(up_to(to) - up_to(from), slow);
        // Additive: what two parts hold, the whole holds.
        let middle = usize::midpoint(from, to);
        prop_assert_eq!((up_to(middle) - up_to(from)) + (up_to(to) - up_to(middle)), slow);
    }

    #[test]
    fn more_bad_events_leave_less(
        objective in any_objective(), days in 1..=90_i64, before in any_sums(), more in 1..1_000_u64
    ) {
        let bounds = Window::rolling(days).unwrap().at(Minute(30_000_000));
        let Counts { total, bad } = before.counts;
        let worse = sums(total, (bad + more).min(total));
        let (a, b) = (Budget::new(objective, bounds, before), Budget::new(objective, bounds, worse));
        prop_assert!(b.used >= a.used);
        prop_assert!(b.remaining_ppm() <= a.remaining_ppm());
        prop_assert!(b.availability_ppm() <= a.availability_ppm());
        prop_assert!(rate_milli(objective, &worse) >= rate_milli(objective, &before));
        prop_assert!(a.remaining_ppm() <= 1_000_000);
        // More good ones leave more.
        let better = Budget::new(objective, bounds, sums(total + more, bad));
        prop_assert!(better.used <= a.used);
    }

    #[test]
    fn a_higher_objective_is_stricter(
        a in any_objective(), b in any_objective(), all in any_sums(), factor in 1..20_000_u64
    ) {
        let (low, high) = (a.min(b), a.max(b));
        prop_assert!(!exceeds(low, factor, &all) || exceeds(high, factor, &all));
        let bounds = days(30);
        let (low, high) = (Budget::new(low, bounds, all), Budget::new(high, bounds, all));
        prop_assert!(high.allowed <= low.allowed && high.remaining_ppm() <= low.remaining_ppm());
    }

    #[test]
    fn nothing_is_ever_undefined(objective in any_objective(), all in any_sums(), recent in any_sums()) {
        for bounds in [days(1), days(90), Bounds { from: Minute(5), now: Minute(5), to: Minute(5) }] {
            let budget = Budget::new(objective, bounds, all);
            let _numbers = (
                budget.remaining_ppm(), budget.availability_ppm(), budget.remaining_events(),
                budget.used_percent(), budget.exhausted_in(&recent), budget.forecast_ppm(&recent),
                outage(&budget, &default_rules(&Window::rolling(30).unwrap()), MINUTE_NANOS),
            );
            prop_assert_eq!(budget.remaining() + budget.used, budget.allowed);
        }
        // Events that nobody had are no rate.
        prop_assert_eq!(rate_milli(objective, &sums(0, 0)), None);
        prop_assert!(!exceeds(objective, 0, &sums(0, 0)));
    }

    #[test]
    fn gaps_and_excluded_minutes_are_neither_good_nor_bad(
        all in proptest::collection::vec(cells(), 1..400), at in 0..400_usize
    ) {
        let rules = default_rules(&Window::rolling(30).unwrap());
        let holds = |cells: &[Cell]| -> Vec<bool> {
            rules.iter().map(|rule| rule.holds(objective("99.9"), (0, 0), &Slow(cells))).collect()
        };
        let mut other = all.clone();
        let at = at % all.len();
        if other[at].counts.is_none() || other[at].excluded {
            other[at] = Cell { counts: Some(Counts { total: 1_000_000, bad: 1_000_000 }), excluded: true };
        }
        prop_assert_eq!(holds(&all), holds(&other));
    }

    #[test]
    fn an_slo_is_read_as_it_was_written(
        objective in any_objective(), least in 0..9_u64, sli in 0..6_u8, month in any::<bool>(),
        tenant in any::<bool>()
    ) {
        let select = |text| Selector::parse(text).unwrap();
        let sli = match sli {
            0 => Sli::Good { good: select("g{a=\"x\\\"y\"}"), total: select("t") },
            1 => Sli::Bad { bad: select("b"), total: select("t") },
            2 => Sli::Latency { histogram: select("h{j=\"k\"}"), threshold: "0.5".into() },
            3 => Sli::Probe { probe: select("p") },
            4 => Sli::Own(OwnCounter::SessionStarts),
            _ => Sli::Pushed,
        };
        let label = if matches!(sli, Sli::Own(_) | Sli::Pushed) { "" } else { "namespace" };
        let rule = BurnRule { severity: Severity::Ticket, long: 90, short: 7, factor_milli: 1 };
        let per_tenant = tenant.then(|| PerTenant { label: label.into(), label_is_namespace: true });
        let slo = Slo {
            display_name: "An SLO".into(),
            description: "Says: \"it's 99 %\"".into(),
            goal: if tenant && least > 4 { Goal::ByPlan } else { Goal::Fixed(objective) },
            window: if month {
                Window::calendar_month("Europe/Berlin").unwrap()
            } else {
                Window::rolling(28).unwrap()
            },
            sli,
            per_tenant,
            rules: vec![rule],
            least_total: least,
            least_bad: least,
            policy: vec![BudgetStep { used_percent: 80, action: BudgetAction::Freeze }],
            credits: vec![CreditStep { below: objective, percent: 10 }],
            runbook_url: "https://example.org/x".into(),
            ..ratio("an-slo")
        };
        let document = openslo::write(&slo);
        let read = openslo::read(std::slice::from_ref(&document));
        prop_assert_eq!(read.map(|read| read.slos), Ok(vec![slo]), "{:#}", document);
    }
}

fn document(change: impl FnOnce(&mut Value)) -> Value {
    let mut document = json!({
        "apiVersion": "openslo/v1", "kind": "SLO", "metadata": {"name": "api"},
        "spec": {
            "service": "api",
            "indicator": {"metadata": {"name": "i"}, "spec": {"ratioMetric": {
                "counter": true,
                "good": {"metricSource": {"type": "Prometheus", "spec": {"query": "g"}}},
                "total": {"metricSource": {"type": "Prometheus", "spec": {"query": "t"}}},
            }}},
            "timeWindow": [{"duration": "30d", "isRolling": true}],
            "budgetingMethod": "Occurrences",
            "objectives": [{"target": 0.999}],
        },
    });
    change(&mut document);
    document
}

type Change = fn(&mut Value);

#[test]
fn hostile_documents_are_told_where() {
    let told = |document: Value| -> String {
        let faults = openslo::read(&[document]).err().unwrap_or_default();
        faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    assert_eq!(told(document(|_| {})), "");
    let objective: fn(&mut Value, Value) = |d, v| d["spec"]["objectives"] = json!([v]);
    let window: fn(&mut Value, Value) = |d, v| d["spec"]["timeWindow"] = v;
    let cases: [(&str, Change); 8] = [
        ("openslo[0].kind: `Objective` is no kind", |d| d["kind"] = "Objective".into()),
        ("openslo[0].apiVersion: must be openslo/v1", |d| d["apiVersion"] = "openslo/v2".into()),
        ("openslo[0].spec.surprise: is not known here", |d| d["spec"]["surprise"] = 1.into()),
        ("budgetingMethod: must be Occurrences", |d| {
            d["spec"]["budgetingMethod"] = "Timeslices".into();
        }),
        ("openslo[0].metadata.name: SLO id `A_B`", |d| d["metadata"]["name"] = "A_B".into()),
        ("openslo[0].spec: needs an indicator", |d| d["spec"]["indicator"] = Value::Null),
        ("openslo[0].spec.objectives: must have just one", |d| d["spec"]["objectives"] = json!([])),
        ("good.metricSource.spec.query: `sum(x)` is no selector", |d| {
            let ratio = &mut d["spec"]["indicator"]["spec"]["ratioMetric"];
            ratio["good"]["metricSource"]["spec"]["query"] = "sum(x)".into();
        }),
    ];
    for (words, change) in cases {
        let found = told(document(change));
        assert!(found.contains(words), "{words}\n{found}");
    }
    for (value, words) in [
        (json!({"target": 0.9, "targetPercent": 90}), "has both target and targetPercent"),
        (json!({}), "needs a target"),
        (json!({"target": 0}), "target: `0` promises nothing"),
        (json!({"target": 1}), "target: `1` leaves no error budget"),
        (json!({"target": 1.0}), "target: `1.0` leaves no error budget"),
        (json!({"targetPercent": 100}), "targetPercent: `100` leaves no error budget"),
        (json!({"target": -0.5}), "promises nothing"),
        (json!({"target": null}), "needs a target"),
        (json!({"target": "NaN"}), "target: must be a decimal number"),
        (json!({"target": 1e-30}), "target: `1e-30` is no decimal number"),
        (json!({"target": 0.5}), "could never fire"),
        (json!({"target": 0.999, "timeSliceTarget": 0.9}), "timeSliceTarget: is for other kinds"),
    ] {
        let found = told(document(|d| objective(d, value.clone())));
        assert!(found.contains(words), "{value}: {words}\n{found}");
    }
    for (value, words) in [
        (json!([]), "timeWindow: must have just one window"),
        (json!([{"duration": "", "isRolling": true}]), "must be whole days or weeks"),
        (json!([{"duration": "0d", "isRolling": true}]), "a rolling window has 1 to 90 days"),
        (json!([{"duration": "-3d"}]), "a rolling window has 1 to 90 days"),
        (json!([{"duration": "1Y", "isRolling": true}]), "must be whole days or weeks"),
        (json!([{"duration": "1M", "isRolling": false}]), "needs a calendar"),
        (
            json!([{"duration": "1M", "calendar": {"startTime": "2026-01-02 00:00:00", "timeZone": "UTC"}}]),
            "midnight of a first day",
        ),
        (json!([{"duration": "1M", "calendar": {"timeZone": "Nowhere"}}]), "is no IANA time zone"),
        (json!("30d"), "must be a list"),
    ] {
        let found = told(document(|d| window(d, value.clone())));
        assert!(found.contains(words), "{value}: {words}\n{found}");
    }
    for (value, words) in [
        (json!("text"), "must be a map"),
        (json!(null), "must be a map"),
        (json!([1]), "must be a map"),
    ] {
        assert!(told(value).contains(words));
    }
    let twice = openslo::read(&[document(|_| {}), document(|_| {})]).unwrap_err();
    assert!(twice.iter().any(|fault| fault.description.contains("another SLO has the name api")));
    assert!(openslo::read(&[]).is_err());
}

#[test]
fn an_indicator_may_stand_apart_and_what_is_beside_is_told() {
    let slo = document(|d| {
        let spec = d["spec"].as_object_mut().unwrap();
        spec.remove("indicator");
        spec.insert("indicatorRef".into(), "other".into());
        spec.insert("alertPolicies".into(), json!([]));
    });
    let indicator = json!({
        "apiVersion": "openslo/v1", "kind": "SLI", "metadata": {"name": "other"},
        "spec": {"ratioMetric": {
            "bad": {"metricSource": {"spec": {"query": "b"}}},
            "total": {"metricSource": {"spec": {"query": "t"}}},
        }},
    });
    let service = json!({"apiVersion": "openslo/v1", "kind": "Service", "metadata": {"name": "api"}, "spec": {}});
    let read = openslo::read(&[slo.clone(), indicator, service]).unwrap();
    assert!(matches!(read.slos.first().map(|slo| &slo.sli), Some(Sli::Bad { .. })));
    assert_eq!(read.notes.len(), 2, "{:?}", read.notes);
    let missing = openslo::read(&[slo]).unwrap_err();
    assert!(missing.iter().any(|fault| fault.description.contains("no SLI of the name `other`")));
}

#[test]
fn the_rules_for_a_prometheus() {
    let slo = Slo { least_total: 100, least_bad: 5, ..ratio("api") };
    let group = promql::rules(&slo).unwrap();
    let text = serde_json::to_string_pretty(&group).unwrap();
    for part in [
        "10000 * sum_over_time(streamspace:slo_bad_events:increase1m{slo=\\\"api\\\"}[59m59s]) > 144 * sum_over_time(streamspace:slo_events:increase1m{slo=\\\"api\\\"}[59m59s])",
        "sum_over_time(streamspace:slo_events:increase1m{slo=\\\"api\\\"}[59m59s]) >= 100",
        "streamspace:slo_error:ratio_3d",
        "absent_over_time(streamspace:slo_events:increase1m{slo=\\\"api\\\"}[4m59s])",
        "http_requests_total offset 1m",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let cases = [
        (Slo { sli: Sli::Pushed, ..slo.clone() }, promql::NotExported::Pushed),
        (Slo { goal: Goal::ByPlan, ..slo.clone() }, promql::NotExported::ByPlan),
        (
            Slo { sli: Sli::Own(OwnCounter::MeteringFresh), ..slo.clone() },
            promql::NotExported::NoMetric("metering-fresh"),
        ),
    ];
    for (slo, why) in cases {
        assert_eq!(promql::rules(&slo), Err(why));
    }
    assert!(promql::rules(&Slo { sli: Sli::Own(OwnCounter::Calls), ..slo }).is_ok());
}

proptest! {
    #[test]
    fn a_series_that_is_held_in_part_says_what_adding_up_says(
        all in proptest::collection::vec(cells(), 1..700), start in 0..120_i64
    ) {
        let slo = ratio("api");
        let first = Minute(30_000_000 + start);
        let mut whole = series::Series::default();
        for (index, cell) in (0..).zip(&all) {
            whole.push(first.plus(index), *cell);
        }
        let now = first.plus(i64::try_from(all.len()).unwrap());
        let needed = series::hours_needed(&slo, now, now);
        let held = needed.iter().filter_map(|hour| Some((*hour, whole.hour(*hour)?.clone())));
        let held = series::Series::new(first, held);
        let slow = Slow(&all);
        for span in series::spans(&slo) {
            prop_assert_eq!(held.at(now).last(span), slow.last(span), "{}", span);
        }
        let verdict = series::evaluate(&slo, objective("99.9"), &held, now);
        prop_assert_eq!(&verdict, &series::evaluate(&slo, objective("99.9"), &whole, now));
        let expected: Vec<String> = slo.rules().iter()
            .filter(|rule| rule.holds(objective("99.9"), (0, 0), &slow))
            .map(BurnRule::name)
            .collect();
        let found: Vec<String> = verdict.firing.iter().map(|it| it.rule.name()).collect();
        prop_assert_eq!(found, expected);
    }
}

/// The minutes at which each rule begins and ends to hold, counted from the first.
fn changes(slo: &Slo, cells: impl IntoIterator<Item = Cell>) -> Vec<(i64, String, bool)> {
    let first = Minute(30_000_000);
    let mut series = series::Series::default();
    let mut told = Vec::new();
    let mut before: Vec<String> = Vec::new();
    for (minute, cell) in (0..).zip(cells) {
        series.push(first.plus(minute), cell);
        let now = first.plus(minute + 1);
        let verdict = series::evaluate(slo, objective("99.9"), &series, now);
        let after: Vec<String> = verdict.firing.iter().map(|it| it.rule.name()).collect();
        for rule in after.iter().filter(|rule| !before.contains(rule)) {
            told.push((minute + 1, rule.clone(), true));
        }
        for rule in before.iter().filter(|rule| !after.contains(rule)) {
            told.push((minute + 1, rule.clone(), false));
        }
        before = after;
    }
    told
}

#[test]
fn an_outage_of_24_minutes_pages_at_known_times() {
    // A day of 100 events a minute, and then everything fails for 24 minutes.
    let cell = |minute: i64| Cell {
        counts: Some(Counts::new(100, if (1_440..1_464).contains(&minute) { 100 } else { 0 })),
        excluded: false,
    };
    let told = changes(&ratio("api"), (0..1_800).map(cell));
    let at = |rule: &str, begins: bool| -> Vec<i64> {
        let is = |it: &&(i64, String, bool)| it.1 == rule && it.2 == begins;
        told.iter().filter(is).map(|it| it.0 - 1_440).collect()
    };
    // One bad minute of 60 is 1.67 %, more than the 1.44 % of 14.4 over 1 h: the first whole
    // minute pages. It ends when the last bad minute leaves the five minutes' window.
    assert_eq!((at("burn-1h", true), at("burn-1h", false)), (vec![1], vec![29]));
    // 6 over 6 h is 0.6 %: the third bad minute of 360; it ends with the 30 minutes' window.
    assert_eq!((at("burn-6h", true), at("burn-6h", false)), (vec![3], vec![54]));
    // 3 over 1 d is 0.3 %: the fifth bad minute of 1,440; it ends with the two hours' window.
    assert_eq!((at("burn-1d", true), at("burn-1d", false)), (vec![5], vec![144]));
    // 1 over 3 d is 0.1 %: of the minutes that there are, the second is more.
    assert_eq!(at("burn-3d", true), vec![2]);
}

#[test]
fn few_events_wake_nobody() {
    // Three requests an hour and one fails: a third of them, and not worth a page.
    let cell = |minute: i64| Cell {
        counts: Some(Counts::new(u64::from(minute % 20 == 0), u64::from(minute % 60 == 0))),
        excluded: false,
    };
    assert!(!changes(&ratio("api"), (0..600).map(cell)).is_empty());
    let quiet = Slo { least_total: 100, least_bad: 5, ..ratio("api") };
    assert_eq!(changes(&quiet, (0..600).map(cell)), []);
}

#[test]
fn few_events_reach_no_step_of_the_policy() {
    let step = BudgetStep { used_percent: 50, action: BudgetAction::Freeze };
    let slo = Slo { least_total: 20, least_bad: 3, policy: vec![step], ..ratio("api") };
    let at = |total, bad| {
        let mut series = series::Series::default();
        let counts = Some(Counts::new(total, bad));
        series.push(Minute(30_000_000), Cell { counts, excluded: false });
        let verdict = series::evaluate(&slo, objective("99.9"), &series, Minute(30_000_001));
        let used = verdict.firing.iter().any(|it| it.rule == series::Rule::Used(50));
        assert_eq!(used, verdict.frozen);
        used
    };
    assert!(!at(3, 1));
    assert!(!at(19, 3));
    assert!(!at(20, 2));
    assert!(at(20, 3));
}

#[test]
fn steps_of_the_policy_fire_by_what_is_used() {
    let slo = Slo {
        policy: vec![
            BudgetStep { used_percent: 50, action: BudgetAction::Notify },
            BudgetStep { used_percent: 100, action: BudgetAction::Freeze },
        ],
        ..ratio("api")
    };
    let at = |bad| {
        let mut series = series::Series::default();
        let cell = Cell { counts: Some(Counts::new(100_000, bad)), excluded: false };
        series.push(Minute(30_000_000), cell);
        let verdict = series::evaluate(&slo, objective("99.9"), &series, Minute(30_000_001));
        let rules: Vec<String> = verdict.firing.iter().map(|it| it.rule.name()).collect();
        (rules, verdict.frozen)
    };
    assert_eq!(at(49), (vec![], false));
    assert_eq!(at(50), (vec!["budget-50".to_owned()], false));
    let (rules, frozen) = at(100);
    assert!(rules.contains(&"budget-100".to_owned()) && frozen);
}
