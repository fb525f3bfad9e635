//! What is wrong with a text that should be JSON, in the words of the server's decoder. Asked only about bodies that are
//! refused anyway: clients compare these texts, so each kind of mistake has exactly one.
//!
//! A body is one value and whatever tokens come behind it, complete or not: `{}{` is taken, `{}}` is not.

use thiserror::Error;

/// Deepest nesting the server takes.
const MAX_DEPTH: usize = 10_000;

/// Where a character was not expected. The words are the server's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Value,
    AfterKey,
    AfterMember,
    AfterElement,
    Number,
    Text,
    Literal { name: &'static str, wanted: u8 },
}

/// The first mistake of a text.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum Mistake {
    #[error("unexpected EOF")]
    End,
    #[error("invalid character {0}")]
    Character(String),
    #[error("invalid escape sequence {0} in string")]
    Escape(String),
    #[error("object member name must be a string")]
    Name,
    #[error("missing value after object key")]
    Missing,
    #[error("exceeded max depth")]
    Depth,
}

/// A list or an object that is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Frame {
    is_object: bool,
    /// Of an object, names and values both.
    tokens: usize,
}

/// Reads tokens from the left.
struct Scanner<'t> {
    text: &'t [u8],
    at: usize,
    open: Vec<Frame>,
}

/// The first mistake of a body. That its value does not end counts least.
///
/// # Errors
/// The mistake.
pub(super) fn check(body: &[u8]) -> Result<(), Mistake> {
    let mut scanner = Scanner { text: body, at: 0, open: Vec::new() };
    let mut has_value = false;
    while !scanner.is_at_end() {
        scanner.token()?;
        has_value |= scanner.open.is_empty();
    }
    if has_value { Ok(()) } else { Err(Mistake::End) }
}

/// The first mistake behind a body's value.
///
/// # Errors
/// The mistake.
pub(super) fn check_behind(rest: &[u8]) -> Result<(), Mistake> {
    let mut scanner = Scanner { text: rest, at: 0, open: Vec::new() };
    while !scanner.is_at_end() {
        scanner.token()?;
    }
    Ok(())
}

// === impl Frame ===

impl Frame {
    fn wants_value(self) -> bool {
        self.is_object && self.tokens % 2 == 1
    }

    /// Where something was met that cannot follow.
    fn place(self) -> Place {
        match (self.is_object, self.tokens) {
            (_, 0) => Place::Value,
            (true, _) => Place::AfterMember,
            (false, _) => Place::AfterElement,
        }
    }
}

// === impl Scanner ===

impl<'t> Scanner<'t> {
    fn is_at_end(&mut self) -> bool {
        self.skip_blanks();
        self.rest().is_empty()
    }

