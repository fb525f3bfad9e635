//! Who a token stands for, as policies see it: the entity, its aliases and groups. Identity answers; policies ask.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::barrier::Transaction;
use crate::logical::Fault;

/// An entity with everything templates and policies need of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Subject {
    pub entity_id: String,
    pub name: String,
    pub metadata: BTreeMap<String, String>,
    /// By accessor of the auth mount.
    pub aliases: BTreeMap<String, SubjectAlias>,
    /// Direct and inherited groups.
    pub groups: Vec<Group>,
    /// Policies of the entity, then those its groups add, each once.
    pub policies: Vec<String>,
    /// A disabled entity's tokens open nothing.
    pub disabled: bool,
}

/// One alias of an entity.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SubjectAlias {
    pub id: String,
    pub name: String,
    pub metadata: BTreeMap<String, String>,
    pub custom_metadata: BTreeMap<String, String>,
}

/// A group the entity is in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Group {
    pub id: String,
    pub name: String,
    pub metadata: BTreeMap<String, String>,
}

/// Finds who an entity is.
pub trait Subjects: Send + Sync + fmt::Debug {
    /// `None`: no such entity (it was deleted). Of one that was merged into another, the other. Asked with every request of
    /// an entity's token, and the compiled policies are kept by it: an unchanged entity shall be the same `Arc`.
    ///
    /// # Errors
    /// The records cannot be read.
    fn subject(&self, tx: &mut Transaction, entity_id: &str) -> Result<Option<Arc<Subject>>, Fault>;
}

/// Knows nobody: of a node without identity.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoSubjects;

impl Subjects for NoSubjects {
    fn subject(&self, _: &mut Transaction, _: &str) -> Result<Option<Arc<Subject>>, Fault> {
        Ok(None)
    }
}
