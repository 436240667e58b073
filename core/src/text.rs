//! Texts that people write: how long they may be, and how they are shown.
//!
//! A display name or a reason reaches the terminals of others. Control characters and
//! bidirectional overrides could redraw a screen or reorder what is read there, so new
//! texts with them are refused and foreign ones are shown escaped.

use thiserror::Error;

/// How many characters of a refused value an error shows.
const SHOWN_CHARS: usize = 64;

/// Why a text is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TextError {
    /// It is longer than its field allows. Lengths are in characters.
    #[error("is {length} characters long, and at most {maximum} are allowed: shorten it")]
    TooLong {
        /// How long it is.
        length: usize,
        /// How long it may be.
        maximum: usize,
    },
    /// It holds a character that acts on a terminal instead of being read.
    #[error(
        "has the character `{shown}` at position {position}, which would act on a terminal: remove it"
    )]
    Unsafe {
        /// The character, escaped.
        shown: String,
        /// Where it stands, counted in characters from 1.
        position: usize,
    },
    /// It is made of white space alone.
    #[error("has nothing but white space: write something that can be read, or leave it empty")]
    Blank,
}

/// Checks a text of one line that a person wrote, of at most `maximum` characters.
///
/// An empty text passes: whether a field may be empty is the field's own rule.
pub fn check(value: &str, maximum: usize) -> Result<(), TextError> {
    let length = value.chars().count();
    if length > maximum {
        return Err(TextError::TooLong { length, maximum });
    }
    if let Some((index, character)) =
        value.chars().enumerate().find(|(_, character)| acts_on_terminals(*character))
    {
        let shown = escape(character.encode_utf8(&mut [0; 4]));
        return Err(TextError::Unsafe { shown, position: index + 1 });
    }
    if !value.is_empty() && value.trim().is_empty() {
        return Err(TextError::Blank);
    }
    Ok(())
}

/// Whether a character acts on a terminal or on its neighbours instead of being read:
/// control characters, line and paragraph separators, bidirectional marks, overrides and
/// isolates, and invisible format characters.
///
/// The two joiners U+200C and U+200D pass: scripts and emoji need them.
pub fn acts_on_terminals(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

/// Shows a text of unknown origin on one line: what would act on a terminal becomes an
/// escape such as `\u{1b}` or `\n`; everything else stays as it is.
pub fn escape(value: &str) -> String {
    let mut shown = String::with_capacity(value.len());
    for character in value.chars() {
        if acts_on_terminals(character) {
            // `escape_default` would also change letters beyond ASCII; these are none.
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}

/// Shows the beginning of a value that was refused: escaped, at most 64 characters, with
/// an ellipsis where more follows.
pub fn excerpt(value: &str) -> String {
    let mut shown = String::new();
    let mut length = 0;
    for character in value.chars() {
        let piece = escape(character.encode_utf8(&mut [0; 4]));
        length += piece.chars().count();
        if length > SHOWN_CHARS {
            shown.push('…');
            break;
        }
        shown.push_str(&piece);
    }
    shown
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn escapes_what_acts_and_keeps_what_reads() {
        let cases = [
            ("Acme Corp", "Acme Corp"),
            ("Zoë 東京 👩‍🚀", "Zoë 東京 👩‍🚀"),
            ("back\\slash", "back\\slash"),
            ("\u{1b}[2Jgone", "\\u{1b}[2Jgone"),
            ("a\nb\tc\rd", "a\\nb\\tc\\rd"),
            ("\u{202e}gnp.exe", "\\u{202e}gnp.exe"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("\u{7f}", "\\u{7f}"),
        ];
        for (value, shown) in cases {
            assert_eq!(escape(value), shown);
        }
    }

    #[test]
    fn checks_length_in_characters() {
        assert_eq!(check(&"é".repeat(63), 63), Ok(()));
        assert_eq!(check(&"é".repeat(64), 63), Err(TextError::TooLong { length: 64, maximum: 63 }));
        assert_eq!(check("", 63), Ok(()));
    }

    #[test]
    fn refuses_what_acts_and_says_where() {
        let error = check("ab\u{1b}[2J", 63).unwrap_err();
        assert_eq!(
            error.to_string(),
            "has the character `\\u{1b}` at position 3, which would act on a terminal: remove it"
        );
        assert_eq!(check(" \u{3000}", 63), Err(TextError::Blank));
    }

    #[test]
    fn an_excerpt_is_short() {
        assert_eq!(excerpt(&"x".repeat(64)), "x".repeat(64));
        assert_eq!(excerpt(&"x".repeat(65)), format!("{}…", "x".repeat(64)));
        assert!(excerpt(&"\u{1b}".repeat(65536)).chars().count() <= 65);
    }

    proptest! {
        #[test]
        fn nothing_acts_after_an_escape(value in any::<String>()) {
            let shown = escape(&value);
            prop_assert!(!shown.chars().any(acts_on_terminals));
            prop_assert_eq!(escape(&shown), shown);
        }

        #[test]
        fn what_passes_the_check_is_shown_as_it_is(value in any::<String>()) {
            if check(&value, 1000).is_ok() {
                prop_assert_eq!(escape(&value), value);
            }
        }
    }
}
