//! `ssctl slo`: what is promised, and what is left of the error budgets.

use clap::Subcommand;
use streamspace_client::{ClientError, Connection};
use streamspace_proto::v1::{
    Budget, GetBudgetRequest, GetSloRequest, ListBudgetsRequest, Slo, Tenant,
};

use super::audit::quoted;
use crate::{
    change::Reply,
    errors::Outcome,
    resource::{Noun as _, call, full_name, list, short},
    shell::Shell,
};

pub(crate) mod amounts;
mod change;
mod chart;
mod counts;
mod flags;
mod noun;
mod show;
mod status;
mod text;
mod what_if;

pub(crate) use noun::{severity_word, state_word};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the error budgets, those with least left first
    List(ListArgs),
    /// Show an SLO: what it promises, what is left, what burns and what fires
    #[command(visible_aliases = ["get", "describe"])]
    Show(show::Args),
    /// Make an SLO
    #[command(after_help = flags::EXAMPLES)]
    Create(change::CreateArgs),
    /// Change an SLO: only what the flags name
    ///
    /// Another indicator begins anew, and so do budgets by tenant or no longer so; what was
    /// measured stays else.
    Set(change::SetArgs),
    /// Delete an SLO and what was measured for it
    Delete(change::DeleteArgs),
    /// Check the budgets: a line for each that is not well
    ///
    /// Ends with 11 where a budget is exhausted or pages. With --fail-below it ends with
    /// 11 where one has less left, or has no data: a gate for a pipeline.
    #[command(after_help = status::EXAMPLES)]
    Status(status::Args),
    /// Tell what a total outage would cost; nothing is changed
    WhatIf(what_if::Args),
    /// Draw how fast a budget burned
    Chart(chart::Args),
    /// Push counts of a minute for an SLO whose indicator is pushed
    #[command(after_help = counts::EXAMPLES)]
    Push(counts::PushArgs),
    /// Take a time out of budgets, or back in
    Exclude(counts::ExcludeArgs),
    /// Make or change SLOs as OpenSLO documents say: all of them or none
    Import(text::ImportArgs),
    /// Write SLOs as OpenSLO, or as rules for Prometheus
    Export(text::ExportArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    /// Which ones, for example 'state = "page" AND service = "api"'
    #[arg(long, default_value = "", hide_default_value = true, value_name = "EXPRESSION")]
    filter: String,
    /// Those of a tenant alone
    #[arg(long, value_name = "TENANT")]
    tenant: Option<String>,
    /// At most so many; of each region where several are asked
    #[arg(long, value_name = "NUMBER")]
    limit: Option<usize>,
}

impl Reply for Slo {}

pub(crate) async fn run(shell: &Shell, command: Command) -> Outcome {
    match command {
        Command::List(args) => {
            let filter = filter(&args.filter, &[], args.tenant.as_deref());
            let read =
                shell.read(async |connection| budgets(connection, args.limit, &filter).await);
            read.await?.print_all(shell)
        }
        Command::Show(args) => show::run(shell, &args).await,
        Command::Create(args) => change::create(shell, &args).await,
        Command::Set(args) => change::set(shell, &args).await,
        Command::Delete(args) => change::delete(shell, &args).await,
        Command::Status(args) => status::run(shell, &args).await,
        Command::WhatIf(args) => what_if::run(shell, &args).await,
        Command::Chart(args) => chart::run(shell, &args).await,
        Command::Push(args) => counts::push(shell, &args).await,
        Command::Exclude(args) => counts::exclude(shell, &args).await,
        Command::Import(args) => text::import(shell, &args).await,
        Command::Export(args) => text::export(shell, &args).await,
    }
}

/// The budgets that a filter names, those with least left first.
pub(crate) async fn budgets(
    connection: &Connection,
    limit: Option<usize>,
    filter: &str,
) -> Outcome<Vec<Budget>> {
    list!(connection, limit, slos.list_budgets, ListBudgetsRequest {
        filter: filter.to_owned()
    } => budgets)
}

async fn get(connection: &Connection, name: &str) -> Result<Slo, ClientError> {
    call!(connection, slos.get_slo(GetSloRequest { name: name.to_owned() }))
}

async fn budget(connection: &Connection, slo: &str, tenant: &str) -> Result<Budget, ClientError> {
    let request = GetBudgetRequest { slo: slo.to_owned(), tenant: tenant.to_owned() };
    call!(connection, slos.get_budget(request))
}

/// The full name of a tenant, or none as the contract writes it.
fn tenant_name(tenant: Option<&str>) -> String {
    tenant.map(full_name::<Tenant>).unwrap_or_default()
}

/// An expression, and of it the SLOs and the tenant that are named.
fn filter(expression: &str, slos: &[String], tenant: Option<&str>) -> String {
    let mut parts = Vec::new();
    if !expression.is_empty() {
        parts.push(format!("({expression})"));
    }
    let named: Vec<_> =
        slos.iter().map(|slo| format!("slo = {}", quoted(short(Slo::PREFIX, slo)))).collect();
    match named.as_slice() {
        [] => {}
        [one] => parts.push(one.clone()),
        _ => parts.push(format!("({})", named.join(" OR "))),
    }
    if let Some(tenant) = tenant {
        parts.push(format!("tenant = {}", quoted(short(Tenant::PREFIX, tenant))));
    }
    match parts.as_slice() {
        [_] if !expression.is_empty() => expression.to_owned(),
        _ => parts.join(" AND "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_named_joins_the_filter() {
        assert_eq!(filter("", &[], None), "");
        assert_eq!(filter("frozen", &[], None), "frozen");
        assert_eq!(filter("", &["slos/api".into()], None), "slo = \"api\"");
        assert_eq!(
            filter("a = 1 OR b = 2", &["x".into(), "y".into()], Some("tenants/acme")),
            "(a = 1 OR b = 2) AND (slo = \"x\" OR slo = \"y\") AND tenant = \"acme\""
        );
        assert_eq!(filter("", &["a\" OR \"".into()], None), "slo = \"a\\\" OR \\\"\"");
    }
}