    fn rest(&self) -> &'t [u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Result<u8, Mistake> {
        self.rest().first().copied().ok_or(Mistake::End)
    }

    fn skip_blanks(&mut self) {
        self.at += self.rest().iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')).count();
    }

    fn unexpected(&self, at: usize, place: Place) -> Mistake {
        let rest = self.text.get(at..).unwrap_or_default();
        Mistake::Character(format!("{} {}", quoted_rune(rest), place.words()))
    }

    /// One token, with what must stand before it.
    fn token(&mut self) -> Result<(), Mistake> {
        self.skip_blanks();
        let begin = self.at;
        let given = Some(self.peek()?).filter(|byte| matches!(byte, b':' | b','));
        if given.is_some() {
            self.at += 1;
            self.skip_blanks();
        }
        let next = self.peek();
        self.delimited(begin, given, *next.as_ref().unwrap_or(&b'"'))?;
        let Ok(next) = next else { return Ok(()) };
        match next {
            b'}' | b']' => self.close(next),
            b'{' | b'[' => self.enter(next == b'{'),
            _ => self.scalar(next),
        }
    }

    fn delimited(&self, begin: usize, given: Option<u8>, next: u8) -> Result<(), Mistake> {
        let frame = self.open.last().copied();
        let (wanted, place) = match frame {
            Some(frame) if frame.wants_value() => (Some(b':'), Place::AfterKey),
            Some(frame) if frame.tokens > 0 && !matches!(next, b'}' | b']') => (Some(b','), frame.place()),
            Some(_) | None => (None, Place::Value),
        };
        if given == wanted { Ok(()) } else { Err(self.unexpected(begin, place)) }
    }

    fn close(&mut self, bracket: u8) -> Result<(), Mistake> {
        let Some(frame) = self.open.last().copied() else {
            return Err(self.unexpected(self.at, Place::Value));
        };
        if frame.is_object != (bracket == b'}') {
            return Err(self.unexpected(self.at, frame.place()));
        }
        if frame.wants_value() {
            return Err(Mistake::Missing);
        }
        self.at += 1;
        self.open.pop();
        Ok(())
    }

    fn enter(&mut self, is_object: bool) -> Result<(), Mistake> {
        self.begins_a_value()?;
        if self.open.len() == MAX_DEPTH {
            return Err(Mistake::Depth);
        }
        self.at += 1;
        self.open.push(Frame { is_object, tokens: 0 });
        Ok(())
    }

    fn scalar(&mut self, first: u8) -> Result<(), Mistake> {
        match first {
            b'"' => {
                self.string()?;
                self.open.iter_mut().last().into_iter().for_each(|frame| frame.tokens += 1);
                return Ok(());
            }
            b't' => self.literal("true")?,
            b'f' => self.literal("false")?,
            b'n' => self.literal("null")?,
            b'-' | b'0'..=b'9' => self.number()?,
            _ => return Err(self.unexpected(self.at, Place::Value)),
        }
        self.begins_a_value()
    }

    /// Counts a token that is no name.
    fn begins_a_value(&mut self) -> Result<(), Mistake> {
        let Some(frame) = self.open.last_mut() else { return Ok(()) };
        if frame.is_object && !frame.wants_value() {
            return Err(Mistake::Name);
        }
        frame.tokens += 1;
        Ok(())
    }

    fn literal(&mut self, name: &'static str) -> Result<(), Mistake> {
        for wanted in name.bytes() {
            if self.peek()? != wanted {
                return Err(self.unexpected(self.at, Place::Literal { name, wanted }));
            }
            self.at += 1;
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), Mistake> {
        self.takes(b"-");
        if !self.takes(b"0") {
            self.digits()?;
        }
        if self.takes(b".") {
            self.digits()?;
        }
        if self.takes(b"eE") {
            self.takes(b"+-");
            self.digits()?;
        }
        Ok(())
    }

    fn takes(&mut self, any: &[u8]) -> bool {
        let found = self.rest().first().is_some_and(|byte| any.contains(byte));
        self.at += usize::from(found);
        found
    }

    fn digits(&mut self) -> Result<(), Mistake> {
        if !self.peek()?.is_ascii_digit() {
            return Err(self.unexpected(self.at, Place::Number));
        }
        self.at += self.rest().iter().take_while(|byte| byte.is_ascii_digit()).count();
        Ok(())
    }

    fn string(&mut self) -> Result<(), Mistake> {
        self.at += 1;
        loop {
            match self.peek()? {
                b'"' => break,
                b'\\' => self.escape()?,
                0..0x20 => return Err(self.unexpected(self.at, Place::Text)),
                _ => self.at += 1,
            }
        }
        self.at += 1;
        Ok(())
    }

    fn escape(&mut self) -> Result<(), Mistake> {
        let rest = self.rest();
        let length = match rest.get(1) {
            None => return Err(Mistake::End),
            Some(b'u') => 6,
            Some(_) => 2,
        };
        let sequence = rest.get(..length).unwrap_or(rest);
        let is_hex = |digits: &[u8]| digits.iter().all(u8::is_ascii_hexdigit);
        let is_right = match sequence {
            [_, b'u', digits @ ..] if digits.len() < 4 && is_hex(digits) => return Err(Mistake::End),
            [_, b'u', digits @ ..] => digits.len() == 4 && is_hex(digits),
            [_, b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't'] => true,
            _ => false,
        };
        if !is_right {
            return Err(Mistake::Escape(shown_escape(sequence)));
        }
        self.at += length;
        Ok(())
    }
}

// === impl Place ===

