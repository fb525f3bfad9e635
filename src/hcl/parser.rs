//! Tokens → items: the grammar of HCL 1. One token of look-ahead.

use std::sync::Arc;

use super::cursor::Cursor;
use super::error::Error;
use super::lexer::{self, Token, TokenKind};
use super::tree::{Body, Item, Key, Kind, Span, Value, bounded};

pub(super) fn parse(text: &str) -> Result<Body, Error> {
    let mut parser = Parser { cursor: Cursor::new(text), ahead: None };
    let mut items = Vec::new();
    while let Some(item) = parser.item(0)? {
        items.push(item);
        parser.optional_comma()?;
    }
    Ok(Body { items })
}

struct Parser<'a> {
    cursor: Cursor<'a>,
    /// A token that was looked at and not taken.
    ahead: Option<Token<'a>>,
}

/// Keys as they are read, and as they are written.
#[derive(Default)]
struct Keys<'a> {
    keys: Vec<Key>,
    raw: Vec<&'a str>,
}

// === impl Parser ===

impl<'a> Parser<'a> {
    fn take(&mut self) -> Result<Token<'a>, Error> {
        self.ahead.take().map_or_else(|| lexer::token(&mut self.cursor), Ok)
    }

    /// Items may be separated by commas, one each.
    fn optional_comma(&mut self) -> Result<(), Error> {
        let token = self.take()?;
        if token.kind != TokenKind::Mark(',') {
            self.ahead = Some(token);
        }
        Ok(())
    }

    /// The next item, or nothing at the end of the text.
    fn item(&mut self, depth: usize) -> Result<Option<Item>, Error> {
        let (Keys { keys, raw }, end) = self.keys()?;
        let labelled = keys.len() > 1;
        let mut keys = keys.into_iter();
        let Some(key) = keys.next() else { return no_keys(&end).map(|()| None) };
        let (assign, value) = match end.kind {
            TokenKind::Mark('=') if labelled => {
                return Err(Error::new(end.span, "nested object expected: LBRACE got: ASSIGN"));
            }
            TokenKind::Mark('=') => (Some(end.span), self.value(depth)?),
            TokenKind::Mark('{') => (None, self.object(end.span, depth)?),
            TokenKind::Mark('}') | TokenKind::End => {
                let keys = raw.join(" ");
                let why = format!("key '{keys}' expected start of object ('{{') or assignment ('=')");
                return Err(Error::new(end.span, why).quoting("after a key comes `=` or `{`"));
            }
            TokenKind::Mark(_) | TokenKind::Literal(..) | TokenKind::Ident | TokenKind::Quoted(_) => {
                return Err(no_key(&end));
            }
        };
        Ok(Some(Item::new(key, keys, assign, value)))
    }

    /// Names and strings, and the token after them.
    fn keys(&mut self) -> Result<(Keys<'a>, Token<'a>), Error> {
        let mut read = Keys::default();
        loop {
            let token = self.take()?;
            let text: Arc<str> = match &token.kind {
                TokenKind::Ident => token.raw.into(),
                TokenKind::Quoted(Kind::Text(text)) => text.as_str().into(),
                TokenKind::Quoted(_) | TokenKind::Literal(..) | TokenKind::Mark(_) | TokenKind::End => {
                    return Ok((read, token));
                }
            };
            read.keys.push(Key { text, span: token.span });
            read.raw.push(token.raw);
        }
    }

    fn value(&mut self, depth: usize) -> Result<Value, Error> {
        let Token { kind, span, raw } = self.take()?;
        match kind {
            TokenKind::Mark('{') => self.object(span, depth),
            TokenKind::Mark('[') => self.list(span, depth),
            TokenKind::Literal(kind, _) | TokenKind::Quoted(kind) => Ok(Value { kind, span }),
            TokenKind::Mark(_) | TokenKind::Ident | TokenKind::End => {
                let shown = format!("Unknown token: {span} {} {raw}", kind.name());
                Err(Error::new(span, shown.trim_end()).quoting("this is no value; a string is in quotes"))
            }
        }
    }

    /// The opening brace at `open` was taken.
    fn object(&mut self, open: Span, depth: usize) -> Result<Value, Error> {
        bounded(open, depth)?;
        let mut items = Vec::new();
        loop {
            let token = self.take()?;
            match token.kind {
                TokenKind::Mark('}') => break,
                TokenKind::End => return Err(unclosed(&self.take()?)),
                TokenKind::Mark(_) | TokenKind::Literal(..) | TokenKind::Ident | TokenKind::Quoted(_) => {
                    self.ahead = Some(token);
                }
            }
            items.extend(self.item(depth + 1)?);
            self.optional_comma()?;
        }
        Ok(Value { kind: Kind::Object(Body { items }), span: open })
    }

    /// The opening bracket at `open` was taken. Commas may lead, trail and repeat; between two values there is one.
    fn list(&mut self, open: Span, depth: usize) -> Result<Value, Error> {
        bounded(open, depth)?;
        let mut values = Vec::new();
        let mut after_value = false;
        loop {
            let token = self.take()?;
            if token.kind == TokenKind::Mark(']') {
                break;
            } else if token.kind == TokenKind::Mark(',') {
                after_value = false;
            } else if after_value {
                let got = token.kind.name();
                let why = format!("error parsing list, expected comma or list end, got: {got}");
                return Err(Error::new(token.span, why));
            } else {
                values.push(self.element(token, depth + 1)?);
                after_value = true;
            }
        }
        Ok(Value { kind: Kind::List(values), span: open })
    }

    fn element(&mut self, token: Token<'a>, depth: usize) -> Result<Value, Error> {
        let Token { kind, span, .. } = token;
        match kind {
            TokenKind::Mark('{') => self.object(span, depth).map_err(|error| error.within(span, "object")),
            TokenKind::Mark('[') => self.list(span, depth).map_err(|error| error.within(span, "list")),
            TokenKind::Literal(kind, _) | TokenKind::Quoted(kind) => Ok(Value { kind, span }),
            TokenKind::Mark(_) | TokenKind::Ident | TokenKind::End => {
                Err(Error::new(span, format!("unexpected token while parsing list: {}", kind.name())))
            }
        }
    }
}

/// `end` stands where a key should: the end of the text is fine there.
fn no_keys(end: &Token<'_>) -> Result<(), Error> {
    match end.kind {
        TokenKind::End => Ok(()),
        TokenKind::Mark('=') => Err(Error::new(end.span, "no object keys found!")),
        TokenKind::Mark('{') => Err(Error::new(end.span, "expected: IDENT | STRING got: LBRACE")),
        TokenKind::Mark(_) | TokenKind::Literal(..) | TokenKind::Ident | TokenKind::Quoted(_) => {
            Err(no_key(end))
        }
    }
}

fn no_key(token: &Token<'_>) -> Error {
    Error::new(token.span, format!("expected: IDENT | STRING | ASSIGN | LBRACE got: {}", token.kind.name()))
}

fn unclosed(end: &Token<'_>) -> Error {
    Error::new(end.span, format!("object expected closing RBRACE got: {}", end.kind.name()))
}
