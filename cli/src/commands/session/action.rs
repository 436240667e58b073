//! `ssctl session hibernate|wake|terminate|drain`: one change of one session or of many.
//!
//! The daemon makes an operation of each. Several are rehearsed first, and what is
//! confirmed are the sessions that were shown, and none that matches only later.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use streamspace_client::{ClientError, Connection, text::escape};
use streamspace_proto::{
    json::to_value,
    v1::{
        ChangeSessionsRequest, ChangeSessionsResponse, ListOperationItemsRequest, Operation,
        OperationItem, OperationItemState, SessionPhase, SessionState,
    },
};

use super::{
    super::operation::{follow, message, verdict},
    filter::OfArgs,
    name::{EVERY_TENANT, brief, full, parent, tenant},
    wait::{until_all, until_phase},
};
use crate::{
    bulk::{ending, touched, would, would_be},
    change::{ChangeArgs, approvable, needed_reason, reason, request_id},
    confirm::{ConfirmArgs, Question, confirm},
    errors::{Doing as _, Failure, Outcome},
    output::{Column, Format, Listing, print_one, print_rows},
    resource::{Noun as _, call, list, short},
    shell::Shell,
};

const METHOD: &str = "SessionService.ChangeSessions";
/// So many tenants are named in a question.
const NAMED: usize = 10;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The sessions, as TENANT/SESSION; several become one operation
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Instead of names: those of the tenant
    #[arg(long, value_name = "NAME", help_heading = "Several sessions")]
    tenant: Option<String>,
    #[command(flatten, next_help_heading = "Several sessions")]
    of: OfArgs,
    #[command(flatten)]
    how: How,
}

#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("drained").required(true).multiple(true)))]
pub(crate) struct DrainArgs {
    /// All sessions of the tenant
    #[arg(long, value_name = "NAME", group = "drained")]
    tenant: Option<String>,
    /// All sessions of the template, of the tenant or of all tenants
    #[arg(long, value_name = "NAME", group = "drained")]
    template: Option<String>,
    /// Terminate them; they hibernate without it
    #[arg(long)]
    terminate: bool,
    #[command(flatten)]
    how: How,
}

/// How any of the changes is made.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = None)]
struct How {
    #[command(flatten)]
    change: ChangeArgs,
    /// Do not ask: the session that ends, or of several how many they are
    #[arg(long, value_name = "NAME|NUMBER")]
    confirm: Option<String>,
    /// Do not ask; not enough where the context is protected
    #[arg(short, long)]
    yes: bool,
    /// Wait until all of them are so far
    #[arg(long)]
    wait: bool,
}

/// What is done to sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Hibernate,
    Wake,
    Terminate,
}

impl Verb {
    fn word(self) -> &'static str {
        match self {
            Self::Hibernate => "hibernate",
            Self::Wake => "wake",
            Self::Terminate => "terminate",
        }
    }

    fn state(self) -> SessionState {
        match self {
            Self::Hibernate => SessionState::Hibernated,
            Self::Wake => SessionState::Running,
            Self::Terminate => SessionState::Terminated,
        }
    }

    fn phase(self) -> SessionPhase {
        match self {
            Self::Hibernate => SessionPhase::Hibernated,
            Self::Wake => SessionPhase::Running,
            Self::Terminate => SessionPhase::Terminated,
        }
    }

    /// What a person who is asked should know.
    fn loss(self) -> &'static str {
        match self {
            Self::Hibernate => "; what is open in them is closed, and their homes stay",
            Self::Wake => "",
            Self::Terminate => "; all but the homes is removed",
        }
    }
}

/// What was chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Chosen {
    parent: String,
    filter: String,
    names: Vec<String>,
}

