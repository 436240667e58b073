//! `streamspaced dev`: a whole region with one command, and `ssctl` beside it.

use std::path::Path;

use streamspace_tests::{
    daemon::Daemon, development::Development, life, region::shared_cluster, runtime::story,
    wait::until,
};

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
        let acme = dev.ssctl().json(&["tenant", "show", "acme-corp"]).await;
        assert_eq!((&acme["plan"], &acme["seats"]), (&"plans/business".into(), &10.into()));
        let beta = dev.ssctl().json(&["tenant", "show", "beta-inc"]).await;
        assert_eq!(beta["plan"], "plans/professional");
        let charlie = dev.ssctl().json(&["tenant", "show", "charlie-llc"]).await;
        assert_eq!(charlie["plan"], "plans/free");
        let region = dev.ssctl().json(&["region", "show"]).await;
        assert_eq!(
            (&region["name"], &region["health"]),
            (&"regions/dev".into(), &"HEALTH_OK".into())
        );

        // The tour.
        let create = ["tenant", "create", "delta-gmbh", "--plan", "professional", "--seats", "5"];
        dev.ssctl().run(&[&create[..], &["--dry-run"]].concat()).await.exits(3);
        dev.ssctl().ok(&[&create[..], &["--wait"]].concat()).await;
        let archive = ["tenant", "archive", "charlie-llc", "--reason", "tour", "--yes", "--wait"];
        dev.ssctl().ok(&archive).await;
        dev.ssctl().ok(&["tenant", "restore", "charlie-llc", "--wait"]).await;
        let labelled = ["tenant", "set", "charlie-llc", "--display-name", "Charlie the Second"];
        dev.ssctl().ok(&labelled).await;

        // A second one on the same data is refused, and the first goes on.
        let data = dev.data().display().to_string();
        let other = tempfile::NamedTempFile::new().unwrap();
        let arguments =
            ["dev", "--data-dir", &data, "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"];
        let mut second = Daemon::start(&arguments, other.path(), &[]).gently();
        let status =
            until("the second one gives up", async || second.ended().ok_or("it runs")).await;
        assert_eq!(status.code(), Some(1));
        let words = std::fs::read_to_string(other.path()).unwrap();
        assert!(words.contains("another `streamspaced dev` runs on"), "{words}");

        assert!(!postgres_below(dev.data()).is_empty(), "its PostgreSQL is seen while it runs");
        dev.interrupt().await;
        assert_eq!(postgres_below(dev.data()), [""; 0], "no PostgreSQL stays");

        // The next start finds the same, and a sample that was changed stays changed.
        dev.start(&[]).await;
        let kept = ["acme-corp", "beta-inc", "charlie-llc", "delta-gmbh"];
        dev.are_active(&kept).await;
        let charlie = dev.ssctl().json(&["tenant", "show", "charlie-llc"]).await;
        assert_eq!(charlie["displayName"], "Charlie the Second");
        let again = dev.ssctl().json(&["tenant", "show", "acme-corp"]).await;
        assert_eq!(again["uid"], acme["uid"]);
        assert_eq!(again["etag"], acme["etag"], "nothing was changed by the restart");

        // After a kill the next one takes the PostgreSQL over that was left behind.
        dev.kill().await;
        dev.start(&[]).await;
        dev.are_active(&kept).await;
        dev.interrupt().await;
        assert_eq!(postgres_below(dev.data()), [""; 0], "no PostgreSQL stays");

        // A fresh one has the samples alone, and knows its person again.
        dev.start(&["--fresh"]).await;
        dev.are_active(&["acme-corp", "beta-inc", "charlie-llc"]).await;
        let anew = dev.ssctl().json(&["tenant", "show", "acme-corp"]).await;
        assert_ne!(anew["uid"], acme["uid"]);
        dev.interrupt().await;
    });
}

#[test]
fn several_development_regions_on_one_machine() {
    story(async {
        let mut dev = Development::new();
        let said = dev.start(&["--no-samples"]).await;
        assert!(said.contains("  ssctl tenant list"), "{said}");
        let mut other = dev.beside();
        let said = other.start(&["--region", "eu-west-1", "--no-samples"]).await;
        assert!(said.contains("  ssctl --context eu-west-1 tenant list"), "{said}");
        let names = |value: &serde_json::Value| {
            let mut names: Vec<String> = value["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|region| region["name"].as_str().unwrap().to_owned())
                .collect();
            names.sort();
            names
        };
        let both = dev.ssctl().json(&["--all-contexts", "region", "list"]).await;
        assert_eq!(names(&both), ["regions/dev", "regions/eu-west-1"]);
        // One dies, and the other is still read.
        other.kill().await;
        let ran = dev.ssctl().run(&["--all-contexts", "region", "list", "-o", "json"]).await;
        assert_eq!(names(&ran.exits(10).json()), ["regions/dev"]);
        // It comes back by its name, on another port.
        other.start(&["--region", "eu-west-1", "--no-samples"]).await;
        let both = dev.ssctl().json(&["--all-contexts", "region", "list"]).await;
        assert_eq!(names(&both), ["regions/dev", "regions/eu-west-1"]);
        other.interrupt().await;
        dev.interrupt().await;
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
        life::trial_plan(dev.ssctl()).await;
        for id in ["acme-corp", "beta-inc", "charlie-llc"] {
            let trial = ["tenant", "set", id, "--plan", "trial", "--accept-overcommit", "--wait"];
            dev.ssctl().ok(&trial).await;
            life::bury(dev.ssctl(), id).await;
            let namespace = namespaces.get_opt(&format!("tenant-{id}")).await.unwrap();
            assert!(namespace.is_none(), "{id} is gone");
        }
        dev.interrupt().await;
    });
}
