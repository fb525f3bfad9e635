//! Characters → tokens of HCL. Numbers are in `number`, strings and heredocs in `text`.

mod number;
mod text;

use zeroize::Zeroizing;

use super::cursor::{Cursor, width};
use super::error::Error;
use super::tree::{Kind, Span};

/// One token with its place and its own text.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token<'a> {
    pub(super) kind: TokenKind,
    pub(super) span: Span,
    pub(super) raw: &'a str,
}

#[derive(Clone, PartialEq, Debug)]
pub(super) enum TokenKind {
    End,
    Ident,
    /// A number, a truth value or a heredoc, and the server's name of it.
    Literal(Kind, &'static str),
    /// A string in quotes: a key or a value.
    Quoted(Kind),
    /// Any of `{ } [ ] , = . + -`.
    Mark(char),
}

// === impl TokenKind ===

impl TokenKind {
    /// The server's name of it.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::End => "EOF",
            Self::Ident => "IDENT",
            Self::Literal(_, name) => name,
            Self::Quoted(_) => "STRING",
            Self::Mark(mark) => mark_name(*mark),
        }
    }
}

/// What the server calls a punctuation mark.
pub(super) fn mark_name(mark: char) -> &'static str {
    match mark {
        '{' => "LBRACE",
        '}' => "RBRACE",
        '[' => "LBRACK",
        ']' => "RBRACK",
        ',' => "COMMA",
        '=' => "ASSIGN",
        ':' => "COLON",
        '.' => "PERIOD",
        '+' => "ADD",
        '-' => "SUB",
        _ => "ILLEGAL",
    }
}

/// The next token; comments and white space are passed over.
///
/// # Errors
/// An ill-formed token.
pub(super) fn token<'a>(cursor: &mut Cursor<'a>) -> Result<Token<'a>, Error> {
    loop {
        cursor.skip_space();
        let start = cursor.rest();
        let first = cursor.next();
        let place = cursor.place();
        match first {
            Some('#') => line_comment(cursor),
            Some('/') => slash_comment(cursor)?,
            Some(_) | None => {
                let kind = kind(cursor, first)?;
                let raw = cursor.since(start);
                return Ok(Token { kind, span: Span { width: width(raw), ..place }, raw });
            }
        }
    }
}

fn kind(cursor: &mut Cursor<'_>, first: Option<char>) -> Result<TokenKind, Error> {
    let digit_follows = cursor.peek().is_some_and(|c| c.is_ascii_digit());
    Ok(match first {
        None => TokenKind::End,
        Some('"') => TokenKind::Quoted(Kind::Text(text::quoted(cursor)?)),
        Some('<') => TokenKind::Literal(Kind::Text(text::heredoc(cursor)?), "HEREDOC"),
        Some('-') if digit_follows => number::number(cursor, "-")?,
        Some('.') if digit_follows => number::number(cursor, "0.")?,
        Some(mark @ ('[' | ']' | '{' | '}' | ',' | '=' | '+' | '-' | '.')) => TokenKind::Mark(mark),
        Some(digit) if digit.is_ascii_digit() => number::number(cursor, digit.encode_utf8(&mut [0; 4]))?,
        Some(letter) if letter.is_alphabetic() || letter == '_' => word(cursor, letter),
        Some('\0') => return Err(cursor.wrong("unexpected null character (0x00)")),
        Some(_) => return Err(cursor.wrong("illegal char")),
    })
}

fn word(cursor: &mut Cursor<'_>, first: char) -> TokenKind {
    let rest = cursor.take_while(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'));
    cursor.look();
    match (first, rest) {
        ('t', "rue") => TokenKind::Literal(Kind::Bool(true), "BOOL"),
        ('f', "alse") => TokenKind::Literal(Kind::Bool(false), "BOOL"),
        (..) => TokenKind::Ident,
    }
}

/// A `/` was read.
fn slash_comment(cursor: &mut Cursor<'_>) -> Result<(), Error> {
    match cursor.peek() {
        Some('*') => block_comment(cursor),
        Some('/') => {
            line_comment(cursor);
            Ok(())
        }
        Some(_) | None => Err(cursor.wrong("expected '/' for comment")),
    }
}

/// The line feed is left: it is white space.
fn line_comment(cursor: &mut Cursor<'_>) {
    cursor.take_while(|c| c != '\n');
    cursor.look();
}

fn block_comment(cursor: &mut Cursor<'_>) -> Result<(), Error> {
    let star = cursor.next();
    let mut before = star.map(|_| ' ');
    loop {
        match (before, cursor.next()) {
            (Some('*'), Some('/')) => return Ok(()),
            (_, None) => return Err(cursor.wrong("comment not terminated")),
            (_, c @ Some(_)) => before = c,
        }
    }
}

/// Text that is wiped when it is dropped.
type Text = Zeroizing<String>;
