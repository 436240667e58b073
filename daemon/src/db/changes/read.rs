//! Reading the change log.

use jiff::Timestamp;
use streamspace_core::ids::TenantUid;
use uuid::Uuid;

use super::{ChangeKind, ChangeLog, ChangeRow, ChangeType};
use crate::db::{DbError, Scope};

/// Which changes a reader wants; by default all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Those of these kinds; of every kind where it is empty.
    pub kinds: Vec<ChangeKind>,
    /// Those of resources of these names; of every resource where it is empty.
    pub names: Vec<String>,
}

/// What a reader wants of a table, behind a revision: `$4` its kinds and `$5` its names.
macro_rules! wanted {
    () => {
        "revision > $1 AND ($4::text[] IS NULL OR kind = ANY ($4)) \
         AND ($5::text[] IS NULL OR name = ANY ($5))"
    };
}

/// What a scope of tenants reads: the changes of those tenants.
const OF_TENANTS: &str = concat!(
    "SELECT revision, kind, type, tenant_uid, name, actor, resource,
        (extract(epoch FROM time) * 1000000)::bigint
     FROM changes
     WHERE tenant_uid = ANY ($2) AND ",
    wanted!(),
    " ORDER BY revision LIMIT $3"
);

/// What the region's scope reads: everything. Each table gives as many as are asked for,
/// so that neither is read to its end. `$2` is not used.
const OF_REGION: &str = concat!(
    "SELECT revision, kind, type, tenant_uid, name, actor, resource,
        (extract(epoch FROM time) * 1000000)::bigint
     FROM (
         (SELECT revision, kind, type, tenant_uid, name, actor, resource, time
          FROM changes WHERE ",
    wanted!(),
    " ORDER BY revision LIMIT $3)
         UNION ALL
         (SELECT revision, kind, type, NULL, name, actor, resource, time
          FROM region_changes WHERE ",
    wanted!(),
    " ORDER BY revision LIMIT $3)
     ) AS merged
     WHERE $2::uuid[] IS NULL
     ORDER BY revision
     LIMIT $3"
);

/// How many there are, as far as `$3`. The order is that of the index that finds them.
const COUNT_OF_TENANTS: &str = concat!(
    "SELECT count(*) FROM (
         SELECT revision FROM changes WHERE tenant_uid = ANY ($2) AND ",
    wanted!(),
    " ORDER BY revision LIMIT $3
     ) AS counted"
);

/// The same of all that the region's scope reads.
const COUNT_OF_REGION: &str = concat!(
    "SELECT least(count(*), $3::bigint) FROM (
         (SELECT revision FROM changes WHERE ",
    wanted!(),
    " ORDER BY revision LIMIT $3)
         UNION ALL
         (SELECT revision FROM region_changes WHERE ",
    wanted!(),
    " ORDER BY revision LIMIT $3)
     ) AS counted
     WHERE $2::uuid[] IS NULL"
);

impl Wanted {
    fn kinds(&self) -> Option<Vec<&'static str>> {
        let kinds = || self.kinds.iter().map(|kind| kind.as_str()).collect();
        (!self.kinds.is_empty()).then(kinds)
    }

    fn names(&self) -> Option<&[String]> {
        Some(self.names.as_slice()).filter(|names| !names.is_empty())
    }
}

impl ChangeLog {
    /// The changes after a revision that the scope may see, in order, at most `limit`.
    ///
    /// A scope of tenants skips the revisions of others and of the region. A reader that gets
    /// fewer than `limit` rows has seen all up to the value of [`ChangeLog::latest`] that it
    /// took before the call.
    pub async fn read(
        &self,
        scope: &Scope,
        after: i64,
        limit: i64,
    ) -> Result<Vec<ChangeRow>, DbError> {
        self.read_wanted(scope, &Wanted::default(), after, limit).await
    }

    /// As [`ChangeLog::read`], and skips the revisions that are not wanted as well.
    pub async fn read_wanted(
        &self,
        scope: &Scope,
        wanted: &Wanted,
        after: i64,
        limit: i64,
    ) -> Result<Vec<ChangeRow>, DbError> {
        let mut transaction = self.database.begin(scope).await?;
        let tenants = scope.tenant_uids();
        let statement = if tenants.is_none() { OF_REGION } else { OF_TENANTS };
        let rows: Vec<StoredChange> = sqlx::query_as(statement)
            .bind(after)
            .bind(tenants)
            .bind(limit)
            .bind(wanted.kinds())
            .bind(wanted.names())
            .fetch_all(&mut *transaction)
            .await?;
        transaction.commit().await?;
        rows.into_iter().map(from_stored).collect()
    }

    /// How many changes [`ChangeLog::read_wanted`] would still give after a revision;
    /// `most` where there are as many or more.
    pub async fn count_wanted(
        &self,
        scope: &Scope,
        wanted: &Wanted,
        after: i64,
        most: i64,
    ) -> Result<i64, DbError> {
        let mut transaction = self.database.begin(scope).await?;
        let tenants = scope.tenant_uids();
        let statement = if tenants.is_none() { COUNT_OF_REGION } else { COUNT_OF_TENANTS };
        let count = sqlx::query_scalar(statement)
            .bind(after)
            .bind(tenants)
            .bind(most)
            .bind(wanted.kinds())
            .bind(wanted.names())
            .fetch_one(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(count)
    }
}

/// The columns of a change as they are read; the time in microseconds since 1970.
type StoredChange = (i64, String, String, Option<Uuid>, String, String, Vec<u8>, i64);

fn from_stored(row: StoredChange) -> Result<ChangeRow, DbError> {
    let (revision, kind, change, tenant_uid, name, actor, resource, time) = row;
    let unknown = |what: &str| {
        DbError::Other(sqlx::Error::Decode(
            format!("revision {revision} has an unknown {what}; a newer version wrote it").into(),
        ))
    };
    Ok(ChangeRow {
        revision,
        kind: ChangeKind::from_word(&kind).ok_or_else(|| unknown("kind"))?,
        change: ChangeType::from_word(&change).ok_or_else(|| unknown("type"))?,
        tenant_uid: tenant_uid.map(TenantUid),
        name,
        actor,
        resource,
        time: Timestamp::from_microsecond(time).map_err(|_out_of_range| unknown("time"))?,
    })
}
