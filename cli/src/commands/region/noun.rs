//! What is shown of a region.

use jiff::Timestamp;
use streamspace_proto::v1::{Breaker, Cordon, Health, Region};

use crate::{
    commands::tenant::pause_words,
    output::{Cell, Column, Tone},
    resource::{Noun, short, word},
    time::{age, local, until},
};

impl Noun for Region {
    const PLURAL: &'static str = "regions";
    const PREFIX: &'static str = "regions/";

    fn resource_name(&self) -> &str {
        &self.name
    }

    fn columns() -> Vec<Column<Self>> {
        vec![
            Column::new("NAME", |region: &Self, _| short(Self::PREFIX, &region.name).into()),
            Column::new("HEALTH", |region, _| health(region.health())),
            Column::new("WRONG", |region, _| wrong(region).into()),
            Column::new("LEADER", |region, _| leader(region).into()),
            Column::new("UP", |region, now| age(region.start_time.as_ref(), now).into()),
            Column::wide("VERSION", |region, _| region.daemon_version.clone().into()),
            Column::wide("REVISION", |region, _| region.revision.into()),
            Column::wide("CLUSTER", |region, _| region.cluster_endpoint.clone().into()),
            Column::wide("ORPHANS", |region, _| region.orphans.len().into()),
            Column::wide("PAUSED TENANTS", |region, _| region.paused_tenants.into()),
        ]
    }

    fn details(&self, now: Timestamp) -> Vec<(&'static str, Cell)> {
        let doubtful = |text: String| Cell::toned(text, Tone::Doubtful);
        let mut pairs = vec![
            ("Name", short(Self::PREFIX, &self.name).into()),
            ("Health", health(self.health())),
            ("Leader", leader(self).into()),
            ("Answered by", self.replica.clone().into()),
            ("Version", self.daemon_version.clone().into()),
            ("Up for", age(self.start_time.as_ref(), now).into()),
            ("Revision", self.revision.into()),
            ("Cluster", self.cluster_endpoint.clone().into()),
            ("Cordon", doubtful(self.cordon.as_ref().map(|c| cordon(c, now)).unwrap_or_default())),
            (
                "Paused",
                doubtful(self.pause.as_ref().map(|p| pause_words(p, now)).unwrap_or_default()),
            ),
            ("Paused tenants", doubtful(counted(self.paused_tenants))),
        ];
        if let Some(breaker) = self.breaker.as_ref().filter(|breaker| breaker.tripped) {
            let since = age(breaker.trip_time.as_ref(), now);
            let text = format!("tripped {since} ago: {}", breaker.message);
            pairs.push(("Breaker", Cell::toned(text, Tone::Bad)));
        }
        for (at, component) in self.components.iter().enumerate() {
            let title = if at == 0 { "Parts" } else { "" };
            let state = health(component.health());
            let since = age(component.last_transition_time.as_ref(), now);
            let text =
                format!("{}: {} for {since}: {}", component.name, state.text, component.message);
            pairs.push((title, Cell::toned(text, state.tone)));
        }
        for (at, orphan) in self.orphans.iter().enumerate() {
            let title = if at == 0 { "Orphans" } else { "" };
            let since = age(orphan.first_seen_time.as_ref(), now);
            let text = format!(
                "{} (labelled {}, seen for {since}): belongs to no tenant, and is left alone",
                orphan.namespace, orphan.tenant_id
            );
            pairs.push((title, doubtful(text)));
        }
        pairs
    }
}

/// What is shown of the breaker alone.
pub(super) fn breaker(breaker: &Breaker) -> Vec<(&'static str, Cell)> {
    let state = if breaker.tripped {
        Cell::toned("tripped: the daemon deletes nothing until it is released", Tone::Bad)
    } else {
        Cell::toned("closed", Tone::Good)
    };
    vec![
        ("State", state),
        ("Because", breaker.message.clone().into()),
        ("Since", local(breaker.trip_time.as_ref()).into()),
        ("Deletions", format!("{} of {} that trip it", breaker.deletions, breaker.limit).into()),
    ]
}

/// A cordon: until when, by whom, and why.
fn cordon(cordon: &Cordon, now: Timestamp) -> String {
    let end = match until(cordon.expire_time.as_ref(), now) {
        none if none.is_empty() => "until somebody ends it".into(),
        end => end,
    };
    format!("{end}, by {}: {}", cordon.actor, cordon.reason)
}

/// A number that is worth a line only where it is not zero.
fn counted(number: i32) -> String {
    if number == 0 { String::new() } else { number.to_string() }
}

fn health(health: Health) -> Cell {
    let tone = match health {
        Health::Ok => Tone::Good,
        Health::Degraded | Health::Unspecified => Tone::Doubtful,
        Health::Unavailable => Tone::Bad,
    };
    let text = match health {
        Health::Unspecified => "unknown".into(),
        known => word("HEALTH_", known.as_str_name()),
    };
    Cell::toned(text, tone)
}

/// What is not well, and what somebody stopped.
fn wrong(region: &Region) -> String {
    let parts = region.components.iter().filter(|part| part.health() != Health::Ok);
    let tripped = region.breaker.as_ref().is_some_and(|breaker| breaker.tripped);
    let stops = [
        (region.cordon.is_some(), "cordoned"),
        (region.pause.is_some(), "paused"),
        (tripped, "breaker"),
        (!region.orphans.is_empty(), "orphans"),
    ];
    let stops = stops.iter().filter(|(is, _)| *is).map(|(_, word)| *word);
    parts.map(|part| part.name.as_str()).chain(stops).collect::<Vec<_>>().join(", ")
}

fn leader(region: &Region) -> String {
    match &region.leader {
        Some(leader) => format!("{} (term {})", leader.replica, leader.leader_term),
        None => "none".into(),
    }
}
