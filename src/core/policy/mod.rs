//! Policies: their text, what they allow, where they are stored.
//!
//! ```text
//!   text ──parse──> Policy ──(subject: templates)──> Acl ──decide──> Decision
//!            store: both kept, until the store tells that one changed
//! ```

pub mod acl;
#[cfg(test)]
mod acl_tests;
pub mod builtin;
mod cache;
pub mod capability;
mod compile;
mod decode;
mod go;
mod holder;
pub mod key_filter;
mod key_list;
pub mod parameter;
pub mod parse;
#[cfg(test)]
mod parse_tests;
pub mod password;
mod prefix;
mod record;
#[cfg(test)]
mod recorded_tests;
pub mod rule;
pub mod scope;
mod store;
#[cfg(test)]
mod store_tests;
mod subject;
pub mod template;

pub use acl::{Acl, Asked, Decision};
pub use capability::Capabilities;
pub use compile::{CompileError, Compiled};
pub use holder::Holder;
pub use key_list::KeyFilter;
pub use record::{Record, Stored};
pub use store::{AccessError, Draft, PolicyStore, canonical, folders_last};
pub use subject::{Group, NoSubjects, Subject, SubjectAlias, Subjects};
