//! One change of several tenants: which ones, the rehearsal, the question, and following
//! the operation that the daemon makes of it.

use std::fmt::Write as _;

use clap::Args;
use streamspace_client::{ClientError, Connection, text::escape};
use streamspace_proto::{
    json::to_value,
    v1::{
        ChangeTenantsRequest, ChangeTenantsResponse, Operation, OperationCounts, OperationItem,
        OperationItemState as State, Tenant, change_tenants_request::Change,
    },
};
use tonic::Code;

use crate::{
    change::{ChangeArgs, reason, request_id},
    commands::{
        operation::{follow, message, verdict},
        tenant::{filter, parse_label},
    },
    confirm::{ConfirmArgs, Question, confirm},
    errors::{Doing as _, Failure, Outcome},
    exit::of_status,
    output::{Cell, Column, Format, Listing, Tone, print_one, print_rows},
    resource::{Noun as _, call, full_name, short},
    shell::Shell,
};

/// Which tenants are changed: several by their names, or a selection.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Several tenants")]
pub(crate) struct Selection {
    /// All tenants that match, for example 'plan = "free" AND seats > 10'
    #[arg(long, value_name = "EXPRESSION", conflicts_with = "all")]
    pub(crate) filter: Option<String>,
    /// Only those with the label; repeat it
    #[arg(
        short = 'l',
        long = "selector",
        value_name = "KEY=VALUE",
        value_parser = parse_label,
        conflicts_with = "all"
    )]
    pub(crate) selectors: Vec<(String, String)>,
    /// All tenants of the region
    #[arg(long)]
    pub(crate) all: bool,
    /// Do not ask: the tenant that loses something, or of several how many they are
    #[arg(long, value_name = "NAME|NUMBER")]
    pub(crate) confirm: Option<String>,
    /// Do not ask; not enough where the context is protected
    #[arg(short, long)]
    pub(crate) yes: bool,
}

/// What was chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Chosen {
    /// One tenant by its full name.
    One(String),
    /// Several, in one operation.
    Many(Many),
}

/// Several tenants: by a filter, or by their full names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Many {
    filter: String,
    names: Vec<String>,
}

impl Selection {
    /// What answers the question before something is lost.
    pub(crate) fn confirmed(&self) -> ConfirmArgs {
        ConfirmArgs { confirm: self.confirm.clone(), yes: self.yes }
    }

    /// Whether tenants are chosen by what they are like.
    pub(crate) fn is_given(&self) -> bool {
        self.filter.is_some() || !self.selectors.is_empty() || self.all
    }

    /// What the flags and these names choose.
    pub(crate) fn chosen(&self, names: &[String]) -> Outcome<Chosen> {
        let refuse = |message: &str, next: &str| {
            Err(Failure::Usage { message: message.into(), next: next.into() })
        };
        match (names, self.is_given()) {
            ([], false) => refuse(
                "no tenant was named",
                "give one name or several, or choose with --filter, -l or --all",
            ),
            ([_, ..], true) => refuse(
                "names and a selection do not go together",
                "give names, or --filter, -l or --all; a filter can name them as well: \
                 'name = \"tenants/acme-*\"'",
            ),
            ([one], false) => Ok(Chosen::One(full_name::<Tenant>(one))),
            (several, false) => {
                let names = several.iter().map(|name| full_name::<Tenant>(name)).collect();
                Ok(Chosen::Many(Many { names, filter: String::new() }))
            }
            ([], true) => {
                let expression = self.filter.as_deref().unwrap_or_default();
                let filter = match filter(expression, &self.selectors) {
                    // Nothing given is all only where that was said.
                    none if none.is_empty() && self.all => "name = \"*\"".to_owned(),
                    none if none.is_empty() => {
                        return refuse(
                            "--filter is empty",
                            "write an expression, or --all for every tenant of the region",
                        );
                    }
                    filter => filter,
                };
                Ok(Chosen::Many(Many { filter, names: Vec::new() }))
            }
        }
    }
}

/// One change of several.
pub(crate) struct Bulk<'a> {
    /// As in "cannot suspend several tenants".
    pub(crate) verb: &'a str,
    /// What a person who is asked should know is lost; empty where nothing is.
    pub(crate) loss: &'a str,
    pub(crate) change: Change,
    pub(crate) many: Many,
    pub(crate) args: &'a ChangeArgs,
    pub(crate) confirm: ConfirmArgs,
    pub(crate) wait: bool,
}

