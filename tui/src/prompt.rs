//! The line that is being typed: a filter, or a command.

use streamspace_client::text::escape;

use crate::pen::text_width;

/// The longest line that can be typed.
const LONGEST: usize = 400;

/// What a line is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PromptKind {
    /// It narrows the table while it is typed.
    Filter,
    /// It goes somewhere, or does something.
    Command,
}

/// A line that is being typed.
#[derive(Clone, Debug)]
pub(crate) struct Prompt {
    pub(crate) kind: PromptKind,
    text: String,
    /// What is wrong with it.
    pub(crate) error: Option<String>,
    /// How it could go on.
    pub(crate) choices: Vec<String>,
    /// Which of them is picked, and what was typed before.
    picked: Option<(usize, String)>,
}

impl Prompt {
    pub(crate) fn new(kind: PromptKind, text: String) -> Self {
        Self { kind, text, error: None, choices: Vec::new(), picked: None }
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Which of the choices is picked.
    pub(crate) fn picked(&self) -> Option<usize> {
        self.picked.as_ref().map(|(index, _)| *index)
    }

    /// Adds a character that stands for itself.
    pub(crate) fn insert(&mut self, c: char) {
        let is_plain = escape(c.encode_utf8(&mut [0; 4])).chars().count() == 1;
        if is_plain && self.text.chars().count() < LONGEST {
            self.text.push(c);
            self.picked = None;
        }
    }

    pub(crate) fn erase(&mut self) {
        self.text.pop();
        self.picked = None;
    }

    pub(crate) fn erase_word(&mut self) {
        erase_word(&mut self.text);
        self.picked = None;
    }

    pub(crate) fn erase_all(&mut self) {
        self.text.clear();
        self.picked = None;
    }

    /// Puts in the next way to go on, or the one before.
    pub(crate) fn pick(&mut self, forward: bool) {
        let count = self.choices.len();
        let Some(last) = count.checked_sub(1) else { return };
        let (index, typed) = match self.picked.take() {
            None if forward => (0, self.text.clone()),
            None => (last, self.text.clone()),
            Some((index, typed)) if forward => ((index + 1) % count, typed),
            Some((index, typed)) => (index.checked_sub(1).unwrap_or(last), typed),
        };
        if let Some(choice) = self.choices.get(index) {
            let word = typed.rfind(' ').map_or(0, |space| space + 1);
            self.text = format!("{}{choice}", typed.get(..word).unwrap_or_default());
        }
        self.picked = Some((index, typed));
    }

    /// The end of the text, which is what matters while it is typed.
    pub(crate) fn tail(&self, room: usize) -> &str {
        tail(&self.text, room)
    }
}

/// Takes the last word off a text.
pub(crate) fn erase_word(text: &mut String) {
    let kept = text.trim_end().rfind(' ').map_or(0, |space| space + 1);
    text.truncate(kept);
}

/// The end of a text, as much as has room.
pub(crate) fn tail(text: &str, room: usize) -> &str {
    let mut tail = text;
    while text_width(tail) > room {
        let mut rest = tail.chars();
        rest.next();
        tail = rest.as_str();
    }
    tail
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_go_round_and_replace_the_last_word() {
        let mut prompt = Prompt::new(PromptKind::Command, "tenant ac".into());
        prompt.choices = vec!["acme-corp".into(), "acorn".into()];
        let mut texts = Vec::new();
        for forward in [true, true, true, false] {
            prompt.pick(forward);
            texts.push(prompt.text().to_owned());
        }
        assert_eq!(texts, ["tenant acme-corp", "tenant acorn", "tenant acme-corp", "tenant acorn"]);
    }

    #[test]
    fn what_acts_on_terminals_is_no_text() {
        let mut prompt = Prompt::new(PromptKind::Filter, String::new());
        "a\u{1b}\n\u{202e}b".chars().for_each(|c| prompt.insert(c));
        assert_eq!(prompt.text(), "ab");
        prompt.erase_word();
        assert_eq!(prompt.text(), "");
    }
}
