//! What is shown of operations and of their items.

use jiff::Timestamp;
use streamspace_proto::v1::{Operation, OperationCounts, OperationItem, OperationItemState};

use crate::{
    output::{Cell, Column, Tone},
    resource::{Noun, short, word},
    time::{age, local},
};

impl Noun for Operation {
    const PLURAL: &'static str = "operations";
    const PREFIX: &'static str = "operations/";

    fn resource_name(&self) -> &str {
        &self.name
    }

    fn columns() -> Vec<Column<Self>> {
        vec![
            Column::new("NAME", |operation: &Self, _| short(Self::PREFIX, &operation.name).into()),
            Column::new("KIND", |operation, _| operation.kind.clone().into()),
            Column::new("TARGET", |operation, _| target(operation).into()),
            Column::new("STATE", |operation, _| state(operation)),
            Column::new("PROGRESS", |operation, _| operation.progress.clone().into()),
            Column::new("AGE", |operation, now| age(operation.create_time.as_ref(), now).into()),
            Column::wide("ACTOR", |operation, _| operation.actor.clone().into()),
            Column::wide("REASON", |operation, _| operation.reason.clone().into()),
        ]
    }

    fn details(&self, _: Timestamp) -> Vec<(&'static str, Cell)> {
        let error = self.error.as_ref().map(|error| error.message.clone()).unwrap_or_default();
        vec![
            ("Name", self.name.clone().into()),
            ("Kind", self.kind.clone().into()),
            ("Target", target(self).into()),
            ("State", state(self)),
            ("Progress", self.progress.clone().into()),
            ("Items", self.counts.as_ref().map(counted).unwrap_or_default().into()),
            ("Error", Cell::toned(error, Tone::Bad)),
            ("Asked by", self.actor.clone().into()),
            ("Reason", self.reason.clone().into()),
            ("Begun", local(self.create_time.as_ref()).into()),
            ("Ended", local(self.end_time.as_ref()).into()),
        ]
    }
}

/// What it is done to: of several, how many.
fn target(operation: &Operation) -> String {
    match operation.counts.as_ref().map(|counts| counts.total) {
        None => operation.target.clone(),
        Some(total) => {
            let what = if operation.kind.starts_with("session") { "session" } else { "tenant" };
            let plural = if total == 1 { "" } else { "s" };
            format!("{total} {what}{plural}")
        }
    }
}

/// How many items are in which state.
pub(super) fn counted(counts: &OperationCounts) -> String {
    let parts = [
        (counts.pending, "pending"),
        (counts.changed, "changed"),
        (counts.unchanged, "unchanged"),
        (counts.failed, "failed"),
        (counts.cancelled, "cancelled"),
    ];
    let parts = parts.into_iter().filter(|(count, _)| *count > 0);
    parts.map(|(count, what)| format!("{count} {what}")).collect::<Vec<_>>().join(", ")
}

fn state(operation: &Operation) -> Cell {
    let counts = operation.counts.unwrap_or_default();
    let (done, failed) = (counts.changed + counts.unchanged, counts.failed);
    match (operation.done, &operation.error) {
        (false, _) if operation.cancelled => Cell::toned("stopping", Tone::Doubtful),
        (false, _) => Cell::toned("running", Tone::Doubtful),
        (true, Some(_)) => Cell::toned("failed", Tone::Bad),
        (true, None) if operation.cancelled => Cell::toned("cancelled", Tone::Doubtful),
        (true, None) if failed > 0 && done == 0 => Cell::toned("failed", Tone::Bad),
        (true, None) if failed > 0 => Cell::toned("partly done", Tone::Bad),
        (true, None) => Cell::toned("done", Tone::Good),
    }
}

impl Noun for OperationItem {
    const PLURAL: &'static str = "items";
    const PREFIX: &'static str = "";

    fn resource_name(&self) -> &str {
        &self.target
    }

    fn columns() -> Vec<Column<Self>> {
        vec![
            Column::new("TARGET", |item: &Self, _| item.target.clone().into()),
            Column::new("STATE", |item, _| item_state(item)),
            Column::new("MESSAGE", |item, _| message(item).into()),
            Column::wide("REASON", |item, _| {
                item.error.as_ref().map(|error| error.reason.clone()).unwrap_or_default().into()
            }),
            Column::wide("ENDED", |item, _| local(item.end_time.as_ref()).into()),
        ]
    }

    fn details(&self, now: Timestamp) -> Vec<(&'static str, Cell)> {
        let columns = Self::columns();
        columns.iter().map(|column| (column.title, (column.cell)(self, now))).collect()
    }
}

fn item_state(item: &OperationItem) -> Cell {
    let state = item.state();
    let tone = match state {
        OperationItemState::Changed | OperationItemState::Unchanged => Tone::Good,
        OperationItemState::Failed => Tone::Bad,
        _ => Tone::Doubtful,
    };
    Cell::toned(word("OPERATION_ITEM_STATE_", state.as_str_name()), tone)
}

/// Why an item failed.
pub(crate) fn message(item: &OperationItem) -> String {
    item.error.as_ref().map(|error| error.message.clone()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use streamspace_proto::v1::OperationError;

    use super::*;

    #[test]
    fn the_state_says_whether_all_of_it_was_done() {
        let of = |done, cancelled, failed, changed, error: bool| {
            let operation = Operation {
                done,
                cancelled,
                counts: Some(OperationCounts { total: 9, failed, changed, ..Default::default() }),
                error: error.then(OperationError::default),
                ..Operation::default()
            };
            state(&operation).text
        };
        assert_eq!(of(false, false, 2, 1, false), "running");
        assert_eq!(of(false, true, 0, 1, false), "stopping");
        assert_eq!(of(true, false, 0, 9, false), "done");
        assert_eq!(of(true, false, 1, 8, false), "partly done");
        assert_eq!(of(true, false, 9, 0, false), "failed");
        assert_eq!(of(true, true, 1, 1, false), "cancelled");
        assert_eq!(of(true, false, 0, 0, true), "failed");
        let counts = OperationCounts { total: 9, changed: 7, failed: 2, ..Default::default() };
        assert_eq!(counted(&counts), "7 changed, 2 failed");
    }
}
