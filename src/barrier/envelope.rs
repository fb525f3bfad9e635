//! The form of everything encrypted in storage: values under a data key, key records under the key above them.
//!
//! ```text
//!   term u32 BE │ version u8 = 2 │ nonce 12 bytes │ AES-256-GCM ciphertext and tag       associated data: the key's path
//! ```
//!
//! The path as associated data ties a value to its place: a value moved to another key does not open. The term names
//! the data key; records of keys ([`SecretKey`](super::SecretKey)) have term 0.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::entropy;

const VERSION: u8 = 2;
const HEADER: usize = 4 + 1 + NONCE_LEN;

/// Why a value does not open. Says nothing of the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum KeyringError {
    #[error("the stored value is too short")]
    Short,
    #[error("the stored value has format version {0}, which this release does not know")]
    Version(u8),
    #[error("the stored value was sealed with key term {0}, which the keyring does not hold")]
    Term(u32),
    #[error("the stored value fails authentication")]
    Forged,
}

/// Seals `plain` for its place `path`.
pub(super) fn seal(key: &LessSafeKey, term: u32, path: &str, plain: &[u8]) -> Vec<u8> {
    let nonce = entropy::bytes::<NONCE_LEN>();
    let mut sealed = Vec::with_capacity(HEADER + plain.len() + AES_256_GCM.tag_len());
    sealed.extend_from_slice(&term.to_be_bytes());
    sealed.push(VERSION);
    sealed.extend_from_slice(&nonce);
    sealed.extend_from_slice(plain);
    let tag = key
        .seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(path.as_bytes()),
            sealed.get_mut(HEADER..).unwrap_or_default(),
        )
        .expect("a value is far below the cipher's limit");
    sealed.extend_from_slice(tag.as_ref());
    sealed
}

/// Opens what [`seal`] made for the same path; `key_of` finds the key of a term.
///
/// # Errors
/// The envelope is not ours, its key is unknown, or it was changed or moved.
pub(super) fn open<'k>(
    key_of: impl FnOnce(u32) -> Option<&'k LessSafeKey>,
    path: &str,
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, KeyringError> {
    let (term, rest) = sealed.split_first_chunk::<4>().ok_or(KeyringError::Short)?;
    let (version, rest) = rest.split_first().ok_or(KeyringError::Short)?;
    if *version != VERSION {
        return Err(KeyringError::Version(*version));
    }
    let (nonce, ciphertext) = rest.split_first_chunk::<NONCE_LEN>().ok_or(KeyringError::Short)?;
    let term = u32::from_be_bytes(*term);
    let key = key_of(term).ok_or(KeyringError::Term(term))?;
    let mut plain = Zeroizing::new(ciphertext.to_vec());
    let length = key
        .open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(path.as_bytes()), &mut plain)
        .map_err(|_| KeyringError::Forged)?
        .len();
    plain.truncate(length);
    Ok(plain)
}

pub(super) fn cipher(key: &[u8; 32]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).expect("32 bytes are a key"))
}
