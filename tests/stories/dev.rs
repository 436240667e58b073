//! `streamspaced dev`: a whole region with one command, and `ssctl` beside it.

use std::path::{Path, PathBuf};

use rustix::process::Signal;
use serde_json::Value;
use streamspace_tests::{
    daemon::{Daemon, Log},
    janitor, life,
    region::shared_cluster,
    runtime::story,
    ssctl::Ssctl,
    wait::{holds, until},
};
use tempfile::TempDir;

/// A development region that can be started again.
struct Development {
    daemon: Option<Daemon>,
    log: Log,
    ssctl: Ssctl,
    data: PathBuf,
    _folder: TempDir,
}

impl Development {
    fn new() -> Self {
        // PostgreSQL runs under another account where the tests run as root.
        let mut builder = tempfile::Builder::new();
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        let folder = builder.prefix("ss-dev-").permissions(open).tempdir().unwrap();
        janitor::folder(folder.path());
        Self {
            daemon: None,
            log: Log::new(folder.path().join("streamspaced.log")),
            ssctl: Ssctl::new(folder.path().join("home")),
            data: folder.path().join("data"),
            _folder: folder,
        }
    }

    /// Starts it, and returns what it says once it is ready.
    async fn start(&mut self, more: &[&str]) -> String {
        let data = self.data.display().to_string();
        let mut arguments =
            vec!["dev", "--data-dir", &data, "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"];
        arguments.extend(more);
        let home = self.ssctl.home().display().to_string();
        let config = format!("{home}/config");
        let variables = [
            ("HOME", home.as_str()),
            ("XDG_CONFIG_HOME", config.as_str()),
            ("SSCTL_CREDENTIAL_STORE", "file"),
        ];
        let before = self.log.text().len();
        let mut daemon = Daemon::start(&arguments, self.log.path(), &variables).gently();
        let said = until("the development region is ready", async || {
            assert!(daemon.ended().is_none(), "it ended by itself: {:?}", daemon.ended());
            let said = self.log.text().split_off(before);
            holds(said.contains("Ctrl-C stops everything"), || said.clone())?;
            Ok::<_, String>(said)
        })
        .await;
        self.daemon = Some(daemon);
        said
    }

    async fn interrupt(&mut self) {
        let status = self.daemon.take().unwrap().stop(Signal::INT).await;
        assert_eq!(status.code(), Some(0), "{status}");
    }

    async fn kill(&mut self) {
        self.daemon.take().unwrap().kill().await;
    }

    /// The tenants and their states.
    async fn tenants(&self) -> Vec<(String, String)> {
        let list = self.ssctl.json(&["--context", "dev", "tenant", "list"]).await;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let all = list.as_array().unwrap().iter();
        all.map(|tenant| (text(&tenant["name"]), text(&tenant["state"]))).collect()
    }

    async fn are_active(&self, wanted: &[&str]) {
        let wanted: Vec<(String, String)> = wanted
            .iter()
            .map(|id| (format!("tenants/{id}"), "TENANT_STATE_ACTIVE".to_owned()))
            .collect();
        until("these tenants are active, and no others there", async || {
            let found = self.tenants().await;
            holds(found == wanted, || format!("{found:?}"))
        })
        .await;
    }
}

/// The processes of PostgreSQL whose data are below this folder.
fn postgres_below(folder: &Path) -> Vec<String> {
    let folder = folder.display().to_string();
    let mut found = Vec::new();
    for process in std::fs::read_dir("/proc").unwrap().flatten() {
        let Ok(line) = std::fs::read(process.path().join("cmdline")) else { continue };
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if line.contains("postgres") && line.contains(&folder) {
            found.push(line);
        }
    }
    found
}

