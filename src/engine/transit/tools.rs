//! Endpoints without a key: `random` and `hash`.

use serde_json::json;
use zeroize::Zeroizing;

use super::backend::Transit;
use super::encoding;
use super::hash::Hash;
use crate::logical::field::Fields;
use crate::logical::{Answer, Call, Fault, Response};

const DEFAULT_BYTES: i64 = 32;
/// Most random bytes of a request.
const MAX_BYTES: i64 = 128 * 1024;
const NO_SEAL: &str = "no seal/entropy augmentation available, using platform entropy source";

/// How bytes are written.
#[derive(Clone, Copy)]
enum Format {
    Hex,
    Base64,
}

// === impl Transit ===

impl Transit {
    pub(super) fn random(&self, call: &mut Call<'_>) -> Answer {
        let fields = Fields::new(&call.request.data);
        let (source, bytes) = (call.captures.get("source"), call.captures.get("urlbytes"));
        let bytes = match (source, bytes) {
            ("" | "platform" | "seal" | "all", "") => fields.int("bytes")?.unwrap_or(DEFAULT_BYTES),
            (only, "") => count(only)?,
            (_, given) => count(given)?,
        };
        let length = length(bytes)?;
        let format = format(&fields, Format::Base64, |other| {
            format!("unsupported encoding format {other:?}; must be \"hex\" or \"base64\"")
        })?;
        let warns = match (source, call.captures.get("urlbytes")) {
            ("seal", _) => true,
            ("" | "platform" | "all", _) | (_, "") => false,
            (other, _) => {
                return Err(Fault::invalid(format!(
                    "unsupported entropy source {other:?}; must be \"platform\" or \"seal\", or \"all\""
                )));
            }
        };
        let mut random = Zeroizing::new(vec![0; length]);
        crate::entropy::fill(&mut random);
        let response = Response::json(json!({ "random_bytes": format.write(&random) }));
        Ok(if warns { response.with_warning(NO_SEAL) } else { response })
    }

    pub(super) fn hash(&self, call: &mut Call<'_>) -> Answer {
        let fields = Fields::new(&call.request.data);
        let input = fields.text("input")?.ok_or_else(|| Fault::invalid("input missing"))?;
        let input = encoding::decode(&input).map_err(|refusal| {
            Fault::invalid(format!("unable to decode input as base64: {}", refusal.text()))
        })?;
        let format = format(&fields, Format::Hex, |other| {
            format!("unsupported encoding format {other}; must be \"hex\" or \"base64\"")
        })?;
        let name = match call.captures.get("urlalgorithm") {
            "" => fields.text("algorithm")?.unwrap_or_else(|| "sha2-256".to_owned()),
            named => named.to_owned(),
        };
        let hash = Hash::parse(&name).filter(|hash| !matches!(hash, Hash::None | Hash::Sha1));
        let hash = hash.ok_or_else(|| Fault::invalid(format!("unsupported algorithm {name}")))?;
        Ok(Response::json(json!({ "sum": format.write(&hash.digest(&input)) })))
    }
}

fn count(text: &str) -> Result<i64, Fault> {
    text.parse().map_err(|_| {
        Fault::invalid(format!(
            "error parsing url-set byte count: strconv.Atoi: parsing {text:?}: invalid syntax"
        ))
    })
}

fn length(bytes: i64) -> Result<usize, Fault> {
    if bytes < 1 {
        return Err(Fault::invalid("'bytes' cannot be less than 1"));
    }
    let length = usize::try_from(bytes).ok().filter(|_| bytes <= MAX_BYTES);
    length.ok_or_else(|| Fault::invalid(format!("'bytes' should be less than {MAX_BYTES}")))
}

fn format(
    fields: &Fields<'_>,
    default: Format,
    refusal: impl FnOnce(&str) -> String,
) -> Result<Format, Fault> {
    match fields.text("format")?.as_deref() {
        None => Ok(default),
        Some("hex") => Ok(Format::Hex),
        Some("base64") => Ok(Format::Base64),
        Some(other) => Err(Fault::invalid(refusal(other))),
    }
}

// === impl Format ===

impl Format {
    fn write(self, bytes: &[u8]) -> String {
        match self {
            Self::Hex => hex::encode(bytes),
            Self::Base64 => encoding::encode(bytes),
        }
    }
}
