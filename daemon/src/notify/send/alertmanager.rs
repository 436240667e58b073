//! Alertmanager's API v2. It knows an alert by its labels; those that it was told with are
//! kept, so that it ends also where they are others since. It gives a silence an id, so the
//! key goes into its comment and is looked for before one is made.

use std::collections::BTreeMap;

use http::Method;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};
use streamspace_core::notify::Action;

use super::{Task, Told, is_gone, link, put};
use crate::{http_client::Question, notify::Silence};

/// What is not ended by us ends so long after it began. Without an end the Alertmanager ends
/// it after some minutes by itself, since who sends an alert there repeats it.
const LONGEST: SignedDuration = SignedDuration::from_hours(24 * 365);

/// What our alerts are called there.
pub(in crate::notify) const ALERT_NAME: &str = "StreamSpace";

type Labels = BTreeMap<String, String>;

pub(super) async fn send(task: &Task<'_>) -> Result<Told, Told> {
    match task.notice.action {
        Action::Trigger => trigger(task).await,
        Action::Resolve => resolve(task).await,
        Action::Acknowledge => {
            Ok(Told::not_needed("an Alertmanager knows no acknowledgements: nothing was sent"))
        }
        Action::Test => {
            task.must(Question::get("/api/v2/status")).await?;
            Ok(Told::done())
        }
        Action::Silence => silence(task).await,
        Action::Unsilence => unsilence(task).await,
        Action::Publish => Err(task.unfit()),
    }
}

/// What the alert is known by.
fn labels(task: &Task<'_>) -> Labels {
    let mut labels = Labels::from([
        ("alertname".into(), ALERT_NAME.into()),
        ("dedup_key".into(), task.notice.dedup_key.clone()),
        ("severity".into(), task.message.severity.as_str().into()),
    ]);
    if !task.message.source.is_empty() {
        labels.insert("source".into(), task.message.source.clone());
    }
    labels
}

async fn trigger(task: &Task<'_>) -> Result<Told, Told> {
    let labels = labels(task);
    let now = Timestamp::now();
    let mut annotations = Labels::from([("summary".into(), task.message.summary.clone())]);
    for (name, value) in &task.message.details {
        annotations.insert(annotation(name), value.clone());
    }
    let mut alert = json!({
        "labels": labels,
        "annotations": annotations,
        "startsAt": task.notice.created.to_string(),
        "endsAt": now.saturating_add(LONGEST).unwrap_or(Timestamp::MAX).to_string(),
    });
    if let Some(link) = link(task.message) {
        put(&mut alert, "generatorURL", json!(link));
    }
    let mut alerts = vec![alert];
    // It was told with other labels, a lower severity for example: that one ends.
    if let Some(before) = known(task).filter(|before| *before != labels) {
        alerts.push(ended(&before, now));
    }
    post_alerts(task, alerts).await?;
    Ok(Told::made(json!(labels).to_string()))
}

async fn resolve(task: &Task<'_>) -> Result<Told, Told> {
    let labels = known(task).unwrap_or_else(|| labels(task));
    post_alerts(task, vec![ended(&labels, Timestamp::now())]).await?;
    Ok(Told::made(String::new()))
}

fn known(task: &Task<'_>) -> Option<Labels> {
    serde_json::from_str(task.remote).ok()
}

fn ended(labels: &Labels, now: Timestamp) -> Value {
    json!({ "labels": labels, "endsAt": now.to_string() })
}

async fn post_alerts(task: &Task<'_>, alerts: Vec<Value>) -> Result<(), Told> {
    let body = Value::Array(alerts).to_string();
    task.must(Question::json(Method::POST, "/api/v2/alerts", body)).await?;
    Ok(())
}

