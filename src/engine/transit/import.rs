//! Keys made elsewhere: `wrapping_key`, `import`, `import_version`.
//!
//! What is imported comes wrapped twice: the key under an AES key of its own (AES-KWP), that one under the mount's RSA
//! wrapping key (OAEP).

use aws_lc_rs::key_wrap::{AES_256, AesKek, KeyWrapPadded};
use aws_lc_rs::rsa::{
    OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OAEP_SHA384_MGF1SHA384, OAEP_SHA512_MGF1SHA512,
    OaepAlgorithm, OaepPrivateDecryptingKey, PrivateDecryptingKey,
};
use serde_json::json;
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::backend::Transit;
use super::ecdsa::Ecdsa;
use super::kind::{Family, Kind};
use super::record::{KeyRecord, MAC_KEY_BYTES, Secret, Settings, Version};
use super::refusal::{Refusable, Refusal};
use super::{der, encoding, keys, keystore, material, rsa};
use crate::logical::field::Fields;
use crate::logical::{Answer, Call, Fault, Response};

/// Where the wrapping key is; no key of the API can have this name.
const WRAPPING: &str = "import/wrapping-key";
/// Of a wrapping key of 4096 bits: the wrapped AES key.
const WRAPPED_BYTES: usize = 512;
const EPHEMERAL_BYTES: usize = 32;

/// A private and a public half, as they are stored.
type Halves = (Option<Secret>, Vec<u8>);

fn failed(text: impl Into<String>) -> Fault {
    Fault::Internal(text.into())
}

// === impl Transit ===

impl Transit {
    /// Makes the wrapping key the first time: the only time it writes.
    pub(super) fn wrapping_key(&self, call: &mut Call<'_>) -> Answer {
        let version = wrapping_key(call)?;
        Ok(Response::json(json!({ "public_key": encoding::pem("PUBLIC KEY", &version.public).as_str() })))
    }

    pub(super) fn import(&self, call: &mut Call<'_>) -> Answer {
        let fields = Fields::new(&call.request.data);
        if fields.has("convergent_encryption") {
            return Err(failed("import cannot be used on keys with convergent encryption enabled"));
        }
        let settings = settings(&fields)?;
        let name = fields.text("type")?.unwrap_or_else(|| Kind::Aes256.name().to_owned());
        let kind = Kind::parse(&name.to_lowercase());
        let kind = kind.ok_or_else(|| Fault::invalid(format!("unknown key type: {name}")))?;
        let name = call.captures.get("name");
        if self.keys.load(&mut call.store, name)?.is_some() {
            return Err(failed(
                "the import path cannot be used with an existing key; use import-version to rotate an existing imported \
                 key",
            ));
        }
        let given = given(call, &fields, kind)?;
        keys::check_derivation(kind, &settings)?;
        let importing = |refusal: Refusal| failed(format!("error importing key: {}", refusal.text()));
        let (private, public) = halves(kind, settings.derived, given).map_err(importing)?;
        let key_size = size_of(kind, private.as_ref());
        let settings = Settings { key_size, ..settings };
        let version = material::version(kind, &settings, private, public, call.now);
        let mut record = KeyRecord::empty(kind, settings);
        record.push(version);
        keystore::store(&mut call.store, name, &record)?;
        Ok(Response::empty())
    }

    pub(super) fn import_version(&self, call: &mut Call<'_>) -> Answer {
        let fields = Fields::new(&call.request.data);
        let name = call.captures.get("name");
        let missing = || {
            failed(format!("no key found with name {name}; to import a new key, use the import/ endpoint"))
        };
        let key = self.keys.load(&mut call.store, name)?.ok_or_else(missing)?;
        let mut record = key.record().clone();
        if !record.settings.imported {
            return Err(failed("the import_version endpoint can only be used with an imported key"));
        }
        let given = given(call, &fields, record.kind)?;
        key.check_usable().map_err(|refusal| failed(refusal.text()))?;
        let halves =
            halves(record.kind, record.settings.derived, given).map_err(|refusal| failed(refusal.text()))?;
        match fields.int("version")? {
            Some(number) => complete(&mut record, number, halves)?,
            None => add(&mut record, halves, call.now),
        }
        keystore::store(&mut call.store, name, &record)?;
        Ok(Response::empty())
    }
}

fn settings(fields: &Fields<'_>) -> Result<Settings, Fault> {
    let flag = |name: &str| fields.flag(name).map(|flag| flag.unwrap_or(false));
    let auto_rotate_secs = fields.seconds("auto_rotate_period")?.unwrap_or(0);
    let rotates_imported = flag("allow_rotation")?;
    if auto_rotate_secs > 0 && !rotates_imported {
        return Err(failed("allow_rotation must be set to true if auto-rotation is enabled"));
    }
    keys::check_period(auto_rotate_secs)?;
    Ok(Settings {
        derived: flag("derived")?,
        exportable: flag("exportable")?,
        plaintext_backup: flag("allow_plaintext_backup")?,
        imported: true,
        rotates_imported,
        auto_rotate_secs,
        ..Settings::default()
    })
}

