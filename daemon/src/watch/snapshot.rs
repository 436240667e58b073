//! What a snapshot holds.
//!
//! First the keys, of all rows that match, in the order in which they will be sent: one pass
//! over the columns that filters and orders see, which tells how many there are as well. Then
//! the rows, a page of keys at a time. So any order can be had without a place in it that
//! must be kept while rows change theirs, no transaction waits for a slow client, and of a
//! region of 50,000 sessions a snapshot under way holds some three megabytes.
//!
//! A row that is gone when its page is read is not sent. What comes or changes after the keys
//! were read is among the changes after the snapshot's revision, which was read before them.

use std::collections::HashSet;

use jiff::Timestamp;
use sqlx::PgConnection;
use streamspace_core::{
    filter::{FieldValue, Record},
    ids::{OperationId, TenantUid},
    order::SortKey,
};
use streamspace_proto::v1::resource::Resource as AnyResource;

use super::selection::Selection;
use crate::{
    db::{ChangeKind, DbError, Scope},
    operations,
    sessions::{self, SessionKey},
    tenants,
};

/// So many rows are read at once.
const PAGE: usize = 500;

/// The keys of one kind, in the order in which its resources are sent.
pub(super) enum Keys {
    Tenants(Vec<TenantUid>),
    Operations(Vec<OperationId>),
    Sessions(Vec<SessionKey>),
}

impl Keys {
    /// The keys of the rows in scope that match the selection at `now` and have one of these
    /// names, if any.
    pub(super) async fn choose(
        tx: &mut PgConnection,
        scope: &Scope,
        kind: ChangeKind,
        selection: &Selection,
        names: Option<&HashSet<String>>,
        now: Timestamp,
    ) -> Result<Self, DbError> {
        Ok(match kind {
            ChangeKind::Tenant => {
                let mut choice = Choice::new(selection, names);
                tenants::view_live(tx, |uid, view| choice.see(view, || uid)).await?;
                Self::Tenants(choice.into_keys())
            }
            ChangeKind::Operation => {
                let mut choice = Choice::new(selection, names);
                operations::view_open(tx, scope, |id, view| choice.see(view, || id)).await?;
                Self::Operations(choice.into_keys())
            }
            ChangeKind::Session => {
                let mut choice = Choice::new(selection, names);
                sessions::view_all(tx, now, |tenant, view| {
                    choice.see(view, || SessionKey::of(tenant, view));
                })
                .await?;
                Self::Sessions(choice.into_keys())
            }
        })
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Tenants(keys) => keys.len(),
            Self::Operations(keys) => keys.len(),
            Self::Sessions(keys) => keys.len(),
        }
    }

    /// How many pages they make.
    pub(super) fn pages(&self) -> usize {
        self.len().div_ceil(PAGE)
    }

    /// The resources of a page, as they are now; the first page is 0.
    pub(super) async fn page(
        &self,
        tx: &mut PgConnection,
        scope: &Scope,
        page: usize,
    ) -> Result<Vec<AnyResource>, DbError> {
        match self {
            Self::Tenants(keys) => {
                let tenants = tenants::live_by_uid(tx, part(keys, page)).await?;
                Ok(tenants.into_iter().map(tenants::into_proto).map(AnyResource::Tenant).collect())
            }
            Self::Operations(keys) => {
                let operations = operations::open(tx, scope, part(keys, page)).await?;
                Ok(operations.into_iter().map(AnyResource::Operation).collect())
            }
            Self::Sessions(keys) => {
                let sessions = sessions::resources(tx, part(keys, page)).await?;
                Ok(sessions.into_iter().map(AnyResource::Session).collect())
            }
        }
    }
}

fn part<K>(keys: &[K], page: usize) -> &[K] {
    keys.chunks(PAGE).nth(page).unwrap_or_default()
}

/// Chooses among rows that are shown in the order of their names.
struct Choice<'a, K> {
    selection: &'a Selection,
    names: Option<&'a HashSet<String>>,
    chosen: Vec<(SortKey, K)>,
    rank: i64,
}

impl<'a, K> Choice<'a, K> {
    fn new(selection: &'a Selection, names: Option<&'a HashSet<String>>) -> Self {
        Self { selection, names, chosen: Vec::new(), rank: 0 }
    }

    fn see(&mut self, row: &dyn Record, key: impl FnOnce() -> K) {
        self.rank += 1;
        let is_named = self.names.is_none_or(|names| match row.field("name") {
            Some(FieldValue::Text(name)) => names.contains(&name),
            _ => false,
        });
        if is_named && self.selection.filter.matches(row) {
            let ranked = Ranked { row, rank: self.rank };
            self.chosen.push((self.selection.order.key(&ranked), key()));
        }
    }

    fn into_keys(mut self) -> Vec<K> {
        if !self.selection.order.is_empty() {
            // Stable: equal ones stay in the order of their names.
            self.chosen.sort_by(|(left, _), (right, _)| left.cmp(right));
        }
        let mut keys: Vec<K> = self.chosen.into_iter().map(|(_, key)| key).collect();
        keys.shrink_to_fit();
        keys
    }
}

/// A row whose place is its name: as in lists, the sessions of one tenant stand together.
struct Ranked<'a> {
    row: &'a dyn Record,
    rank: i64,
}

impl Record for Ranked<'_> {
    fn field(&self, name: &str) -> Option<FieldValue> {
        match name {
            "name" => Some(FieldValue::Integer(self.rank)),
            other => self.row.field(other),
        }
    }
}
