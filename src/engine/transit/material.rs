//! Keys in the form the cryptography takes: made new, or parsed from what is stored.

use std::fmt;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::cipher::Cipher;
use super::ecdsa::Ecdsa;
use super::kind::{Family, Kind};
use super::record::{Secret, Settings, Version};
use super::refusal::{Refusable, Refusal};
use super::rsa::Rsa;

/// The scheme convergent nonces are made by: an HMAC of the plaintext.
pub(super) const CONVERGENT_VERSION: i32 = 3;
const MAC_KEY_BYTES: usize = 32;
const SEED_BYTES: usize = 32;

/// A version's key, parsed.
pub(super) enum Material {
    Cipher(Cipher),
    /// Keys are derived from it, or it is an HMAC's: there is nothing to parse.
    Bytes,
    Ed25519(Option<Ed25519KeyPair>),
    Ecdsa(Ecdsa),
    Rsa(Rsa),
}

/// A new version.
///
/// # Errors
/// An HMAC key's size is out of bounds, or the library failed.
pub(super) fn generate(kind: Kind, settings: &Settings, now: OffsetDateTime) -> Refusable<Version> {
    let (private, public) = match kind.family() {
        Family::Aead => (Secret::random(kind.key_bytes()), Vec::new()),
        Family::Hmac => (Secret::random(mac_key_size(settings.key_size)?), Vec::new()),
        Family::Ed25519 => generate_ed25519()?,
        Family::Ecdsa => Ecdsa::generate(kind)?,
        Family::Rsa => generate_rsa(kind)?,
    };
    Ok(version(kind, settings, Some(private), public, now))
}

/// A version of these keys, with an HMAC key of its own.
pub(super) fn version(
    kind: Kind,
    settings: &Settings,
    private: Option<Secret>,
    public: Vec<u8>,
    now: OffsetDateTime,
) -> Version {
    let mac = match (&private, kind.family()) {
        (Some(key), Family::Hmac) => key.clone(),
        _ => Secret::random(MAC_KEY_BYTES),
    };
    let convergent_version = if settings.convergent { CONVERGENT_VERSION } else { 0 };
    Version { created: now, private, public, mac, convergent_version, certificates: Vec::new() }
}

fn mac_key_size(size: usize) -> Refusable<usize> {
    let bounds = super::record::MAC_KEY_BYTES;
    if bounds.contains(&size) {
        return Ok(size);
    }
    Err(Refusal::internal("invalid key size for HMAC key, must be between 32 and 512 bytes"))
}

fn generate_ed25519() -> Refusable<(Secret, Vec<u8>)> {
    let seed: Zeroizing<[u8; SEED_BYTES]> = Zeroizing::new(crate::entropy::bytes());
    ed25519_of_seed(&*seed)
}

/// Seed and public key, and the public key, as they are stored.
pub(super) fn ed25519_of_seed(seed: &[u8]) -> Refusable<(Secret, Vec<u8>)> {
    let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| unreadable())?;
    let public = pair.public_key().as_ref().to_vec();
    Ok((Secret::new([seed, public.as_slice()].concat()), public))
}

fn generate_rsa(kind: Kind) -> Refusable<(Secret, Vec<u8>)> {
    let size = match kind.modulus_bits() {
        3072 => KeySize::Rsa3072,
        4096 => KeySize::Rsa4096,
        _ => KeySize::Rsa2048,
    };
    let failed = || Refusal::internal("the key could not be generated");
    let pair = aws_lc_rs::rsa::KeyPair::generate(size).map_err(|_| failed())?;
    let private = AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).map_err(|_| failed())?;
    let public = AsDer::<PublicKeyX509Der<'_>>::as_der(pair.public_key()).map_err(|_| failed())?;
    Ok((Secret::new(private.as_ref().to_vec()), public.as_ref().to_vec()))
}

// === impl Material ===

impl Material {
    /// # Errors
    /// What is stored is not such a key.
    pub(super) fn parse(kind: Kind, derived: bool, version: &Version) -> Refusable<Self> {
        let private = version.private.as_ref().map(Secret::expose);
        Ok(match kind.family() {
            Family::Aead | Family::Ed25519 if derived => Self::Bytes,
            Family::Hmac => Self::Bytes,
            Family::Aead => Self::Cipher(Cipher::new(kind, private.unwrap_or_default())?),
            Family::Ed25519 => Self::Ed25519(private.map(parse_ed25519).transpose()?),
            Family::Ecdsa => Self::Ecdsa(Ecdsa::parse(kind, private, &version.public)?),
            Family::Rsa => Self::Rsa(Rsa::parse(private, &version.public)?),
        })
    }
}

/// From the seed, or seed and public key.
pub(super) fn parse_ed25519(stored: &[u8]) -> Refusable<Ed25519KeyPair> {
    let seed = stored.get(..SEED_BYTES).ok_or_else(unreadable)?;
    Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| unreadable())
}

pub(super) fn unreadable() -> Refusal {
    Refusal::internal("the stored key cannot be read")
}

impl fmt::Debug for Material {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cipher(_) => "Cipher",
            Self::Bytes => "Bytes",
            Self::Ed25519(_) => "Ed25519",
            Self::Ecdsa(_) => "Ecdsa",
            Self::Rsa(_) => "Rsa",
        })
    }
}
