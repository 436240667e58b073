//! The daemon under a service manager: what it tells of itself, what it is handed, and what a
//! reload changes.

mod unit;

use std::{net::TcpListener, os::unix::fs::PermissionsExt};

use rustix::process::Signal;
use streamspace_client::{Watch, WatchEvent};
use streamspace_proto::v1::{ResourceKind, Selection, WatchRequest};
use streamspace_tests::{
    database::Server,
    http,
    manager::Manager,
    region::{Region, shared_cluster},
    rpc,
    runtime::story,
    wait::{PATIENCE, holds, until},
};
use tokio::time::timeout;

/// Short, so that a story sees some rounds of it.
const WATCHDOG_USEC: &str = "1000000";

fn has(line: &'static str) -> impl Fn(&str) -> bool {
    move |message| message.lines().any(|each| each == line)
}

fn says(words: &'static str) -> impl Fn(&str) -> bool {
    move |message| message.lines().any(|line| line.starts_with("STATUS=") && line.contains(words))
}

/// A region whose daemon was stopped, to be started by a manager.
async fn stopped(server: Server) -> (Region, Manager) {
    let region = Region::on(server, shared_cluster().await).await;
    region.stop().await;
    let manager = Manager::listen(region.folder());
    (region, manager)
}

async fn launch(region: &Region, manager: &Manager) {
    let address = manager.address();
    let variables = [("NOTIFY_SOCKET", address.as_str()), ("WATCHDOG_USEC", WATCHDOG_USEC)];
    region.launch_with(&variables).await;
}

#[test]
fn the_manager_hears_that_the_daemon_serves_lives_and_stops() {
    story(async {
        let (region, manager) = stopped(Server::start().await).await;
        region.server().kill().await;
        launch(&region, &manager).await;
        let waits = manager.hears(0, "it waits", says("starting: ")).await;
        let messages = manager.messages();
        let patience = "EXTEND_TIMEOUT_USEC=60000000";
        assert!(messages.iter().any(|message| has(patience)(message)), "{messages:?}");
        manager.hears(waits, "it tells what it waits for", says("not well: database")).await;
        assert_eq!(manager.count("READY=1"), 0, "it cannot answer yet");
        assert_eq!(manager.count("WATCHDOG=1"), 0, "nobody waits for it yet");

        region.server().start_again().await;
        let ready = manager.hears(0, "it is ready", has("READY=1")).await;
        region.admin().ok(&["tenant", "list"]).await;
        let leads = manager.hears(ready, "it tells who leads", says("leads, leader term ")).await;
        let lives = manager.hears(leads, "it lives", has("WATCHDOG=1")).await;

        // Longer than the pool may be silent. A restart would not bring the database back.
        region.server().kill().await;
        let away = manager.hears(lives, "it is told", says("not well: database")).await;
        let before = manager.count("WATCHDOG=1");
        until("it goes on to live without the database", async || {
            let beats = manager.count("WATCHDOG=1") - before;
            holds(beats > 30, || format!("{beats} times"))
        })
        .await;
        assert!(!region.log().contains("the daemon hangs"), "it does not");
        region.server().start_again().await;
        manager
            .hears(away, "it is well again", |message| {
                says("leads")(message) && !message.contains("not well")
            })
            .await;

        let told = manager.messages().len();
        assert!(region.stop().await.success());
        manager.hears(told, "it stops", has("STOPPING=1")).await;
        assert_eq!(manager.count("READY=1"), 1);
    });
}

async fn change(watch: &mut Watch) {
    loop {
        match timeout(PATIENCE, watch.next()).await.expect("in time").expect("it goes on") {
            WatchEvent::Change(_) => return,
            WatchEvent::Bookmark { .. } => {}
            other => panic!("the stream was dropped: {other:?}"),
        }
    }
}

/// The names of the certificate that is served, as bytes in it.
async fn serves(region: &Region, name: &str) -> bool {
    let authority = region.authority().certificate();
    let shown = rpc::server_certificate(region.grpc(), &authority).await;
    shown.as_ref().windows(name.len()).any(|bytes| bytes == name.as_bytes())
}

