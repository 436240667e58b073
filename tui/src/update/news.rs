//! What the watch of a region brings.

use streamspace_client::{Counts, text::escape};
use streamspace_proto::v1::{self, Change, ChangeType, SessionPhase, TenantState, resource};

use super::region;
use crate::{
    events::Watched,
    format::{age, count, instant, many, seconds_since, time_of_day},
    rows::{Key, Operation, Session, Tenant, short},
    state::{Entry, EntryKind, Link, RegionIndex, State, describe},
    table::Tally,
    trouble::Trouble,
};

/// Whose changes are not told one by one: of sessions there are too many.
const DAEMON: &str = "streamspaced";

pub(super) fn watched(state: &mut State, index: RegionIndex, event: Watched) {
    match event {
        Watched::Lost(trouble) => return lost(state, index, trouble),
        Watched::Failed(trouble) => {
            return refused(state, index, trouble);
        }
        Watched::Connected { resumed } => connected(state, index, resumed),
        Watched::Snapshot(counts) => {
            if let Some(region) = region(state, index) {
                region.expected = usize::try_from(counts.total()).unwrap_or(usize::MAX);
            }
        }
        Watched::Gap => {
            let from = heard_until(state, index);
            note(state, index, format!("too much at once; changes since {from} are not listed"));
            begin_snapshot(state, index);
        }
        Watched::Item(resource) => put(state, index, *resource),
        Watched::Synced(counts) => {
            state.tenants.end_snapshot(index);
            state.sessions.end_snapshot(index);
            state.operations.end_snapshot(index);
            set_link(state, index, Link::Live);
            check(state, index, counts);
        }
        Watched::Change(change) => changed(state, index, *change),
        Watched::Quiet => {}
    }
    let now = state.now;
    if let Some(region) = region(state, index) {
        (region.heard, region.contact) = (Some(now), Some(now));
    }
}

fn set_link(state: &mut State, index: RegionIndex, link: Link) {
    if let Some(region) = region(state, index) {
        region.link = link;
    }
}

fn lost(state: &mut State, index: RegionIndex, trouble: Trouble) {
    let now = state.now;
    let Some(region) = region(state, index) else { return };
    let was_live = matches!(region.link, Link::Live | Link::Loading);
    let since = match region.link {
        Link::Lost { since, .. } => since,
        _ => now,
    };
    // A refusal comes from a daemon that is there; all else says the same of
    // the region as of the watch, and sooner than the next question would.
    if !trouble.refused {
        region.report_error = Some(trouble.words.clone());
    }
    region.link = Link::Lost { error: trouble.words, since };
    if was_live {
        note(state, index, "no longer live".into());
    }
}

/// It is tried again, and told once.
fn refused(state: &mut State, index: RegionIndex, trouble: Trouble) {
    let before = state.region(index).map(|region| &region.link);
    if !matches!(before, Some(Link::Failed { .. })) {
        note(state, index, "the daemon ended the watch".into());
    }
    set_link(state, index, Link::Failed { error: trouble.words });
}

fn connected(state: &mut State, index: RegionIndex, resumed: bool) {
    let heard = state.region(index).and_then(|region| region.heard);
    if resumed {
        if let Some(heard) = heard {
            let away = age(seconds_since(heard, state.now));
            note(state, index, format!("live again after {away}, nothing missed"));
        }
        return set_link(state, index, Link::Live);
    }
    if heard.is_some() {
        let from = heard_until(state, index);
        note(state, index, format!("live again; changes since {from} are not listed"));
    }
    begin_snapshot(state, index);
}

/// Until when all changes are known.
fn heard_until(state: &State, index: RegionIndex) -> String {
    let heard = state.region(index).and_then(|region| region.heard);
    time_of_day(heard.unwrap_or(state.now))
}

fn begin_snapshot(state: &mut State, index: RegionIndex) {
    state.tenants.begin_snapshot(index);
    state.sessions.begin_snapshot(index);
    state.operations.begin_snapshot(index);
    set_link(state, index, Link::Loading);
}

