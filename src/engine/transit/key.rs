//! A key as it is used: its record, and each version parsed the first time it is needed.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::OnceLock;

use super::kind::Kind;
use super::material::Material;
use super::record::{KeyRecord, Secret, Version};
use super::refusal::{Refusable, Refusal};

/// See the module. Never changed: a changed record makes a new one.
pub(super) struct Key {
    record: KeyRecord,
    parsed: BTreeMap<u32, OnceLock<Refusable<Material>>>,
}

const NO_SUCH_VERSION: &str = "no such key version";
pub(super) const TOO_OLD: &str = "ciphertext or signature version is disallowed by policy (too old)";

// === impl Key ===

impl Key {
    pub(super) fn new(record: KeyRecord) -> Self {
        let parsed = record.versions.keys().map(|version| (*version, OnceLock::new())).collect();
        Self { record, parsed }
    }

    pub(super) fn record(&self) -> &KeyRecord {
        &self.record
    }

    pub(super) fn kind(&self) -> Kind {
        self.record.kind
    }

    /// # Errors
    /// The key was deleted, if not for good.
    pub(super) fn check_usable(&self) -> Refusable<()> {
        if self.record.settings.soft_deleted {
            return Err(Refusal::user("refusing to use soft-deleted key"));
        }
        Ok(())
    }

    /// A version of this number that is there and not hidden by the minimum.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn version(&self, number: u32) -> Refusable<&Version> {
        self.record.version(number).ok_or_else(|| Refusal::user(NO_SUCH_VERSION))
    }

    /// # Errors
    /// There is no such version, or what is stored of it cannot be read.
    pub(super) fn material(&self, number: u32) -> Refusable<&Material> {
        let version = self.version(number)?;
        let slot = self.parsed.get(&number).ok_or_else(|| Refusal::user(NO_SUCH_VERSION))?;
        let derived = self.record.settings.derived;
        slot.get_or_init(|| Material::parse(self.kind(), derived, version)).as_ref().map_err(Clone::clone)
    }

    /// The version to encrypt or sign with: the newest where none (0) is asked for. `what` is the deed.
    ///
    /// # Errors
    /// It is not there, or below the minimum.
    pub(super) fn version_for(&self, asked: i64, what: &str) -> Refusable<u32> {
        let record = &self.record;
        let refused = |why: &str| Err(Refusal::user(format!("requested version for {what} is {why}")));
        match u32::try_from(asked) {
            Ok(0) => Ok(record.latest),
            Ok(number) if number > record.latest => refused("higher than the latest key version"),
            Ok(number) if number < record.min_encryption => {
                refused("less than the minimum encryption key version")
            }
            Ok(number) => Ok(number),
            Err(_) if asked < 0 => refused("negative"),
            Err(_) => refused("higher than the latest key version"),
        }
    }

    /// The version a ciphertext or signature names. `what` is the noun.
    ///
    /// # Errors
    /// There is no such version yet, or the minimum forbids it.
    pub(super) fn version_of(&self, named: i64, what: &str) -> Refusable<u32> {
        if named > i64::from(self.record.latest) {
            return Err(Refusal::user(format!("invalid {what}: version is too new")));
        }
        let number = u32::try_from(named).ok().filter(|number| *number >= self.record.min_decryption);
        number.ok_or_else(|| Refusal::user(TOO_OLD))
    }

    /// The key of HMACs.
    ///
    /// # Errors
    /// There is no such version.
    pub(super) fn mac_key(&self, number: i64) -> Refusable<&[u8]> {
        self.check_usable()?;
        let latest = self.record.latest;
        match u32::try_from(number) {
            Ok(number) if number <= latest => Ok(self.version(number)?.mac.expose()),
            Err(_) if number < 0 => Err(Refusal::user("key version does not exist (cannot be negative)")),
            _ => Err(Refusal::user(format!("key version does not exist; latest key version is {latest}"))),
        }
    }

    /// The bytes keys are derived from.
    ///
    /// # Errors
    /// There is no such version, or it has only a public half.
    pub(super) fn root(&self, number: u32) -> Refusable<&[u8]> {
        let private = self.version(number)?.private.as_ref();
        private.map(Secret::expose).ok_or_else(|| Refusal::internal("the key version has no private part"))
    }

    /// `length` bytes for `context`.
    ///
    /// # Errors
    /// There is no context or no such version.
    pub(super) fn derive(
        &self,
        number: u32,
        context: &[u8],
        length: usize,
    ) -> Refusable<zeroize::Zeroizing<Vec<u8>>> {
        if context.is_empty() {
            return Err(Refusal::user(MISSING_CONTEXT));
        }
        let derived = self.record.settings.kdf.derive(self.root(number)?, context, length);
        if derived.len() < length {
            return Err(Refusal::internal("could not derive key, length too small"));
        }
        Ok(derived)
    }
}

const MISSING_CONTEXT: &str = "missing 'context' for key derivation; the key was created using a derived key, which \
                               means additional, per-request information must be included in order to perform operations with the key";

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({}, version {})", self.kind().name(), self.record.latest)
    }
}