/// The mount's wrapping key, made the first time.
fn wrapping_key(call: &mut Call<'_>) -> Result<Version, Fault> {
    if let Some(version) = call.store.get_record::<Version>(WRAPPING)? {
        return Ok(version);
    }
    // A transaction that cannot write is told so before the key is made, which takes its time.
    call.store.put_record(WRAPPING, &())?;
    let version = material::generate(Kind::Rsa4096, &Settings::default(), call.now)?;
    call.store.put_record(WRAPPING, &version)?;
    Ok(version)
}

/// What a request brings.
enum Given {
    /// Unwrapped.
    Private(Zeroizing<Vec<u8>>),
    /// PEM.
    Public(String),
}

fn given(call: &mut Call<'_>, fields: &Fields<'_>, kind: Kind) -> Result<Given, Fault> {
    if !fields.has("ciphertext") {
        if !kind.has_public_half() {
            return Err(failed("provided type does not support public_key import"));
        }
        return Ok(Given::Public(fields.text("public_key")?.unwrap_or_default()));
    }
    let name = fields.text("hash_function")?.unwrap_or_else(|| "SHA256".to_owned());
    let hash = oaep(&name).ok_or_else(|| Fault::invalid(format!("unknown hash function: {name}")))?;
    let wrapped = fields.text("ciphertext")?.unwrap_or_default();
    let wrapped = encoding::decode(&wrapped).map_err(|refusal| failed(refusal.text()))?;
    let split = wrapped.split_at_checked(WRAPPED_BYTES).filter(|(_, rest)| !rest.is_empty());
    let (ephemeral, key) = split.ok_or_else(|| failed("provided ciphertext is too short"))?;
    let wrapping = wrapping_key(call)?;
    Ok(Given::Private(unwrap(&wrapping, hash, ephemeral, key)?))
}

fn oaep(name: &str) -> Option<&'static OaepAlgorithm> {
    match name.to_uppercase().as_str() {
        "SHA1" => Some(&OAEP_SHA1_MGF1SHA1),
        "SHA256" => Some(&OAEP_SHA256_MGF1SHA256),
        "SHA384" => Some(&OAEP_SHA384_MGF1SHA384),
        "SHA512" => Some(&OAEP_SHA512_MGF1SHA512),
        _ => None,
    }
}

fn unwrap(
    wrapping: &Version,
    hash: &'static OaepAlgorithm,
    ephemeral: &[u8],
    key: &[u8],
) -> Refusable<Zeroizing<Vec<u8>>> {
    let private = wrapping.private.as_ref().map(Secret::expose).unwrap_or_default();
    let decrypting = PrivateDecryptingKey::from_pkcs8(private)
        .ok()
        .and_then(|key| OaepPrivateDecryptingKey::new(key).ok());
    let decrypting = decrypting.ok_or_else(material::unreadable)?;
    let mut kek = Zeroizing::new(vec![0; decrypting.min_output_size()]);
    let kek_length = decrypting
        .decrypt(hash, ephemeral, &mut kek, None)
        .map(|kek| kek.len())
        .map_err(|_| Refusal::internal("crypto/rsa: decryption error"))?;
    let kek = kek.get(..kek_length).filter(|kek| kek.len() == EPHEMERAL_BYTES);
    let kek = kek.ok_or_else(|| Refusal::internal("expected ephemeral AES key to be 256-bit"))?;
    let mut unwrapped = Zeroizing::new(vec![0; key.len()]);
    let broken = || Refusal::internal("unwrapping failed: the wrapped key is damaged");
    let kek = AesKek::new(&AES_256, kek).map_err(|_| broken())?;
    let length = kek.unwrap_with_padding(key, &mut unwrapped).map(|key| key.len()).map_err(|_| broken())?;
    unwrapped.truncate(length);
    Ok(unwrapped)
}

fn halves(kind: Kind, derived: bool, given: Given) -> Refusable<Halves> {
    match given {
        Given::Private(key) => {
            private_halves(kind, derived, &key).map(|(private, public)| (Some(private), public))
        }
        Given::Public(_) if derived => Err(Refusal::internal(
            "unable to import only public key for derived Ed25519 key: imported key should not be an Ed25519 key pair but \
             is instead an HKDF key",
        )),
        Given::Public(text) => public_half(kind, &text).map(|public| (None, public)),
    }
}

