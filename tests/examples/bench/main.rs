//! `make bench`: how close the shipped programs come to the bare limit, measured in the
//! same run on the same machine, as a table of ratios.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a measurement that fails says so and ends"
)]

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use futures::{StreamExt as _, stream};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Patch, PatchParams};
use rustix::process::Signal;
use serde_json::json;
use sqlx::{Connection as _, Row as _};
use streamspace_proto::v1::{CreateTenantRequest, GetTenantRequest, Tenant};
use streamspace_tests::{
    daemon::{Daemon, program},
    region::Region,
    runtime::story,
    wait::{holds, until},
};
use uuid::Uuid;

const STARTS: usize = 200;
const CALLS: usize = 2000;
const TENANTS: usize = 200;
/// How many tenants the daemon works on at a time.
const AT_A_TIME: usize = 8;
/// What `ssctl version` may take.
const VERSION_LIMIT: Duration = Duration::from_millis(5);
/// How soon a development region is to be ready.
const READY_LIMIT: Duration = Duration::from_secs(5);

/// One line of the table.
struct Line {
    what: &'static str,
    ours: String,
    against: &'static str,
    bare: String,
    ratio: String,
    remark: String,
}

fn main() {
    build();
    let mut lines = vec![version(), help()];
    story(async {
        lines.push(development().await);
        let region = Region::start().await;
        lines.push(get_tenant(&region).await);
        lines.push(new_tenants(&region).await);
    });
    print(&lines);
}

/// The programs as they are shipped.
fn build() {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "-p", "streamspaced", "-p", "ssctl"]);
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    assert!(command.status().expect("cargo starts").success(), "the programs do not build");
}

/// The median.
fn middle(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    *times.get(times.len() / 2).expect("at least one")
}

fn start(program: &Path, arguments: &[&str]) -> Duration {
    let begin = Instant::now();
    let status = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    let took = begin.elapsed();
    assert!(status.expect("it starts").success(), "{}", program.display());
    took
}

fn starts(arguments: &[&str]) -> (Duration, Duration) {
    let (ssctl, bare) = (program("ssctl"), PathBuf::from("/bin/true"));
    // In turns, so that both meet the same machine.
    let pairs = (0..STARTS).map(|_| (start(&ssctl, arguments), start(&bare, &[])));
    let (ours, bare): (Vec<_>, Vec<_>) = pairs.unzip();
    (middle(ours), middle(bare))
}

fn version() -> Line {
    let (ours, bare) = starts(&["version"]);
    Line {
        what: "ssctl version, start to end (p50)",
        ours: milliseconds(ours),
        against: "/bin/true",
        bare: milliseconds(bare),
        ratio: times(ours, bare),
        remark: within(ours, VERSION_LIMIT),
    }
}

fn help() -> Line {
    let (ours, bare) = starts(&["tenant", "create", "--help"]);
    Line {
        what: "ssctl tenant create --help (p50)",
        ours: milliseconds(ours),
        against: "/bin/true",
        bare: milliseconds(bare),
        ratio: times(ours, bare),
        remark: String::new(),
    }
}

/// From the start of the program to the lines that invite to try it: with a new folder,
/// and with one that is there.
async fn development() -> Line {
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    let folder = tempfile::Builder::new().prefix("ss-bench-").permissions(open).tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (data, home, log) = (path("data"), path("home"), folder.path().join("log"));
    let arguments =
        ["dev", "--data-dir", &data, "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"];
    let variables = [
        ("HOME", home.as_str()),
        ("XDG_CONFIG_HOME", home.as_str()),
        ("SSCTL_CREDENTIAL_STORE", "file"),
    ];
    let mut took = Vec::new();
    for _ in 0..2 {
        let before = std::fs::read_to_string(&log).unwrap_or_default().len();
        let begin = Instant::now();
        let daemon = Daemon::start(&arguments, &log, &variables).gently();
        until("the development region is ready", async || {
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            let said = text.get(before..).unwrap_or_default();
            holds(said.contains("Ctrl-C stops everything"), || said.to_owned())
        })
        .await;
        took.push(begin.elapsed());
        daemon.stop(Signal::INT).await;
    }
    let (first, second) = (took.remove(0), took.remove(0));
    Line {
        what: "streamspaced dev, new folder, until ready",
        ours: milliseconds(first),
        against: "the second start",
        bare: milliseconds(second),
        ratio: times(first, second),
        remark: within(first, READY_LIMIT),
    }
}

