//! What can be typed after `:`. One list tells what there is, what it is also called,
//! and what may follow.

use streamspace_client::text::escape;
use streamspace_core::suggest;

use crate::{
    rows::{Key, Row, Scope, Tenant},
    state::{Page, RegionIndex, State},
};

/// How many ways to go on are offered.
const OFFERED: usize = 8;

/// What a command asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Go(Page),
    /// Declare an incident, where it is known of which region.
    Declare(Option<RegionIndex>),
    /// Sort the table by a column, or against its direction.
    Sort {
        column: String,
        reversed: bool,
    },
    Filter(String),
    Quit,
}

/// What a command takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Takes {
    Nothing,
    /// A tenant's id; the table where there is none.
    Tenant,
    /// A session, as `tenant/session`.
    Session,
    /// A region's name; the one at hand where there is none.
    Region,
    /// A column of the table, and `desc` for the other direction.
    Column,
    /// A text or an expression.
    Filter,
}

/// One command.
pub(crate) struct Entry {
    pub(crate) name: &'static str,
    pub(crate) aliases: &'static [&'static str],
    takes: Takes,
    /// What it does, for the help page.
    pub(crate) label: &'static str,
}

impl Entry {
    /// How it is written.
    pub(crate) fn usage(&self) -> String {
        let argument = match self.takes {
            Takes::Nothing => "",
            Takes::Tenant => " [TENANT]",
            Takes::Session => " TENANT/SESSION",
            Takes::Region => " [REGION]",
            Takes::Column => " COLUMN [desc]",
            Takes::Filter => " [FILTER]",
        };
        format!("{}{argument}", self.name)
    }
}

/// All commands, in the order of the help page.
#[rustfmt::skip]
pub(crate) const COMMANDS: &[Entry] = &[
    Entry { name: "overview", aliases: &["o", "home"], takes: Takes::Nothing, label: "how everything is, on one screen" },
    Entry { name: "tenants", aliases: &["t"], takes: Takes::Nothing, label: "the table of tenants" },
    Entry { name: "tenant", aliases: &[], takes: Takes::Tenant, label: "all about one tenant" },
    Entry { name: "sessions", aliases: &["s"], takes: Takes::Tenant, label: "the table of sessions, of one tenant or of all" },
    Entry { name: "session", aliases: &[], takes: Takes::Session, label: "all about one session" },
    Entry { name: "operations", aliases: &["op", "ops"], takes: Takes::Nothing, label: "the table of operations" },
    Entry { name: "changes", aliases: &["c"], takes: Takes::Nothing, label: "what changed since this was opened" },
    Entry { name: "usage", aliases: &["u"], takes: Takes::Tenant, label: "what one tenant uses, or all" },
    Entry { name: "regions", aliases: &["r", "region"], takes: Takes::Nothing, label: "how each region is" },
    Entry { name: "incidents", aliases: &["incident", "i"], takes: Takes::Nothing, label: "the table of incidents" },
    Entry { name: "post-mortem", aliases: &["pm"], takes: Takes::Nothing, label: "the post-mortem of the incident at hand" },
    Entry { name: "declare", aliases: &[], takes: Takes::Region, label: "declare an incident" },
    Entry { name: "slos", aliases: &["slo", "budgets", "b"], takes: Takes::Nothing, label: "the table of SLOs with their error budgets" },
    Entry { name: "alerts", aliases: &["alert"], takes: Takes::Nothing, label: "the table of alerts" },
    Entry { name: "audit", aliases: &["log"], takes: Takes::Nothing, label: "the end of the audit log" },
    Entry { name: "certificates", aliases: &["certs", "cert"], takes: Takes::Nothing, label: "the table of certificates" },
    Entry { name: "yaml", aliases: &["y"], takes: Takes::Nothing, label: "all of what is at hand, as the contract has it" },
    Entry { name: "sort", aliases: &[], takes: Takes::Column, label: "sort the table by a column, or by `worst`" },
    Entry { name: "filter", aliases: &["f"], takes: Takes::Filter, label: "show only some rows, as --filter does" },
    Entry { name: "help", aliases: &["h", "?"], takes: Takes::Nothing, label: "all keys and commands" },
    Entry { name: "quit", aliases: &["q"], takes: Takes::Nothing, label: "leave the dashboard" },
];

fn entry(word: &str) -> Option<&'static Entry> {
    COMMANDS.iter().find(|entry| entry.name == word || entry.aliases.contains(&word))
}

/// Reads a command. An error says what is wrong and what there is.
pub(crate) fn parse(text: &str, state: &State) -> Result<Command, String> {
    let text = text.trim();
    let (word, argument) = text.split_once(' ').unwrap_or((text, ""));
    let argument = argument.trim();
    let Some(entry) = entry(word) else {
        let near = suggest::nearest(word, COMMANDS.iter().map(|entry| entry.name));
        let hint = near.map_or_else(
            || "tab shows what there is".to_owned(),
            |near| format!("did you mean {near}?"),
        );
        return Err(format!("no command {word}; {hint}"));
    };
    if entry.takes == Takes::Nothing && !argument.is_empty() {
        return Err(format!("{} takes nothing", entry.name));
    }
    Ok(match entry.name {
        "overview" => Command::Go(Page::Overview),
        "tenants" => Command::Go(Page::Tenants),
        "tenant" if argument.is_empty() => Command::Go(Page::Tenants),
        "tenant" => Command::Go(Page::Tenant(tenant(argument, state)?.key().clone())),
        "sessions" => Command::Go(Page::Sessions(scope(argument, state)?)),
        "usage" => Command::Go(Page::Usage(scope(argument, state)?)),
        "session" => Command::Go(Page::Session(session(argument, state)?)),
        "operations" => Command::Go(Page::Operations),
        "changes" => Command::Go(Page::Changes),
        "regions" => Command::Go(Page::Regions),
        "incidents" => Command::Go(Page::Incidents),
        "post-mortem" => Command::Go(state.post_mortem_at_hand().ok_or("no incident is at hand")?),
        "declare" => Command::Declare(region(argument, state)?),
        "slos" => Command::Go(Page::Slos),
        "alerts" => Command::Go(Page::Alerts),
        "audit" => Command::Go(Page::Audit),
        "certificates" => Command::Go(Page::Certificates),
        "yaml" => {
            let (region, name) = state.resource_at_hand().ok_or("nothing is at hand here")?;
            Command::Go(Page::Yaml(region, name))
        }
        "sort" => sort(argument, state)?,
        "filter" if state.table().is_none() => return Err("there is no table here".into()),
        "filter" => Command::Filter(argument.to_owned()),
        "help" => Command::Go(Page::Help),
        _ => Command::Quit,
    })
}

