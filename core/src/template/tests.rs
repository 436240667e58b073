use proptest::prelude::*;

use super::*;
use crate::quantity::{Bytes, Millicores};

fn port(name: &str, number: i32) -> WrittenPort {
    WrittenPort {
        name: Some(name.to_owned()),
        container_port: number,
        protocol: Some("TCP".to_owned()),
    }
}

fn pairs(entries: &[(&str, &str)]) -> Vec<(String, String)> {
    entries.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// A desktop as catalogues write it.
fn desktop() -> WrittenTemplate {
    WrittenTemplate {
        name: "webtop-ubuntu-kde".into(),
        display_name: "Ubuntu KDE Plasma".into(),
        description: Some("A desktop.\nIn several lines.".into()),
        category: Some("Desktop Environments".into()),
        icon: Some("https://example.com/kde.png".into()),
        base_image: "lscr.io/linuxserver/webtop:ubuntu-kde".into(),
        default_resources: Some(WrittenDefaults {
            memory: Some("4Gi".into()),
            cpu: Some("2000m".into()),
        }),
        ports: vec![port("vnc", 3000)],
        env: pairs(&[("PUID", "1000"), ("TZ", "America/New_York")]),
        volume_mounts: pairs(&[("user-home", "/config")]),
        vnc: None,
        kasmvnc: Some(WrittenScreen { enabled: Some(true), port: Some(3000) }),
        capabilities: vec!["Network".into(), "Audio".into(), "USB".into()],
        tags: vec!["desktop".into()],
    }
}

/// An application with pages of its own, as catalogues write it.
fn application() -> WrittenTemplate {
    WrittenTemplate {
        name: "changedetection.io".into(),
        display_name: "ChangeDetection".into(),
        base_image: "lscr.io/linuxserver/changedetection.io:latest".into(),
        ports: vec![port("http", 8080)],
        kasmvnc: Some(WrittenScreen { enabled: Some(false), port: Some(8080) }),
        ..desktop()
    }
}

fn least() -> WrittenTemplate {
    WrittenTemplate {
        name: "least".into(),
        display_name: "Least".into(),
        base_image: "alpine".into(),
        ..WrittenTemplate::default()
    }
}

fn fields(change: impl FnOnce(&mut WrittenTemplate)) -> Vec<String> {
    let mut written = desktop();
    change(&mut written);
    match read(&written) {
        Ok(_) => Vec::new(),
        Err(violations) => violations.into_iter().map(|violation| violation.field).collect(),
    }
}

#[test]
fn a_desktop_has_a_screen() {
    let template = read(&desktop()).unwrap();
    assert_eq!((template.served_port, template.screen), (3000, true));
    let defaults = template.defaults.unwrap();
    assert_eq!((defaults.cpu, defaults.memory), (Some(Millicores(2000)), Some(Bytes(4 << 30))));
    assert_eq!(template.home_path(), "/config");
    assert_eq!(template.capabilities, [Capability::Network, Capability::Audio, Capability::Usb]);
}

#[test]
fn an_application_is_reached_by_its_port() {
    let template = read(&application()).unwrap();
    assert_eq!((template.served_port, template.screen), (8080, false));
    assert_eq!(template.name.as_str(), "changedetection.io");
}

#[test]
fn the_least_template_has_the_defaults() {
    let template = read(&least()).unwrap();
    assert_eq!((template.served_port, template.screen), (3000, true));
    assert_eq!(template.defaults, None);
    assert_eq!(template.home_path(), DEFAULT_HOME_PATH);
    let half = WrittenTemplate {
        default_resources: Some(WrittenDefaults { memory: None, cpu: Some("2".into()) }),
        ..least()
    };
    let defaults = read(&half).unwrap().defaults.unwrap();
    assert_eq!((defaults.cpu, defaults.memory), (Some(Millicores(2000)), Some(Bytes(2 << 30))));
}

#[test]
fn what_a_browser_reaches() {
    let screen = |enabled, port| Some(WrittenScreen { enabled, port });
    let http = || vec![port("http", 8080)];
    let udp = || vec![WrittenPort { protocol: Some("UDP".into()), ..port("voice", 5000) }];
    for (name, vnc, kasmvnc, ports, expected) in [
        (
            "both spellings",
            screen(None, Some(4000)),
            screen(None, Some(5000)),
            http(),
            (4000, true),
        ),
        ("no port said", screen(None, None), None, http(), (3000, true)),
        ("the newer is off", screen(Some(false), None), screen(None, None), http(), (8080, false)),
        ("ports alone", None, None, http(), (8080, false)),
        (
            "no protocol said",
            None,
            None,
            vec![WrittenPort { protocol: None, ..port("web", 80) }],
            (80, false),
        ),
        ("a screen beside UDP", screen(None, None), None, udp(), (3000, true)),
    ] {
        let template = read(&WrittenTemplate { ports, vnc, kasmvnc, ..least() }).unwrap();
        assert_eq!((template.served_port, template.screen), expected, "{name}");
    }
    for (vnc, ports) in
        [(screen(Some(false), None), Vec::new()), (screen(Some(false), None), udp())]
    {
        let found = read(&WrittenTemplate { ports, vnc, ..least() }).unwrap_err();
        assert_eq!(found[0].field, "spec.ports");
    }
}

#[test]
fn each_rule_names_its_field() {
    type Change = fn(&mut WrittenTemplate);
    let cases: [(&str, Change); 27] = [
        ("metadata.name", |t| t.name = "your_spotify".into()),
        ("spec.displayName", |t| t.display_name.clear()),
        ("spec.displayName", |t| t.display_name = "x".repeat(254)),
        ("spec.displayName", |t| t.display_name = "a\u{1b}[2J".into()),
        ("spec.description", |t| t.description = Some("x".repeat(4097))),
        ("spec.icon", |t| t.icon = Some("x".repeat(2049))),
        ("spec.baseImage", |t| t.base_image.clear()),
        ("spec.baseImage", |t| t.base_image = "Not An Image".into()),
        ("spec.defaultResources.memory", |t| {
            t.default_resources = Some(WrittenDefaults { memory: Some("2 GB".into()), cpu: None });
        }),
        ("spec.defaultResources.cpu", |t| {
            t.default_resources = Some(WrittenDefaults { memory: None, cpu: Some("0".into()) });
        }),
        ("spec.ports[0].containerPort", |t| t.ports = vec![port("vnc", 0)]),
        ("spec.ports[0].containerPort", |t| t.ports = vec![port("vnc", 65536)]),
        ("spec.ports[1].containerPort", |t| t.ports = vec![port("a", 1), port("b", 1)]),
        ("spec.ports[0].name", |t| t.ports = vec![port("far-too-long-name", 1)]),
        ("spec.ports[0].name", |t| t.ports = vec![port("123", 1)]),
        ("spec.ports[1].name", |t| t.ports = vec![port("a", 1), port("a", 2)]),
        ("spec.ports[0].protocol", |t| {
            t.ports = vec![WrittenPort { protocol: Some("tcp".into()), ..port("a", 1) }];
        }),
        ("spec.env[0].name", |t| t.env = pairs(&[("1A", "x")])),
        ("spec.env[1].name", |t| t.env = pairs(&[("A", "x"), ("A", "y")])),
        ("spec.env[0].value", |t| t.env = pairs(&[("A", "\0")])),
        ("spec.volumeMounts[0].name", |t| t.volume_mounts = pairs(&[("User_Home", "/config")])),
        ("spec.volumeMounts[0].mountPath", |t| t.volume_mounts = pairs(&[("home", "config")])),
        ("spec.volumeMounts[0].mountPath", |t| t.volume_mounts = pairs(&[("home", "/a/../b")])),
        ("spec.volumeMounts[1].mountPath", |t| {
            t.volume_mounts = pairs(&[("home", "/config"), ("b", "/config/")]);
        }),
        ("spec.kasmvnc.port", |t| {
            t.kasmvnc = Some(WrittenScreen { enabled: None, port: Some(-1) });
        }),
        ("spec.capabilities[1]", |t| t.capabilities = vec!["USB".into(), "usb".into()]),
        ("spec.tags[0]", |t| t.tags = vec![String::new()]),
    ];
    for (number, (field, change)) in cases.into_iter().enumerate() {
        assert_eq!(fields(change), [field], "case {number}");
    }
}

#[test]
fn the_newer_spelling_is_the_one_at_fault() {
    let found = fields(|t| t.vnc = Some(WrittenScreen { enabled: None, port: Some(0) }));
    assert_eq!(found, ["spec.vnc.port"]);
}

#[test]
fn a_verdict_is_one_line() {
    let mut written = desktop();
    written.base_image.clear();
    assert_eq!(
        verdict(&read(&written).unwrap_err()),
        "spec.baseImage: is empty: name an image, for example `lscr.io/linuxserver/firefox:latest`"
    );
    written.display_name.clear();
    written.name.clear();
    written.tags = vec![String::new()];
    written.capabilities = vec!["line\nbreak".into()];
    let told = verdict(&read(&written).unwrap_err());
    assert!(!told.contains('\n') && told.ends_with("; and 2 more"), "{told}");
}

#[test]
fn homes_and_scratch_space() {
    let mut written = desktop();
    written.volume_mounts = pairs(&[("cache", "/tmp/cache"), ("home", "/home/kasm")]);
    let template = read(&written).unwrap();
    assert_eq!(template.mounts[0].volume, Volume::Scratch("cache".into()));
    assert_eq!((&template.mounts[1].volume, template.home_path()), (&Volume::Home, "/home/kasm"));
}

proptest! {
    #[test]
    fn hostile_templates_get_short_safe_replies(
        texts in prop::array::uniform4(any::<String>()),
        env in prop::collection::vec((any::<String>(), any::<String>()), 0..80),
        mounts in prop::collection::vec((any::<String>(), any::<String>()), 0..80),
        ports in prop::collection::vec((any::<Option<String>>(), any::<i32>(), any::<Option<String>>()), 0..80),
        words in prop::collection::vec(any::<String>(), 0..80),
    ) {
        let [name, display_name, base_image, cpu] = texts;
        let ports = ports.into_iter().map(|(name, container_port, protocol)| WrittenPort {
            name, container_port, protocol,
        });
        let written = WrittenTemplate {
            name, display_name, base_image, env,
            default_resources: Some(WrittenDefaults { memory: None, cpu: Some(cpu) }),
            ports: ports.collect(),
            volume_mounts: mounts,
            capabilities: words.clone(),
            tags: words,
            ..WrittenTemplate::default()
        };
        if let Err(violations) = read(&written) {
            prop_assert!(violations.len() < 800);
            let told = verdict(&violations);
            prop_assert!(!told.chars().any(text::acts_on_terminals), "{:?}", told);
            prop_assert!(told.chars().count() < 2000);
        }
    }
}
