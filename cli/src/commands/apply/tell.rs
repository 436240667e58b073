//! What became of the documents, told in their order, and how the command ends.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};
use streamspace_client::text::escape;
use tokio::time::Instant;

use super::{
    document::Document,
    engine::{Effect, Known, What},
};
use crate::{
    errors::{Failure, Outcome},
    exit::Exit,
    output::{Column, Format, Layout, plain_table, print_values},
    shell::Shell,
};

/// How often it is told how far a long run is.
const EVERY: Duration = Duration::from_secs(2);

/// What became of the documents so far.
pub(super) struct Report<'a> {
    shell: &'a Shell,
    is_preview: bool,
    /// How many documents there are.
    total: usize,
    counts: BTreeMap<What, usize>,
    failures: Vec<Exit>,
    would_change: bool,
    rows: Vec<Row>,
    told: Instant,
    pub(super) known: Known,
    /// Tenants that the cluster follows.
    pub(super) settling: Vec<String>,
}

/// One line of the result.
struct Row {
    name: String,
    kind: &'static str,
    result: &'static str,
    message: Option<String>,
}

impl<'a> Report<'a> {
    pub(super) fn new(shell: &'a Shell, total: usize, is_preview: bool) -> Self {
        Self {
            shell,
            is_preview,
            total,
            counts: BTreeMap::new(),
            failures: Vec::new(),
            would_change: false,
            rows: Vec::new(),
            told: Instant::now(),
            known: Known::default(),
            settling: Vec::new(),
        }
    }

    /// Tells what became of a document.
    pub(super) fn document(&mut self, document: &Document, result: Outcome<Effect>) -> Outcome {
        let (title, kind) = (document.title(), document.kind);
        match result {
            Ok(effect) => {
                if self.is_preview && effect.what == What::Created {
                    self.known.coming.insert(document.name.clone());
                }
                if let Some(tenant) = kind.settles_in(&document.name)
                    && !self.settling.contains(&tenant)
                {
                    self.settling.push(tenant);
                }
                self.done(title, kind.word(), effect)?;
            }
            Err(failure) => {
                self.known.failed.insert(document.name.clone());
                self.failed(title, kind.word(), &failure);
            }
        }
        self.progress();
        Ok(())
    }

    /// Tells what was done.
    pub(super) fn done(&mut self, name: String, kind: &'static str, effect: Effect) -> Outcome {
        *self.counts.entry(effect.what).or_default() += 1;
        let title = name.clone();
        if self.is_preview {
            self.would_change |= !effect.preview.is_empty();
            self.shell.print(&effect.preview)?;
        } else {
            match self.shell.format() {
                Format::Table | Format::Wide => {
                    self.shell.print(&format!("{} {}\n", escape(&name), effect.what.word()))?;
                }
                Format::Name => self.shell.print(&format!("{}\n", escape(&name)))?,
                _ => {}
            }
            self.rows.push(Row { name, kind, result: effect.what.word(), message: None });
        }
        for note in effect.notes {
            // Among several it must be plain whose it is.
            let is_plain = self.total == 1 || note.contains(&title);
            let whose = if is_plain { String::new() } else { format!("{title}: ") };
            self.shell.talk(&format!("note: {whose}{note}"));
        }
        Ok(())
    }

    /// Tells what went wrong.
    pub(super) fn failed(&mut self, name: String, kind: &'static str, failure: &Failure) {
        self.shell.report(failure);
        self.failures.push(failure.exit());
        let told = failure.report(false);
        let message = told.lines().next().unwrap_or_default();
        let message = message.trim_start_matches("error: ").to_owned();
        self.rows.push(Row { name, kind, result: "failed", message: Some(message) });
    }

    /// Whether anything failed.
    pub(super) fn has_failures(&self) -> bool {
        !self.failures.is_empty()
    }

    /// The tenants of prunes are documents of this run too.
    pub(super) fn expect(&mut self, more: usize) {
        self.total += more;
    }

    fn finished(&self) -> usize {
        self.counts.values().sum::<usize>() + self.failures.len()
    }

    fn progress(&mut self) {
        if self.told.elapsed() >= EVERY {
            self.told = Instant::now();
            self.shell.talk(&format!("{} of {} so far", self.finished(), self.total));
        }
    }

    /// Prints what is printed at the end.
    pub(super) fn print(&self) -> Outcome {
        if self.is_preview {
            if !self.would_change && self.failures.is_empty() {
                self.shell.talk("all of it is so already; nothing would change");
            }
            return Ok(());
        }
        match self.shell.format() {
            Format::Table | Format::Wide | Format::Name => {}
            Format::Csv => {
                let columns = [
                    Column::new("NAME", |row: &Row, _| row.name.clone().into()),
                    Column::new("KIND", |row, _| row.kind.into()),
                    Column::new("RESULT", |row, _| row.result.into()),
                    Column::new("MESSAGE", |row, _| row.message.clone().unwrap_or_default().into()),
                ];
                let layout = Layout::new(self.shell.terminal, true);
                let table = plain_table(Format::Csv, &columns, &self.rows, layout, self.shell.now);
                self.shell.print(&table)?;
            }
            _ => print_values(self.shell, &self.rows.iter().map(value).collect::<Vec<_>>())?,
        }
        if self.total > 1 {
            let counts = self.counts.iter().map(|(what, n)| format!("{n} {}", what.word()));
            let failed = match self.failures.len() {
                0 => None,
                failed => Some(format!("{failed} failed")),
            };
            self.shell.talk(&counts.chain(failed).collect::<Vec<_>>().join(", "));
        }
        Ok(())
    }

    /// How the command ends.
    pub(super) fn outcome(&self) -> Outcome {
        let done = self.counts.values().sum();
        match self.failures.first() {
            // Nothing is done by a preview, and so nothing partly.
            Some(first) if self.is_preview || done == 0 => Err(Failure::AllFailed(*first)),
            Some(_) => Err(Failure::PartlyDone { done, failed: self.failures.len() }),
            None if self.would_change => Err(Failure::Changes),
            None => Ok(()),
        }
    }
}

fn value(row: &Row) -> Value {
    let mut value = json!({ "name": row.name, "kind": row.kind, "result": row.result });
    if let (Some(message), Some(fields)) = (&row.message, value.as_object_mut()) {
        fields.insert("message".into(), message.clone().into());
    }
    value
}
