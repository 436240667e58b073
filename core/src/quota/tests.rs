use proptest::prelude::*;

use super::*;
use crate::{plan::seeded, tenant::TenantState};

fn business() -> Plan {
    seeded().unwrap().remove(2)
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn set(resource: Resource, amount: i64, from: i64, to: Option<i64>) -> Override {
    Override { resource, amount: Amount(amount), create_time: at(from), expire_time: to.map(at) }
}

fn map(entries: &[(&str, &str)]) -> Quantities {
    entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn words_of_resources() {
    for resource in Resource::ALL {
        assert_eq!(Resource::parse(resource.as_str()), Ok(resource));
    }
    let said = |word: &str| Resource::parse(word).unwrap_err().to_string();
    assert_eq!(said("memroy"), "`memroy` is no resource: write `memory`");
    assert_eq!(
        said("bandwidth"),
        "`bandwidth` is no resource: write one of cpu, memory, storage, pods"
    );
    assert!(said(&"x".repeat(65536)).len() < 200);
}

#[test]
fn changes_are_read_in_the_unit_of_the_resource() {
    let cases = [
        (Resource::Cpu, "+40", Change::Add(40_000)),
        (Resource::Memory, "80Gi", Change::Set(80 << 30)),
        (Resource::Storage, "1Ti", Change::Set(1 << 40)),
        (Resource::Pods, "80", Change::Set(80)),
    ];
    for (resource, text, change) in cases {
        assert_eq!(Change::parse(resource, text), Ok(change), "{text}");
    }
    for text in
        ["", "+", "-", "-1", "-10Gi", "--1", "+-1", "+0", "1e999", "+1e3", "1.5Gi", "+1.5Gi", "٣"]
    {
        for resource in Resource::ALL {
            let allowed = resource == Resource::Cpu && text == "1.5Gi";
            assert!(Change::parse(resource, text).is_err() || allowed, "{resource} {text}");
        }
    }
}

#[test]
fn a_change_leads_from_what_applies() {
    let apply = |resource, text, applies| {
        Change::parse(resource, text).unwrap().apply(resource, Amount(applies))
    };
    assert_eq!(apply(Resource::Pods, "+40", 20), Ok(Amount(60)));
    assert_eq!(apply(Resource::Pods, "80", 20), Ok(Amount(80)));
    let error = apply(Resource::Memory, "2Ei", 80 << 30).unwrap_err().to_string();
    assert_eq!(
        error,
        "memory would be 2Ei, and must be more than 0 and at most 1Ei: write the amount that is \
         wished, for example `80Gi`"
    );
    assert!(apply(Resource::Memory, "2Ei", 1).is_err());
    assert!(apply(Resource::Memory, "+7Ei", i64::MAX).is_err());
    assert!(apply(Resource::Cpu, "1000000", 1).is_ok());
    assert!(apply(Resource::Cpu, "1000001", 1).is_err());
}

#[test]
fn the_newest_override_that_has_not_ended_counts() {
    let plan = business().quota;
    let overrides = [
        set(Resource::Memory, 300, 10, None),
        set(Resource::Memory, 500, 20, Some(100)),
        set(Resource::Pods, 7, 5, Some(50)),
    ];
    let memory = |now| effective(&plan, &overrides, at(now)).memory.0;
    let pods = |now| effective(&plan, &overrides, at(now)).pods;
    assert_eq!((memory(30), pods(30)), (500, 7));
    // The temporary one ends, and the older permanent one applies again; of pods the plan.
    assert_eq!((memory(99), pods(49)), (500, 7));
    assert_eq!((memory(100), pods(50)), (300, plan.pods));
    assert_eq!(effective(&plan, &overrides, at(30)).cpu, plan.cpu);
    assert_eq!(next_end(&overrides, at(30)), Some(at(50)));
    assert_eq!(next_end(&overrides, at(50)), Some(at(100)));
    assert_eq!(next_end(&overrides, at(100)), None);
    // A newer permanent one ends what a temporary one was for.
    let newer = [overrides[1], set(Resource::Memory, 900, 30, None)];
    assert_eq!(effective(&plan, &newer, at(40)).memory.0, 900);
}

#[test]
fn contradictions_are_named() {
    let plan = business();
    let said = |change: fn(&mut Quota)| {
        let mut quota = plan.quota;
        change(&mut quota);
        check(&quota, &plan).iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(said(|_| ()), Vec::<String>::new());
    assert_eq!(
        said(|q| q.memory = Bytes(32 << 30)),
        ["memory: is 32Gi, less than the 64Gi that one user of plan business is promised: set at \
          least 64Gi"]
    );
    assert_eq!(
        said(|q| q.pods = 19),
        ["pods: is 19, less than the 20 that one user of plan business may run as sessions: set \
          at least 20"]
    );
    assert_eq!(
        said(|q| q.cpu = Millicores(0)),
        ["cpu: is 0, and must be more than 0 and at most 1000000"]
    );
    assert_eq!(said(|q| q.cpu = Millicores(1_000_000_001)).len(), 1);
    assert_eq!(said(|q| q.cpu = CPU_MAXIMUM).len(), 0);
    assert_eq!(said(|q| q.memory = Bytes((1 << 60) + 1)).len(), 1);
    assert_eq!(said(|q| q.memory = BYTES_MAXIMUM).len(), 0);
    assert_eq!(said(|q| q.storage = Bytes(-1)).len(), 1);
    assert_eq!(said(|q| q.pods = PODS_MAXIMUM + 1).len(), 1);
    assert_eq!(
        said(|q| *q = Quota { cpu: Millicores(-1), memory: Bytes(0), storage: Bytes(0), pods: 0 })
            .len(),
        4
    );
}

#[test]
fn the_hard_map_of_a_plan() {
    assert_eq!(
        hard(&business().quota, true),
        map(&[
            ("configmaps", "2k"),
            ("count/sessions.stream.space", "2k"),
            ("limits.cpu", "200"),
            ("limits.memory", "400Gi"),
            ("persistentvolumeclaims", "2k"),
            ("pods", "500"),
            ("requests.cpu", "100"),
            ("requests.ephemeral-storage", "500Gi"),
            ("requests.memory", "200Gi"),
            ("requests.storage", "1Ti"),
            ("secrets", "2k"),
            ("services", "2k"),
            ("services.loadbalancers", "0"),
            ("services.nodeports", "0"),
        ])
    );
    assert!(!hard(&business().quota, false).contains_key(SESSIONS_KEY));
}

#[test]
fn a_state_where_nothing_new_starts_has_no_room_for_pods() {
    let quota = business().quota;
    let open = hard(&quota, true);
    let zeros = |state| {
        let map = hard_in(state, &quota, true);
        assert!(map.keys().eq(open.keys()));
        let changed = map.iter().filter(|(key, value)| open.get(*key) != Some(*value));
        changed.map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>()
    };
    assert_eq!(zeros(TenantState::Provisioning), Vec::<String>::new());
    assert_eq!(zeros(TenantState::Active), Vec::<String>::new());
    let closed = ["count/sessions.stream.space=0", "pods=0"];
    assert_eq!(zeros(TenantState::Cordoned), closed);
    assert_eq!(zeros(TenantState::Suspended), closed);
    assert_eq!(
        zeros(TenantState::Archived),
        [
            "count/sessions.stream.space=0",
            "limits.cpu=0",
            "limits.memory=0",
            "pods=0",
            "requests.cpu=0",
            "requests.ephemeral-storage=0",
            "requests.memory=0",
        ]
    );
}

#[test]
fn what_is_left_and_what_fits() {
    let hard = map(&[("requests.memory", "80Gi"), ("limits.memory", "160Gi"), ("pods", "2k")]);
    let used = map(&[("requests.memory", "81920Mi"), ("limits.memory", "1500m"), ("pods", "3k")]);
    let read = lines(&hard, &used).unwrap();
    let shown: Vec<_> =
        read.iter().map(|l| (l.key.as_str(), l.used, l.headroom(), l.used_permille())).collect();
    assert_eq!(
        shown,
        [
            ("limits.memory", Some(2), Some((160 << 30) - 2), Some(1)),
            ("pods", Some(3000), Some(0), Some(1500)),
            ("requests.memory", Some(80 << 30), Some(0), Some(1000)),
        ]
    );
    let unknown = lines(&hard, &Quantities::new()).unwrap();
    assert!(unknown.iter().all(|l| l.headroom().is_none() && l.used_permille().is_none()));

    let used = map(&[("requests.memory", "70Gi"), ("pods", "1999")]);
    let needs = |memory: i64, pods| {
        let needed = BTreeMap::from([
            (Resource::Memory, Amount(memory << 30)),
            (Resource::Pods, Amount(pods)),
            (Resource::Storage, Amount(i64::MAX)),
        ]);
        let found = fits(&hard, &used, &needed).unwrap();
        found.into_iter().map(|shortfall| shortfall.message).collect::<Vec<_>>()
    };
    assert_eq!(needs(10, 1), Vec::<String>::new());
    assert_eq!(
        needs(12, 2),
        [
            "memory: 12Gi needed, 10Gi left (70Gi of 80Gi requests.memory used): 2Gi missing",
            "pods: 2 needed, 1 left (1999 of 2000 pods used): 1 missing",
        ]
    );
    assert!(lines(&map(&[("pods", "many")]), &used).is_err());
}

#[test]
fn a_lower_quota_says_what_would_be_over_it() {
    let plan = business().quota;
    let mut lower = plan;
    lower.memory = Bytes(80 << 30);
    let used = map(&[
        ("requests.memory", "120Gi"),
        ("requests.cpu", "1500m"),
        ("pods", "501"),
        ("requests.storage", "?"),
    ]);
    let said = consequences(&used, &hard(&plan, true), &hard(&lower, true));
    assert_eq!(
        said,
        [Consequence {
            code: "OVER_QUOTA",
            message: "requests.memory: 120Gi used, 80Gi after the change: what runs goes on, \
                      nothing new starts until 40Gi are freed"
                .to_owned(),
        }]
    );
    assert_eq!(consequences(&used, &hard(&lower, true), &hard(&plan, true)), []);
}

proptest! {
    #[test]
    fn limits_are_twice_the_requests(cpu in 1..=CPU_MAXIMUM.0, memory in 1..=BYTES_MAXIMUM.0) {
        let quota = Quota { cpu: Millicores(cpu), memory: Bytes(memory), ..business().quota };
        let map = hard(&quota, false);
        let read = |key: &str| crate::quantity::observed(unit_of(key), &map[key]).unwrap();
        prop_assert_eq!(read("requests.cpu"), cpu);
        prop_assert_eq!(read("limits.cpu"), 2 * cpu);
        prop_assert_eq!(read("requests.memory"), memory);
        prop_assert_eq!(read("limits.memory"), 2 * memory);
    }

    #[test]
    fn any_change_gets_a_short_answer(text in any::<String>(), applies in any::<i64>()) {
        for resource in Resource::ALL {
            match Change::parse(resource, &text) {
                Err(error) => prop_assert!(error.to_string().chars().count() < 200),
                Ok(change) => if let Ok(amount) = change.apply(resource, Amount(applies)) {
                    prop_assert!(amount.0 > 0 && amount <= resource.maximum());
                },
            }
        }
    }

    #[test]
    fn what_a_change_leads_to_is_exact(applies in 1..=PODS_MAXIMUM, more in 1..=2 * PODS_MAXIMUM) {
        let (applies, more) = (i64::from(applies), i64::from(more));
        let (text, wished) = (format!("+{more}"), applies + more);
        let change = Change::parse(Resource::Pods, &text).unwrap();
        let outcome = change.apply(Resource::Pods, Amount(applies)).ok();
        let expected = (1..=i64::from(PODS_MAXIMUM)).contains(&wished).then_some(Amount(wished));
        prop_assert_eq!(outcome, expected);
    }

    #[test]
    fn any_numbers_have_lines_and_consequences(hard in any::<i64>(), used in any::<i64>(), new in any::<i64>()) {
        let of = |amount: i64| map(&[("pods", &amount.to_string())]);
        let (hard, used, new) = (of(hard), of(used), of(new));
        for line in lines(&hard, &used).unwrap() {
            prop_assert!(line.headroom() >= Some(0) && line.used_permille() >= Some(0));
        }
        let _ = consequences(&used, &hard, &new);
        let _ = fits(&hard, &used, &BTreeMap::from([(Resource::Pods, Amount(i64::MAX))]));
    }

    #[test]
    fn overrides_in_any_order_give_the_same_quota(
        mut sets in prop::collection::vec((0..4_usize, 1..1_000_000_i64, 0..50_i64, prop::option::of(1..100_i64)), 0..12),
        now in 0..100_i64,
    ) {
        // Distinct instants: of the same one, the order decides.
        sets.sort_by_key(|(_, _, from, _)| *from);
        sets.dedup_by_key(|(_, _, from, _)| *from);
        let mut overrides: Vec<_> = sets
            .into_iter()
            .map(|(resource, amount, from, to)| set(Resource::ALL[resource], amount, from, to))
            .collect();
        let plan = business().quota;
        let one = effective(&plan, &overrides, at(now));
        overrides.reverse();
        prop_assert_eq!(effective(&plan, &overrides, at(now)), one);
    }
}
