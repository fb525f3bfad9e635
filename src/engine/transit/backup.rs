//! `backup` and `restore`: a whole key as one text, in the form Vault and OpenBao give and take.
//!
//! The form is JSON in base64: the key's settings, the versions that may decrypt, and an archive of all of them in which
//! a version's place is its number less the smallest that is left. Numbers of asymmetric keys are decimal.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::decimal;
use super::derive::Kdf;
use super::ecdsa::Ecdsa;
use super::encoding;
use super::kind::{Family, Kind};
use super::material::{CONVERGENT_VERSION, Material, ed25519_of_seed, unreadable};
use super::record::{KeyRecord, Noted, Secret, Settings, Version};
use super::refusal::{Refusable, Refusal};
use super::rsa::Numbers;

/// The whole text, before base64.
#[derive(Serialize, Deserialize)]
struct Backup {
    policy: Policy,
    archived_keys: Option<Archive>,
}

#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
struct Policy {
    name: String,
    #[serde(skip_serializing_if = "is_zero")]
    key_size: usize,
    keys: BTreeMap<u32, Entry>,
    derived: bool,
    kdf: u8,
    convergent_encryption: bool,
    exportable: bool,
    min_decryption_version: u32,
    min_encryption_version: u32,
    latest_version: u32,
    archive_version: u32,
    archive_min_version: u32,
    min_available_version: u32,
    deletion_allowed: bool,
    convergent_version: i32,
    #[serde(rename = "type")]
    kind: u8,
    backup_info: Option<Noted>,
    restore_info: Option<Noted>,
    allow_plaintext_backup: bool,
    version_template: String,
    storage_prefix: String,
    /// Nanoseconds.
    auto_rotate_period: u64,
    #[serde(rename = "Imported")]
    imported: bool,
    #[serde(rename = "AllowImportedKeyRotation")]
    rotates_imported: bool,
    soft_deleted: bool,
}

