//! An in-process Kubernetes API behind a real [`kube::Client`].
//!
//! It serves namespaces: get, list, watch, create, replace, merge patch,
//! server-side apply and delete, with the API server's own answers, and ends a
//! deleted namespace as the namespace controller does. What it claims to do is
//! what the conformance suite in `tests/` checks against a real
//! kube-apiserver; it knows no other kind, no subresource, no strategic merge
//! patch, no owner references, no authentication and no admission.
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
mod counts;
mod faults;
mod fields;
mod journal;
mod namespaces;
mod options;
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
        let store = store::Store::in_memory();
        // Without a disk to fail, only a name that breaks the rules could be refused.
        if let Err(failure) = namespaces::create_defaults(&store) {
            tracing::error!(failure = %failure.message, "the default namespaces were refused");
        }
        Self::over(store)
    }

    /// A cluster whose objects live in `folder`, which is made if needed. A
    /// write is on the disk before it is answered, so it survives the end of the
    /// process at any line. One process at a time.
    pub fn open(folder: &Path) -> Result<Self, OpenError> {
        let store = store::Store::open(folder)?;
        namespaces::create_defaults(&store).map_err(|failure| OpenError::Io {
            path: folder.to_owned(),
            source: std::io::Error::other(failure.message),
        })?;
        Ok(Self::over(store))
    }

    fn over(store: store::Store) -> Self {
        store.compact();
        Self { service: Service::new(Arc::new(store), faults::Faults::none(), TERMINATION) }
    }

    /// A client of this cluster, in the namespace `default`. Call it inside a
    /// Tokio runtime, which then also carries the namespaces that are ending.
    pub fn client(&self) -> kube::Client {
        self.service.resume_terminations();
        kube::Client::new(self.service.clone(), "default")
    }

    /// Stops or starts the API server: while it is stopped every request fails
    /// to connect, watches break off, and nothing ends.
    pub fn set_available(&self, available: bool) {
        self.service.faults().set_available(available);
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
