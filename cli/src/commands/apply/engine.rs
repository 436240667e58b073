//! From documents to the daemon: kind by kind, a few at a time, each told in its
//! place. What fails does not stop the others.

use std::collections::BTreeSet;

use futures::{StreamExt as _, stream};
use serde_json::Value;
use streamspace_client::{ClientError, Connection, Refusal, text::escape};
use tonic::Code;

use super::{
    Files,
    document::Document,
    kind::{Ask, Fields, Wish, consequences},
    tell::Report,
};
use crate::{
    change::request_id,
    errors::{Doing as _, Failure, Outcome},
    output::preview,
    shell::Shell,
};

/// How many documents are on their way at once.
const AT_ONCE: usize = 8;
/// How often a change is read and asked for again where somebody else came between.
const ATTEMPTS: usize = 3;

/// What is done with each document.
pub(super) struct Engine<'a> {
    pub(super) shell: &'a Shell,
    pub(super) connection: &'a Connection,
    pub(super) files: &'a Files,
    pub(super) reason: String,
    /// Show what would change, and change nothing.
    pub(super) is_preview: bool,
}

/// What was done with a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum What {
    Created,
    Changed,
    Unchanged,
    Archived,
}

impl What {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Changed => "changed",
            Self::Unchanged => "unchanged",
            Self::Archived => "archived",
        }
    }
}

/// What became of one document.
pub(super) struct Effect {
    pub(super) what: What,
    /// The resource as it is now, or in a preview as it would be.
    pub(super) resource: Fields,
    /// A preview; empty where nothing would change.
    pub(super) preview: String,
    /// What people should know.
    pub(super) notes: Vec<String>,
}

impl Effect {
    fn unchanged(resource: Fields) -> Self {
        Self { what: What::Unchanged, resource, preview: String::new(), notes: Vec::new() }
    }
}

/// What became of the documents before, by the resources' full names.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    /// They failed.
    pub(super) failed: BTreeSet<String>,
    /// They are not there yet: a preview made nothing.
    pub(super) coming: BTreeSet<String>,
}