#[derive(Serialize, Deserialize, Default)]
struct Archive {
    #[serde(default)]
    keys: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    key: Option<Secret>,
    hmac_key: Option<Secret>,
    #[serde(with = "time::serde::rfc3339")]
    time: OffsetDateTime,
    ec_x: Option<Box<RawValue>>,
    ec_y: Option<Box<RawValue>>,
    ec_d: Option<Box<RawValue>>,
    rsa_key: Option<RsaEntry>,
    rsa_public_key: Option<RsaPublicEntry>,
    public_key: String,
    #[serde(default)]
    convergent_version: i32,
    #[serde(default)]
    creation_time: i64,
    #[serde(default)]
    certificate_chain: Option<Vec<String>>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RsaEntry {
    n: Box<RawValue>,
    e: Box<RawValue>,
    d: Box<RawValue>,
    primes: Vec<Box<RawValue>>,
    precomputed: RsaPrecomputed,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RsaPrecomputed {
    dp: Box<RawValue>,
    dq: Box<RawValue>,
    qinv: Box<RawValue>,
    #[serde(rename = "CRTValues", default)]
    crt_values: Vec<Box<RawValue>>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RsaPublicEntry {
    n: Box<RawValue>,
    e: Box<RawValue>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
fn is_zero(size: &usize) -> bool {
    *size == 0
}

/// The key as a text anybody can use who has it.
///
/// # Errors
/// What is stored cannot be read.
pub(super) fn write(name: &str, record: &KeyRecord) -> Refusable<Zeroizing<String>> {
    let entries: BTreeMap<u32, Entry> = record
        .versions
        .iter()
        .map(|(number, version)| Ok((*number, entry(record.kind, version)?)))
        .collect::<Refusable<_>>()?;
    let archive = (record.min_available..=record.latest).map(|number| match record.versions.get(&number) {
        Some(version) => entry(record.kind, version),
        None => Ok(Entry::none()),
    });
    let backup = Backup {
        archived_keys: Some(Archive { keys: archive.collect::<Refusable<_>>()? }),
        policy: Policy { keys: shown(record, entries), ..policy(name, record) },
    };
    let json = serde_json::to_vec(&backup).map(Zeroizing::new).map_err(|_| unreadable())?;
    Ok(Zeroizing::new(encoding::encode(&json)))
}

fn shown(record: &KeyRecord, entries: BTreeMap<u32, Entry>) -> BTreeMap<u32, Entry> {
    entries.into_iter().filter(|(number, _)| *number >= record.min_decryption).collect()
}

fn policy(name: &str, record: &KeyRecord) -> Policy {
    let settings = &record.settings;
    Policy {
        name: name.to_owned(),
        key_size: settings.key_size,
        keys: BTreeMap::new(),
        derived: settings.derived,
        kdf: u8::from(settings.derived && settings.kdf == Kdf::HkdfSha256),
        convergent_encryption: settings.convergent,
        exportable: settings.exportable,
        min_decryption_version: record.min_decryption,
        min_encryption_version: record.min_encryption,
        latest_version: record.latest,
        archive_version: record.latest,
        archive_min_version: record.min_available,
        min_available_version: record.min_available,
        deletion_allowed: settings.deletion_allowed,
        convergent_version: if settings.convergent { -1 } else { 0 },
        kind: record.kind.number(),
        backup_info: record.backed_up,
        restore_info: record.restored,
        allow_plaintext_backup: settings.plaintext_backup,
        version_template: String::new(),
        storage_prefix: String::new(),
        auto_rotate_period: settings.auto_rotate_secs.saturating_mul(1_000_000_000),
        imported: settings.imported,
        rotates_imported: settings.rotates_imported,
        soft_deleted: settings.soft_deleted,
    }
}

// === impl Entry ===

impl Entry {
    /// The place of a version that never was: numbers begin with 1.
    fn none() -> Self {
        Self {
            key: None,
            hmac_key: None,
            time: time::macros::datetime!(0001-01-01 0:00 UTC),
            ec_x: None,
            ec_y: None,
            ec_d: None,
            rsa_key: None,
            rsa_public_key: None,
            public_key: String::new(),
            convergent_version: 0,
            creation_time: 0,
            certificate_chain: None,
        }
    }
}

fn entry(kind: Kind, version: &Version) -> Refusable<Entry> {
    let mut entry = Entry {
        hmac_key: Some(version.mac.clone()),
        time: version.created,
        convergent_version: version.convergent_version,
        creation_time: version.created.unix_timestamp(),
        certificate_chain: (!version.certificates.is_empty()).then(|| version.certificates.clone()),
        ..Entry::none()
    };
    match kind.family() {
        Family::Aead | Family::Hmac => entry.key.clone_from(&version.private),
        Family::Ed25519 => {
            entry.key.clone_from(&version.private);
            entry.public_key = encoding::encode(&version.public);
        }
        Family::Ecdsa => fill_ecdsa(&mut entry, kind, version)?,
        Family::Rsa => fill_rsa(&mut entry, version)?,
    }
    Ok(entry)
}

fn fill_ecdsa(entry: &mut Entry, kind: Kind, version: &Version) -> Refusable<()> {
    let Material::Ecdsa(key) = Material::parse(kind, false, version)? else { return Err(unreadable()) };
    let point = super::der::inside_spki(&version.public).and_then(|bits| bits.strip_prefix(&[4]));
    let point = point.ok_or_else(unreadable)?;
    let (x, y) = point.split_at(point.len() / 2);
    entry.ec_x = Some(number(x)?);
    entry.ec_y = Some(number(y)?);
    entry.ec_d = key.private_number().map(|private| number(&private)).transpose()?;
    entry.public_key = encoding::pem("PUBLIC KEY", &version.public).to_string();
    Ok(())
}

fn fill_rsa(entry: &mut Entry, version: &Version) -> Refusable<()> {
    let Some(private) = &version.private else {
        let (n, e) = super::rsa::public_numbers(&version.public).ok_or_else(unreadable)?;
        entry.rsa_public_key = Some(RsaPublicEntry { n: number(&n)?, e: number(&e)? });
        return Ok(());
    };
    let numbers = Numbers::of_pkcs8(private.expose()).ok_or_else(unreadable)?;
    let [p, q] = &numbers.primes;
    let [dp, dq] = &numbers.exponents;
    entry.rsa_key = Some(RsaEntry {
        n: number(numbers.modulus.expose())?,
        e: number(numbers.public_exponent.expose())?,
        d: number(numbers.private_exponent.expose())?,
        primes: vec![number(p.expose())?, number(q.expose())?],
        precomputed: RsaPrecomputed {
            dp: number(dp.expose())?,
            dq: number(dq.expose())?,
            qinv: number(numbers.coefficient.expose())?,
            crt_values: Vec::new(),
        },
    });
    Ok(())
}

fn number(bytes: &[u8]) -> Refusable<Box<RawValue>> {
    RawValue::from_string(decimal::write(bytes).to_string()).map_err(|_| unreadable())
}

fn bytes(number: &RawValue) -> Refusable<Secret> {
    decimal::parse(number.get()).map(Secret::new).ok_or_else(unreadable)
}

/// The key of a backup, and the name it had.
///
/// # Errors
/// It is no backup, or of a key this release does not know.
pub(super) fn read(text: &str) -> Refusable<(String, KeyRecord)> {
    let json = encoding::decode(text).map_err(|refusal| Refusal::internal(refusal.text()))?;
    let backup: Backup = serde_json::from_slice(&json).map_err(|error| not_a_backup(&json, &error))?;
    let policy = backup.policy;
    let kind = Kind::from_number(policy.kind);
    let kind =
        kind.ok_or_else(|| Refusal::internal("the backup is of a key type this release does not know"))?;
    let mut record = KeyRecord::empty(kind, settings(&policy));
    record.latest = policy.latest_version;
    record.min_decryption = policy.min_decryption_version.max(1);
    record.min_encryption = policy.min_encryption_version;
    record.min_available = policy.min_available_version;
    record.backed_up = policy.backup_info;
    let archive = backup.archived_keys.unwrap_or_default().keys;
    let archived = (policy.archive_min_version..).zip(&archive).filter(|(number, _)| *number > 0);
    for (number, entry) in archived.chain(policy.keys.iter().map(|(number, entry)| (*number, entry))) {
        record.versions.insert(number, version(kind, &policy, entry)?);
    }
    check(&record)?;
    Ok((policy.name, record))
}

/// Every version that may be used must be there.
fn check(record: &KeyRecord) -> Refusable<()> {
    let mut usable = record.min_decryption..=record.latest;
    let complete = !usable.is_empty() && usable.all(|number| record.versions.contains_key(&number));
    if !complete {
        return Err(Refusal::internal("the backup misses versions of its key"));
    }
    Ok(())
}

/// The server names the first byte of what is not JSON.
fn not_a_backup(json: &[u8], error: &serde_json::Error) -> Refusal {
    let first = json.iter().find(|byte| !byte.is_ascii_whitespace());
    match first {
        Some(b'{') => Refusal::internal(format!(
            "the backup is not in the form this release reads: {:?} error at column {}",
            error.classify(),
            error.column()
        )),
        Some(byte) if byte.is_ascii_graphic() => Refusal::internal(format!(
            "invalid character '{}' looking for beginning of value",
            char::from(*byte)
        )),
        Some(byte) => {
            Refusal::internal(format!("invalid character '\\x{byte:02x}' looking for beginning of value"))
        }
        None => Refusal::internal("unexpected end of JSON input"),
    }
}

fn settings(policy: &Policy) -> Settings {
    Settings {
        derived: policy.derived,
        kdf: if policy.derived && policy.kdf == 0 { Kdf::HmacSha256Counter } else { Kdf::HkdfSha256 },
        convergent: policy.convergent_encryption,
        exportable: policy.exportable,
        plaintext_backup: policy.allow_plaintext_backup,
        deletion_allowed: policy.deletion_allowed,
        imported: policy.imported,
        rotates_imported: policy.rotates_imported,
        soft_deleted: policy.soft_deleted,
        auto_rotate_secs: policy.auto_rotate_period / 1_000_000_000,
        key_size: policy.key_size,
    }
}

fn version(kind: Kind, policy: &Policy, entry: &Entry) -> Refusable<Version> {
    let (private, public) = keys(kind, entry)?;
    let own = entry.convergent_version;
    let convergent_version = match policy.convergent_encryption {
        false => 0,
        true if own != 0 => own,
        // A key that never said so is of the first scheme.
        true => policy.convergent_version.clamp(1, CONVERGENT_VERSION - 1),
    };
    let mac = match (kind.family(), &entry.hmac_key, &private) {
        (Family::Hmac, _, Some(key)) => key.clone(),
        (_, Some(mac), _) => mac.clone(),
        (_, None, _) => Secret::random(32),
    };
    let certificates = entry.certificate_chain.clone().unwrap_or_default();
    let version = Version { created: entry.time, private, public, mac, convergent_version, certificates };
    Material::parse(kind, policy.derived, &version)?;
    Ok(version)
}

fn keys(kind: Kind, entry: &Entry) -> Refusable<(Option<Secret>, Vec<u8>)> {
    match kind.family() {
        Family::Aead | Family::Hmac => Ok((Some(entry.key.clone().ok_or_else(unreadable)?), Vec::new())),
        Family::Ed25519 => match &entry.key {
            Some(key) => {
                let (private, public) = ed25519_of_seed(key.expose().get(..32).ok_or_else(unreadable)?)?;
                Ok((Some(private), public))
            }
            None => Ok((None, encoding::decode(&entry.public_key)?.to_vec())),
        },
        Family::Ecdsa => ecdsa_keys(kind, entry),
        Family::Rsa => rsa_keys(entry),
    }
}

fn ecdsa_keys(kind: Kind, entry: &Entry) -> Refusable<(Option<Secret>, Vec<u8>)> {
    let public_only = || {
        let spki = encoding::pem_blocks(&entry.public_key).into_iter().next();
        spki.map(|(_, spki)| (None, spki)).ok_or_else(unreadable)
    };
    let (Some(d), Some(x), Some(y)) = (&entry.ec_d, &entry.ec_x, &entry.ec_y) else { return public_only() };
    let [d, x, y] = [bytes(d)?, bytes(x)?, bytes(y)?];
    let (private, public) = Ecdsa::from_numbers(kind, d.expose(), x.expose(), y.expose())?;
    Ok((Some(private), public))
}

fn rsa_keys(entry: &Entry) -> Refusable<(Option<Secret>, Vec<u8>)> {
    let Some(key) = &entry.rsa_key else {
        let public = entry.rsa_public_key.as_ref().ok_or_else(unreadable)?;
        let (n, e) = (bytes(&public.n)?, bytes(&public.e)?);
        return Ok((None, super::rsa::public_of_numbers(n.expose(), e.expose()).ok_or_else(unreadable)?));
    };
    let [p, q] = key.primes.as_slice() else {
        return Err(Refusal::internal("RSA keys of more than two primes are not supported"));
    };
    let numbers = Numbers {
        modulus: bytes(&key.n)?,
        public_exponent: bytes(&key.e)?,
        private_exponent: bytes(&key.d)?,
        primes: [bytes(p)?, bytes(q)?],
        exponents: [bytes(&key.precomputed.dp)?, bytes(&key.precomputed.dq)?],
        coefficient: bytes(&key.precomputed.qinv)?,
    };
    let (private, public) = numbers.stored()?;
    Ok((Some(private), public))
}