/// What the names or the flags choose. Nothing chosen is never all.
fn chosen(args: &Args) -> Outcome<Chosen> {
    let refuse = |message: &str, next: &str| {
        Err(Failure::Usage { message: message.into(), next: next.into() })
    };
    let expression = args.of.expression();
    let selects = args.tenant.is_some() || args.of.filter.is_some() || !expression.is_empty();
    match (args.names.as_slice(), selects) {
        ([], false) => refuse(
            "no session was named",
            "give TENANT/SESSION, or choose with --tenant, --user, --template or --filter",
        ),
        ([_, ..], true) => refuse(
            "names and a selection do not go together",
            "give names, or choose with --tenant, --user, --template and --filter",
        ),
        ([_, ..], false) => {
            let names = args.names.iter().map(|name| full(name)).collect::<Outcome<Vec<_>>>()?;
            Ok(Chosen { parent: EVERY_TENANT.into(), filter: String::new(), names })
        }
        ([], true) => match (expression.is_empty(), &args.tenant) {
            (true, None) => refuse(
                "--filter is empty",
                "write an expression, or 'name = \"*\"' for every session of the region",
            ),
            (true, Some(_)) => Ok(all_of(args.tenant.as_deref(), "name = \"*\"".into())),
            (false, _) => Ok(all_of(args.tenant.as_deref(), expression)),
        },
    }
}

fn all_of(tenant: Option<&str>, filter: String) -> Chosen {
    Chosen { parent: parent(tenant), filter, names: Vec::new() }
}

/// What a selection means: none that were terminated comes back with the others. Names,
/// and a filter that says so, still reach them.
fn living(verb: Verb, filter: String) -> String {
    if filter.is_empty() || verb == Verb::Terminate || filter.contains("terminated") {
        return filter;
    }
    format!("({filter}) AND state != \"terminated\"")
}

pub(super) async fn run(shell: &Shell, verb: Verb, args: &Args) -> Outcome {
    change(shell, verb, chosen(args)?, &args.how).await
}

pub(super) async fn drain(shell: &Shell, args: &DrainArgs) -> Outcome {
    let of = OfArgs { template: args.template.clone(), ..OfArgs::default() };
    let filter = match of.expression() {
        all if all.is_empty() => "name = \"*\"".to_owned(),
        filter => filter,
    };
    let verb = if args.terminate { Verb::Terminate } else { Verb::Hibernate };
    change(shell, verb, all_of(args.tenant.as_deref(), filter), &args.how).await
}

async fn change(shell: &Shell, verb: Verb, chosen: Chosen, how: &How) -> Outcome {
    let connection = if how.wait { shell.connect_to_wait()? } else { shell.connect()? };
    let one = match chosen.names.as_slice() {
        [one] => Some(one.clone()),
        _ => None,
    };
    let mut request = ChangeSessionsRequest {
        parent: chosen.parent,
        filter: living(verb, chosen.filter),
        names: chosen.names,
        state: verb.state().into(),
        validate_only: true,
        request_id: String::new(),
        reason: how.change.reason(),
    };
    let doing = || match &one {
        Some(name) => format!("{} {name}", verb.word()),
        None => format!("{} several sessions", verb.word()),
    };
    if how.change.dry_run {
        let rehearsal = send(&connection, &request).await.doing(doing)?;
        return Err(show(shell, &rehearsal)?);
    }
    let given = how.change.given_reason();
    request.reason = match verb {
        // The daemon takes none without: it is asked for before the question.
        Verb::Terminate => needed_reason(shell, given).await?,
        Verb::Hibernate | Verb::Wake => reason(shell, METHOD, given).await?,
    };
    if one.is_none() || verb == Verb::Terminate {
        let confirmed = ConfirmArgs { confirm: how.confirm.clone(), yes: how.yes };
        let protected = connection.context().protected;
        let rehearsal = send(&connection, &request).await.doing(doing)?;
        if rehearsal.items.is_empty() {
            shell.talk("no session matches; nothing was changed");
            return Ok(());
        }
        let name = match &one {
            Some(name) => brief(name),
            None => rehearsal.items.len().to_string(),
        };
        let what = asked(verb, &connection, &rehearsal);
        confirm(shell, &confirmed, &Question { what: &what, name: &name, protected }).await?;
        request.filter.clear();
        request.names = rehearsal.items.into_iter().map(|item| item.target).collect();
    }
    request.validate_only = false;
    request.request_id = request_id();
    let reply = send(&connection, &request)
        .await
        .map_err(|error| approvable(error, METHOD))
        .doing(doing)?;
    let operation = reply.operation.unwrap_or_default();
    shell.talk(begun(&operation).trim_end_matches([' ', ':']));
    if !how.wait {
        let id = short(Operation::PREFIX, &operation.name);
        shell.talk(&format!("`ssctl operation wait {id}` follows it"));
        return print_one(shell, &operation);
    }
    let operation = follow(shell, &connection, &operation.name).await?;
    finish(shell, &connection, verb, one, &operation).await
}

