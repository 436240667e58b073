//! PagerDuty's Events API v2. It knows a thread by its `dedup_key`, so that what comes twice
//! is one.

use http::Method;
use serde_json::{Value, json};
use streamspace_core::notify::Action;

use super::{Task, Told, link, put};
use crate::http_client::{Question, secret};

pub(super) async fn send(task: &Task<'_>) -> Result<Told, Told> {
    let event = match task.notice.action {
        Action::Trigger => "trigger",
        Action::Acknowledge => "acknowledge",
        // There is no event that pages nobody. The end of what never began is taken, or
        // refused with a wrong key, and wakes nobody.
        Action::Resolve | Action::Test => "resolve",
        Action::Publish | Action::Silence | Action::Unsilence => return Err(task.unfit()),
    };
    let file = task.channel.routing_key_file.as_deref();
    let file = file.ok_or_else(|| Told::unfit("no routing_key_file is configured"))?;
    let key = secret(file).map_err(Told::nothing)?;
    let question = Question::json(Method::POST, "", body(task, event, &key).to_string());
    task.must(question).await?;
    Ok(Told::done())
}

fn body(task: &Task<'_>, event: &str, key: &str) -> Value {
    let message = task.message;
    let mut body = json!({
        "routing_key": key,
        "event_action": event,
        "dedup_key": task.notice.dedup_key,
    });
    if event != "trigger" {
        return body;
    }
    let or = |text: &str, other: &str| if text.is_empty() { other.to_owned() } else { text.into() };
    let payload = json!({
        "summary": or(&message.summary, &task.notice.dedup_key),
        "source": or(&message.source, "streamspace"),
        "severity": message.severity.as_str(),
        "timestamp": task.notice.created.to_string(),
        "custom_details": message.details,
    });
    put(&mut body, "payload", payload);
    put(&mut body, "client", json!("StreamSpace"));
    if let Some(link) = link(message) {
        put(&mut body, "links", json!([{ "href": link, "text": "More" }]));
    }
    body
}
