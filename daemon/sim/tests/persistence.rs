//! What survives the end of the process, and what a damaged file does.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::{fs, path::Path, process::Command, time::Duration};

use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use serde_json::json;
use streamspace_sim::{OpenError, Simulator, Verb};

const LOG: &str = "objects.jsonl";
/// Set for the child process of the kill test: its data folder.
const CHILD_FOLDER: &str = "STREAMSPACE_SIM_TEST_FOLDER";

fn api(simulator: &Simulator) -> Api<Namespace> {
    Api::all(simulator.client())
}

async fn apply(api: &Api<Namespace>, name: &str, value: &str) -> Namespace {
    let wanted = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name, "labels": { "value": value } } });
    api.patch(name, &PatchParams::apply("test"), &Patch::Apply(wanted)).await.unwrap()
}

async fn all(api: &Api<Namespace>) -> Vec<Namespace> {
    api.list(&ListParams::default()).await.unwrap().items
}

#[tokio::test]
async fn another_start_finds_the_same_objects_and_goes_on_counting() {
    let folder = tempfile::tempdir().unwrap();
    let (before, version) = {
        let simulator = Simulator::open(folder.path()).unwrap();
        let api = api(&simulator);
        apply(&api, "kept", "1").await;
        let changed = apply(&api, "kept", "2").await;
        (all(&api).await, changed.resource_version().unwrap().parse::<u64>().unwrap())
    };
    let simulator = reopen(folder.path()).await;
    let api = api(&simulator);
    assert_eq!(all(&api).await, before);
    let later = apply(&api, "later", "1").await;
    assert_eq!(later.resource_version().unwrap(), (version + 1).to_string());
}

/// Opens a folder that was just closed: its last client may be ending still.
async fn reopen(folder: &Path) -> Simulator {
    for _ in 0..500 {
        match Simulator::open(folder) {
            Err(OpenError::InUse(_)) => tokio::time::sleep(Duration::from_millis(10)).await,
            other => return other.unwrap(),
        }
    }
    panic!("the folder stays in use");
}

