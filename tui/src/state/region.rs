//! One region that is looked at: how its daemon is reached, how fresh what it said
//! is, and what it said about itself.

use jiff::Timestamp;
use streamspace_client::{Context, text::escape};
use streamspace_proto::v1::{self, Health, WhoAmIResponse};

use super::Trend;
use crate::{
    actions::role_word,
    format::{date_and_time, instant, many, seconds_since},
};

/// A watch brings something at least every five seconds.
const QUIET: i64 = 12;
/// A daemon is asked twice a second how it is. When it says nothing for so many
/// milliseconds it is not known any more whether what is shown is what is.
const SILENT: i64 = 1500;

/// Which of the regions that are looked at, in the order in which they were named.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct RegionIndex(pub(crate) u16);

/// Which daemon is looked at.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// The context's name.
    pub(crate) context: String,
    /// The region's name; empty until it is known.
    pub(crate) region: String,
    /// Where the daemon is.
    pub(crate) endpoint: String,
    /// Whether mistakes are dear there.
    pub(crate) protected: bool,
}

impl Target {
    pub(crate) fn new(context: &Context) -> Self {
        Self {
            context: escape(&context.name).into_owned(),
            region: escape(&context.region).into_owned(),
            endpoint: escape(&context.endpoint.to_string()).into_owned(),
            protected: context.protected,
        }
    }
}

/// Who looks.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) operator: String,
    pub(crate) role: String,
    /// The role that counts now, also by breaking the glass.
    pub(crate) effective_role: String,
    /// How many tenants the certificate reaches; none is the whole region.
    pub(crate) tenants: Option<usize>,
}

impl Identity {
    pub(crate) fn new(reply: &WhoAmIResponse, now: Timestamp) -> Self {
        let role = role_word(reply.role()).unwrap_or(&reply.role_name);
        let broken_glass = instant(reply.break_glass_expire_time.as_ref());
        let effective = if broken_glass.is_some_and(|end| end > now) { "admin" } else { role };
        Self {
            effective_role: escape(effective).into_owned(),
            operator: escape(&reply.operator).into_owned(),
            role: escape(role).into_owned(),
            tenants: Some(reply.tenants.len()).filter(|count| *count > 0),
        }
    }
}

/// How the watch is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    /// No connection was made yet.
    Connecting,
    /// A snapshot comes in.
    Loading,
    /// What is shown is what is.
    Live,
    /// The connection is lost, or was never there; it is tried again.
    Lost {
        /// Why.
        error: String,
        /// Since when.
        since: Timestamp,
    },
    /// The daemon refuses, and trying again does not help.
    Failed {
        /// Why.
        error: String,
    },
}

/// One part that the region depends on.
#[derive(Clone, Debug)]
pub(crate) struct Component {
    pub(crate) name: String,
    pub(crate) health: Health,
    pub(crate) message: String,
    pub(crate) since: Option<Timestamp>,
}

/// What the daemon last said about its region.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    /// When it said so.
    pub(crate) at: Timestamp,
    /// Worst first, then as the daemon orders them.
    pub(crate) components: Vec<Component>,
    pub(crate) daemon_version: String,
    /// All else, in words: what it is, and what.
    pub(crate) facts: Vec<(&'static str, String)>,
}

impl Report {
    pub(crate) fn new(region: &v1::Region, at: Timestamp) -> Self {
        let mut components: Vec<_> = region
            .components
            .iter()
            .map(|component| Component {
                name: escape(&component.name).into_owned(),
                health: component.health(),
                message: escape(&component.message).into_owned(),
                since: instant(component.last_transition_time.as_ref()),
            })
            .collect();
        components.sort_by_key(|component| match component.health {
            Health::Unavailable => 0,
            Health::Degraded => 1,
            Health::Unspecified => 2,
            Health::Ok => 3,
        });
        Self {
            at,
            components,
            daemon_version: escape(&region.daemon_version).into_owned(),
            facts: facts(region),
        }
    }

    /// The worst among the components.
    pub(crate) fn health(&self) -> Health {
        self.components.first().map_or(Health::Unspecified, |component| component.health)
    }
}