impl Place {
    fn words(self) -> String {
        match self {
            Self::Value => "looking for beginning of value".to_owned(),
            Self::AfterKey => "after object key".to_owned(),
            Self::AfterMember => "after object key:value pair".to_owned(),
            Self::AfterElement => "after array element".to_owned(),
            Self::Number => "in numeric literal".to_owned(),
            Self::Text => "in string".to_owned(),
            Self::Literal { name, wanted } => {
                format!("in literal {name} (expecting '{}')", char::from(wanted))
            }
        }
    }
}

/// The first character of `bytes`, in single quotes.
fn quoted_rune(bytes: &[u8]) -> String {
    match first_char(bytes) {
        Ok('\'') => r"'\''".to_owned(),
        Ok('"') => "'\"'".to_owned(),
        Ok(c) => format!("'{}'", escaped(c)),
        Err(byte) => format!("'\\x{byte:02x}'"),
    }
}

/// The first character, or the first byte when it begins none.
fn first_char(bytes: &[u8]) -> Result<char, u8> {
    let head = bytes.get(..4).unwrap_or(bytes);
    let valid = head.utf8_chunks().next().and_then(|chunk| chunk.valid().chars().next());
    valid.ok_or(bytes.first().copied().unwrap_or_default())
}

/// A character between quotes, which are the caller's to escape.
fn escaped(c: char) -> String {
    match c {
        '\\' => "\\\\".to_owned(),
        '\u{7}' => "\\a".to_owned(),
        '\u{8}' => "\\b".to_owned(),
        '\u{c}' => "\\f".to_owned(),
        '\n' => "\\n".to_owned(),
        '\r' => "\\r".to_owned(),
        '\t' => "\\t".to_owned(),
        '\u{b}' => "\\v".to_owned(),
        c if is_printable(c) => c.to_string(),
        c if c.is_ascii() => format!("\\x{:02x}", u32::from(c)),
        c if u32::from(c) <= 0xffff => format!("\\u{:04x}", u32::from(c)),
        c => format!("\\U{:08x}", u32::from(c)),
    }
}

/// Blanks of other scripts are not.
fn is_printable(c: char) -> bool {
    c == ' ' || !c.is_whitespace() && !c.is_control() && !c.escape_debug().to_string().starts_with("\\u")
}

