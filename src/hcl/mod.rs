//! HCL 1 and its JSON form, as Vault reads its configuration and its policies: text in, positioned values or an error
//! out.
//!
//! ```text
//! text ─ lexer ─▶ tokens ─ parser ─▶ Body of Items (keys, value, span)
//!   └──── json ──────────────────────────┘   first character `{`
//! ```
//!
//! The grammar, the words of its errors and the way it counts columns were measured on OpenBao 2.7.2. Where the server
//! drops what it cannot read (a key without a value at the end, a JSON document that ends early), this refuses; the
//! table in `tests` marks these. What a key means is for the configuration and the policies to say.

mod cursor;
mod error;
mod flatten;
mod json;
mod lexer;
mod parser;
mod tree;

pub use error::Error;
pub use tree::{Body, DEPTH_MAX, Item, Key, Kind, Span, Value};

use std::borrow::Cow;

/// Largest text read, in bytes: what one entry of the replicated log holds.
pub const TEXT_MAX: usize = 1 << 20;

/// Reads a document. It is JSON when its first character that is not white space is `{`, HCL otherwise.
///
/// # Errors
/// The first mistake, in the server's words, with its place. Also a text over [`TEXT_MAX`], nesting over
/// [`DEPTH_MAX`].
pub fn parse(text: &str) -> Result<Body, Error> {
    if text.len() > TEXT_MAX {
        return Err(Error::new(Span::default(), format!("the text is larger than {TEXT_MAX} bytes")));
    }
    let text = unix_lines(text);
    if text.trim_start().starts_with('{') { json::parse(&text) } else { parser::parse(&text) }
}

fn unix_lines(text: &str) -> Cow<'_, str> {
    if text.contains("\r\n") { Cow::Owned(text.replace("\r\n", "\n")) } else { Cow::Borrowed(text) }
}

#[cfg(test)]
mod tests;
