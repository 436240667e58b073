//! `ssctl doctor` with what can be wrong: each has its own line and its remedy.

use std::{fs, os::unix::fs::PermissionsExt as _};

use rustix::process::Signal;
use serde_json::Value;
use streamspace_tests::{
    authority::{Authority, Wish},
    region::{REGION, Region},
    runtime::story,
    ssctl::Ssctl,
    wait::{holds, until},
};

/// What the doctor found.
struct Found(Vec<Value>);

impl Found {
    async fn by(person: &Ssctl, arguments: &[&str], exit: i32) -> Self {
        let all = [&["doctor", "-o", "json"], arguments].concat();
        let ran = person.run(&all).await.exits(exit);
        Self(ran.json().as_array().unwrap().clone())
    }

    /// How a check ended, with its words and its remedy.
    #[track_caller]
    fn of(&self, check: &str) -> (&str, &str, &str) {
        let found = self.0.iter().find(|one| one["check"] == check);
        let found = found.unwrap_or_else(|| panic!("{check} is not in {:?}", self.0));
        let text = |key: &str| found.get(key).and_then(Value::as_str).unwrap_or_default();
        (text("state"), text("message"), text("next"))
    }

    #[track_caller]
    fn is(&self, check: &str, state: &str, words: &str, next: &str) -> &Self {
        let found = self.of(check);
        assert!(
            found.0 == state && found.1.contains(words) && found.2.contains(next),
            "{check} is {found:?}"
        );
        self
    }

    #[track_caller]
    fn are(&self, checks: &[&str], state: &str) -> &Self {
        for check in checks {
            self.is(check, state, "", "");
        }
        self
    }
}

/// Changes something in every context of the person's file.
fn edit(person: &Ssctl, key: &str, value: &str) {
    let path = person.environment().contexts_file();
    let mut file: toml::Table = toml::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    for (_, context) in file["contexts"].as_table_mut().unwrap().iter_mut() {
        context.as_table_mut().unwrap().insert(key.into(), value.into());
    }
    fs::write(path, file.to_string()).unwrap();
}

const WAY: [&str; 4] = ["name", "connection", "tls", "answer"];

#[test]
fn all_is_well() {
    story(async {
        let region = Region::start().await;
        let admin = region.admin();
        let found = Found::by(admin, &[], 0).await;
        found
            .are(&WAY, "ok")
            .is("context file", "ok", "story-1 is current", "")
            .is("environment", "ok", "SSCTL_CREDENTIAL_STORE=file", "")
            .is("keys", "ok", "credentials/story-1.toml", "")
            .is("certificate", "ok", "good until", "")
            .is("device", "ok", "logged in until", "")
            .is("tls", "ok", "signed by CN=StreamSpace story-1", "")
            .is("answer", "ok", "region story-1: you are root (admin, the whole region)", "")
            .is("version", "ok", env!("CARGO_PKG_VERSION"), "")
            .is("clock", "ok", "agree", "")
            .is("latency", "ok", "ms", "")
            .is("region", "ok", "parts are well", "");
        // As people read it.
        let ran = admin.ok(&["doctor"]).await;
        let line = ran.stdout.lines().find(|line| line.contains("answer")).unwrap();
        assert!(line.starts_with("  ok       answer        region story-1"), "{line}");
        assert_eq!(ran.stderr, "");
    });
}

#[test]
fn a_daemon_that_is_gone_or_stopped() {
    story(async {
        let region = Region::start().await;
        let admin = region.admin();
        region.signal(Signal::STOP).await;
        // The kernel takes the connection; nobody shakes hands.
        let found = Found::by(admin, &["--timeout", "1s"], 11).await;
        found
            .are(&["name", "connection"], "ok")
            .is("tls", "failed", "no answer within 1 s", "check the network")
            .is("answer", "failed", "no answer within 1 s", "")
            .are(&["version", "clock", "latency", "region"], "skipped");
        region.signal(Signal::CONT).await;

        region.kill().await;
        let found = Found::by(admin, &[], 11).await;
        found
            .is("name", "ok", "is an address already", "")
            .is("connection", "failed", "nobody listens there", "check that streamspaced runs")
            .is("tls", "skipped", "there is no connection", "")
            .is("answer", "failed", "nobody listens there", "")
            .are(&["version", "clock", "latency", "region"], "skipped")
            // What needs no daemon was looked at all the same.
            .are(&["context file", "keys", "certificate", "device"], "ok");
        let ran = admin.run(&["doctor"]).await.exits(11);
        ran.says("2 of").says("checks failed: story-1: connection, story-1: answer");
    });
}

