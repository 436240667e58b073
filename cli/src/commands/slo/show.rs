//! `ssctl slo show`: what an SLO promises, and what is left of it.

use serde_json::json;
use streamspace_proto::{
    json::to_value,
    v1::{Budget, Slo},
};

use super::{budget, budgets, filter, get, tenant_name};
use crate::{
    errors::{Doing as _, Outcome},
    output::Cell,
    resource::{Noun as _, full_name},
    shell::Shell,
};

/// So many budgets of an SLO that has one a tenant are shown, those with least left.
const WORST: usize = 10;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The SLO
    name: String,
    /// The budget of this tenant
    #[arg(long, value_name = "TENANT")]
    tenant: Option<String>,
}

pub(super) async fn run(shell: &Shell, args: &Args) -> Outcome {
    let name = full_name::<Slo>(&args.name);
    let doing = || format!("show {name}");
    let read = shell.read(async |connection| {
        let slo = get(connection, &name).await.doing(doing)?;
        // One of many is shown where it is named; else the worst of them.
        let found = if slo.per_tenant.is_some() && args.tenant.is_none() {
            let filter = filter("", std::slice::from_ref(&name), None);
            budgets(connection, Some(WORST), &filter).await?
        } else {
            let tenant = tenant_name(args.tenant.as_deref());
            vec![budget(connection, &name, &tenant).await.doing(doing)?]
        };
        Ok((slo, found))
    });
    read.await?.print_answer(
        shell,
        |(slo, found)| page(slo, found, shell.now),
        |(slo, found)| {
            let found = found.iter().map(to_value).collect::<Result<Vec<_>, _>>()?;
            Ok(json!({ "slo": to_value(slo)?, "budgets": found }))
        },
    )
}

fn page(slo: &Slo, found: &[Budget], now: jiff::Timestamp) -> Vec<(&'static str, Cell)> {
    let mut pairs = slo.details(now);
    match found {
        [one] => pairs.extend(one.details(now)),
        many => {
            let lines: Vec<_> = many.iter().map(super::noun::line).collect();
            pairs.push(("Least left", lines.join("\n").into()));
        }
    }
    pairs.retain(|(_, cell)| !cell.text.is_empty());
    pairs
}
