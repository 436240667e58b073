//! What a client wants to see.

use std::collections::{BTreeMap, HashSet};

use jiff::Timestamp;
use streamspace_core::{
    filter::{Filter, FilterError},
    order::OrderBy,
};
use streamspace_proto::v1::{self, ResourceKind, resource::Resource as AnyResource};

use super::mask::Mask;
use crate::{
    db::{ChangeKind, changes::Wanted},
    operations,
    rpc::errors::{RpcError, RpcResult},
    sessions, tenants,
};

const NAMES_MAXIMUM: usize = 1000;

/// What is shown of one kind. The default is all of it, by name.
#[derive(Debug, Default)]
pub(super) struct Selection {
    pub(super) filter: Filter,
    /// The order of a snapshot.
    pub(super) order: OrderBy,
    pub(super) mask: Mask,
}

/// What a client wants to see.
#[derive(Debug)]
pub(super) struct Selections {
    by_kind: BTreeMap<ChangeKind, Selection>,
    /// Nothing but these where there are any.
    names: HashSet<String>,
}

impl Selections {
    /// Reads a request. What is wrong with it is told with its field.
    pub(super) fn read(request: &v1::WatchRequest) -> RpcResult<Self> {
        let mut by_kind = BTreeMap::new();
        for kind in &request.kinds {
            by_kind.insert(known("kinds", *kind)?, Selection::default());
        }
        if !request.selections.is_empty() && !by_kind.is_empty() {
            let why = "leave it empty beside `selections`: each of those names its kind";
            return Err(RpcError::field("kinds", why));
        }
        for (index, selection) in request.selections.iter().enumerate() {
            let field = |part: &str| format!("selections[{index}].{part}");
            let kind = known(&field("kind"), selection.kind)?;
            if by_kind.insert(kind, Selection::read(kind, selection, field)?).is_some() {
                let why = "has a selection already: join the two filters with OR";
                return Err(RpcError::field(&field("kind"), why));
            }
        }
        if by_kind.is_empty() {
            by_kind.extend(ChangeKind::ALL.map(|kind| (kind, Selection::default())));
        }
        if request.names.len() > NAMES_MAXIMUM {
            return Err(RpcError::field("names", "at most 1000; leave it empty to watch all"));
        }
        Ok(Self { by_kind, names: request.names.iter().cloned().collect() })
    }

    /// The kinds and what is shown of each, in the order in which a snapshot holds them.
    pub(super) fn each(&self) -> impl Iterator<Item = (ChangeKind, &Selection)> {
        self.by_kind.iter().map(|(kind, selection)| (*kind, selection))
    }

    /// What is shown of a kind; `None` where nothing is.
    pub(super) fn of(&self, kind: ChangeKind) -> Option<&Selection> {
        self.by_kind.get(&kind)
    }

    /// The only names that are shown; `None` where any is.
    pub(super) fn names(&self) -> Option<&HashSet<String>> {
        Some(&self.names).filter(|names| !names.is_empty())
    }

    /// The changes that it wants to be told of.
    pub(super) fn wanted(&self) -> Wanted {
        Wanted {
            kinds: self.by_kind.keys().copied().collect(),
            names: self.names.iter().cloned().collect(),
        }
    }
}

impl Selection {
    fn read(
        kind: ChangeKind,
        selection: &v1::Selection,
        field: impl Fn(&str) -> String,
    ) -> RpcResult<Self> {
        let (filter_fields, order_fields): (&[&str], &[&str]) = match kind {
            ChangeKind::Tenant => (&tenants::view::FILTER_FIELDS, &tenants::view::ORDER_FIELDS),
            ChangeKind::Operation => {
                (&operations::view::FILTER_FIELDS, &operations::view::ORDER_FIELDS)
            }
            ChangeKind::Session => (&sessions::view::FILTER_FIELDS, &sessions::view::ORDER_FIELDS),
        };
        let refused =
            |part: &str, error: &FilterError| RpcError::field(&field(part), error.to_string());
        Ok(Self {
            filter: Filter::parse(&selection.filter, filter_fields)
                .map_err(|error| refused("filter", &error))?,
            order: OrderBy::parse(&selection.order_by, order_fields)
                .map_err(|error| refused("order_by", &error))?,
            mask: Mask::read(kind, selection.read_mask.as_ref())
                .map_err(|error| RpcError::field(&field("read_mask"), error))?,
        })
    }

    /// Whether a resource is shown at `now`.
    pub(super) fn matches(&self, resource: &AnyResource, now: Timestamp) -> bool {
        if self.filter.is_empty() {
            return true;
        }
        match resource {
            AnyResource::Tenant(tenant) => self.filter.matches(&tenants::view::View::from(tenant)),
            AnyResource::Operation(operation) => {
                self.filter.matches(&operations::view::View::from(operation))
            }
            AnyResource::Session(session) => {
                self.filter.matches(&sessions::view::View::of_resource(session, now))
            }
        }
    }
}

/// Reads a kind from the field of this name. One that only a newer version knows is refused,
/// not left out: what is left of the request could ask for something else.
fn known(field: &str, kind: i32) -> RpcResult<ChangeKind> {
    match ResourceKind::try_from(kind) {
        Ok(ResourceKind::Tenant) => Ok(ChangeKind::Tenant),
        Ok(ResourceKind::Operation) => Ok(ChangeKind::Operation),
        Ok(ResourceKind::Session) => Ok(ChangeKind::Session),
        Ok(ResourceKind::Unspecified) | Err(_) => {
            Err(RpcError::field(field, "must be TENANT, OPERATION or SESSION"))
        }
    }
}

/// A kind as the contract has it.
pub(super) fn kind_to_proto(kind: ChangeKind) -> ResourceKind {
    match kind {
        ChangeKind::Tenant => ResourceKind::Tenant,
        ChangeKind::Operation => ResourceKind::Operation,
        ChangeKind::Session => ResourceKind::Session,
    }
}
