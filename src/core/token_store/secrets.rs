//! The two keys behind tokens: the one that turns a text into a storage id, and the one that seals batch tokens.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::entry::TokenEntry;
use crate::barrier::{StoreError, Transaction};
use crate::entropy;

/// Where the keys are stored.
pub(super) const KEYS: &str = "sys/token/keys";

/// First bytes of a sealed batch token: its format.
const FORMAT: &[u8; 4] = &[0, 0, 0, 1];
const AAD: &[u8] = b"batch token";

/// As stored.
#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
struct Record {
    id_key: [u8; 32],
    batch_key: [u8; 32],
}

/// Ready to use.
pub(super) struct Secrets {
    id_key: hmac::Key,
    batch_key: LessSafeKey,
}

impl Secrets {
    /// The keys of this store; made by the first transaction that needs them.
    pub(super) fn load(tx: &mut Transaction) -> Result<Self, StoreError> {
        let mut view = tx.view("");
        if let Some(record) = view.get_record::<Record>(KEYS)? {
            return Ok(Self::of(&record));
        }
        let record = Record { id_key: entropy::bytes(), batch_key: entropy::bytes() };
        view.put_record(KEYS, &record)?;
        Ok(Self::of(&record))
    }

    fn of(record: &Record) -> Self {
        let batch = UnboundKey::new(&AES_256_GCM, &record.batch_key).expect("32 bytes are a key");
        Self { id_key: hmac::Key::new(hmac::HMAC_SHA256, &record.id_key), batch_key: LessSafeKey::new(batch) }
    }

    /// `h` and the hex of the keyed hash.
    pub(super) fn id(&self, text: &str) -> String {
        format!("h{}", hex::encode(hmac::sign(&self.id_key, text.as_bytes())))
    }

    /// `b.` and the sealed entry.
    pub(super) fn seal_batch(&self, entry: &TokenEntry) -> Result<Zeroizing<String>, StoreError> {
        let mut sealed =
            serde_json::to_vec(entry).map_err(|_| StoreError::Format("batch token".to_owned()))?;
        let nonce = entropy::bytes::<NONCE_LEN>();
        self.batch_key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(AAD), &mut sealed)
            .map_err(|_| StoreError::Format("batch token".to_owned()))?;
        let bytes = [FORMAT.as_slice(), &nonce, &sealed].concat();
        Ok(Zeroizing::new(format!("b.{}", URL_SAFE_NO_PAD.encode(bytes))))
    }

    /// The entry of a batch token's text; `None` when it is not one of ours.
    pub(super) fn open_batch(&self, text: &str) -> Option<TokenEntry> {
        let bytes = URL_SAFE_NO_PAD.decode(text.strip_prefix("b.")?).ok()?;
        let (nonce, sealed) = bytes.strip_prefix(FORMAT.as_slice())?.split_first_chunk::<NONCE_LEN>()?;
        let mut sealed = Zeroizing::new(sealed.to_vec());
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let plain = self.batch_key.open_in_place(nonce, Aad::from(AAD), &mut sealed).ok()?;
        serde_json::from_slice(plain).ok()
    }
}
