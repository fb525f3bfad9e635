//! HMACs with a version's own key for them.

use subtle::ConstantTimeEq;

use super::encoding;
use super::hash::Hash;
use super::key::Key;
use super::marked::{self, Unmarked};
use super::refusal::{Refusable, Refusal};

/// The version to make HMACs with: the newest where none (0) is asked for.
///
/// # Errors
/// It is below the minimum, or not there.
pub(super) fn version(key: &Key, asked: i64) -> Refusable<u32> {
    let record = key.record();
    let latest = i64::from(record.latest);
    let number = if asked == 0 { latest } else { asked };
    if number != latest && record.min_encryption > 0 && number < i64::from(record.min_encryption) {
        return Err(Refusal::user("cannot generate HMAC: version is too old (disallowed by policy)"));
    }
    key.mac_key(number)?;
    Ok(u32::try_from(number).unwrap_or(record.latest))
}

pub(super) fn make(key: &Key, version: u32, hash: Hash, input: &[u8]) -> Refusable<String> {
    let made = hash.hmac(key.mac_key(i64::from(version))?, input);
    Ok(marked::join(version, &encoding::encode(&made)))
}

/// # Errors
/// It is no HMAC of this key. One that is wrong is `false`.
pub(super) fn verify(key: &Key, hash: Hash, input: &[u8], hmac: &str) -> Refusable<bool> {
    let (named, body) = marked::split(hmac).map_err(unmarked)?;
    let given = encoding::decode(body).map_err(|refusal| {
        Refusal::user(format!("unable to decode verification HMAC as base64: {}", refusal.text()))
    })?;
    if named > i64::from(key.record().latest) {
        return Err(Refusal::user("invalid HMAC: version is too new"));
    }
    if named < i64::from(key.record().min_decryption) {
        return Err(Refusal::user("cannot verify HMAC: version is too old (disallowed by policy)"));
    }
    let right = hash.hmac(key.mac_key(named)?, input);
    Ok(bool::from(right.as_slice().ct_eq(&given)))
}

fn unmarked(why: Unmarked) -> Refusal {
    Refusal::user(match why {
        Unmarked::NoPrefix => "invalid HMAC to verify: no prefix".to_owned(),
        Unmarked::WrongFields | Unmarked::NoVersion => why.text("HMAC"),
    })
}
