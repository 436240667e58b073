//! The built program against several regions at once: one well, one with other
//! tenants, one that nobody listens at, one that takes the call and says nothing.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::format_push_string,
    reason = "a test that cannot go on must stop"
)]

mod machine;
mod region;

use std::{
    net::TcpListener,
    time::{Duration, Instant},
};

use machine::{Machine, Run, certificate_and_key, golden};
use region::{Answer, Region};
use serde_json::{Value, json};
use tonic::Code;

fn tenant(name: &str, plan: &str, seats: i32) -> Value {
    json!({
        "name": format!("tenants/{name}"), "plan": format!("plans/{plan}"), "seats": seats,
        "state": "TENANT_STATE_ACTIVE"
    })
}

fn region_of(tenants: &'static [(&'static str, &'static str, i32)]) -> Region {
    Region::start(move |method, request| {
        let all = tenants.iter().map(|(name, plan, seats)| tenant(name, plan, *seats));
        match method {
            "TenantService.ListTenants" if request["filter"] == "seatz>5" => Answer::No(
                Code::InvalidArgument,
                "filter: there is no field seatz; did you mean seats?",
                "INVALID",
                Vec::new(),
            ),
            "TenantService.ListTenants" => {
                let wanted = request["filter"].as_str().unwrap_or_default().to_owned();
                let all = all.filter(|one| {
                    wanted.is_empty() || wanted.contains(one["name"].as_str().unwrap())
                });
                Answer::Is(json!({ "tenants": all.collect::<Vec<_>>() }))
            }
            "TenantService.GetTenant" => {
                let mut all = all;
                match all.find(|one| one["name"] == request["name"]) {
                    Some(one) => Answer::Is(one),
                    None => Answer::No(Code::NotFound, "no such tenant", "NOT_FOUND", Vec::new()),
                }
            }
            "AccessService.WhoAmI" => Answer::Is(json!({
                "operator": "ada", "roleName": "admin", "region": "regions/r",
                "certificateSerial": "0a"
            })),
            "SloService.GetBurnChart" => Answer::Is(json!({ "step": "60s", "steps": [
                { "startTime": "2026-11-29T10:00:00Z", "burnRateMilli": "2000", "total": "9",
                  "bad": "1", "measured": "60s", "remainingPpm": "700000" },
                { "startTime": "2026-11-29T10:01:00Z", "burnRateMilli": "1000", "total": "9",
                  "bad": "0", "measured": "60s", "remainingPpm": "690000" },
            ]})),
            other => panic!("{other} is not expected"),
        }
    })
}

/// A machine with four contexts: `alive`, `other`, `dead` and `silent`.
struct World {
    machine: Machine,
    _regions: [Region; 3],
    dead: String,
}

impl World {
    fn new() -> Self {
        let machine = Machine::new();
        let alive = region_of(&[("acme", "business", 10), ("beta", "free", 3)]);
        let other = region_of(&[("gamma", "business", 7)]);
        let silent = Region::start(|_, _| Answer::Never);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let dead = listener.local_addr().unwrap().to_string();
        let (authority, _) = certificate_and_key();
        // Keys that fit, at an address where nobody listens any more.
        let gone = alive.context(&machine, "dead").lines().fold(String::new(), |text, line| {
            let line = if line.starts_with("endpoint") {
                format!("endpoint = \"{dead}\"")
            } else {
                line.to_owned()
            };
            text + &line + "\n"
        });
        drop(authority);
        let contexts = [
            "current = \"alive\"\n".to_owned(),
            alive.context(&machine, "alive"),
            other.context(&machine, "other"),
            silent.context(&machine, "silent"),
            gone,
        ];
        machine.file("streamspace/contexts.toml", &contexts.concat());
        Self { machine, _regions: [alive, other, silent], dead }
    }

    fn run(&self, line: &str) -> Run {
        self.machine.run(&line.split_whitespace().collect::<Vec<_>>())
    }

    fn plain(&self, text: &str) -> String {
        self.machine.plain(text).replace(&self.dead, "DEAD:1")
    }
}

#[test]
fn what_there_is_comes_in_time_and_what_is_missing_is_told() {
    let world = World::new();
    let mut transcript = String::new();
    for (line, exit) in [
        ("tenant list --context alive,other", 0),
        ("tenant list --context other --context alive", 0),
        ("tenant list --context alive,dead,other", 10),
        ("tenant list --context alive,dead,other -o wide", 10),
        ("tenant list --context alive,dead,other -o json", 10),
        ("tenant list --context alive,dead,other -o yaml", 10),
        ("tenant list --context alive,dead,other -o jsonl", 10),
        ("tenant list --context alive,dead,other -o csv", 10),
        ("tenant list --context alive,dead,other -o name", 10),
        (
            "tenant list --context alive,dead -o jsonpath={.items[*].context}|{.unread[*].context}",
            10,
        ),
        ("tenant list --context dead,alive --filter none", 10),
        ("tenant list --context dead,silent --timeout 1s", 8),
        ("tenant list --context silent,dead --timeout 1s", 9),
        ("tenant list --context alive,silent --timeout 1s -q", 10),
        ("tenant list --context alive,other --filter seatz>5", 2),
        ("tenant show acme --context alive,other", 0),
        ("tenant show acme --context alive,other,dead -o json", 10),
        ("tenant show nobody --context alive,other", 6),
        ("tenant show nobody --context alive,dead", 10),
        ("tenant show acme --context alive,dead", 10),
        ("tenant find gamma --context alive,other", 0),
        ("tenant find nobody --context alive,other", 6),
        ("slo chart api --context alive,other", 0),
        ("slo chart api --context alive,dead", 10),
        ("slo chart api --context alive,dead -o json", 10),
        ("slo chart api --context alive,dead -o csv", 10),
        ("whoami --context alive,other,dead", 10),
        ("whoami --context alive,dead -o csv", 10),
        ("tenant suspend acme --context alive,other --reason x --yes", 2),
        ("tenant suspend acme --all-contexts --reason x --yes", 2),
        ("tenant watch --context alive,other", 2),
        ("tenant list --all-contexts --context alive", 2),
        ("tenant list --context alive,alife", 4),
    ] {
        let run = world.run(line);
        let stderr = run.stderr.lines().fold(String::new(), |text, line| text + "| " + line + "\n");
        transcript +=
            &world.plain(&format!("$ ssctl {line}\n{}{stderr}= {}\n\n", run.stdout, run.exit));
        assert_eq!(run.exit, exit, "{transcript}");
    }
    golden("contexts.txt", &transcript.replace("\r\n", "\n"));
}

