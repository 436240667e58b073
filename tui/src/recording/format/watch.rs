//! What a watch brought, written down.

use prost::Message;
use streamspace_client::Counts;
use streamspace_proto::v1;

use super::{Nothing, TroubleRecord};
use crate::events::Watched;

#[derive(Clone, PartialEq, Message)]
pub(super) struct WatchRecord {
    #[prost(message, repeated, tag = "1")]
    pub(super) events: Vec<WatchedRecord>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct WatchedRecord {
    #[prost(oneof = "WatchedWhat", tags = "1, 2, 3, 4, 5, 6, 7, 8, 9")]
    what: Option<WatchedWhat>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum WatchedWhat {
    /// Whether it was resumed.
    #[prost(bool, tag = "1")]
    Connected(bool),
    #[prost(message, tag = "2")]
    Snapshot(CountsRecord),
    #[prost(message, tag = "3")]
    Item(v1::Resource),
    #[prost(message, tag = "4")]
    Synced(CountsRecord),
    #[prost(message, tag = "5")]
    Change(v1::Change),
    #[prost(message, tag = "6")]
    Gap(Nothing),
    #[prost(message, tag = "7")]
    Quiet(Nothing),
    #[prost(message, tag = "8")]
    Lost(TroubleRecord),
    #[prost(message, tag = "9")]
    Failed(TroubleRecord),
}

#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(super) struct CountsRecord {
    #[prost(uint64, tag = "1")]
    tenants: u64,
    #[prost(uint64, tag = "2")]
    operations: u64,
    #[prost(uint64, tag = "3")]
    sessions: u64,
}

impl CountsRecord {
    pub(super) fn write(counts: Counts) -> Self {
        let Counts { tenants, operations, sessions } = counts;
        Self { tenants, operations, sessions }
    }

    pub(super) fn read(self) -> Counts {
        Counts { tenants: self.tenants, operations: self.operations, sessions: self.sessions }
    }
}

impl WatchedRecord {
    pub(super) fn write(event: &Watched) -> Self {
        let what = match event {
            Watched::Connected { resumed } => WatchedWhat::Connected(*resumed),
            Watched::Snapshot(counts) => WatchedWhat::Snapshot(CountsRecord::write(*counts)),
            Watched::Item(resource) => WatchedWhat::Item(v1::Resource::clone(resource)),
            Watched::Synced(counts) => WatchedWhat::Synced(CountsRecord::write(*counts)),
            Watched::Change(change) => WatchedWhat::Change(v1::Change::clone(change)),
            Watched::Gap => WatchedWhat::Gap(Nothing {}),
            Watched::Quiet => WatchedWhat::Quiet(Nothing {}),
            Watched::Lost(trouble) => WatchedWhat::Lost(TroubleRecord::write(trouble)),
            Watched::Failed(trouble) => WatchedWhat::Failed(TroubleRecord::write(trouble)),
        };
        Self { what: Some(what) }
    }

    pub(super) fn read(self) -> Option<Watched> {
        Some(match self.what? {
            WatchedWhat::Connected(resumed) => Watched::Connected { resumed },
            WatchedWhat::Snapshot(counts) => Watched::Snapshot(counts.read()),
            WatchedWhat::Item(resource) => Watched::Item(Box::new(resource)),
            WatchedWhat::Synced(counts) => Watched::Synced(counts.read()),
            WatchedWhat::Change(change) => Watched::Change(Box::new(change)),
            WatchedWhat::Gap(_) => Watched::Gap,
            WatchedWhat::Quiet(_) => Watched::Quiet,
            WatchedWhat::Lost(trouble) => Watched::Lost(trouble.read()),
            WatchedWhat::Failed(trouble) => Watched::Failed(trouble.read()),
        })
    }
}
