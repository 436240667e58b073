//! Waiting until sessions are as they were asked to be.
//!
//! An operation is done when the cluster has taken the wish. How far a session is, is what
//! the daemon saw of it last, and is looked at here.

use std::{collections::BTreeSet, time::Duration};

use streamspace_client::{Connection, text::escape};
use streamspace_proto::v1::{ConditionStatus, Session, SessionPhase};
use tokio::time::{Instant, sleep};

use super::{
    super::operation::PATIENCE,
    filter::phase_in_filter,
    get, list,
    name::{EVERY_TENANT, brief, tenant},
    noun::phase_word,
};
use crate::{
    errors::{Doing as _, Failure, Outcome},
    exit::Exit,
    resource::word,
    shell::Shell,
};

/// How often it is looked.
const LOOK: Duration = Duration::from_millis(500);
/// So many sessions that failed are told.
const TOLD: usize = 20;
/// How long a tenant that is closed is believed to stay so: what is seen of its sessions
/// comes a moment after it was resumed.
const CLOSED: Duration = Duration::from_secs(5);
/// Why a session sleeps whatever is wished of it: its tenant is closed.
const OF_THE_TENANT: [&str; 3] = ["TenantSuspended", "TenantArchived", "TenantPurging"];

/// Waits until a session is in a phase. Nothing is left of it where it is gone and that
/// is the end that was wished.
pub(super) async fn until_phase(
    shell: &Shell,
    connection: &Connection,
    name: &str,
    phase: SessionPhase,
) -> Outcome<Option<Session>> {
    let end = Instant::now() + shell.global.timeout.unwrap_or(PATIENCE);
    let mut told = String::new();
    let mut closed = None;
    loop {
        let news = match get(connection, name).await {
            Ok(session) if session.phase() == phase => return Ok(Some(session)),
            Ok(session) if is_over(&session, phase) => return Err(failed(&session)),
            Ok(session) if is_closed(&session, phase) => {
                let since: Instant = *closed.get_or_insert_with(Instant::now);
                if since.elapsed() >= CLOSED {
                    return Err(shut(&session));
                }
                standing(&session)
            }
            Ok(session) => standing(&session),
            Err(error) if Exit::from(&error) == Exit::NotFound => {
                if phase == SessionPhase::Terminated {
                    return Ok(None);
                }
                // The watch has not shown it yet.
                "not seen yet".to_owned()
            }
            Err(error) if error.is_transient() => format!("{error}; still trying"),
            Err(error) => return Err(error).doing(|| format!("follow {name}")),
        };
        if news != told {
            shell.talk(&format!("{}: {news}", brief(name)));
            told = news;
        }
        if Instant::now() >= end {
            let message = format!("{} is not {} yet: {told}", brief(name), spoken(phase));
            let next = format!("it goes on; `ssctl session describe {}` tells more", brief(name));
            return Err(Failure::Waited { message, next });
        }
        sleep(LOOK).await;
    }
}

/// Whether a session will not come to the phase by itself.
fn is_over(session: &Session, phase: SessionPhase) -> bool {
    phase == SessionPhase::Running
        && matches!(session.phase(), SessionPhase::Failed | SessionPhase::Terminated)
}

