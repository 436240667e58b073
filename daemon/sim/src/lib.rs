//! An in-process Kubernetes API behind a real [`kube::Client`].
//!
//! It serves the kinds that the daemon writes (namespaces, config maps, secrets,
//! service accounts, quotas, limit ranges, network policies, roles and bindings,
//! disruption budgets, events, admission policies, custom resource definitions)
//! and what definitions define: get, list, watch, create, replace, merge patch,
//! server-side apply and delete, with the API server's own answers and defaults.
//! As the controllers of a cluster do, it ends a deleted namespace with all that
//! is in it, counts what quotas limit and establishes definitions. What it claims
//! to do is what the conformance suite in `tests/` checks against a real
//! kube-apiserver.
//!
//! It knows no subresource, no strategic merge or JSON patch, no garbage collection by
//! owner, no deletion of collections. Nobody is authenticated and nothing is
//! authorized: impersonation headers are read by nobody. Nothing is admitted or
//! refused by policies, quotas, limit ranges or Pod Security: admission policies
//! are stored and do nothing. Beyond names, labels, the types of fields and
//! quantities, what a specification says is not validated.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let simulator = streamspace_sim::Simulator::open(std::path::Path::new("/var/lib/example"))?;
//! let client: kube::Client = simulator.client();
//! # Ok(())
//! # }
//! ```

mod apply;
mod body;
mod checks;
mod controllers;
mod counts;
mod defaults;
mod events;
mod faults;
mod fields;
mod journal;
mod kinds;
mod merging;
mod namespaces;
mod objects;
mod options;
mod quantity;
mod reply;
mod schema;
mod select;
mod service;
mod status;
mod store;
mod validation;
mod watch;

use std::{path::Path, sync::Arc, time::Duration};

use service::Service;

pub use counts::Verb;
pub use faults::{Faults, ObjectRef, Refusal, Times};
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
