//! The codes themselves: RFC 6238 over RFC 4226.

use aws_lc_rs::hmac;
use serde::{Deserialize, Serialize};

/// The hash a key's codes are made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Algorithm {
    #[serde(rename = "SHA1")]
    Sha1,
    #[serde(rename = "SHA256")]
    Sha256,
    #[serde(rename = "SHA512")]
    Sha512,
}

// === impl Algorithm ===

impl Algorithm {
    pub(super) fn parse(name: &str) -> Option<Self> {
        [Self::Sha1, Self::Sha256, Self::Sha512].into_iter().find(|known| known.name() == name)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
            Self::Sha512 => "SHA512",
        }
    }

    fn mac(self) -> hmac::Algorithm {
        match self {
            Self::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => hmac::HMAC_SHA256,
            Self::Sha512 => hmac::HMAC_SHA512,
        }
    }
}

/// The code of a step of time, with zeros in front. `digits` is at most 9.
pub(super) fn code(algorithm: Algorithm, secret: &[u8], step: u64, digits: u32) -> String {
    let mac = hmac::sign(&hmac::Key::new(algorithm.mac(), secret), &step.to_be_bytes());
    let bytes = mac.as_ref();
    let at = usize::from(bytes.last().copied().unwrap_or_default() & 15);
    let chosen = bytes.get(at..at + 4).unwrap_or_default();
    let number = chosen.iter().fold(0_u32, |number, byte| number << 8 | u32::from(*byte)) & 0x7fff_ffff;
    format!("{:0width$}", number % 10_u32.pow(digits), width = digits as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Appendix B of RFC 6238.
    #[test]
    fn codes_of_the_rfc() {
        let seed = |length: usize| "1234567890".repeat(7).into_bytes()[..length].to_vec();
        for (seconds, sha1, sha256, sha512) in [
            (59_u64, "94287082", "46119246", "90693936"),
            (1_111_111_109, "07081804", "68084774", "25091201"),
            (1_111_111_111, "14050471", "67062674", "99943326"),
            (1_234_567_890, "89005924", "91819424", "93441116"),
            (2_000_000_000, "69279037", "90698825", "38618901"),
            (20_000_000_000, "65353130", "77737706", "47863826"),
        ] {
            for (algorithm, length, expected) in [
                (Algorithm::Sha1, 20, sha1),
                (Algorithm::Sha256, 32, sha256),
                (Algorithm::Sha512, 64, sha512),
            ] {
                assert_eq!(
                    code(algorithm, &seed(length), seconds / 30, 8),
                    expected,
                    "{seconds} {algorithm:?}"
                );
                assert_eq!(code(algorithm, &seed(length), seconds / 30, 6), expected.split_at(2).1);
            }
        }
    }

    #[test]
    fn names_go_both_ways() {
        assert_eq!(Algorithm::parse("SHA512"), Some(Algorithm::Sha512));
        assert_eq!(Algorithm::parse("sha1"), None);
    }
}
