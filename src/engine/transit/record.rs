//! A key as it is stored: settings and every version, at `policy/<name>`, as JSON behind the barrier.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::derive::Kdf;
use super::encoding;
use super::kind::Kind;

/// Of what this release writes.
const FORMAT: u8 = 1;
/// Of HMAC keys, in bytes.
pub(super) const MAC_KEY_BYTES: std::ops::RangeInclusive<usize> = 32..=512;

/// Bytes that are wiped, printed as nothing, and stored as base64.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Secret(Zeroizing<Vec<u8>>);

/// See the module.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct KeyRecord {
    format: u8,
    pub(super) kind: Kind,
    #[serde(default)]
    pub(super) settings: Settings,
    /// The newest version.
    pub(super) latest: u32,
    /// Older versions do not decrypt or verify, and are not shown.
    pub(super) min_decryption: u32,
    /// Older versions do not encrypt or sign; 0: only the newest does, unless another is asked for.
    pub(super) min_encryption: u32,
    /// Older versions are gone; 0: none was removed.
    pub(super) min_available: u32,
    pub(super) versions: BTreeMap<u32, Version>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) backed_up: Option<Noted>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) restored: Option<Noted>,
}

/// What was chosen for a key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Settings {
    pub(super) derived: bool,
    pub(super) kdf: Kdf,
    /// The same plaintext and context give the same ciphertext.
    pub(super) convergent: bool,
    /// Once allowed, it stays so.
    pub(super) exportable: bool,
    /// Once allowed, it stays so.
    pub(super) plaintext_backup: bool,
    pub(super) deletion_allowed: bool,
    pub(super) imported: bool,
    /// Whether an imported key may be rotated here.
    pub(super) rotates_imported: bool,
    pub(super) soft_deleted: bool,
    /// Seconds; 0: never by itself.
    pub(super) auto_rotate_secs: u64,
    /// Bytes of an HMAC key; 0 for other types.
    pub(super) key_size: usize,
}

/// One version's keys.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Version {
    #[serde(with = "time::serde::rfc3339")]
    pub(super) created: OffsetDateTime,
    /// Symmetric: the key. Ed25519: seed and public key. Others: PKCS #8. `None`: only the public half was imported.
    pub(super) private: Option<Secret>,
    /// Ed25519: 32 bytes. Others: `SubjectPublicKeyInfo`. Symmetric: empty.
    #[serde(default, with = "base64_bytes")]
    pub(super) public: Vec<u8>,
    pub(super) mac: Secret,
    /// How nonces are made of plaintexts; 0: they are random.
    #[serde(default)]
    pub(super) convergent_version: i32,
    /// Certificates of the public key, its own first, as DER in base64.
    #[serde(default)]
    pub(super) certificates: Vec<String>,
}

/// A backup or restore that happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Noted {
    #[serde(with = "time::serde::rfc3339")]
    pub(super) time: OffsetDateTime,
    /// The newest version then.
    pub(super) version: u32,
}

// === impl Secret ===

impl Secret {
    pub(super) fn new(bytes: impl Into<Zeroizing<Vec<u8>>>) -> Self {
        Self(bytes.into())
    }

    pub(super) fn random(length: usize) -> Self {
        let mut bytes = Zeroizing::new(vec![0; length]);
        crate::entropy::fill(&mut bytes);
        Self(bytes)
    }

    pub(super) fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&Zeroizing::new(encoding::encode(&self.0)))
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        encoding::decode(&text).map(Self).map_err(|refusal| serde::de::Error::custom(refusal.text()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

mod base64_bytes {
    use super::{Deserialize, Deserializer, Serializer, encoding};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&encoding::encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let decoded = encoding::decode(&String::deserialize(deserializer)?);
        decoded.map(|bytes| bytes.to_vec()).map_err(|refusal| serde::de::Error::custom(refusal.text()))
    }
}

// === impl KeyRecord ===

impl KeyRecord {
    /// A key without a version: [`push`](Self::push) one before it is stored.
    pub(super) fn empty(kind: Kind, settings: Settings) -> Self {
        Self {
            format: FORMAT,
            kind,
            settings,
            latest: 0,
            min_decryption: 1,
            min_encryption: 0,
            min_available: 0,
            versions: BTreeMap::new(),
            backed_up: None,
            restored: None,
        }
    }

    /// Makes `version` the newest.
    pub(super) fn push(&mut self, version: Version) {
        self.latest += 1;
        self.versions.insert(self.latest, version);
    }

    /// A version that is neither hidden by the minimum nor gone.
    pub(super) fn version(&self, version: u32) -> Option<&Version> {
        self.versions.get(&version).filter(|_| version >= self.min_decryption)
    }

    /// Every such version.
    pub(super) fn shown(&self) -> impl Iterator<Item = (u32, &Version)> {
        self.versions.range(self.min_decryption..).map(|(number, version)| (*number, version))
    }

    /// When the key is due to rotate by itself.
    pub(super) fn rotates_at(&self) -> Option<OffsetDateTime> {
        let period = self.settings.auto_rotate_secs;
        let created = self.versions.get(&self.latest)?.created;
        let period = time::Duration::seconds(i64::try_from(period).ok().filter(|secs| *secs > 0)?);
        created.checked_add(period)
    }
}
