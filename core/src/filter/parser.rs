//! From the tokens of a filter to its expression, by recursive descent.

use super::{
    DEPTH_MAXIMUM, Expression, Fields, FilterError, Literal, Operator,
    fields::FieldType,
    lexer::{Token, TokenKind, plain},
};
use crate::text;

/// A star without a backslash before it.
const WILDCARD: (char, bool) = ('*', false);
/// The words that join comparisons.
const KEYWORDS: [&str; 3] = ["AND", "OR", "NOT"];

/// Reads the whole expression; `None` where there are no tokens. `end` is the position
/// after the last character.
pub(super) fn parse(
    tokens: &[Token],
    fields: &Fields<'_>,
    end: usize,
) -> Result<Option<Expression>, FilterError> {
    if tokens.is_empty() {
        return Ok(None);
    }
    let mut parser = Parser { rest: tokens.iter().peekable(), fields, end };
    let expression = parser.expression(0)?;
    match parser.rest.peek() {
        None => Ok(Some(expression)),
        Some(token) => Err(after_comparison(token)),
    }
}

struct Parser<'a> {
    rest: std::iter::Peekable<std::slice::Iter<'a, Token>>,
    fields: &'a Fields<'a>,
    end: usize,
}

impl<'a> Parser<'a> {
    /// Terms joined by `OR`, those joined by `AND`.
    fn expression(&mut self, depth: usize) -> Result<Expression, FilterError> {
        let mut all = vec![self.alternatives(depth)?];
        while self.rest.next_if(|token| token.is_word("AND")).is_some() {
            all.push(self.alternatives(depth)?);
        }
        Ok(joined(all, Expression::All))
    }

    fn alternatives(&mut self, depth: usize) -> Result<Expression, FilterError> {
        let mut any = vec![self.term(depth)?];
        while self.rest.next_if(|token| token.is_word("OR")).is_some() {
            any.push(self.term(depth)?);
        }
        Ok(joined(any, Expression::Any))
    }

    fn term(&mut self, depth: usize) -> Result<Expression, FilterError> {
        const EXPECTED: &str = "a comparison, as in `field = \"value\"`";
        let token = self.next(EXPECTED)?;
        let position = token.position;
        if depth > DEPTH_MAXIMUM {
            return Err(FilterError::TooDeep { position, maximum: DEPTH_MAXIMUM });
        }
        match &token.kind {
            TokenKind::Open => self.group(position, depth),
            TokenKind::Word(word) if word == "NOT" || word == "-" => {
                Ok(Expression::Not(Box::new(self.term(depth + 1)?)))
            }
            TokenKind::Word(word) if !KEYWORDS.contains(&word.as_str()) => {
                match word.strip_prefix('-') {
                    Some(field) => {
                        let part = self.comparison(field, position + 1)?;
                        Ok(Expression::Not(Box::new(part)))
                    }
                    None => self.comparison(word, position),
                }
            }
            TokenKind::Quoted(pieces) => Err(self.bare_word(&plain(pieces), position)),
            TokenKind::Word(_) | TokenKind::Close | TokenKind::Operator(_) => {
                Err(unexpected(token, EXPECTED))
            }
        }
    }

    fn group(&mut self, opened: usize, depth: usize) -> Result<Expression, FilterError> {
        let inner = self.expression(depth + 1)?;
        match self.rest.next() {
            Some(Token { kind: TokenKind::Close, .. }) => Ok(inner),
            Some(token) => Err(after_comparison(token)),
            None => Err(FilterError::Unexpected {
                position: self.end,
                found: "the end".to_owned(),
                expected: format!("`)` for the `(` at {opened}"),
            }),
        }
    }

    fn comparison(&mut self, field: &str, position: usize) -> Result<Expression, FilterError> {
        let is_operator = |token: &&Token| matches!(token.kind, TokenKind::Operator(_));
        let Some(Token { position: operator_at, kind: TokenKind::Operator(operator) }) =
            self.rest.next_if(is_operator)
        else {
            return Err(self.bare_word(field, position));
        };
        let operator = *operator;
        let is_map = operator == Operator::Has && self.fields.is_map(field);
        let field_type =
            if is_map { FieldType::Unknown } else { self.fields.resolve(field, position)? };
        let value = self.next("a value")?;
        let literal = literal(value)?;
        if is_map {
            return if literal.is_pattern() {
                Err(FilterError::Wildcard { position: value.position })
            } else {
                Ok(Expression::Present { field: format!("{field}.{}", literal.text) })
            };
        }
        let field = field.to_owned();
        if operator == Operator::Has && literal.is_pattern() && literal.text.is_empty() {
            return Ok(Expression::Present { field });
        }
        if literal.is_pattern() && !matches!(operator, Operator::Equal | Operator::NotEqual) {
            return Err(FilterError::Wildcard { position: value.position });
        }
        check_type(&field, field_type, operator, *operator_at, &literal, value.position)?;
        Ok(Expression::Comparison { field, operator, literal })
    }

