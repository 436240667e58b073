use proptest::prelude::*;

use super::*;

const GIBIBYTE: i64 = 1 << 30;

fn map(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
    entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn written(
    older: (Option<&str>, Option<&str>),
    limits: &[(&str, &str)],
    requests: &[(&str, &str)],
) -> WrittenResources {
    WrittenResources {
        cpu: older.0.map(str::to_owned),
        memory: older.1.map(str::to_owned),
        limits: map(limits),
        requests: map(requests),
    }
}

fn valid(written: &WrittenResources) -> Resources {
    let mut violations = Violations::new();
    let resources = read(written, &mut violations);
    assert_eq!(violations.into_vec(), []);
    resources
}

fn faults(written: &WrittenResources) -> Vec<String> {
    let mut violations = Violations::new();
    read(written, &mut violations);
    violations.into_vec().iter().map(ToString::to_string).collect()
}

const fn amounts_of(cpu: i64, memory: i64) -> Amounts {
    Amounts { cpu: Some(Millicores(cpu)), memory: Some(Bytes(memory)) }
}

const NONE: Amounts = Amounts { cpu: None, memory: None };

#[test]
fn both_shapes_come_to_one_form() {
    let older = written((Some("1500m"), Some("3Gi")), &[], &[]);
    let newer = written((None, None), &[("cpu", "1.5"), ("memory", "3072Mi")], &[]);
    let both = written((Some("1500m"), Some("3Gi")), &[("cpu", "1500m"), ("memory", "3Gi")], &[]);
    for shape in [older, newer, both] {
        let expected = Resources { requests: NONE, limits: amounts_of(1500, 3 * GIBIBYTE) };
        assert_eq!(valid(&shape), expected);
    }
    let odd = written((None, None), &[("cpu", "2e0"), ("memory", "1.5Gi")], &[("cpu", "0.5m")]);
    let expected = Resources {
        requests: Amounts { cpu: Some(Millicores(1)), memory: None },
        limits: amounts_of(2000, 3 * GIBIBYTE / 2),
    };
    assert_eq!(valid(&odd), expected);
    assert_eq!(valid(&WrittenResources::default()), Resources::default());
    assert!(Resources::default().limits.is_empty());
}

#[test]
fn what_contradicts_itself_is_told_with_its_field() {
    for (shape, told) in [
        (
            written((Some("2"), None), &[("cpu", "3")], &[]),
            "spec.resources.cpu: is 2, and `limits.cpu`, which means the same, is 3: leave one of \
             them out",
        ),
        (
            written((None, Some("2Gi")), &[], &[("memory", "3Gi")]),
            "spec.resources.requests.memory: is 3Gi, more than the limit of 2Gi: request at most \
             that",
        ),
        (
            written((None, Some("lots")), &[], &[]),
            "spec.resources.memory: `lots` is no quantity: write `2Gi`, for example",
        ),
        (
            written((None, None), &[], &[("cpu", "0")]),
            "spec.resources.requests.cpu: is 0, and must be more than 0 and at most 1000000: \
             write `1000m`, for example",
        ),
        (
            written((None, None), &[("memory", "-1Gi")], &[]),
            "spec.resources.limits.memory: is -1Gi, and must be more than 0 and at most 1Ei: \
             write `2Gi`, for example",
        ),
        (
            written((None, None), &[("nvidia.com/gpu", "1")], &[]),
            "spec.resources.limits[nvidia.com/gpu]: is nothing that a session can ask for: remove \
             it, sessions have `cpu` and `memory`",
        ),
    ] {
        assert_eq!(faults(&shape), [told]);
    }
}

#[test]
fn the_nearest_word_counts() {
    let template = amounts_of(2000, 4 * GIBIBYTE);
    let range =
        Resources { requests: amounts_of(250, GIBIBYTE / 2), limits: amounts_of(500, GIBIBYTE) };
    let nothing = Resources::default();
    let own = |requests: Amounts, limits: Amounts| Resources { requests, limits };
    let memory = |gibibytes: i64| Amounts { cpu: None, memory: Some(Bytes(gibibytes * GIBIBYTE)) };
    // What the session says, template, range, then memory request and limit in GiB/2, CPU
    // request and limit.
    let cases = [
        ("nothing anywhere", nothing, None, nothing, (4, 4), (1000, 1000)),
        ("the range alone", nothing, None, range, (1, 2), (250, 500)),
        ("the template before the range", nothing, Some(template), range, (8, 8), (2000, 2000)),
        ("its own limit", own(NONE, memory(1)), Some(template), range, (2, 2), (2000, 2000)),
        ("its own request", own(memory(1), NONE), Some(template), range, (2, 8), (2000, 2000)),
        ("a request past it", own(memory(6), NONE), Some(template), range, (12, 12), (2000, 2000)),
        ("both its own", own(memory(1), memory(3)), Some(template), range, (2, 6), (2000, 2000)),
        (
            "half a template",
            nothing,
            Some(Amounts { cpu: Some(Millicores(3000)), memory: None }),
            range,
            (1, 2),
            (3000, 3000),
        ),
    ];
    for (name, session, template, range, (memory_request, memory_limit), (request, limit)) in cases
    {
        let half = |halves: i64| Bytes(halves * GIBIBYTE / 2);
        let expected = Allotment {
            cpu_request: Millicores(request),
            cpu_limit: Millicores(limit),
            memory_request: half(memory_request),
            memory_limit: half(memory_limit),
        };
        assert_eq!(resolve(&session, template.as_ref(), &range), expected, "{name}");
    }
}

fn said() -> impl Strategy<Value = Resources> {
    let amounts = || {
        (prop::option::of(1..5000_i64), prop::option::of(1..5000_i64)).prop_map(|(cpu, memory)| {
            Amounts { cpu: cpu.map(Millicores), memory: memory.map(Bytes) }
        })
    };
    (amounts(), amounts()).prop_map(|(requests, limits)| Resources { requests, limits })
}

proptest! {
    #[test]
    fn an_allotment_is_whole_and_a_pod_takes_it(
        session in said(), template in said(), range in said(), has_template in any::<bool>(),
    ) {
        let template = has_template.then_some(template.limits);
        let given = resolve(&session, template.as_ref(), &range);
        prop_assert!(given.cpu_request > Millicores(0) && given.memory_request > Bytes(0));
        prop_assert!(given.cpu_request <= given.cpu_limit);
        prop_assert!(given.memory_request <= given.memory_limit);
        if let Some(request) = session.requests.memory.or(session.limits.memory) {
            prop_assert_eq!(given.memory_request, request);
        }
    }

    #[test]
    fn hostile_amounts_get_short_answers(
        limits in prop::collection::btree_map(any::<String>(), any::<String>(), 0..40),
        cpu in any::<String>(),
        memory in "[0-9.eE+-]{1,40}(Ki|Gi|m|n|)",
    ) {
        let mut written = written((Some(&cpu), Some(&memory)), &[], &[("memory", &memory)]);
        written.limits = limits;
        let told = faults(&written);
        prop_assert!(told.len() <= 16);
        for fault in told {
            prop_assert!(!fault.chars().any(text::acts_on_terminals));
            prop_assert!(fault.chars().count() < 300);
        }
    }
}
