//! `ssctl slo what-if`: what an outage would cost.

use std::time::Duration;

use streamspace_client::parse_duration;
use streamspace_proto::{
    json::to_value,
    v1::{BudgetAction, OutagePreview, PreviewOutageRequest, Slo},
};

use super::{
    amounts::{cost, percent, span_or_none},
    tenant_name,
};
use crate::{
    errors::{Doing as _, Outcome},
    output::{Cell, Tone},
    resource::{call, full_name, word},
    shell::Shell,
    time::proto_duration,
};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The SLO
    name: String,
    /// How long everything would fail: 20m
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    outage: Duration,
    /// The budget of this tenant
    #[arg(long, value_name = "TENANT")]
    tenant: Option<String>,
}

pub(super) async fn run(shell: &Shell, args: &Args) -> Outcome {
    let request = PreviewOutageRequest {
        slo: full_name::<Slo>(&args.name),
        tenant: tenant_name(args.tenant.as_deref()),
        outage: proto_duration(Some(args.outage))?,
    };
    let read = shell.read(async |connection| {
        call!(connection, slos.preview_outage(request.clone()))
            .doing(|| format!("tell what an outage would cost {}", request.slo))
    });
    read.await?.print_answer(
        shell,
        |preview| page(preview, request.outage.as_ref()),
        |preview| Ok(to_value(preview)?),
    )
}

fn page(
    preview: &OutagePreview,
    outage: Option<&prost_types::Duration>,
) -> Vec<(&'static str, Cell)> {
    let tone = if preview.remaining_ppm <= 0 { Tone::Bad } else { Tone::Plain };
    let now = preview.budget.as_ref().map_or(0, |budget| budget.remaining_ppm);
    let reached: Vec<_> = (preview.reached.iter())
        .map(|step| {
            let action = word("BUDGET_ACTION_", BudgetAction::as_str_name(&step.action()));
            format!("{action} at {} % used", step.used_percent)
        })
        .collect();
    let paged = preview.page_after.as_ref();
    let paged = paged.map_or_else(
        || "nobody is paged".into(),
        |after| format!("after {}", super::amounts::span(after)),
    );
    let mut pairs: Vec<(&'static str, Cell)> = vec![
        ("Outage", span_or_none(outage).into()),
        ("Costs", cost(preview.cost_ppm).into()),
        ("Left now", percent(now).into()),
        ("Left then", Cell::toned(percent(preview.remaining_ppm), tone)),
        ("Longest", span_or_none(preview.longest.as_ref()).into()),
        ("First page", paged.into()),
    ];
    if !reached.is_empty() {
        pairs.push(("Reaches", reached.join("\n").into()));
    }
    pairs.push(("Credit", format!("{} % of the month", preview.credit_percent).into()));
    pairs
}