#[test]
fn a_slow_region_holds_up_nobody() {
    let world = World::new();
    let begin = Instant::now();
    let run = world.run("tenant list --all-contexts -o json");
    let took = begin.elapsed();
    assert_eq!(run.exit, 10, "{}", run.stderr);
    assert!(took >= Duration::from_secs(5) && took < Duration::from_secs(8), "{took:?}");
    let read: Value = serde_json::from_str(&run.stdout).unwrap();
    let contexts = |list: &str| {
        let list = read[list].as_array().unwrap().iter();
        list.map(|one| one["context"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(contexts("items"), ["alive", "alive", "other"]);
    assert_eq!(contexts("unread"), ["dead", "silent"]);
    assert_eq!(read["unread"][0]["exitCode"], 8);
    assert_eq!(read["unread"][1]["exitCode"], 9);
}

#[test]
fn a_find_asks_all_regions_by_itself() {
    let world = World::new();
    let run = world.run("tenant find gamma --timeout 1s");
    assert_eq!(run.exit, 10, "{}", run.stderr);
    assert!(run.stdout.contains("other   gamma  business"), "{}", run.stdout);
    assert!(run.stdout.contains("silent  not read: no answer within 1 s"), "{}", run.stdout);
}

/// The version is told by the daemon with each answer, also with a refusal.
#[test]
fn who_is_too_far_from_the_daemon_is_warned_once() {
    let machine = Machine::new();
    let answers =
        |_: &str, _: &Value| Answer::Is(json!({ "tenants": [tenant("acme", "free", 1)] }));
    let far = Region::of_version(Some("0.9.0"), answers);
    let near = Region::of_version(Some("0.1.7"), answers);
    let contexts = [far.context(&machine, "far"), near.context(&machine, "near")];
    machine.file("streamspace/contexts.toml", &contexts.concat());
    let stderr = |arguments: &[&str]| {
        let run = machine.run(arguments);
        assert_eq!(run.exit, 0, "{}", run.stderr);
        run.stderr
    };
    let told = stderr(&["tenant", "list", "--context", "far"]);
    let own = env!("CARGO_PKG_VERSION");
    assert_eq!(
        told,
        format!(
            "warning: ssctl is {own}, the daemon of far is 0.9.0; this ssctl is older: install \
             0.9.0, what it does not know it does not show\n"
        )
    );
    assert_eq!(stderr(&["tenant", "list", "--all-contexts"]), told);
    assert_eq!(stderr(&["tenant", "list", "--context", "near"]), "");
    assert_eq!(stderr(&["tenant", "list", "--context", "far", "--quiet"]), "");
    let refusing = Region::of_version(Some("0.9.0"), |_, _| {
        Answer::No(Code::Unimplemented, "no such method", "UNKNOWN", Vec::new())
    });
    machine.file("streamspace/contexts.toml", &refusing.context(&machine, "far"));
    let run = machine.run(&["tenant", "list", "--context", "far"]);
    assert!(run.stderr.starts_with(&format!("warning: ssctl is {own}")), "{}", run.stderr);
}

#[test]
fn an_incident_goes_with_each_call_and_is_the_reason() {
    let machine = Machine::new();
    let region = Region::start(|_, _| Answer::Is(tenant("acme", "free", 1)));
    let run = |arguments: &[&str]| {
        let run = Run::new(region.command(&machine, arguments).output().unwrap());
        (run.exit, run.stderr)
    };
    let (exit, stderr) = run(&["tenant", "cordon", "acme", "--incident", "INC-7"]);
    assert_eq!(exit, 0, "{stderr}");
    assert_eq!(region.incidents(), [Some("INC-7".to_owned())]);
    assert_eq!(region.asked()[0].1["reason"], "INC-7");
    let both =
        ["tenant", "cordon", "acme", "--incident", "INC-7", "--reason", "a leak", "--dry-run"];
    run(&both);
    assert_eq!(region.incidents(), [Some("INC-7".to_owned()), Some("INC-7".to_owned())]);
    assert_eq!(region.asked()[1].1["reason"], "a leak");
    run(&["tenant", "show", "acme"]);
    assert_eq!(region.incidents(), [None]);
    let (exit, stderr) = run(&["tenant", "cordon", "acme", "--incident", "7 up"]);
    assert_eq!(exit, 2);
    assert!(stderr.contains("--incident <NAME>") && stderr.contains("INC-7"), "{stderr}");
    assert_eq!(region.incidents(), []);
}
