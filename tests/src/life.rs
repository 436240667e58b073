//! How a story ends a tenant: a plan that keeps nothing, archive, delete.

use crate::ssctl::{Ran, Ssctl};

/// The plan of tenants that a story deletes: an archived one may go at once.
pub const TRIAL: &str = "trial";

/// Makes [`TRIAL`], as somebody who may.
pub async fn trial_plan(admin: &Ssctl) {
    let plan = ["plan", "create", TRIAL, "--display-name", "Trial", "--rank", "9"];
    let quota = ["--cpu", "4", "--memory", "8Gi", "--storage", "50Gi", "--pods", "20"];
    let user = ["--user-sessions", "1", "--user-memory", "2Gi", "--seat-price", "0"];
    let rest = ["--features", "core", "--availability", "99", "--retention-days", "0"];
    admin.ok(&[&plan[..], &quota, &user, &rest].concat()).await;
}

/// Archives a tenant.
pub async fn archive(ssctl: &Ssctl, id: &str) {
    ssctl.ok(&["tenant", "archive", id, "--reason", "story", "--confirm", id]).await;
}

/// Deletes an archived tenant and waits until nothing of it is left.
pub async fn delete(ssctl: &Ssctl, id: &str) -> Ran {
    let delete = ["tenant", "delete", id, "--reason", "story", "--confirm", id, "--wait"];
    ssctl.ok(&delete).await
}

/// Archives a tenant of a plan that keeps nothing, and deletes it.
pub async fn bury(ssctl: &Ssctl, id: &str) -> Ran {
    archive(ssctl, id).await;
    delete(ssctl, id).await
}
