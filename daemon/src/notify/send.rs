//! Puts notices into the words of their channels, and sends them.
//!
//! Each kind of channel makes sure by its own means that what is sent twice has one effect:
//! PagerDuty and an Alertmanager by the key or the labels, a webhook by its `Idempotency-Key`,
//! and where a thing is made that the receiver gives an id, by looking for it before.

use http::{StatusCode, header::RETRY_AFTER};
use jiff::Timestamp;
use serde_json::Value;
use streamspace_core::notify::{Action, Answer, retry_after};

use super::{Message, channels::Channel, config::Kind, message::line, store::Record};
use crate::http_client::{self, Question};

mod alertmanager;
mod pagerduty;
mod statuspage;
mod webhook;

pub(super) use alertmanager::ALERT_NAME;

/// So much of what a receiver says is kept.
const WORDS_MAXIMUM: usize = 300;

/// A notice on its way.
pub(super) struct Task<'a> {
    pub(super) channel: &'a Channel,
    pub(super) notice: &'a Record,
    pub(super) message: &'a Message,
    /// What the receiver calls the thing; empty where that is not known.
    pub(super) remote: &'a str,
}

/// What came of a try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) outcome: Outcome,
    /// For people; empty where all is well.
    pub(super) words: String,
    /// What the receiver calls the thing, where that is known anew; empty where there is no
    /// such thing any more.
    pub(super) remote: Option<String>,
}

/// What a receiver said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// This, or nothing.
    Answered(Answer),
    /// Its time was over before it was sent.
    Expired,
    /// There is nothing to send: the receiver has it already, or knows no such thing.
    NotNeeded,
}

impl Told {
    /// The receiver has it.
    fn done() -> Self {
        Self {
            outcome: Outcome::Answered(Answer::Status { code: 200, retry_after: None }),
            words: String::new(),
            remote: None,
        }
    }

    /// The receiver has it, and calls it so.
    fn made(remote: String) -> Self {
        Self { remote: Some(remote), ..Self::done() }
    }

    fn not_needed(words: impl Into<String>) -> Self {
        Self { outcome: Outcome::NotNeeded, words: words.into(), remote: None }
    }

    fn unfit(words: impl Into<String>) -> Self {
        Self { outcome: Outcome::Answered(Answer::Unfit), words: words.into(), remote: None }
    }

    fn nothing(words: impl Into<String>) -> Self {
        Self { outcome: Outcome::Answered(Answer::Nothing), words: words.into(), remote: None }
    }
}

/// What there is of a thread at a receiver.
pub(super) fn thing(action: Action) -> &'static str {
    match action {
        Action::Trigger | Action::Acknowledge | Action::Resolve | Action::Test => "alert",
        Action::Publish => "incident",
        Action::Silence | Action::Unsilence => "silence",
    }
}

/// Sends one notice.
pub(super) async fn send(task: &Task<'_>) -> Told {
    let told = match task.channel.kind {
        Kind::Pagerduty => pagerduty::send(task).await,
        Kind::Statuspage => statuspage::send(task).await,
        Kind::Alertmanager => alertmanager::send(task).await,
        Kind::Webhook => webhook::send(task).await,
    };
    // Both are what came of it; one ends the way earlier.
    told.unwrap_or_else(|told| told)
}

impl Task<'_> {
    /// Asks the receiver something; whatever it answers is returned, and no answer ends the
    /// try.
    async fn ask(&self, question: Question) -> Result<http_client::Answer, Told> {
        self.channel.client.ask(question).await.map_err(Told::nothing)
    }

    /// Asks the receiver something that it must do.
    async fn must(&self, question: Question) -> Result<http_client::Answer, Told> {
        accepted(self.ask(question).await?)
    }

    fn unfit(&self) -> Told {
        let (kind, action) = (self.channel.kind.as_str(), self.notice.action);
        Told::unfit(format!("a channel of kind {kind} takes no {action}"))
    }
}

/// The answer where it is a yes; otherwise what comes of the try.
fn accepted(answer: http_client::Answer) -> Result<http_client::Answer, Told> {
    if answer.status.is_success() {
        return Ok(answer);
    }
    let wait = answer.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let wait = wait.and_then(|value| retry_after(value, Timestamp::now()));
    let said = String::from_utf8_lossy(&answer.body);
    let said = line(said.trim(), WORDS_MAXIMUM);
    let told = Answer::Status { code: answer.status.as_u16(), retry_after: wait };
    Err(Told {
        outcome: Outcome::Answered(told),
        words: format!("it answers with {}: {said}", answer.status).trim_end_matches(": ").into(),
        remote: None,
    })
}

/// Puts a field into an object of JSON.
fn put(object: &mut Value, name: &str, value: Value) {
    if let Some(fields) = object.as_object_mut() {
        fields.insert(name.to_owned(), value);
    }
}

/// Whether a thing that was asked for is not there.
fn is_gone(answer: &http_client::Answer) -> bool {
    matches!(answer.status, StatusCode::NOT_FOUND | StatusCode::GONE)
}

/// Text that is a link which receivers take.
fn link(message: &Message) -> Option<&str> {
    let link = message.link.as_str();
    let uri: http::Uri = link.parse().ok()?;
    (matches!(uri.scheme_str(), Some("http" | "https")) && uri.authority().is_some())
        .then_some(link)
}
