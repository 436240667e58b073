//! `ssctl tenant watch`.

use serde_json::json;
use streamspace_client::WatchEvent;
use streamspace_proto::{
    json::to_value,
    v1::{Change, ResourceKind, Tenant, WatchRequest, resource::Resource as Kind},
};

use super::noun::{message, state_word};
use crate::{
    errors::{Doing as _, Outcome},
    output::{Column, Format, csv_line, csv_titles, data_line, line, titles},
    resource::{Noun as _, full_name, short, word},
    shell::Shell,
    time::{instant, local},
};

const WIDTHS: [usize; 7] = [26, 9, 20, 13, 13, 6, 12];

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only these tenants; all without
    names: Vec<String>,
}

/// One line of the stream.
struct Seen {
    what: String,
    time: Option<prost_types::Timestamp>,
    actor: String,
    revision: i64,
    tenant: Tenant,
}

/// Prints what is there, then what changes, until it is interrupted.
pub(crate) async fn run(shell: &Shell, args: Args) -> Outcome {
    let connection = shell.connect()?;
    let mut watch = connection.watch(WatchRequest {
        kinds: vec![ResourceKind::Tenant.into()],
        names: args.names.iter().map(|name| full_name::<Tenant>(name)).collect(),
        after_revision: 0,
    });
    match shell.format() {
        Format::Table | Format::Wide => shell.print(&titles(&columns(), &WIDTHS))?,
        Format::Csv => shell.print(&csv_titles(&columns()))?,
        Format::Json | Format::Yaml | Format::Jsonl | Format::JsonPath | Format::Name => {}
    }
    let mut is_lost = false;
    while let Some(event) = watch.next().await {
        match event {
            WatchEvent::Item(resource) => {
                if let Some(Kind::Tenant(tenant)) = resource.resource {
                    print(shell, &snapshot(tenant))?;
                }
            }
            WatchEvent::Change(change) => {
                if let Some(seen) = changed(*change) {
                    print(shell, &seen)?;
                }
            }
            WatchEvent::Lost { error, .. } => {
                // The first loss is news; that it lasts is not.
                if !std::mem::replace(&mut is_lost, true) {
                    shell
                        .talk(&format!("connection lost ({error}); trying again until it is back"));
                }
            }
            WatchEvent::Connected { resumed: true } => {
                is_lost = false;
                shell.talk("connected again; nothing was missed");
            }
            WatchEvent::Failed(error) => return Err(error).doing(|| "watch tenants".into()),
            WatchEvent::Connected { resumed: false } => is_lost = false,
            WatchEvent::Synced { .. } | WatchEvent::Bookmark { .. } => {}
        }
    }
    Ok(())
}

fn snapshot(tenant: Tenant) -> Seen {
    let time = tenant.update_time;
    Seen { what: "is".into(), time, actor: String::new(), revision: 0, tenant }
}

fn changed(change: Change) -> Option<Seen> {
    let what = word("CHANGE_TYPE_", change.r#type().as_str_name());
    let Some(Kind::Tenant(tenant)) = change.resource?.resource else { return None };
    Some(Seen { what, time: change.time, actor: change.actor, revision: change.revision, tenant })
}

fn columns() -> Vec<Column<Seen>> {
    vec![
        Column::new("TIME", |seen: &Seen, _| local(seen.time.as_ref()).into()),
        Column::new("CHANGE", |seen, _| seen.what.clone().into()),
        Column::new("NAME", |seen, _| short(Tenant::PREFIX, &seen.tenant.name).into()),
        Column::new("STATE", |seen, _| state_word(&seen.tenant).into()),
        Column::new("PLAN", |seen, _| short("plans/", &seen.tenant.plan).into()),
        Column::new("SEATS", |seen, _| seen.tenant.seats.into()),
        Column::new("ACTOR", |seen, _| seen.actor.clone().into()),
        Column::new("MESSAGE", |seen, _| message(&seen.tenant).into()),
    ]
}

fn print(shell: &Shell, seen: &Seen) -> Outcome {
    let value = || {
        Ok::<_, crate::errors::Failure>(json!({
            "change": seen.what,
            "revision": seen.revision.to_string(),
            "time": instant(seen.time.as_ref()).map(|time| time.to_string()),
            "actor": seen.actor,
            "tenant": to_value(&seen.tenant)?,
        }))
    };
    let text = match shell.format() {
        Format::Json | Format::Jsonl | Format::Yaml | Format::JsonPath => {
            data_line(shell, &value()?)?
        }
        Format::Name => format!("{}\n", streamspace_client::text::escape(&seen.tenant.name)),
        Format::Csv => csv_line(&columns(), seen, shell.now),
        Format::Table | Format::Wide => line(&columns(), &WIDTHS, seen, shell.now),
    };
    shell.print(&text)
}
