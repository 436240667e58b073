//! A machine's life with a region: it logs in, renews, is locked out; it watches,
//! and is back after every loss.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::unnecessary_wraps,
    reason = "a test that cannot go on must stop"
)]

#[allow(unreachable_pub, missing_docs, clippy::result_large_err, reason = "a part of the test")]
mod region;

use std::time::Duration;

use region::{Life, Region, Script};
use streamspace_client::{ClientError, Connection, Contexts, Counts, WatchEvent, enrol::enrol};
use streamspace_proto::v1::{
    Bookmark, Change, Gap, KindCount, Resource, ResourceKind, Snapshot, Synced, WatchRequest,
    WatchResponse, WhoAmIRequest, watch_response::Event,
};
use tonic::{Code, Status};

async fn who(connection: &Connection) -> Result<String, ClientError> {
    let answer = connection
        .call(|| {
            let mut access = connection.access();
            async move { access.who_am_i(WhoAmIRequest {}).await }
        })
        .await?;
    Ok(answer.operator)
}

#[tokio::test]
async fn a_token_becomes_a_context_with_keys_once() {
    let region = Region::start().await;
    let context =
        enrol(region.enrolment(), &region.environment(), &region.options()).await.unwrap();
    assert_eq!(context.name, "test");
    let contexts = Contexts::load(&region.environment()).unwrap();
    assert_eq!(contexts.current(), Some("test"));
    let kept = contexts.resolve(None, &region.environment()).unwrap();
    assert_eq!(kept, context);
    let connection = Connection::open(&kept, &region.options()).unwrap();
    assert_eq!(who(&connection).await.unwrap(), "ann");

    let again = enrol(region.enrolment(), &region.environment(), &region.options()).await;
    let error = again.unwrap_err();
    assert_eq!(error.code(), Some(Code::PermissionDenied), "{error}");
    // What the first login left is untouched.
    assert_eq!(who(&Connection::open(&kept, &region.options()).unwrap()).await.unwrap(), "ann");
}

#[tokio::test]
async fn a_token_of_another_region_gives_its_secret_to_nobody() {
    let (ours, other) = (Region::start().await, Region::start().await);
    let mut enrolment = ours.enrolment();
    enrolment.endpoint = other.enrolment().endpoint;
    let error = enrol(enrolment, &ours.environment(), &ours.options()).await.unwrap_err();
    assert!(error.to_string().contains("cannot prove to be the daemon"), "{error}");
    // The secret of a region is the same in all of these: it was not asked for it.
    enrol(other.enrolment(), &other.environment(), &other.options()).await.unwrap();
}

#[tokio::test]
async fn a_certificate_that_is_due_is_renewed_once_for_all() {
    for life in [Life::Due, Life::Over] {
        let region = Region::start().await;
        region.book.lock().unwrap().life = life;
        let context =
            enrol(region.enrolment(), &region.environment(), &region.options()).await.unwrap();
        let open = || Connection::open(&context, &region.options()).unwrap();
        let (one, two) = (open(), open());
        let (first, second) = tokio::join!(who(&one), who(&two));
        assert_eq!((first.unwrap(), second.unwrap()), ("ann".into(), "ann".into()), "{life:?}");
        assert_eq!(region.book.lock().unwrap().renewals, 1, "{life:?}");
        // The next command finds the new one on the disk.
        assert_eq!(who(&open()).await.unwrap(), "ann");
        assert_eq!(region.book.lock().unwrap().renewals, 1, "{life:?}");
    }
}

#[tokio::test]
async fn a_revoked_device_is_told_to_log_in_again() {
    let region = Region::start().await;
    region.book.lock().unwrap().life = Life::Over;
    let context =
        enrol(region.enrolment(), &region.environment(), &region.options()).await.unwrap();
    region.book.lock().unwrap().renews = false;
    let error = who(&Connection::open(&context, &region.options()).unwrap()).await.unwrap_err();
    assert!(matches!(error, ClientError::DeviceOver { .. }), "{error:?}");
    assert!(error.to_string().contains("the device was revoked"), "{error}");
    assert!(error.next_step().unwrap().contains("ssctl login"));
}

fn item() -> Result<WatchResponse, Status> {
    Ok(WatchResponse { event: Some(Event::Item(Resource::default())) })
}

/// So many tenants, and one of a kind that only a newer version knows.
fn counts(tenants: i64) -> Vec<KindCount> {
    let kinds =
        [(ResourceKind::Tenant.into(), tenants), (ResourceKind::Session.into(), 0), (99, 1)];
    kinds.map(|(kind, count)| KindCount { kind, count }).into()
}

fn snapshot(tenants: i64) -> Result<WatchResponse, Status> {
    Ok(WatchResponse { event: Some(Event::Snapshot(Snapshot { counts: counts(tenants) })) })
}

fn synced(revision: i64, tenants: i64) -> Result<WatchResponse, Status> {
    let counts = counts(tenants);
    Ok(WatchResponse { event: Some(Event::Synced(Synced { revision, counts })) })
}

