//! Why an operation with a key did not happen, in the server's words.

use std::fmt;

use crate::logical::Fault;

/// Whose fault it is decides the status: 400 or 500.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    User(String),
    Internal(String),
}

pub(super) type Refusable<T> = Result<T, Refusal>;

// === impl Refusal ===

impl Refusal {
    pub(super) fn user(text: impl Into<String>) -> Self {
        Self::User(text.into())
    }

    pub(super) fn internal(text: impl Into<String>) -> Self {
        Self::Internal(text.into())
    }

    pub(super) fn text(&self) -> &str {
        match self {
            Self::User(text) | Self::Internal(text) => text,
        }
    }

    pub(super) fn is_internal(&self) -> bool {
        matches!(self, Self::Internal(_))
    }
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::User(text) => Self::Invalid(text),
            Refusal::Internal(text) => Self::Internal(text),
        }
    }
}

/// The texts are for clients; they hold no secret, but may quote a request.
impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_internal() { "Internal" } else { "User" })
    }
}
