//! A change that was asked for and what came of it, written down.

use prost::Message;
use streamspace_client::text::escape;
use uuid::Uuid;

use super::{TroubleRecord, narrow};
use crate::{
    actions::{Field, Kind, Subject, Verb, Work},
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
    #[prost(string, tag = "11")]
    reason: String,
    #[prost(string, repeated, tag = "12")]
    lines: Vec<String>,
    #[prost(message, optional, tag = "13")]
    trouble: Option<TroubleRecord>,
    /// 8 to 10 and 14 to 16 were fields, each of its own.
    #[prost(message, repeated, tag = "17")]
    given: Vec<GivenRecord>,
}

/// What was written into a field.
#[derive(Clone, PartialEq, Eq, Message)]
struct GivenRecord {
    /// A place in [`FIELDS`].
    #[prost(uint32, tag = "1")]
    field: u32,
    #[prost(string, tag = "2")]
    text: String,
}

/// New ones are put at the end.
const KINDS: [Kind; 6] =
    [Kind::Session, Kind::Tenant, Kind::Certificate, Kind::Alert, Kind::Incident, Kind::Region];
const VERBS: [Verb; 27] = [
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
    Verb::Triage,
    Verb::Assign,
    Verb::Escalate,
    Verb::TellPublic,
    Verb::Reopen,
    Verb::Merge,
    Verb::AddTask,
    Verb::FinishTask,
    Verb::Review,
];
const FIELDS: [Field; 18] = [
    Field::Plan,
    Field::Amount,
    Field::Title,
    Field::Severity,
    Field::Tenants,
    Field::Note,
    Field::Public,
    Field::Next,
    Field::Role,
    Field::Person,
    Field::Into,
    Field::Task,
    Field::Owner,
    Field::Due,
    Field::Number,
    Field::Lifetime,
    Field::Reason,
    Field::Confirmation,
];

/// Where something stands in a list of this version; nowhere where it does not.
fn place<T: PartialEq>(list: &[T], one: &T) -> u32 {
    let place = list.iter().position(|known| known == one);
    place.and_then(|it| u32::try_from(it).ok()).unwrap_or(u32::MAX)
}

/// What stands in a place of it.
fn at<T: Copy>(list: &[T], place: u32) -> Option<T> {
    list.get(usize::try_from(place).ok()?).copied()
}

impl WorkedRecord {
    pub(super) fn write(work: &Work, result: &Result<Vec<String>, Trouble>) -> Self {
        let subject = &work.subject;
        let given = work.given.iter().map(|(field, text)| GivenRecord {
            field: place(&FIELDS, &field),
            text: text.to_owned(),
        });
        Self {
            region: subject.region.0.into(),
            name: subject.name.clone(),
            id: subject.id.clone(),
            kind: place(&KINDS, &subject.kind),
            verb: place(&VERBS, &work.verb),
            rehearse: work.rehearse,
            request_id: work.request_id.as_bytes().to_vec(),
            reason: work.reason.clone(),
            given: given.collect(),
            lines: result.clone().unwrap_or_default(),
            trouble: result.as_ref().err().map(TroubleRecord::write),
        }
    }

    pub(super) fn read(self) -> Option<News> {
        let subject = Subject {
            region: RegionIndex(narrow(self.region)),
            name: self.name,
            id: escape(&self.id).into_owned(),
            kind: at(&KINDS, self.kind)?,
        };
        let work = Work {
            subject,
            verb: at(&VERBS, self.verb)?,
            rehearse: self.rehearse,
            request_id: Uuid::from_slice(&self.request_id).ok()?,
            given: self
                .given
                .into_iter()
                .filter_map(|record| Some((at(&FIELDS, record.field)?, record.text)))
                .collect(),
            reason: self.reason,
        };
        let result = match self.trouble {
            Some(trouble) => Err(trouble.read()),
            None => Ok(self.lines),
        };
        Some(News::Worked(Box::new(work), result))
    }
}
