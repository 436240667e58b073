use std::sync::Arc;

use futures::FutureExt as _;

use super::*;
use crate::{
    audit::AuditLog,
    rpc::audit::{AuditRecord, AuditSink, AuditUnavailable, Outcome},
    tenants::service::tests::World,
};

async fn leader(world: &World) -> Leadership {
    world.sql("UPDATE leader SET leader_term = 3, replica = 'a'").await;
    Leadership { replica: "a".into(), leader_term: 3, leads: true }
}

fn log(world: &World) -> EndLog {
    EndLog::new(Arc::new(AuditLog::new(world.test.database().clone(), "a", "local")))
}

/// Who, what, why and what changed, of each entry of a phase in the order of their times.
async fn told(world: &World, phase: &str) -> Vec<(String, String, String, String)> {
    sqlx::query_as(
        "SELECT actor, method, reason, summary FROM audit_entries WHERE phase = $1 \
         ORDER BY time, method",
    )
    .bind(phase)
    .fetch_all(world.test.database().operator())
    .await
    .unwrap()
}

async fn record(world: &World, uid: TenantUid) -> TenantRecord {
    let mut tx = world.test.database().begin(&Scope::Region).await.unwrap();
    store::by_uid(&mut tx, uid).await.unwrap().unwrap()
}

async fn set_override(world: &World, uid: TenantUid, amount: i64, created: &str, expires: &str) {
    world
        .sql(&format!(
            "INSERT INTO quota_overrides (tenant_uid, override_id, resource, amount, reason, actor, \
             create_time, expire_time) VALUES ('{}', gen_random_uuid(), 'cpu', {amount}, '', 'kim', \
             now() + '{created}', now() + '{expires}')",
            uid.0
        ))
        .await;
}

#[tokio::test]
async fn what_is_over_ends_and_what_was_before_comes_back() {
    let world = World::start().await;
    let leadership = leader(&world).await;
    let db = world.test.database();
    let uid = world.test.insert_tenant("acme").await;
    set_override(&world, uid, 5000, "-3 minutes", "1 hour").await;
    set_override(&world, uid, 9000, "-2 minutes", "-1 second").await;
    world
        .sql(
            "UPDATE tenants SET state = 'suspended', resume_state = 'cordoned', cordon_reason = 'x', \
             pause_reason = 'INC-7', pause_actor = 'lee', \
             cordon_until = now() - interval '1 second', pause_until = now() - interval '1 second'",
        )
        .await;
    let before = record(&world, uid).await;
    assert_eq!(before.quota().cpu.0, 9000, "it applies until it is ended");
    assert_eq!(end_what_has_ended(db, &log(&world), &leadership).await.unwrap(), [uid]);
    let after = record(&world, uid).await;
    assert_eq!(after.quota().cpu.0, 5000);
    assert_eq!(
        (after.state, after.resume_state),
        (TenantState::Suspended, Some(TenantState::Active))
    );
    assert!(
        after.cordon_until.is_none() && after.cordon_reason.is_empty() && after.pause.is_none()
    );
    assert_eq!(after.generation, before.generation + 1);
    let told: i64 = sqlx::query_scalar("SELECT count(*) FROM changes WHERE actor = 'streamspaced'")
        .fetch_one(db.operator())
        .await
        .unwrap();
    assert_eq!(told, 1);
    let ends = self::told(&world, "outcome").await;
    let [quota, cordon, pause] = ends.as_slice() else { panic!("{ends:?}") };
    assert_eq!(quota.0, "streamspaced");
    assert_eq!(quota.1, "streamspaced/EndQuotaOverride");
    assert_eq!(quota.2, "its time is over; kim had set it");
    assert!(quota.3.starts_with("cpu 9 → 5 until 20"), "{}", quota.3);
    assert_eq!((&cordon.1[..], &cordon.3[..]), ("streamspaced/EndTenantCordon", "cordon ended"));
    assert_eq!(pause.1, "streamspaced/EndTenantPause");
    assert_eq!(pause.2, "its time is over; lee had set it for: INC-7");
    assert_eq!(pause.3, "pause ended");
    assert_eq!(self::told(&world, "intent").await.len(), 3);
    assert!(end_what_has_ended(db, &log(&world), &leadership).await.unwrap().is_empty());
    let next = next_end(db).await.unwrap().unwrap();
    assert!(next > Duration::from_secs(3500) && next <= Duration::from_hours(1), "{next:?}");
}

#[tokio::test]
async fn a_cordon_opens_a_tenant_again_and_another_leader_ends_nothing() {
    let world = World::start().await;
    let leadership = leader(&world).await;
    let db = world.test.database();
    let uid = world.test.insert_tenant("acme").await;
    world
        .sql("UPDATE tenants SET state = 'cordoned', cordon_until = now() - interval '1 second'")
        .await;
    let replaced = Leadership { leader_term: 2, ..leadership.clone() };
    assert!(end_what_has_ended(db, &log(&world), &replaced).await.unwrap().is_empty());
    assert_eq!(record(&world, uid).await.state, TenantState::Cordoned);
    end_what_has_ended(db, &log(&world), &leadership).await.unwrap();
    assert_eq!(record(&world, uid).await.state, TenantState::Active);
}