/// Begins the operation, or shows what would become of each tenant and ends with
/// [`Failure::Changes`].
pub(crate) async fn run(shell: &Shell, bulk: Bulk<'_>) -> Outcome {
    let connection = if bulk.wait { shell.connect_to_wait()? } else { shell.connect()? };
    let mut request = ChangeTenantsRequest {
        filter: bulk.many.filter.clone(),
        names: bulk.many.names.clone(),
        change: Some(bulk.change.clone()),
        validate_only: true,
        request_id: String::new(),
        reason: bulk.args.reason(),
    };
    let doing = || format!("{} several tenants", bulk.verb);
    if bulk.args.dry_run {
        let rehearsal = send(&connection, &request).await.doing(doing)?;
        return Err(show(shell, &rehearsal)?);
    }
    request.reason = reason(shell, "BulkService.ChangeTenants", bulk.args.given_reason()).await?;
    let protected = connection.context().protected;
    if bulk.confirm.confirm.is_some() || !bulk.confirm.yes || protected {
        // What is confirmed is what is changed: the tenants that were shown, and none that
        // matches only later.
        let rehearsal = send(&connection, &request).await.doing(doing)?;
        let count = rehearsal.items.len().to_string();
        let what = asked(&bulk, &connection, &rehearsal);
        let question = Question { what: &what, name: &count, protected };
        confirm(shell, &bulk.confirm, &question).await?;
        request.filter.clear();
        request.names = rehearsal.items.into_iter().map(|item| item.target).collect();
    }
    request.validate_only = false;
    request.request_id = request_id();
    let reply = send(&connection, &request).await.doing(doing)?;
    let operation = reply.operation.unwrap_or_default();
    shell.talk(&format!("{} has begun: {}", operation.name, touched(&operation)));
    if !bulk.wait {
        let id = short(Operation::PREFIX, &operation.name);
        shell.talk(&format!("`ssctl operation wait {id}` follows it"));
        return print_one(shell, &operation);
    }
    let operation = follow(shell, &connection, &operation.name).await?;
    print_one(shell, &operation)?;
    verdict(shell, &connection, &operation).await
}

/// Begins or rehearses; repeated safely, since a request that begins has an id.
async fn send(
    connection: &Connection,
    request: &ChangeTenantsRequest,
) -> Result<ChangeTenantsResponse, ClientError> {
    call!(connection, bulk.change_tenants(request.clone()))
}

/// Whom it touches, in the daemon's words.
pub(crate) fn touched(operation: &Operation) -> &str {
    let told = operation.consequences.iter().find(|told| told.code == "TOUCHES");
    told.map_or("", |told| told.message.as_str())
}

/// What a person is asked, as sentences.
fn asked(bulk: &Bulk<'_>, connection: &Connection, rehearsal: &ChangeTenantsResponse) -> String {
    let operation = rehearsal.operation.clone().unwrap_or_default();
    let counts = operation.counts.unwrap_or_default();
    let context = connection.context();
    let region = if context.region.is_empty() {
        context.endpoint.to_string()
    } else {
        context.region.clone()
    };
    let loss = if bulk.loss.is_empty() { "" } else { "; " };
    let mut text = format!(
        "To {} in region {region}: {}{loss}{}.\n{}",
        bulk.verb,
        touched(&operation),
        bulk.loss,
        would(&counts)
    );
    for told in operation.consequences.iter().filter(|told| told.code != "TOUCHES") {
        // Writing to a string does not fail.
        let _ = write!(text, "\n{}", told.message);
    }
    text
}

/// What would become of how many.
pub(crate) fn would(counts: &OperationCounts) -> String {
    let parts = [
        (counts.changed, "would change"),
        (counts.unchanged, "as wished already"),
        (counts.failed, "would be refused"),
        (counts.pending, "not rehearsed"),
    ];
    let parts = parts.into_iter().filter(|(count, _)| *count > 0);
    parts.map(|(count, what)| format!("{count} {what}")).collect::<Vec<_>>().join(", ")
}

