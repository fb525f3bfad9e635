//! Policies by name and rules by who holds them.
//!
//! Invariant: what is found was read from a snapshot no older than the last change of any policy; a change forgets it before
//! the change's author is answered. Rules are few against requests, so a change of one policy forgets all compiled rules
//! rather than keep count of who is made of what.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hasher;
use std::sync::Arc;

use parking_lot::RwLock;
use siphasher::sip::SipHasher13;

use super::compile::Compiled;
use super::holder::Holder;
use super::record::Stored;
use super::subject::Subject;
use crate::entropy;
use crate::storage::CommitIndex;

/// Most policies kept, and the most bytes of their texts.
const MAX_POLICIES: usize = 4096;
const MAX_TEXT_BYTES: usize = 64 << 20;
/// Most compiled sets of rules kept; they share their rules with the policies.
const MAX_COMPILED: usize = 16_384;

pub(super) struct Cache {
    seed: [u8; 16],
    inner: RwLock<Inner>,
}

#[derive(Default)]
struct Inner {
    /// `None`: there is no such policy.
    policies: HashMap<String, (CommitIndex, Option<Arc<Stored>>)>,
    text_bytes: usize,
    compiled: HashMap<u64, Kept>,
    /// Index of the last change of any policy.
    changed: CommitIndex,
}

/// Rules with what they were made of.
struct Kept {
    policies: Box<[String]>,
    takes_identity_policies: bool,
    subject: Option<Arc<Subject>>,
    /// Of the snapshot they were read from.
    read_at: CommitIndex,
    compiled: Arc<Compiled>,
}

impl Cache {
    pub(super) fn new() -> Self {
        Self { seed: entropy::bytes(), inner: RwLock::default() }
    }

    /// The policy as of `index` or later, when known.
    pub(super) fn policy(&self, name: &str, index: CommitIndex) -> Option<Option<Arc<Stored>>> {
        let inner = self.inner.read();
        inner.policies.get(name).filter(|(read_at, _)| *read_at <= index).map(|(_, policy)| policy.clone())
    }

    pub(super) fn put_policy(&self, name: &str, policy: Option<&Arc<Stored>>, read_at: CommitIndex) {
        let mut inner = self.inner.write();
        if read_at < inner.changed {
            return;
        }
        let bytes = size(policy);
        if inner.policies.len() >= MAX_POLICIES || inner.text_bytes + bytes > MAX_TEXT_BYTES {
            // Hardly ever met; what is in use comes back by itself.
            inner.policies.clear();
            inner.text_bytes = 0;
        }
        let known = inner.policies.insert(name.to_owned(), (read_at, policy.cloned()));
        inner.text_bytes =
            (inner.text_bytes + bytes).saturating_sub(known.map_or(0, |(_, policy)| size(policy.as_ref())));
    }

    /// The rules compiled for `holder` while its subject was this one, as of `index` or later.
    pub(super) fn compiled(
        &self,
        holder: &Holder<'_>,
        subject: Option<&Arc<Subject>>,
        index: CommitIndex,
    ) -> Option<Arc<Compiled>> {
        let hash = self.hash(holder);
        let inner = self.inner.read();
        let kept = inner.compiled.get(&hash)?;
        let same = kept.read_at <= index && kept.is_for(holder) && kept.is_of(subject);
        same.then(|| Arc::clone(&kept.compiled))
    }

    pub(super) fn put_compiled(
        &self,
        holder: &Holder<'_>,
        subject: Option<Arc<Subject>>,
        compiled: &Arc<Compiled>,
        read_at: CommitIndex,
    ) {
        let hash = self.hash(holder);
        let mut inner = self.inner.write();
        if read_at < inner.changed {
            return;
        }
        if inner.compiled.len() >= MAX_COMPILED {
            let victim = inner.compiled.keys().next().copied();
            victim.and_then(|victim| inner.compiled.remove(&victim));
        }
        let kept = Kept {
            policies: holder.policies.into(),
            takes_identity_policies: holder.takes_identity_policies,
            subject,
            read_at,
            compiled: Arc::clone(compiled),
        };
        inner.compiled.insert(hash, kept);
    }

    /// The policy `name` changed at `index`; `None`: any may have.
    pub(super) fn changed(&self, index: CommitIndex, name: Option<&str>) {
        let mut inner = self.inner.write();
        inner.changed = inner.changed.max(index);
        inner.compiled.clear();
        match name {
            Some(name) => {
                let known = inner.policies.remove(name);
                inner.text_bytes -= known.map_or(0, |(_, policy)| size(policy.as_ref()));
            }
            None => {
                inner.policies.clear();
                inner.text_bytes = 0;
            }
        }
    }

    /// Of the policies and the entity; found entries are compared in full, so a collision costs time only.
    fn hash(&self, holder: &Holder<'_>) -> u64 {
        let mut hasher = SipHasher13::new_with_key(&self.seed);
        hasher.write_u8(u8::from(holder.takes_identity_policies));
        for part in holder.policies.iter().map(String::as_str).chain([holder.entity_id]) {
            hasher.write(part.as_bytes());
            hasher.write_u8(0xFF);
        }
        hasher.finish()
    }
}

fn size(policy: Option<&Arc<Stored>>) -> usize {
    policy.map_or(0, |policy| policy.record.text.len())
}

impl Kept {
    fn is_for(&self, holder: &Holder<'_>) -> bool {
        *self.policies == *holder.policies && self.takes_identity_policies == holder.takes_identity_policies
    }

    /// The very subject: an entity that changed is another one.
    fn is_of(&self, subject: Option<&Arc<Subject>>) -> bool {
        match (&self.subject, subject) {
            (None, None) => true,
            (Some(own), Some(other)) => Arc::ptr_eq(own, other),
            (None, Some(_)) | (Some(_), None) => false,
        }
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = self.inner.read();
        write!(f, "Cache({} policies, {} compiled)", inner.policies.len(), inner.compiled.len())
    }
}
