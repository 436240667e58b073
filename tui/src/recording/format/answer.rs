//! A question and what came of it, written down.

use std::collections::VecDeque;

use prost::Message;
use streamspace_proto::v1;

use super::{Nothing, TroubleRecord};
use crate::{
    state::{
        Answer, Budgets, Impacts, IncidentDetail, LiveUsage, Question, SloDetail, TenantUsage,
    },
    trouble::Trouble,
};

#[derive(Clone, PartialEq, Message)]
pub(super) struct AnswerRecord {
    /// Which question, and of what.
    #[prost(uint32, tag = "1")]
    question: u32,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(
        oneof = "AnswerWhat",
        tags = "3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19"
    )]
    what: Option<AnswerWhat>,
}

#[allow(clippy::large_enum_variant, reason = "one is there at a time, and it is written at once")]
#[derive(Clone, PartialEq, prost::Oneof)]
enum AnswerWhat {
    #[prost(message, tag = "3")]
    Trouble(TroubleRecord),
    #[prost(message, tag = "4")]
    Session(v1::DescribeSessionResponse),
    #[prost(message, tag = "5")]
    Quota(v1::Quota),
    #[prost(message, tag = "6")]
    Objects(v1::ListTenantObjectsResponse),
    #[prost(message, tag = "7")]
    Usage(TenantUsage),
    #[prost(message, tag = "8")]
    LiveUsage(LiveUsage),
    #[prost(message, tag = "9")]
    Audit(v1::ListAuditEntriesResponse),
    #[prost(message, tag = "10")]
    Certificates(v1::ListCertificatesResponse),
    #[prost(string, tag = "11")]
    Yaml(String),
    /// As the last time.
    #[prost(message, tag = "12")]
    Same(Nothing),
    #[prost(message, tag = "13")]
    Alerts(v1::ListAlertsResponse),
    #[prost(message, tag = "14")]
    Budgets(Budgets),
    #[prost(message, tag = "15")]
    Slo(SloDetail),
    #[prost(message, tag = "16")]
    Incidents(v1::ListIncidentsResponse),
    #[prost(message, tag = "17")]
    Incident(IncidentDetail),
    #[prost(message, tag = "18")]
    Impacts(Impacts),
    #[prost(string, tag = "19")]
    PostMortem(String),
}

impl AnswerRecord {
    /// Whether it answers the same question.
    fn is_of(&self, other: &Self) -> bool {
        self.question == other.question && self.name == other.name
    }

    pub(super) fn write(question: &Question, answer: &Result<Answer, Trouble>) -> Self {
        let (number, name) = match question {
            Question::Session(name) => (1, name.as_str()),
            Question::Quota(name) => (2, name.as_str()),
            Question::Objects(name) => (3, name.as_str()),
            Question::Usage(name) => (4, name.as_str()),
            Question::LiveUsage => (5, ""),
            Question::Audit => (6, ""),
            Question::Certificates => (7, ""),
            Question::Yaml(name) => (8, name.as_str()),
            Question::Alerts => (9, ""),
            Question::Budgets => (10, ""),
            Question::Slo(name) => (11, name.as_str()),
            Question::Incidents => (12, ""),
            Question::Incident(name) => (13, name.as_str()),
            Question::Impacts => (14, ""),
            Question::PostMortem(name) => (15, name.as_str()),
        };
        let what = match answer {
            Err(trouble) => AnswerWhat::Trouble(TroubleRecord::write(trouble)),
            Ok(Answer::Session(reply)) => AnswerWhat::Session(Box::as_ref(reply).clone()),
            Ok(Answer::Quota(quota)) => AnswerWhat::Quota(Box::as_ref(quota).clone()),
            Ok(Answer::Objects(objects)) => {
                AnswerWhat::Objects(v1::ListTenantObjectsResponse { objects: objects.clone() })
            }
            Ok(Answer::Usage(usage)) => AnswerWhat::Usage(Box::as_ref(usage).clone()),
            Ok(Answer::LiveUsage(usage)) => AnswerWhat::LiveUsage(Box::as_ref(usage).clone()),
            Ok(Answer::Audit(entries)) => AnswerWhat::Audit(v1::ListAuditEntriesResponse {
                entries: entries.clone(),
                ..v1::ListAuditEntriesResponse::default()
            }),
            Ok(Answer::Certificates(certificates)) => {
                AnswerWhat::Certificates(v1::ListCertificatesResponse {
                    certificates: certificates.clone(),
                    ..v1::ListCertificatesResponse::default()
                })
            }
            Ok(Answer::Yaml(yaml)) => AnswerWhat::Yaml(yaml.clone()),
            Ok(Answer::Budgets(budgets)) => AnswerWhat::Budgets(Box::as_ref(budgets).clone()),
            Ok(Answer::Incidents(incidents)) => AnswerWhat::Incidents(v1::ListIncidentsResponse {
                incidents: incidents.clone(),
                ..v1::ListIncidentsResponse::default()
            }),
            Ok(Answer::Incident(incident)) => AnswerWhat::Incident(Box::as_ref(incident).clone()),
            Ok(Answer::Impacts(impacts)) => {
                AnswerWhat::Impacts(Impacts { impacts: impacts.clone() })
            }
            Ok(Answer::PostMortem(text)) => AnswerWhat::PostMortem(text.clone()),
            Ok(Answer::Slo(slo)) => AnswerWhat::Slo(Box::as_ref(slo).clone()),
            Ok(Answer::Alerts(alerts)) => AnswerWhat::Alerts(v1::ListAlertsResponse {
                alerts: alerts.clone(),
                ..v1::ListAlertsResponse::default()
            }),
        };
        Self { question: number, name: name.to_owned(), what: Some(what) }
    }

