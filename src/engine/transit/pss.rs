//! Salt lengths of PSS signatures.
//!
//! The library wants to know the salt's length; the API lets it be any, and lets a verifier not know it. So where it is
//! not told, the signature is opened with the public key and the length read off it; whether the signature is good is
//! then the library's verdict. Nothing here is secret.

use std::sync::LazyLock;

use aws_lc_rs::digest;
use aws_lc_rs::signature::{
    RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RSA_PSS_SHA256,
    RSA_PSS_SHA384, RSA_PSS_SHA512, RsaParameters, RsaPssSaltLength, RsaSignatureEncoding,
};
use num_bigint::BigUint;

use super::der;

/// A salt's length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Salt {
    /// Signing: as long as it can be. Verifying: whatever it is.
    Auto,
    /// As long as the hash.
    Hash,
    Bytes(u16),
}

/// Longest salt there is room for in a key of 4096 bits, with the shortest hash.
const MAX_SALT: u16 = 512 - 32 - 2;
/// Largest public exponent worth raising to, in bits; the library's bound too.
const MAX_EXPONENT_BITS: u64 = 33;

/// One for each salt length, then the hash's own and the longest; for SHA-256, SHA-384 and SHA-512. The library takes
/// parameters only as statics.
static SIGNING: LazyLock<[Vec<RsaSignatureEncoding>; 3]> = LazyLock::new(|| {
    [
        lengths().map(|length| RSA_PSS_SHA256.with_pss_salt_length(length)).collect(),
        lengths().map(|length| RSA_PSS_SHA384.with_pss_salt_length(length)).collect(),
        lengths().map(|length| RSA_PSS_SHA512.with_pss_salt_length(length)).collect(),
    ]
});
static VERIFYING: LazyLock<[Vec<RsaParameters>; 3]> = LazyLock::new(|| {
    [
        lengths().map(|length| RSA_PSS_2048_8192_SHA256.with_pss_salt_length(length)).collect(),
        lengths().map(|length| RSA_PSS_2048_8192_SHA384.with_pss_salt_length(length)).collect(),
        lengths().map(|length| RSA_PSS_2048_8192_SHA512.with_pss_salt_length(length)).collect(),
    ]
});

fn lengths() -> impl Iterator<Item = RsaPssSaltLength> {
    (0..=MAX_SALT).map(RsaPssSaltLength::Custom).chain([RsaPssSaltLength::Digest, RsaPssSaltLength::Max])
}

/// Where a salt's parameters are in the tables.
fn at(salt: Salt) -> usize {
    match salt {
        Salt::Bytes(length) => usize::from(length),
        Salt::Hash => usize::from(MAX_SALT) + 1,
        Salt::Auto => usize::from(MAX_SALT) + 2,
    }
}

fn table<T>(tables: &'static [Vec<T>; 3], hash: &'static digest::Algorithm) -> &'static [T] {
    match hash.output_len() {
        32 => &tables[0],
        48 => &tables[1],
        64 => &tables[2],
        _ => &[],
    }
}

/// How to sign; `None`: the salt is longer than any key has room for.
pub(super) fn signing(hash: &'static digest::Algorithm, salt: Salt) -> Option<&'static RsaSignatureEncoding> {
    table(&SIGNING, hash).get(at(salt))
}

/// How to verify `signature`; `None`: no salt length makes it a good one. `public` is PKCS #1.
pub(super) fn verifying(
    hash: &'static digest::Algorithm,
    salt: Salt,
    public: &[u8],
    signature: &[u8],
) -> Option<&'static RsaParameters> {
    let salt = match salt {
        Salt::Auto => Salt::Bytes(salt_length(hash, public, signature)?),
        Salt::Hash | Salt::Bytes(_) => salt,
    };
    table(&VERIFYING, hash).get(at(salt))
}

/// The length of the salt inside of `signature`, as RFC 8017, 9.1.2 unpacks it.
fn salt_length(hash: &'static digest::Algorithm, public: &[u8], signature: &[u8]) -> Option<u16> {
    let (numbers, _) = der::take(public, der::SEQUENCE)?;
    let (modulus, rest) = der::take_unsigned(numbers)?;
    let (exponent, _) = der::take_unsigned(rest)?;
    let [modulus, exponent, signature] = [modulus, exponent, signature].map(BigUint::from_bytes_be);
    if exponent.bits() > MAX_EXPONENT_BITS || signature >= modulus {
        return None;
    }
    let length = usize::try_from((modulus.bits() - 1).div_ceil(8)).ok()?;
    let opened = signature.modpow(&exponent, &modulus).to_bytes_be();
    let mut encoded = vec![0; length.checked_sub(opened.len())?];
    encoded.extend_from_slice(&opened);
    let (masked, rest) = encoded.split_at_checked(length.checked_sub(hash.output_len() + 1)?)?;
    let unused = u8::try_from(length as u64 * 8 - (modulus.bits() - 1)).ok()?;
    after_padding(masked, rest.get(..hash.output_len())?, unused, hash)
}

/// What follows the zeros and the one of the unmasked block; its first `unused` bits are not part of it.
fn after_padding(masked: &[u8], seed: &[u8], unused: u8, hash: &'static digest::Algorithm) -> Option<u16> {
    let mut block = mask(seed, masked.len(), hash);
    block.iter_mut().zip(masked).for_each(|(byte, masked)| *byte ^= masked);
    *block.first_mut()? &= u8::MAX >> unused;
    let one = block.iter().position(|byte| *byte != 0)?;
    (block.get(one) == Some(&1)).then_some(())?;
    u16::try_from(block.len() - one - 1).ok()
}

/// MGF1.
fn mask(seed: &[u8], length: usize, hash: &'static digest::Algorithm) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(length + hash.output_len());
    let mut counter = 0_u32;
    while bytes.len() < length {
        let mut context = digest::Context::new(hash);
        context.update(seed);
        context.update(&counter.to_be_bytes());
        bytes.extend_from_slice(context.finish().as_ref());
        counter += 1;
    }
    bytes.truncate(length);
    bytes
}