/// A name that an annotation may have.
fn annotation(name: &str) -> String {
    let word = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let name: String = name.chars().map(word).collect();
    if name.starts_with(|c: char| c.is_ascii_digit()) || name.is_empty() {
        return format!("_{name}");
    }
    name
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Found {
    id: String,
    comment: String,
    starts_at: Timestamp,
    status: Status,
}

#[derive(Debug, Deserialize)]
struct Status {
    state: String,
}

impl Found {
    fn is_over(&self) -> bool {
        self.status.state == "expired"
    }
}

/// How the comment of every silence of the thread goes on, before the step that was told last.
fn mark(task: &Task<'_>) -> String {
    format!("[{} ", task.notice.dedup_key)
}

/// How the comment ends of the one that this notice makes.
fn whole_mark(task: &Task<'_>) -> String {
    format!("{}{}]", mark(task), task.notice.step)
}

/// The silence of the thread that is not over, by its id or by what its comment says.
async fn find(task: &Task<'_>) -> Result<Option<Found>, Told> {
    let unread = |error| Told::nothing(format!("its silences cannot be read: {error}"));
    if is_id(task.remote) {
        let answer = task.ask(Question::get(format!("/api/v2/silence/{}", task.remote))).await?;
        if !is_gone(&answer) {
            let answer = super::accepted(answer)?;
            let found: Found = serde_json::from_slice(&answer.body).map_err(unread)?;
            if !found.is_over() {
                return Ok(Some(found));
            }
        }
    }
    let answer = task.must(Question::get("/api/v2/silences")).await?;
    let all: Vec<Found> = serde_json::from_slice(&answer.body).map_err(unread)?;
    let mark = mark(task);
    Ok(all.into_iter().find(|one| !one.is_over() && one.comment.contains(&mark) && is_id(&one.id)))
}

/// An id goes into a path.
fn is_id(id: &str) -> bool {
    (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

async fn silence(task: &Task<'_>) -> Result<Told, Told> {
    let wished = task.message.silence.as_ref();
    let wished = wished.ok_or_else(|| Told::unfit("it says nothing of what to silence"))?;
    if wished.ends <= Timestamp::now() {
        return Ok(Told { outcome: super::Outcome::Expired, ..Told::not_needed("it is over") });
    }
    let found = find(task).await?;
    let mark = whole_mark(task);
    if let Some(found) = found.as_ref().filter(|found| found.comment.ends_with(&mark)) {
        return Ok(Told::made(found.id.clone()));
    }
    let body = of(task, wished, found.as_ref());
    let question = Question::json(Method::POST, "/api/v2/silences", body.to_string());
    let answer = task.must(question).await?;
    let made: Option<Value> = serde_json::from_slice(&answer.body).ok();
    let id = made.and_then(|made| Some(made.get("silenceID")?.as_str()?.to_owned()));
    Ok(id.filter(|id| is_id(id)).map_or_else(Told::done, Told::made))
}

fn of(task: &Task<'_>, wished: &Silence, found: Option<&Found>) -> Value {
    let matchers: Vec<Value> = wished
        .matchers
        .iter()
        .map(|matcher| {
            json!({
                "name": matcher.name,
                "value": matcher.value,
                "isRegex": matcher.is_regex,
                "isEqual": matcher.is_equal,
            })
        })
        .collect();
    let by = if wished.created_by.is_empty() { "streamspace" } else { &wished.created_by };
    let mut body = json!({
        "matchers": matchers,
        "startsAt": found.map_or(wished.starts, |found| found.starts_at).to_string(),
        "endsAt": wished.ends.to_string(),
        "createdBy": by,
        "comment": format!("{} {}", wished.comment, whole_mark(task)).trim_start(),
    });
    if let Some(found) = found {
        put(&mut body, "id", json!(found.id));
    }
    body
}

async fn unsilence(task: &Task<'_>) -> Result<Told, Told> {
    let gone = || Told { remote: Some(String::new()), ..Told::done() };
    let Some(found) = find(task).await? else { return Ok(gone()) };
    let answer = task.ask(Question::delete(format!("/api/v2/silence/{}", found.id))).await?;
    if !is_gone(&answer) {
        super::accepted(answer)?;
    }
    Ok(gone())
}
