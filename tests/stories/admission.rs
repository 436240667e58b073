//! Whether sessions may start, on a real API server: exactly as many as there are places,
//! also of many at once; what refuses after us; and what goes on while nobody answers.

#![allow(clippy::needless_pass_by_value, reason = "objects are written where they are used")]

use std::time::Duration;

use futures::future::join_all;
use k8s_openapi::{
    api::{
        admissionregistration::v1::ValidatingWebhookConfiguration,
        core::v1::{ResourceQuota, ResourceQuotaSpec},
    },
    apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::ObjectMeta},
};
use kube::{
    Api, Error,
    api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use streamspace_tests::{
    ports::Port,
    region::Region,
    runtime::story,
    sessions::{sessions, try_create},
    wait::{holds, until},
};

/// Rounds of many at once. Each has places of its own.
const ROUNDS: usize = 100;
/// So many ask at once.
const ASKS: usize = 10;

/// A region whose sessions run by nobody, so that only admission is at work, and whose
/// API server asks it.
async fn asked_region() -> (Region, Port) {
    let region = Region::start().await;
    let port = Port::take();
    region.stop().await;
    let webhook = toml::Table::from_iter([
        ("listen".to_owned(), port.address().to_string().into()),
        ("url".to_owned(), format!("https://{}/admit", port.address()).into()),
    ]);
    region.set("sessions", "controller", "external");
    region.set("sessions", "webhook", webhook);
    region.launch().await;
    region.is_well().await;
    until("the cluster asks", async || {
        let live = webhooks(&region).await.get_opt(&webhook_name(&region)).await;
        holds(matches!(live, Ok(Some(_))), || format!("{live:?}"))
    })
    .await;
    (region, port)
}

fn webhook_name(region: &Region) -> String {
    format!("{}-sessions", region.instance())
}

async fn webhooks(region: &Region) -> Api<ValidatingWebhookConfiguration> {
    Api::all(region.client().await)
}

/// A tenant on a plan, and its sessions.
async fn tenant(region: &Region, id: &str, plan: &str) -> Api<DynamicObject> {
    let create = ["tenant", "create", id, "--plan", plan, "--seats", "1"];
    region.admin().ok(&[&create[..], &["--admin", "ann@example.com", "--wait"]].concat()).await;
    let sessions = sessions(region.client().await, &region.namespace(id));
    // The API server takes up a new webhook within moments.
    until("the cluster asks before a session starts", async || {
        let mut endless = session("endless", "zoe", json!({}));
        endless.data["spec"]["resources"] = json!({"requests": {"memory": "2Gi"},
                                                   "limits": {"memory": "1Gi"}});
        let rehearsal = PostParams { dry_run: true, ..PostParams::default() };
        match sessions.create(&rehearsal, &endless).await {
            Err(Error::Api(status)) if status.message.contains("spec.resources") => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    sessions
}

fn session(name: &str, user: &str, resources: Value) -> DynamicObject {
    serde_json::from_value(json!({
        "apiVersion": "stream.space/v1alpha1", "kind": "Session",
        "metadata": {"name": name},
        "spec": {
            "user": user, "template": "firefox-browser", "state": "running",
            "resources": resources,
        },
    }))
    .unwrap()
}

fn small() -> Value {
    json!({"memory": "64Mi", "cpu": "50m"})
}

/// What a rehearsal of one session is refused with; nothing where it would be admitted.
async fn rehearsal_says(sessions: &Api<DynamicObject>) -> String {
    let rehearsal = PostParams { dry_run: true, ..PostParams::default() };
    match sessions.create(&rehearsal, &session("rehearsed", "lou", small())).await {
        Ok(_) => String::new(),
        Err(error) => error.to_string(),
    }
}

/// Creates these at once. Whoever is refused hears one of `words`.
async fn at_once(
    sessions: &Api<DynamicObject>,
    objects: Vec<DynamicObject>,
    words: &str,
) -> Vec<DynamicObject> {
    let created = objects.iter().map(|object| try_create(sessions, object));
    let mut admitted = Vec::new();
    for result in join_all(created).await {
        match result {
            Ok(object) => admitted.push(object),
            Err(Error::Api(status)) => {
                assert_eq!(status.code, 403, "{}", status.message);
                assert!(status.message.contains(words), "{words}: {}", status.message);
            }
            Err(error) => panic!("{error}"),
        }
    }
    admitted
}

async fn state(sessions: &Api<DynamicObject>, name: &str, state: &str) -> kube::Result<()> {
    let patch = Patch::Merge(json!({"spec": {"state": state}}));
    sessions.patch(name, &PatchParams::default(), &patch).await.map(drop)
}

async fn all_are_gone(sessions: &Api<DynamicObject>) {
    sessions.delete_collection(&DeleteParams::default(), &ListParams::default()).await.unwrap();
    until("all sessions are gone", async || {
        let left = sessions.list(&ListParams::default()).await.map_err(|e| e.to_string())?;
        holds(left.items.is_empty(), || format!("{} are left", left.items.len()))
    })
    .await;
}

async fn reserved(region: &Region) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM session_reservations")
        .fetch_one(&region.pool())
        .await
        .unwrap()
}

/// Brings the ends of all reservations near, which is as good as waiting for them: they are
/// judged by the watch's clock.
async fn all_have_expired(region: &Region) {
    sqlx::query("UPDATE session_reservations SET expire_time = now() - interval '10 minutes'")
        .execute(&region.pool())
        .await
        .unwrap();
}

/// Waits until the region has no place in use and none reserved.
async fn all_is_free(region: &Region) {
    until("no place is in use", async || {
        let held: i64 = sqlx::query_scalar(
            "SELECT (SELECT count(*) FROM session_reservations) \
                  + (SELECT count(*) FROM sessions WHERE state = 'running' AND NOT deleting)",
        )
        .fetch_one(&region.pool())
        .await
        .map_err(|error| error.to_string())?;
        holds(held == 0, || format!("{held} are held"))
    })
    .await;
}

#[test]
fn of_ten_at_once_against_five_free_places_five_start_each_time() {
    story(async {
        let (region, _port) = asked_region().await;
        // Five sessions for each user.
        let sessions = tenant(&region, "crowded", "professional").await;
        for round in 0..ROUNDS {
            let user = format!("user-{round}");
            let ten = (0..ASKS).map(|n| session(&format!("r{round}-{n}"), &user, small()));
            let admitted = at_once(&sessions, ten.collect(), "may run 5 sessions at once").await;
            assert_eq!(admitted.len(), 5, "round {round}");
            if round % 20 == 19 {
                all_are_gone(&sessions).await;
            }
        }
        all_are_gone(&sessions).await;
        all_is_free(&region).await;
    });
}

#[test]
fn memory_and_the_tenants_quota_are_held_alike() {
    story(async {
        let (region, _port) = asked_region().await;
        let sessions = tenant(&region, "hungry", "professional").await;
        for round in 0..ROUNDS {
            // 16Gi for each user: five of 3Gi.
            let user = format!("user-{round}");
            let large = || json!({"memory": "3Gi", "cpu": "100m"});
            let ten = (0..ASKS).map(|n| session(&format!("m{round}-{n}"), &user, large()));
            let admitted =
                at_once(&sessions, ten.collect(), "may have 16Gi of memory by plan").await;
            assert_eq!(admitted.len(), 5, "round {round}");
            // Five users have what the tenant has.
            if round % 5 == 4 {
                all_are_gone(&sessions).await;
                all_is_free(&region).await;
            }
        }
        for round in 0..10 {
            // 40 CPUs for the tenant: five of 8, of a user each.
            let quick = || json!({"memory": "64Mi", "cpu": "8"});
            let ten = (0..ASKS)
                .map(|n| session(&format!("c{round}-{n}"), &format!("user-{round}-{n}"), quick()));
            let admitted = at_once(&sessions, ten.collect(), "the tenant may have 40 of CPU").await;
            assert_eq!(admitted.len(), 5, "round {round}");
            all_are_gone(&sessions).await;
            all_is_free(&region).await;
        }
    });
}

#[test]
fn what_is_asked_again_or_refused_after_us_takes_no_place() {
    story(async {
        let (region, _port) = asked_region().await;
        let sessions = tenant(&region, "careful", "professional").await;
        let parameters = PostParams::default();

        // The webhook sees the uid that the object then has.
        let uid = until("a reservation is seen before it is met", async || {
            let name = format!("u{}", std::process::id());
            let created = sessions.create(&parameters, &session(&name, "una", small())).await;
            let created = created.map_err(|error| error.to_string())?;
            let uid: Option<uuid::Uuid> = sqlx::query_scalar(
                "SELECT session_uid FROM session_reservations WHERE name = $1 AND generation = 1",
            )
            .bind(&name)
            .fetch_optional(&region.pool())
            .await
            .map_err(|error| error.to_string())?;
            all_are_gone(&sessions).await;
            let pair = uid.map(|uid| (uid.to_string(), created.metadata.uid));
            pair.ok_or_else(|| "it was met first".to_owned())
        })
        .await;
        assert_eq!(Some(uid.0), uid.1);

        // A creation that is tried again while the first is under way: one place, of a name.
        let twice = || (0..2).map(|_| session("twice", "ted", small()));
        let created = join_all(
            twice().collect::<Vec<_>>().iter().map(|object| sessions.create(&parameters, object)),
        )
        .await;
        assert_eq!(created.iter().filter(|result| result.is_ok()).count(), 1, "{created:?}");
        let others = (0..ASKS).map(|n| session(&format!("other-{n}"), "ted", small()));
        let admitted = at_once(&sessions, others.collect(), "may run 5 sessions at once").await;
        assert_eq!(admitted.len(), 4);
        all_are_gone(&sessions).await;
        // That of the second uid, under which nothing was stored, waits for its end.
        all_have_expired(&region).await;
        all_is_free(&region).await;

        // A quota refuses after us. What was reserved for it comes back.
        let quotas =
            Api::<ResourceQuota>::namespaced(region.client().await, &region.namespace("careful"));
        let tight = ResourceQuota {
            metadata: ObjectMeta { name: Some("tight".into()), ..ObjectMeta::default() },
            spec: Some(ResourceQuotaSpec {
                hard: Some(
                    [("count/sessions.stream.space".to_owned(), Quantity("0".into()))].into(),
                ),
                ..ResourceQuotaSpec::default()
            }),
            ..ResourceQuota::default()
        };
        quotas.create(&parameters, &tight).await.unwrap();
        until("the API server holds the quota", async || {
            let words = rehearsal_says(&sessions).await;
            holds(words.contains("exceeded quota"), || words.clone())
        })
        .await;
        let five = (0..5).map(|n| session(&format!("lost-{n}"), "lou", small()));
        assert_eq!(at_once(&sessions, five.collect(), "exceeded quota: tight").await.len(), 0);
        assert_eq!(reserved(&region).await, 5);
        let words = "5 run or start";
        quotas.delete("tight", &DeleteParams::default()).await.unwrap();
        until("the API server holds the quota no more", async || {
            let words = rehearsal_says(&sessions).await;
            holds(!words.contains("exceeded quota"), || words.clone())
        })
        .await;
        let one = || vec![session("too-early", "lou", small())];
        assert_eq!(at_once(&sessions, one(), words).await.len(), 0, "it may still be stored");
        all_have_expired(&region).await;
        let five = (0..5).map(|n| session(&format!("anew-{n}"), "lou", small()));
        let admitted = at_once(&sessions, five.collect(), "exceeded quota").await;
        assert_eq!(admitted.len(), 5);
        until("the watch shows them, and nothing is reserved any more", async || {
            let open = reserved(&region).await;
            holds(open == 0, || format!("{open} are reserved"))
        })
        .await;
    });
}

#[test]
fn while_no_replica_answers_nothing_starts_and_all_else_goes_on() {
    story(async {
        let (region, _port) = asked_region().await;
        let sessions = tenant(&region, "alone", "business").await;
        let parameters = PostParams::default();
        for name in ["runs", "ends", "dies", "sleeps"] {
            sessions.create(&parameters, &session(name, "ada", small())).await.unwrap();
        }
        state(&sessions, "sleeps", "hibernated").await.unwrap();
        region.kill().await;

        let refused = |result: kube::Result<()>| match result {
            Err(Error::Api(status)) => {
                assert!(status.message.contains("failed calling webhook"), "{}", status.message);
            }
            other => panic!("not refused: {other:?}"),
        };
        let new = session("new", "ada", small());
        refused(sessions.create(&parameters, &new).await.map(drop));
        let rehearsal = PostParams { dry_run: true, ..PostParams::default() };
        refused(sessions.create(&rehearsal, &new).await.map(drop));
        refused(state(&sessions, "sleeps", "running").await);

        let mut asleep = session("asleep", "ada", small());
        asleep.data["spec"]["state"] = json!("hibernated");
        sessions.create(&parameters, &asleep).await.unwrap();
        let label = Patch::Merge(json!({
            "metadata": {"labels": {"a": "b"}, "finalizers": ["example.com/holds"]},
        }));
        sessions.patch("dies", &PatchParams::default(), &label).await.unwrap();
        let status = Patch::Merge(json!({"status": {"phase": "Running"}}));
        sessions.patch_status("runs", &PatchParams::default(), &status).await.unwrap();
        state(&sessions, "runs", "hibernated").await.unwrap();
        state(&sessions, "ends", "terminated").await.unwrap();
        // One that is being deleted gives up its finalizer, though it was to run.
        sessions.delete("dies", &DeleteParams::default()).await.unwrap();
        let free = Patch::Merge(json!({"metadata": {"finalizers": []}}));
        sessions.patch("dies", &PatchParams::default(), &free).await.unwrap();
        assert!(sessions.get_opt("dies").await.unwrap().is_none());
        // Namespaces that are no tenant's are not ours.
        let elsewhere = self::sessions(region.client().await, "default");
        let name = format!("{}-elsewhere", region.instance());
        elsewhere.create(&parameters, &session(&name, "ada", small())).await.unwrap();
        elsewhere.delete(&name, &DeleteParams::default()).await.unwrap();

        region.launch().await;
        region.is_well().await;
        sessions.create(&parameters, &new).await.unwrap();
        state(&sessions, "sleeps", "running").await.unwrap();
    });
}

#[test]
fn the_webhook_is_kept_as_it_should_be() {
    story(async {
        let (region, _port) = asked_region().await;
        let name = webhook_name(&region);
        let open = || {
            let operations = json!([
                {"op": "replace", "path": "/webhooks/0/failurePolicy", "value": "Ignore"},
            ]);
            Patch::Json::<()>(serde_json::from_value(operations).unwrap())
        };
        // The guard holds it as all that is managed.
        let by_admin = self::webhooks(&region).await;
        match by_admin.patch(&name, &PatchParams::default(), &open()).await {
            Err(Error::Api(status)) => {
                assert!(status.message.contains("streamspaced manages it"), "{}", status.message);
            }
            other => panic!("not refused: {other:?}"),
        }
        let webhooks: Api<ValidatingWebhookConfiguration> = Api::all(region.break_glass().await);
        let substance = async || {
            let live = webhooks.get_opt(&name).await.map_err(|error| error.to_string())?;
            Ok::<_, String>(live.map(|live| json!([live.metadata.labels, live.webhooks])))
        };
        let before = substance().await.unwrap();
        let repaired = async |what: &str| {
            let begin = std::time::Instant::now();
            until(what, async || {
                let now = substance().await?;
                holds(now == before, || format!("{now:?}"))
            })
            .await;
            begin.elapsed()
        };
        let mut best = Duration::MAX;
        for _ in 0..5 {
            webhooks.patch(&name, &PatchParams::default(), &open()).await.unwrap();
            best = best.min(repaired("the webhook refuses again while it is away").await);
            webhooks.delete(&name, &DeleteParams::default()).await.unwrap();
            best = best.min(repaired("the webhook is there again").await);
        }
        assert!(best < Duration::from_secs(1), "repaired after {best:?} at best");

        // One that is configured nowhere is left: another replica may serve it.
        region.stop().await;
        region.set("sessions", "webhook", toml::Table::new());
        region.launch().await;
        region.is_well().await;
        until("it is told", async || {
            holds(region.log().contains("in the break-glass group"), || "it is not".to_owned())
        })
        .await;
        assert!(substance().await.unwrap().is_some());
    });
}
