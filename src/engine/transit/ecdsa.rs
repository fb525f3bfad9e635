//! ECDSA over the NIST curves with any hash: a hash longer than the curve is cut, as the standard says, a shorter one
//! is the same number with zeros in front.

use std::fmt;

use aws_lc_rs::digest::{self, Digest};
use aws_lc_rs::encoding::{AsBigEndian, AsDer, EcPrivateKeyBin, EcPrivateKeyRfc5915Der, PublicKeyX509Der};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1,
    ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P521_SHA512_ASN1, ECDSA_P521_SHA512_ASN1_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, KeyPair, ParsedPublicKey, VerificationAlgorithm,
};
use zeroize::Zeroizing;

use super::der;
use super::kind::Kind;
use super::material::unreadable;
use super::record::Secret;
use super::refusal::{Refusable, Refusal};

/// Bytes of a number of the curve.
const P256_BYTES: usize = 32;
const P384_BYTES: usize = 48;
const P521_BYTES: usize = 66;

/// How a signature's two numbers are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Marshaling {
    /// DER, in standard base64.
    Asn1,
    /// Both with the curve's length, in the URL's base64 without padding.
    Jws,
}

/// A curve and what the library calls it.
#[derive(Clone, Copy)]
struct Curve {
    signing: &'static EcdsaSigningAlgorithm,
    verifying: &'static dyn VerificationAlgorithm,
    digest: &'static digest::Algorithm,
    /// Of a number modulo the curve's order.
    bytes: usize,
}

/// A key, or its public half.
pub(super) struct Ecdsa {
    curve: Curve,
    pair: Option<EcdsaKeyPair>,
    public: ParsedPublicKey,
}

// === impl Marshaling ===

impl Marshaling {
    pub(super) fn parse(name: &str) -> Option<Self> {
        match name {
            "asn1" => Some(Self::Asn1),
            "jws" => Some(Self::Jws),
            _ => None,
        }
    }
}

// === impl Curve ===

impl Curve {
    /// P-256 where `kind` is none of the others.
    fn of(kind: Kind) -> Self {
        if kind == Kind::P384 {
            return Self {
                signing: &ECDSA_P384_SHA384_ASN1_SIGNING,
                verifying: &ECDSA_P384_SHA384_ASN1,
                digest: &digest::SHA384,
                bytes: P384_BYTES,
            };
        }
        if kind == Kind::P521 {
            return Self {
                signing: &ECDSA_P521_SHA512_ASN1_SIGNING,
                verifying: &ECDSA_P521_SHA512_ASN1,
                digest: &digest::SHA512,
                bytes: P521_BYTES,
            };
        }
        Self {
            signing: &ECDSA_P256_SHA256_ASN1_SIGNING,
            verifying: &ECDSA_P256_SHA256_ASN1,
            digest: &digest::SHA256,
            bytes: P256_BYTES,
        }
    }

    /// The hash as the library takes it for this curve.
    fn fit(self, hash: &[u8]) -> Refusable<Digest> {
        let length = self.digest.output_len();
        let kept = hash.get(..hash.len().min(length)).unwrap_or(hash);
        if self.bytes > length && hash.len() > length {
            return Err(Refusal::user(format!(
                "a hash of more than {length} bytes cannot be used with this curve"
            )));
        }
        let mut fitted = vec![0; length - kept.len()];
        fitted.extend_from_slice(kept);
        Digest::import_less_safe(&fitted, self.digest).map_err(|_| unreadable())
    }
}

// === impl Ecdsa ===

impl Ecdsa {
    /// Private and public half, as they are stored.
    pub(super) fn generate(kind: Kind) -> Refusable<(Secret, Vec<u8>)> {
        let pair = EcdsaKeyPair::generate(Curve::of(kind).signing)
            .map_err(|_| Refusal::internal("the key could not be generated"))?;
        stored(&pair)
    }

    /// From a number and a point; as they are stored.
    pub(super) fn from_numbers(
        kind: Kind,
        private: &[u8],
        x: &[u8],
        y: &[u8],
    ) -> Refusable<(Secret, Vec<u8>)> {
        let curve = Curve::of(kind);
        let padded = |number: &[u8]| fixed(number, curve.bytes).ok_or_else(unreadable);
        let point = [&[4], padded(x)?.as_slice(), padded(y)?.as_slice()].concat();
        let pair = EcdsaKeyPair::from_private_key_and_public_key(curve.signing, &padded(private)?, &point)
            .map_err(|_| unreadable())?;
        stored(&pair)
    }

    /// From PKCS #8, as it comes from elsewhere; as it is stored.
    pub(super) fn from_pkcs8(kind: Kind, document: &[u8]) -> Option<(Secret, Vec<u8>)> {
        stored(&EcdsaKeyPair::from_private_key_der(Curve::of(kind).signing, document).ok()?).ok()
    }

