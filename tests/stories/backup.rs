//! A region is lost with all that it stood on, and comes back out of its backup on a machine
//! with nothing.

use std::{
    path::Path,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use serde_json::Value;
use streamspace_tests::{
    daemon::{Daemon, program},
    database::Server,
    region::{Region, shared_cluster},
    runtime::story,
    wait::{holds, until},
};
use tokio::{process::Command, time::sleep};

/// The lists that must be as they were.
const LISTS: [&[&str]; 5] = [
    &["tenant", "list"],
    &["plan", "list"],
    &["incident", "list"],
    &["cert", "list"],
    &["operation", "list"],
];

/// What a restore changes on purpose, of every tenant.
fn without_generations(mut list: Value) -> Value {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                for field in ["generation", "observedGeneration", "etag"] {
                    fields.remove(field);
                }
                fields.values_mut().for_each(strip);
            }
            Value::Array(items) => items.iter_mut().for_each(strip),
            _ => {}
        }
    }
    strip(&mut list);
    list
}

async fn lists(region: &Region) -> Vec<Value> {
    let mut lists = Vec::new();
    for list in LISTS {
        lists.push(without_generations(region.admin().json(list).await));
    }
    lists
}

async fn backup(region: &Region, file: &Path) {
    let (config, file) = (region.config().display().to_string(), file.display().to_string());
    region.host(&["backup", "--config", &config, "--output", &file]).await;
    let said = region.host(&["backup", "verify", &file]).await;
    assert!(said.contains("It is whole"), "{said}");
}

/// Kills `streamspaced` at later and later moments until it ends by itself. How often.
async fn killed_again_and_again(arguments: &[&str], after_each: impl Fn()) -> u32 {
    for kills in 0_u32.. {
        let mut child = Command::new(program("streamspaced"))
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        tokio::select! {
            status = child.wait() => {
                let output = child.wait_with_output().await.unwrap();
                let said = String::from_utf8_lossy(&output.stderr).into_owned();
                assert!(status.unwrap().success(), "{arguments:?}: {said}");
                return kills;
            }
            () = sleep(Duration::from_millis(20 + u64::from(kills) * 60)) => {
                child.kill().await.unwrap();
                after_each();
            }
        }
    }
    unreachable!("it ends some time")
}

async fn create(region: &Region, tenant: &str) {
    region.admin().ok(&["tenant", "create", tenant, "--plan", "free", "--seats", "1"]).await;
}

async fn exists(region: &Region, tenant: &str) -> bool {
    let name = region.namespace(tenant);
    region.namespaces().await.get_opt(&name).await.unwrap().is_some()
}

#[test]
fn a_region_comes_back_on_an_empty_machine() {
    story(async {
        let mut region = Region::on(Server::start().await, shared_cluster().await).await;
        for tenant in ["acme", "beta"] {
            region
                .admin()
                .ok(&["tenant", "create", tenant, "--plan", "free", "--seats", "2", "--wait"])
                .await;
        }
        let ssctl = region.admin().clone();
        ssctl.ok(&["incident", "declare", "it burns", "--severity", "p3"]).await;
        let unused = region.token("eve", "admin").await;

        // While others write; and killed at any moment it leaves nothing that looks whole.
        let enough = Arc::new(AtomicBool::new(false));
        let writer = {
            let (ssctl, enough) = (ssctl.clone(), Arc::clone(&enough));
            tokio::spawn(async move {
                for number in 0_u32.. {
                    if enough.load(Ordering::Relaxed) {
                        break;
                    }
                    let id = format!("busy-{number}");
                    ssctl.run(&["tenant", "create", &id, "--plan", "free", "--seats", "1"]).await;
                }
            })
        };
        let store = region.folder().to_owned();
        let busy = store.join("busy.backup");
        let config = region.config().display().to_string();
        let output = busy.display().to_string();
        killed_again_and_again(&["backup", "--config", &config, "--output", &output], || {
            // It may have been at its very end.
            if busy.exists() {
                let mut verify = std::process::Command::new(program("streamspaced"));
                let verified = verify.args(["backup", "verify", &output]).output().unwrap();
                assert!(verified.status.success(), "a killed backup looks like a whole one");
                std::fs::remove_file(&busy).unwrap();
            }
        })
        .await;
        region.host(&["backup", "verify", &output]).await;
        // Not in the middle of one, which the daemon would do all the same.
        enough.store(true, Ordering::Relaxed);
        writer.await.unwrap();
        until("nothing is under way any more", async || {
            let query = "SELECT count(*) FROM tenants WHERE state = 'provisioning'";
            let busy: i64 = sqlx::query_scalar(query)
                .fetch_one(&region.pool())
                .await
                .map_err(|error| error.to_string())?;
            holds(busy == 0, || format!("{busy} are"))
        })
        .await;

        let before = lists(&region).await;
        let audit = region.admin().json(&["audit", "list"]).await;
        let file = store.join("region.backup");
        backup(&region, &file).await;
        // What happens after it is lost.
        region
            .admin()
            .ok(&["tenant", "create", "late", "--plan", "free", "--seats", "1", "--wait"])
            .await;
        region.kill().await;

        let (left, _old_server) = region.go_to(Server::start().await);
        restore(&region, &file).await;
        region.launch().await;
        until("the daemon waits for somebody to accept the cluster", async || {
            let said = region.cluster_says().await;
            holds(said.contains("streamspaced cluster pin"), || said.clone())
        })
        .await;
        // The old credential works, and all is as it was.
        assert_eq!(lists(&region).await, before);
        let now = region.admin().json(&["audit", "list", "--limit", "1000"]).await;
        let entries = audit.as_array().unwrap();
        assert!(!entries.is_empty());
        for entry in entries {
            assert!(now.as_array().unwrap().contains(entry), "{entry} is not in the audit log");
        }
        let now = now.to_string();
        assert!(now.contains("RestoreRegion"), "{now}");
        let login = ["login", &region.grpc().to_string(), "--token", &unused];
        assert_ne!(region.machine("eve").run(&login).await.code, 0, "a token that may be used");

        accept_and_resume(&region).await;
        the_lost_one_is_refused(&left.path().join("streamspaced.toml")).await;
    });
}

