//! Policies: their text, what they allow, where they are stored.

mod subject;

pub use subject::{Group, Subject, SubjectAlias, Subjects};
