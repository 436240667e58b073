//! Sights into the database, many in one transaction.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use sqlx::PgConnection;
use streamspace_core::{
    ids::TenantUid,
    session::{SessionPhase, SessionUid},
    slo::Minute,
    usage::Second,
};
use tokio::time::sleep;
use uuid::Uuid;

use super::{
    BACKOFF, Sight, StepError, Term,
    facts::{self, Clock, Last},
    shown::{self, Owner},
    source::jittered,
};
use crate::{
    db::{ChangeType, DbError},
    sessions::{
        record::SessionRecord,
        reservations,
        store::{self, Told},
    },
    slo::starts::{self, Start},
    usage::facts::{self as usage_facts, Fact},
};

/// How many namespaces of no tenant are remembered.
const HOMELESS_KEPT: usize = 10_000;

/// What is remembered from one list on, so that what did not change is not stored again.
#[derive(Debug)]
pub(super) struct Memory {
    /// The UID of the cluster.
    pub(super) cluster: String,
    /// What each subject of a tenant costs, as it was stored.
    pub(super) last: HashMap<SessionUid, Last>,
    /// Namespaces of no tenant that something was seen in.
    pub(super) homeless: HashSet<String>,
    /// While a list is stored: nothing that it shows is later than the list.
    pub(super) ceiling: Option<Second>,
    /// Something is to be taken up by a list that is later than this version.
    pub(super) owed: Option<u64>,
}

impl Memory {
    pub(super) fn of(cluster: String) -> Self {
        Self { cluster, last: HashMap::new(), homeless: HashSet::new(), ceiling: None, owed: None }
    }

    pub(super) fn clear(&mut self) {
        self.last.clear();
        self.homeless.clear();
        (self.ceiling, self.owed) = (None, None);
    }
}

/// What came of a batch.
#[derive(Debug, Default)]
struct Stored {
    last: Vec<(SessionUid, Option<Last>)>,
    homeless: Vec<String>,
}

impl Term {
    /// Stores sights in their order. While the database is away it tries on; a sight that the
    /// database does not take is left out, so that it stops no other.
    pub(super) async fn store(
        &self,
        sights: &[Sight],
        memory: &mut Memory,
    ) -> Result<(), StepError> {
        let mut parts = vec![sights];
        let mut pause = BACKOFF.0;
        while let Some(part) = parts.pop() {
            if part.is_empty() {
                continue;
            }
            let error = match self.store_once(part, memory).await {
                Ok(stored) => {
                    pause = BACKOFF.0;
                    self.remember(stored, memory);
                    continue;
                }
                Err(StepError::Database(error)) => error,
                Err(error) => return Err(error),
            };
            match (&error, part) {
                (DbError::Other(_), [sight]) => {
                    let it = sight.metadata();
                    let (namespace, name) = (&it.namespace, &it.name);
                    tracing::error!(namespace, name, %error, "an object was not taken; left out");
                    self.board.edit(|state| state.refused += 1);
                }
                (DbError::Other(_), _) => {
                    let (first, second) = part.split_at(part.len() / 2);
                    parts.extend([second, first]);
                }
                (DbError::Unavailable(_) | DbError::Conflict(_), _) => {
                    if self.board.fault(&error.to_string()) {
                        tracing::warn!(%error, "sessions cannot be stored; trying on");
                    }
                    sleep(jittered(pause)).await;
                    pause = (pause * 2).min(BACKOFF.1);
                    parts.push(part);
                }
            }
        }
        Ok(())
    }

    fn remember(&self, stored: Stored, memory: &mut Memory) {
        for (uid, last) in stored.last {
            match last {
                Some(last) => memory.last.insert(uid, last),
                None => memory.last.remove(&uid),
            };
        }
        for namespace in stored.homeless {
            if memory.homeless.len() < HOMELESS_KEPT {
                memory.homeless.insert(namespace);
            }
        }
        let (known, homeless) = (memory.last.len() as u64, memory.homeless.len() as u64);
        self.board.edit(|state| (state.known, state.homeless) = (known, homeless));
        self.board.fault("");
    }

    async fn store_once(&self, sights: &[Sight], memory: &Memory) -> Result<Stored, StepError> {
        let mut clock = self.clock.now();
        clock.ceiling = memory.ceiling.unwrap_or(clock.ceiling);
        let mut tx = self.leading().await?;
        let owners = owners(&mut tx, sights).await?;
        let mut stored = Stored::default();
        let mut homed = Vec::with_capacity(sights.len());
        for sight in sights {
            match owners.get(&sight.metadata().namespace) {
                // An object without a UID is none that an API server gave.
                Some(_) if sight.metadata().uid.is_nil() => {}
                Some(owner) => homed.push((sight, owner)),
                None => stored.homeless.push(sight.metadata().namespace.clone()),
            }
        }
        self.store_rows(&mut tx, &homed).await?;
        let facts = self.facts_of(&homed, memory, &mut stored, clock);
        usage_facts::store(&mut tx, &facts).await?;
        tx.commit().await?;
        Ok(stored)
    }

