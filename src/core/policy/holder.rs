//! Who is asked about: a token, by its policies and entity.

use crate::core::token_store::TokenEntry;
use crate::logical::Caller;

/// See the module.
#[derive(Debug, Clone, Copy)]
pub struct Holder<'h> {
    /// Of the token itself.
    pub policies: &'h [String],
    /// Empty: none.
    pub entity_id: &'h str,
    /// Whether the entity's and its groups' policies count too.
    pub takes_identity_policies: bool,
}

impl Holder<'_> {
    /// The root token. A token with `root` and more besides is none.
    pub(super) fn is_root(&self) -> bool {
        matches!(self.policies, [only] if only == super::builtin::ROOT) && self.entity_id.is_empty()
    }
}

impl<'h> From<&'h TokenEntry> for Holder<'h> {
    fn from(entry: &'h TokenEntry) -> Self {
        Self {
            policies: &entry.policies,
            entity_id: &entry.entity_id,
            takes_identity_policies: !entry.no_identity_policies,
        }
    }
}

impl<'h> From<&'h Caller> for Holder<'h> {
    fn from(caller: &'h Caller) -> Self {
        Self {
            policies: &caller.policies,
            entity_id: &caller.entity_id,
            takes_identity_policies: !caller.no_identity_policies,
        }
    }
}
