//! The macros of man(7), written so that both groff and mandoc read them well.

/// Lines are broken here, so that a difference of a page can be read.
const WIDTH: usize = 78;

/// A page in the making.
#[derive(Debug)]
pub(crate) struct Roff {
    text: String,
}

impl Roff {
    /// Begins a page. It has no date, so that it is the same on every day that it is made.
    pub(crate) fn new(name: &str, section: u8, source: &str) -> Self {
        let mut roff = Self { text: String::new() };
        // Tables and flags are worse for being justified or hyphenated.
        let title = argument(&name.to_uppercase());
        roff.line(&format!(".TH {title} {section} \"\" {} \"StreamSpace\"", argument(source)));
        roff.line(".nh");
        roff.line(".ad l");
        roff
    }

    pub(crate) fn finish(self) -> String {
        self.text
    }

    pub(crate) fn section(&mut self, title: &str) {
        self.line(&format!(".SH {}", argument(title)));
    }

    pub(crate) fn subsection(&mut self, title: &str) {
        self.line(&format!(".SS {}", argument(title)));
    }

    /// A further paragraph; the first behind a heading is begun by the heading.
    pub(crate) fn next_paragraph(&mut self) {
        self.line(".PP");
    }

    /// A further paragraph of what a term stands for.
    pub(crate) fn next_in_term(&mut self) {
        self.line(".IP");
    }

    /// A term, and what it stands for comes next.
    pub(crate) fn term(&mut self, term: &str) {
        self.line(".TP");
        self.line(&guarded(term));
    }

    /// Takes the space away that stands before a term, or gives it back.
    pub(crate) fn close(&mut self, is_close: bool) {
        self.line(if is_close { ".PD 0" } else { ".PD" });
    }

    /// A bullet of a list.
    pub(crate) fn bullet(&mut self, words: &str) {
        self.line(".IP \\(bu 2");
        self.words(words);
    }

    pub(crate) fn indent(&mut self) {
        self.line(".RS");
    }

    pub(crate) fn outdent(&mut self) {
        self.line(".RE");
    }

    /// Lines as they are.
    pub(crate) fn example<'a>(&mut self, lines: impl IntoIterator<Item = &'a str>) {
        self.line(".RS 4");
        self.line(".EX");
        for line in lines {
            self.line(&guarded(&escape(line.trim_end())));
        }
        self.line(".EE");
        self.line(".RE");
    }

    /// Words that have their fonts already, broken into lines: one for each sentence, as
    /// roff sets the space behind a sentence itself, and none that is too long.
    pub(crate) fn words(&mut self, words: &str) {
        let mut line = String::new();
        for word in words.split_ascii_whitespace() {
            // What is typed is not broken at a hyphen.
            let word = &if word.contains("\\fB") { format!("\\%{word}") } else { word.to_owned() };
            if !line.is_empty() && (line.len() + 1 + word.len() > WIDTH || ends_sentence(&line)) {
                self.line(&guarded(&line));
                line.clear();
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        if !line.is_empty() {
            self.line(&guarded(&line));
        }
    }

    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }
}

fn ends_sentence(line: &str) -> bool {
    line.ends_with(['.', '?', '!'])
}

/// What would be read as a macro is not.
fn guarded(line: &str) -> String {
    if line.starts_with(['.', '\'']) || line.starts_with("\\(aq") {
        format!("\\&{line}")
    } else {
        line.to_owned()
    }
}

fn argument(text: &str) -> String {
    format!("\"{}\"", escape(text).replace('"', "\\(dq"))
}

/// Characters as they are, on every device: a hyphen of a flag must be one that can be
/// copied, and found.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => escaped.push_str("\\e"),
            '-' => escaped.push_str("\\-"),
            '\'' => escaped.push_str("\\(aq"),
            '`' => escaped.push_str("\\(ga"),
            '^' => escaped.push_str("\\(ha"),
            '~' => escaped.push_str("\\(ti"),
            '…' => escaped.push_str("..."),
            c => escaped.push(c),
        }
    }
    escaped
}

pub(crate) fn bold(text: &str) -> String {
    format!("\\fB{}\\fR", escape(text))
}

pub(crate) fn italic(text: &str) -> String {
    format!("\\fI{}\\fR", escape(text))
}

/// What stands between backticks is bold; the rest is as it is.
pub(crate) fn inline(text: &str) -> String {
    // A backtick without a second one is a backtick.
    if !text.matches('`').count().is_multiple_of(2) {
        return escape(text);
    }
    let parts = text.split('`').enumerate();
    parts.map(|(index, part)| if index % 2 == 0 { escape(part) } else { bold(part) }).collect()
}

/// A usage: words that are typed are bold, those that stand for others are italic.
pub(crate) fn usage(text: &str) -> String {
    let mut typeset = String::new();
    let mut word = String::new();
    let flush = |word: &mut String, typeset: &mut String| {
        if !word.is_empty() {
            let is_name =
                word.chars().all(|c| c.is_ascii_uppercase() || matches!(c, '-' | '_' | '0'..='9'))
                    && word.chars().any(|c| c.is_ascii_uppercase());
            typeset.push_str(&if is_name { italic(word) } else { bold(word) });
            word.clear();
        }
    };
    for c in text.chars() {
        if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ':') {
            word.push(c);
        } else {
            flush(&mut word, &mut typeset);
            typeset.push_str(&escape(&c.to_string()));
        }
    }
    flush(&mut word, &mut typeset);
    typeset
}