/// One call over an open connection, against its query on the same database.
async fn get_tenant(region: &Region) -> Line {
    let create = ["tenant", "create", "measured", "--plan", "free", "--seats", "1", "--wait"];
    region.admin().ok(&create).await;
    let mut client = region.admin().connection().tenants();
    let mut session = region.pool().acquire().await.unwrap().detach();
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..CALLS {
        let request = GetTenantRequest { name: "tenants/measured".into() };
        let begin = Instant::now();
        client.get_tenant(request).await.unwrap();
        ours.push(begin.elapsed());

        let begin = Instant::now();
        let mut transaction = session.begin().await.unwrap();
        let row = sqlx::query("SELECT * FROM tenants WHERE tenant_id = $1 AND state <> 'gone'")
            .bind("measured")
            .fetch_one(&mut *transaction)
            .await
            .unwrap();
        transaction.rollback().await.unwrap();
        bare.push(begin.elapsed());
        assert!(!row.is_empty());
    }
    let (ours, bare) = (middle(ours), middle(bare));
    Line {
        what: "GetTenant over mutual TLS (p50)",
        ours: milliseconds(ours),
        against: "its SELECT in a transaction",
        bare: milliseconds(bare),
        ratio: times(ours, bare),
        remark: String::new(),
    }
}

/// New tenants until all are active in the cluster, against applying as many namespaces.
async fn new_tenants(region: &Region) -> Line {
    let namespaces = region.namespaces().await;
    let begin = Instant::now();
    stream::iter(0..TENANTS)
        .for_each_concurrent(AT_A_TIME, async |number| {
            let name = region.namespace(&format!("bare-{number}"));
            let wish = json!({
                "apiVersion": "v1",
                "kind": "Namespace",
                "metadata": { "name": name, "labels": { "tier": "free" } },
            });
            let manager = PatchParams::apply("bench");
            let applied: Namespace =
                namespaces.patch(&name, &manager, &Patch::Apply(&wish)).await.unwrap();
            assert!(applied.metadata.uid.is_some());
        })
        .await;
    let bare = begin.elapsed();

    let connection = region.admin().connection();
    let begin = Instant::now();
    stream::iter(0..TENANTS)
        .for_each_concurrent(AT_A_TIME, async |number| {
            let request = CreateTenantRequest {
                tenant_id: format!("new-{number}"),
                tenant: Some(Tenant { plan: "plans/free".into(), seats: 1, ..Tenant::default() }),
                request_id: Uuid::new_v4().to_string(),
                ..CreateTenantRequest::default()
            };
            connection.tenants().create_tenant(request).await.unwrap();
        })
        .await;
    let pool = region.pool();
    until("all are active", async || {
        let query = "SELECT count(*) FROM tenants WHERE state <> 'active'";
        let missing: i64 = sqlx::query_scalar(query).fetch_one(&pool).await.unwrap();
        holds(missing == 0, || format!("{missing} are not"))
    })
    .await;
    let ours = begin.elapsed();
    Line {
        what: "200 new tenants, from the wish to active",
        ours: rate(ours),
        against: "200 namespaces applied",
        bare: rate(bare),
        ratio: times(ours, bare),
        remark: "wish, audit and observation included".into(),
    }
}

fn milliseconds(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1000.0)
}

fn rate(time: Duration) -> String {
    let number = f64::from(u32::try_from(TENANTS).unwrap());
    format!("{:.0} /s", number / time.as_secs_f64())
}

fn times(ours: Duration, bare: Duration) -> String {
    format!("{:.2}", ours.as_secs_f64() / bare.as_secs_f64())
}

fn within(time: Duration, limit: Duration) -> String {
    let word = if time <= limit { "within" } else { "OVER" };
    format!("{word} {} ms", limit.as_millis())
}

fn print(lines: &[Line]) {
    println!("\n{:<44} {:>12}   {:<30} {:>12} {:>7}", "what", "ours", "bare", "", "ratio");
    for Line { what, ours, against, bare, ratio, remark } in lines {
        println!("{what:<44} {ours:>12}   {against:<30} {bare:>12} {ratio:>7}  {remark}");
    }
}
