//! A 256-bit key that seals other keys: the root key, and the unseal, static and recovery keys above it.

use std::fmt;

use zeroize::Zeroizing;

use super::envelope::{self, KeyringError};
use crate::{entropy, secret};

/// Bytes of a key.
pub const KEY_BYTES: usize = 32;

/// The term of envelopes that are not sealed by a data key.
const NO_TERM: u32 = 0;

/// See the module. Wiped when dropped.
#[derive(Clone)]
pub struct SecretKey(Zeroizing<[u8; KEY_BYTES]>);

// === impl SecretKey ===

impl SecretKey {
    /// A new random key.
    #[must_use]
    pub fn generate() -> Self {
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        entropy::fill(key.as_mut_slice());
        Self(key)
    }

    /// `None` unless these are 32 bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Option<Self> {
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        if bytes.len() != KEY_BYTES {
            return None;
        }
        key.copy_from_slice(bytes);
        Some(Self(key))
    }

    /// The key itself.
    #[must_use]
    pub fn expose(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }

    /// Whether both are the same key, in constant time.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        secret::same(self.0.as_slice(), other.0.as_slice())
    }

    /// Seals `plain` for its place `path`.
    #[must_use]
    pub fn seal(&self, path: &str, plain: &[u8]) -> Vec<u8> {
        envelope::seal(&envelope::cipher(&self.0), NO_TERM, path, plain)
    }

    /// Opens what [`seal`](Self::seal) made for the same path.
    ///
    /// # Errors
    /// It is no such envelope, another key sealed it, or it was changed or moved.
    pub fn open(&self, path: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyringError> {
        let cipher = envelope::cipher(&self.0);
        envelope::open(|term| (term == NO_TERM).then_some(&cipher), path, sealed)
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey")
    }
}