#[test]
fn somebody_else_answers() {
    story(async {
        let region = Region::start().await;
        let admin = region.admin();
        // An authority of the same name, and not the same.
        let mut params = rcgen::CertificateParams::default();
        let name = format!("StreamSpace {REGION}");
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Constrained(0));
        let key = rcgen::KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        edit(admin, "authorities", &pem);
        let found = Found::by(admin, &[], 11).await;
        found
            .are(&["name", "connection"], "ok")
            .is("tls", "failed", "an authority that this context does not trust", "do not go on")
            .is("tls", "failed", "signed by CN=StreamSpace story-1", "")
            .is("answer", "failed", "does not trust", "do not go on");

        edit(admin, "endpoint", "nobody.invalid:7443");
        let found = Found::by(admin, &[], 11).await;
        found
            .is("name", "failed", "cannot be resolved", "check the host's name")
            .is("connection", "skipped", "the name has no address", "")
            .are(&["tls"], "skipped");
    });
}

#[test]
fn certificates_that_are_good_no_more() {
    story(async {
        let region = Region::start().await;
        // In plain files, as a pipeline has them: nothing renews them.
        let machine = region.machine("pipeline");
        let put = |name: &str, text: &str| {
            let path = machine.home().join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            path.display().to_string()
        };
        let over = Wish { from: -7200, until: -3600, ..Wish::client("viewer") };
        let (certificate, key) = region.authority().issue(&over).pem;
        let folder = region.config().parent().unwrap().join("access");
        let pipeline = machine
            .clone()
            .with("SSCTL_ENDPOINT", region.grpc().to_string())
            .with("SSCTL_CA", put("ca.pem", &Authority::pem(&folder)))
            .with("SSCTL_CLIENT_CERT", put("c.pem", &certificate))
            .with("SSCTL_CLIENT_KEY", put("k.pem", &key));
        let found = Found::by(&pipeline, &[], 11).await;
        found
            .is("context file", "ok", "SSCTL_ENDPOINT takes their place", "")
            .is("environment", "ok", "SSCTL_ENDPOINT=", "")
            .is("certificate", "failed", "ended", "SSCTL_CLIENT_CERT")
            .are(&["name", "connection", "tls"], "ok")
            .is("answer", "failed", "", "ssctl login")
            // The refusal tells the daemon's time as well.
            .is("clock", "ok", "agree", "");

        // Revoked, which only the daemon knows.
        let vera = region.person("vera", "viewer").await;
        Found::by(&vera, &[], 0).await.are(&WAY, "ok");
        let admin = region.admin();
        let filter = ["cert", "list", "--filter", "operator = \"vera\" AND kind = \"client\""];
        let listed = admin.json(&filter).await;
        let serial = listed[0]["name"].as_str().unwrap().trim_start_matches("certificates/");
        let revoke = ["cert", "revoke", serial, "--family", "--reason", "lost", "--yes"];
        admin.ok(&revoke).await;
        let found = until("the revocation is known", async || {
            let ran = vera.run(&["doctor", "-o", "json"]).await;
            let found = Found(ran.json().as_array().unwrap().clone());
            holds(ran.code == 11, || ran.stdout.clone()).map(|()| found)
        })
        .await;
        found
            .is("certificate", "ok", "good until", "")
            .are(&["connection", "tls"], "ok")
            .is("answer", "failed", "revoked", "");
    });
}

#[test]
fn keys_that_others_read_and_several_contexts() {
    story(async {
        let region = Region::start().await;
        let person = region.person("paul", "operator").await;
        let again = region.token("paul", "operator").await;
        let login = ["--context", "second", "login", &region.grpc().to_string(), "--token", &again];
        person.ok(&login).await;
        let found = Found::by(&person, &["--all-contexts"], 0).await;
        let of = |name: &str| found.0.iter().filter(|check| check["context"] == name).count();
        assert_eq!((of(REGION) > 8, of("second") > 8), (true, true), "{:?}", found.0);

        // One of the two is ill, and the other is looked at all the same.
        let keys = person.environment().credentials_folder().join("second.toml");
        fs::set_permissions(&keys, fs::Permissions::from_mode(0o644)).unwrap();
        let found = Found::by(&person, &["--context", "second"], 11).await;
        found
            .is("keys", "failed", "others may read it", &format!("chmod 600 {}", keys.display()))
            .are(&["certificate", "answer", "clock", "region"], "skipped")
            .are(&["name", "connection", "tls"], "ok");
        let ran = person.run(&["doctor", "--context", "story-1,second"]).await.exits(11);
        ran.prints("context story-1").prints("context second").says("1 of").says("second: keys");
    });
}
