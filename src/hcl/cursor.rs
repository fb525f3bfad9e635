//! A place in the text that goes forward one character at a time and knows its line and column.
//!
//! Columns past the end of the text count the attempts to read there, as the server's scanner does: its message about
//! a text of ten characters says `At 1:12`.

use super::error::Error;
use super::tree::Span;

#[derive(Debug, Clone)]
pub(super) struct Cursor<'a> {
    rest: &'a str,
    line: usize,
    /// Of the character read last; 0 at the start of a line.
    column: usize,
    /// Where the line feed stood, while one is the character read last; else 0.
    line_end: usize,
}

// === impl Cursor ===

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { rest: text, line: 1, column: 0, line_end: 0 }
    }

    /// What was not read yet.
    pub(super) fn rest(&self) -> &'a str {
        self.rest
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    pub(super) fn next(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let c = chars.next();
        self.rest = chars.as_str();
        self.column += 1;
        self.line_end = 0;
        if c == Some('\n') {
            (self.line_end, self.column) = (self.column, 0);
            self.line += 1;
        }
        c
    }

    /// Reads while `wanted`, and gives what was read.
    pub(super) fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let start = self.rest;
        while self.peek().is_some_and(&wanted) {
            self.next();
        }
        self.since(start)
    }

    /// What was read since `start` was the rest.
    pub(super) fn since(&self, start: &'a str) -> &'a str {
        start.get(..start.len() - self.rest.len()).unwrap_or_default()
    }

    pub(super) fn skip_space(&mut self) {
        self.take_while(|c| matches!(c, ' ' | '\t' | '\r' | '\n'));
    }

    /// Looks past a token: at the end of the text that attempt counts.
    pub(super) fn look(&mut self) {
        if self.rest.is_empty() {
            self.next();
        }
    }

    /// The place of the character read last.
    pub(super) fn place(&self) -> Span {
        match self.line_end {
            0 => Span { line: self.line, column: self.column, width: 1 },
            column => Span { line: self.line - 1, column, width: 1 },
        }
    }

    /// A mistake at the character read last.
    pub(super) fn wrong(&self, message: &str) -> Error {
        Error::new(self.place(), message)
    }
}

/// Characters of the first line of `raw`, at least 1.
pub(super) fn width(raw: &str) -> usize {
    raw.lines().next().map_or(1, |line| line.chars().count().max(1))
}
