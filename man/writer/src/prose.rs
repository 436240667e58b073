//! Words that are written by hand, with a few signs:
//!
//! ```text
//! # SECTION
//! ## Subsection
//! Words, with `what is typed` between backticks.
//!
//! `TERM`
//! : What it stands for; the next line can be the next term.
//!
//! - A bullet.
//!
//!     lines that stay as they are, behind four spaces
//! ```

use crate::roff::{Roff, inline};

/// A piece of prose.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Section(String),
    Subsection(String),
    Paragraph(String),
    /// Directly below another one where it is close.
    Term {
        term: String,
        words: String,
        is_close: bool,
    },
    Bullet(String),
    Example(Vec<String>),
}

/// The sections of a text by their titles, in order. What stands before the first has none.
pub(crate) fn sections(text: &str) -> Vec<(String, String)> {
    let mut sections = vec![(String::new(), String::new())];
    for line in text.lines() {
        if let Some(title) = line.strip_prefix("# ") {
            sections.push((title.trim().to_owned(), String::new()));
        } else if let Some((_, body)) = sections.last_mut() {
            body.push_str(line);
            body.push('\n');
        }
    }
    sections.retain(|(_, body)| !body.trim().is_empty());
    sections
}

/// Writes a text to a page.
pub(crate) fn write(roff: &mut Roff, text: &str) {
    // A paragraph directly behind a heading has no space before it.
    let mut is_first = true;
    for piece in pieces(text) {
        let is_heading = matches!(piece, Piece::Section(_) | Piece::Subsection(_));
        match piece {
            Piece::Section(title) => roff.section(&title),
            Piece::Subsection(title) => roff.subsection(&title),
            Piece::Paragraph(words) => {
                if !is_first {
                    roff.next_paragraph();
                }
                roff.words(&inline(&words));
            }
            Piece::Term { term, words, is_close } => {
                if is_close {
                    roff.close(true);
                }
                roff.term(&inline(&term));
                roff.words(&inline(&words));
                if is_close {
                    roff.close(false);
                }
            }
            Piece::Bullet(words) => roff.bullet(&inline(&words)),
            Piece::Example(lines) => {
                if !is_first {
                    roff.next_paragraph();
                }
                roff.example(lines.iter().map(String::as_str));
            }
        }
        is_first = is_heading;
    }
}

fn pieces(text: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    // Whether the line before belongs to the same piece.
    let mut is_open = false;
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let was_open = std::mem::replace(&mut is_open, !line.trim().is_empty());
        if let Some(rest) = line.strip_prefix("    ") {
            match pieces.last_mut() {
                Some(Piece::Example(lines)) => lines.push(rest.to_owned()),
                _ => pieces.push(Piece::Example(vec![rest.to_owned()])),
            }
        } else if line.trim().is_empty() {
            // Kept where more of the example comes, and taken off below where none does.
            if let Some(Piece::Example(lines)) = pieces.last_mut() {
                lines.push(String::new());
            }
        } else if let Some(title) = line.strip_prefix("## ") {
            pieces.push(Piece::Subsection(title.trim().to_owned()));
            is_open = false;
        } else if let Some(title) = line.strip_prefix("# ") {
            pieces.push(Piece::Section(title.trim().to_owned()));
            is_open = false;
        } else if let Some(words) = line.strip_prefix("- ") {
            pieces.push(Piece::Bullet(words.trim().to_owned()));
        } else if let Some(words) = lines.next_if(|next| next.starts_with(": ")) {
            let is_close = was_open && matches!(pieces.last(), Some(Piece::Term { .. }));
            let words = words.trim_start_matches(": ").trim().to_owned();
            pieces.push(Piece::Term { term: line.trim().to_owned(), words, is_close });
        } else {
            match pieces.last_mut() {
                Some(
                    Piece::Paragraph(words) | Piece::Term { words, .. } | Piece::Bullet(words),
                ) if was_open => {
                    words.push(' ');
                    words.push_str(line.trim());
                }
                _ => pieces.push(Piece::Paragraph(line.trim().to_owned())),
            }
        }
    }
    for piece in &mut pieces {
        if let Piece::Example(lines) = piece {
            while lines.last().is_some_and(String::is_empty) {
                lines.pop();
            }
        }
    }
    pieces
}
