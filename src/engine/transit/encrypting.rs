//! Encryption and decryption with a key: which version, which derived key, which nonce.

use std::borrow::Cow;

use aws_lc_rs::hmac;
use zeroize::Zeroizing;

use super::cipher::Cipher;
use super::encoding;
use super::key::Key;
use super::kind::{Family, Kind};
use super::marked;
use super::material::{CONVERGENT_VERSION, Material};
use super::refusal::{Refusable, Refusal};

/// Bytes of the key that makes convergent nonces.
const NONCE_KEY_BYTES: usize = 32;

/// What goes with a text to be encrypted or decrypted.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Beside<'a> {
    /// Decoded; empty: none.
    pub(super) context: &'a [u8],
    /// As base64; empty: none.
    pub(super) associated: &'a str,
}

// === impl Key ===

impl Key {
    /// The ciphertext, and the version that made it.
    ///
    /// # Errors
    /// The key cannot encrypt, or not with this version, context or plaintext.
    pub(super) fn encrypt(
        &self,
        asked: i64,
        beside: Beside<'_>,
        plaintext: &[u8],
    ) -> Refusable<(String, u32)> {
        self.check_usable()?;
        if !self.kind().encrypts() {
            return Err(self.unsupported("encryption"));
        }
        let number = self.version_for(asked, "encryption")?;
        let sealed = if self.kind().family() == Family::Rsa {
            let Material::Rsa(key) = self.material(number)? else {
                return Err(self.unsupported("encryption"));
            };
            key.encrypt(plaintext)?
        } else {
            self.seal(number, beside, plaintext)?
        };
        Ok((marked::join(number, &encoding::encode(&sealed)), number))
    }

    fn seal(&self, number: u32, beside: Beside<'_>, plaintext: &[u8]) -> Refusable<Vec<u8>> {
        let convergent = self.convergent(number)?;
        let (cipher, nonce_key) = self.cipher(number, beside.context, convergent)?;
        let associated = associated(beside)?;
        match nonce_key {
            Some(key) => {
                let made = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), plaintext);
                let nonce = made.as_ref().get(..cipher.nonce_len()).unwrap_or_default();
                cipher.seal(nonce, &associated, plaintext)
            }
            None => {
                let random: [u8; 24] = crate::entropy::bytes();
                cipher.seal(random.get(..cipher.nonce_len()).unwrap_or_default(), &associated, plaintext)
            }
        }
    }

    /// # Errors
    /// It is no ciphertext of this key, or the key may not decrypt it.
    pub(super) fn decrypt(&self, beside: Beside<'_>, ciphertext: &str) -> Refusable<Zeroizing<Vec<u8>>> {
        self.check_usable()?;
        if !self.kind().encrypts() {
            return Err(self.unsupported("decryption"));
        }
        let (named, body) = marked::split(ciphertext).map_err(|why| Refusal::user(why.text("ciphertext")))?;
        // The first releases counted from 0.
        let number = self.version_of(if named == 0 { 1 } else { named }, "ciphertext")?;
        self.convergent(number)?;
        let sealed = encoding::decode(body)
            .map_err(|_| Refusal::user("invalid ciphertext: could not decode base64"))?;
        if self.kind().family() == Family::Rsa {
            let Material::Rsa(key) = self.material(number)? else {
                return Err(self.unsupported("decryption"));
            };
            return key.decrypt(&sealed);
        }
        let (cipher, _) = self.cipher(number, beside.context, false)?;
        cipher.open(&associated(beside)?, &sealed)
    }

    /// The cipher of a version, and the key that makes nonces where they are convergent.
    fn cipher(
        &self,
        number: u32,
        context: &[u8],
        convergent: bool,
    ) -> Refusable<(Held<'_>, Option<Zeroizing<Vec<u8>>>)> {
        if let Material::Cipher(cipher) = self.material(number)? {
            return Ok((Held::Cached(cipher), None));
        }
        let (bytes, nonce_bytes) = (self.kind().key_bytes(), if convergent { NONCE_KEY_BYTES } else { 0 });
        let derived = self.derive(number, context, bytes + nonce_bytes)?;
        let (key, nonce_key) = derived.split_at_checked(bytes).unwrap_or_default();
        let cipher = Cipher::new(self.kind(), key)?;
        Ok((Held::Made(cipher), convergent.then(|| Zeroizing::new(nonce_key.to_vec()))))
    }

    /// Whether nonces are made of plaintexts.
    ///
    /// # Errors
    /// By an older scheme: those leaked, and are refused.
    fn convergent(&self, number: u32) -> Refusable<bool> {
        if !self.record().settings.convergent {
            return Ok(false);
        }
        match self.version(number)?.convergent_version {
            CONVERGENT_VERSION => Ok(true),
            old => Err(Refusal::user(format!(
                "refusing to support decryption with old convergent encryption key: version {old}"
            ))),
        }
    }

    fn unsupported(&self, deed: &str) -> Refusal {
        Refusal::user(format!("message {deed} not supported for key type {}", self.kind().name()))
    }
}

/// A cipher for one use, or the cached one.
enum Held<'k> {
    Cached(&'k Cipher),
    Made(Cipher),
}

impl std::ops::Deref for Held<'_> {
    type Target = Cipher;

    fn deref(&self) -> &Cipher {
        match self {
            Self::Cached(cipher) => cipher,
            Self::Made(cipher) => cipher,
        }
    }
}

fn associated(beside: Beside<'_>) -> Refusable<Cow<'static, [u8]>> {
    if beside.associated.is_empty() {
        return Ok(Cow::Borrowed(&[]));
    }
    encoding::decode(beside.associated).map(|data| Cow::Owned(data.to_vec())).map_err(|refusal| {
        let why = refusal.text();
        Refusal::internal(format!("unable to get associated_data/additional_data from factory[0]: {why}"))
    })
}

/// What [`Kind`] says of associated data: whether a cipher of the type authenticates them.
pub(super) fn takes_associated(kind: Kind) -> bool {
    kind.family() == Family::Aead
}
