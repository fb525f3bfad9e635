//! Keys of a context, from the key of a version.

use aws_lc_rs::{hkdf, hmac};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// How a key is derived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kdf {
    /// NIST SP 800-108 in counter mode with HMAC-SHA256: keys of the oldest releases. 32 bytes, no more.
    HmacSha256Counter,
    #[default]
    HkdfSha256,
}

/// Length of what HKDF is asked for.
struct Length(usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

// === impl Kdf ===

impl Kdf {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::HmacSha256Counter => "hmac-sha256-counter",
            Self::HkdfSha256 => "hkdf_sha256",
        }
    }

    /// `length` bytes for `context`; fewer where the function gives no more.
    pub(super) fn derive(self, root: &[u8], context: &[u8], length: usize) -> Zeroizing<Vec<u8>> {
        match self {
            Self::HmacSha256Counter => counter(root, context),
            Self::HkdfSha256 => expand(root, context, length),
        }
    }
}

/// HKDF-SHA256 without salt.
///
/// # Panics
/// On more than 8160 bytes; no key is that long.
pub(super) fn expand(root: &[u8], context: &[u8], length: usize) -> Zeroizing<Vec<u8>> {
    let mut derived = Zeroizing::new(vec![0; length]);
    let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, &[]).extract(root);
    let info = [context];
    let okm = prk.expand(&info, Length(length)).expect("keys are shorter than what HKDF gives");
    okm.fill(&mut derived).expect("the buffer has the length asked for");
    derived
}

fn counter(root: &[u8], context: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut mac = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, root));
    mac.update(&1_u32.to_be_bytes());
    mac.update(context);
    mac.update(&256_u32.to_be_bytes());
    Zeroizing::new(mac.sign().as_ref().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Test case 3 of RFC 5869, without context.
    #[test]
    fn hkdf_of_the_rfc() {
        let derived = Kdf::HkdfSha256.derive(&[0x0b; 22], &[], 42);
        let expected = "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8";
        assert_eq!(hex::encode(derived.as_slice()), expected);
    }

    #[test]
    fn a_longer_key_begins_with_the_shorter() {
        let (short, long) = (expand(b"root", b"ctx", 32), expand(b"root", b"ctx", 64));
        assert_eq!(short.as_slice(), &long[..32]);
        assert_ne!(expand(b"root", b"other", 32).as_slice(), short.as_slice());
        assert_eq!(Kdf::HmacSha256Counter.derive(b"root", b"ctx", 64).len(), 32);
    }
}