/// Restores, and is killed again and again meanwhile.
async fn restore(region: &Region, file: &Path) {
    let config = region.config().display().to_string();
    let superuser = region.server().superuser_url("postgres");
    let file = file.display().to_string();
    let arguments = ["restore", &file, "--config", &config, "--database-superuser", &superuser];
    let dry = [&arguments[..], &["--dry-run"]].concat();
    let said = region.host(&dry).await;
    assert!(said.contains("nothing was changed") && !region.config().exists(), "{said}");
    let kills = killed_again_and_again(&arguments, || {}).await;
    assert!(kills > 2, "it was killed {kills} times");
    let said = region.host(&arguments).await;
    assert!(said.contains("already; nothing was changed"), "{said}");
}

async fn accept_and_resume(region: &Region) {
    let config = region.config().display().to_string();
    region.host(&["cluster", "pin", "--config", &config, "--yes"]).await;
    region.is_well().await;
    let shown = region.admin().json(&["region", "show"]).await;
    let reason = shown["pause"]["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("restored from backup"), "{shown}");
    let revision = shown["revision"].as_str().and_then(|it| it.parse::<i64>().ok());
    assert!(revision.unwrap_or_default() >= 1_000_000_000, "{shown}");
    until("what is not in the backup is told as orphaned", async || {
        let shown = region.admin().json(&["region", "show"]).await;
        let orphans = shown["orphans"].to_string();
        holds(orphans.contains("late"), || orphans.clone())
    })
    .await;
    // Paused, it writes nothing.
    create(region, "fresh").await;
    until("the tenant says that it waits", async || {
        let shown = region.admin().json(&["tenant", "show", "fresh"]).await.to_string();
        holds(shown.contains("Paused"), || shown.clone())
    })
    .await;
    assert!(!exists(region, "fresh").await, "it wrote although it is paused");
    region.admin().ok(&["region", "unpause", "--reason", "looked at it"]).await;
    until("it writes to the same cluster", async || {
        let there = exists(region, "fresh").await;
        holds(there, || "no namespace".into())
    })
    .await;
    assert!(exists(region, "late").await, "an orphan was deleted");
}

/// The daemon that was lost lives after all, on its own database.
async fn the_lost_one_is_refused(config: &Path) {
    let text = std::fs::read_to_string(config).unwrap();
    let mut table: toml::Table = toml::from_str(&text).unwrap();
    for key in ["grpc", "http"] {
        table["listen"].as_table_mut().unwrap().insert(key.into(), "127.0.0.1:0".into());
    }
    std::fs::write(config, table.to_string()).unwrap();
    let log = config.with_file_name("lost.log");
    let daemon = Daemon::start(&["run", "--config", &config.display().to_string()], &log, &[]);
    until("it says that the cluster is another database's", async || {
        let said = std::fs::read_to_string(&log).unwrap_or_default();
        holds(said.contains("the cluster belongs to another database"), || said.clone())
    })
    .await;
    daemon.kill().await;
}
