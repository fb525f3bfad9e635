//! RSA: encryption with OAEP, signatures with PSS and PKCS #1 v1.5.
//!
//! aws-lc-rs signs over SHA-256, SHA-384 and SHA-512; other hashes are refused for RSA keys.

use std::fmt;

use aws_lc_rs::digest::{self, Digest};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::{
    KeyPair as RsaKeyPair, KeyPairComponents, OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey,
    OaepPublicEncryptingKey, PrivateDecryptingKey, PublicEncryptingKey, PublicKeyComponents,
};
use aws_lc_rs::signature::{
    KeyPair, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512,
    RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RsaParameters, RsaSignatureEncoding,
    UnparsedPublicKey,
};
use zeroize::Zeroizing;

use super::der;
use super::hash::Hash;
use super::material::unreadable;
use super::pss::{self, Salt};
use super::record::Secret;
use super::refusal::{Refusable, Refusal};

/// How a hash is padded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Padding {
    Pss(Salt),
    Pkcs1,
}

/// A key, or its public half.
pub(super) struct Rsa {
    pair: Option<RsaKeyPair>,
    decrypting: Option<OaepPrivateDecryptingKey>,
    encrypting: OaepPublicEncryptingKey,
    /// PKCS #1.
    public: Vec<u8>,
    bits: usize,
}

/// The numbers of a private key, without leading zeros.
#[derive(Debug)]
pub(super) struct Numbers {
    pub(super) modulus: Secret,
    pub(super) public_exponent: Secret,
    pub(super) private_exponent: Secret,
    pub(super) primes: [Secret; 2],
    pub(super) exponents: [Secret; 2],
    pub(super) coefficient: Secret,
}

// === impl Rsa ===

impl Rsa {
    pub(super) fn parse(private: Option<&[u8]>, public: &[u8]) -> Refusable<Self> {
        let pair = private.map(RsaKeyPair::from_pkcs8).transpose().map_err(|_| unreadable())?;
        let decrypting = private.map(|document| {
            PrivateDecryptingKey::from_pkcs8(document)
                .ok()
                .and_then(|key| OaepPrivateDecryptingKey::new(key).ok())
        });
        let encrypting = PublicEncryptingKey::from_der(public).map_err(|_| unreadable())?;
        let bits = encrypting.key_size_bits();
        Ok(Self {
            pair,
            decrypting: decrypting.map(|key| key.ok_or_else(unreadable)).transpose()?,
            encrypting: OaepPublicEncryptingKey::new(encrypting).map_err(|_| unreadable())?,
            public: der::inside_spki(public).ok_or_else(unreadable)?.to_vec(),
            bits,
        })
    }

    pub(super) fn encrypt(&self, plaintext: &[u8]) -> Refusable<Vec<u8>> {
        let mut sealed = vec![0; self.encrypting.ciphertext_size()];
        if plaintext.len() > self.encrypting.max_plaintext_size(&OAEP_SHA256_MGF1SHA256) {
            let why = "crypto/rsa: message too long for RSA key size";
            return Err(Refusal::internal(format!("failed to RSA encrypt the plaintext: {why}")));
        }
        self.encrypting
            .encrypt(&OAEP_SHA256_MGF1SHA256, plaintext, &mut sealed, None)
            .map_err(|_| Refusal::internal("failed to RSA encrypt the plaintext"))?;
        Ok(sealed)
    }

    pub(super) fn decrypt(&self, sealed: &[u8]) -> Refusable<Zeroizing<Vec<u8>>> {
        let missing = "cannot decrypt ciphertext, key version does not have a private counterpart";
        let key = self.decrypting.as_ref().ok_or_else(|| Refusal::internal(missing))?;
        let mut plaintext = Zeroizing::new(vec![0; key.min_output_size()]);
        let failed = "failed to RSA decrypt the ciphertext: crypto/rsa: decryption error";
        let length = key
            .decrypt(&OAEP_SHA256_MGF1SHA256, sealed, &mut plaintext, None)
            .map(|plaintext| plaintext.len())
            .map_err(|_| Refusal::internal(failed))?;
        plaintext.truncate(length);
        Ok(plaintext)
    }

    pub(super) fn sign(&self, hash: Hash, hashed: &[u8], padding: Padding) -> Refusable<Vec<u8>> {
        let failed = || Refusal::internal("signature could not be computed");
        let pair = self.pair.as_ref().ok_or_else(failed)?;
        let encoding: &'static RsaSignatureEncoding = match padding {
            Padding::Pss(salt) => {
                self.check_salt(salt, hash)?;
                pss::signing(algorithm(hash)?, salt).ok_or_else(failed)?
            }
            Padding::Pkcs1 => pkcs1_signing(algorithm(hash)?),
        };
        let digest = import(hash, hashed)?;
        let mut signature = vec![0; pair.public_modulus_len()];
        pair.sign_digest(encoding, &digest, &mut signature).map_err(|_| failed())?;
        Ok(signature)
    }

    pub(super) fn verify(
        &self,
        hash: Hash,
        hashed: &[u8],
        padding: Padding,
        signature: &[u8],
    ) -> Refusable<bool> {
        let parameters = match padding {
            Padding::Pkcs1 => Some(pkcs1_verifying(algorithm(hash)?)),
            Padding::Pss(salt) => {
                self.check_salt(salt, hash)?;
                pss::verifying(algorithm(hash)?, salt, &self.public, signature)
            }
        };
        let (Some(parameters), Ok(digest)) = (parameters, import(hash, hashed)) else { return Ok(false) };
        Ok(UnparsedPublicKey::new(parameters, &self.public).verify_digest(&digest, signature).is_ok())
    }

    /// A salt must leave room for the hash.
    fn check_salt(&self, salt: Salt, hash: Hash) -> Refusable<()> {
        let Salt::Bytes(asked) = salt else { return Ok(()) };
        let room = self.bits.div_ceil(8).saturating_sub(2 + algorithm(hash)?.output_len());
        if usize::from(asked) <= room && self.bits % 8 != 1 {
            return Ok(());
        }
        Err(Refusal::user(format!("requested salt length {asked} is invalid")))
    }
}

