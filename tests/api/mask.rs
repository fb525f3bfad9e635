//! What differs from run to run by nature is replaced by what it is: `<uuid>`, `<time>`, `<token>`. Masking is
//! done on both sides, so a token where a uuid belongs is still a difference.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use regex::Regex;
use serde_json::{Map, Value};

use crate::scenario::Saved;

/// Numbers that are moments, sizes or versions of one machine or run.
const VOLATILE: &[&str] = &[
    "creation_time",
    "server_time_utc",
    "last_update_time",
    "start_time",
    "raft_committed_index",
    "raft_applied_index",
    "expire_time_unix",
    "last_wal",
    "uptime",
    "procs",
    "bootTime",
    "code_size",
    "remote_port",
];
/// Texts that are random and have no shape of their own.
const RANDOM: &[&str] = &[
    "random_bytes",
    "otp",
    "encoded_token",
    "encoded_root_token",
    "keys",
    "keys_base64",
    "public_key",
    "key",
    "hostname",
    "backup",
    "pgp_fingerprint",
    "barcode",
    "url",
    "code",
    "ca_chain",
];
/// Random even when short.
const ALWAYS: &[&str] = &["random_bytes", "code"];
/// Long, but the same for everybody who computes it right.
const STEADY: &[&str] = &["sum", "policy", "rules"];

/// Masks a whole body.
pub(crate) fn body(value: Value, saved: &Saved) -> Value {
    Mask { saved }.value(value, "")
}

/// Masks a text.
pub(crate) fn text(value: &str, saved: &Saved) -> String {
    Mask { saved }.text(value)
}

struct Mask<'a> {
    saved: &'a Saved,
}

impl Mask<'_> {
    fn value(&self, value: Value, key: &str) -> Value {
        match value {
            Value::String(text) => Value::String(self.string(&text, key)),
            Value::Number(_) if VOLATILE.contains(&key) || moment(&value) => Value::String("<number>".into()),
            Value::Array(items) => sorted(items.into_iter().map(|item| self.value(item, key)).collect()),
            Value::Object(fields) => self.fields(fields),
            Value::Null | Value::Bool(_) | Value::Number(_) => value,
        }
    }

    fn string(&self, text: &str, key: &str) -> String {
        let masked = self.text(text);
        // Base64 may hold by chance what looks like another shape.
        let known = masked.contains("{{") || masked.starts_with('<') && !key_material(text);
        let random =
            ALWAYS.contains(&key) || RANDOM.contains(&key) && looks_random(text) || key_material(text);
        if random && !known && !STEADY.contains(&key) { format!("<random {key}>") } else { masked }
    }

    /// Field names are masked too: several answers are maps by id.
    fn fields(&self, fields: Map<String, Value>) -> Value {
        let mut out = BTreeMap::new();
        for (name, value) in fields {
            let value = self.value(value, &name);
            let mut masked = self.text(&name);
            while out.contains_key(&masked) {
                masked.push('\'');
            }
            out.insert(masked, value);
        }
        Value::Object(out.into_iter().collect())
    }

    fn text(&self, text: &str) -> String {
        let mut text = text.to_owned();
        let mut known: Vec<(&String, &String)> = self.saved.iter().filter(|(_, v)| v.len() > 7).collect();
        known.sort_by_key(|(_, value)| std::cmp::Reverse(value.len()));
        for (name, value) in known {
            text = text.replace(value.as_str(), &format!("{{{{{name}}}}}"));
        }
        for (shape, name) in shapes() {
            text = shape.replace_all(&text, *name).into_owned();
        }
        text
    }
}

/// Long enough and without a space: not a word somebody chose.
fn looks_random(text: &str) -> bool {
    text.len() > 15 && !text.contains(' ')
}

/// Base64 of 32 bytes or more.
fn key_material(text: &str) -> bool {
    text.len() > 42 && text.chars().all(|c| c.is_ascii_alphanumeric() || "+/=".contains(c))
}

/// Seconds since 1970, of these years.
fn moment(value: &Value) -> bool {
    value.as_i64().is_some_and(|n| (1_700_000_000..2_200_000_000).contains(&n))
}

/// A list of masked things has no order left to compare.
fn sorted(mut items: Vec<Value>) -> Value {
    let masked = |item: &Value| item.as_str().is_some_and(|text| text.contains('<') || text.contains("{{"));
    if items.iter().any(masked) {
        items.sort_by_key(Value::to_string);
    }
    Value::Array(items)
}

fn shapes() -> &'static [(Regex, &'static str)] {
    static SHAPES: OnceLock<Vec<(Regex, &'static str)>> = OnceLock::new();
    SHAPES.get_or_init(|| {
        [
            (r"-----BEGIN ([A-Z ]+)-----[^-]+-----END [A-Z ]+-----", "<pem $1>"),
            (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "<uuid>"),
            (r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", "<time>"),
            (r"\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?( [+-]\d{4} [A-Z]+)?( m=[+0-9.]+)?", "<time>"),
            (r"\b(hvs|hvb|s|b|r)\.[A-Za-z0-9_-]{20,}", "<token $1>"),
            (r"\beyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", "<jwt>"),
            (r"vault:v(\d+):[A-Za-z0-9+/=_-]+", "<vault v$1>"),
            (r"hmac-sha256:[0-9a-f]{64}", "<hmac>"),
            (r"(auth|kv|userpass|approle|transit|totp|cubbyhole|identity|system|ns_identity|ns_cubbyhole|ns_system|ns_token|token|generic)_([a-z]+_)?[0-9a-f]{8}\b", "<accessor $1>"),
            (r"entity_[0-9a-f]{8}\b", "<entity>"),
            (r"group_[0-9a-f]{8}\b", "<group>"),
            (r"vault-cluster-[0-9a-f]{8}", "<cluster>"),
            (r"127\.0\.0\.1:\d{4,5}", "<address>"),
            (r"/[^ ]*/\.tmp[A-Za-z0-9]+", "<scratch>"),
            (r"\b[A-Za-z0-9]{24}\b", "<accessor>"),
        ]
        .into_iter()
        .map(|(pattern, name)| (Regex::new(pattern).unwrap(), name))
        .collect()
    })
}