fn begun(operation: &Operation) -> String {
    format!("{} has begun: {}", operation.name, touched(operation))
}

/// What became of it: the session, or the operation and how its sessions came on.
async fn finish(
    shell: &Shell,
    connection: &Connection,
    verb: Verb,
    one: Option<String>,
    operation: &Operation,
) -> Outcome {
    if let Some(name) = one {
        verdict(shell, connection, operation).await?;
        return match until_phase(shell, connection, &name, verb.phase()).await? {
            Some(session) => print_one(shell, &session),
            None => Ok(()),
        };
    }
    print_one(shell, operation)?;
    let taken = verdict(shell, connection, operation).await;
    let names = changed(connection, &operation.name).await?;
    if names.is_empty() {
        return taken;
    }
    until_all(shell, connection, names, verb.phase()).await?;
    taken
}

/// The sessions that an operation changed, or found as wished.
async fn changed(connection: &Connection, name: &str) -> Outcome<BTreeSet<String>> {
    let items = list!(connection, None, operations.list_operation_items,
        ListOperationItemsRequest { name: name.to_owned(), filter: String::new() } => items);
    let done = |item: &OperationItem| {
        matches!(item.state(), OperationItemState::Changed | OperationItemState::Unchanged)
    };
    Ok(items?.into_iter().filter(done).map(|item| item.target).collect())
}

/// Begins or rehearses; repeated safely, since a request that begins has an id.
async fn send(
    connection: &Connection,
    request: &ChangeSessionsRequest,
) -> Result<ChangeSessionsResponse, ClientError> {
    call!(connection, sessions.change_sessions(request.clone()))
}

/// What a person is asked, as sentences.
fn asked(verb: Verb, connection: &Connection, rehearsal: &ChangeSessionsResponse) -> String {
    let operation = rehearsal.operation.clone().unwrap_or_default();
    let context = connection.context();
    let region = if context.region.is_empty() {
        context.endpoint.to_string()
    } else {
        context.region.clone()
    };
    let mut text = format!(
        "To {} in region {region}: {}{}.\n{}",
        verb.word(),
        by_tenant(&rehearsal.items),
        verb.loss(),
        would(&operation.counts.unwrap_or_default()),
    );
    for told in &operation.consequences {
        // Writing to a string does not fail.
        let _ = write!(text, "\n{}", told.message);
    }
    text
}

/// How many sessions, and of which tenants: `9 sessions (7 of acme, 2 of beta)`.
fn by_tenant(items: &[OperationItem]) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for item in items {
        *counts.entry(tenant(&item.target)).or_default() += 1;
    }
    let sessions = match items.len() {
        1 => "1 session".to_owned(),
        many => format!("{many} sessions"),
    };
    if let [(only, _)] = counts.iter().collect::<Vec<_>>().as_slice() {
        return format!("{sessions} of {only}");
    }
    let mut each: Vec<_> = counts.into_iter().collect();
    each.sort_by(|one, other| other.1.cmp(&one.1).then(one.0.cmp(other.0)));
    let more = each.len().saturating_sub(NAMED);
    let named = each.iter().take(NAMED).map(|(tenant, count)| format!("{count} of {tenant}"));
    let mut named: Vec<_> = named.collect();
    if more > 0 {
        named.push(format!("the others of {more} more tenants"));
    }
    format!("{sessions} ({})", named.join(", "))
}

