//! Signatures with a key: which version, of which hash, padded and written how.

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};

use super::ecdsa::Marshaling;
use super::encoding;
use super::hash::Hash;
use super::key::Key;
use super::kind::Family;
use super::marked;
use super::material::{Material, parse_ed25519};
use super::pss::Salt;
use super::refusal::{Refusable, Refusal};
use super::rsa::Padding;

/// How to sign, as a request says.
#[derive(Debug, Clone)]
pub(super) struct Manner {
    pub(super) hash: Hash,
    pub(super) marshaling: Marshaling,
    pub(super) salt: Salt,
    /// `pss` or `pkcs1v15`; empty is `pss`. Only RSA keys look at it.
    pub(super) algorithm: String,
    /// The input is the hash already.
    pub(super) prehashed: bool,
}

/// A signature and what goes with it.
#[derive(Debug)]
pub(super) struct Signed {
    pub(super) signature: String,
    pub(super) version: u32,
    /// Of a derived key.
    pub(super) public: Option<String>,
}

// === impl Manner ===

impl Manner {
    /// What is signed: the hash of the input, or the input.
    fn hashed(&self, key: &Key, input: &[u8]) -> Vec<u8> {
        if key.kind().hashes_input() && !self.prehashed { self.hash.digest(input) } else { input.to_vec() }
    }

    fn padding(&self) -> Refusable<Padding> {
        match self.algorithm.as_str() {
            "" | "pss" => Ok(Padding::Pss(self.salt)),
            "pkcs1v15" => Ok(Padding::Pkcs1),
            other => Err(Refusal::internal(format!("unsupported rsa signature algorithm {other}"))),
        }
    }

    fn encode(&self, signature: &[u8]) -> String {
        match self.marshaling {
            Marshaling::Asn1 => encoding::encode(signature),
            Marshaling::Jws => encoding::encode_url(signature),
        }
    }

    fn decode(&self, signature: &str) -> Refusable<Vec<u8>> {
        let decoded = match self.marshaling {
            Marshaling::Asn1 => encoding::decode(signature).ok().map(|bytes| bytes.to_vec()),
            Marshaling::Jws => encoding::decode_url(signature),
        };
        decoded.ok_or_else(|| Refusal::user("invalid base64 signature value"))
    }
}

// === impl Key ===

impl Key {
    /// # Errors
    /// The key cannot sign, or not so.
    pub(super) fn sign(
        &self,
        asked: i64,
        context: &[u8],
        input: &[u8],
        manner: &Manner,
    ) -> Refusable<Signed> {
        self.check_usable()?;
        let number = self.version_for(asked, "signing")?;
        if self.version(number)?.private.is_none() {
            return Err(Refusal::user("requested version for signing does not contain a private part"));
        }
        let hashed = manner.hashed(self, input);
        let mut public = None;
        let signature = match self.material(number)? {
            Material::Ecdsa(key) => key.sign(&hashed, manner.marshaling)?,
            Material::Rsa(key) => key.sign(manner.hash, &hashed, manner.padding()?)?,
            Material::Ed25519(Some(pair)) => sign_ed25519(pair, &hashed)?,
            Material::Bytes if self.kind().family() == Family::Ed25519 => {
                let pair = self.derived_ed25519(number, context)?;
                public = Some(encoding::encode(pair.public_key().as_ref()));
                sign_ed25519(&pair, &hashed)?
            }
            Material::Ed25519(None) | Material::Bytes | Material::Cipher(_) => return Err(self.cannot_sign()),
        };
        Ok(Signed { signature: marked::join(number, &manner.encode(&signature)), version: number, public })
    }

    /// # Errors
    /// It is no signature, or one the key may not verify. A signature that is not good is `false`.
    pub(super) fn verify(
        &self,
        context: &[u8],
        input: &[u8],
        signature: &str,
        manner: &Manner,
    ) -> Refusable<bool> {
        self.check_usable()?;
        let (named, body) = marked::split(signature).map_err(|why| Refusal::user(why.text("signature")))?;
        let number = self.version_of(named, "signature")?;
        let signature = manner.decode(body)?;
        let hashed = manner.hashed(self, input);
        match self.material(number)? {
            Material::Ecdsa(key) => key.verify(&hashed, &signature, manner.marshaling),
            Material::Rsa(key) => key.verify(manner.hash, &hashed, manner.padding()?, &signature),
            Material::Ed25519(_) => Ok(verify_ed25519(&self.version(number)?.public, &hashed, &signature)),
            Material::Bytes if self.kind().family() == Family::Ed25519 => {
                let pair = self.derived_ed25519(number, context)?;
                Ok(verify_ed25519(pair.public_key().as_ref(), &hashed, &signature))
            }
            Material::Bytes | Material::Cipher(_) => Err(self.cannot_sign()),
        }
    }

    fn derived_ed25519(&self, number: u32, context: &[u8]) -> Refusable<Ed25519KeyPair> {
        let seed = self.derive(number, context, 32);
        parse_ed25519(
            &seed.map_err(|refusal| Refusal::internal(format!("error deriving key: {}", refusal.text())))?,
        )
    }

    fn cannot_sign(&self) -> Refusal {
        Refusal::user(format!("key type {} does not support signing", self.kind().name()))
    }
}

fn sign_ed25519(pair: &Ed25519KeyPair, input: &[u8]) -> Refusable<Vec<u8>> {
    let signature = pair.try_sign(input).map_err(|_| Refusal::internal("signature could not be computed"))?;
    Ok(signature.as_ref().to_vec())
}

fn verify_ed25519(public: &[u8], input: &[u8], signature: &[u8]) -> bool {
    UnparsedPublicKey::new(&ED25519, public).verify(input, signature).is_ok()
}