/// Whether it sleeps because its tenant is closed, so that a wish does not wake it.
fn is_closed(session: &Session, phase: SessionPhase) -> bool {
    let sleeps = session.conditions.iter().find(|condition| condition.r#type == "Awake");
    phase == SessionPhase::Running
        && sleeps.is_some_and(|condition| {
            condition.status() == ConditionStatus::False
                && OF_THE_TENANT.contains(&condition.reason.as_str())
        })
}

/// How far it is, and why. What others wrote stays on one line, so that it does not look
/// like one of ours.
fn standing(session: &Session) -> String {
    match session.message.as_str() {
        "" => phase_word(session),
        why => format!("{}: {}", phase_word(session), escape(why)),
    }
}

fn failed(session: &Session) -> Failure {
    let name = brief(&session.name);
    let message = format!("{name} does not run: {}", standing(session));
    Failure::Local { message, next: format!("`ssctl session describe {name}` tells more") }
}

fn shut(session: &Session) -> Failure {
    let name = brief(&session.name);
    Failure::tenant_state(format!("{name} does not run: {}", standing(session)))
}

/// Waits until all of them are in a phase. One that is not there any more is not waited
/// for, and one that failed is told.
pub(super) async fn until_all(
    shell: &Shell,
    connection: &Connection,
    names: BTreeSet<String>,
    phase: SessionPhase,
) -> Outcome {
    let end = Instant::now() + shell.global.timeout.unwrap_or(PATIENCE);
    let (parent, all) = (parent_of(&names), names.len());
    let filter = format!("phase != \"{}\"", phase_in_filter(phase));
    let mut told = None;
    let began = Instant::now();
    loop {
        let left = match list(connection, None, &parent, &filter).await {
            Ok(sessions) => {
                let own = sessions.into_iter().filter(|session| names.contains(&session.name));
                own.collect::<Vec<_>>()
            }
            Err(Failure::Client { error, .. }) if error.is_transient() => {
                still(shell, all, phase, end).await?;
                continue;
            }
            Err(failure) => return Err(failure),
        };
        let stays = began.elapsed() >= CLOSED;
        let (over, waiting): (Vec<_>, Vec<_>) = left
            .into_iter()
            .partition(|session| is_over(session, phase) || (stays && is_closed(session, phase)));
        if waiting.is_empty() {
            if over.is_empty() && told.is_some() {
                shell.talk(&format!("all {all} are {}", spoken(phase)));
            }
            return verdict(shell, all, &over);
        }
        if told != Some(waiting.len()) {
            shell.talk(&format!("{} of {all} are not {} yet", waiting.len(), spoken(phase)));
            told = Some(waiting.len());
        }
        still(shell, waiting.len(), phase, end).await?;
    }
}

/// Waits for the next look, or ends the wait.
async fn still(shell: &Shell, left: usize, phase: SessionPhase, end: Instant) -> Outcome {
    if Instant::now() >= end {
        let waited = shell.global.timeout.unwrap_or(PATIENCE).as_secs();
        return Err(Failure::Waited {
            message: format!("{left} sessions are not {} after {waited} s", spoken(phase)),
            next: "it goes on; `ssctl session watch` follows it".into(),
        });
    }
    sleep(LOOK).await;
    Ok(())
}

fn verdict(shell: &Shell, all: usize, over: &[Session]) -> Outcome {
    if over.is_empty() {
        return Ok(());
    }
    for session in over.iter().take(TOLD) {
        shell.talk(&format!("{}: {}", brief(&session.name), standing(session)));
    }
    if over.len() > TOLD {
        shell.talk(&format!("and {} more", over.len() - TOLD));
    }
    match all.saturating_sub(over.len()) {
        0 => Err(Failure::AllFailed(Exit::Local)),
        done => Err(Failure::PartlyDone { done, failed: over.len() }),
    }
}

fn spoken(phase: SessionPhase) -> String {
    word("SESSION_PHASE_", phase.as_str_name())
}

/// The tenant of all of them, or all tenants.
fn parent_of(names: &BTreeSet<String>) -> String {
    let mut tenants: BTreeSet<&str> = names.iter().map(|name| tenant(name)).collect();
    match (tenants.pop_first(), tenants.is_empty()) {
        (Some(only), true) => format!("tenants/{only}"),
        _ => EVERY_TENANT.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use streamspace_proto::v1::Condition;

    use super::*;

    #[test]
    fn one_tenant_is_asked_where_there_is_one() {
        let of = |names: &[&str]| parent_of(&names.iter().map(|&name| name.to_owned()).collect());
        assert_eq!(of(&["tenants/a/sessions/x", "tenants/a/sessions/y"]), "tenants/a");
        assert_eq!(of(&["tenants/a/sessions/x", "tenants/b/sessions/y"]), "tenants/-");
    }

    #[test]
    fn only_what_cannot_come_any_more_is_given_up() {
        let of = |phase: SessionPhase| Session { phase: phase.into(), ..Session::default() };
        assert!(is_over(&of(SessionPhase::Failed), SessionPhase::Running));
        assert!(!is_over(&of(SessionPhase::Failed), SessionPhase::Hibernated));
        assert!(!is_over(&of(SessionPhase::Pending), SessionPhase::Running));
    }

    #[test]
    fn a_closed_tenant_is_told_apart_from_a_wish_to_sleep() {
        let of = |reason: &str| {
            let awake = Condition {
                r#type: "Awake".into(),
                status: ConditionStatus::False.into(),
                reason: reason.into(),
                ..Condition::default()
            };
            Session { conditions: vec![awake], ..Session::default() }
        };
        assert!(is_closed(&of("TenantSuspended"), SessionPhase::Running));
        assert!(!is_closed(&of("TenantSuspended"), SessionPhase::Hibernated));
        assert!(!is_closed(&of("Idle"), SessionPhase::Running));
        assert!(!is_closed(&Session::default(), SessionPhase::Running));
    }
}
