//! Data keys by term, and the root key that seals them in storage.
//!
//! The newest key seals; every older one still opens what it sealed. Keys are never changed in place: a rotation or a
//! new root key makes another [`Keyring`], which is written ([`record`](super::record)) and followed by whoever holds
//! the old one.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use aws_lc_rs::aead::LessSafeKey;
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::envelope::{self, KeyringError};
use super::rotation::Rotation;
use super::secret_key::SecretKey;

/// Most keys of a keyring: more than ten years of daily rotation.
pub const MAX_TERMS: usize = 4096;

/// The keys of all terms; the highest seals.
pub struct Keyring {
    root: SecretKey,
    terms: BTreeMap<u32, Term>,
    active: u32,
    rotation: Rotation,
    /// Values the active key has sealed, as far as this process knows. Shared by keyrings of the same active term.
    encryptions: Arc<AtomicU64>,
}

/// One data key.
pub(super) struct Term {
    pub(super) key: SecretKey,
    cipher: LessSafeKey,
    pub(super) installed: OffsetDateTime,
    /// Values it sealed, as of the record it was read from.
    pub(super) encryptions: u64,
}

/// What `sys/key-status` tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyStatus {
    pub term: u32,
    pub installed: OffsetDateTime,
    /// Values sealed by the key of this term.
    pub encryptions: u64,
}

// === impl Keyring ===

impl Keyring {
    /// The keyring of a new store: a root key and one data key, both random.
    #[must_use]
    pub fn generate(now: OffsetDateTime) -> Self {
        let first = Term::new(SecretKey::generate(), now, 0);
        Self::assemble(SecretKey::generate(), BTreeMap::from([(1, first)]), Rotation::default())
    }

    /// Data keys by term under a root key nobody else has: a keyring that is not kept. The highest term seals.
    ///
    /// # Panics
    /// When there is no key at all.
    pub fn new<'k>(keys: impl IntoIterator<Item = (u32, &'k [u8; 32])>) -> Self {
        let term = |key: &[u8; 32]| {
            let key = SecretKey::of(key).expect("32 bytes are a key");
            Term::new(key, OffsetDateTime::UNIX_EPOCH, 0)
        };
        let terms = keys.into_iter().map(|(number, key)| (number, term(key))).collect();
        Self::assemble(SecretKey::generate(), terms, Rotation::default())
    }

    pub(super) fn assemble(root: SecretKey, terms: BTreeMap<u32, Term>, rotation: Rotation) -> Self {
        let (active, newest) = terms.last_key_value().expect("a keyring holds at least one key");
        let (active, encryptions) = (*active, Arc::new(AtomicU64::new(newest.encryptions)));
        Self { root, terms, active, rotation, encryptions }
    }

    /// The same keyring under one more key, which seals from now on; `None` when it is full or terms are used up.
    #[must_use]
    pub fn rotated(&self, now: OffsetDateTime) -> Option<Self> {
        let next = self.active.checked_add(1).filter(|_| self.terms.len() < MAX_TERMS)?;
        let mut terms = self.copied_terms();
        terms.insert(next, Term::new(SecretKey::generate(), now, 0));
        Some(Self::assemble(self.root.clone(), terms, self.rotation))
    }

    /// The same keys under another root key.
    #[must_use]
    pub fn under(&self, root: SecretKey) -> Self {
        Self::assemble(root, self.copied_terms(), self.rotation).counting_with(self)
    }

    /// The same keys with other rules of rotation.
    #[must_use]
    pub fn with_rotation(&self, rotation: Rotation) -> Self {
        Self::assemble(self.root.clone(), self.copied_terms(), rotation).counting_with(self)
    }

    /// Goes on counting where `before` is, when both seal with the same key.
    pub(super) fn counting_with(mut self, before: &Self) -> Self {
        if self.active == before.active {
            before.encryptions.fetch_max(self.encryptions.load(Relaxed), Relaxed);
            self.encryptions = Arc::clone(&before.encryptions);
        }
        self
    }

    /// With today's count of the active key.
    fn copied_terms(&self) -> BTreeMap<u32, Term> {
        self.terms()
            .map(|(number, term, count)| (number, Term::new(term.key.clone(), term.installed, count)))
            .collect()
    }

    /// Every term with its key and what it has sealed by now.
    pub(super) fn terms(&self) -> impl Iterator<Item = (u32, &Term, u64)> {
        let count = move |number, term: &Term| {
            if number == self.active { self.encryptions.load(Relaxed) } else { term.encryptions }
        };
        self.terms.iter().map(move |(number, term)| (*number, term, count(*number, term)))
    }

    /// The key its record is sealed with.
    #[must_use]
    pub fn root(&self) -> &SecretKey {
        &self.root
    }

    #[must_use]
    pub fn rotation(&self) -> Rotation {
        self.rotation
    }

    /// The term that seals now.
    #[must_use]
    pub fn active_term(&self) -> u32 {
        self.active
    }

    #[must_use]
    pub fn status(&self) -> KeyStatus {
        let installed =
            self.terms.get(&self.active).map_or(OffsetDateTime::UNIX_EPOCH, |term| term.installed);
        KeyStatus { term: self.active, installed, encryptions: self.encryptions.load(Relaxed) }
    }

    /// Values sealed since the record of this keyring was written.
    #[must_use]
    pub fn uncounted(&self) -> u64 {
        let recorded = self.terms.get(&self.active).map_or(0, |term| term.encryptions);
        self.encryptions.load(Relaxed).saturating_sub(recorded)
    }

    /// Seals `plain` for the key `path`.
    #[must_use]
    pub fn seal(&self, path: &str, plain: &[u8]) -> Vec<u8> {
        self.encryptions.fetch_add(1, Relaxed);
        envelope::seal(&self.terms[&self.active].cipher, self.active, path, plain)
    }

    /// Opens what [`seal`](Self::seal) made for the same path.
    ///
    /// # Errors
    /// The envelope is not ours, its key is unknown, or it was changed or moved.
    pub fn open(&self, path: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyringError> {
        envelope::open(|term| self.terms.get(&term).map(|term| &term.cipher), path, sealed)
    }
}

