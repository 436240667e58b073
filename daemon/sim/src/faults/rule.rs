//! What can be asked to go wrong, as plain data.

use std::time::Duration;

use http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::counts::Verb;

/// The longest that a fault may hold a request up.
const LONGEST_DELAY: Duration = Duration::from_mins(10);

/// A fault: which requests it may hit, what it does to them, and how often.
///
/// An empty list matches everything. A rule without kinds, namespaces and names hits
/// requests for health, version and discovery too, which count as gets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultRule {
    /// What the requests do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub verbs: Vec<Verb>,
    /// Plurals as they stand in paths, with or without their group: `pods`,
    /// `deployments.apps`. Subresources are among them; `deployments/scale` is that
    /// subresource alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<String>,
    /// Namespaces.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<String>,
    /// Names of objects.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// What befalls a request.
    pub effect: Effect,
    /// How likely that is, from 0 to 1.
    #[serde(default = "always")]
    pub probability: f64,
    /// How many requests it hits before it is spent; without a limit when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// What its chance is drawn from, whichever rules are there beside it; the simulator's
    /// seed and its own id when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
}

fn always() -> f64 {
    1.0
}

impl FaultRule {
    /// This effect on every request, for narrowing by the other fields.
    pub fn new(effect: Effect) -> Self {
        Self {
            verbs: Vec::new(),
            kinds: Vec::new(),
            namespaces: Vec::new(),
            names: Vec::new(),
            effect,
            probability: always(),
            count: None,
            seed: None,
        }
    }

    /// Whether the rule can be followed.
    pub fn check(&self) -> Result<(), FaultError> {
        if !(0.0..=1.0).contains(&self.probability) {
            return Err(FaultError::Probability(self.probability));
        }
        if self.count == Some(0) {
            return Err(FaultError::NoCount);
        }
        for (field, list) in
            [("kinds", &self.kinds), ("namespaces", &self.namespaces), ("names", &self.names)]
        {
            if list.iter().any(String::is_empty) {
                return Err(FaultError::Empty(field));
            }
        }
        match self.effect {
            Effect::Delay { milliseconds }
                if Duration::from_millis(milliseconds) > LONGEST_DELAY =>
            {
                Err(FaultError::TooLong(milliseconds))
            }
            Effect::Cut { .. } if !(self.verbs.is_empty() || self.verbs.contains(&Verb::Watch)) => {
                Err(FaultError::NothingToCut)
            }
            _ => Ok(()),
        }
    }

    pub(super) fn matches(&self, target: &Target<'_>) -> bool {
        let has = |list: &[String], text: &str| {
            list.is_empty() || list.iter().any(|wanted| wanted == text)
        };
        (self.verbs.is_empty() || self.verbs.contains(&target.verb))
            && (self.kinds.is_empty() || self.kinds.iter().any(|kind| target.is_of(kind)))
            && has(&self.namespaces, target.namespace)
            && has(&self.names, target.name)
            // Only a watch can be cut.
            && (target.verb == Verb::Watch || !matches!(self.effect, Effect::Cut { .. }))
    }
}

/// What befalls a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Effect {
    /// It waits before it is looked at. The delays of all rules that hit it add up.
    Delay {
        /// How long.
        milliseconds: u64,
    },
    /// It is answered with a failure and does nothing. A watch that is refused with
    /// [`Refusal::Gone`] opens and then says so, as the API server does.
    Refuse {
        /// The failure.
        refusal: Refusal,
        /// The answer's `Retry-After`. Absent, 429 and 504 say one second.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after_seconds: Option<u32>,
    },
    /// The connection breaks before it is looked at.
    Drop,
    /// It is done, and the connection breaks before the answer: the client cannot know.
    Lose,
    /// The watch breaks off after that many events, as a lost connection does.
    Cut {
        /// Events that are told first; bookmarks are not counted.
        #[serde(default)]
        after_events: u64,
    },
}

/// The answer of a request that is made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// 403: as an admission policy or a missing role has it.
    Forbidden,
    /// 409: as another writer at the same moment has it.
    Conflict,
    /// 410: a version or a page that is too old.
    Gone,
    /// 422: as an object that somebody made immutable has it.
    Invalid,
    /// 429 with `Retry-After`: too many requests.
    TooManyRequests,
    /// 500: as a webhook that fails has it.
    InternalError,
    /// 503: an overloaded server.
    Unavailable,
    /// 504: as a webhook that hangs has it.
    Timeout,
}

impl Refusal {
    pub(crate) fn code(self) -> StatusCode {
        match self {
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::Conflict => StatusCode::CONFLICT,
            Self::Gone => StatusCode::GONE,
            Self::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
            Self::InternalError => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Timeout => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    /// The `reason` of the answer's status.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Forbidden => "Forbidden",
            Self::Conflict => "Conflict",
            Self::Gone => "Expired",
            Self::Invalid => "Invalid",
            Self::TooManyRequests => "TooManyRequests",
            Self::InternalError => "InternalError",
            Self::Unavailable => "ServiceUnavailable",
            Self::Timeout => "Timeout",
        }
    }
}

/// All faults of a simulator, as a configuration file says them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FaultConfig {
    /// What chance is drawn from: the same seed and the same requests in the same order
    /// give the same faults.
    pub seed: u64,
    /// The faults, the first first.
    pub rules: Vec<FaultRule>,
}

/// A rule that is in force.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ActiveFault {
    /// What to remove it by. Never used twice in one simulator.
    pub id: u64,
    /// The rule as it was given.
    pub rule: FaultRule,
    /// Requests that it could have hit so far.
    pub matched: u64,
    /// Requests that it has hit.
    pub struck: u64,
}

/// A rule that cannot be followed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum FaultError {
    /// No probability.
    #[error("probability: {0} is not between 0 and 1; say 0.1 for one request of ten")]
    Probability(f64),
    /// A fault that never strikes.
    #[error("count: 0 would never strike; leave it out for no limit, or say 1 or more")]
    NoCount,
    /// An empty name in a list.
    #[error("{0}: an entry is empty; leave the list out to match everything")]
    Empty(&'static str),
    /// Longer than anybody waits.
    #[error("effect.delay.milliseconds: {0} is more than ten minutes; say 600000 or less")]
    TooLong(u64),
    /// Watches alone are cut.
    #[error("effect.cut: only watches can be cut; add `watch` to verbs or leave them out")]
    NothingToCut,
}

/// What a request is about, as rules see it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target<'a> {
    pub(crate) verb: Verb,
    pub(crate) group: &'a str,
    /// Empty for what is no object: health and discovery.
    pub(crate) plural: &'a str,
    /// Empty for the object itself.
    pub(crate) subresource: &'a str,
    pub(crate) namespace: &'a str,
    pub(crate) name: &'a str,
}

impl Target<'_> {
    fn is_of(&self, kind: &str) -> bool {
        let (kind, subresource) = match kind.split_once('/') {
            Some((kind, subresource)) => (kind, Some(subresource)),
            None => (kind, None),
        };
        let is_kind = match kind.split_once('.') {
            Some((plural, group)) => plural == self.plural && group == self.group,
            None => kind == self.plural,
        };
        is_kind && subresource.is_none_or(|wanted| wanted == self.subresource)
    }
}