    /// Whether it is a public key of the curve.
    pub(super) fn is_public(kind: Kind, spki: &[u8]) -> bool {
        ParsedPublicKey::new(Curve::of(kind).verifying, spki).is_ok()
    }

    pub(super) fn parse(kind: Kind, private: Option<&[u8]>, public: &[u8]) -> Refusable<Self> {
        let curve = Curve::of(kind);
        let pair = private.map(|document| EcdsaKeyPair::from_pkcs8(curve.signing, document)).transpose();
        Ok(Self {
            curve,
            pair: pair.map_err(|_| unreadable())?,
            public: ParsedPublicKey::new(curve.verifying, public).map_err(|_| unreadable())?,
        })
    }

    /// # Errors
    /// There is only the public half, or the hash is too long for the curve.
    pub(super) fn sign(&self, hash: &[u8], marshaling: Marshaling) -> Refusable<Vec<u8>> {
        let failed = || Refusal::internal("signature could not be computed");
        let pair = self.pair.as_ref().ok_or_else(failed)?;
        let signature = pair.sign_digest(&self.curve.fit(hash)?).map_err(|_| failed())?;
        match marshaling {
            Marshaling::Asn1 => Ok(signature.as_ref().to_vec()),
            Marshaling::Jws => self.to_fixed(signature.as_ref()).ok_or_else(failed),
        }
    }

    /// # Errors
    /// It is not a signature at all.
    pub(super) fn verify(&self, hash: &[u8], signature: &[u8], marshaling: Marshaling) -> Refusable<bool> {
        let signature = match marshaling {
            Marshaling::Asn1 => check_asn1(signature)?,
            Marshaling::Jws => from_fixed(signature),
        };
        let hash = self.curve.fit(hash)?;
        Ok(self.public.verify_digest_sig(&hash, &signature).is_ok())
    }

    fn to_fixed(&self, signature: &[u8]) -> Option<Vec<u8>> {
        let (numbers, _) = der::take(signature, der::SEQUENCE)?;
        let (r, rest) = der::take_unsigned(numbers)?;
        let (s, _) = der::take_unsigned(rest)?;
        let (r, s) = (fixed(r, self.curve.bytes)?, fixed(s, self.curve.bytes)?);
        Some([r.as_slice(), s.as_slice()].concat())
    }

    /// The private number, of the curve's length; `None`: there is only the public half.
    pub(super) fn private_number(&self) -> Option<Zeroizing<Vec<u8>>> {
        let number: EcPrivateKeyBin<'_> = self.pair.as_ref()?.private_key().as_be_bytes().ok()?;
        Some(Zeroizing::new(number.as_ref().to_vec()))
    }

    /// RFC 5915: what `BEGIN EC PRIVATE KEY` holds.
    pub(super) fn sec1(&self) -> Option<Zeroizing<Vec<u8>>> {
        let document: EcPrivateKeyRfc5915Der<'_> = self.pair.as_ref()?.private_key().as_der().ok()?;
        Some(Zeroizing::new(document.as_ref().to_vec()))
    }
}

fn stored(pair: &EcdsaKeyPair) -> Refusable<(Secret, Vec<u8>)> {
    let private = pair.to_pkcs8v1().map_err(|_| unreadable())?;
    let public: PublicKeyX509Der<'_> = pair.public_key().as_der().map_err(|_| unreadable())?;
    Ok((Secret::new(private.as_ref().to_vec()), public.as_ref().to_vec()))
}

/// With zeros in front, `length` bytes; `None`: it has more.
fn fixed(number: &[u8], length: usize) -> Option<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(vec![0; length.checked_sub(number.len())?]);
    bytes.reserve_exact(number.len());
    bytes.extend_from_slice(number);
    Some(bytes)
}

/// Two numbers and nothing else.
fn check_asn1(signature: &[u8]) -> Refusable<Vec<u8>> {
    let invalid = || Refusal::user("supplied signature is invalid");
    let (numbers, rest) = der::take(signature, der::SEQUENCE).ok_or_else(invalid)?;
    let (_, second) = der::take(numbers, der::INTEGER).ok_or_else(invalid)?;
    der::take(second, der::INTEGER).ok_or_else(invalid)?;
    if rest.is_empty() {
        Ok(signature.to_vec())
    } else {
        Err(Refusal::user("supplied signature contains extra data"))
    }
}

fn from_fixed(signature: &[u8]) -> Vec<u8> {
    let (r, s) = signature.split_at(signature.len() / 2);
    der::element(der::SEQUENCE, &[der::unsigned(r), der::unsigned(s)].concat())
}

impl fmt::Debug for Ecdsa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ecdsa({} bytes)", self.curve.bytes)
    }
}