// === impl Term ===

impl Term {
    pub(super) fn new(key: SecretKey, installed: OffsetDateTime, encryptions: u64) -> Self {
        Self { cipher: envelope::cipher(key.expose()), key, installed, encryptions }
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keyring(term {}, {} keys)", self.active, self.terms.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_opens_only_in_its_place_and_unchanged() {
        let ring = Keyring::new([(1, &[7; 32])]);
        let sealed = ring.seal("a/b", b"secret");
        assert_eq!(ring.open("a/b", &sealed).unwrap().as_slice(), b"secret");
        assert_eq!(ring.open("a/c", &sealed), Err(KeyringError::Forged));
        for at in 0..sealed.len() {
            let mut bent = sealed.clone();
            bent[at] ^= 1;
            assert!(ring.open("a/b", &bent).is_err(), "byte {at} changed and the value still opened");
            assert!(ring.open("a/b", &sealed[..at]).is_err());
        }
    }

    #[test]
    fn old_terms_open_and_the_newest_seals() {
        let old = Keyring::new([(1, &[1; 32])]).seal("k", b"v");
        let ring = Keyring::new([(1, &[1; 32]), (2, &[2; 32])]);
        assert_eq!(ring.active_term(), 2);
        assert_eq!(ring.open("k", &old).unwrap().as_slice(), b"v");
        assert_eq!(Keyring::new([(2, &[2; 32])]).open("k", &old), Err(KeyringError::Term(1)));
    }

    #[test]
    fn a_new_key_counts_from_nothing_and_a_new_root_key_counts_on() {
        let first = Keyring::generate(OffsetDateTime::UNIX_EPOCH);
        let sealed = first.seal("k", b"v");
        let same = first.under(SecretKey::generate());
        assert_eq!((same.status().encryptions, same.uncounted()), (1, 0));
        drop(first.seal("k", b"v"));
        assert_eq!((same.status().encryptions, same.uncounted()), (2, 1), "one count for one key");
        let next = same.rotated(OffsetDateTime::UNIX_EPOCH).unwrap();
        assert_eq!((next.active_term(), next.status().encryptions), (2, 0));
        assert_eq!(next.open("k", &sealed).unwrap().as_slice(), b"v");
    }
}