/// As after a restart: what ended while no daemon ran is ended at once.
#[tokio::test]
async fn the_loop_ends_what_is_over_and_waits_for_what_comes() {
    let world = World::start().await;
    let leadership = leader(&world).await;
    let uid = world.test.insert_tenant("acme").await;
    set_override(&world, uid, 9000, "-1 hour", "-30 minutes").await;
    set_override(&world, uid, 7000, "-1 minute", "300 milliseconds").await;
    let (_sender, receiver) = watch::channel(leadership);
    let stop = CancellationToken::new();
    let task =
        tokio::spawn(run(world.test.database().clone(), log(&world), receiver, stop.clone()));
    let ended = async {
        while record(&world, uid).await.quota().cpu.0 != 4000 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), ended).await.unwrap();
    stop.cancel();
    task.await.unwrap();
}

/// Refuses intents, or takes them and fails at the outcomes.
struct Broken {
    takes_intents: bool,
    behind: AuditLog,
}

impl AuditSink for Broken {
    fn intent<'a>(
        &'a self,
        record: &'a AuditRecord,
    ) -> futures::future::BoxFuture<'a, Result<(), AuditUnavailable>> {
        async move {
            if self.takes_intents {
                return self.behind.intent(record).await;
            }
            Err(AuditUnavailable("the disk is full".into()))
        }
        .boxed()
    }

    fn outcome<'a>(
        &'a self,
        _record: &'a AuditRecord,
        _outcome: &'a Outcome,
    ) -> futures::future::BoxFuture<'a, Result<(), AuditUnavailable>> {
        async { Err(AuditUnavailable("the disk is full".into())) }.boxed()
    }

    fn denied(&self, _record: AuditRecord, _code: i32, _message: String) {}

    fn left(&self, call: Uuid) {
        self.behind.left(call);
    }
}

fn broken(world: &World, takes_intents: bool) -> EndLog {
    let behind = AuditLog::new(world.test.database().clone(), "a", "local");
    EndLog::new(Arc::new(Broken { takes_intents, behind }))
}

#[tokio::test]
async fn an_end_waits_for_the_audit_log() {
    let world = World::start().await;
    let leadership = leader(&world).await;
    let db = world.test.database();
    let uid = world.test.insert_tenant("acme").await;
    set_override(&world, uid, 9000, "-2 minutes", "-1 second").await;
    let refused = end_what_has_ended(db, &broken(&world, false), &leadership).await.unwrap();
    assert!(refused.is_empty());
    assert_eq!(record(&world, uid).await.quota().cpu.0, 9000, "it waits");
    assert_eq!(end_what_has_ended(db, &log(&world), &leadership).await.unwrap(), [uid]);
    assert_eq!(record(&world, uid).await.quota().cpu.0, 4000);
}

/// As a kill -9 after the intent, and one after the commit.
#[tokio::test]
async fn an_end_that_was_cut_off_has_one_intent_and_one_true_outcome() {
    let world = World::start().await;
    let leadership = leader(&world).await;
    let db = world.test.database();
    let uid = world.test.insert_tenant("acme").await;
    set_override(&world, uid, 9000, "-2 minutes", "-1 second").await;
    let override_id = record(&world, uid).await.overrides[0].id;
    let due = End {
        id: override_id,
        method: "EndQuotaOverride",
        resource: "tenants/acme".into(),
        setter: "kim".into(),
        reason: String::new(),
        summary: String::new(),
    };
    drop(log(&world).begin(due).await.unwrap());
    let own = Arc::new(AuditLog::new(db.clone(), "a", "local"));
    assert_eq!(crate::audit::sweep::pass(&own).await.unwrap(), 0, "it is done again");

    let ended = end_what_has_ended(db, &broken(&world, true), &leadership).await.unwrap();
    assert_eq!(ended, [uid], "an outcome that cannot be written takes nothing back");
    assert!(told(&world, "outcome").await.is_empty());
    assert_eq!(crate::audit::sweep::pass(&own).await.unwrap(), 1, "what was done is known");
    assert_eq!(crate::audit::sweep::pass(&own).await.unwrap(), 0);
    assert_eq!(told(&world, "intent").await.len(), 1);
    let outcomes = told(&world, "outcome").await;
    assert_eq!((outcomes.len(), &outcomes[0].3[..]), (1, "cpu 9 → 4"));
    let decision: String =
        sqlx::query_scalar("SELECT decision FROM audit_entries WHERE phase = 'outcome'")
            .fetch_one(db.operator())
            .await
            .unwrap();
    assert_eq!(decision, "succeeded");
}