/// What a region says about itself beside its health. What is empty is not so.
fn facts(region: &v1::Region) -> Vec<(&'static str, String)> {
    let leader = region.leader.as_ref().map_or("nobody".into(), |leader| {
        format!("{}, term {}", leader.replica, leader.leader_term)
    });
    let ended = |reason: &str, actor: &str, end: Option<&prost_types::Timestamp>| {
        let end = instant(end).map(|end| format!(", until {} UTC", date_and_time(end)));
        format!("{reason} ({actor}){}", end.unwrap_or_default())
    };
    let cordon = region.cordon.as_ref();
    let cordon = cordon.map(|it| ended(&it.reason, &it.actor, it.expire_time.as_ref()));
    let pause = region.pause.as_ref();
    let pause = pause.map(|it| ended(&it.reason, &it.actor, it.expire_time.as_ref()));
    let breaker = region.breaker.as_ref().filter(|breaker| breaker.tripped);
    let started = instant(region.start_time.as_ref());
    let several = |number: usize, thing: &str| (number > 0).then(|| many(number, thing));
    let paused = usize::try_from(region.paused_tenants).unwrap_or(0);
    let facts = [
        ("daemon", Some(region.daemon_version.clone())),
        ("replica", Some(region.replica.clone())),
        ("started", started.map(|at| format!("{} UTC", date_and_time(at)))),
        ("leader", Some(leader)),
        ("cluster", Some(region.cluster_endpoint.clone())),
        ("revision", Some(region.revision.to_string())),
        ("cordon", cordon),
        ("paused", pause),
        ("breaker", breaker.map(|breaker| breaker.message.clone())),
        ("paused on their own", several(paused, "tenant")),
        ("orphans", several(region.orphans.len(), "namespace")),
    ];
    let told = facts.into_iter().filter_map(|(name, value)| Some((name, value?)));
    told.filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| (name, escape(&value).into_owned()))
        .collect()
}

/// One region.
#[derive(Clone, Debug)]
pub(crate) struct Region {
    pub(crate) target: Target,
    pub(crate) identity: Option<Identity>,
    pub(crate) report: Option<Report>,
    /// Why the region could not be asked the last time.
    pub(crate) report_error: Option<String>,
    pub(crate) link: Link,
    /// When the watch last brought something.
    pub(crate) heard: Option<Timestamp>,
    /// When the daemon last said anything at all.
    pub(crate) contact: Option<Timestamp>,
    /// Whether what it was asked last found no answer in time. What the watch brings then
    /// can be as late.
    pub(crate) unanswered: bool,
    /// How many rows the last snapshot was to bring.
    pub(crate) expected: usize,
    /// How many sessions ran in the last hour.
    pub(crate) trend: Trend,
}

impl Region {
    pub(crate) fn new(target: Target) -> Self {
        Self {
            target,
            identity: None,
            report: None,
            report_error: None,
            link: Link::Connecting,
            heard: None,
            contact: None,
            unanswered: false,
            expected: 0,
            trend: Trend::default(),
        }
    }

    /// What people call it: its name, or the context's until that is known.
    pub(crate) fn name(&self) -> &str {
        let Target { region, context, .. } = &self.target;
        if region.is_empty() { context } else { region }
    }

    /// How old its data are, in seconds; none where nothing was ever heard.
    pub(crate) fn data_age(&self, now: Timestamp) -> Option<i64> {
        self.heard.map(|heard| seconds_since(heard, now))
    }

    /// Whether its rows show what is. Else nothing in them may look healthy.
    pub(crate) fn is_live(&self, now: Timestamp) -> bool {
        let is_silent = |contact: Timestamp| {
            now.as_millisecond().saturating_sub(contact.as_millisecond()) > SILENT
        };
        self.link == Link::Live
            && !self.unanswered
            && self.data_age(now).is_some_and(|age| age <= QUIET)
            && !self.contact.is_none_or(is_silent)
    }

    /// What it said about itself, where that is fresh enough to be believed.
    pub(crate) fn fresh_report(&self, now: Timestamp) -> Option<&Report> {
        self.report
            .as_ref()
            .filter(|report| self.report_error.is_none() && seconds_since(report.at, now) <= QUIET)
    }
}
