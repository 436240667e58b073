//! From the characters of a filter to its tokens.

use super::{FilterError, Operator};
use crate::text;

/// A piece of a filter and where it begins, counted in characters from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) position: usize,
    pub(super) kind: TokenKind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TokenKind {
    Open,
    Close,
    Operator(Operator),
    /// What stood without quotes: a field, a keyword or a value.
    Word(String),
    /// What stood in quotes: each character, and whether a backslash stood before it.
    Quoted(Vec<(char, bool)>),
}

impl Token {
    /// The token as an error shows it.
    pub(super) fn shown(&self) -> String {
        match &self.kind {
            TokenKind::Open => "`(`".to_owned(),
            TokenKind::Close => "`)`".to_owned(),
            TokenKind::Operator(operator) => format!("`{}`", operator.as_str()),
            TokenKind::Word(word) => format!("`{}`", text::excerpt(word)),
            TokenKind::Quoted(pieces) => format!("`\"{}\"`", text::excerpt(&plain(pieces))),
        }
    }

    pub(super) fn is_word(&self, keyword: &str) -> bool {
        matches!(&self.kind, TokenKind::Word(word) if word == keyword)
    }
}

/// The text of a quotation, without what the backslashes meant.
pub(super) fn plain(pieces: &[(char, bool)]) -> String {
    pieces.iter().map(|(character, _)| *character).collect()
}

type Characters<'a> =
    std::iter::Peekable<std::iter::Zip<std::ops::RangeFrom<usize>, std::str::Chars<'a>>>;

/// Splits a filter.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, FilterError> {
    let mut characters = (1..).zip(text.chars()).peekable();
    let mut tokens = Vec::new();
    while let Some((position, character)) = characters.next() {
        let kind = match character {
            _ if character.is_whitespace() => continue,
            '(' => TokenKind::Open,
            ')' => TokenKind::Close,
            '"' | '\'' => quoted(&mut characters, position, character)?,
            '=' | '<' | '>' | '!' | ':' => {
                TokenKind::Operator(operator(&mut characters, position, character)?)
            }
            _ => word(&mut characters, character),
        };
        tokens.push(Token { position, kind });
    }
    Ok(tokens)
}

fn word(characters: &mut Characters<'_>, first: char) -> TokenKind {
    let mut word = String::from(first);
    while let Some((_, character)) = characters.next_if(|(_, c)| is_word_character(*c)) {
        word.push(character);
    }
    TokenKind::Word(word)
}

fn is_word_character(character: char) -> bool {
    !character.is_whitespace()
        && !matches!(character, '(' | ')' | '"' | '\'' | '=' | '<' | '>' | '!' | ':')
}

fn quoted(
    characters: &mut Characters<'_>,
    position: usize,
    quote: char,
) -> Result<TokenKind, FilterError> {
    let mut pieces = Vec::new();
    while let Some((_, character)) = characters.next() {
        if character == quote {
            return Ok(TokenKind::Quoted(pieces));
        }
        if character != '\\' {
            pieces.push((character, false));
        } else if let Some((_, escaped)) = characters.next() {
            pieces.push((escaped, true));
        }
    }
    Err(FilterError::OpenQuote { position })
}

fn operator(
    characters: &mut Characters<'_>,
    position: usize,
    first: char,
) -> Result<Operator, FilterError> {
    let with_equals = characters.next_if(|(_, c)| *c == '=').is_some();
    Ok(match (first, with_equals) {
        ('=', false) => Operator::Equal,
        ('<', false) => Operator::Less,
        ('<', true) => Operator::LessOrEqual,
        ('>', false) => Operator::Greater,
        ('>', true) => Operator::GreaterOrEqual,
        (':', false) => Operator::Has,
        ('!', true) => Operator::NotEqual,
        _ => {
            let (found, expected) = match first {
                '=' => ("`==`", "`=`"),
                ':' => ("`:=`", "`=` or `:`"),
                _ => ("`!`", "`!=` between a field and a value, or `NOT` before a comparison"),
            };
            let (found, expected) = (found.to_owned(), expected.to_owned());
            return Err(FilterError::Unexpected { position, found, expected });
        }
    })
}
