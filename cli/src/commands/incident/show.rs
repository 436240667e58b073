//! What happened, whom it hit, and what is written down.

use std::time::Duration;

use serde_json::json;
use streamspace_proto::{
    json::to_value,
    v1::{
        BudgetImpact, ExportPostMortemRequest, GetImpactRequest, IncidentImpact,
        ListTimelineRequest, Slo, Tenant, TimelineEntry,
    },
};

use super::{
    get,
    noun::{full, id},
};
use crate::{
    commands::slo::amounts,
    errors::{Doing as _, Failure, Outcome},
    output::{Cell, print_text},
    resource::{Noun as _, call, short},
    shell::Shell,
    time::{local, parse_duration, proto_duration},
};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The incident
    name: String,
    /// How long before it changes are shown: 10m, 2h, up to 24h
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, default_value = "1h")]
    before: Duration,
}

pub(super) async fn run(shell: &Shell, args: &Args) -> Outcome {
    let name = full(&args.name);
    let before = proto_duration(Some(args.before))?;
    let doing = || format!("show {name}");
    let read = shell.read(async |connection| {
        let incident = get(connection, &name).await.doing(doing)?;
        let request = ListTimelineRequest { name: name.clone(), before };
        let timeline = call!(connection, incidents.list_timeline(request)).doing(doing)?;
        Ok((incident, timeline))
    });
    read.await?.print_answer(
        shell,
        |(incident, timeline)| {
            let mut pairs = incident.details(shell.now);
            let (earlier, since): (Vec<_>, Vec<_>) =
                timeline.entries.iter().partition(|entry| entry.kind == "before");
            let mut lines = |title, entries: &[&TimelineEntry]| {
                if !entries.is_empty() {
                    let lines: Vec<_> = entries.iter().map(|entry| line(entry)).collect();
                    pairs.push((title, Cell::from(lines.join("\n"))));
                }
            };
            lines("Before it", &earlier);
            lines("What happened", &since);
            if timeline.truncated {
                pairs.push(("Left out", "the oldest entries: there are more than 5,000".into()));
            }
            pairs
        },
        |(incident, timeline)| {
            let entries = timeline.entries.iter().map(to_value).collect::<Result<Vec<_>, _>>()?;
            Ok(json!({
                "incident": to_value(incident)?, "timeline": entries,
                "truncated": timeline.truncated,
            }))
        },
    )
}

fn line(entry: &TimelineEntry) -> String {
    // Beside the day of the declaration the time is enough; the whole stands in JSON.
    format!("{}  {}: {}", local(entry.time.as_ref()), entry.actor, entry.text)
}

pub(super) async fn impact(shell: &Shell, name: &str) -> Outcome {
    let read = shell.read(async |connection| {
        let request = GetImpactRequest { name: name.to_owned() };
        call!(connection, incidents.get_impact(request)).doing(|| format!("read {name}"))
    });
    read.await?.print_answer(shell, page, |impact| Ok(to_value(impact)?))
}

fn page(impact: &IncidentImpact) -> Vec<(&'static str, Cell)> {
    let tenants = impact.tenants.iter().map(|it| {
        let tenant = short(Tenant::PREFIX, &it.tenant);
        match it.plan.as_str() {
            "" => format!("{tenant} (gone)"),
            plan => format!("{tenant} ({plan}), {} sessions now", it.sessions),
        }
    });
    let or_none = |lines: Vec<String>, none: &str| {
        if lines.is_empty() { none.to_owned() } else { lines.join("\n") }
    };
    let budgets = impact.budgets.iter().map(cost).collect();
    vec![
        ("Name", id(&impact.name).into()),
        ("From", local(impact.start_time.as_ref()).into()),
        ("Until", local(impact.end_time.as_ref()).into()),
        ("Tenants", or_none(tenants.collect(), "none is named").into()),
        ("Cost", or_none(budgets, "no SLO is named").into()),
    ]
}

fn cost(budget: &BudgetImpact) -> String {
    let mut name = short(Slo::PREFIX, &budget.slo).to_owned();
    if !budget.tenant.is_empty() {
        name = format!("{name} of {}", short(Tenant::PREFIX, &budget.tenant));
    }
    match budget.used_ppm {
        None => format!("{name}: not measured"),
        Some(ppm) => {
            let cost = amounts::cost(ppm);
            format!("{name}: {cost} of the error budget, {} bad of {}", budget.bad, budget.total)
        }
    }
}

pub(super) async fn export(shell: &Shell, name: &str) -> Outcome {
    if shell.global.output.is_some() {
        return Err(Failure::Usage {
            message: "a post-mortem is Markdown, and -o does not go with it".into(),
            next: "leave -o out; `ssctl incident show -o json` has it for programs".into(),
        });
    }
    let connection = shell.connect()?;
    let request = ExportPostMortemRequest { name: name.to_owned() };
    let page = call!(&connection, incidents.export_post_mortem(request))
        .doing(|| format!("export {name}"))?;
    print_text(shell, &page.text)
}
