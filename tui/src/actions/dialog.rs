//! The way to a change: what it would do, what is asked for, and what came of it.

use uuid::Uuid;

use super::{Field, Subject, Verb};
use crate::state::Region;

/// The longest text of a field.
const LONGEST: usize = 500;

/// How grave an incident can be, the gravest first.
pub(crate) const SEVERITIES: [&str; 5] = ["P0", "P1", "P2", "P3", "P4"];

/// Which of [`SEVERITIES`] a word is, in any case.
pub(crate) fn severity(word: &str) -> Option<usize> {
    SEVERITIES.iter().position(|known| known.eq_ignore_ascii_case(word))
}

/// What is told to whoever sends before there is an answer.
const NOT_YET: &str = "it is not known yet what it would do: again once it is";

/// What a daemon is asked to do, or to rehearse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Work {
    pub(crate) subject: Subject,
    pub(crate) verb: Verb,
    pub(crate) rehearse: bool,
    /// The same for each try, so that a retry is not a second change.
    pub(crate) request_id: Uuid,
    pub(crate) plan: String,
    pub(crate) amount: String,
    pub(crate) lifetime: String,
    pub(crate) reason: String,
    pub(crate) title: String,
    pub(crate) severity: String,
    pub(crate) note: String,
}

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
        given: &[(Field, String)],
    ) -> Self {
        let entries = verb.fields(region);
        let text = |field| given.iter().find(|(of, _)| *of == field).map(|(_, text)| text.clone());
        let entries =
            entries.into_iter().map(|field| Entry { field, text: text(field).unwrap_or_default() });
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

    /// What was written into a field; empty where it is not asked for.
    pub(crate) fn given(&self, field: Field) -> String {
        let entry = self.entries.iter().find(|entry| entry.field == field);
        entry.map_or_else(String::new, |entry| entry.text.trim().to_owned())
    }

    /// The command that does the same.
    pub(crate) fn command(&self) -> String {
        self.verb.command(&self.subject, |field| self.given(field))
    }

    fn work(&self, rehearse: bool) -> Work {
        Work {
            subject: self.subject.clone(),
            verb: self.verb,
            rehearse,
            request_id: self.request_id,
            plan: self.given(Field::Plan),
            amount: self.given(Field::Amount),
            lifetime: self.given(Field::Lifetime),
            // The rule may want one also of a rehearsal.
            reason: self.given(Field::Reason),
            title: self.given(Field::Title),
            severity: self.given(Field::Severity).to_uppercase(),
            note: self.given(Field::Note),
        }
    }

    /// The rehearsal of what was given. Why it is done changes nothing of what it would do.
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
    /// told what just this would do. Else that is asked first.
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
            Rehearsal::Told(_) if is_of_this => {
                self.stage = Stage::Sent;
                Some(self.work(false))
            }
            Rehearsal::Asking if is_of_this => {
                self.stage = Stage::Editing(Some(NOT_YET.into()));
                None
            }
            _ => {
                self.rehearsed = None;
                self.rehearse()
            }
        }
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
                Field::Lifetime if !text.is_empty() => {
                    streamspace_client::parse_duration(text).err()?
                }
                Field::Severity if severity(text).is_none() => {
                    format!("severity is one of {}", SEVERITIES.join(", "))
                }
                Field::Amount if !text.contains('=') => {
                    format!("write {}", Field::Amount.hint())
                }
                _ => return None,
            };
            Some((index, words))
        })
    }
}
