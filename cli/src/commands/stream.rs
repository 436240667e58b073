//! What is there of one kind, and then what changes, line by line until it is interrupted.

use prost_types::Timestamp;
use serde_json::json;
use streamspace_client::{WatchEvent, text::escape};
use streamspace_proto::{
    json::to_value,
    v1::{Change, ResourceKind, WatchRequest, resource::Resource as Kind},
};

use crate::{
    errors::{Doing as _, Failure, Outcome},
    output::{Cell, Column, Format, csv_line, csv_titles, data_line, line, titles},
    resource::{Noun, word},
    shell::Shell,
    time::{instant, local},
};

/// What can be followed.
pub(crate) trait Streamed: Noun {
    /// What the stream is asked for.
    const KIND: ResourceKind;
    /// Its field in JSON.
    const FIELD: &'static str;
    /// The widths of all columns but the last: no line waits for those after it.
    const WIDTHS: &'static [usize];

    /// The resource, if it is of this kind.
    fn of(resource: Kind) -> Option<Self>;

    /// Since when it is as it is shown at first.
    fn shown_since(&self) -> Option<Timestamp>;

    /// The columns of a line.
    fn lines() -> Vec<Column<Seen<Self>>>;
}

/// One line of the stream.
pub(crate) struct Seen<R> {
    /// What was done; `is` of what was there already.
    pub(crate) what: String,
    time: Option<Timestamp>,
    /// Who did it.
    pub(crate) actor: String,
    revision: i64,
    /// What it is since.
    pub(crate) resource: R,
}

impl<R> Seen<R> {
    /// When, by the clock of this machine.
    pub(crate) fn time(&self) -> Cell {
        local(self.time.as_ref()).into()
    }
}

/// Prints what is there, then what changes: of these names, or of all without, and what
/// is wanted of that.
pub(crate) async fn follow<R: Streamed>(
    shell: &Shell,
    names: Vec<String>,
    wants: impl Fn(&R) -> bool,
) -> Outcome {
    let connection = shell.connect()?;
    let mut watch = connection.watch(WatchRequest {
        kinds: vec![R::KIND.into()],
        names,
        ..WatchRequest::default()
    });
    match shell.format() {
        Format::Table | Format::Wide => shell.print(&titles(&R::lines(), R::WIDTHS))?,
        Format::Csv => shell.print(&csv_titles(&R::lines()))?,
        Format::Json | Format::Yaml | Format::Jsonl | Format::JsonPath | Format::Name => {}
    }
    let mut is_lost = false;
    while let Some(event) = watch.next().await {
        let seen = match event {
            WatchEvent::Item(resource) => resource.resource.and_then(R::of).map(snapshot),
            WatchEvent::Change(change) => changed(*change),
            WatchEvent::Lost { error, .. } => {
                // The first loss is news; that it lasts is not.
                if !std::mem::replace(&mut is_lost, true) {
                    shell
                        .talk(&format!("connection lost ({error}); trying again until it is back"));
                }
                None
            }
            WatchEvent::Connected { resumed } => {
                is_lost = false;
                if resumed {
                    shell.talk("connected again; nothing was missed");
                }
                None
            }
            WatchEvent::Failed(error) => {
                return Err(error).doing(|| format!("watch {}", R::PLURAL));
            }
            WatchEvent::Gap { from, to } => {
                shell.talk(&format!(
                    "too slow to keep up: changes between revisions {from} and {to} are not \
                     shown; what is there now follows"
                ));
                None
            }
            WatchEvent::Snapshot { .. }
            | WatchEvent::Synced { .. }
            | WatchEvent::Bookmark { .. } => None,
        };
        if let Some(seen) = seen.filter(|seen| wants(&seen.resource)) {
            print(shell, &seen)?;
        }
    }
    Ok(())
}

fn snapshot<R: Streamed>(resource: R) -> Seen<R> {
    let time = resource.shown_since();
    Seen { what: "is".into(), time, actor: String::new(), revision: 0, resource }
}

fn changed<R: Streamed>(change: Change) -> Option<Seen<R>> {
    let what = word("CHANGE_TYPE_", change.r#type().as_str_name());
    let resource = change.resource?.resource.and_then(R::of)?;
    Some(Seen { what, time: change.time, actor: change.actor, revision: change.revision, resource })
}

fn print<R: Streamed>(shell: &Shell, seen: &Seen<R>) -> Outcome {
    let value = || {
        Ok::<_, Failure>(json!({
            "change": seen.what,
            "revision": seen.revision.to_string(),
            "time": instant(seen.time.as_ref()).map(|time| time.to_string()),
            "actor": seen.actor,
            R::FIELD: to_value(&seen.resource)?,
        }))
    };
    let text = match shell.format() {
        Format::Json | Format::Jsonl | Format::Yaml | Format::JsonPath => {
            data_line(shell, &value()?)?
        }
        Format::Name => format!("{}\n", escape(seen.resource.resource_name())),
        Format::Csv => csv_line(&R::lines(), seen, shell.now),
        Format::Table | Format::Wide => line(&R::lines(), R::WIDTHS, seen, shell.now),
    };
    shell.print(&text)
}
