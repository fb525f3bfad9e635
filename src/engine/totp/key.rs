//! A key as it is stored, and as a request describes it.

use std::fmt;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::base32;
use super::code::{Algorithm, code};
use super::uri::{self, Said};
use crate::logical::Fault;
use crate::logical::field::Fields;

const DEFAULT_PERIOD_SECS: u64 = 30;
const DEFAULT_KEY_BYTES: i64 = 20;
/// Longest generated secret, in bytes: its URI must fit into a QR code.
const MAX_KEY_BYTES: i64 = 512;
const DEFAULT_QR_PIXELS: i64 = 200;
/// Largest image, in pixels a side: it is answered in base64.
const MAX_QR_PIXELS: i64 = 4096;

/// See the module. Stored as JSON, behind the barrier.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Key {
    /// Base32, as it was given.
    pub(super) secret: Zeroizing<String>,
    pub(super) issuer: String,
    pub(super) account: String,
    pub(super) algorithm: Algorithm,
    /// 6 or 8.
    pub(super) digits: u32,
    pub(super) period_secs: u64,
    /// How many steps around the present one are accepted too.
    pub(super) skew: u64,
}

/// What a request asks for.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) key: Key,
    /// Whether the answer shows the key that was made.
    pub(super) is_shown: bool,
    /// Pixels of the barcode's side; 0: none.
    pub(super) qr_pixels: usize,
}

fn refused<T>(why: impl Into<String>) -> Result<T, Fault> {
    Err(Fault::Invalid(why.into()))
}

// === impl Key ===

impl Key {
    /// The step of time that `now` is in.
    pub(super) fn step(&self, now: OffsetDateTime) -> u64 {
        u64::try_from(now.unix_timestamp()).unwrap_or(0) / self.period_secs.max(1)
    }

    /// The code of a step.
    ///
    /// # Errors
    /// What is stored is no base32.
    pub(super) fn code(&self, step: u64) -> Result<String, Fault> {
        let secret = base32::decode(&self.secret);
        let secret = secret.map_err(|_| Fault::Internal("the stored key cannot be read".to_owned()))?;
        Ok(code(self.algorithm, &secret, step, self.digits))
    }

    /// The steps whose codes are accepted at `now`.
    pub(super) fn accepted(&self, now: OffsetDateTime) -> impl Iterator<Item = u64> {
        let step = self.step(now);
        step.saturating_sub(self.skew)..=step + self.skew
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({}, {} digits)", self.algorithm.name(), self.digits)
    }
}

// === impl Wanted ===

impl Wanted {
    /// Checks in the server's order, so that the first thing wrong is the same.
    ///
    /// # Errors
    /// A parameter is not what it may be.
    pub(super) fn of(fields: &Fields<'_>) -> Result<Self, Fault> {
        let generates = fields.flag("generate")?.unwrap_or(false);
        let given = |name: &str| Ok::<_, Fault>(fields.text(name)?.filter(|text| !text.is_empty()));
        if generates && given("url")?.is_some() {
            return refused("a url should not be passed if generate is true");
        }
        if generates && given("key")?.is_some() {
            return refused("a key should not be passed if generate is true");
        }
        let mut key = Key {
            secret: Zeroizing::new(given("key")?.unwrap_or_default()),
            issuer: given("issuer")?.unwrap_or_default(),
            account: given("account_name")?.unwrap_or_default(),
            algorithm: Algorithm::Sha1,
            digits: 0,
            period_secs: fields.seconds("period")?.unwrap_or(DEFAULT_PERIOD_SECS),
            skew: 0,
        };
        let mut digits = fields.int("digits")?.unwrap_or(6);
        let mut algorithm = given("algorithm")?.unwrap_or_else(|| "SHA1".to_owned());
        if let Some(url) = given("url")? {
            let said = uri::read(&url)
                .ok_or_else(|| Fault::invalid("an error occurred while parsing url string"))?;
            apply(said, &mut key, &mut digits, &mut algorithm)?;
        }
        key.digits = match digits {
            6 | 8 => digits.unsigned_abs() as u32,
            _ => return refused("the digits value can only be 6 or 8"),
        };
        key.algorithm =
            Algorithm::parse(&algorithm).ok_or_else(|| Fault::invalid("the algorithm value is not valid"))?;
        let sizes = sizes(fields, &mut key)?;
        complete(fields, key, generates, sizes)
    }
}

/// What the URI says counts before the request's own parameters; its secret is the only one.
fn apply(said: Said, key: &mut Key, digits: &mut i64, algorithm: &mut String) -> Result<(), Fault> {
    key.account = said.account;
    key.secret = said.secret.unwrap_or_default();
    key.issuer = said.issuer.unwrap_or_default();
    let unread = |what: &str| Fault::invalid(format!("an error occurred while parsing {what} value in url"));
    if let Some(text) = said.digits {
        *digits = text.parse().map_err(|_| unread("digits"))?;
    }
    if let Some(text) = said.period {
        key.period_secs = text.parse().map_err(|_| unread("period"))?;
    }
    if let Some(text) = said.algorithm {
        *algorithm = text;
    }
    Ok(())
}

/// Bytes of a generated secret and pixels of its barcode.
fn sizes(fields: &Fields<'_>, key: &mut Key) -> Result<(usize, usize), Fault> {
    if key.period_secs == 0 {
        return refused("the period value must be greater than zero");
    }
    key.skew = match fields.int("skew")?.unwrap_or(1) {
        0 => 0,
        1 => 1,
        _ => return refused("the skew value must be 0 or 1"),
    };
    let pixels = fields.int("qr_size")?.unwrap_or(DEFAULT_QR_PIXELS);
    if pixels < 0 {
        return refused("the qr_size value must be greater than or equal to zero");
    }
    let bytes = fields.int("key_size")?.unwrap_or(DEFAULT_KEY_BYTES);
    if bytes <= 0 {
        return refused("the key_size value must be greater than zero");
    }
    if pixels > MAX_QR_PIXELS || bytes > MAX_KEY_BYTES {
        return refused(format!("the most is {MAX_KEY_BYTES} for key_size and {MAX_QR_PIXELS} for qr_size"));
    }
    Ok((usize::try_from(bytes).unwrap_or(0), usize::try_from(pixels).unwrap_or(0)))
}

fn complete(
    fields: &Fields<'_>,
    mut key: Key,
    generates: bool,
    (key_bytes, qr_pixels): (usize, usize),
) -> Result<Wanted, Fault> {
    let is_shown = generates && fields.flag("exported")?.unwrap_or(true);
    if !generates {
        if key.secret.is_empty() {
            return refused("the key value is required");
        }
        base32::decode(&key.secret).map_err(|at| {
            Fault::invalid(format!("invalid key value: illegal base32 data at input byte {at}"))
        })?;
        return Ok(Wanted { key, is_shown, qr_pixels });
    }
    if key.account.is_empty() {
        return refused("the account_name value is required for generated keys");
    }
    if key.issuer.is_empty() {
        return refused("the issuer value is required for generated keys");
    }
    let mut secret = Zeroizing::new(vec![0; key_bytes]);
    crate::entropy::fill(&mut secret);
    key.secret = base32::encode(&secret);
    Ok(Wanted { key, is_shown, qr_pixels })
}
