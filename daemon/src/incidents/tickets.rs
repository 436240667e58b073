//! What can wait for the morning: alerts of severity `ticket`, as the channels for tickets
//! hear of them.
//!
//! An alert is in the database before anybody is told, whoever began it. The leader tells
//! what was not told yet and notes it in the same transaction; so each firing is told once,
//! and one that a silence or a maintenance hides is told when those end and it still fires.
//!
//! Alerts of one kind, rule and subject are one ticket, whatever tenants they are of: what
//! hits a thousand tenants is told once, with their names. Some minutes lie between two
//! notices of one ticket, so that what comes and goes floods nobody.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use sqlx::PgConnection;
use streamspace_core::notify::Action;
use uuid::Uuid;

use super::{
    engine::labels,
    tell::{Teller, some},
};
use crate::{
    alerts::{self, Seen, Ticket},
    db::DbError,
    maintenance::Quiet,
    notify::{self, Level, Message, Notice, Purpose},
};

/// So long at least lies between two notices that a ticket begins or grows.
pub(super) const GATHER: SignedDuration = SignedDuration::from_mins(5);

/// Tells what is to be told. How many things it did.
pub(super) async fn tell(
    tx: &mut PgConnection,
    teller: &Teller,
    now: Timestamp,
) -> Result<usize, DbError> {
    // Where nobody takes tickets all of them wait, until somebody does.
    if teller.channels.names_for(Purpose::Ticket).is_empty() {
        return Ok(0);
    }
    let mut groups: BTreeMap<[String; 3], Vec<Ticket>> = BTreeMap::new();
    for ticket in alerts::tickets(tx).await? {
        let Seen { kind, rule, subject, .. } = &ticket.alert;
        groups.entry([kind.clone(), rule.clone(), subject.clone()]).or_default().push(ticket);
    }
    let mut quiet = None;
    let mut done = 0;
    for ([kind, rule, subject], all) in groups {
        done += over(tx, teller, &all).await?;
        if !all.iter().any(|it| it.told.is_none()) {
            continue;
        }
        let quiet = match &quiet {
            Some(quiet) => quiet,
            None => quiet.insert(Quiet::read(tx, now).await?),
        };
        let is_new = |it: &&Ticket| it.told.is_none() && !quiet.hushes(&labels(&it.alert));
        let new: Vec<&Seen> = all.iter().filter(is_new).map(|it| &it.alert).collect();
        let Some(first) = new.first() else { continue };
        let last = alerts::last_ticket(tx, &kind, &rule, &subject).await?;
        if last.is_some_and(|last| now.duration_since(last) < GATHER) {
            continue;
        }
        let told = all.iter().filter(|it| it.told.is_some() && !it.alert.ended);
        let firing: Vec<&Seen> = new.iter().copied().chain(told.map(|it| &it.alert)).collect();
        send(tx, teller, Action::Trigger, first, &firing).await?;
        alerts::ticket_told(tx, &ids(&new), now).await?;
        done += 1;
    }
    Ok(done)
}

/// Tells the end of a ticket, where the last of its alerts is over.
async fn over(tx: &mut PgConnection, teller: &Teller, all: &[Ticket]) -> Result<usize, DbError> {
    let ended: Vec<&Seen> = all.iter().map(|it| &it.alert).filter(|alert| alert.ended).collect();
    let Some(first) = ended.first() else { return Ok(0) };
    if !all.iter().any(|it| it.told.is_some() && !it.alert.ended) {
        send(tx, teller, Action::Resolve, first, &ended).await?;
    }
    alerts::ticket_over(tx, &ids(&ended)).await?;
    Ok(1)
}

async fn send(
    tx: &mut PgConnection,
    teller: &Teller,
    action: Action,
    first: &Seen,
    all: &[&Seen],
) -> Result<(), DbError> {
    let mut tenants: Vec<String> = all.iter().map(|alert| alert.tenant.clone()).collect();
    tenants.retain(|tenant| !tenant.is_empty());
    tenants.sort_unstable();
    tenants.dedup();
    let mut details = BTreeMap::new();
    for (name, value) in [
        ("alert", first.name()),
        ("kind", first.kind.clone()),
        ("rule", first.rule.clone()),
        ("subject", first.subject.clone()),
        ("tenants", some(&tenants)),
        ("since", first.start.to_string()),
        ("next", "ssctl alert list".to_owned()),
    ] {
        if !value.is_empty() {
            details.insert(name.to_owned(), value);
        }
    }
    let summary = match all.len().saturating_sub(1) {
        0 => first.summary.clone(),
        more => format!("{}, and {more} more of this kind", first.summary),
    };
    let message = Message {
        summary,
        severity: Level::Warning,
        source: format!("regions/{}", teller.region),
        details,
        link: teller.channels.runbook(&first.kind, &first.runbook_url),
        status: None,
        silence: None,
    };
    let notice = Notice {
        dedup_key: key(&teller.region, first),
        action,
        channels: teller.channels.names_for(Purpose::Ticket),
        message,
    };
    // Each alert begins one notice at most, and ends one.
    notify::enqueue(tx, &first.alert_uid.to_string(), &notice).await
}

/// One thread of notices for what is the same, also when it comes again.
fn key(region: &str, alert: &Seen) -> String {
    let mut key = format!("streamspace/{region}/tickets");
    for part in [&alert.kind, &alert.rule, &alert.subject] {
        if !part.is_empty() {
            key.push('/');
            key.push_str(part);
        }
    }
    key
}

fn ids(alerts: &[&Seen]) -> Vec<Uuid> {
    alerts.iter().map(|alert| alert.alert_uid).collect()
}
