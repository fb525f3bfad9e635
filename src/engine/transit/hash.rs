//! Hash functions by their names in the API, and HMAC with them.

use aws_lc_rs::{digest, hmac};
use sha3::Digest;

/// Longest block of any of them: SHA3-224's.
const MAX_BLOCK: usize = 144;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Hash {
    /// The input is taken for the hash itself.
    None,
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
    Sha3_224,
    Sha3_256,
    Sha3_384,
    Sha3_512,
}

// === impl Hash ===

impl Hash {
    pub(super) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "none" => Self::None,
            "sha1" => Self::Sha1,
            "sha2-224" => Self::Sha224,
            "sha2-256" => Self::Sha256,
            "sha2-384" => Self::Sha384,
            "sha2-512" => Self::Sha512,
            "sha3-224" => Self::Sha3_224,
            "sha3-256" => Self::Sha3_256,
            "sha3-384" => Self::Sha3_384,
            "sha3-512" => Self::Sha3_512,
            _ => return None,
        })
    }

    pub(super) fn digest(self, data: &[u8]) -> Vec<u8> {
        match self.algorithm() {
            Some(algorithm) => digest::digest(algorithm, data).as_ref().to_vec(),
            None if self == Self::Sha3_224 => sha3::Sha3_224::digest(data).to_vec(),
            None => data.to_vec(),
        }
    }

    /// Of aws-lc-rs, where it has it.
    fn algorithm(self) -> Option<&'static digest::Algorithm> {
        Some(match self {
            Self::None | Self::Sha3_224 => return None,
            Self::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha224 => &digest::SHA224,
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
            Self::Sha3_256 => &digest::SHA3_256,
            Self::Sha3_384 => &digest::SHA3_384,
            Self::Sha3_512 => &digest::SHA3_512,
        })
    }

    /// Of aws-lc-rs, where it has it; SHA-3 is none of those.
    fn mac(self) -> Option<hmac::Algorithm> {
        match self {
            Self::Sha1 => Some(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY),
            Self::Sha224 => Some(hmac::HMAC_SHA224),
            Self::Sha256 => Some(hmac::HMAC_SHA256),
            Self::Sha384 => Some(hmac::HMAC_SHA384),
            Self::Sha512 => Some(hmac::HMAC_SHA512),
            Self::None | Self::Sha3_224 | Self::Sha3_256 | Self::Sha3_384 | Self::Sha3_512 => None,
        }
    }

    pub(super) fn hmac(self, key: &[u8], data: &[u8]) -> Vec<u8> {
        match self.mac() {
            Some(algorithm) => hmac::sign(&hmac::Key::new(algorithm, key), data).as_ref().to_vec(),
            None => self.hmac_of_parts(key, data),
        }
    }

    /// RFC 2104, from the hash function alone.
    fn hmac_of_parts(self, key: &[u8], data: &[u8]) -> Vec<u8> {
        let block = self.block();
        let mut padded = zeroize::Zeroizing::new([0_u8; MAX_BLOCK]);
        let short = if key.len() > block { self.digest(key) } else { key.to_vec() };
        let short = zeroize::Zeroizing::new(short);
        padded.iter_mut().zip(short.iter()).for_each(|(slot, byte)| *slot = *byte);
        let masked = |mask: u8, rest: &[u8]| {
            let mut input = zeroize::Zeroizing::new(Vec::with_capacity(block + rest.len()));
            input.extend(padded.iter().take(block).map(|byte| byte ^ mask));
            input.extend_from_slice(rest);
            self.digest(&input)
        };
        masked(0x5c, &masked(0x36, data))
    }

    fn block(self) -> usize {
        self.algorithm().map_or(MAX_BLOCK, digest::Algorithm::block_len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn digests_of_abc() {
        for (name, digest) in [
            ("sha1", "a9993e364706816aba3e25717850c26c9cd0d89d"),
            ("sha2-224", "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7"),
            ("sha2-256", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            ("sha3-224", "e642824c3f8cf24ad09234ee7d3c766fc9a3a5168d0c94ad73b46fdf"),
            ("sha3-256", "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532"),
            ("none", "616263"),
        ] {
            assert_eq!(hex::encode(Hash::parse(name).unwrap().digest(b"abc")), digest, "{name}");
        }
        assert_eq!(Hash::parse("md5"), None);
    }

    proptest! {
        #[test]
        fn our_hmac_is_the_libraries(key: Vec<u8>, data: Vec<u8>, long: bool) {
            let key = if long { key.repeat(40) } else { key };
            for hash in [Hash::Sha1, Hash::Sha256, Hash::Sha512] {
                prop_assert_eq!(hash.hmac_of_parts(&key, &data), hash.hmac(&key, &data));
            }
        }
    }
}
