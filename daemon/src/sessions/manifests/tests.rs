use std::{fmt::Write as _, path::Path};

use k8s_openapi::api::{apps::v1::Deployment, core::v1::PodSpec};
use streamspace_core::{
    session::{self, Resources, SessionState, WrittenSession, resolve},
    template::{self, WrittenDefaults, WrittenPort, WrittenScreen, WrittenTemplate},
};

use super::*;
use crate::sessions::homes::{self, HomePlace};

const TENANT: TenantUid = TenantUid(uuid::uuid!("01900000-0000-7000-8000-000000000001"));

fn place(config: &SessionConfig) -> SessionPlace<'_> {
    SessionPlace {
        name: "a-firefox",
        uid: "01900000-0000-4000-8000-0000000000aa",
        user: "ada",
        namespace: "tenant-acme-corp",
        tenant: "acme-corp",
        tenant_uid: TENANT,
        plan: "business",
        instance: "streamspace",
        config,
    }
}

fn wish(persistent_home: bool, max_replicas: Option<i32>) -> Wish {
    session::read(&WrittenSession {
        name: "a-firefox".into(),
        user: "ada".into(),
        template: "firefox-browser".into(),
        state: SessionState::Running,
        resources: None,
        persistent_home: Some(persistent_home),
        idle_timeout: None,
        max_session_duration: None,
        tags: Vec::new(),
        max_replicas,
    })
    .unwrap()
}

fn firefox() -> Template {
    template::read(&WrittenTemplate {
        name: "firefox-browser".into(),
        display_name: "Firefox".into(),
        base_image: "lscr.io/linuxserver/firefox:latest".into(),
        default_resources: Some(WrittenDefaults {
            memory: Some("2Gi".into()),
            cpu: Some("1000m".into()),
        }),
        ports: vec![
            WrittenPort { name: Some("vnc".into()), container_port: 3000, protocol: None },
            WrittenPort { name: None, container_port: 53, protocol: Some("UDP".into()) },
        ],
        env: vec![("PUID".into(), "1000".into())],
        volume_mounts: vec![
            ("user-home".into(), "/config".into()),
            ("cache".into(), "/cache".into()),
            ("cache".into(), "/tmp/cache".into()),
        ],
        vnc: Some(WrittenScreen { enabled: Some(true), port: Some(3000) }),
        ..WrittenTemplate::default()
    })
    .unwrap()
}

fn made_of(
    config: &SessionConfig,
    wish: &Wish,
    template: &Template,
    replicas: Replicas,
) -> Vec<SessionObject> {
    let allotment = resolve(&wish.resources, template.defaults.as_ref(), &Resources::default());
    objects(&place(config), &Made { wish, template, allotment: &allotment, replicas }).unwrap()
}

fn with_hosts() -> SessionConfig {
    SessionConfig {
        host_pattern: Some("{session}.{tenant}.example.com".into()),
        ingress_class: Some("nginx".into()),
        ..SessionConfig::default()
    }
}

fn on_one_node() -> SessionConfig {
    SessionConfig {
        home_on_one_node: true,
        home_storage_class: Some("fast".into()),
        ..SessionConfig::default()
    }
}

fn deployment_of(objects: &[SessionObject]) -> Deployment {
    serde_json::from_value(objects[0].body.clone()).unwrap()
}

fn pod_of(objects: &[SessionObject]) -> PodSpec {
    deployment_of(objects).spec.unwrap().template.spec.unwrap()
}

/// The committed pictures. `UPDATE_SNAPSHOTS=1` writes them anew.
#[test]
fn the_objects_are_as_committed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/sessions/snapshots");
    let (plain, hosts, one) = (SessionConfig::default(), with_hosts(), on_one_node());
    let firefox = firefox();
    let bodies =
        |objects: Vec<SessionObject>| objects.into_iter().map(|it| it.body).collect::<Vec<_>>();
    let home = |config: &SessionConfig| {
        let of = HomePlace {
            user: "ada",
            namespace: "tenant-acme-corp",
            tenant_uid: TENANT,
            instance: "streamspace",
        };
        serde_json::to_value(homes::claim(&of, config)).unwrap()
    };
    let shared = wish(false, Some(5));
    for (name, values) in [
        ("session", bodies(made_of(&hosts, &wish(true, None), &firefox, Replicas::One))),
        ("hibernated", bodies(made_of(&plain, &wish(true, None), &firefox, Replicas::Zero))),
        ("shared", bodies(made_of(&plain, &shared, &firefox, Replicas::AtMost(5)))),
        ("one-node", bodies(made_of(&one, &wish(true, None), &firefox, Replicas::One))),
        ("homes", vec![home(&plain), home(&one)]),
    ] {
        let mut now = String::new();
        for value in &values {
            let text = serde_saphyr::to_string(value).unwrap();
            writeln!(now, "---\n{}", text.trim_end()).unwrap();
        }
        let path = folder.join(format!("{name}.yaml"));
        if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(&path, &now).unwrap();
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap_or_default(), now, "{name}");
    }
}