fn private_halves(kind: Kind, derived: bool, key: &[u8]) -> Refusable<(Secret, Vec<u8>)> {
    let not_such_a_key =
        || Refusal::internal(format!("error parsing asymmetric key: it is no {} key", kind.name()));
    match kind.family() {
        Family::Aead | Family::Hmac => symmetric(kind, key),
        // Its bytes are what keys are derived from: any key of the type.
        Family::Ed25519 => {
            let _derived = derived;
            material::ed25519_of_seed(ed25519_seed(key).ok_or_else(not_such_a_key)?)
        }
        Family::Ecdsa => Ecdsa::from_pkcs8(kind, key).ok_or_else(not_such_a_key),
        Family::Rsa => {
            let (private, public, bits) = rsa::from_pkcs8(key).ok_or_else(not_such_a_key)?;
            check_bits(kind, bits)?;
            Ok((private, public))
        }
    }
}

fn symmetric(kind: Kind, key: &[u8]) -> Refusable<(Secret, Vec<u8>)> {
    let fits =
        if kind == Kind::Hmac { MAC_KEY_BYTES.contains(&key.len()) } else { key.len() == kind.key_bytes() };
    if fits {
        return Ok((Secret::new(key.to_vec()), Vec::new()));
    }
    Err(Refusal::internal(format!("invalid key size {} bytes for key type {}", key.len(), kind.name())))
}

/// PKCS #8 holds the seed as an octet string in an octet string.
fn ed25519_seed(document: &[u8]) -> Option<&[u8]> {
    let (seed, _) = der::take(der::inside_pkcs8(document)?, der::OCTETS)?;
    aws_lc_rs::signature::Ed25519KeyPair::from_pkcs8_maybe_unchecked(document).ok()?;
    (seed.len() == 32).then_some(seed)
}

fn check_bits(kind: Kind, bits: usize) -> Refusable<()> {
    let expected = kind.modulus_bits();
    if bits == expected {
        return Ok(());
    }
    Err(Refusal::internal(format!("invalid key size: expected {expected} bits, got {bits} bits")))
}

fn public_half(kind: Kind, text: &str) -> Refusable<Vec<u8>> {
    let block = encoding::pem_blocks(text).into_iter().next();
    let (_, spki) = block.ok_or_else(|| Refusal::internal("error parsing public key: not in PEM format"))?;
    let mismatch = || Refusal::internal(format!("error parsing public key: it is no {} key", kind.name()));
    match kind.family() {
        Family::Ecdsa if Ecdsa::is_public(kind, &spki) => Ok(spki),
        Family::Rsa => {
            check_bits(kind, rsa::public_bits(&spki).ok_or_else(mismatch)?)?;
            Ok(spki)
        }
        Family::Ed25519 => {
            let raw = der::inside_spki(&spki).filter(|raw| raw.len() == 32);
            raw.map(<[u8]>::to_vec).ok_or_else(mismatch)
        }
        Family::Ecdsa | Family::Aead | Family::Hmac => Err(mismatch()),
    }
}

fn size_of(kind: Kind, private: Option<&Secret>) -> usize {
    if kind == Kind::Hmac { private.map_or(0, |key| key.expose().len()) } else { 0 }
}

/// The newest version, or the private half the newest one misses.
fn add(record: &mut KeyRecord, (private, public): Halves, now: OffsetDateTime) {
    let latest = record.versions.get_mut(&record.latest);
    if let Some(latest) =
        latest.filter(|latest| latest.private.is_none() && private.is_some() && latest.public == public)
    {
        latest.private = private;
        return;
    }
    record.settings.key_size = size_of(record.kind, private.as_ref());
    let version = material::version(record.kind, &record.settings, private, public, now);
    record.push(version);
}

/// Gives a version the private half it misses.
fn complete(record: &mut KeyRecord, number: i64, (private, public): Halves) -> Result<(), Fault> {
    let kind = record.kind;
    let version = u32::try_from(number).ok().filter(|number| *number >= record.min_decryption);
    let version = version.and_then(|number| record.versions.get_mut(&number));
    let version = version.ok_or_else(|| Fault::invalid("no such key version"))?;
    if !kind.has_public_half() {
        return Err(failed("provided type does not support importing key versions"));
    }
    match (&version.private, private) {
        (Some(_), _) => Err(failed("private key imported, key version cannot be updated")),
        (None, None) => {
            Err(failed("cannot add a public key to a key version that already has a public key set"))
        }
        (None, Some(_)) if version.public != public => {
            Err(failed("cannot import key: the private key does not match the version's public key"))
        }
        (None, private @ Some(_)) => {
            version.private = private;
            Ok(())
        }
    }
}
