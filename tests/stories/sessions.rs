//! Sessions on a real API server, whose nodes are played: one from its creation to its end
//! beside another, and those of the platform's own definitions and templates.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{PersistentVolumeClaim, Pod, Service},
};
use streamspace_proto::v1::SessionPhase;
use streamspace_tests::{
    region::shared_cluster,
    runtime::story,
    wait::{holds, within},
};

use scene::{PATIENCE, Scene, TENANT};

pub(crate) mod scene;
mod upstream;
mod used;

#[test]
fn a_session_lives_from_its_creation_to_its_end_beside_another() {
    story(async {
        let scene = Scene::on(shared_cluster().await).await;
        // A template of which none can be made, and one that there is not.
        for (template, words) in [("broken", "spec.baseImage"), ("firefux", "`firefox` was meant")]
        {
            let name = format!("{TENANT}/never");
            let line = ["session", "create", &name, "--user", "ada", "--template", template];
            let refused = scene.region.admin().run(&line).await;
            assert_ne!(refused.code, 0);
            refused.says(words);
        }
        assert!(scene.session("never").await.is_err());

        // Two of one user and template.
        for (name, idle) in [("desk-1", "10s"), ("desk-2", "1h")] {
            let name = format!("{TENANT}/{name}");
            let line = ["session", "create", &name, "--user", "ada", "--template", "firefox"];
            scene
                .ok(&[&line[..], &["--idle-timeout", idle, "--reason", "demo", "--wait"]].concat())
                .await;
        }
        let one = scene.until("desk-1", SessionPhase::Running).await;
        let other = scene.until("desk-2", SessionPhase::Running).await;
        assert!(!one.pod_name.is_empty() && one.pod_name != other.pod_name, "{one:?} {other:?}");
        assert!(!one.node.is_empty() && one.awake_time.is_some(), "{one:?}");
        let objects = scene.kinds("desk-1").await;
        for wanted in [
            ("Session", "desk-1"),
            ("Deployment", "desk-1"),
            ("Pod", one.pod_name.as_str()),
            ("Service", "desk-1"),
            ("PersistentVolumeClaim", "home-ada"),
        ] {
            let is_it = |(kind, name): &(String, String)| (kind.as_str(), name.as_str()) == wanted;
            assert!(objects.iter().any(is_it), "{wanted:?}: {objects:?}");
        }

        // Nobody uses the first.
        let earlier = Timestamp::now() - SignedDuration::from_mins(5);
        scene.used("desk-1", earlier).await;
        let asleep = scene.until("desk-1", SessionPhase::Hibernated).await;
        assert!(asleep.awake_time.is_none(), "{asleep:?}");
        assert_eq!(scene.session("desk-2").await.unwrap().phase(), SessionPhase::Running);
        within(PATIENCE, "its pod is gone", async || {
            let pods = scene.count::<Pod>("control.stream.space/session=desk-1").await;
            holds(pods == 0, || format!("{pods} pods"))
        })
        .await;
        within(PATIENCE, "an event tells why", async || {
            let events = scene.described("desk-1").await.events;
            let idle = events
                .iter()
                .any(|event| event.object == "Session/desk-1" && event.reason == "Idle");
            holds(idle, || format!("{events:?}"))
        })
        .await;

        // It wakes, in another pod.
        scene.used("desk-1", Timestamp::now()).await;
        let name = format!("{TENANT}/desk-1");
        scene.ok(&["session", "wake", &name, "--reason", "they are back", "--wait"]).await;
        let again = scene.session("desk-1").await.unwrap();
        assert_eq!(again.uid, one.uid);

        // And ends. The home stays, and so does the other.
        let end = ["session", "terminate", &name, "--yes", "--reason", "over", "--wait"];
        scene.ok(&end).await;
        scene.until("desk-1", SessionPhase::Terminated).await;
        within(PATIENCE, "all but the home is gone", async || {
            let selector = "control.stream.space/session=desk-1";
            let left = (
                scene.count::<Deployment>(selector).await,
                scene.count::<Service>(selector).await,
                scene.count::<Pod>(selector).await,
            );
            holds(left == (0, 0, 0), || format!("{left:?}"))
        })
        .await;
        let homes = scene.count::<PersistentVolumeClaim>("control.stream.space/home=ada").await;
        assert_eq!(homes, 1);
        assert_eq!(scene.session("desk-2").await.unwrap().phase(), SessionPhase::Running);
        within(PATIENCE, "each step is metered", async || {
            let phases = scene.metered(&one.uid).await;
            let steps: Vec<&str> =
                phases.iter().map(String::as_str).filter(|phase| *phase != "Pending").collect();
            holds(steps == ["Running", "Hibernated", "Running", "Terminated"], || {
                format!("{phases:?}")
            })
        })
        .await;

        // All that is left, by a drain.
        let drain = ["session", "drain", "--tenant", TENANT, "--yes", "--reason", "upgrade"];
        scene.ok(&[&drain[..], &["--wait"]].concat()).await;
        scene.until("desk-2", SessionPhase::Hibernated).await;
    });
}

#[test]
fn a_deleted_tenant_leaves_its_usage() {
    story(async {
        let scene = Scene::on(shared_cluster().await).await;
        let (ann, otto) = (scene.region.admin(), scene.region.person("otto", "admin").await);
        let name = format!("{TENANT}/desk-1");
        let line = ["session", "create", &name, "--user", "ada", "--template", "firefox"];
        scene.ok(&[&line[..], &["--reason", "demo", "--wait"]].concat()).await;
        let uid = scene.session("desk-1").await.unwrap().uid;

        scene.ok(&["tenant", "archive", TENANT, "--reason", "end", "--confirm", TENANT]).await;
        // Before its retention is over, which a second person must agree to.
        let delete = ["tenant", "delete", TENANT, "--reason", "end", "--confirm", TENANT];
        let delete = [&delete[..], &["--before-retention"]].concat();
        ann.run(&delete).await.exits(13);
        let pending = ann.json(&["approval", "list", "--filter", "state = pending"]).await;
        let approval = pending[0]["name"].as_str().unwrap().replace("approvals/", "");
        otto.ok(&["approval", "approve", &approval]).await;
        scene.ok(&delete).await;
        // Its sessions are let go once their end is stored, and the namespace with them.
        within(PATIENCE, "nothing is left", async || {
            let namespaces = scene.region.namespaces().await;
            let found = namespaces.get_opt(&scene.region.namespace(TENANT)).await;
            let gone = found.map_err(|error| error.to_string())?.is_none();
            let shown = ann.run(&["tenant", "show", TENANT]).await;
            holds(gone && shown.code == 6, || format!("gone: {gone}; {}", shown.stdout))
        })
        .await;
        let phases = scene.metered(&uid).await;
        let is_over = phases.last().is_some_and(|phase| phase == "Terminated");
        assert!(is_over && phases.iter().any(|phase| phase == "Running"), "{phases:?}");
        scene.ok(&["usage", "explain", TENANT]).await.prints("desk-1").prints("home-ada");
        scene.ok(&["usage", "verify", TENANT]).await;
    });
}