    pub(super) fn read(self) -> Option<(Question, Result<Answer, Trouble>)> {
        let name = self.name;
        let question = match self.question {
            1 => Question::Session(name),
            2 => Question::Quota(name),
            3 => Question::Objects(name),
            4 => Question::Usage(name),
            5 => Question::LiveUsage,
            6 => Question::Audit,
            7 => Question::Certificates,
            8 => Question::Yaml(name),
            9 => Question::Alerts,
            10 => Question::Budgets,
            11 => Question::Slo(name),
            12 => Question::Incidents,
            13 => Question::Incident(name),
            14 => Question::Impacts,
            15 => Question::PostMortem(name),
            _ => return None,
        };
        let answer = match self.what? {
            AnswerWhat::Trouble(trouble) => Err(trouble.read()),
            AnswerWhat::Session(reply) => Ok(Answer::Session(Box::new(reply))),
            AnswerWhat::Quota(quota) => Ok(Answer::Quota(Box::new(quota))),
            AnswerWhat::Objects(reply) => Ok(Answer::Objects(reply.objects)),
            AnswerWhat::Usage(usage) => Ok(Answer::Usage(Box::new(usage))),
            AnswerWhat::LiveUsage(usage) => Ok(Answer::LiveUsage(Box::new(usage))),
            AnswerWhat::Audit(reply) => Ok(Answer::Audit(reply.entries)),
            AnswerWhat::Certificates(reply) => Ok(Answer::Certificates(reply.certificates)),
            AnswerWhat::Yaml(yaml) => Ok(Answer::Yaml(yaml)),
            AnswerWhat::Budgets(budgets) => Ok(Answer::Budgets(Box::new(budgets))),
            AnswerWhat::Incidents(reply) => Ok(Answer::Incidents(reply.incidents)),
            AnswerWhat::Incident(incident) => Ok(Answer::Incident(Box::new(incident))),
            AnswerWhat::Impacts(impacts) => Ok(Answer::Impacts(impacts.impacts)),
            AnswerWhat::PostMortem(text) => Ok(Answer::PostMortem(text)),
            AnswerWhat::Slo(slo) => Ok(Answer::Slo(Box::new(slo))),
            AnswerWhat::Alerts(reply) => Ok(Answer::Alerts(reply.alerts)),
            AnswerWhat::Same(_) => return None,
        };
        Some((question, answer))
    }
}

/// How many answers are known as the last ones. Both sides forget the same.
const KNOWN: usize = 64;

/// The last answers of each region, so that what is asked all day is written when it changes.
#[derive(Debug, Default)]
pub(super) struct LastAnswers(VecDeque<(u32, AnswerRecord)>);

impl LastAnswers {
    /// What is to be written of an answer.
    pub(super) fn brief(&mut self, region: u32, record: AnswerRecord) -> AnswerRecord {
        if self.known(region, &record) == Some(&record) {
            return AnswerRecord { what: Some(AnswerWhat::Same(Nothing {})), ..record };
        }
        self.keep(region, record.clone());
        record
    }

    /// What was meant by what was written; none where that is not known.
    pub(super) fn whole(&mut self, region: u32, record: AnswerRecord) -> Option<AnswerRecord> {
        if matches!(record.what, Some(AnswerWhat::Same(_))) {
            return self.known(region, &record).cloned();
        }
        self.keep(region, record.clone());
        Some(record)
    }

    fn known(&self, region: u32, record: &AnswerRecord) -> Option<&AnswerRecord> {
        let of_it = |(at, known): &&(u32, AnswerRecord)| *at == region && known.is_of(record);
        self.0.iter().find(of_it).map(|(_, known)| known)
    }

    fn keep(&mut self, region: u32, record: AnswerRecord) {
        self.0.retain(|(at, known)| *at != region || !known.is_of(&record));
        self.0.push_front((region, record));
        self.0.truncate(KNOWN);
    }
}
