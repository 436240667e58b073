//! A change that was asked for and what came of it, written down.

use prost::Message;
use streamspace_client::text::escape;
use uuid::Uuid;

use super::{TroubleRecord, narrow};
use crate::{
    actions::{Kind, Subject, Verb, Work},
    events::News,
    state::RegionIndex,
    trouble::Trouble,
};

/// What was asked to be changed, and what came of it.
#[derive(Clone, PartialEq, Message)]
pub(super) struct WorkedRecord {
    #[prost(uint32, tag = "1")]
    region: u32,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(string, tag = "3")]
    id: String,
    /// Places in [`KINDS`] and [`VERBS`].
    #[prost(uint32, tag = "4")]
    kind: u32,
    #[prost(uint32, tag = "5")]
    verb: u32,
    #[prost(bool, tag = "6")]
    rehearse: bool,
    #[prost(bytes = "vec", tag = "7")]
    request_id: Vec<u8>,
    #[prost(string, tag = "8")]
    plan: String,
    #[prost(string, tag = "9")]
    amount: String,
    #[prost(string, tag = "10")]
    lifetime: String,
    #[prost(string, tag = "11")]
    reason: String,
    #[prost(string, repeated, tag = "12")]
    lines: Vec<String>,
    #[prost(message, optional, tag = "13")]
    trouble: Option<TroubleRecord>,
    #[prost(string, tag = "14")]
    title: String,
    #[prost(string, tag = "15")]
    severity: String,
    #[prost(string, tag = "16")]
    note: String,
}

/// New ones are put at the end.
const KINDS: [Kind; 6] =
    [Kind::Session, Kind::Tenant, Kind::Certificate, Kind::Alert, Kind::Incident, Kind::Region];
const VERBS: [Verb; 18] = [
    Verb::Hibernate,
    Verb::Wake,
    Verb::Terminate,
    Verb::Cordon,
    Verb::Uncordon,
    Verb::Suspend,
    Verb::Resume,
    Verb::HibernateAll,
    Verb::TerminateAll,
    Verb::SetPlan,
    Verb::SetQuota,
    Verb::Revoke,
    Verb::Acknowledge,
    Verb::Declare,
    Verb::AcknowledgeIncident,
    Verb::Note,
    Verb::Mitigate,
    Verb::Resolve,
];

impl WorkedRecord {
    pub(super) fn write(work: &Work, result: &Result<Vec<String>, Trouble>) -> Self {
        let place = |place: Option<usize>| place.and_then(|it| u32::try_from(it).ok());
        let subject = &work.subject;
        Self {
            region: subject.region.0.into(),
            name: subject.name.clone(),
            id: subject.id.clone(),
            kind: place(KINDS.iter().position(|kind| *kind == subject.kind)).unwrap_or(u32::MAX),
            verb: place(VERBS.iter().position(|verb| *verb == work.verb)).unwrap_or(u32::MAX),
            rehearse: work.rehearse,
            request_id: work.request_id.as_bytes().to_vec(),
            plan: work.plan.clone(),
            amount: work.amount.clone(),
            lifetime: work.lifetime.clone(),
            reason: work.reason.clone(),
            title: work.title.clone(),
            severity: work.severity.clone(),
            note: work.note.clone(),
            lines: result.clone().unwrap_or_default(),
            trouble: result.as_ref().err().map(TroubleRecord::write),
        }
    }

    pub(super) fn read(self) -> Option<News> {
        let place = |place: u32| usize::try_from(place).ok();
        let subject = Subject {
            region: RegionIndex(narrow(self.region)),
            name: self.name,
            id: escape(&self.id).into_owned(),
            kind: *KINDS.get(place(self.kind)?)?,
        };
        let work = Work {
            subject,
            verb: *VERBS.get(place(self.verb)?)?,
            rehearse: self.rehearse,
            request_id: Uuid::from_slice(&self.request_id).ok()?,
            plan: self.plan,
            amount: self.amount,
            lifetime: self.lifetime,
            reason: self.reason,
            title: self.title,
            severity: self.severity,
            note: self.note,
        };
        let result = match self.trouble {
            Some(trouble) => Err(trouble.read()),
            None => Ok(self.lines),
        };
        Some(News::Worked(Box::new(work), result))
    }
}
