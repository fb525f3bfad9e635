//! `sys/tools/hash` and `sys/tools/random`: cryptography without a mount. Nothing is stored.

use aws_lc_rs::digest::{Algorithm, SHA3_256, SHA3_384, SHA3_512, SHA224, SHA256, SHA384, SHA512, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::entropy;
use crate::logical::Access::Token;
use crate::logical::field::Fields;
use crate::logical::{Answer, Call, Fault, Field, FieldKind, Method, Response, Route, Routes};

/// Random bytes in one answer are fewer.
const MAX_RANDOM: i64 = 128 * 1024;
/// Random bytes where nothing is said.
const RANDOM: i64 = 32;

/// See the module.
#[derive(Debug)]
pub struct ToolEndpoints {
    routes: Routes<Self>,
}

const HASH_FIELDS: &[Field] = &[
    Field { name: "input", kind: FieldKind::String, description: "The base64-encoded input data." },
    Field {
        name: "algorithm",
        kind: FieldKind::String,
        description: "The algorithm: sha2-224, sha2-256, sha2-384, sha2-512, sha3-256, sha3-384 or sha3-512. Defaults to \
                      sha2-256.",
    },
    Field {
        name: "urlalgorithm",
        kind: FieldKind::String,
        description: "The algorithm, as part of the URL.",
    },
    Field {
        name: "format",
        kind: FieldKind::String,
        description: "Encoding of the answer: hex or base64. Defaults to hex.",
    },
];

const RANDOM_FIELDS: &[Field] = &[
    Field {
        name: "bytes",
        kind: FieldKind::Int,
        description: "The number of bytes to generate. Defaults to 32.",
    },
    Field {
        name: "urlbytes",
        kind: FieldKind::String,
        description: "The number of bytes, as part of the URL.",
    },
    Field {
        name: "source",
        kind: FieldKind::String,
        description: "Where the randomness comes from: platform, seal or all.",
    },
    Field {
        name: "format",
        kind: FieldKind::String,
        description: "Encoding of the answer: hex or base64. Defaults to base64.",
    },
];

const ROUTES: &[Route<ToolEndpoints>] = &[
    Route::new(
        "tools/hash",
        Token,
        &[Method::asks(|_, call| hash(call))],
        HASH_FIELDS,
        "Generate a hash sum for input data.",
    ),
    Route::new(
        "tools/hash/{urlalgorithm}",
        Token,
        &[Method::asks(|_, call| hash(call))],
        HASH_FIELDS,
        "Generate a hash sum for input data.",
    ),
    Route::new(
        "tools/random",
        Token,
        &[Method::asks(|_, call| random(call))],
        RANDOM_FIELDS,
        "Generate random bytes.",
    ),
    Route::new(
        "tools/random/{source}",
        Token,
        &[Method::asks(|_, call| random(call))],
        RANDOM_FIELDS,
        "Generate random bytes.",
    ),
    Route::new(
        "tools/random/{source}/{urlbytes}",
        Token,
        &[Method::asks(|_, call| random(call))],
        RANDOM_FIELDS,
        "Generate random bytes.",
    ),
];

// === impl ToolEndpoints ===

impl ToolEndpoints {
    #[must_use]
    pub fn new() -> Self {
        Self { routes: Routes::new(ROUTES) }
    }
}

impl Default for ToolEndpoints {
    fn default() -> Self {
        Self::new()
    }
}

fn hash(call: &Call<'_>) -> Answer {
    let fields = Fields::new(&call.request.data);
    let input = fields.text("input")?.unwrap_or_default();
    let input = STANDARD.decode(&input).map_err(|error| undecodable(&error))?;
    let named = match call.captures.get("urlalgorithm") {
        "" => fields.text("algorithm")?.unwrap_or_else(|| "sha2-256".to_owned()),
        named => named.to_owned(),
    };
    let format = fields.text("format")?.unwrap_or_else(|| "hex".to_owned());
    let unsupported =
        || Fault::Invalid(format!("unsupported encoding format {format}; must be \"hex\" or \"base64\""));
    let shown = |bytes: &[u8]| encoded(&format, bytes).ok_or_else(unsupported);
    shown(&[])?;
    let algorithm =
        algorithm(&named).ok_or_else(|| Fault::Invalid(format!("unsupported algorithm {named}")))?;
    Ok(Response::json(json!({ "sum": shown(digest(algorithm, &input).as_ref())? })))
}

/// In the words of Go's decoder.
fn undecodable(error: &base64::DecodeError) -> Fault {
    let at = illegal_at(error);
    Fault::Invalid(format!("unable to decode input as base64: illegal base64 data at input byte {at}"))
}

/// The byte that Go's decoder stops at.
pub(super) fn illegal_at(error: &base64::DecodeError) -> usize {
    use base64::DecodeError::{InvalidByte, InvalidLastSymbol, InvalidLength, InvalidPadding};
    match error {
        InvalidByte(at, _) | InvalidLastSymbol(at, _) | InvalidLength(at) => *at,
        InvalidPadding => 0,
    }
}

fn algorithm(name: &str) -> Option<&'static Algorithm> {
    Some(match name {
        "sha2-224" => &SHA224,
        "sha2-256" => &SHA256,
        "sha2-384" => &SHA384,
        "sha2-512" => &SHA512,
        "sha3-256" => &SHA3_256,
        "sha3-384" => &SHA3_384,
        "sha3-512" => &SHA3_512,
        _ => return None,
    })
}

