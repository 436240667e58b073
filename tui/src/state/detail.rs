//! What is asked about what a page shows: what no watch tells.

use jiff::Timestamp;
use streamspace_proto::v1::{
    Alert, AuditEntry, Budget, BurnChart, Certificate, DescribeSessionResponse, Incident,
    IncidentImpact, ListLiveUsageResponse, QueryUsageResponse, Quota, Slo, TenantObject,
    TimelineEntry, UsageStatus,
};

use super::RegionIndex;
use crate::{format::seconds_since, trouble::Trouble};

/// An answer that so many others should have replaced is old.
const OLD: i64 = 3;

/// What a region is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    /// A session with its objects and events.
    Session(String),
    /// How much a tenant may use and uses.
    Quota(String),
    /// What a tenant has in the cluster.
    Objects(String),
    /// What a tenant used.
    Usage(String),
    /// What all take now, and how far the metering is.
    LiveUsage,
    /// The incidents: all that are open, and those that were closed last.
    Incidents,
    /// What the open incidents cost so far.
    Impacts,
    /// All about one: whom it hits, what it costs, what happened.
    Incident(String),
    /// The post-mortem of one, as Markdown.
    PostMortem(String),
    /// The error budgets, and their SLOs.
    Budgets,
    /// All about one: its SLO, and whose it is where the SLO has one for each.
    Slo(String),
    /// What fires.
    Alerts,
    /// The latest entries of the audit log.
    Audit,
    /// The certificates that the region issued.
    Certificates,
    /// All of a resource, as the contract has it.
    Yaml(String),
}

impl Question {
    /// What is known is asked anew after so many seconds.
    fn period(&self) -> i64 {
        match self {
            Self::Session(_)
            | Self::Quota(_)
            | Self::LiveUsage
            | Self::Alerts
            | Self::Incidents
            | Self::Incident(_)
            | Self::Audit
            | Self::Yaml(_) => 5,
            // The cluster is asked for each; budgets change with each minute.
            Self::Objects(_)
            | Self::Budgets
            | Self::Slo(_)
            | Self::Impacts
            | Self::PostMortem(_) => 15,
            // It is closed each five minutes.
            Self::Usage(_) | Self::Certificates => 30,
        }
    }

    /// What is asked on every page, and by which method.
    pub(crate) const STANDING: [(Self, &str); 2] = [
        (Self::Alerts, "streamspace.admin.v1.AlertService/ListAlerts"),
        (Self::Incidents, "streamspace.admin.v1.IncidentService/ListIncidents"),
    ];

    /// Whether it is asked on every page.
    fn is_standing(&self) -> bool {
        Self::STANDING.iter().any(|(standing, _)| standing == self)
    }
}

/// What it answered.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Session(Box<DescribeSessionResponse>),
    Quota(Box<Quota>),
    Objects(Vec<TenantObject>),
    Usage(Box<TenantUsage>),
    LiveUsage(Box<LiveUsage>),
    Incidents(Vec<Incident>),
    Impacts(Vec<IncidentImpact>),
    Incident(Box<IncidentDetail>),
    PostMortem(String),
    Budgets(Box<Budgets>),
    Slo(Box<SloDetail>),
    Alerts(Vec<Alert>),
    Audit(Vec<AuditEntry>),
    Certificates(Vec<Certificate>),
    Yaml(String),
}

/// What a tenant used.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct TenantUsage {
    /// The hours of the last two days.
    #[prost(message, required, tag = "1")]
    pub(crate) hours: QueryUsageResponse,
    /// The days of this month.
    #[prost(message, required, tag = "2")]
    pub(crate) days: QueryUsageResponse,
    /// This month by user.
    #[prost(message, required, tag = "3")]
    pub(crate) users: QueryUsageResponse,
    /// This month by template.
    #[prost(message, required, tag = "4")]
    pub(crate) templates: QueryUsageResponse,
    /// Since when there is anything to tell.
    #[prost(message, required, tag = "5")]
    pub(crate) status: UsageStatus,
}

/// What all tenants take now.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct LiveUsage {
    #[prost(message, required, tag = "1")]
    pub(crate) live: ListLiveUsageResponse,
    #[prost(message, required, tag = "2")]
    pub(crate) status: UsageStatus,
}

/// An incident with what belongs to it.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct IncidentDetail {
    #[prost(message, optional, tag = "1")]
    pub(crate) incident: Option<Incident>,
    /// The oldest first.
    #[prost(message, repeated, tag = "2")]
    pub(crate) entries: Vec<TimelineEntry>,
    /// Whether there were more.
    #[prost(bool, tag = "3")]
    pub(crate) truncated: bool,
    #[prost(message, optional, tag = "4")]
    pub(crate) impact: Option<IncidentImpact>,
}

