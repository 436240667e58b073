//! Atlassian Statuspage. It knows no key of ours, so ours is put into the metadata of what is
//! made there, with the step that was told last; both are looked for before anything is made
//! or told.

use http::Method;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use streamspace_core::notify::Action;

use super::{Task, Told, is_gone, put};
use crate::{
    http_client::Question,
    notify::{Message, StatusUpdate},
};

pub(super) async fn send(task: &Task<'_>) -> Result<Told, Told> {
    let page = format!("/v1/pages/{}", task.channel.page);
    match task.notice.action {
        Action::Publish => {}
        Action::Test => {
            task.must(Question::get(page)).await?;
            return Ok(Told::done());
        }
        _ => return Err(task.unfit()),
    }
    let update = task.message.status.as_ref();
    let update = update.ok_or_else(|| Told::unfit("it has nothing to publish"))?;
    let found = match task.remote {
        "" => find(task, &page).await?,
        id => known(task, &page, id).await?,
    };
    match found {
        Some(found) if found.step() == task.notice.step => Ok(Told::made(found.id)),
        Some(found) => {
            let body = json!({ "incident": incident(task, update, false)? }).to_string();
            let path = format!("{page}/incidents/{}", found.id);
            task.must(Question::json(Method::PATCH, path, body)).await?;
            Ok(Told::made(found.id))
        }
        None => {
            let body = json!({ "incident": incident(task, update, true)? }).to_string();
            let path = format!("{page}/incidents");
            let answer = task.must(Question::json(Method::POST, path, body)).await?;
            // Without an id it is looked for the next time.
            let made = serde_json::from_slice::<Incident>(&answer.body).ok();
            let id = made.map(|made| made.id).filter(|id| is_id(id));
            Ok(id.map_or_else(Told::done, Told::made))
        }
    }
}

#[derive(Debug, Deserialize)]
struct Incident {
    id: String,
    #[serde(default)]
    metadata: Value,
}

impl Incident {
    fn ours(&self, key: &str) -> &str {
        let ours = self.metadata.get("streamspace").and_then(|ours| ours.get(key));
        ours.and_then(Value::as_str).unwrap_or_default()
    }

    fn step(&self) -> &str {
        self.ours("step")
    }
}

/// An id goes into a path.
fn is_id(id: &str) -> bool {
    (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// The incident of the key, among those that are open and those of late.
async fn find(task: &Task<'_>, page: &str) -> Result<Option<Incident>, Told> {
    for path in ["incidents/unresolved?per_page=100", "incidents?limit=100"] {
        let answer = task.must(Question::get(format!("{page}/{path}"))).await?;
        let all: Vec<Incident> = serde_json::from_slice(&answer.body)
            .map_err(|error| Told::nothing(format!("its incidents cannot be read: {error}")))?;
        let key = &task.notice.dedup_key;
        let found = all.into_iter().find(|one| one.ours("dedup_key") == key && is_id(&one.id));
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// The incident of an id; `None` where somebody took it away.
async fn known(task: &Task<'_>, page: &str, id: &str) -> Result<Option<Incident>, Told> {
    let answer = task.ask(Question::get(format!("{page}/incidents/{id}"))).await?;
    if is_gone(&answer) {
        return Ok(None);
    }
    let answer = super::accepted(answer)?;
    let read = serde_json::from_slice(&answer.body);
    read.map(Some).map_err(|error| Told::nothing(format!("an incident cannot be read: {error}")))
}

fn incident(task: &Task<'_>, update: &StatusUpdate, is_new: bool) -> Result<Value, Told> {
    let mut incident = json!({
        "name": update.title,
        "status": update.state.as_str(),
        "body": update.body,
        "metadata": { "streamspace": {
            "dedup_key": task.notice.dedup_key,
            "step": task.notice.step,
        }},
    });
    if !update.components.is_empty() {
        put(&mut incident, "component_ids", json!(update.components));
    }
    if update.state.is_planned() {
        match times(task.message) {
            Some((starts, ends)) => {
                put(&mut incident, "scheduled_for", json!(starts.to_string()));
                put(&mut incident, "scheduled_until", json!(ends.to_string()));
            }
            None if is_new => {
                return Err(Told::unfit("planned work needs its beginning and its end"));
            }
            None => {}
        }
    }
    Ok(incident)
}

/// When planned work begins and ends.
fn times(message: &Message) -> Option<(Timestamp, Timestamp)> {
    if let Some(silence) = &message.silence {
        return Some((silence.starts, silence.ends));
    }
    let time = |name: &str| message.details.get(name)?.parse().ok();
    Some((time("starts")?, time("ends")?))
}