/// Prints a rehearsal, and tells how the command ends.
fn show(shell: &Shell, rehearsal: &ChangeTenantsResponse) -> Outcome<Failure> {
    let listing = Listing::<OperationItem> {
        plural: "tenants",
        columns: vec![
            Column::new("TENANT", |item: &OperationItem, _| {
                short(Tenant::PREFIX, &item.target).into()
            }),
            Column::new("WOULD BE", |item, _| would_be(item)),
            Column::new("MESSAGE", |item, _| message(item).into()),
        ],
        name: |item| item.target.clone(),
        value: |item| Ok(to_value(item)?),
    };
    print_rows(shell, &listing, &rehearsal.items)?;
    let operation = rehearsal.operation.clone().unwrap_or_default();
    let counts = operation.counts.unwrap_or_default();
    let mut lines = format!("! {}\n", would(&counts));
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

/// How a rehearsal ends: with 3 where anything would change.
pub(crate) fn ending(counts: &OperationCounts, items: &[OperationItem]) -> Failure {
    if counts.changed + counts.pending > 0 {
        return Failure::Changes;
    }
    let error = items.iter().find_map(|item| item.error.as_ref());
    match error {
        Some(error) => {
            Failure::AllFailed(of_status(Code::from_i32(error.code), Some(&error.reason)))
        }
        None => Failure::NothingToDo,
    }
}

pub(crate) fn would_be(item: &OperationItem) -> Cell {
    match item.state() {
        State::Changed => Cell::toned("changed", Tone::Good),
        State::Unchanged => Cell::toned("as it is", Tone::Good),
        State::Failed => Cell::toned("refused", Tone::Bad),
        _ => Cell::toned("not rehearsed", Tone::Doubtful),
    }
}

#[cfg(test)]
mod tests {
    use streamspace_proto::v1::OperationError;

    use super::*;
    use crate::exit::Exit;

    fn selection(filter: Option<&str>, labels: &[(&str, &str)], all: bool) -> Selection {
        let label = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        Selection {
            filter: filter.map(str::to_owned),
            selectors: labels.iter().map(label).collect(),
            all,
            confirm: None,
            yes: false,
        }
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn one_name_is_one_tenant_and_everything_else_is_an_operation() {
        let none = selection(None, &[], false);
        let one = none.chosen(&names(&["acme"])).unwrap();
        assert_eq!(one, Chosen::One("tenants/acme".into()));
        let two = none.chosen(&names(&["acme", "tenants/beta"])).unwrap();
        let expected = Many { names: names(&["tenants/acme", "tenants/beta"]), ..Many::default() };
        assert_eq!(two, Chosen::Many(expected));
        let by = |selection: Selection| match selection.chosen(&[]).unwrap() {
            Chosen::Many(many) => many.filter,
            Chosen::One(name) => panic!("{name}"),
        };
        assert_eq!(by(selection(None, &[], true)), "name = \"*\"");
        assert_eq!(by(selection(Some("seats > 1"), &[], false)), "seats > 1");
        assert_eq!(
            by(selection(Some("a = 1 OR b = 2"), &[("tier", "gold")], false)),
            "labels.tier = \"gold\" AND (a = 1 OR b = 2)"
        );
    }

    #[test]
    fn nothing_chosen_is_never_all() {
        let refused =
            |selection: &Selection, names: &[String]| selection.chosen(names).unwrap_err().exit();
        assert_eq!(refused(&selection(None, &[], false), &[]), Exit::Usage);
        // As where a variable of a script is empty.
        assert_eq!(refused(&selection(Some(""), &[], false), &[]), Exit::Usage);
        assert_eq!(refused(&selection(None, &[], true), &names(&["acme"])), Exit::Usage);
    }

    #[test]
    fn a_rehearsal_ends_by_what_would_be() {
        let counts = |changed, unchanged, failed, pending| OperationCounts {
            total: changed + unchanged + failed + pending,
            pending,
            changed,
            unchanged,
            failed,
            cancelled: 0,
        };
        let refused = OperationItem {
            error: Some(OperationError {
                code: i32::from(Code::FailedPrecondition),
                ..Default::default()
            }),
            ..Default::default()
        };
        let exit = |counts: &OperationCounts, items: &[OperationItem]| ending(counts, items).exit();
        assert_eq!(exit(&counts(1, 1, 1, 0), std::slice::from_ref(&refused)), Exit::Changes);
        assert_eq!(exit(&counts(0, 1, 0, 1), &[]), Exit::Changes);
        assert_eq!(exit(&counts(0, 2, 0, 0), &[]), Exit::Done);
        assert_eq!(exit(&counts(0, 0, 1, 0), &[refused]), Exit::Refused);
        assert_eq!(
            would(&counts(3, 1, 0, 2)),
            "3 would change, 1 as wished already, 2 not rehearsed"
        );
    }
}