    /// What is new of usage, in the order of the sights.
    fn facts_of(
        &self,
        homed: &[(&Sight, &Owner)],
        memory: &Memory,
        stored: &mut Stored,
        clock: Clock,
    ) -> Vec<Fact> {
        let mut now: HashMap<SessionUid, Option<Last>> = HashMap::new();
        let mut facts = Vec::new();
        for (sight, owner) in homed {
            let template = match sight {
                Sight::Session { seen, .. } => {
                    self.index.of(&seen.metadata.namespace, &seen.written.template)
                }
                Sight::Home { .. } => None,
            };
            let fact = facts::fact(sight, owner, template.as_ref(), &memory.cluster, clock);
            let uid = fact.subject.uid;
            let last = (fact.transition.state, fact.transition.incarnation);
            let before = now.get(&uid).copied().unwrap_or_else(|| memory.last.get(&uid).copied());
            now.insert(uid, (!sight.is_gone()).then_some(last));
            if before != Some(last) {
                facts.push(fact);
            }
        }
        stored.last = now.into_iter().collect();
        facts
    }

    /// Rows of sessions, and the changes that watchers are told.
    async fn store_rows(
        &self,
        tx: &mut PgConnection,
        homed: &[(&Sight, &Owner)],
    ) -> Result<(), StepError> {
        // Of one name the sight that is last, unless an earlier object of the name ended.
        let mut latest: HashMap<(TenantUid, &str), Option<SessionRecord>> = HashMap::new();
        let mut ended: HashSet<SessionUid> = HashSet::new();
        let mut gone_objects = Vec::new();
        for (sight, owner) in homed {
            let Sight::Session { seen, gone } = sight else { continue };
            let key = (owner.uid, seen.metadata.name.as_str());
            if *gone {
                ended.insert(seen.uid());
                gone_objects.push((owner.uid, seen.metadata.name.as_str(), seen.uid()));
                let of_it = |it: &Option<SessionRecord>| {
                    it.as_ref().is_some_and(|record| record.uid == seen.uid())
                };
                if latest.get(&key).is_none_or(of_it) {
                    latest.insert(key, None);
                }
            } else {
                let template = self.index.of(&seen.metadata.namespace, &seen.written.template);
                latest.insert(key, Some(shown::record(seen, owner, template.as_ref())));
            }
        }
        let mut keys: Vec<_> = latest.keys().copied().collect();
        keys.sort_unstable();
        let tenants: Vec<Uuid> = keys.iter().map(|(tenant, _)| tenant.0).collect();
        let names: Vec<&str> = keys.iter().map(|(_, name)| *name).collect();
        let rows = store::lock(tx, &tenants, &names).await?;
        let rows: HashMap<_, _> =
            rows.iter().map(|row| ((row.tenant, row.name.as_str()), row)).collect();
        let (mut upserts, mut deletes, mut told) = (Vec::new(), Vec::new(), Vec::new());
        let mut started = Vec::new();
        for key in &keys {
            let row = rows.get(key).copied();
            let Some(Some(record)) = latest.get(key) else {
                if let Some(row) = row.filter(|row| ended.contains(&row.uid)) {
                    deletes.push(row);
                    told.push(Told { change: ChangeType::Deleted, record: row });
                }
                continue;
            };
            let change = match row {
                None => Some(ChangeType::Created),
                Some(row) if row.resource_version > record.resource_version => continue,
                Some(row) if row.uid != record.uid => {
                    told.push(Told { change: ChangeType::Deleted, record: row });
                    Some(ChangeType::Created)
                }
                Some(row) => (row.resource != record.resource).then_some(ChangeType::Updated),
            };
            started.extend(row.and_then(|row| start(row, record)));
            if row != Some(record) {
                upserts.push(record);
            }
            told.extend(change.map(|change| Told { change, record }));
        }
        store::delete(tx, &deletes).await?;
        store::upsert(tx, &upserts).await?;
        store::record_changes(tx, &told).await?;
        starts::note(tx, Minute::holding(Timestamp::now()), &started).await?;
        // Also of one that came and went between two batches, of which there was no row.
        reservations::gone(tx, &gone_objects).await?;
        Ok(())
    }
}

/// What a session's start came to, where it ended with this sight. One that was never seen
/// to wait is not counted: of a list at the begin of a term nobody knows when it started.
fn start(before: &SessionRecord, now: &SessionRecord) -> Option<Start> {
    let of_one = before.uid == now.uid && before.phase == SessionPhase::Pending;
    let failed = match now.phase {
        SessionPhase::Running => false,
        SessionPhase::Failed => true,
        _ => return None,
    };
    of_one.then_some(Start { tenant: now.tenant, session: now.uid, failed })
}

/// Whose the namespaces are that something was seen in.
async fn owners(
    tx: &mut PgConnection,
    sights: &[Sight],
) -> Result<HashMap<String, Owner>, DbError> {
    let namespaces: HashSet<&str> =
        sights.iter().map(|sight| sight.metadata().namespace.as_str()).collect();
    owners_of(tx, &namespaces.into_iter().collect::<Vec<_>>()).await
}

/// The living tenants of these namespaces.
pub(super) async fn owners_of(
    tx: &mut PgConnection,
    namespaces: &[&str],
) -> Result<HashMap<String, Owner>, DbError> {
    let rows: Vec<(String, Uuid, String, jiff_sqlx::Timestamp)> = sqlx::query_as(
        "SELECT namespace, tenant_uid, tenant_id, create_time FROM tenants \
         WHERE namespace = ANY ($1) AND state <> 'gone'",
    )
    .bind(namespaces)
    .fetch_all(tx)
    .await?;
    let owners = rows.into_iter().map(|(namespace, uid, id, since)| {
        (namespace, Owner { uid: TenantUid(uid), id, since: since.to_jiff() })
    });
    Ok(owners.collect())
}