fn gap(from_revision: i64, to_revision: i64) -> Result<WatchResponse, Status> {
    Ok(WatchResponse { event: Some(Event::Gap(Gap { from_revision, to_revision })) })
}

fn change(revision: i64) -> Result<WatchResponse, Status> {
    Ok(WatchResponse { event: Some(Event::Change(Change { revision, ..Change::default() })) })
}

fn bookmark(revision: i64) -> Result<WatchResponse, Status> {
    Ok(WatchResponse { event: Some(Event::Bookmark(Bookmark { revision })) })
}

/// An event in a word.
fn brief(event: &WatchEvent) -> String {
    match event {
        WatchEvent::Connected { resumed } => format!("connected {resumed}"),
        WatchEvent::Snapshot { counts } => format!("snapshot of {}", brief_counts(counts)),
        WatchEvent::Item(_) => "item".into(),
        WatchEvent::Synced { revision, counts } => {
            format!("synced {revision} with {}", brief_counts(counts))
        }
        WatchEvent::Gap { from, to } => format!("gap {from} to {to}"),
        WatchEvent::Change(change) => format!("change {}", change.revision),
        WatchEvent::Bookmark { revision } => format!("bookmark {revision}"),
        WatchEvent::Lost { retry_in, .. } => {
            assert!(*retry_in <= Duration::from_millis(1500), "{retry_in:?}");
            "lost".into()
        }
        WatchEvent::Failed(_) => "failed".into(),
    }
}

fn brief_counts(counts: &Counts) -> u64 {
    assert_eq!(*counts, Counts { tenants: counts.total(), ..Counts::default() });
    counts.tenants
}

/// What a watch tells of these streams, and the revisions that it asks to go on after.
async fn told(streams: impl IntoIterator<Item = Script>) -> (Vec<String>, Vec<i64>) {
    let region = Region::start().await;
    region.book.lock().unwrap().watches = streams.into_iter().collect();
    let context =
        enrol(region.enrolment(), &region.environment(), &region.options()).await.unwrap();
    let connection = Connection::open(&context, &region.options()).unwrap();
    let mut watch = connection.watch(WatchRequest::default());
    let mut seen = Vec::new();
    while let Some(event) = watch.next().await {
        seen.push(brief(&event));
    }
    let asked = region.book.lock().unwrap().asked_after.clone();
    (seen, asked)
}

fn away() -> Result<WatchResponse, Status> {
    Err(Status::unavailable("stopping"))
}

fn locked() -> Result<WatchResponse, Status> {
    Err(Status::permission_denied("locked"))
}

#[tokio::test]
async fn a_watch_goes_on_where_it_was_and_begins_anew_where_it_must() {
    let (seen, asked) = told([
        // Cut off in the middle of the snapshot: there is nothing to go on after.
        Ok(vec![snapshot(2), item(), away()]),
        Ok(vec![snapshot(2), item(), item(), synced(5, 2), change(6), away()]),
        Ok(vec![change(7), bookmark(9)]),
        // The change log does not reach back that far any more.
        Err(Status::out_of_range("revision 9 is gone")),
        Ok(vec![snapshot(1), item(), synced(20, 1), locked()]),
    ])
    .await;
    assert_eq!(
        seen,
        [
            "connected false",
            "snapshot of 2",
            "item",
            "lost",
            "connected false",
            "snapshot of 2",
            "item",
            "item",
            "synced 5 with 2",
            "change 6",
            "lost",
            "connected true",
            "change 7",
            "bookmark 9",
            "lost",
            "connected false",
            "snapshot of 1",
            "item",
            "synced 20 with 1",
            "failed",
        ]
    );
    assert_eq!(asked, [0, 0, 6, 9, 0]);
}

#[tokio::test]
async fn after_a_gap_there_is_nothing_to_go_on_after_until_the_snapshot_is_complete() {
    let (seen, asked) = told([
        Ok(vec![snapshot(1), item(), synced(5, 1), change(6), gap(6, 9000), away()]),
        Ok(vec![snapshot(1), item(), synced(9001, 1), gap(9001, 19000), snapshot(1), away()]),
        Ok(vec![snapshot(0), synced(20000, 0), gap(20000, 30000), snapshot(0), synced(30000, 0)]),
        // The one after the gap's snapshot counts.
        Ok(vec![change(30001), away()]),
        Ok(vec![gap(30001, 40000), locked()]),
    ])
    .await;
    assert_eq!(
        seen,
        [
            "connected false",
            "snapshot of 1",
            "item",
            "synced 5 with 1",
            "change 6",
            "gap 6 to 9000",
            "lost",
            "connected false",
            "snapshot of 1",
            "item",
            "synced 9001 with 1",
            "gap 9001 to 19000",
            "snapshot of 1",
            "lost",
            "connected false",
            "snapshot of 0",
            "synced 20000 with 0",
            "gap 20000 to 30000",
            "snapshot of 0",
            "synced 30000 with 0",
            "lost",
            "connected true",
            "change 30001",
            "lost",
            "connected true",
            "gap 30001 to 40000",
            "failed",
        ]
    );
    assert_eq!(asked, [0, 0, 0, 30000, 30001]);
}