#[test]
fn a_reload_takes_up_what_it_can_names_the_rest_and_drops_no_call() {
    story(async {
        let (region, manager) = stopped(Server::shared().await).await;
        launch(&region, &manager).await;
        let mut seen = manager.hears(0, "it is ready", has("READY=1")).await;
        region.is_well().await;
        let connection = region.admin().connection();
        let tenants = Selection { kind: ResourceKind::Tenant.into(), ..Selection::default() };
        let request = WatchRequest { selections: vec![tenants], ..WatchRequest::default() };
        let mut watch = connection.watch(request);
        loop {
            let event = timeout(PATIENCE, watch.next()).await.unwrap().unwrap();
            if matches!(event, WatchEvent::Synced { .. }) {
                break;
            }
        }

        // A fault changes nothing, also of what stands beside it.
        let names = |more: &[&str]| {
            let all = ["localhost", "127.0.0.1"].iter().chain(more);
            toml::Value::from(all.map(ToString::to_string).collect::<Vec<_>>())
        };
        region.set("access", "names", names(&["later.example"]));
        region.set("tenants", "workers", 0);
        region.signal(Signal::HUP).await;
        let begins = manager.hears(seen, "a reload begins", has("RELOADING=1")).await;
        let message = manager.messages()[begins - 1].clone();
        assert!(message.contains("\nMONOTONIC_USEC="), "{message}");
        seen = manager.hears(begins, "it is over", has("READY=1")).await;
        let message = manager.messages()[seen - 1].clone();
        assert!(
            message.contains("changed nothing") && message.contains("tenants.workers"),
            "{message}"
        );
        assert!(!serves(&region, "later.example").await);

        // What needs a restart is named, and the rest is taken up.
        region.set("tenants", "workers", 8);
        region.set("log", "filter", "info,streamspaced=debug,sqlx::query=debug");
        region.signal(Signal::HUP).await;
        seen = manager.hears(seen, "it is over", says("needs a restart: tenants.workers")).await;
        let message = manager.messages()[seen - 1].clone();
        assert!(message.contains("reloaded: access.names, log.filter;"), "{message}");
        assert!(serves(&region, "later.example").await, "a new certificate");
        let log = region.log();
        assert!(log.contains("\"field\":\"tenants.workers\""), "the log names it");
        until("other lines are logged", async || {
            holds(region.log().contains("sqlx::query"), String::new)
        })
        .await;

        // It is told again until it is so; what was taken up is not.
        region.set("access", "names", toml::Value::from(vec!["ü.example".to_owned()]));
        region.signal(Signal::HUP).await;
        seen = manager.hears(seen, "it is refused", says("access.names: ")).await;
        assert!(serves(&region, "later.example").await, "the one before is served on");
        region.set("access", "names", names(&["later.example"]));
        region.signal(Signal::HUP).await;
        manager
            .hears(seen, "it is over", says("reloaded: nothing; needs a restart: tenants.workers"))
            .await;

        region.admin().ok(&["tenant", "create", "acme", "--plan", "free", "--seats", "1"]).await;
        change(&mut watch).await;
        assert!(region.stop().await.success());
    });
}

/// The two addresses of a region, opened by somebody else.
fn open(region: &Region) -> [TcpListener; 2] {
    [region.http(), region.grpc()].map(|address| TcpListener::bind(address).unwrap())
}

#[test]
fn sockets_that_were_handed_over_are_served_by_their_names() {
    story(async {
        let region = Region::start().await;
        region.stop().await;
        // Nobody may listen there, so it does not try to.
        for key in ["grpc", "http"] {
            region.set("listen", key, "192.0.2.1:1");
        }
        let sockets = open(&region);
        let kept = sockets.each_ref().map(|socket| socket.try_clone().unwrap());
        region.launch_handed("http:grpc", sockets).await;
        region.is_well().await;
        region.admin().ok(&["tenant", "list"]).await;

        // Whoever connects while there is no daemon waits for the next one.
        region.stop().await;
        let asked = tokio::spawn(http::get(region.http(), "/livez"));
        let again = kept.each_ref().map(|socket| socket.try_clone().unwrap());
        region.launch_handed("http:grpc", again).await;
        assert_eq!(timeout(PATIENCE, asked).await.unwrap().unwrap().unwrap().0, 200);
        region.stop().await;

        for (names, fault) in [
            ("http:web", "LISTEN_FDNAMES: \"web\" names no socket of this daemon"),
            ("http:http", "two sockets are named http"),
            ("http", "1 names for 2 sockets"),
        ] {
            let sockets = kept.each_ref().map(|socket| socket.try_clone().unwrap());
            let status = region.handed(names, sockets).ends().await;
            assert_eq!(status.code(), Some(1), "{names}");
            let log = region.log();
            let last = log.lines().last().unwrap_or_default();
            assert!(last.contains(fault), "{last}");
        }
    });
}

#[test]
fn a_configuration_is_checked_and_a_schema_is_planned_before_a_start() {
    story(async {
        let region = Region::start().await;
        region.stop().await;
        let config = region.config().display().to_string();
        let kubeconfig = std::fs::File::open(region.kubeconfig()).unwrap();
        kubeconfig.set_permissions(PermissionsExt::from_mode(0o600)).unwrap();
        let check = ["check-config", "--config", &config];
        assert!(region.host(&check).await.ends_with(": no fault\n"));
        let plan = ["migrate", "--plan", "--config", &config];
        assert_eq!(region.host(&plan).await, "The schema is up to date.\n");
        assert_eq!(
            region.host(&["migrate", "--config", &config]).await,
            "The schema is up to date.\n"
        );

        region.set("tenants", "workers", 0);
        region.set("log", "filter", "a=loud");
        let (code, said) = region.host_fails(&check).await;
        assert_eq!(code, Some(1));
        for words in ["tenants.workers: 0 must be 1 to 256\n", "log.filter: ", ": 2 faults\n"] {
            assert!(said.contains(words), "{words}: {said}");
        }
    });
}
