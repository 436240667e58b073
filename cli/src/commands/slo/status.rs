//! `ssctl slo status`: a check of budgets with an exit code.

use serde_json::json;
use streamspace_client::{Connection, context::nearest};
use streamspace_proto::{
    json::to_value,
    v1::{Budget, BudgetState, ListTenantsRequest, Slo, Tenant, TenantView},
};

use super::{
    amounts::{percent, rate_or_none},
    budgets, filter, get,
    noun::{burn, left, state},
    state_word,
};
use crate::{
    commands::tenant,
    errors::{Doing as _, Failure, Outcome},
    exit::Exit,
    output::{Cell, Column, Listing},
    quantity::parse_percent,
    resource::{Noun as _, full_name, list, short},
    shell::Shell,
};

pub(super) const EXAMPLES: &str = "\
Examples:
  ssctl slo status --all-contexts
  ssctl slo status --slo api --fail-below 10% && ./deploy";

/// Among so many tenants the one is looked for that was meant.
const SEARCHED: usize = 10_000;
/// So many budgets are named in the message; all are in the table.
const NAMED: usize = 10;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// End with 11 where less of a budget is left, or where one has no data
    #[arg(long, value_name = "PERCENT", value_parser = parse_percent)]
    fail_below: Option<i32>,
    /// A budget without data does not fail the check
    #[arg(long, requires = "fail_below")]
    allow_no_data: bool,
    /// Those of this SLO alone; repeated for more
    #[arg(long = "slo", value_name = "SLO")]
    slos: Vec<String>,
    /// Those of a tenant alone
    #[arg(long, value_name = "TENANT")]
    tenant: Option<String>,
}

/// A budget that is not well.
#[derive(Debug)]
struct Row {
    budget: Budget,
    /// Whether it fails the check.
    failed: bool,
    /// Why it is here.
    why: String,
}

pub(super) async fn run(shell: &Shell, args: &Args) -> Outcome {
    let slos: Vec<_> = args.slos.iter().map(|slo| full_name::<Slo>(slo)).collect();
    let filter = filter("", &slos, args.tenant.as_deref());
    let read = shell.read(async |connection| {
        // A slip in a name must not pass for a budget that is well.
        for name in &slos {
            get(connection, name).await.doing(|| format!("check {name}"))?;
        }
        let found = budgets(connection, None, &filter).await?;
        match &args.tenant {
            Some(tenant) if found.is_empty() => {
                let name = full_name::<Tenant>(tenant);
                known(connection, &name).await?;
                if slos.is_empty() {
                    return Err(Failure::not_found(&format!("budget of {name}")));
                }
                Ok(found)
            }
            _ => Ok(found),
        }
    });
    let rows = read.await?.map(|_, budgets| Ok(rows(args, &slos, budgets)))?;
    let failed: Vec<_> = (rows.answers.iter())
        .flat_map(|(context, rows)| rows.iter().map(move |row| (context, row)))
        .filter(|(_, row)| row.failed)
        .map(|(context, row)| {
            let region = if rows.several { format!("{context}: ") } else { String::new() };
            format!("{region}{}: {}", named(&row.budget), row.why)
        })
        .collect();
    match rows.print_rows(shell, &listing()) {
        // What was not read was told, and something is known to be wrong.
        Ok(()) | Err(Failure::Unread { .. }) if !failed.is_empty() => {
            Err(Failure::CheckFailed { message: message(&failed), next: next(args) })
        }
        other => other,
    }
}

/// Ends with 6 where there is no such tenant, and says which one was probably meant.
async fn known(connection: &Connection, name: &str) -> Outcome {
    let failure = match tenant::get(connection, name).await.doing(|| format!("check {name}")) {
        Ok(_) => return Ok(()),
        Err(failure) if failure.exit() == Exit::NotFound => failure,
        Err(failure) => return Err(failure),
    };
    let all = list!(connection, Some(SEARCHED), tenants.list_tenants, ListTenantsRequest {
        filter: String::new(), order_by: String::new(), show_deleted: false,
        view: TenantView::Basic.into()
    } => tenants)?;
    // The prefix that all have in common makes none of them nearer.
    let all: Vec<String> =
        all.iter().map(|tenant| short(Tenant::PREFIX, &tenant.name).to_owned()).collect();
    match nearest(short(Tenant::PREFIX, name), &all) {
        Some(meant) => Err(Failure::not_found(&format!("{name}; did you mean {meant}?"))),
        None => Err(failure),
    }
}

fn message(failed: &[String]) -> String {
    let mut named: Vec<&str> = failed.iter().take(NAMED).map(String::as_str).collect();
    let more = format!("and {} more", failed.len().saturating_sub(NAMED));
    if failed.len() > NAMED {
        named.push(&more);
    }
    let count = failed.len();
    let fail = if count == 1 { "1 budget fails" } else { &format!("{count} budgets fail") };
    format!("{fail} the check: {}", named.join("; "))
}

fn next(args: &Args) -> String {
    let slo = args.slos.first().map_or("NAME", String::as_str);
    format!("`ssctl slo show {slo}` tells what burns, `ssctl slo chart {slo}` since when")
}

