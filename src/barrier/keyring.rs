//! Data keys by term, and the envelope they seal values in.
//!
//! ```text
//!   term u32 BE │ version u8 = 2 │ nonce 12 bytes │ AES-256-GCM ciphertext and tag       associated data: the key's path
//! ```
//!
//! The path as associated data ties a value to its place: a value moved to another key does not open.

use std::collections::BTreeMap;
use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::entropy;

const VERSION: u8 = 2;
const HEADER: usize = 4 + 1 + NONCE_LEN;

/// Why a value does not open. Says nothing of the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum KeyringError {
    #[error("the stored value is too short")]
    Short,
    #[error("the stored value has format version {0}, which this release does not know")]
    Version(u8),
    #[error("the stored value was sealed with key term {0}, which the keyring does not hold")]
    Term(u32),
    #[error("the stored value fails authentication")]
    Forged,
}

/// The keys of all terms; the highest seals.
pub struct Keyring {
    keys: BTreeMap<u32, LessSafeKey>,
    active: u32,
}

impl Keyring {
    /// Keys by term. The highest term seals new values.
    ///
    /// # Panics
    /// When there is no key at all.
    pub fn new<'k>(keys: impl IntoIterator<Item = (u32, &'k [u8; 32])>) -> Self {
        let keys: BTreeMap<u32, LessSafeKey> =
            keys.into_iter().map(|(term, key)| (term, aead(key))).collect();
        let active = *keys.keys().next_back().expect("a keyring holds at least one key");
        Self { keys, active }
    }

    /// The term that seals now.
    #[must_use]
    pub fn active_term(&self) -> u32 {
        self.active
    }

    /// Seals `plain` for the key `path`.
    #[must_use]
    pub fn seal(&self, path: &str, plain: &[u8]) -> Vec<u8> {
        let nonce = entropy::bytes::<NONCE_LEN>();
        let mut sealed = Vec::with_capacity(HEADER + plain.len() + AES_256_GCM.tag_len());
        sealed.extend_from_slice(&self.active.to_be_bytes());
        sealed.push(VERSION);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(plain);
        let key = &self.keys[&self.active];
        let tag = key
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(path.as_bytes()),
                sealed.get_mut(HEADER..).unwrap_or_default(),
            )
            .expect("a value is far below the cipher's limit");
        sealed.extend_from_slice(tag.as_ref());
        sealed
    }

    /// Opens what [`seal`](Self::seal) made for the same path.
    ///
    /// # Errors
    /// The envelope is not ours, its key is unknown, or it was changed or moved.
    pub fn open(&self, path: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyringError> {
        let (term, rest) = sealed.split_first_chunk::<4>().ok_or(KeyringError::Short)?;
        let (version, rest) = rest.split_first().ok_or(KeyringError::Short)?;
        if *version != VERSION {
            return Err(KeyringError::Version(*version));
        }
        let (nonce, ciphertext) = rest.split_first_chunk::<NONCE_LEN>().ok_or(KeyringError::Short)?;
        let term = u32::from_be_bytes(*term);
        let key = self.keys.get(&term).ok_or(KeyringError::Term(term))?;
        let mut plain = Zeroizing::new(ciphertext.to_vec());
        let length = key
            .open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(path.as_bytes()), &mut plain)
            .map_err(|_| KeyringError::Forged)?
            .len();
        plain.truncate(length);
        Ok(plain)
    }
}

fn aead(key: &[u8; 32]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).expect("32 bytes are a key"))
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keyring(term {}, {} keys)", self.active, self.keys.len())
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
}
