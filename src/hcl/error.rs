//! Why a text is no HCL: one sentence, its place, and the lists it stands in.

use std::fmt;

use super::tree::Span;

/// The first mistake of a text. Prints as the server prints it: `At 2:26: error parsing list, ...`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// Where the mistake itself is. No line: it concerns the text as a whole.
    pub span: Span,
    /// What is wrong there, without the place.
    pub message: String,
    /// The same without any word of the text, which may be a secret.
    wordless: Option<&'static str>,
    /// The list elements around it, innermost first.
    around: Vec<(Span, &'static str)>,
}

// === impl Error ===

impl Error {
    pub(super) fn new(span: Span, message: impl Into<String>) -> Self {
        Self { span, message: message.into(), wordless: None, around: Vec::new() }
    }

    /// The message quotes the text: `wordless` says the same without.
    pub(super) fn quoting(self, wordless: &'static str) -> Self {
        Self { wordless: Some(wordless), ..self }
    }

    /// What is wrong, without a word of the text: for logs.
    #[must_use]
    pub fn wordless(&self) -> &str {
        self.wordless.unwrap_or(&self.message)
    }

    /// The same mistake, seen from the list at `span` whose element (`object` or `list`) it is in.
    pub(super) fn within(mut self, span: Span, element: &'static str) -> Self {
        self.around.push((span, element));
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (span, element) in self.around.iter().rev() {
            write!(f, "At {span}: error while trying to parse {element} within list: ")?;
        }
        if self.span.line == 0 {
            return f.write_str(&self.message);
        }
        write!(f, "At {}: {}", self.span, self.message)
    }
}

impl std::error::Error for Error {}
