//! The JSON form: RFC 8259, and a comma may trail. What objects of objects mean is for `flatten`.

use zeroize::Zeroizing;

use super::cursor::{Cursor, width};
use super::error::Error;
use super::flatten;
use super::lexer::mark_name;
use super::tree::{Body, Item, Key, Kind, Span, Value, bounded};

pub(super) fn parse(text: &str) -> Result<Body, Error> {
    let mut reader = Reader { cursor: Cursor::new(text) };
    reader.cursor.skip_space();
    reader.cursor.next();
    let body = reader.object(0)?;
    reader.cursor.skip_space();
    if reader.cursor.next().is_some() {
        return Err(reader.cursor.wrong("the document has ended before this"));
    }
    flatten::flatten(body)
}

struct Reader<'a> {
    cursor: Cursor<'a>,
}

// === impl Reader ===

impl Reader<'_> {
    /// The next character that is not white space; its place is the cursor's.
    fn significant(&mut self) -> Option<char> {
        self.cursor.skip_space();
        self.cursor.next()
    }

    fn expected(&self, what: &str, got: Option<char>) -> Error {
        self.cursor.wrong(&format!("expected: {what} got: {}", name(got)))
    }

    /// The opening brace was read.
    fn object(&mut self, depth: usize) -> Result<Body, Error> {
        bounded(self.cursor.place(), depth)?;
        let mut items = Vec::new();
        loop {
            match self.significant() {
                Some('}') => break,
                Some('"') => items.push(self.member(depth)?),
                None => return Err(self.cursor.wrong("object expected closing RBRACE got: EOF")),
                got @ Some(_) => return Err(self.expected("STRING", got)),
            }
            match self.significant() {
                Some(',') => {}
                Some('}') => break,
                got => return Err(self.expected("COMMA | RBRACE", got)),
            }
        }
        Ok(Body { items })
    }

    /// The quote before the key was read.
    fn member(&mut self, depth: usize) -> Result<Item, Error> {
        let (text, span) = self.string()?;
        let key = Key { text: text.as_str().into(), span };
        match self.significant() {
            Some(':') => {}
            got => return Err(self.expected("COLON", got)),
        }
        let assign = self.cursor.place();
        let first = self.significant();
        let value = self.value(first, depth + 1)?;
        Ok(Item::new(key, [], Some(assign), value))
    }

    fn value(&mut self, first: Option<char>, depth: usize) -> Result<Value, Error> {
        let span = self.cursor.place();
        let kind = match first {
            Some('"') => return self.string().map(|(text, span)| Value { kind: Kind::Text(text), span }),
            Some('{') => Kind::Object(self.object(depth)?),
            Some('[') => Kind::List(self.list(depth)?),
            Some(c @ ('-' | '0'..='9')) => return self.number(c),
            Some(c) if c.is_ascii_alphabetic() => return self.word(c),
            got => {
                let shown = format!("Unknown token: {span} {}", name(got));
                return Err(Error::new(span, shown));
            }
        };
        Ok(Value { kind, span })
    }

    /// The opening bracket was read.
    fn list(&mut self, depth: usize) -> Result<Vec<Value>, Error> {
        bounded(self.cursor.place(), depth)?;
        let mut values = Vec::new();
        loop {
            match self.significant() {
                Some(']') => break,
                None => return Err(self.cursor.wrong("unexpected token while parsing list: EOF")),
                first @ Some(_) => values.push(self.value(first, depth + 1)?),
            }
            match self.significant() {
                Some(',') => {}
                Some(']') => break,
                got => {
                    let why = format!("error parsing list, expected comma or list end, got: {}", name(got));
                    return Err(self.cursor.wrong(&why));
                }
            }
        }
        Ok(values)
    }

    /// The opening quote was read.
    fn string(&mut self) -> Result<(Zeroizing<String>, Span), Error> {
        let (place, start) = (self.cursor.place(), self.cursor.rest());
        loop {
            self.cursor.take_while(|c| !matches!(c, '"' | '\\') && !c.is_control());
            match self.cursor.next() {
                Some('"') => break,
                Some('\\') => drop(self.cursor.next()),
                None => return Err(self.cursor.wrong("literal not terminated")),
                Some(_) => return Err(self.cursor.wrong("illegal char")),
            }
        }
        let inside = self.cursor.since(start);
        let written = Zeroizing::new(format!("\"{inside}"));
        let text = serde_json::from_str::<Zeroizing<String>>(&written)
            .map_err(|_| self.cursor.wrong("illegal char escape"))?;
        Ok((text, Span { width: width(inside) + 1, ..place }))
    }

    fn number(&mut self, first: char) -> Result<Value, Error> {
        let place = self.cursor.place();
        let rest = self.cursor.take_while(|c| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-'));
        let text = format!("{first}{rest}");
        let digits = text.trim_start_matches('-');
        if digits.starts_with('0') && digits.chars().nth(1).is_some_and(|c| c.is_ascii_digit()) {
            return Err(self.cursor.wrong("numbers cannot start with 0"));
        }
        let span = Span { width: width(&text), ..place };
        let kind = text.parse().map(Kind::Integer).ok().or_else(|| {
            serde_json::from_str(&text).ok().map(Kind::Float) // JSON's idea of a fraction, not Rust's
        });
        kind.map(|kind| Value { kind, span }).ok_or_else(|| Error::new(span, "illegal number"))
    }

    fn word(&mut self, first: char) -> Result<Value, Error> {
        let place = self.cursor.place();
        let rest = self.cursor.take_while(|c| c.is_ascii_alphanumeric());
        let kind = match (first, rest) {
            ('t', "rue") => Kind::Bool(true),
            ('f', "alse") => Kind::Bool(false),
            ('n', "ull") => Kind::Null,
            (..) => return Err(Error::new(place, "illegal char")),
        };
        Ok(Value { kind, span: Span { width: rest.len() + 1, ..place } })
    }
}

/// The name of the token that begins with this character.
fn name(first: Option<char>) -> &'static str {
    match first {
        None => "EOF",
        Some('"') => "STRING",
        Some('0'..='9') => "NUMBER",
        Some(mark) => mark_name(mark),
    }
}
