//! `sys/raw`: the records of the store as they are inside the barrier. For repairs, and only where the configuration
//! says `raw_storage_endpoint = true`.
//!
//! What the seal lives by is out of reach, to read as well as to write: a mistake there locks everybody out.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::json;
use zeroize::Zeroizing;

use super::{tools, whole};
use crate::logical::Access::Sudo;
use crate::logical::field::Fields;
use crate::logical::{Answer, Call, Fault, Field, FieldKind, Method, Response, Route, Routes};

/// See the module.
#[derive(Debug)]
pub struct RawEndpoints {
    routes: Routes<Self>,
}

/// Keyring, root key, recovery key, their configuration, and what the cluster is called by.
const PROTECTED: &[&str] =
    &["core/keyring", "core/root-key", "core/recovery-", "core/seal-config", "core/cluster/local/info"];
/// The store keeps values as they are given.
const COMPRESSION: &str = "compression_type";

const FIELDS: &[Field] = &[
    Field::new("path", FieldKind::String, "The record's key."),
    Field::new("value", FieldKind::String, "The new value."),
    Field::new("encoding", FieldKind::String, "How the value is written: base64, or nothing for plain text."),
    Field::new("compressed", FieldKind::Bool, "Whether to show compressed values opened."),
    Field::new(COMPRESSION, FieldKind::String, "Compression of the new value: none here."),
    Field::new(
        "after",
        FieldKind::String,
        "Optional entry to list begin listing after, not required to exist.",
    ),
    Field::new("limit", FieldKind::Int, "Optional number of entries to return; defaults to all entries."),
];

const ROUTES: &[Route<RawEndpoints>] = &[
    Route::new(
        "raw/?",
        Sudo,
        METHODS,
        FIELDS,
        "Write, Read, and Delete data directly in the Storage backend.",
    ),
    Route::new(
        "raw/{path:rest}",
        Sudo,
        METHODS,
        FIELDS,
        "Write, Read, and Delete data directly in the Storage backend.",
    ),
];

const METHODS: &[Method<RawEndpoints>] = &[
    Method::read(|_, call| read(call)),
    Method::write(|_, call| write(call)),
    Method::delete(|_, call| delete(call)),
    Method::list(|_, call| list(call)),
];

// === impl RawEndpoints ===

impl RawEndpoints {
    #[must_use]
    pub fn new() -> Self {
        Self { routes: Routes::new(ROUTES) }
    }
}

impl Default for RawEndpoints {
    fn default() -> Self {
        Self::new()
    }
}

fn check(path: &str) -> Result<(), Fault> {
    if PROTECTED.iter().any(|taken| path.starts_with(taken)) {
        return Err(Fault::invalid(format!("cannot access {path:?}")));
    }
    Ok(())
}

/// Whether values are written as base64.
fn is_encoded(fields: &Fields<'_>) -> Result<bool, Fault> {
    match fields.text("encoding")?.unwrap_or_default().as_str() {
        "" => Ok(false),
        "base64" => Ok(true),
        other => Err(Fault::invalid(format!("invalid encoding {other:?}"))),
    }
}

fn read(call: &mut Call<'_>) -> Answer {
    let path = call.captures.get("path");
    let fields = Fields::new(&call.request.data);
    check(path)?;
    let (encoded, opens) = (is_encoded(&fields)?, fields.flag("compressed")?.unwrap_or(true));
    let Some(value) = whole(call)?.get(path)? else { return Err(Fault::missing()) };
    if value.is_empty() && opens {
        return Err(Fault::invalid("'data' being decompressed is empty"));
    }
    let shown = match encoded {
        true => BASE64_STANDARD.encode(&*value),
        false => String::from_utf8_lossy(&value).into_owned(),
    };
    Ok(Response::json(json!({ "value": shown })))
}

fn write(call: &mut Call<'_>) -> Answer {
    let path = call.captures.get("path");
    let fields = Fields::new(&call.request.data);
    check(path)?;
    if path.is_empty() || path.ends_with('/') {
        return Err(Fault::invalid("a record's key does not end in a slash"));
    }
    let kind = fields.text(COMPRESSION)?.unwrap_or_default();
    if !kind.is_empty() {
        return Err(Fault::invalid(format!("invalid compression type {kind:?}")));
    }
    let value = Zeroizing::new(fields.text("value")?.unwrap_or_default());
    let bytes = match is_encoded(&fields)? {
        true => decoded(&value)?,
        false => Zeroizing::new(value.as_bytes().to_vec()),
    };
    whole(call)?.put(path, bytes)?;
    Ok(Response::empty())
}

fn decoded(text: &str) -> Result<Zeroizing<Vec<u8>>, Fault> {
    let decoded = BASE64_STANDARD.decode(text).map(Zeroizing::new);
    decoded.map_err(|error| {
        Fault::invalid(format!("illegal base64 data at input byte {}", tools::illegal_at(&error)))
    })
}

fn delete(call: &mut Call<'_>) -> Answer {
    let path = call.captures.get("path");
    check(path)?;
    whole(call)?.delete(path)?;
    Ok(Response::empty())
}

fn list(call: &mut Call<'_>) -> Answer {
    let fields = Fields::new(&call.request.data);
    let folder = match call.captures.get("path").trim_end_matches('/') {
        "" => String::new(),
        path => format!("{path}/"),
    };
    check(&folder)?;
    let after = fields.text("after")?.unwrap_or_default();
    let limit = fields.int("limit")?.and_then(|limit| usize::try_from(limit).ok()).filter(|limit| *limit > 0);
    Ok(Response::keys(whole(call)?.list(&folder, &after, limit.unwrap_or(usize::MAX))?))
}

impl super::Tabled for RawEndpoints {
    fn routes(&self) -> &Routes<Self> {
        &self.routes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_seal_lives_by_is_out_of_reach() {
        for path in
            ["core/keyring", "core/keyring/", "core/root-key", "core/root-key-handover", "core/recovery-key"]
        {
            assert_eq!(check(path).unwrap_err().to_string(), format!("cannot access {path:?}"));
        }
        for path in ["core/mounts", "logical/x/y", "core/"] {
            assert!(check(path).is_ok(), "{path}");
        }
    }

    #[test]
    fn values_are_text_or_base64() {
        assert_eq!(*decoded("aGVsbG8=").unwrap(), b"hello");
        assert_eq!(decoded("!!").unwrap_err().to_string(), "illegal base64 data at input byte 0");
    }
}