fn encoded(format: &str, bytes: &[u8]) -> Option<String> {
    match format {
        "hex" => Some(hex::encode(bytes)),
        "base64" => Some(STANDARD.encode(bytes)),
        _ => None,
    }
}

fn random(call: &Call<'_>) -> Answer {
    let fields = Fields::new(&call.request.data);
    let (source, bytes) = asked(call, &fields)?;
    if bytes < 1 {
        return Err(Fault::invalid("'bytes' cannot be less than 1"));
    }
    if bytes > MAX_RANDOM {
        return Err(Fault::Invalid(format!("'bytes' should be less than {MAX_RANDOM}")));
    }
    let format = fields.text("format")?.unwrap_or_else(|| "base64".to_owned());
    let mut random = vec![0; usize::try_from(bytes).unwrap_or_default()];
    let unsupported =
        || Fault::Invalid(format!("unsupported encoding format {format:?}; must be \"hex\" or \"base64\""));
    encoded(&format, &[]).ok_or_else(unsupported)?;
    let warning = match source.as_str() {
        "" | "platform" => None,
        "seal" => Some("no seal/entropy augmentation available, using platform entropy source"),
        "all" => None,
        _ => {
            let text = format!(
                "unsupported entropy source {source:?}; must be \"platform\" or \"seal\", or \"all\""
            );
            return Err(Fault::Invalid(text));
        }
    };
    entropy::fill(&mut random);
    let response = Response::json(json!({ "random_bytes": encoded(&format, &random).map(Value::String) }));
    Ok(match warning {
        Some(warning) => response.with_warning(warning),
        None => response,
    })
}

/// Source and number of bytes; the one segment of `random/<x>` may be either.
fn asked(call: &Call<'_>, fields: &Fields<'_>) -> Result<(String, i64), Fault> {
    let (first, second) = (call.captures.get("source"), call.captures.get("urlbytes"));
    let number = |text: &str| {
        text.parse().map_err(|_| {
            let text =
                format!("error parsing url-set byte count: strconv.Atoi: parsing {text:?}: invalid syntax");
            Fault::Invalid(text)
        })
    };
    match (first, second) {
        ("", _) => Ok((fields.text("source")?.unwrap_or_default(), fields.int("bytes")?.unwrap_or(RANDOM))),
        ("platform" | "seal" | "all", "") => Ok((first.to_owned(), fields.int("bytes")?.unwrap_or(RANDOM))),
        (first, "") => Ok((String::new(), number(first)?)),
        (first, second) => Ok((first.to_owned(), number(second)?)),
    }
}

impl super::Tabled for ToolEndpoints {
    fn routes(&self) -> &Routes<Self> {
        &self.routes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_algorithm_is_the_one_of_its_name() {
        for (name, sum) in [
            ("sha2-224", "ea09ae9cc6768c50fcee903ed054556e5bfc8347907f12598aa24193"),
            ("sha2-256", "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"),
            ("sha3-256", "3338be694f50c5f338814986cdf0686453a888b84f424d792af4b9202398f392"),
        ] {
            assert_eq!(hex::encode(digest(algorithm(name).unwrap(), b"hello")), sum, "{name}");
        }
        assert!(algorithm("md5").is_none());
    }
}
