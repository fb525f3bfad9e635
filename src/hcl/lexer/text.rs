//! Quoted strings with escapes and `${...}`, and heredocs.

use zeroize::{Zeroize, Zeroizing};

use super::{Cursor, Error, Text};

/// The two forms: `<<END` keeps the text, `<<-END` takes the end mark's margin off every line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Margin {
    Kept,
    Removed,
}

/// The opening quote was read. Inside `${...}` quotes and line feeds are text, and escapes are kept as written.
///
/// # Errors
/// It does not end, or holds an escape that is none.
pub(super) fn quoted(cursor: &mut Cursor<'_>) -> Result<Text, Error> {
    let mut bytes = Zeroizing::new(Vec::new());
    let mut braces = 0_usize;
    loop {
        let c = cursor.next().ok_or_else(|| cursor.wrong("literal not terminated"))?;
        match c {
            '\n' if braces == 0 => return Err(cursor.wrong("literal not terminated")),
            '\0' => return Err(cursor.wrong("unexpected null character (0x00)")),
            '"' if braces == 0 => return utf8(cursor, bytes),
            '\\' if braces == 0 => escape(cursor, &mut bytes)?,
            '\\' => kept_escape(cursor, &mut bytes)?,
            c => {
                push(&mut bytes, c);
                braces = depth(braces, c, cursor.peek());
                if braces == 1 && c == '$' {
                    bytes.extend(cursor.next().map(|_| b'{'));
                }
            }
        }
    }
}

/// How many braces are open after `c`.
fn depth(braces: usize, c: char, next: Option<char>) -> usize {
    match (braces, c, next) {
        (0, '$', Some('{')) => 1,
        (0, ..) => 0,
        (_, '{', _) => braces + 1,
        (_, '}', _) => braces - 1,
        (..) => braces,
    }
}

/// Escapes may name single bytes; together they must be UTF-8.
fn utf8(cursor: &Cursor<'_>, mut bytes: Zeroizing<Vec<u8>>) -> Result<Text, Error> {
    String::from_utf8(std::mem::take(&mut *bytes)).map(Zeroizing::new).map_err(|error| {
        error.into_bytes().zeroize();
        cursor.wrong("illegal char escape")
    })
}

/// The backslash was read.
fn escape(cursor: &mut Cursor<'_>, bytes: &mut Vec<u8>) -> Result<(), Error> {
    match cursor.next() {
        Some('a') => bytes.push(0x07),
        Some('b') => bytes.push(0x08),
        Some('f') => bytes.push(0x0c),
        Some('n') => bytes.push(b'\n'),
        Some('r') => bytes.push(b'\r'),
        Some('t') => bytes.push(b'\t'),
        Some('v') => bytes.push(0x0b),
        Some(c @ ('\\' | '"')) => push(bytes, c),
        Some(c @ '0'..='7') => {
            let value = code(cursor, c.to_digit(8).unwrap_or_default(), 2, 8)?;
            bytes.push(byte(cursor, value)?);
        }
        Some('x') => {
            let value = code(cursor, 0, 2, 16)?;
            bytes.push(byte(cursor, value)?);
        }
        Some('u') => character(cursor, 4, bytes)?,
        Some('U') => character(cursor, 8, bytes)?,
        Some(_) | None => return Err(cursor.wrong("illegal char escape")),
    }
    Ok(())
}

/// Checked as any other, but the text stays as it is written.
fn kept_escape<'a>(cursor: &mut Cursor<'a>, bytes: &mut Vec<u8>) -> Result<(), Error> {
    let start = cursor.rest();
    let mut meaning = Zeroizing::new(Vec::new());
    escape(cursor, &mut meaning)?;
    bytes.push(b'\\');
    bytes.extend_from_slice(cursor.since(start).as_bytes());
    Ok(())
}

fn byte(cursor: &Cursor<'_>, value: u32) -> Result<u8, Error> {
    u8::try_from(value).map_err(|_| cursor.wrong("illegal char escape"))
}

fn character(cursor: &mut Cursor<'_>, digits: usize, bytes: &mut Vec<u8>) -> Result<(), Error> {
    let code = code(cursor, 0, digits, 16)?;
    let c = char::from_u32(code).ok_or_else(|| cursor.wrong("illegal char escape"))?;
    push(bytes, c);
    Ok(())
}

/// `count` digits after `high`: at most eight hexadecimal ones, so 32 bits hold them.
fn code(cursor: &mut Cursor<'_>, high: u32, count: usize, radix: u32) -> Result<u32, Error> {
    (0..count).try_fold(high, |value, _| {
        let digit = cursor.next().and_then(|c| c.to_digit(radix));
        digit.map(|digit| value * radix + digit).ok_or_else(|| cursor.wrong("illegal char escape"))
    })
}

fn push(bytes: &mut Vec<u8>, c: char) {
    bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

/// The first `<` was read.
///
/// # Errors
/// No heredoc, or its end mark is not on a line of its own with a line feed after it.
pub(super) fn heredoc(cursor: &mut Cursor<'_>) -> Result<Text, Error> {
    if cursor.next() != Some('<') {
        return Err(cursor.wrong("heredoc expected second '<', didn't see it"));
    }
    let (margin, end_mark) = end_mark(cursor)?;
    let start = cursor.rest();
    loop {
        let before = cursor.since(start);
        let line = cursor.take_while(|c| c != '\n');
        if cursor.next().is_none() {
            return Err(cursor.wrong("heredoc not terminated"));
        }
        let space = line.trim_end_matches('\r').strip_suffix(end_mark);
        if let Some(space) = space.filter(|space| space.chars().all(char::is_whitespace)) {
            return Ok(content(before, space, margin));
        }
    }
}

fn end_mark<'a>(cursor: &mut Cursor<'a>) -> Result<(Margin, &'a str), Error> {
    let margin = if cursor.peek() == Some('-') { Margin::Removed } else { Margin::Kept };
    if margin == Margin::Removed {
        cursor.next();
    }
    let mark = cursor.take_while(|c| c.is_alphanumeric() || c == '_');
    match cursor.next() {
        None => Err(cursor.wrong("heredoc not terminated")),
        Some('\n') if mark.is_empty() => Err(cursor.wrong("zero-length heredoc anchor")),
        Some('\n') => Ok((margin, mark)),
        Some(_) => Err(cursor.wrong("invalid characters in heredoc anchor")),
    }
}

/// `<<-` takes `space` off every line when all lines have it; else the text stays as it is. The space before the end
/// mark of a plain heredoc belongs to its text: so the server has it.
fn content(text: &str, space: &str, margin: Margin) -> Text {
    let without = |line: &str| format!("{}\n", line.strip_prefix(space).unwrap_or(line));
    Zeroizing::new(match margin {
        Margin::Kept => format!("{text}{space}"),
        Margin::Removed if text.lines().all(|line| line.starts_with(space)) => {
            text.lines().map(without).collect()
        }
        Margin::Removed => text.to_owned(),
    })
}