/// The hashes the library signs over.
fn algorithm(hash: Hash) -> Refusable<&'static digest::Algorithm> {
    match hash {
        Hash::Sha256 => Ok(&digest::SHA256),
        Hash::Sha384 => Ok(&digest::SHA384),
        Hash::Sha512 => Ok(&digest::SHA512),
        Hash::None
        | Hash::Sha1
        | Hash::Sha224
        | Hash::Sha3_224
        | Hash::Sha3_256
        | Hash::Sha3_384
        | Hash::Sha3_512 => {
            Err(Refusal::user("unsupported hash algorithm for RSA keys: use sha2-256, sha2-384 or sha2-512"))
        }
    }
}

fn import(hash: Hash, hashed: &[u8]) -> Refusable<Digest> {
    Digest::import_less_safe(hashed, algorithm(hash)?)
        .map_err(|_| Refusal::internal("crypto/rsa: input must be hashed with given hash"))
}

fn pkcs1_signing(digest: &'static digest::Algorithm) -> &'static RsaSignatureEncoding {
    if *digest == digest::SHA256 {
        &RSA_PKCS1_SHA256
    } else if *digest == digest::SHA384 {
        &RSA_PKCS1_SHA384
    } else {
        &RSA_PKCS1_SHA512
    }
}

fn pkcs1_verifying(digest: &'static digest::Algorithm) -> &'static RsaParameters {
    if *digest == digest::SHA256 {
        &RSA_PKCS1_2048_8192_SHA256
    } else if *digest == digest::SHA384 {
        &RSA_PKCS1_2048_8192_SHA384
    } else {
        &RSA_PKCS1_2048_8192_SHA512
    }
}

impl fmt::Debug for Rsa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rsa({} bits)", self.bits)
    }
}

// === impl Numbers ===

impl Numbers {
    /// Of a stored private key.
    pub(super) fn of_pkcs8(document: &[u8]) -> Option<Self> {
        let (fields, _) = der::take(der::inside_pkcs8(document)?, der::SEQUENCE)?;
        let (_version, mut rest) = der::take_unsigned(fields)?;
        let mut next = || {
            let (number, after) = der::take_unsigned(rest)?;
            rest = after;
            Some(Secret::new(number.to_vec()))
        };
        Some(Self {
            modulus: next()?,
            public_exponent: next()?,
            private_exponent: next()?,
            primes: [next()?, next()?],
            exponents: [next()?, next()?],
            coefficient: next()?,
        })
    }

    /// Private and public half, as they are stored.
    ///
    /// # Errors
    /// They are not the numbers of one key.
    pub(super) fn stored(&self) -> Refusable<(Secret, Vec<u8>)> {
        let [p, q] = &self.primes;
        let [dp, dq] = &self.exponents;
        let components = KeyPairComponents {
            public_key: PublicKeyComponents { n: self.modulus.expose(), e: self.public_exponent.expose() },
            d: self.private_exponent.expose(),
            p: p.expose(),
            q: q.expose(),
            dP: dp.expose(),
            dQ: dq.expose(),
            qInv: self.coefficient.expose(),
        };
        let pair = RsaKeyPair::from_components(&components).map_err(|_| unreadable())?;
        stored(&pair)
    }
}

/// Of PKCS #8 from elsewhere: private and public half as they are stored, and the bits of the modulus.
pub(super) fn from_pkcs8(document: &[u8]) -> Option<(Secret, Vec<u8>, usize)> {
    let pair = RsaKeyPair::from_pkcs8(document).ok()?;
    let (private, public) = stored(&pair).ok()?;
    let bits = public_bits(&public)?;
    Some((private, public, bits))
}

/// Bits of the modulus of a public key; `None`: it is none.
pub(super) fn public_bits(spki: &[u8]) -> Option<usize> {
    PublicEncryptingKey::from_der(spki).ok().map(|key| key.key_size_bits())
}

fn stored(pair: &RsaKeyPair) -> Refusable<(Secret, Vec<u8>)> {
    let private = AsDer::<Pkcs8V1Der<'_>>::as_der(pair).map_err(|_| unreadable())?;
    let public = AsDer::<PublicKeyX509Der<'_>>::as_der(pair.public_key()).map_err(|_| unreadable())?;
    Ok((Secret::new(private.as_ref().to_vec()), public.as_ref().to_vec()))
}

/// Modulus and exponent of a public key.
pub(super) fn public_numbers(spki: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let (numbers, _) = der::take(der::inside_spki(spki)?, der::SEQUENCE)?;
    let (modulus, rest) = der::take_unsigned(numbers)?;
    let (exponent, _) = der::take_unsigned(rest)?;
    Some((modulus.to_vec(), exponent.to_vec()))
}

/// A public key as it is stored.
pub(super) fn public_of_numbers(modulus: &[u8], exponent: &[u8]) -> Option<Vec<u8>> {
    let components = PublicKeyComponents { n: modulus, e: exponent };
    let spki = AsDer::<PublicKeyX509Der<'_>>::as_der(&components).ok()?;
    Some(spki.as_ref().to_vec())
}
