//! What is asked about the one thing that a page is about: what no watch tells.

use jiff::Timestamp;
use streamspace_client::ClientError;
use streamspace_proto::v1::{DescribeSessionResponse, Quota};

use crate::rows::Key;

/// What is known is asked anew after so many seconds.
const PERIOD: i64 = 5;

/// What a daemon is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    /// A session with its objects and events.
    Session(String),
    /// How much a tenant may use and uses.
    Quota(String),
}

/// What it answered.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Session(Box<DescribeSessionResponse>),
    Quota(Box<Quota>),
}

/// What is known of the one thing.
#[derive(Clone, Debug)]
pub(crate) struct Detail {
    pub(crate) key: Key,
    /// When it was asked; none once it was answered.
    asked: Option<Timestamp>,
    /// The last answer, and when it came.
    pub(crate) answer: Option<(Timestamp, Answer)>,
    /// Why the last question was not answered.
    pub(crate) error: Option<String>,
}

impl Detail {
    pub(crate) fn asked(key: Key, now: Timestamp) -> Self {
        Self { key, asked: Some(now), answer: None, error: None }
    }

    /// Whether it is time to ask again.
    pub(crate) fn is_due(&self, now: Timestamp) -> bool {
        let at = self.answer.as_ref().map(|(at, _)| *at);
        let old = at.is_none_or(|at| crate::format::seconds_since(at, now) >= PERIOD);
        self.asked.is_none() && old
    }

    pub(crate) fn ask(&mut self, now: Timestamp) {
        self.asked = Some(now);
    }

    pub(crate) fn take(&mut self, now: Timestamp, answer: Result<Answer, ClientError>) {
        self.asked = None;
        match answer {
            Ok(answer) => (self.answer, self.error) = (Some((now, answer)), None),
            Err(error) => self.error = Some(crate::update::told(&error)),
        }
    }
}
