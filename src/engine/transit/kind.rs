//! Key types: names, what each can do, and the numbers backups call them by.

use serde::{Deserialize, Serialize};

/// A key's type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) enum Kind {
    #[serde(rename = "aes128-gcm96")]
    Aes128,
    #[serde(rename = "aes256-gcm96")]
    Aes256,
    #[serde(rename = "chacha20-poly1305")]
    ChaCha20,
    #[serde(rename = "xchacha20-poly1305")]
    XChaCha20,
    #[serde(rename = "ed25519")]
    Ed25519,
    #[serde(rename = "ecdsa-p256")]
    P256,
    #[serde(rename = "ecdsa-p384")]
    P384,
    #[serde(rename = "ecdsa-p521")]
    P521,
    #[serde(rename = "rsa-2048")]
    Rsa2048,
    #[serde(rename = "rsa-3072")]
    Rsa3072,
    #[serde(rename = "rsa-4096")]
    Rsa4096,
    #[serde(rename = "hmac")]
    Hmac,
}

/// What types have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    Aead,
    Ed25519,
    Ecdsa,
    Rsa,
    Hmac,
}

/// Every type, its name on the wire and its number in backups.
const KINDS: &[(Kind, &str, u8)] = &[
    (Kind::Aes256, "aes256-gcm96", 0),
    (Kind::P256, "ecdsa-p256", 1),
    (Kind::Ed25519, "ed25519", 2),
    (Kind::Rsa2048, "rsa-2048", 3),
    (Kind::Rsa4096, "rsa-4096", 4),
    (Kind::ChaCha20, "chacha20-poly1305", 5),
    (Kind::P384, "ecdsa-p384", 6),
    (Kind::P521, "ecdsa-p521", 7),
    (Kind::Aes128, "aes128-gcm96", 8),
    (Kind::Rsa3072, "rsa-3072", 9),
    (Kind::Hmac, "hmac", 10),
    (Kind::XChaCha20, "xchacha20-poly1305", 11),
];

// === impl Kind ===

impl Kind {
    pub(super) fn parse(name: &str) -> Option<Self> {
        KINDS.iter().find(|(_, known, _)| *known == name).map(|(kind, ..)| *kind)
    }

    pub(super) fn from_number(number: u8) -> Option<Self> {
        KINDS.iter().find(|(.., known)| *known == number).map(|(kind, ..)| *kind)
    }

    fn row(self) -> (&'static str, u8) {
        let row = KINDS.iter().find(|(kind, ..)| *kind == self);
        row.map(|(_, name, number)| (*name, *number)).expect("every type has its row")
    }

    pub(super) fn name(self) -> &'static str {
        self.row().0
    }

    pub(super) fn number(self) -> u8 {
        self.row().1
    }

    pub(super) fn family(self) -> Family {
        match self {
            Self::Aes128 | Self::Aes256 | Self::ChaCha20 | Self::XChaCha20 => Family::Aead,
            Self::Ed25519 => Family::Ed25519,
            Self::P256 | Self::P384 | Self::P521 => Family::Ecdsa,
            Self::Rsa2048 | Self::Rsa3072 | Self::Rsa4096 => Family::Rsa,
            Self::Hmac => Family::Hmac,
        }
    }

    pub(super) fn encrypts(self) -> bool {
        matches!(self.family(), Family::Aead | Family::Rsa)
    }

    pub(super) fn signs(self) -> bool {
        matches!(self.family(), Family::Ed25519 | Family::Ecdsa | Family::Rsa)
    }

    pub(super) fn derives(self) -> bool {
        matches!(self.family(), Family::Aead | Family::Ed25519)
    }

    /// Whether a signature is of the input's hash rather than of the input.
    pub(super) fn hashes_input(self) -> bool {
        matches!(self.family(), Family::Ecdsa | Family::Rsa)
    }

    /// Whether a public half may be imported alone.
    pub(super) fn has_public_half(self) -> bool {
        self.signs()
    }

    /// Bytes of a symmetric key; 0 for the others.
    pub(super) fn key_bytes(self) -> usize {
        match self {
            Self::Aes128 => 16,
            Self::Aes256 | Self::ChaCha20 | Self::XChaCha20 => 32,
            Self::Ed25519
            | Self::P256
            | Self::P384
            | Self::P521
            | Self::Rsa2048
            | Self::Rsa3072
            | Self::Rsa4096
            | Self::Hmac => 0,
        }
    }

    /// Of an RSA key; 0 for the others.
    pub(super) fn modulus_bits(self) -> usize {
        match self {
            Self::Rsa2048 => 2048,
            Self::Rsa3072 => 3072,
            Self::Rsa4096 => 4096,
            Self::Aes128
            | Self::Aes256
            | Self::ChaCha20
            | Self::XChaCha20
            | Self::Ed25519
            | Self::P256
            | Self::P384
            | Self::P521
            | Self::Hmac => 0,
        }
    }

    /// What `keys` calls a version of an asymmetric key.
    pub(super) fn version_name(self) -> &'static str {
        match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::P521 => "P-521",
            Self::Aes128
            | Self::Aes256
            | Self::ChaCha20
            | Self::XChaCha20
            | Self::Ed25519
            | Self::Rsa2048
            | Self::Rsa3072
            | Self::Rsa4096
            | Self::Hmac => self.name(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_go_both_ways() {
        for (kind, name, number) in KINDS {
            assert_eq!(Kind::parse(name), Some(*kind));
            assert_eq!(Kind::from_number(*number), Some(*kind));
            assert_eq!((kind.name(), kind.number()), (*name, *number));
            assert_eq!(serde_json::to_string(kind).unwrap(), format!("{name:?}"));
        }
        assert_eq!((Kind::parse("nosuch"), Kind::from_number(12)), (None, None));
    }
}