#[test]
fn everything_goes_with_the_session_and_says_whose_it_is() {
    let objects = made_of(&with_hosts(), &wish(true, Some(5)), &firefox(), Replicas::AtMost(5));
    let kinds: Vec<_> = objects.iter().map(|object| object.kind).collect();
    assert_eq!(kinds, SessionKind::ALL);
    for object in objects {
        let metadata = &object.body["metadata"];
        assert_eq!(metadata["ownerReferences"][0]["kind"], "Session", "{}", object.title());
        assert_eq!(metadata["labels"][SESSION_LABEL], "a-firefox", "{}", object.title());
        assert_eq!(metadata["labels"][MANAGED_BY_LABEL], MANAGED_BY, "{}", object.title());
        assert!(!object.body.to_string().contains("null"), "{}", object.title());
    }
}

#[test]
fn the_pod_holds_no_right_of_the_cluster_and_few_of_its_node() {
    let pod = pod_of(&made_of(&on_one_node(), &wish(true, None), &firefox(), Replicas::One));
    assert_eq!(pod.automount_service_account_token, Some(false));
    let container = &pod.containers[0];
    let context = container.security_context.as_ref().unwrap();
    assert_eq!(context.allow_privilege_escalation, Some(false));
    assert_eq!(context.capabilities.as_ref().unwrap().drop, Some(vec!["ALL".to_owned()]));
    for volume in pod.volumes.unwrap() {
        assert!(
            volume.empty_dir.is_some() || volume.persistent_volume_claim.is_some(),
            "{volume:?}"
        );
    }
}

#[test]
fn the_home_is_the_users_or_goes_with_the_pod() {
    let config = SessionConfig::default();
    let claim = |persistent| {
        let pod = pod_of(&made_of(&config, &wish(persistent, None), &firefox(), Replicas::One));
        let home = pod.volumes.unwrap().into_iter().find(|volume| volume.name == "home").unwrap();
        home.persistent_volume_claim.map(|claim| claim.claim_name)
    };
    assert_eq!(claim(true), Some("home-ada".to_owned()));
    assert_eq!(claim(false), None);
    let mut bare = firefox();
    bare.mounts.clear();
    let pod = pod_of(&made_of(&config, &wish(true, None), &bare, Replicas::One));
    let mounts = pod.containers[0].volume_mounts.clone().unwrap();
    assert_eq!(mounts[0].mount_path, "/config", "where the catalogue's images keep it");
}

#[test]
fn a_changed_template_does_not_change_what_the_session_says() {
    let config = SessionConfig::default();
    let shape = |wish: &Wish, template: &Template| {
        let deployment = deployment_of(&made_of(&config, wish, template, Replicas::One));
        deployment.metadata.annotations.unwrap()[SHAPE_ANNOTATION].clone()
    };
    let one = wish(true, None);
    let mut other_image = firefox();
    other_image.image = "lscr.io/linuxserver/firefox:2".into();
    assert_eq!(shape(&one, &firefox()), shape(&one, &other_image));
    let mut idle = one.clone();
    idle.idle_timeout = session::DEFAULT_SESSION_DURATION;
    idle.state = SessionState::Hibernated;
    assert_eq!(shape(&one, &firefox()), shape(&idle, &firefox()));
    assert_ne!(shape(&one, &firefox()), shape(&wish(false, None), &firefox()));
    assert_ne!(shape(&one, &firefox()), shape(&wish(true, Some(2)), &firefox()));
}

#[test]
fn hosts_are_names_of_their_own() {
    let name = |pattern: &str| host(pattern, "a-firefox", "acme", "ada");
    assert_eq!(name("{session}.{tenant}.example.com").unwrap(), "a-firefox.acme.example.com");
    assert_eq!(name("{user}-{session}.x").unwrap(), "ada-a-firefox.x");
    for bad in ["{session}..x", "-{session}.x", "{Session}.x", "10.0.0.1", "a b", ""] {
        assert!(name(bad).is_err(), "{bad}");
    }
    let long = "s".repeat(52);
    let error = host("{session}-{tenant}.x", &long, "acme-corp-of-berlin", "ada").unwrap_err();
    assert!(error.to_string().contains("shorter name"), "{error}");
    assert!(host("{session}.{tenant}.x", &long, "acme-corp-of-berlin", "ada").is_ok());
    assert!(check_host_pattern("{session}.{tenant}.example.com").is_ok());
    for bad in ["{session}.example.com", "{tenant}.example.com", "{session}.{tenant}.", "x"] {
        assert!(check_host_pattern(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_service_begins_with_a_letter() {
    let uid = "01900000-0000-4000-8000-0000000000aa";
    assert_eq!(service_name("a-firefox", uid), "a-firefox");
    let named = service_name("0-firefox", uid);
    assert!(named.starts_with("s-0-firefox-01900000"), "{named}");
    let long = "0".repeat(52);
    assert_eq!(service_name(&long, uid).len(), 63);
    assert_ne!(service_name("0", uid), service_name("0", &uid.replace('a', "b")));
}

#[test]
fn a_shared_session_has_one_to_ten_copies() {
    let config = SessionConfig::default();
    for (wished, most) in [(i32::MIN, 1), (0, 1), (1, 1), (5, 5), (10, 10), (i32::MAX, 10)] {
        let spec = autoscaler(&place(&config), wished).spec;
        assert_eq!((spec.min_replicas, spec.max_replicas), (Some(1), most));
    }
}