fn sort(argument: &str, state: &State) -> Result<Command, String> {
    let orders = state.table().ok_or("there is no table here")?.orders();
    let (column, direction) = argument.split_once(' ').unwrap_or((argument, ""));
    let reversed = match direction.trim() {
        "" | "asc" => false,
        "desc" => true,
        other => return Err(format!("{other} is no direction: leave it out, or write desc")),
    };
    if !orders.iter().any(|order| order.eq_ignore_ascii_case(column)) {
        return Err(format!("no column {column} to sort by; there are {}", orders.join(", ")));
    }
    Ok(Command::Sort { column: column.to_owned(), reversed })
}

/// The tenant of an id; where several regions have it, the first one's, unless the region
/// stands before it: `us-east-1/acme-corp`.
fn tenant<'a>(id: &str, state: &'a State) -> Result<&'a Tenant, String> {
    let (region, id) = match id.split_once('/') {
        Some((region, id)) => (Some(region), id),
        None => (None, id),
    };
    let is_it = |tenant: &&Tenant| {
        let here = state.region(tenant.key().region);
        tenant.id == id && region.is_none_or(|region| here.is_some_and(|it| it.name() == region))
    };
    let found = state.tenants.iter().filter(is_it).min_by_key(|tenant| tenant.key().region);
    found.ok_or_else(|| format!("no tenant {id} is known here"))
}

/// All that belongs to a tenant; none where none is named.
fn scope(id: &str, state: &State) -> Result<Option<Scope>, String> {
    if id.is_empty() {
        return Ok(None);
    }
    let tenant = tenant(id, state)?;
    let region = tenant.key().region;
    Ok(Some(Scope { region, tenant: tenant.id.as_str().into() }))
}

/// The region of a name; none where none is named.
fn region(name: &str, state: &State) -> Result<Option<RegionIndex>, String> {
    if name.is_empty() {
        return Ok(None);
    }
    let mut regions = (0..).map(RegionIndex).zip(&state.regions);
    let found = regions.find(|(_, region)| region.name() == name);
    found.map(|(index, _)| Some(index)).ok_or_else(|| format!("no region {name} is looked at"))
}

fn session(path: &str, state: &State) -> Result<Key, String> {
    let Some((tenant, id)) = path.split_once('/') else {
        return Err("a session is written TENANT/SESSION".into());
    };
    let found = state.sessions.iter().find(|it| it.tenant() == tenant && it.id() == id);
    found.map(|it| it.key().clone()).ok_or_else(|| format!("no session {path} is known here"))
}

/// How a command could go on: what could stand instead of its last word.
pub(crate) fn choices(text: &str, state: &State) -> Vec<String> {
    let Some((word, argument)) = text.split_once(' ') else {
        let names = COMMANDS.iter().map(|entry| entry.name);
        return names.filter(|name| name.starts_with(text)).map(str::to_owned).collect();
    };
    match entry(word).map(|entry| entry.takes) {
        Some(Takes::Tenant) => {
            let ids = state.tenants.iter().map(|tenant| tenant.id.as_str());
            offered(ids.filter(|id| id.starts_with(argument)).map(str::to_owned))
        }
        Some(Takes::Session) => {
            let paths = state.sessions.iter().map(crate::rows::Session::path);
            offered(
                paths.filter(|path| path.starts_with(argument)).map(|it| escape(it).into_owned()),
            )
        }
        Some(Takes::Region) => {
            let names = state.regions.iter().map(crate::state::Region::name);
            offered(names.filter(|name| name.starts_with(argument)).map(str::to_owned))
        }
        Some(Takes::Column) => {
            let orders = state.table().map(crate::table::AnyTable::orders).unwrap_or_default();
            orders.into_iter().filter(|order| order.starts_with(argument)).collect()
        }
        _ => Vec::new(),
    }
}

/// The first of many by name. Nobody reads ten thousand, nor should they be sorted for
/// it.
fn offered(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut first: Vec<String> = Vec::with_capacity(OFFERED + 1);
    for name in names {
        let place = first.partition_point(|other| *other < name);
        if place < OFFERED && first.get(place) != Some(&name) {
            first.insert(place, name);
            first.truncate(OFFERED);
        }
    }
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_word_means_two_commands() {
        let words = || COMMANDS.iter().flat_map(|it| std::iter::once(&it.name).chain(it.aliases));
        for word in words() {
            assert_eq!(words().filter(|other| *other == word).count(), 1, "{word}");
        }
    }

    #[test]
    fn the_first_names_are_offered_each_once() {
        let names = ["c", "a", "b", "a"].map(str::to_owned);
        assert_eq!(offered(names.into_iter()), ["a", "b", "c"]);
        assert_eq!(offered((10..99).map(|n| n.to_string())).len(), OFFERED);
    }
}
