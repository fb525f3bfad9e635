//! Authenticated encryption with a ready key: `nonce || ciphertext || tag`.

use std::fmt;

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use zeroize::Zeroizing;

use super::kind::Kind;
use super::refusal::{Refusable, Refusal};
use super::xchacha;

const TAG_LEN: usize = 16;
const NONCE_LEN: usize = 12;
const LONG_NONCE_LEN: usize = 24;

/// A key with its schedule computed.
pub(super) enum Cipher {
    Short(LessSafeKey),
    /// Each nonce has a key of its own.
    Extended(Zeroizing<[u8; 32]>),
}

// === impl Cipher ===

impl Cipher {
    /// # Errors
    /// The key has not the type's length.
    pub(super) fn new(kind: Kind, key: &[u8]) -> Refusable<Self> {
        let algorithm = match kind {
            Kind::Aes128 => &AES_128_GCM,
            Kind::Aes256 => &AES_256_GCM,
            Kind::ChaCha20 => &CHACHA20_POLY1305,
            Kind::XChaCha20 => {
                return key
                    .try_into()
                    .map(|key| Self::Extended(Zeroizing::new(key)))
                    .map_err(|_| wrong_length());
            }
            Kind::Ed25519
            | Kind::P256
            | Kind::P384
            | Kind::P521
            | Kind::Rsa2048
            | Kind::Rsa3072
            | Kind::Rsa4096
            | Kind::Hmac => return Err(Refusal::internal(format!("unsupported key type {}", kind.name()))),
        };
        UnboundKey::new(algorithm, key)
            .map(|key| Self::Short(LessSafeKey::new(key)))
            .map_err(|_| wrong_length())
    }

    pub(super) fn nonce_len(&self) -> usize {
        match self {
            Self::Short(_) => NONCE_LEN,
            Self::Extended(_) => LONG_NONCE_LEN,
        }
    }

    /// `nonce` has [`nonce_len`](Self::nonce_len) bytes and was never used with this key for another plaintext.
    ///
    /// # Errors
    /// The plaintext is too long, or the nonce has another length.
    pub(super) fn seal(&self, nonce: &[u8], associated: &[u8], plaintext: &[u8]) -> Refusable<Vec<u8>> {
        let mut sealed = Vec::with_capacity(nonce.len() + plaintext.len() + TAG_LEN);
        sealed.extend_from_slice(nonce);
        sealed.extend_from_slice(plaintext);
        let failed = || Refusal::internal("encryption failed");
        let (_, text) = sealed.split_at_mut_checked(nonce.len()).ok_or_else(failed)?;
        let tag = self
            .with_key(nonce, |key, nonce| {
                key.seal_in_place_separate_tag(nonce, Aad::from(associated), text).ok()
            })
            .ok_or_else(failed)?;
        sealed.extend_from_slice(tag.as_ref());
        Ok(sealed)
    }

    /// # Errors
    /// It is too short, or was not made with this key and these associated data.
    pub(super) fn open(&self, associated: &[u8], sealed: &[u8]) -> Refusable<Zeroizing<Vec<u8>>> {
        let (nonce, text) = sealed
            .split_at_checked(self.nonce_len())
            .ok_or_else(|| Refusal::user("invalid ciphertext length"))?;
        let mut text = Zeroizing::new(text.to_vec());
        let length = self
            .with_key(nonce, |key, nonce| {
                key.open_in_place(nonce, Aad::from(associated), &mut text).ok().map(|plain| plain.len())
            })
            .ok_or_else(|| Refusal::user("cipher: message authentication failed"))?;
        text.truncate(length);
        Ok(text)
    }

    fn with_key<T>(&self, nonce: &[u8], run: impl FnOnce(&LessSafeKey, Nonce) -> Option<T>) -> Option<T> {
        match self {
            Self::Short(key) => run(key, Nonce::try_assume_unique_for_key(nonce).ok()?),
            Self::Extended(key) => {
                let (first, rest) = nonce.split_first_chunk::<16>()?;
                let subkey = xchacha::subkey(key, first);
                let key = UnboundKey::new(&CHACHA20_POLY1305, subkey.as_slice()).ok()?;
                let mut short = [0; NONCE_LEN];
                short.last_chunk_mut::<8>()?.copy_from_slice(rest);
                run(&LessSafeKey::new(key), Nonce::assume_unique_for_key(short))
            }
        }
    }
}

fn wrong_length() -> Refusal {
    Refusal::internal("could not derive enc key, length not correct")
}

impl fmt::Debug for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cipher")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KINDS: [Kind; 4] = [Kind::Aes128, Kind::Aes256, Kind::ChaCha20, Kind::XChaCha20];

    /// Appendix A.3.1 of draft-irtf-cfrg-xchacha-03.
    #[test]
    fn the_long_nonce_of_the_draft() {
        let key: Vec<u8> = (0x80..0xa0).collect();
        let nonce: Vec<u8> = (0x40..0x58).collect();
        let associated = hex::decode("50515253c0c1c2c3c4c5c6c7").unwrap();
        let plaintext = b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.";
        let sealed =
            Cipher::new(Kind::XChaCha20, &key).unwrap().seal(&nonce, &associated, plaintext).unwrap();
        assert_eq!(hex::encode(&sealed[24..40]), "bd6d179d3e83d43b9576579493c0e939");
        assert_eq!(hex::encode(&sealed[sealed.len() - 16..]), "c0875924c1c7987947deafd8780acf49");
    }

    #[test]
    fn keys_of_other_lengths_are_refused() {
        for kind in KINDS {
            assert!(Cipher::new(kind, &[0; 24]).unwrap_err().is_internal());
        }
        assert!(Cipher::new(Kind::Hmac, &[0; 32]).is_err());
        let cipher = Cipher::new(Kind::Aes256, &[0; 32]).unwrap();
        assert_eq!(cipher.open(&[], &[0; 11]).unwrap_err().text(), "invalid ciphertext length");
    }

    proptest! {
        #[test]
        fn what_is_sealed_opens_with_the_same_data_only(
            kind in 0_usize..4, key: [u8; 32], nonce: [u8; 24], associated: Vec<u8>, plaintext: Vec<u8>, flip: usize,
        ) {
            let kind = KINDS[kind];
            let cipher = Cipher::new(kind, &key[..kind.key_bytes()]).unwrap();
            let mut sealed = cipher.seal(&nonce[..cipher.nonce_len()], &associated, &plaintext).unwrap();
            let opened = cipher.open(&associated, &sealed).unwrap();
            prop_assert_eq!(opened.as_slice(), plaintext.as_slice());
            let at = flip % sealed.len();
            sealed[at] ^= 1;
            prop_assert!(cipher.open(&associated, &sealed).is_err());
        }
    }
}
