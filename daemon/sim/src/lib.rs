//! An in-process Kubernetes API behind a real [`kube::Client`].
//!
//! # What it does
//!
//! It serves the kinds that the daemon writes and that sessions are made of: namespaces,
//! config maps, secrets, service accounts, events, quotas, limit ranges, network policies,
//! roles and bindings, disruption budgets, pods, services, ingresses, claims, deployments,
//! replica sets, autoscalers, admission policies, custom resource definitions, and what definitions
//! define. Each can be discovered, read, listed in pages, watched, created, replaced,
//! patched (merge, JSON, strategic merge, server-side apply) and deleted, one by one or as a
//! collection, with the API server's own answers and defaults; status, scale and a
//! namespace's finalizers have paths of their own.
//!
//! Deletions heed preconditions, finalizers and the three ways of propagation. As the
//! controllers of a cluster do, it ends a deleted namespace with all that is in it, collects
//! what nobody owns, counts what quotas limit, establishes definitions and lets go of claims
//! that no pod uses.
//!
//! Writes are admitted as by the API server: quotas, limit ranges, Pod Security by the labels
//! of the namespace, and the stored validating admission policies, whose CEL is evaluated.
//! Custom resources are checked by the schemas and rules of their definitions. Access
//! reviews are answered by RBAC from the stored roles and bindings.
//!
//! What it claims to do is what the conformance suite in `tests/` checks against a real
//! kube-apiserver.
//!
//! # What it does not do
//!
//! - Nobody is authenticated and no request is authorized: whoever asks is the cluster's
//!   administrator, or whom the impersonation headers name, and may do everything that
//!   admission lets through. No cluster roles are there from the beginning, and none are
//!   aggregated.
//! - Nothing runs. Deployments make no replica sets, these no pods, and pods stay pending on
//!   no node; autoscalers and disruption budgets stay as they are written; no claim is bound.
//!   A pod with a node stays until it is deleted without a grace. There are no evictions,
//!   bindings, logs, tokens, ephemeral containers or resizes.
//! - New namespaces hold neither the account `default` nor the certificate of the root, and
//!   pods get no token mounted, whether their account exists or not.
//! - Of what specifications may not say, only what our own objects could break is refused
//!   (`rules.rs`). Quotas with scopes count everything; there are no priority classes, storage
//!   classes, webhooks, mutating policies, and no ratio in limit ranges.
//! - Of Pod Security a few checks are missing (`admission/security.rs`); workloads are not
//!   warned of. Of schemas `oneOf`, `anyOf`, `allOf`, `not`, `multipleOf` and rules about the old
//!   object are not followed. Versions of a custom resource are not converted.
//! - Policies only deny: `Warn` and `Audit` do nothing, types are not checked, costs are not
//!   counted, and they work at once. Rules of equivalent resources are not looked up.
//! - There is no aggregated discovery, no `OpenAPI`, no table or protobuf as an answer, and
//!   one version of each built-in kind.
//!
//! # Faults
//!
//! [`Simulator::faults`] makes it fail: see [`FaultRule`].
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let simulator = streamspace_sim::Simulator::open(std::path::Path::new("/var/lib/example"))?;
//! let client: kube::Client = simulator.client();
//! # Ok(())
//! # }
//! ```

mod access;
mod admission;
mod apply;
mod body;
mod checks;
mod collector;
mod controllers;
mod counts;
mod defaults;
mod events;
mod expressions;
mod faults;
mod fields;
mod journal;
mod kinds;
mod namespaces;
mod objects;
mod options;
mod patching;
mod quantity;
mod reply;
mod reviews;
mod rules;
mod scale;
mod schema;
mod select;
mod service;
mod status;
mod store;
mod structure;
mod user;
mod validation;
mod watch;

use std::{path::Path, sync::Arc, time::Duration};

use service::Service;

pub use counts::Verb;
pub use faults::{
    ActiveFault, Effect, FaultConfig, FaultError, FaultRule, Faults, ObjectRef, Refusal, Times,
};
pub use journal::OpenError;

/// How long a namespace stays terminating.
const TERMINATION: Duration = Duration::from_millis(250);

/// One simulated cluster. Clones share it.
#[derive(Clone, Debug)]
pub struct Simulator {
    service: Service,
}

impl Simulator {
    /// A cluster that is gone when its last clone is.
    pub fn in_memory() -> Self {
        let (store, kinds) = (store::Store::in_memory(), kinds::Kinds::new());
        // Without a disk to fail, only a name that breaks the rules could be refused.
        if let Err(failure) = namespaces::create_defaults(&store, &kinds) {
            tracing::error!(failure = %failure.message, "the default namespaces were refused");
        }
        Self::over(store, kinds)
    }

    /// A cluster whose objects live in `folder`, which is made if needed. A
    /// write is on the disk before it is answered, so it survives the end of the
    /// process at any line. One process at a time.
    pub fn open(folder: &Path) -> Result<Self, OpenError> {
        let (store, kinds) = (store::Store::open(folder)?, kinds::Kinds::new());
        namespaces::create_defaults(&store, &kinds).map_err(|failure| OpenError::Io {
            path: folder.to_owned(),
            source: std::io::Error::other(failure.message),
        })?;
        Ok(Self::over(store, kinds))
    }

    fn over(store: store::Store, kinds: kinds::Kinds) -> Self {
        store.compact();
        let (store, kinds) = (Arc::new(store), Arc::new(kinds));
        Self { service: Service::new(store, kinds, faults::Faults::none(), TERMINATION) }
    }

    /// A client of this cluster, in the namespace `default`. Call it inside a
    /// Tokio runtime, which then also carries what goes on beside requests.
    pub fn client(&self) -> kube::Client {
        self.service.resume();
        kube::Client::new(self.service.clone(), "default")
    }

    /// Stops or starts the API server: while it is stopped every request fails
    /// to connect, watches break off, and nothing ends.
    pub fn set_available(&self, available: bool) {
        self.service.faults().set_available(available);
    }

    /// Faults that strike single objects and watches.
    pub fn faults(&self) -> &Faults {
        self.service.faults()
    }

    /// Forgets the history: a watch or a page that reaches back before this
    /// moment is answered with 410 Gone.
    pub fn compact(&self) {
        self.service.store().compact();
    }

    /// Requests of this verb that were received, dry runs among them.
    pub fn requests(&self, verb: Verb) -> u64 {
        self.service.counts().of(verb)
    }

    /// Requests that could have changed something: creates, replacements,
    /// patches and deletes without the dry runs, whatever came of them.
    pub fn writes(&self) -> u64 {
        self.service.counts().writes()
    }
}
