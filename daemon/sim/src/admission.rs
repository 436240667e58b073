//! What admits a write, as the API server's admission plugins do: what they fill in
//! before it is checked, and what they refuse after that.
//!
//! The plugins and their order are those of the API server, as far as our kinds meet
//! them: namespaces that end (`checks`), limit ranges, service accounts, Pod Security,
//! priorities, tolerations, protection of claims, admission policies, quotas.

use std::sync::Arc;

use crate::{
    kinds::{Kinds, View},
    objects::{Manner, Place},
    schema::Object,
    status::Failure,
    store::Store,
    user::User,
};

mod defaults;
mod limits;
mod policies;
mod quotas;
mod security;

pub(crate) use policies::Policies;
pub(crate) use quotas::usage;

/// What is done to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Create,
    Update,
    Delete,
}

impl Operation {
    /// As policies spell it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Create => "CREATE",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
        }
    }
}

/// One write that asks to be admitted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Act<'a> {
    pub(crate) operation: Operation,
    pub(crate) place: &'a Place,
    pub(crate) view: View,
    pub(crate) name: &'a str,
    pub(crate) dry_run: bool,
    /// As it is to be.
    pub(crate) object: Option<&'a Object>,
    /// As it was.
    pub(crate) old: Option<&'a Object>,
}

impl<'a> Act<'a> {
    pub(crate) fn with(self, object: &'a Object, old: Option<&'a Object>) -> Self {
        Self { object: Some(object), old, ..self }
    }

    pub(crate) fn without(self, old: &'a Object) -> Self {
        Self { object: None, old: Some(old), ..self }
    }

    fn is_of(&self, group: &str, plural: &str) -> bool {
        self.place.resource.is(group, plural)
    }

    fn forbidden(&self, why: &str) -> Failure {
        Failure::forbidden(&self.place.resource, self.name, why)
    }
}

impl Place {
    pub(crate) fn act<'a>(
        &'a self,
        operation: Operation,
        name: &'a str,
        manner: &Manner,
    ) -> Act<'a> {
        Act {
            operation,
            place: self,
            view: manner.writer.view,
            name,
            dry_run: manner.dry_run,
            object: None,
            old: None,
        }
    }
}

/// Admits the writes of one user.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    pub(crate) store: Arc<Store>,
    pub(crate) kinds: Arc<Kinds>,
    pub(crate) policies: Arc<Policies>,
    pub(crate) user: Arc<User>,
}

impl Gate {
    /// Lets a write through, or says why not.
    pub(crate) fn admit(&self, store: &Store, act: &Act<'_>) -> Result<(), Failure> {
        limits::check(store, act)?;
        security::check(store, act)?;
        self.policies.check(store, self, act)?;
        quotas::check(store, act)
    }
}

/// Fills in what admission adds to a new object.
pub(crate) fn prepare(store: &Store, place: &Place, object: &mut Object) {
    limits::fill(store, place, object);
    defaults::fill(place, object);
}