/// There are as many rows as the daemon counts. If not, whoever looks must know.
fn check(state: &mut State, index: RegionIndex, counts: Counts) {
    let rows = |tally: Option<&Tally>| tally.map_or(0, |tally| tally.total);
    let pairs = [
        ("tenant", counts.tenants, rows(state.tenants.tally_of(index))),
        ("session", counts.sessions, rows(state.sessions.tally_of(index))),
        ("operation", counts.operations, rows(state.operations.tally_of(index))),
    ];
    for (thing, counted, rows) in pairs {
        let counted = usize::try_from(counted).unwrap_or(usize::MAX);
        if counted != rows {
            let (counted, rows) = (many(counted, thing), count(rows));
            note(state, index, format!("the daemon counts {counted}, and {rows} are known here"));
        }
    }
}

fn note(state: &mut State, index: RegionIndex, text: String) {
    let kind = EntryKind::Connection(index, text);
    let at = state.now;
    state.changes.add(Entry { at, kind });
}

fn put(state: &mut State, index: RegionIndex, resource: v1::Resource) {
    match resource.resource {
        Some(resource::Resource::Tenant(tenant)) if tenant.state() != TenantState::Gone => {
            state.tenants.put(Tenant::new(index, &tenant));
        }
        Some(resource::Resource::Session(session)) => {
            state.sessions.put(Session::new(index, &session));
        }
        Some(resource::Resource::Operation(operation)) => {
            state.operations.put(Operation::new(index, operation));
        }
        Some(resource::Resource::Tenant(_)) | None => {}
    }
}

fn changed(state: &mut State, index: RegionIndex, change: Change) {
    let type_ = change.r#type();
    let at = instant(change.time.as_ref()).unwrap_or(state.now);
    let actor = escape(&change.actor).into_owned();
    let Some(resource) = change.resource.and_then(|resource| resource.resource) else { return };
    let (key, name, what, gone) = match &resource {
        resource::Resource::Tenant(after) => {
            let key = Tenant::key_of(index, after);
            let before = state.tenants.get(&key).map(Tenant::whole);
            let what = Some(describe(type_, before.as_ref(), after));
            let gone = is_gone(type_) || after.state() == TenantState::Gone;
            (key, short(&after.name), what, gone)
        }
        resource::Resource::Session(after) => {
            let key = Session::key_of(index, after);
            let what = session_change(state, &key, type_, after, &actor);
            (key, short(&after.name), what, is_gone(type_))
        }
        resource::Resource::Operation(after) => {
            let key = Key::new(index, "", &after.name);
            let what = operation_change(state, &key, after);
            (key, after.target.as_str(), what, is_gone(type_))
        }
    };
    if let Some(what) = what {
        let name = escape(name).into_owned();
        let kind = EntryKind::Change { key: key.clone(), actor, name, what };
        state.changes.add(Entry { at, kind });
    }
    if gone {
        state.tenants.remove(&key);
        state.sessions.remove(&key);
        state.operations.remove(&key);
    } else {
        put(state, index, v1::Resource { resource: Some(resource) });
    }
}

/// Whether a change says that a row is to be forgotten.
fn is_gone(type_: ChangeType) -> bool {
    matches!(type_, ChangeType::Deleted | ChangeType::Left)
}

/// What is told of a session: what people do, and what fails.
fn session_change(
    state: &State,
    key: &Key,
    type_: ChangeType,
    after: &v1::Session,
    actor: &str,
) -> Option<String> {
    let before = state.sessions.get(key);
    let word = Session::new(key.region, after).phase_word();
    let fails = after.phase() == SessionPhase::Failed
        && before.is_none_or(|before| before.phase != SessionPhase::Failed);
    if actor == DAEMON && !fails {
        return None;
    }
    let of = format!("session of {}", escape(&after.user));
    Some(match (type_, before.map(Session::phase_word)) {
        (ChangeType::Deleted, _) => format!("{of} deleted"),
        (ChangeType::Created, _) if !fails => format!("{of} created"),
        (_, Some(before)) if before != word => format!("{of} {before} to {word}"),
        _ => format!("{of} {word}"),
    })
}

/// What is told of an operation: its beginning and its end.
fn operation_change(state: &State, key: &Key, after: &v1::Operation) -> Option<String> {
    let before = state.operations.get(key).map(Operation::state_word);
    let row = Operation::new(key.region, after.clone());
    let word = row.state_word();
    (before != Some(word)).then(|| format!("{} {word}", escape(&after.kind)))
}