fn shown_escape(sequence: &[u8]) -> String {
    let plain = std::str::from_utf8(sequence)
        .ok()
        .filter(|text| text.chars().all(|c| c != '`' && !c.is_whitespace() && is_printable(c)));
    if let Some(plain) = plain {
        return format!("`{plain}`");
    }
    let mut shown = String::from("\"");
    for chunk in sequence.utf8_chunks() {
        for c in chunk.valid().chars() {
            shown.push_str(&if c == '"' { "\\\"".to_owned() } else { escaped(c) });
        }
        chunk.invalid().iter().for_each(|byte| shown.push_str(&format!("\\x{byte:02x}")));
    }
    shown.push('"');
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(body: &[u8]) -> String {
        check(body).map_or_else(|mistake| mistake.to_string(), |()| String::new())
    }

    /// What OpenBao 2.7.2 says to each of these.
    #[test]
    fn mistakes_have_the_servers_words() {
        const VALUE: &str = "looking for beginning of value";
        const PAIR: &str = "after object key:value pair";
        const ELEMENT: &str = "after array element";
        for (bodies, character, place) in [
            (&["}", "{}}", "{\"a\":1}}"][..], "'}'", VALUE),
            (&["]", "{}]", "{]"], "']'", VALUE),
            (
                &["{},", "{,}", "[,]", "[1,]", "[1,,2]", "{\"a\":1,}", "{\"a\":,}", "[1,}", "{\"a\":1,]"],
                "','",
                VALUE,
            ),
            (&[":", "[:]", "{:}", "{\"a\"::1}"], "':'", VALUE),
            (&["x", "truex", "1x", "{} x", "{}truex", "{}{} x", "{x", "[x"], "'x'", VALUE),
            (&["{'a':1}"], "'\\''", VALUE),
            (&["\u{feff}{}"], "'\\ufeff'", VALUE),
            (&["\u{a0}{}"], "'\\u00a0'", VALUE),
            (&["{\"a\":é}"], "'é'", VALUE),
            (&["{\"a\":\u{7f}}"], "'\\x7f'", VALUE),
            (&["\u{b}{}"], "'\\v'", VALUE),
            (&["{} \0"], "'\\x00'", VALUE),
            (&["{\"a\":True}"], "'T'", VALUE),
            (&["{\"a\":\\}"], "'\\\\'", VALUE),
            (&["{\"a\" 1}"], "'1'", "after object key"),
            (&["{\"a\",1}", "{\"a\" ,"], "','", "after object key"),
            (&["{\"a\"}"], "'}'", "after object key"),
            (&["{\"a\":1 \"b\":2}", "{\"a\":\"x\"\"}"], "'\"'", PAIR),
            (&["{\"a\":1]", "{\"a\":]}"], "']'", PAIR),
            (&["{\"a\":01}", "{\"a\":-01}"], "'1'", PAIR),
            (&["{\"a\":1.2.3}"], "'.'", PAIR),
            (&["{\"a\":truee}"], "'e'", PAIR),
            (&["[1 2]", "{\"a\":[1 2]}"], "'2'", ELEMENT),
            (&["[1}"], "'}'", ELEMENT),
            (&["[1:2]"], "':'", ELEMENT),
            (&["{\"a\":-}", "{\"a\":1.}", "{\"a\":1e}", "{\"a\":1e+}"], "'}'", "in numeric literal"),
            (&["{\"a\":--1}"], "'-'", "in numeric literal"),
            (&["{\"a\":\"\n\"}"], "'\\n'", "in string"),
            (&["nonsense", "{}nope"], "'o'", "in literal null (expecting 'u')"),
            (&["{\"a\":tRue}"], "'R'", "in literal true (expecting 'r')"),
            (&["{\"a\":falsx}"], "'x'", "in literal false (expecting 'e')"),
        ] {
            for body in bodies {
                assert_eq!(said(body.as_bytes()), format!("invalid character {character} {place}"), "{body}");
            }
        }
        assert_eq!(said(b"{\"a\":\xe2\x82}"), format!("invalid character '\\xe2' {VALUE}"));
    }

    #[test]
    fn texts_that_end_early_and_other_kinds() {
        for body in [
            "{",
            "[[",
            "{\"a\"",
            "{\"a\":1,",
            "\"abc",
            "tru",
            "-",
            "{\"a\":1e",
            "{}tru",
            "{}\"",
            "[\"\\",
            "[\"\\u12",
        ] {
            assert_eq!(said(body.as_bytes()), "unexpected EOF", "{body}");
        }
        for body in ["{1:2}", "{true:1}", "{[]:1}", "{{}:1}"] {
            assert_eq!(said(body.as_bytes()), "object member name must be a string", "{body}");
        }
        assert_eq!(said(b"{\"a\":\r\n}"), "missing value after object key");
        assert_eq!(said("[".repeat(MAX_DEPTH + 1).as_bytes()), "exceeded max depth");
        for (body, sequence) in [
            (&b"[\"\\x\"]"[..], "`\\x`"),
            (b"[\"\\uzzzz\"]", "`\\uzzzz`"),
            (b"[\"\\u1\"]", "`\\u1\"]`"),
            (b"[\"\\ \"]", "\"\\\\ \""),
            (b"[\"\\\n\"]", "\"\\\\\\n\""),
            (b"[\"\\\xff\"]", "\"\\\\\\xff\""),
            (b"[\"\\`\"]", "\"\\\\`\""),
        ] {
            assert_eq!(said(body), format!("invalid escape sequence {sequence} in string"));
        }
    }

    #[test]
    fn what_the_server_takes_has_no_mistake() {
        for body in [
            &b"{}"[..],
            b" null ",
            b"{}{",
            b"{}[1,",
            b"{} []",
            b"{}1",
            b"[\"\xff\"]",
            b"[\"\\ud800\"]",
            b"[1e400,-0,0.5E+1]",
        ] {
            assert_eq!(said(body), "");
        }
        assert_eq!(said("[".repeat(MAX_DEPTH).as_bytes()), "unexpected EOF");
    }
}
