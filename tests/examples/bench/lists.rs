//! A list of a thousand, from the start of the program to its end: `ssctl tenant list`
//! against `kubectl get namespaces`, which is what people use today.
//!
//! Both are the real programs and list the same thousand: the tenants of a region, and
//! the namespaces of these tenants in the region's own cluster. Both prove themselves with a
//! client certificate over a new connection, and print a table into a pipe.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use streamspace_tests::{cluster::Cluster, daemon::program, region::Region};

use crate::{
    table::{Line, middle, milliseconds, verdict},
    tenants::{active, wish},
};

const COUNT: usize = 1000;
const RUNS: usize = 50;
/// The first runs read files and fill caches: `kubectl` keeps what the API server offers.
const WARM_UP: usize = 3;
/// How many times faster the list is to be.
const TARGET: f64 = 8.0;
const PATIENCE: Duration = Duration::from_mins(10);
const AT_A_TIME: usize = 8;

/// A program with its arguments and its whole environment.
struct Program {
    path: PathBuf,
    arguments: &'static [&'static str],
    variables: Vec<(String, String)>,
}

impl Program {
    /// Runs it, and returns how long that took and how many lines it printed.
    fn run(&self) -> (Duration, usize) {
        let mut command = Command::new(&self.path);
        command.args(self.arguments).env_clear().envs(self.variables.iter().cloned());
        command.stdin(Stdio::null());
        let begin = Instant::now();
        let output = command.output().expect("it starts");
        let took = begin.elapsed();
        let talk = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {talk}", self.path.display());
        (took, String::from_utf8_lossy(&output.stdout).lines().count())
    }
}

/// Both lists, in turns.
pub(crate) async fn measure(region: &Region) -> Line {
    wish(region, "listed-", COUNT, AT_A_TIME).await;
    active(&region.pool(), PATIENCE).await;
    let ours = Program {
        path: program("ssctl"),
        arguments: &["tenant", "list"],
        variables: region.admin().all_variables(),
    };
    let home = tempfile::tempdir().expect("a temporary folder");
    let variable = |name: &str, value: String| (name.to_owned(), value);
    let kubectl = Program {
        path: Cluster::kubectl().await.expect("kubectl"),
        arguments: &["get", "namespaces"],
        variables: vec![
            variable("HOME", home.path().display().to_string()),
            variable("KUBECONFIG", region.cluster().kubeconfig().display().to_string()),
        ],
    };
    let both = tokio::task::spawn_blocking(move || {
        let _home = home;
        for _ in 0..WARM_UP {
            let (_, lines) = ours.run();
            assert_eq!(lines, COUNT + 1, "a title and all tenants");
            let (_, lines) = kubectl.run();
            assert!(lines > COUNT, "a title, all namespaces and the system's own");
        }
        (0..RUNS).map(|_| (ours.run().0, kubectl.run().0)).unzip()
    });
    let (ours, kubectl): (Vec<_>, Vec<_>) = both.await.expect("both lists");
    let (ours, kubectl) = (middle(ours), middle(kubectl));
    let ratio = kubectl.as_secs_f64() / ours.as_secs_f64();
    Line {
        what: format!("`ssctl tenant list`, {COUNT} tenants, start to end (p50 of {RUNS})"),
        ours: milliseconds(ours),
        against: format!("`kubectl get namespaces`, their {COUNT} namespaces"),
        bare: milliseconds(kubectl),
        ratio: format!("{ratio:.1} times faster"),
        remark: verdict(ratio >= TARGET, "≥ 8 times"),
    }
}
