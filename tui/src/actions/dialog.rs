//! The way to a change: what it would do, what is asked for, and what came of it.

use uuid::Uuid;

use super::{Field, Given, Subject, Verb, Work};
use crate::state::Region;

/// The longest text of a field.
const LONGEST: usize = 500;

/// What is told to whoever sends before there is an answer.
const NOT_YET: &str = "it is not known yet what it would do: again once it is";

/// A field and what was written into it.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) field: Field,
    pub(crate) text: String,
}

/// What it would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Rehearsal {
    /// There is too little to ask.
    Waiting,
    /// It was asked.
    Asking,
    /// In lines.
    Told(Vec<String>),
    /// Why it would be refused.
    Refused(String),
}

/// How far it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Fields are filled in; this is wrong with them.
    Editing(Option<String>),
    /// The daemon was asked to do it.
    Sent,
    /// It was not done, or it is not known whether it was. Again is safe.
    Failed(String),
}

/// A dialog.
#[derive(Clone, Debug)]
pub(crate) struct Dialog {
    pub(crate) subject: Subject,
    pub(crate) verb: Verb,
    pub(crate) entries: Vec<Entry>,
    /// The field that is being typed.
    pub(crate) at: usize,
    pub(crate) rehearsal: Rehearsal,
    pub(crate) stage: Stage,
    request_id: Uuid,
    /// What the rehearsal was asked with.
    rehearsed: Option<Work>,
}

impl Dialog {
    /// What is `given` stands in its field from the beginning.
    pub(crate) fn new(
        subject: Subject,
        verb: Verb,
        region: &Region,
        request_id: Uuid,
        given: &Given,
    ) -> Self {
        let entries = verb.fields(region);
        let entries =
            entries.into_iter().map(|field| Entry { field, text: given.get(field).to_owned() });
        Self {
            subject,
            verb,
            entries: entries.collect(),
            at: 0,
            rehearsal: Rehearsal::Waiting,
            stage: Stage::Editing(None),
            request_id,
            rehearsed: None,
        }
    }

    /// What was written so far.
    fn given(&self) -> Given {
        self.entries.iter().map(|entry| (entry.field, entry.text.trim().to_owned())).collect()
    }

    /// The command that does the same.
    pub(crate) fn command(&self) -> String {
        self.verb.command(&self.subject, &self.given())
    }

    fn work(&self, rehearse: bool) -> Work {
        let given = self.given();
        let is_own = |field| ![Field::Reason, Field::Confirmation].contains(&field);
        Work {
            subject: self.subject.clone(),
            verb: self.verb,
            rehearse,
            request_id: self.request_id,
            reason: given.get(Field::Reason).to_owned(),
            given: given
                .iter()
                .filter(|(field, _)| is_own(*field))
                .map(|(field, text)| (field, text.to_owned()))
                .collect(),
        }
    }

    /// The rehearsal of what was given. The rule may want a reason also of it; why it is done
    /// changes nothing of what it would do.
    fn rehearsal_work(&self) -> Work {
        Work { reason: "rehearsal".into(), ..self.work(true) }
    }

    /// What is to be rehearsed, where that is not known for what was given.
    pub(crate) fn rehearse(&mut self) -> Option<Work> {
        // Neither why, nor the name once more.
        let after = [Field::Reason, Field::Confirmation];
        let is_whole = self.entries.iter().all(|entry| {
            !self.verb.requires(entry.field)
                || after.contains(&entry.field)
                || !entry.text.trim().is_empty()
        });
        let work = self.rehearsal_work();
        if !is_whole || self.rehearsed.as_ref() == Some(&work) {
            return None;
        }
        self.rehearsal = Rehearsal::Asking;
        self.rehearsed = Some(work.clone());
        Some(work)
    }

    /// Whether something was asked for by this dialog.
    pub(crate) fn is_of(&self, work: &Work) -> bool {
        self.request_id == work.request_id
    }

    /// Takes what a rehearsal told, where it is the last one that was asked for.
    pub(crate) fn told(&mut self, work: &Work, told: Rehearsal) {
        if self.rehearsed.as_ref() == Some(work) {
            self.rehearsal = told;
            if self.stage == Stage::Editing(Some(NOT_YET.into())) {
                self.stage = Stage::Editing(None);
            }
        }
    }

    pub(crate) fn insert(&mut self, c: char) {
        if let Some(entry) = self.open_entry()
            && entry.text.chars().count() < LONGEST
            && !streamspace_client::text::misleads(c)
        {
            entry.text.push(c);
        }
    }

    pub(crate) fn edit(&mut self, change: impl FnOnce(&mut String)) {
        if let Some(entry) = self.open_entry() {
            change(&mut entry.text);
        }
    }

    /// The field that is typed, where something can be typed now.
    fn open_entry(&mut self) -> Option<&mut Entry> {
        if self.stage == Stage::Sent {
            return None;
        }
        self.stage = Stage::Editing(None);
        self.entries.get_mut(self.at)
    }

    /// To another field.
    pub(crate) fn move_by(&mut self, fields: isize) {
        let last = self.entries.len().saturating_sub(1);
        self.at = self.at.saturating_add_signed(fields).min(last);
    }

    /// Goes to the next field; on the last one sends, where nothing is missing and it was
    /// told what just this would do, or it calls nobody. Else that is asked first.
    pub(crate) fn accept(&mut self) -> Option<Work> {
        if self.stage == Stage::Sent {
            return None;
        }
        if self.at + 1 < self.entries.len() {
            self.move_by(1);
            return None;
        }
        if let Some((index, words)) = self.wrong() {
            self.at = index;
            self.stage = Stage::Editing(Some(words));
            return None;
        }
        let is_of_this = self.rehearsed.as_ref() == Some(&self.rehearsal_work());
        match self.rehearsal {
            Rehearsal::Told(_) if is_of_this => Some(self.send()),
            Rehearsal::Refused(_) if is_of_this => self.rehearse_again(),
            // What is written is all that it does.
            _ if self.verb.only_writes() => Some(self.send()),
            Rehearsal::Asking if is_of_this => {
                self.stage = Stage::Editing(Some(NOT_YET.into()));
                None
            }
            _ => self.rehearse_again(),
        }
    }

    fn send(&mut self) -> Work {
        self.stage = Stage::Sent;
        self.work(false)
    }

    fn rehearse_again(&mut self) -> Option<Work> {
        self.rehearsed = None;
        self.rehearse()
    }

    /// The first field with something wrong.
    fn wrong(&self) -> Option<(usize, String)> {
        let name = self.subject.id.rsplit('/').next().unwrap_or_default();
        self.entries.iter().enumerate().find_map(|(index, entry)| {
            let text = entry.text.trim();
            let words = match entry.field {
                Field::Confirmation if text != name => format!("type {name} to confirm"),
                field if text.is_empty() && self.verb.requires(field) => {
                    format!("{} is needed: {}", field.label(), field.hint())
                }
                field => field.wrong(text)?,
            };
            Some((index, words))
        })
    }
}
