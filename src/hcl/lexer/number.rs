//! Numbers: decimal, hexadecimal (`0x1F`) and octal (`017`) integers of 64 bits, fractions, exponents.

use super::{Cursor, Error, Kind, TokenKind};

/// Goes on from `begun`, what of the number was read already: `-`, `0.` or its first digit.
///
/// # Errors
/// No number, or one that does not fit.
pub(super) fn number(cursor: &mut Cursor<'_>, begun: &str) -> Result<TokenKind, Error> {
    let mut text = begun.to_owned() + decimal(cursor);
    if matches!(text.as_str(), "0" | "-0") && matches!(cursor.peek(), Some('x' | 'X')) {
        return hexadecimal(cursor, text.trim_end_matches('0'));
    }
    let mut is_fraction = begun == "0.";
    if !is_fraction && cursor.peek() == Some('.') {
        is_fraction = true;
        text.extend(cursor.next());
        text.push_str(decimal(cursor));
    }
    if matches!(cursor.peek(), Some('e' | 'E')) {
        is_fraction = true;
        text.extend(cursor.next());
        text.push_str(cursor.take_while(|c| c.is_ascii_digit() || matches!(c, '+' | '-')));
    }
    cursor.look();
    if is_fraction {
        return fraction(cursor, &text);
    }
    cursor.look();
    integer(cursor, &text)
}

fn decimal<'a>(cursor: &mut Cursor<'a>) -> &'a str {
    cursor.take_while(|c| c.is_ascii_digit())
}

/// The zero was read.
fn hexadecimal(cursor: &mut Cursor<'_>, sign: &str) -> Result<TokenKind, Error> {
    cursor.next();
    let digits = cursor.take_while(|c| c.is_ascii_hexdigit());
    cursor.look();
    if digits.is_empty() {
        return Err(cursor.wrong("illegal hexadecimal number"));
    }
    radix(cursor, &format!("{sign}{digits}"), 16)
}

/// A leading zero makes it octal.
fn integer(cursor: &Cursor<'_>, text: &str) -> Result<TokenKind, Error> {
    let digits = text.trim_start_matches('-');
    match digits.strip_prefix('0') {
        Some(octal) if octal.contains(['8', '9']) => Err(cursor.wrong("illegal octal number")),
        Some(octal) if !octal.is_empty() => radix(cursor, text, 8),
        Some(_) | None => radix(cursor, text, 10),
    }
}

fn radix(cursor: &Cursor<'_>, text: &str, radix: u32) -> Result<TokenKind, Error> {
    match i64::from_str_radix(text, radix) {
        Ok(number) => Ok(TokenKind::Literal(Kind::Integer(number), "NUMBER")),
        Err(_) => Err(cursor.wrong("the number does not fit into 64 bits")),
    }
}

fn fraction(cursor: &Cursor<'_>, text: &str) -> Result<TokenKind, Error> {
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(TokenKind::Literal(Kind::Float(number), "FLOAT")),
        Ok(_) | Err(_) => Err(cursor.wrong("illegal number")),
    }
}