#[test]
fn a_development_region_on_the_simulator_keeps_its_data() {
    story(async {
        let mut dev = Development::new();
        let said = dev.start(&[]).await;
        assert!(said.contains("the built-in simulator"), "{said}");
        for command in ["ssctl tenant list", "ssctl region show", "--dry-run"] {
            assert!(said.contains(command), "{command:?} is not in {said}");
        }
        dev.are_active(&["acme-corp", "beta-inc", "charlie-llc"]).await;
        let acme = dev.ssctl.json(&["tenant", "show", "acme-corp"]).await;
        assert_eq!((&acme["plan"], &acme["seats"]), (&"plans/business".into(), &10.into()));
        let beta = dev.ssctl.json(&["tenant", "show", "beta-inc"]).await;
        assert_eq!(beta["plan"], "plans/professional");
        let charlie = dev.ssctl.json(&["tenant", "show", "charlie-llc"]).await;
        assert_eq!(charlie["plan"], "plans/free");
        let region = dev.ssctl.json(&["region", "show"]).await;
        assert_eq!(
            (&region["name"], &region["health"]),
            (&"regions/dev".into(), &"HEALTH_OK".into())
        );

        // The tour.
        let create = ["tenant", "create", "delta-gmbh", "--plan", "professional", "--seats", "5"];
        dev.ssctl.run(&[&create[..], &["--dry-run"]].concat()).await.exits(3);
        dev.ssctl.ok(&[&create[..], &["--wait"]].concat()).await;
        let archive = ["tenant", "archive", "charlie-llc", "--reason", "tour", "--yes", "--wait"];
        dev.ssctl.ok(&archive).await;
        dev.ssctl.ok(&["tenant", "restore", "charlie-llc", "--wait"]).await;
        let labelled = ["tenant", "set", "charlie-llc", "--display-name", "Charlie the Second"];
        dev.ssctl.ok(&labelled).await;

        // A second one on the same data is refused, and the first goes on.
        let data = dev.data.display().to_string();
        let other = tempfile::NamedTempFile::new().unwrap();
        let arguments =
            ["dev", "--data-dir", &data, "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"];
        let mut second = Daemon::start(&arguments, other.path(), &[]).gently();
        let status =
            until("the second one gives up", async || second.ended().ok_or("it runs")).await;
        assert_eq!(status.code(), Some(1));
        let words = std::fs::read_to_string(other.path()).unwrap();
        assert!(words.contains("another `streamspaced dev` runs on"), "{words}");

        assert!(!postgres_below(&dev.data).is_empty(), "its PostgreSQL is seen while it runs");
        dev.interrupt().await;
        assert_eq!(postgres_below(&dev.data), [""; 0], "no PostgreSQL stays");

        // The next start finds the same, and a sample that was changed stays changed.
        dev.start(&[]).await;
        let kept = ["acme-corp", "beta-inc", "charlie-llc", "delta-gmbh"];
        dev.are_active(&kept).await;
        let charlie = dev.ssctl.json(&["tenant", "show", "charlie-llc"]).await;
        assert_eq!(charlie["displayName"], "Charlie the Second");
        let again = dev.ssctl.json(&["tenant", "show", "acme-corp"]).await;
        assert_eq!(again["uid"], acme["uid"]);
        assert_eq!(again["etag"], acme["etag"], "nothing was changed by the restart");

        // After a kill the next one takes the PostgreSQL over that was left behind.
        dev.kill().await;
        dev.start(&[]).await;
        dev.are_active(&kept).await;
        dev.interrupt().await;
        assert_eq!(postgres_below(&dev.data), [""; 0], "no PostgreSQL stays");
    });
}

#[test]
fn a_development_region_on_a_real_cluster() {
    story(async {
        let cluster = shared_cluster().await;
        let mut dev = Development::new();
        let kubeconfig = cluster.kubeconfig().display().to_string();
        dev.start(&["--kubeconfig", &kubeconfig]).await;
        dev.are_active(&["acme-corp", "beta-inc", "charlie-llc"]).await;
        let client = cluster.client().await.unwrap();
        let namespaces: kube::Api<k8s_openapi::api::core::v1::Namespace> = kube::Api::all(client);
        let acme = namespaces.get("tenant-acme-corp").await.unwrap();
        assert_eq!(acme.metadata.labels.unwrap()["control.stream.space/plan"], "business");
        // It leaves the cluster as it was.
        life::trial_plan(&dev.ssctl).await;
        for id in ["acme-corp", "beta-inc", "charlie-llc"] {
            let trial = ["tenant", "set", id, "--plan", "trial", "--accept-overcommit", "--wait"];
            dev.ssctl.ok(&trial).await;
            life::bury(&dev.ssctl, id).await;
            let namespace = namespaces.get_opt(&format!("tenant-{id}")).await.unwrap();
            assert!(namespace.is_none(), "{id} is gone");
        }
        dev.interrupt().await;
    });
}
