//! Values that must not be seen: tokens, keys, passwords.
//!
//! They are wiped when dropped, print as `[redacted]`, and compare in constant time. They cannot be shown, serialised
//! or cloned by accident; who needs the value says `expose`. Where secrets come from and go to is the caller's business.

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Secret text.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct SecretString(String);

/// Secret bytes.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct SecretBytes(Vec<u8>);

// === impl SecretString ===

impl SecretString {
    /// Takes the text over. A `String` that grew before may have left copies in freed memory: read secrets into
    /// buffers of their final size.
    #[must_use]
    pub fn new(value: String) -> Self {
        Self(value)
    }

    /// The value itself. Every caller is a place to look at when asking where the secret can go.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for SecretString {
    fn from(value: String) -> Self {
        Self::new(value)
    }
}

impl fmt::Debug for SecretString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl PartialEq for SecretString {
    fn eq(&self, other: &Self) -> bool {
        same(self.0.as_bytes(), other.0.as_bytes())
    }
}

impl Eq for SecretString {}

// === impl SecretBytes ===

impl SecretBytes {
    /// Takes the bytes over; see [`SecretString::new`] for what that cannot wipe.
    #[must_use]
    pub fn new(value: Vec<u8>) -> Self {
        Self(value)
    }

    /// The value itself.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl From<Vec<u8>> for SecretBytes {
    fn from(value: Vec<u8>) -> Self {
        Self::new(value)
    }
}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl PartialEq for SecretBytes {
    fn eq(&self, other: &Self) -> bool {
        same(&self.0, &other.0)
    }
}

impl Eq for SecretBytes {}

const REDACTED: &str = "[redacted]";

/// Equal, in time that depends on the lengths only. The length of a token is no secret.
#[must_use]
pub fn same(left: &[u8], right: &[u8]) -> bool {
    left.ct_eq(right).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_printed() {
        let text = SecretString::from("hvs.CAESI".to_owned());
        let bytes = SecretBytes::from(b"hvs.CAESI".to_vec());
        assert_eq!(format!("{text:?} {bytes:?} {:?}", Some(&text)), "[redacted] [redacted] Some([redacted])");
    }

    #[test]
    fn secrets_are_equal_when_their_bytes_are() {
        assert_eq!(SecretString::from("a".to_owned()), SecretString::from("a".to_owned()));
        assert_ne!(SecretString::from("a".to_owned()), SecretString::from("b".to_owned()));
        assert_ne!(SecretBytes::from(vec![1]), SecretBytes::from(vec![1, 2]));
    }

    #[test]
    fn wiping_leaves_nothing() {
        let mut secret = SecretString::from("token".to_owned());
        secret.zeroize();
        assert_eq!(secret.expose(), "");
        let mut secret = SecretBytes::from(vec![1, 2]);
        secret.zeroize();
        assert_eq!(secret.expose(), b"");
    }
}
