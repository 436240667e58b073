//! Names, turns and post-mortems.

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::{
    IncidentId, Role, Severity,
    lifecycle::State,
    post_mortem::{Action, Burned, PostMortem, markdown, percent, span},
    rota::{Override, Rota, RotaError},
};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[test]
fn an_incident_is_written_in_several_ways_and_shown_in_one() {
    for text in ["INC-7", "inc-7", "Inc-07", "7"] {
        assert_eq!(IncidentId::parse(text).unwrap().to_string(), "INC-7", "{text}");
    }
    assert_eq!(IncidentId::from_name("incidents/INC-7").unwrap().to_name(), "incidents/INC-7");
    for text in ["", "INC-", "INC-0", "0", "INC-x", "INC--7", "INC-+7", "99999999999", "İNC-7"] {
        let error = IdText(IncidentId::parse(text).unwrap_err().to_string());
        assert!(error.0.contains("INC-7"), "{error:?}");
    }
}

#[derive(Debug)]
struct IdText(String);

#[test]
fn words_name_what_they_came_from() {
    assert!(Severity::ALL.into_iter().all(|it| Severity::parse(it.as_str()) == Some(it)));
    assert!(Role::ALL.into_iter().all(|it| Role::parse(it.as_str()) == Some(it)));
    assert!(State::ALL.into_iter().all(|it| State::parse(it.as_str()) == Some(it)));
    assert_eq!(Severity::parse("p1"), Some(Severity::P1));
    assert_eq!(Severity::ALL.map(Severity::pages), [true, true, true, false, false]);
}

fn rota(days: i64, zone: &str) -> Rota {
    let people = ["kim", "lee", "max"].map(str::to_owned).to_vec();
    Rota::new(people, days, "09:00", zone, "2026-03-23").unwrap()
}

fn who(rota: &Rota, time: &str) -> Option<String> {
    rota.at(at(time), &[]).person
}

#[test]
fn a_turn_is_handed_over_by_the_civil_clock_also_when_it_is_put_forward() {
    let rota = rota(7, "Europe/Berlin");
    assert_eq!(who(&rota, "2026-03-23T07:59:59Z"), None);
    assert_eq!(who(&rota, "2026-03-23T08:00:00Z").as_deref(), Some("kim"));
    // Summer time begins on 29 March: 09:00 is an hour earlier in UTC.
    assert_eq!(who(&rota, "2026-03-30T06:59:59Z").as_deref(), Some("kim"));
    assert_eq!(who(&rota, "2026-03-30T07:00:00Z").as_deref(), Some("lee"));
    assert_eq!(who(&rota, "2026-04-13T07:00:00Z").as_deref(), Some("kim"), "all over again");
    let shift = rota.at(at("2026-10-20T12:00:00Z"), &[]);
    // Summer time ends on 25 October.
    assert_eq!(shift.until, at("2026-10-26T08:00:00Z"));
}

#[test]
fn a_handover_in_the_hour_that_is_left_out_or_shown_twice_happens_once() {
    let people = vec!["kim".to_owned(), "lee".to_owned()];
    let rota = Rota::new(people, 1, "02:30", "Europe/Berlin", "2026-03-28").unwrap();
    // 02:30 is not on 29 March; it is 03:30 summer time.
    assert_eq!(who(&rota, "2026-03-29T01:29:59Z").as_deref(), Some("kim"));
    assert_eq!(who(&rota, "2026-03-29T01:30:00Z").as_deref(), Some("lee"));
    // 02:30 is twice on 25 October; the first is at 00:30 UTC.
    let before = rota.at(at("2026-10-25T00:29:59Z"), &[]);
    let after = rota.at(at("2026-10-25T00:30:00Z"), &[]);
    assert_ne!(before.person, after.person);
    assert_eq!(rota.at(at("2026-10-25T01:30:00Z"), &[]), after, "not a second time");
}

#[test]
fn the_last_override_that_fits_holds_for_its_time() {
    let rota = rota(7, "UTC");
    let over = |person: &str, from: &str, to: &str| Override {
        person: person.into(),
        from: at(from),
        to: at(to),
    };
    let overrides = [
        over("ada", "2026-03-24T00:00:00Z", "2026-03-26T00:00:00Z"),
        over("bob", "2026-03-25T00:00:00Z", "2026-03-25T12:00:00Z"),
    ];
    let shift = |time: &str| rota.at(at(time), &overrides);
    let told = |time: &str| shift(time).person.unwrap();
    assert_eq!(told("2026-03-23T12:00:00Z"), "kim");
    assert_eq!(shift("2026-03-23T12:00:00Z").until, at("2026-03-24T00:00:00Z"));
    assert_eq!(told("2026-03-24T00:00:00Z"), "ada");
    assert_eq!(told("2026-03-25T00:00:00Z"), "bob");
    assert_eq!(shift("2026-03-25T00:00:00Z").until, at("2026-03-25T12:00:00Z"));
    assert_eq!(told("2026-03-25T12:00:00Z"), "ada");
    assert_eq!(told("2026-03-26T00:00:00Z"), "kim");
}