impl Engine<'_> {
    /// Takes all documents, in their order.
    pub(super) async fn run(&self, documents: &[Document], report: &mut Report<'_>) -> Outcome {
        for phase in documents.chunk_by(|one, next| one.kind.word() == next.kind.word()) {
            // What is needed stands in an earlier phase.
            let known = report.known.clone();
            let known = &known;
            let all = stream::iter(phase);
            let all =
                all.map(|document| async move { (document, self.one(document, known).await) });
            let mut results = std::pin::pin!(all.buffered(AT_ONCE));
            while let Some((document, result)) = results.next().await {
                report.document(document, result)?;
            }
        }
        Ok(())
    }

    async fn one(&self, document: &Document, known: &Known) -> Outcome<Effect> {
        let title = document.title();
        let needs = document.kind.needs(&document.name, &document.wish.fields);
        if let Some(failed) = needs.iter().find(|name| known.failed.contains(*name)) {
            return Err(Failure::Local {
                message: format!("{title} was not tried: {failed}, which it stands on, failed"),
                next: "mend that first, and apply the files again".into(),
            });
        }
        let is_early = needs.iter().any(|name| known.coming.contains(name));
        let mut attempt = 1;
        loop {
            match self.attempt(document, is_early).await {
                Err(Failure::Client { error, .. })
                    if attempt < ATTEMPTS && is_race(&error, document) =>
                {
                    attempt += 1;
                }
                result => return result,
            }
        }
    }

    /// `is_early` says that what the document stands on is not there yet, so that the
    /// daemon cannot preview it.
    async fn attempt(&self, document: &Document, is_early: bool) -> Outcome<Effect> {
        let Document { kind, name, .. } = document;
        let title = document.title();
        let doing = || format!("apply {title} from {}", document.origin);
        let before = kind.read(self.connection, name).await.doing(doing)?;
        if before.is_none() && !document.wish.guard.is_empty() {
            return Err(gone(document)).doing(doing);
        }
        let mut wish = document.wish.clone();
        kind.join(&title, self.files.set.as_deref(), &mut wish, before.as_ref())?;
        let Some(before) = before else {
            let resource = if self.is_preview && is_early {
                wish.fields.clone()
            } else {
                let ask = self.ask(name, &wish, Vec::new());
                kind.create(self.connection, ask).await.doing(doing)?
            };
            return Ok(self.effect(document, What::Created, None, resource, is_early));
        };
        let mask = kind.differing(&wish, &before);
        if mask.is_empty() {
            let mut effect = Effect::unchanged(before);
            effect.notes = notes(document, &effect.resource, None);
            return Ok(effect);
        }
        let resource = if self.is_preview && is_early {
            let mut after = before.clone();
            after.extend(wish.fields.clone());
            after
        } else {
            let ask = self.ask(name, &wish, mask);
            kind.update(self.connection, ask, before.clone()).await.doing(doing)?
        };
        Ok(self.effect(document, What::Changed, Some(&before), resource, is_early))
    }

    fn ask(&self, name: &str, wish: &Wish, mask: Vec<String>) -> Ask {
        Ask {
            name: name.to_owned(),
            wish: wish.fields.clone(),
            mask,
            guard: wish.guard.clone(),
            validate_only: self.is_preview,
            request_id: request_id(),
            reason: self.reason.clone(),
            accept_overcommit: self.files.accept_overcommit,
            adopt: self.files.adopt,
        }
    }

    fn effect(
        &self,
        document: &Document,
        what: What,
        before: Option<&Fields>,
        resource: Fields,
        is_early: bool,
    ) -> Effect {
        let mut notes = notes(document, before.unwrap_or(&resource), Some(&resource));
        if !self.is_preview {
            notes.extend(consequences(&resource));
            return Effect { what, resource, preview: String::new(), notes };
        }
        let (kind, title) = (document.kind, document.title());
        let is = before.map_or(Value::Null, |before| kind.compared(before));
        let mut text =
            preview(&title, &is, &kind.compared(&resource), self.shell.terminal.output.colour);
        if text.is_empty() {
            // The daemon takes it for what it is already.
            return Effect { notes, ..Effect::unchanged(resource) };
        }
        if is_early {
            notes.push(format!(
                "{title} is shown from the files: the daemon can judge it once what it stands on is \
                 there"
            ));
        }
        for consequence in consequences(&resource) {
            text = text + "! " + &escape(&consequence) + "\n";
        }
        Effect { what, resource, preview: text, notes }
    }
}

/// What people should know beside what was done.
fn notes(document: &Document, before: &Fields, after: Option<&Fields>) -> Vec<String> {
    let mut notes = Vec::new();
    let passed = document.passed_over(before);
    if !passed.is_empty() {
        notes.push(format!(
            "{} from {}: only the daemon writes {}; passed over",
            document.title(),
            document.origin,
            passed.join(", ")
        ));
    }
    notes.extend(document.kind.note(&document.name, after.unwrap_or(before), after.is_some()));
    notes
}

/// Whether somebody else came between reading and writing, and reading again helps.
fn is_race(error: &ClientError, document: &Document) -> bool {
    match error.code() {
        Some(Code::AlreadyExists) => true,
        // With a guard of its own the document wants to be told.
        Some(Code::Aborted) => document.wish.guard.is_empty(),
        _ => false,
    }
}

/// A guard names a resource that is not there.
fn gone(document: &Document) -> ClientError {
    let guard = document.kind.style().guard;
    ClientError::Refused(Box::new(Refusal {
        code: Code::Aborted,
        message: format!(
            "the document has the {guard} {}, and there is no {} any more",
            document.wish.guard, document.name
        ),
        reason: None,
        metadata: std::collections::BTreeMap::new(),
        violations: Vec::new(),
        request_id: None,
    }))
}