/// Prints a rehearsal, and tells how the command ends.
fn show(shell: &Shell, rehearsal: &ChangeSessionsResponse) -> Outcome<Failure> {
    let listing = Listing::<OperationItem> {
        plural: "sessions",
        columns: vec![
            Column::new("SESSION", |item: &OperationItem, _| brief(&item.target).into()),
            Column::new("WOULD BE", |item, _| would_be(item)),
            Column::new("MESSAGE", |item, _| message(item).into()),
        ],
        name: |item| item.target.clone(),
        value: |item| Ok(to_value(item)?),
    };
    print_rows(shell, &listing, &rehearsal.items)?;
    let operation = rehearsal.operation.clone().unwrap_or_default();
    let counts = operation.counts.unwrap_or_default();
    if rehearsal.items.is_empty() {
        return Ok(Failure::NothingToDo);
    }
    let mut lines = format!("! {}: {}\n", escape(&by_tenant(&rehearsal.items)), would(&counts));
    for told in &operation.consequences {
        // Writing to a string does not fail.
        let _ = writeln!(lines, "! {}", escape(&told.message));
    }
    if matches!(shell.format(), Format::Table | Format::Wide) {
        shell.print(&lines)?;
    } else {
        shell.talk(lines.trim_end());
    }
    Ok(ending(&counts, &rehearsal.items))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Exit;

    fn args(names: &[&str], tenant: Option<&str>, of: OfArgs) -> Args {
        Args {
            names: names.iter().map(|&name| name.to_owned()).collect(),
            tenant: tenant.map(str::to_owned),
            of,
            how: How {
                change: ChangeArgs { dry_run: false, reason: None, incident: None },
                confirm: None,
                yes: false,
                wait: false,
            },
        }
    }

    fn by(user: Option<&str>, filter: Option<&str>) -> OfArgs {
        OfArgs {
            user: user.map(str::to_owned),
            filter: filter.map(str::to_owned),
            ..OfArgs::default()
        }
    }

    #[test]
    fn names_or_flags_choose() {
        let of = |args: &Args| {
            let Chosen { parent, filter, names } = chosen(args).unwrap();
            (parent, filter, names.len())
        };
        let one = args(&["acme/desk-1"], None, OfArgs::default());
        assert_eq!(of(&one), ("tenants/-".into(), String::new(), 1));
        let tenant = args(&[], Some("acme"), OfArgs::default());
        assert_eq!(of(&tenant), ("tenants/acme".into(), "name = \"*\"".into(), 0));
        let user = args(&[], None, by(Some("ada"), None));
        assert_eq!(of(&user), ("tenants/-".into(), "user = \"ada\"".into(), 0));
    }

    #[test]
    fn the_terminated_do_not_come_back_with_the_others() {
        let of = |verb, filter: &str| living(verb, filter.into());
        let living = "(user = \"a\" OR user = \"b\") AND state != \"terminated\"";
        assert_eq!(of(Verb::Wake, "user = \"a\" OR user = \"b\""), living);
        assert_eq!(of(Verb::Terminate, "user = \"a\""), "user = \"a\"");
        assert_eq!(of(Verb::Wake, "state = \"terminated\""), "state = \"terminated\"");
        assert_eq!(of(Verb::Wake, ""), "");
    }

    #[test]
    fn nothing_chosen_is_never_all() {
        let refused = |args: &Args| chosen(args).unwrap_err().exit();
        assert_eq!(refused(&args(&[], None, OfArgs::default())), Exit::Usage);
        // As where a variable of a script is empty.
        assert_eq!(refused(&args(&[], None, by(None, Some("")))), Exit::Usage);
        assert_eq!(refused(&args(&["a/b"], Some("a"), OfArgs::default())), Exit::Usage);
        assert_eq!(refused(&args(&["desk-1"], None, OfArgs::default())), Exit::Usage);
    }

    #[test]
    fn a_question_names_the_number_and_whose_they_are() {
        let items = |names: &[&str]| -> Vec<OperationItem> {
            let item = |name: &&str| OperationItem {
                target: format!("tenants/{name}/sessions/x"),
                ..OperationItem::default()
            };
            names.iter().map(item).collect()
        };
        assert_eq!(by_tenant(&items(&["acme"])), "1 session of acme");
        assert_eq!(by_tenant(&items(&["b", "a", "b"])), "3 sessions (2 of b, 1 of a)");
        let many: Vec<String> = (10..23).map(|at| format!("t-{at}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(by_tenant(&items(&many)).ends_with("the others of 3 more tenants)"));
    }
}