/// The budgets that are not well, in the order in which they came; an SLO that was named and
/// has no budget is one without data.
fn rows(args: &Args, slos: &[String], budgets: Vec<Budget>) -> Vec<Row> {
    let missing = slos.iter().filter(|slo| !budgets.iter().any(|budget| budget.slo == **slo));
    let missing: Vec<_> = missing
        .map(|slo| Budget {
            slo: slo.clone(),
            tenant: args.tenant.as_deref().map(full_name::<Tenant>).unwrap_or_default(),
            state: BudgetState::NoData.into(),
            ..Budget::default()
        })
        .collect();
    budgets.into_iter().chain(missing).filter_map(|budget| judge(args, budget)).collect()
}

fn judge(args: &Args, budget: Budget) -> Option<Row> {
    let state = budget.state();
    let no_data = matches!(state, BudgetState::NoData | BudgetState::Unspecified);
    // What is not known is no number to compare.
    let below = args.fail_below.filter(|_| !no_data);
    let below = below.filter(|least| budget.remaining_ppm < i64::from(*least));
    let failed = match args.fail_below {
        Some(_) => below.is_some() || (no_data && !args.allow_no_data),
        None => matches!(state, BudgetState::Page | BudgetState::Exhausted),
    };
    if state == BudgetState::Ok && !failed {
        return None;
    }
    let left = percent(budget.remaining_ppm);
    let why = match (no_data, below) {
        (true, _) => "no data".to_owned(),
        (false, Some(least)) => format!("{left} left, below {}", percent(i64::from(least))),
        (false, None) => format!("{}, {left} left", state_word(state)),
    };
    Some(Row { budget, failed, why })
}

fn named(budget: &Budget) -> String {
    match budget.tenant.as_str() {
        "" => budget.slo.clone(),
        tenant => format!("{} of {tenant}", budget.slo),
    }
}

fn listing() -> Listing<Row> {
    Listing {
        plural: "budgets that need anybody",
        columns: vec![
            Column::new("SLO", |row: &Row, _| short(Slo::PREFIX, &row.budget.slo).into()),
            Column::new("TENANT", |row, _| short(Tenant::PREFIX, &row.budget.tenant).into()),
            Column::new("STATE", |row, _| state(&row.budget)),
            Column::new("LEFT", |row, _| match row.budget.state() {
                BudgetState::NoData | BudgetState::Unspecified => "-".into(),
                _ => left(&row.budget),
            }),
            Column::new("1H", |row, _| rate_or_none(burn(&row.budget, 3600)).into()),
            Column::new("FAILS", |row, _| if row.failed { "yes" } else { "no" }.into()),
            Column::new("WHY", |row, _| Cell::from(row.why.clone())),
        ],
        name: |row| row.budget.slo.clone(),
        value: |row| {
            let mut value = to_value(&row.budget)?;
            if let Some(object) = value.as_object_mut() {
                object.insert("failed".into(), json!(row.failed));
                object.insert("why".into(), json!(row.why));
            }
            Ok(value)
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(fail_below: Option<i32>, allow_no_data: bool) -> Args {
        Args { fail_below, allow_no_data, slos: Vec::new(), tenant: None }
    }

    fn of(state: BudgetState, remaining_ppm: i64) -> Budget {
        let slo = "slos/api".to_owned();
        Budget { slo, state: state.into(), remaining_ppm, ..Budget::default() }
    }

    /// Whether it is shown, and whether it fails.
    fn verdict(args: &Args, budget: Budget) -> Option<bool> {
        judge(args, budget).map(|row| row.failed)
    }

    #[test]
    fn without_a_limit_what_pages_or_is_gone_fails() {
        let args = args(None, false);
        assert_eq!(verdict(&args, of(BudgetState::Ok, 1)), None);
        assert_eq!(verdict(&args, of(BudgetState::Ticket, 1)), Some(false));
        assert_eq!(verdict(&args, of(BudgetState::NoData, 0)), Some(false));
        assert_eq!(verdict(&args, of(BudgetState::Page, 900_000)), Some(true));
        assert_eq!(verdict(&args, of(BudgetState::Exhausted, -1)), Some(true));
    }

    #[test]
    fn with_a_limit_it_is_exact_and_no_data_is_no_pass() {
        let strict = args(Some(100_000), false);
        assert_eq!(verdict(&strict, of(BudgetState::Ok, 100_000)), None);
        assert_eq!(verdict(&strict, of(BudgetState::Ok, 99_999)), Some(true));
        assert_eq!(verdict(&strict, of(BudgetState::Page, 500_000)), Some(false));
        assert_eq!(verdict(&strict, of(BudgetState::NoData, 900_000)), Some(true));
        assert_eq!(verdict(&args(Some(100_000), true), of(BudgetState::NoData, 0)), Some(false));
    }

    #[test]
    fn what_was_named_and_has_no_budget_is_told() {
        let told = rows(&args(Some(1), false), &["slos/gone".into()], Vec::new());
        assert_eq!(told.len(), 1);
        assert!(told[0].failed && told[0].why == "no data");
    }
}
