use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use streamspace_core::{access::Role, ids::RegionId};
use streamspace_proto::v1::{self, region_service_server::RegionService as _};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::Request;

use super::{
    controls::{BreakerTerms, ControlsFollower},
    ends,
    health::HealthBoard,
    service::Regions,
};
use crate::{
    audit::AuditLog,
    db::{Leadership, Scope, testing::TestDatabase},
    rpc::{
        Caller,
        caller::testing::caller,
        ends::EndLog,
        errors::{RpcError, RpcResult},
    },
};

struct Fixture {
    test: TestDatabase,
    regions: Regions,
    kim: Caller,
}

impl Fixture {
    async fn start() -> Self {
        Self::on(TestDatabase::create().await)
    }

    fn on(test: TestDatabase) -> Self {
        let db = test.database().clone();
        let terms = BreakerTerms { limit: 20, window: Duration::from_mins(10) };
        let regions = Regions {
            region: RegionId::parse("local").unwrap(),
            replica: "a".into(),
            start_time: Timestamp::now(),
            cluster_endpoint: "simulator".into(),
            board: HealthBoard::new(Timestamp::now()),
            leadership: watch::channel(Leadership::default()).1,
            revision: watch::channel(0).1,
            controls: ControlsFollower::new(db.clone(), terms),
            db,
        };
        Self { test, regions, kim: caller("kim", Role::Admin, Scope::Region) }
    }

    async fn show(&self) -> v1::Region {
        self.shown_to(self.kim.clone()).await
    }

    async fn shown_to(&self, caller: Caller) -> v1::Region {
        let mut request = Request::new(v1::GetRegionRequest { name: "regions/-".into() });
        request.extensions_mut().insert(caller);
        self.regions.get_region(request).await.unwrap().into_inner()
    }

    async fn sql(&self, sql: &'static str) {
        sqlx::query(sql).execute(self.test.database().operator()).await.unwrap();
    }
}

macro_rules! request {
    ($request:ident $(, $field:ident: $value:expr)*) => {
        &v1::$request {
            name: "regions/local".into(), reason: "test".into(), $($field: $value,)* ..Default::default()
        }
    };
}

