use proptest::prelude::*;

use super::*;

fn plain() -> WrittenSession {
    WrittenSession {
        name: "ada-firefox".into(),
        user: "ada".into(),
        template: "firefox-browser".into(),
        state: SessionState::Running,
        resources: None,
        persistent_home: None,
        idle_timeout: None,
        max_session_duration: None,
        tags: Vec::new(),
        max_replicas: None,
    }
}

fn fields(change: impl FnOnce(&mut WrittenSession)) -> Vec<String> {
    let mut written = plain();
    change(&mut written);
    match read(&written) {
        Ok(_) => Vec::new(),
        Err(violations) => violations.into_iter().map(|violation| violation.field).collect(),
    }
}

#[test]
fn what_is_left_out_has_its_default() {
    let wish = read(&plain()).unwrap();
    assert!(wish.persistent_home);
    assert_eq!(wish.idle_timeout.to_string(), "30m");
    assert_eq!(wish.max_session_duration.to_string(), "8h");
    assert_eq!((wish.max_replicas, wish.pods()), (None, 1));
    assert_eq!(wish.resources, Resources::default());
}

#[test]
fn what_is_written_counts() {
    let mut written = plain();
    written.state = SessionState::Hibernated;
    written.persistent_home = Some(false);
    written.idle_timeout = Some("90s".into());
    written.max_session_duration = Some("12h".into());
    written.tags = vec!["work".into(), "blau".into()];
    written.max_replicas = Some(3);
    written.template = "changedetection.io".into();
    written.resources =
        Some(WrittenResources { memory: Some("4Gi".into()), ..WrittenResources::default() });
    let wish = read(&written).unwrap();
    assert!(!wish.persistent_home);
    assert_eq!(wish.state, SessionState::Hibernated);
    assert_eq!((wish.idle_timeout.seconds(), wish.max_session_duration.seconds()), (90, 43200));
    assert_eq!((wish.tags.len(), wish.pods()), (2, 3));
    assert_eq!(wish.resources.limits.memory.map(|memory| memory.0), Some(4 << 30));
}

#[test]
fn each_rule_names_its_field() {
    type Change = fn(&mut WrittenSession);
    let cases: [(&str, Change); 15] = [
        ("metadata.name", |s| s.name = "x".repeat(53)),
        ("metadata.name", |s| s.name = "a.b".into()),
        ("spec.user", |s| s.user = "Ada".into()),
        ("spec.user", |s| s.user.clear()),
        ("spec.template", |s| s.template = "your_spotify".into()),
        ("spec.idleTimeout", |s| s.idle_timeout = Some("half an hour".into())),
        ("spec.idleTimeout", |s| s.idle_timeout = Some("0m".into())),
        ("spec.maxSessionDuration", |s| s.max_session_duration = Some("1d".into())),
        ("spec.tags[0]", |s| s.tags = vec![String::new()]),
        ("spec.tags[1]", |s| s.tags = vec!["a".into(), "a".into()]),
        ("spec.tags[0]", |s| s.tags = vec!["t".repeat(64)]),
        ("spec.tags", |s| s.tags = (0..65).map(|n| n.to_string()).collect()),
        ("spec.shared.maxReplicas", |s| s.max_replicas = Some(0)),
        ("spec.shared.maxReplicas", |s| s.max_replicas = Some(11)),
        ("spec.resources.memory", |s| {
            s.resources = Some(WrittenResources {
                memory: Some("2 GB".into()),
                ..WrittenResources::default()
            });
        }),
    ];
    for (number, (field, change)) in cases.into_iter().enumerate() {
        assert_eq!(fields(change), [field], "case {number}");
    }
}

#[test]
fn everything_is_said_at_once() {
    let found = fields(|s| {
        s.name = "A".into();
        s.user = "B".into();
        s.template = "C".into();
        s.idle_timeout = Some(String::new());
        s.max_session_duration = Some(String::new());
    });
    assert_eq!(
        found,
        [
            "metadata.name",
            "spec.user",
            "spec.template",
            "spec.idleTimeout",
            "spec.maxSessionDuration"
        ]
    );
}

#[test]
fn words_are_read_back() {
    for state in SessionState::ALL {
        assert_eq!(SessionState::parse(state.as_str()), Some(state));
    }
    for phase in SessionPhase::ALL {
        assert_eq!(SessionPhase::parse(&phase.to_string()), Some(phase));
    }
    assert_eq!(SessionState::parse("Running"), None);
    assert_eq!(SessionPhase::parse("running"), None);
}

proptest! {
    #[test]
    fn hostile_objects_get_short_safe_replies(
        name in any::<String>(), user in any::<String>(), template in any::<String>(),
        idle in any::<Option<String>>(), longest in any::<Option<String>>(),
        tags in prop::collection::vec(any::<String>(), 0..100), replicas in any::<Option<i32>>(),
    ) {
        let written = WrittenSession {
            name, user, template, tags,
            idle_timeout: idle,
            max_session_duration: longest,
            max_replicas: replicas,
            ..plain()
        };
        match read(&written) {
            Ok(wish) => prop_assert!((1..=10).contains(&wish.pods())),
            Err(violations) => {
                prop_assert!(!violations.is_empty());
                prop_assert!(violations.len() <= 2 * ENTRIES_MAXIMUM + 8);
                for violation in violations {
                    let shown = violation.to_string();
                    prop_assert!(!shown.chars().any(text::acts_on_terminals), "{:?}", shown);
                    prop_assert!(shown.chars().count() < 500);
                }
            }
        }
    }
}