#[test]
fn what_is_no_rota_is_refused_by_its_field() {
    let kim = || vec!["kim".to_owned()];
    let new = |people, days, handover, zone, start| Rota::new(people, days, handover, zone, start);
    let good = (7, "09:00", "UTC", "2026-03-23");
    assert!(new(kim(), good.0, good.1, good.2, good.3).is_ok());
    assert_eq!(new(vec![], 7, "09:00", "UTC", good.3), Err(RotaError::People(0)));
    for days in [0, -1, 29, i64::MAX] {
        assert_eq!(new(kim(), days, "09:00", "UTC", good.3), Err(RotaError::TurnDays(days)));
    }
    for time in ["", "9", "9:00", "24:00", "09:60", "09:00:00", "0٩:00"] {
        assert_eq!(new(kim(), 7, time, "UTC", good.3), Err(RotaError::Handover), "{time}");
    }
    assert_eq!(new(kim(), 7, "09:00", "Mars/Base", good.3), Err(RotaError::TimeZone));
    for day in ["", "2026-02-30", "0001-01-01", "9999-12-31", "tomorrow"] {
        assert_eq!(new(kim(), 7, "09:00", "UTC", day), Err(RotaError::StartDate), "{day}");
    }
}

proptest! {
    #[test]
    fn turns_follow_each_other_without_a_gap_or_an_overlap(
        seconds in 1_774_256_400_i64..1_900_000_000,
        days in 1_i64..29,
        zone in prop_oneof![
            Just("UTC"), Just("Europe/Berlin"), Just("America/New_York"), Just("Asia/Kolkata"),
            Just("Australia/Lord_Howe"), Just("Pacific/Apia"),
        ],
        hour in 0_u8..24,
    ) {
        let people: Vec<String> = ["kim", "lee", "max"].map(str::to_owned).to_vec();
        let rota =
            Rota::new(people.clone(), days, &format!("{hour:02}:30"), zone, "2026-03-01").unwrap();
        let time = Timestamp::from_second(seconds).unwrap();
        let now = rota.at(time, &[]);
        let place = people.iter().position(|who| Some(who) == now.person.as_ref()).unwrap();
        prop_assert!(now.until > time);
        let last = now.until.checked_sub(SignedDuration::from_nanos(1)).unwrap();
        prop_assert_eq!(&rota.at(last, &[]), &now);
        let next = rota.at(now.until, &[]);
        prop_assert_eq!(next.person.as_ref(), people.get((place + 1) % 3));
        let length = next.until.duration_since(now.until).as_hours();
        prop_assert!((length - days * 24).abs() <= 25, "{length} h");
    }

    #[test]
    fn no_text_breaks_out_of_its_cell(value in any::<String>()) {
        let shown = markdown(&value);
        prop_assert!(!shown.chars().any(crate::text::acts_on_terminals));
        let mut escaped = false;
        for character in shown.chars() {
            prop_assert!(escaped || !"|<>[]`*_#!".contains(character), "{shown}");
            escaped = character == '\\' && !escaped;
        }
    }
}

#[test]
fn spans_and_shares_are_told_in_words() {
    let words = [(0, "0 s"), (52, "52 s"), (192, "3 min 12 s"), (4_320, "1 h 12 min")];
    for (seconds, expected) in words {
        assert_eq!(span(SignedDuration::from_secs(seconds)), expected);
    }
    assert_eq!(span(SignedDuration::from_hours(49)), "2 d 1 h");
    assert_eq!(percent(462_963), "46.30 %");
    assert_eq!(percent(1), "0.01 %", "a cost is not rounded away");
}

#[test]
fn a_post_mortem_tells_all_and_believes_nothing() {
    let page = PostMortem {
        id: IncidentId::new(7).unwrap(),
        title: "API | down <script>".into(),
        severity: Severity::P1,
        state: State::Resolved,
        start: at("2026-03-01T02:58:00Z"),
        declared: at("2026-03-01T03:00:00Z"),
        declared_by: "streamspaced".into(),
        acknowledged: Some((at("2026-03-01T03:04:00Z"), "kim".into())),
        mitigated: None,
        resolved: Some(at("2026-03-01T04:10:00Z")),
        roles: vec![("Commander", "kim".into())],
        tenants: vec![("acme".into(), "enterprise".into())],
        budgets: vec![
            Burned { name: "api".into(), total: 1_000, bad: 20, used_ppm: Some(463_000) },
            Burned { name: "starts".into(), total: 0, bad: 0, used_ppm: None },
        ],
        timeline: vec![(
            at("2026-03-01T03:00:00Z"),
            "kim".into(),
            "[look](http://x)\u{1b}[2J\nat".into(),
        )],
        actions: vec![
            Action {
                text: "warn".into(),
                owner: "lee".into(),
                due: "2026-03-31".into(),
                is_done: false,
            },
            Action { text: "test".into(), owner: String::new(), due: String::new(), is_done: true },
        ],
    };
    let expected = "\
# INC-7: API \\| down &lt;script&gt;

|  |  |
| -- | -- |
| Severity | P1 |
| State | resolved |
| Began | 2026-03-01 02:58:00 UTC |
| Declared | 2026-03-01 03:00:00 UTC by streamspaced, after 2 min 0 s |
| Acknowledged | 2026-03-01 03:04:00 UTC by kim, after 6 min 0 s |
| Mitigated | not |
| Resolved | 2026-03-01 04:10:00 UTC, after 1 h 12 min |
| Commander | kim |

## Whom it hit

| Tenant | Plan |
|--|--|
| acme | enterprise |

## What it cost

| SLO | Events | Bad | Of the error budget |
|--|--:|--:|--:|
| api | 1000 | 20 | 46.30 % |
| starts | 0 | 0 | not measured |

## What happened

| Time | Who | What |
|--|--|--|
| 2026-03-01 03:00:00 UTC | kim | \\[look\\]\\(http\\://x\\)\\\\u\\{1b\\}\\[2J\\\\nat |

## What is to be done

- [ ] warn, lee, by 2026-03-31
- [x] test
";
    assert_eq!(page.to_markdown(), expected);
}
