//! One question of the API server, and its answer.

use kube::core::DynamicObject;
use serde::Deserialize;
use serde_json::{Value, json};
use streamspace_core::{
    admission::{Reason, Refusal, Request},
    session::{SessionState, SessionUid, Wish},
    violation::Violation,
};

use super::super::{
    object::{SeenSession, read_session},
    reservations::Admission,
};
use crate::db::DbError;

/// The only version that is spoken.
const API_VERSION: &str = "admission.k8s.io/v1";
const KIND: &str = "AdmissionReview";
/// What is wrong with a spec is told up to here.
const FAULTS: usize = 10;

/// `AdmissionReview`, as far as it is read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Review {
    #[serde(default)]
    api_version: String,
    #[serde(default)]
    kind: String,
    request: Option<Question>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Question {
    uid: String,
    resource: Resource,
    #[serde(default)]
    sub_resource: String,
    #[serde(default)]
    namespace: String,
    operation: String,
    object: Option<Value>,
    old_object: Option<Value>,
    #[serde(default)]
    dry_run: Option<bool>,
}

#[derive(Deserialize)]
struct Resource {
    #[serde(default)]
    group: String,
    resource: String,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It may be.
    Allowed,
    /// It may not, with the code and the reason of an API status.
    Denied { code: u16, reason: &'static str, message: String },
}

/// Answers a review. An error is what makes it none.
pub(super) async fn review(admission: &Admission, body: &[u8]) -> Result<Value, String> {
    let review: Review = serde_json::from_slice(body)
        .map_err(|error| format!("this is no AdmissionReview: {error}"))?;
    if review.api_version != API_VERSION || review.kind != KIND {
        return Err(format!("only {KIND} of {API_VERSION} is answered"));
    }
    let Some(question) = review.request else {
        return Err("the AdmissionReview asks nothing: it has no request".to_owned());
    };
    let uid = question.uid.clone();
    let verdict = decide(admission, question).await.unwrap_or_else(|error| {
        tracing::warn!(%error, "a session cannot be admitted");
        admission.could_not_judge();
        unavailable(&error)
    });
    if let Verdict::Denied { code, message, .. } = &verdict {
        tracing::debug!(code, message, "a session was refused");
    }
    Ok(answer(&uid, verdict))
}

fn answer(uid: &str, verdict: Verdict) -> Value {
    let mut response = json!({"uid": uid, "allowed": verdict == Verdict::Allowed});
    if let (Verdict::Denied { code, reason, message }, Some(response)) =
        (verdict, response.as_object_mut())
    {
        let status = json!({
            "status": "Failure", "code": code, "reason": reason, "message": message,
        });
        response.insert("status".to_owned(), status);
    }
    json!({"apiVersion": API_VERSION, "kind": KIND, "response": response})
}

async fn decide(admission: &Admission, question: Question) -> Result<Verdict, DbError> {
    let is_session = question.resource.group == "stream.space"
        && question.resource.resource == "sessions"
        && question.sub_resource.is_empty()
        && matches!(question.operation.as_str(), "CREATE" | "UPDATE");
    // What is not asked for by our own configuration is not ours to refuse.
    if !is_session {
        return Ok(Verdict::Allowed);
    }
    let (object, before) = (question.object.unwrap_or_default(), question.old_object);
    if question.operation == "UPDATE" && is_same_wish(&object, before.as_ref()) {
        return Ok(Verdict::Allowed);
    }
    let object: DynamicObject = match serde_json::from_value(object) {
        Ok(object) => object,
        Err(error) => {
            return Ok(Verdict::Denied {
                code: 400,
                reason: "BadRequest",
                message: format!("the object cannot be read: {error}"),
            });
        }
    };
    let seen = read_session(&object);
    if seen.state != Some(SessionState::Running) || seen.is_deleting() {
        return Ok(Verdict::Allowed);
    }
    // It is asked first, for other namespaces are not ours to judge.
    let Some(tenant) = admission.addressee(&question.namespace).await? else {
        return Ok(Verdict::Allowed);
    };
    let Some(wish) = &seen.wish else { return Ok(invalid(&seen.invalid)) };
    let request = Request {
        name: wish.name.clone(),
        uid: uid_of(&seen),
        generation: seen.metadata.generation.max(1),
        user: wish.user.clone(),
        place: admission.place(tenant.uid, wish).await?,
    };
    let dry_run = question.dry_run.unwrap_or_default();
    let admitted = admission.admit(tenant.uid, &request, dry_run).await?;
    Ok(match admitted {
        Ok(_) => Verdict::Allowed,
        Err(refusals) => refused(tenant.id.as_str(), wish, &refusals),
    })
}

/// An update that changes no wish: of labels, of finalizers, of what others keep there.
/// It passes whatever the limits are by now, and also where what stands there is not
/// valid.
fn is_same_wish(object: &Value, before: Option<&Value>) -> bool {
    let spec = |object: &Value| object.get("spec").cloned();
    before.is_some_and(|before| spec(object) == spec(before))
}

/// The API server gives it before it asks. Without it the reservation is the name's.
fn uid_of(seen: &SeenSession) -> Option<SessionUid> {
    Some(seen.uid()).filter(|uid| !uid.0.is_nil())
}

fn invalid(violations: &[Violation]) -> Verdict {
    let told: Vec<String> = violations.iter().take(FAULTS).map(ToString::to_string).collect();
    let more = match violations.len().saturating_sub(FAULTS) {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    let message = format!("the session is not valid: {}{more}", told.join("; "));
    Verdict::Denied { code: 422, reason: "Invalid", message }
}

fn refused(tenant: &str, wish: &Wish, refusals: &[Refusal]) -> Verdict {
    let told: Vec<String> = refusals.iter().map(ToString::to_string).collect();
    let message =
        format!("session `{}` of tenant {tenant} may not start: {}", wish.name, told.join("; "));
    // What passes within a minute is worth another try; a limit is not.
    let passes = refusals.iter().all(|refusal| refusal.reason == Reason::Reservations);
    let (code, reason) = if passes { (429, "TooManyRequests") } else { (403, "Forbidden") };
    Verdict::Denied { code, reason, message }
}

/// Nobody knows what is held, so nothing starts. What the database says stays here.
fn unavailable(error: &DbError) -> Verdict {
    let why = match error {
        DbError::Unavailable(_) => "its database is away",
        DbError::Conflict(_) => "others start at the same time",
        DbError::Other(_) => "its database refused; its log tells why",
    };
    Verdict::Denied {
        code: 503,
        reason: "ServiceUnavailable",
        message: format!(
            "streamspaced cannot tell whether the session may start: {why}. Try again in a \
             moment; what runs goes on, and sessions can be hibernated and deleted meanwhile"
        ),
    }
}