    fn next(&mut self, expected: &str) -> Result<&'a Token, FilterError> {
        self.rest.next().ok_or_else(|| FilterError::Unexpected {
            position: self.end,
            found: "the end".to_owned(),
            expected: expected.to_owned(),
        })
    }

    fn bare_word(&self, word: &str, position: usize) -> FilterError {
        let hint = match keyword_meant(word) {
            Some(keyword) => format!("write `{keyword}`, in capital letters"),
            None => self.fields.example(word),
        };
        FilterError::BareWord { position, word: text::excerpt(word), hint }
    }
}

/// One part stands for itself.
fn joined(mut parts: Vec<Expression>, join: fn(Vec<Expression>) -> Expression) -> Expression {
    match (parts.pop(), parts.is_empty()) {
        (Some(only), true) => only,
        (Some(last), false) => {
            parts.push(last);
            join(parts)
        }
        (None, _) => join(parts),
    }
}

fn unexpected(token: &Token, expected: &str) -> FilterError {
    FilterError::Unexpected {
        position: token.position,
        found: token.shown(),
        expected: expected.to_owned(),
    }
}

/// What is wrong with a token that follows a comparison and joins nothing.
fn after_comparison(token: &Token) -> FilterError {
    match &token.kind {
        TokenKind::Close => unexpected(token, "the end, since no `(` is open"),
        TokenKind::Operator(_) => {
            unexpected(token, "`AND`, `OR` or the end; a value with such a character needs quotes")
        }
        TokenKind::Word(word) => match keyword_meant(word) {
            Some(keyword) => unexpected(token, &format!("`{keyword}`, in capital letters")),
            None => {
                unexpected(token, "`AND`, `OR` or the end; a value of several words needs quotes")
            }
        },
        TokenKind::Open | TokenKind::Quoted(_) => unexpected(token, "`AND`, `OR` or the end"),
    }
}

/// The keyword that somebody meant who is used to another language.
fn keyword_meant(word: &str) -> Option<&'static str> {
    match word {
        "&&" | "&" => Some("AND"),
        "||" | "|" => Some("OR"),
        _ => KEYWORDS.into_iter().find(|keyword| word.eq_ignore_ascii_case(keyword)),
    }
}

/// A value, with the stars at its ends taken as wildcards.
fn literal(token: &Token) -> Result<Literal, FilterError> {
    let mut pieces: Vec<(char, bool)> = match &token.kind {
        TokenKind::Quoted(pieces) => pieces.clone(),
        TokenKind::Word(word) if !KEYWORDS.contains(&word.as_str()) => {
            word.chars().map(|character| (character, false)).collect()
        }
        _ => return Err(unexpected(token, "a value; put one like this in quotes")),
    };
    let open_end = pieces.pop_if(|piece| *piece == WILDCARD).is_some();
    let open_start = pieces.first() == Some(&WILDCARD);
    if open_start {
        pieces.remove(0);
    }
    if pieces.contains(&WILDCARD) {
        return Err(FilterError::Wildcard { position: token.position });
    }
    Ok(Literal { text: plain(&pieces), open_start, open_end })
}

fn check_type(
    field: &str,
    field_type: FieldType,
    operator: Operator,
    operator_at: usize,
    literal: &Literal,
    position: usize,
) -> Result<(), FilterError> {
    let (expected, fits, example) = match field_type {
        FieldType::Unknown => return Ok(()),
        FieldType::Integer => ("a whole number", literal.text.parse::<i64>().is_ok(), "10"),
        FieldType::Bool => ("true or false", literal.text.parse::<bool>().is_ok(), "true"),
    };
    if !fits || literal.is_pattern() {
        let mut found = literal.text.clone();
        if literal.open_start {
            found.insert(0, '*');
        }
        if literal.open_end {
            found.push('*');
        }
        return Err(FilterError::WrongType {
            position,
            field: field.to_owned(),
            expected,
            found: text::excerpt(&found),
            example: format!("`{field} {} {example}`", if operator.orders() { ">=" } else { "=" }),
        });
    }
    if field_type == FieldType::Bool && operator.orders() {
        return Err(FilterError::NoOrder { position: operator_at, field: field.to_owned() });
    }
    Ok(())
}