/// What the incidents of a region cost.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Impacts {
    #[prost(message, repeated, tag = "1")]
    pub(crate) impacts: Vec<IncidentImpact>,
}

/// Error budgets, and their SLOs.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Budgets {
    #[prost(message, repeated, tag = "1")]
    pub(crate) budgets: Vec<Budget>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) slos: Vec<Slo>,
}

/// An error budget, and how it came to be as it is.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct SloDetail {
    #[prost(message, optional, tag = "1")]
    pub(crate) slo: Option<Slo>,
    #[prost(message, optional, tag = "2")]
    pub(crate) budget: Option<Budget>,
    /// Over its window.
    #[prost(message, optional, tag = "3")]
    pub(crate) window: Option<BurnChart>,
    /// By minute.
    #[prost(message, optional, tag = "4")]
    pub(crate) hour: Option<BurnChart>,
}

/// What is known of one thing.
#[derive(Clone, Debug)]
pub(crate) struct Detail {
    region: RegionIndex,
    question: Question,
    /// When it was asked; none once it was answered.
    asked: Option<Timestamp>,
    /// When it was last tried.
    tried: Timestamp,
    /// The last answer, and when it came.
    pub(crate) answer: Option<(Timestamp, Answer)>,
    /// Why the last question was not answered.
    pub(crate) error: Option<String>,
    /// Whether the daemon refused to.
    pub(crate) refused: bool,
}

impl Detail {
    fn new(region: RegionIndex, question: Question, now: Timestamp) -> Self {
        let asked = Some(now);
        Self { region, question, asked, tried: now, answer: None, error: None, refused: false }
    }

    /// Whether it is time to ask again; so it is where the clock was set back.
    fn is_due(&self, now: Timestamp) -> bool {
        let since = seconds_since(self.tried, now);
        self.asked.is_none() && (since >= self.question.period() || now < self.tried)
    }

    /// Whether there should have been another answer for a while.
    pub(crate) fn is_old(&self, now: Timestamp) -> bool {
        let since = |at: &Timestamp| seconds_since(*at, now);
        self.answer.as_ref().is_some_and(|(at, _)| since(at) > OLD * self.question.period())
    }
}

/// All that the page asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Details(Vec<Detail>);

impl Details {
    pub(crate) fn get(&self, region: RegionIndex, question: &Question) -> Option<&Detail> {
        self.0.iter().find(|detail| detail.region == region && detail.question == *question)
    }

    /// Keeps what is still wanted, and returns what must be asked now.
    pub(crate) fn want(
        &mut self,
        wanted: Vec<(RegionIndex, Question)>,
        now: Timestamp,
        is_live: impl Fn(RegionIndex) -> bool,
    ) -> Vec<(RegionIndex, Question)> {
        self.0.retain(|detail| {
            wanted
                .iter()
                .any(|(region, question)| *region == detail.region && *question == detail.question)
        });
        wanted
            .into_iter()
            .filter(|(region, question)| is_live(*region) && self.is_due(*region, question, now))
            .collect()
    }

    /// Another page has other questions. What every page shows stays.
    pub(super) fn leave(&mut self) {
        self.0.retain(|detail| detail.question.is_standing());
    }

    /// Whether something is to be asked; then it counts as asked.
    fn is_due(&mut self, region: RegionIndex, question: &Question, now: Timestamp) -> bool {
        let known = |detail: &&mut Detail| detail.region == region && detail.question == *question;
        match self.0.iter_mut().find(known) {
            Some(detail) if !detail.is_due(now) => return false,
            Some(detail) => (detail.asked, detail.tried) = (Some(now), now),
            None => self.0.push(Detail::new(region, question.clone(), now)),
        }
        true
    }

    /// Something was changed: what is known may not be so any more.
    pub(crate) fn renew(&mut self) {
        for detail in &mut self.0 {
            (detail.asked, detail.tried) = (None, Timestamp::UNIX_EPOCH);
        }
    }

    /// Takes what came of a question. What nobody wants any more is dropped.
    pub(crate) fn take(
        &mut self,
        region: RegionIndex,
        question: &Question,
        answer: Result<Answer, Trouble>,
        now: Timestamp,
    ) {
        let known = |detail: &&mut Detail| detail.region == region && detail.question == *question;
        let Some(detail) = self.0.iter_mut().find(known) else { return };
        detail.asked = None;
        detail.refused = answer.as_ref().is_err_and(|trouble| trouble.refused);
        match answer {
            Ok(answer) => (detail.answer, detail.error) = (Some((now, answer)), None),
            Err(trouble) => detail.error = Some(trouble.words),
        }
    }
}