#[tokio::test]
async fn an_end_that_had_begun_goes_on_after_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    {
        let simulator = Simulator::open(folder.path()).unwrap();
        let api = api(&simulator);
        apply(&api, "ending", "1").await;
        api.delete("ending", &DeleteParams::default()).await.unwrap();
        // Nothing ends while the server is stopped; then the process is gone.
        simulator.set_available(false);
    }
    let copy = tempfile::tempdir().unwrap();
    fs::copy(folder.path().join(LOG), copy.path().join(LOG)).unwrap();
    let simulator = Simulator::open(copy.path()).unwrap();
    let api = api(&simulator);
    tokio::time::timeout(Duration::from_secs(20), async {
        while api.get_opt("ending").await.unwrap().is_some() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn garbage_that_was_left_is_collected_after_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let map = |name: &str, owner: Option<(&str, &str)>| {
        let owners: Vec<_> = owner
            .map(|(name, uid)| json!({ "apiVersion": "v1", "kind": "ConfigMap", "name": name, "uid": uid }))
            .into_iter()
            .collect();
        serde_json::from_value::<ConfigMap>(
            json!({ "metadata": { "name": name, "ownerReferences": owners } }),
        )
        .unwrap()
    };
    {
        let simulator = Simulator::open(folder.path()).unwrap();
        let maps: Api<ConfigMap> = Api::default_namespaced(simulator.client());
        let owner = maps.create(&PostParams::default(), &map("owner", None)).await.unwrap();
        let uid = owner.uid().unwrap();
        maps.create(&PostParams::default(), &map("child", Some(("owner", &uid)))).await.unwrap();
        maps.delete("owner", &DeleteParams::background()).await.unwrap();
        // Nothing is collected while the server is stopped; then the process is gone.
        simulator.set_available(false);
    }
    let copy = tempfile::tempdir().unwrap();
    fs::copy(folder.path().join(LOG), copy.path().join(LOG)).unwrap();
    let simulator = Simulator::open(copy.path()).unwrap();
    let maps: Api<ConfigMap> = Api::default_namespaced(simulator.client());
    tokio::time::timeout(Duration::from_secs(20), async {
        while maps.get_opt("child").await.unwrap().is_some() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_record_cut_short_anywhere_is_dropped_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    {
        let simulator = Simulator::open(folder.path()).unwrap();
        let api = api(&simulator);
        apply(&api, "first", "1").await;
        apply(&api, "last", "1").await;
    }
    let whole = fs::read(folder.path().join(LOG)).unwrap();
    let last_line = whole[..whole.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
    for length in
        [last_line, last_line + 1, usize::midpoint(last_line, whole.len()), whole.len() - 1]
    {
        let copy = tempfile::tempdir().unwrap();
        fs::write(copy.path().join(LOG), &whole[..length]).unwrap();
        let simulator = Simulator::open(copy.path()).unwrap();
        let api = api(&simulator);
        assert!(api.get_opt("first").await.unwrap().is_some());
        assert!(api.get_opt("last").await.unwrap().is_none());
        apply(&api, "last", "2").await;
        let repaired = fs::read_to_string(copy.path().join(LOG)).unwrap();
        assert!(
            repaired.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok())
        );
    }
}

#[tokio::test]
async fn a_damaged_record_in_the_middle_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    drop(Simulator::open(folder.path()).unwrap());
    let path = folder.path().join(LOG);
    let mut lines: Vec<String> =
        fs::read_to_string(&path).unwrap().lines().map(str::to_owned).collect();
    lines[1] = "{".to_owned();
    fs::write(&path, lines.join("\n") + "\n").unwrap();
    let error = Simulator::open(folder.path()).unwrap_err();
    assert!(matches!(&error, OpenError::Corrupt { line: 2, .. }), "{error}");
}

#[tokio::test]
async fn a_folder_serves_one_simulator_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let first = Simulator::open(folder.path()).unwrap();
    assert!(matches!(Simulator::open(folder.path()), Err(OpenError::InUse(_))));
    drop(first);
    Simulator::open(folder.path()).unwrap();
}

#[tokio::test]
async fn stale_records_are_rewritten_away() {
    let folder = tempfile::tempdir().unwrap();
    {
        let simulator = Simulator::open(folder.path()).unwrap();
        apply(&api(&simulator), "busy", "0").await;
    }
    // As many writes as make the most of the file stale.
    let path = folder.path().join(LOG);
    let content = fs::read_to_string(&path).unwrap();
    let line = content.lines().last().unwrap();
    fs::write(&path, format!("{content}{}", format!("{line}\n").repeat(1_100))).unwrap();
    let simulator = reopen(folder.path()).await;
    let api = api(&simulator);
    let last = apply(&api, "busy", "1").await;
    let lines = fs::read_to_string(folder.path().join(LOG)).unwrap().lines().count();
    assert_eq!(lines, 6, "five objects and the revision");
    let copy = tempfile::tempdir().unwrap();
    fs::copy(folder.path().join(LOG), copy.path().join(LOG)).unwrap();
    let reopened = Simulator::open(copy.path()).unwrap();
    apply(&api, "after", "1").await;
    assert!(fs::read_to_string(&path).unwrap().contains("\"after\""), "writes go to the new file");
    assert_eq!(self::api(&reopened).get("busy").await.unwrap(), last);
}

#[tokio::test]
async fn what_was_answered_survives_a_kill() {
    if let Some(folder) = std::env::var_os(CHILD_FOLDER) {
        return write_until_killed(Path::new(&folder)).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let answered = folder.path().join("answered");
    for round in 0..5 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "what_was_answered_survives_a_kill"])
            .env(CHILD_FOLDER, folder.path())
            .spawn()
            .unwrap();
        let before = fs::read_to_string(&answered).unwrap_or_default().lines().count();
        let wanted = before + 3 + round * 7;
        for _ in 0..2_000 {
            if fs::read_to_string(&answered).unwrap_or_default().lines().count() >= wanted {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let lines = fs::read_to_string(&answered).unwrap();
        assert!(lines.lines().count() >= wanted, "the child wrote");
        let simulator = reopen(folder.path()).await;
        let found = all(&api(&simulator)).await;
        for line in lines.lines() {
            assert!(
                found.iter().any(|namespace| namespace.name_any() == line),
                "{line} was answered and is lost"
            );
        }
    }
}

/// Writes each name down once its creation was answered.
async fn write_until_killed(folder: &Path) {
    use std::io::Write;
    let simulator = reopen(folder).await;
    let api = api(&simulator);
    let start = all(&api).await.len();
    let mut answered =
        fs::OpenOptions::new().create(true).append(true).open(folder.join("answered")).unwrap();
    for index in start.. {
        let name = format!("child-{index}");
        apply(&api, &name, "1").await;
        answered.write_all(format!("{name}\n").as_bytes()).unwrap();
    }
}

#[tokio::test]
async fn requests_are_counted_and_dry_runs_are_no_writes() {
    let simulator = Simulator::in_memory();
    let api = api(&simulator);
    apply(&api, "one", "1").await;
    apply(&api, "one", "1").await;
    all(&api).await;
    api.delete("one", &DeleteParams::default().dry_run()).await.unwrap();
    assert_eq!(simulator.writes(), 2);
    assert_eq!(simulator.requests(Verb::Patch), 2);
    assert_eq!(simulator.requests(Verb::Delete), 1);
    assert_eq!(simulator.requests(Verb::List), 1);
}
