//! A watcher that does not keep up with the changes.

use std::collections::{BTreeMap, BTreeSet};

use streamspace_client::{Connection, WatchEvent};
use streamspace_proto::v1::{
    ChangeType, ListTenantsRequest, ResourceKind, Tenant, WatchRequest,
    resource::Resource as AnyResource,
};
use streamspace_tests::{region::Region, runtime::story, wait::PATIENCE};
use tokio::time::timeout;

use super::{WRITERS, settled, write};

/// Far more than a stream may be behind, with all that lies in buffers on the way.
const FLOOD: i64 = 20_000;

/// What a watcher knows, as one is told to keep it.
#[derive(Default)]
struct Known {
    tenants: BTreeMap<String, Tenant>,
    /// What the snapshot under way has had so far.
    fresh: Option<BTreeSet<String>>,
    expected: u64,
    gaps: Vec<(i64, i64)>,
    snapshots: usize,
    revision: i64,
}

impl Known {
    fn take(&mut self, event: WatchEvent) {
        match event {
            WatchEvent::Connected { resumed } => assert!(!resumed, "it was never cut off"),
            WatchEvent::Gap { from, to } => {
                // Up to there all of it came; between may lie what is of no tenant.
                assert!(self.revision <= from && from < to && self.fresh.is_none());
                self.gaps.push((from, to));
            }
            WatchEvent::Snapshot { counts } => {
                assert!(self.fresh.replace(BTreeSet::new()).is_none());
                self.expected = counts.tenants;
            }
            WatchEvent::Item(item) => {
                let Some(AnyResource::Tenant(tenant)) = item.resource else { panic!() };
                let fresh = self.fresh.as_mut().expect("within a snapshot");
                assert!(fresh.insert(tenant.uid.clone()), "{} comes twice", tenant.name);
                self.tenants.insert(tenant.uid.clone(), tenant);
            }
            WatchEvent::Synced { revision, counts } => {
                let fresh = self.fresh.take().expect("within a snapshot");
                assert_eq!(counts.total(), u64::try_from(fresh.len()).unwrap());
                // Writers are at work: some can come and go meanwhile.
                assert!(counts.tenants.abs_diff(self.expected) <= 48, "{counts:?}");
                self.tenants.retain(|uid, _| fresh.contains(uid));
                self.snapshots += 1;
                assert!(revision >= self.revision);
                if let Some((_, to)) = self.gaps.last() {
                    assert!(revision >= *to);
                }
                self.revision = revision;
            }
            WatchEvent::Change(change) => {
                assert!(change.revision > self.revision, "{} comes late", change.revision);
                self.revision = change.revision;
                let resource = change.resource.clone().and_then(|it| it.resource);
                let Some(AnyResource::Tenant(tenant)) = resource else { panic!() };
                if change.r#type() == ChangeType::Deleted {
                    self.tenants.remove(&tenant.uid);
                } else {
                    self.tenants.insert(tenant.uid.clone(), tenant);
                }
            }
            WatchEvent::Bookmark { revision } => {
                assert!(revision >= self.revision);
                self.revision = revision;
            }
            WatchEvent::Lost { .. } | WatchEvent::Failed(_) => panic!("{event:?}"),
        }
    }
}

fn tenants() -> WatchRequest {
    WatchRequest { kinds: vec![ResourceKind::Tenant.into()], ..WatchRequest::default() }
}

/// Tells of what is there again and again, as changes do that change little.
async fn flood(region: &Region, count: i64) {
    let told = sqlx::query(
        "INSERT INTO changes (tenant_uid, kind, type, name, actor, resource)
         SELECT tenant_uid, kind, 'updated', name, 'flood', resource
         FROM (SELECT DISTINCT ON (tenant_uid) * FROM changes
               WHERE kind = 'tenant' ORDER BY tenant_uid, revision DESC) AS last,
              generate_series(1, $1) AS number
         ORDER BY number LIMIT $1",
    )
    .bind(count)
    .execute(&region.pool())
    .await
    .unwrap();
    assert_eq!(told.rows_affected(), u64::try_from(count).unwrap());
}

async fn listed(connection: &Connection) -> BTreeMap<String, String> {
    let request = ListTenantsRequest { page_size: 1000, ..ListTenantsRequest::default() };
    let reply = connection.tenants().list_tenants(request).await.unwrap().into_inner();
    assert_eq!(reply.next_page_token, "");
    reply.tenants.into_iter().map(|tenant| (tenant.uid, tenant.etag)).collect()
}

#[test]
fn a_watcher_that_does_not_read_gets_a_gap_and_a_snapshot_and_misses_nothing_else() {
    story(async {
        let region = Region::start().await;
        let connection = region.admin().connection();
        for id in ["first", "second", "third"] {
            let create = ["tenant", "create", id, "--plan", "free", "--seats", "1", "--wait"];
            region.admin().ok(&create).await;
        }
        settled(&region).await;

        // A person's watch whose output nobody reads, and one that is read up to its snapshot.
        let mut unread = region.admin().start(&["tenant", "watch", "-o", "json"]);
        unread.line().await;
        let mut watch = connection.watch(tenants());
        let mut known = Known::default();
        while known.snapshots == 0 {
            known.take(timeout(PATIENCE, watch.next()).await.unwrap().unwrap());
        }
        assert_eq!(known.tenants.len(), 3);

        // Far more happens than lies in the buffers on the way: what is there is told of again
        // and again, then tenants come, change and go.
        flood(&region, FLOOD).await;
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| tokio::spawn(write(region.admin().connection(), writer)))
            .collect();
        for writer in writers {
            writer.await.unwrap();
        }
        let last = settled(&region).await;
        assert!(last > FLOOD);

        // Now it reads on, to the end.
        while known.revision < last || known.fresh.is_some() {
            known.take(timeout(PATIENCE, watch.next()).await.unwrap().unwrap());
        }
        assert!(!known.gaps.is_empty(), "nothing was left out");
        assert_eq!(known.snapshots, 1 + known.gaps.len(), "a snapshot follows each gap");
        let held: BTreeMap<String, String> =
            known.tenants.into_iter().map(|(uid, tenant)| (uid, tenant.etag)).collect();
        assert_eq!(held, listed(&connection).await);
        assert!(held.len() > 3, "some tenants stay");

        // The person is told, and sees what is there.
        let is_last = |line: &str| line.contains("\"is\"") && line.contains("tenants/w7-t5");
        unread.line_with(is_last).await;
        unread.says("too slow to keep up").await;
        assert_eq!(unread.interrupt().await, 130);
    });
}
