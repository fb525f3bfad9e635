//! What the system's endpoints ask of policies, identity and mounts: the pipeline answers.

use std::fmt;

use crate::barrier::Transaction;
use crate::core::token_store::TokenEntry;
use crate::logical::{Caller, Fault, MountInfo, Renewed};

/// See the module.
pub trait Authority: Send + Sync + fmt::Debug {
    /// Whether the caller has `sudo` (or is root) at `path`.
    ///
    /// # Errors
    /// The policies cannot be read.
    fn has_sudo(&self, tx: &mut Transaction, caller: &Caller, path: &str) -> Result<bool, Fault>;

    /// What a token with these policies may do at `path`, as `sys/capabilities` lists it.
    ///
    /// # Errors
    /// The policies cannot be read.
    fn capabilities(
        &self,
        tx: &mut Transaction,
        entry: &TokenEntry,
        path: &str,
    ) -> Result<Vec<String>, Fault>;

    /// # Errors
    /// The policies cannot be read.
    fn policy_exists(&self, tx: &mut Transaction, name: &str) -> Result<bool, Fault>;

    /// The entity behind an alias of the token mount; made when there is none.
    ///
    /// # Errors
    /// The entity is disabled, or the store refuses.
    fn entity_of_alias(&self, tx: &mut Transaction, alias: &str) -> Result<String, Fault>;

    /// What the token's entity adds to its policies today; nothing for a token without one.
    ///
    /// # Errors
    /// The entity cannot be read.
    fn identity_policies(&self, tx: &mut Transaction, entry: &TokenEntry) -> Result<Vec<String>, Fault>;

    /// The mount that serves the full path, which bounds what was made there.
    fn mount_of(&self, path: &str) -> Option<MountInfo>;

    /// Asks the auth method that made the token for its bounds of today; `None` for tokens of the token store.
    ///
    /// # Errors
    /// The method refuses: the user is gone.
    fn renew_login(&self, tx: &mut Transaction, entry: &TokenEntry) -> Result<Option<Renewed>, Fault>;
}