fn refused<T: std::fmt::Debug>(result: RpcResult<T>) -> &'static str {
    match result.unwrap_err() {
        RpcError::Refused { reason, .. } => reason,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn cordon_and_pause_are_set_shown_and_ended() {
    let f = Fixture::start().await;
    let (regions, kim) = (&f.regions, &f.kim);
    let preview = request!(CordonRegionRequest, validate_only: true);
    assert!(regions.cordon(kim, preview).await.unwrap().cordon.is_some());
    assert!(f.show().await.cordon.is_none());
    let id = uuid::Uuid::now_v7().to_string();
    let cordon = request!(CordonRegionRequest, request_id: id);
    let first = regions.cordon(kim, cordon).await.unwrap();
    assert_eq!(regions.cordon(kim, cordon).await.unwrap(), first);
    let cordoned = f.show().await.cordon.unwrap();
    assert_eq!((cordoned.actor.as_str(), cordoned.reason.as_str()), ("kim", "test"));
    assert!(cordoned.expire_time.is_none());
    regions.uncordon(kim, request!(UncordonRegionRequest)).await.unwrap();
    assert!(f.show().await.cordon.is_none());
    assert_eq!(
        refused(regions.uncordon(kim, request!(UncordonRegionRequest)).await),
        "NOT_CORDONED"
    );

    regions.pause(kim, request!(PauseRegionRequest)).await.unwrap();
    let shown = f.show().await.pause.unwrap();
    let left = shown.expire_time.unwrap().seconds - Timestamp::now().as_second();
    assert!((3590..=3600).contains(&left), "an hour unless said: {left}");
    // It ends by itself, also in what was read before.
    f.sql("UPDATE region_controls SET pause_until = now() - interval '1 second'").await;
    regions.controls.refresh().await.unwrap();
    assert!(f.show().await.pause.is_none());
    assert_eq!(refused(regions.unpause(kim, request!(UnpauseRegionRequest)).await), "NOT_PAUSED");
    regions.pause(kim, request!(PauseRegionRequest)).await.unwrap();
    regions.unpause(kim, request!(UnpauseRegionRequest)).await.unwrap();
    assert!(f.show().await.pause.is_none());
}

#[tokio::test]
async fn bad_input_names_its_field() {
    let f = Fixture::start().await;
    let ttl = Some(prost_types::Duration { seconds: 0, nanos: 0 });
    let error = f.regions.pause(&f.kim, request!(PauseRegionRequest, ttl: ttl)).await.unwrap_err();
    assert!(error.to_string().starts_with("ttl: "), "{error}");
    for (name, not_found) in [("regions/other", true), ("other", false), ("", false)] {
        let request = v1::StepDownRequest { name: name.into(), ..Default::default() };
        let error = f.regions.step_down(&f.kim, &request).await.unwrap_err();
        assert_eq!(matches!(error, RpcError::NotFound(_)), not_found, "{error}");
    }
}

#[tokio::test]
async fn the_breaker_is_shown_and_released() {
    let f = Fixture::start().await;
    assert_eq!(
        refused(f.regions.release_breaker(&f.kim, request!(ReleaseBreakerRequest)).await),
        "BREAKER_CLOSED"
    );
    f.sql("INSERT INTO breaker_deletions (kind, namespace, name) VALUES ('Role', 'n', 'r')").await;
    f.sql("INSERT INTO breaker_deletions (time, kind, namespace, name) VALUES (now() - interval '1 hour', 'Role', 'n', 'r')").await;
    f.sql("UPDATE breaker SET trip_time = clock_timestamp(), message = 'too many'").await;
    f.sql("INSERT INTO orphans VALUES ('tenant-lost', 'lost', 'x')").await;
    f.regions.controls.refresh().await.unwrap();
    let shown = f.show().await;
    let breaker = shown.breaker.unwrap();
    assert!(breaker.tripped);
    assert_eq!((breaker.message.as_str(), breaker.deletions, breaker.limit), ("too many", 1, 20));
    assert_eq!(shown.orphans[0].namespace, "tenant-lost");
    f.regions.release_breaker(&f.kim, request!(ReleaseBreakerRequest)).await.unwrap();
    let breaker = f.show().await.breaker.unwrap();
    assert!(!breaker.tripped && breaker.message.is_empty());
    assert_eq!(breaker.deletions, 0);
}

#[tokio::test]
async fn stepping_down_names_the_term_that_leads() {
    let f = Fixture::start().await;
    assert_eq!(refused(f.regions.step_down(&f.kim, request!(StepDownRequest)).await), "NO_LEADER");
    f.sql("UPDATE leader SET leader_term = 4, replica = 'b', lease_until = now() + interval '1 minute'").await;
    let asked = f.regions.step_down(&f.kim, request!(StepDownRequest)).await.unwrap();
    let leader = asked.components.iter().find(|it| it.name == "leader").unwrap();
    assert!(leader.message.contains("leader term 4"), "{}", leader.message);
    assert!(leader.message.contains("only replica"), "{}", leader.message);
    let term: i64 = sqlx::query_scalar("SELECT step_down_term FROM region_controls")
        .fetch_one(f.test.database().operator())
        .await
        .unwrap();
    assert_eq!(term, 4);
}

#[tokio::test]
async fn what_was_read_last_is_shown_while_the_database_is_away() {
    let mut f = Fixture::on(TestDatabase::with_own_server().await);
    f.regions.cordon(&f.kim, request!(CordonRegionRequest)).await.unwrap();
    let stop = CancellationToken::new();
    let task = tokio::spawn(f.regions.controls.clone().run(stop.clone()));
    f.test.server().kill_server().unwrap();
    assert!(f.regions.controls.refresh().await.is_err());
    assert_eq!(f.show().await.cordon.unwrap().reason, "test");
    stop.cancel();
    task.await.unwrap();
}

#[tokio::test]
async fn a_caller_of_some_tenants_learns_nothing_of_others() {
    let f = Fixture::start().await;
    f.sql(
        "INSERT INTO orphans (namespace, tenant_label, tenant_uid_label) \
         VALUES ('tenant-acme', 'acme', 'x')",
    )
    .await;
    f.sql("UPDATE breaker SET trip_time = now(), message = 'Role tenant-acme/r'").await;
    f.sql(
        "INSERT INTO breaker_deletions (kind, namespace, name) VALUES ('Role', 'tenant-acme', 'r')",
    )
    .await;
    f.regions.controls.refresh().await.unwrap();
    let all = f.show().await;
    assert_eq!(all.orphans.len(), 1);
    assert!(all.breaker.unwrap().message.contains("tenant-acme"));
    let pat = caller("pat", Role::Admin, Scope::Tenants(vec![]));
    let some = f.shown_to(pat).await;
    assert!(some.breaker.as_ref().unwrap().tripped, "it holds their deletions too");
    assert!(!format!("{some:?}").contains("acme"), "{some:?}");
    assert_eq!(some.breaker.unwrap().deletions, 0);
}

#[tokio::test]
async fn a_cordon_and_a_pause_that_end_are_in_the_audit_log_once() {
    let f = Fixture::start().await;
    let db = f.test.database();
    f.sql("UPDATE leader SET leader_term = 3, replica = 'a'").await;
    let leader = Leadership { replica: "a".into(), leader_term: 3, leads: true };
    let log = EndLog::new(Arc::new(AuditLog::new(db.clone(), "a", "local")));
    let region = RegionId::parse("local").unwrap();
    let end = async || ends::end_what_has_ended(db, &log, &region, &leader).await.unwrap();
    let ttl = Some(prost_types::Duration { seconds: 3600, nanos: 0 });
    f.regions.cordon(&f.kim, request!(CordonRegionRequest, ttl: ttl)).await.unwrap();
    assert!(f.kim.notes.summary().starts_with("cordoned until 20"), "{}", f.kim.notes.summary());
    f.regions.pause(&f.kim, request!(PauseRegionRequest, ttl: ttl)).await.unwrap();
    assert_eq!(end().await, 0, "both hold");

    f.sql(
        "UPDATE region_controls SET cordon_until = now() - interval '1 second', \
         pause_until = now() - interval '1 second'",
    )
    .await;
    let replaced = Leadership { leader_term: 2, ..leader.clone() };
    assert_eq!(ends::end_what_has_ended(db, &log, &region, &replaced).await.unwrap(), 0);
    assert_eq!((end().await, end().await), (2, 0));
    let told: Vec<(String, String, String, String)> = sqlx::query_as(
        "SELECT phase, method, reason, summary FROM audit_entries ORDER BY method, time, phase",
    )
    .fetch_all(db.operator())
    .await
    .unwrap();
    let told: Vec<_> = told.iter().map(|(a, b, c, d)| [&a[..], &b[..], &c[..], &d[..]]).collect();
    let why = "its time is over; kim had set it for: test";
    assert_eq!(
        told,
        [
            ["intent", "streamspaced/EndRegionCordon", why, ""],
            ["outcome", "streamspaced/EndRegionCordon", why, "cordon ended"],
            ["intent", "streamspaced/EndRegionPause", why, ""],
            ["outcome", "streamspaced/EndRegionPause", why, "pause ended"],
        ]
    );
}
