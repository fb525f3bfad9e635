//! `seal "static"`: keys that lie beside the configuration, so that the node unseals itself.
//!
//! A key is given as text (hex or base64), or where to find it: `file:///path` (text, or the 32 bytes themselves) or
//! `env://NAME`. The previous key opens what the current one has not sealed again yet.

use std::fmt;
use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::barrier::{KEY_BYTES, SecretKey};

/// Most bytes read of a key file: text of a key with blanks around it.
const MAX_FILE_BYTES: u64 = 1024;

/// A key and the name the stored records know it by.
#[derive(Debug, Clone)]
pub struct NamedKey {
    pub id: String,
    pub key: SecretKey,
}

/// See the module.
#[derive(Debug, Clone)]
pub struct StaticKeys {
    pub current: NamedKey,
    pub previous: Option<NamedKey>,
}

/// The texts of the configuration. None of them is a secret only if they point to one.
#[derive(Clone, Default)]
pub struct StaticTexts {
    pub current_key_id: String,
    pub current_key: Zeroizing<String>,
    pub previous_key_id: String,
    pub previous_key: Zeroizing<String>,
}

/// Why there is no key. Says where it was looked for, never what was found.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StaticKeyError {
    #[error("seal \"static\": {0} is missing")]
    Missing(&'static str),
    #[error("seal \"static\": previous_key and previous_key_id go together")]
    HalfPrevious,
    #[error("seal \"static\": current_key_id and previous_key_id are the same")]
    SameId,
    #[error("seal \"static\": {field}: cannot read {path}: {reason}")]
    File { field: &'static str, path: String, reason: String },
    #[error("seal \"static\": {field}: the environment variable {name} is not set")]
    Environment { field: &'static str, name: String },
    #[error("seal \"static\": {0} is not {KEY_BYTES} bytes in hex or base64")]
    Form(&'static str),
}

// === impl StaticKeys ===

impl StaticKeys {
    /// Finds the keys; `environment` looks a variable up.
    ///
    /// # Errors
    /// See [`StaticKeyError`].
    pub fn resolve(
        texts: &StaticTexts,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, StaticKeyError> {
        if texts.current_key_id.is_empty() {
            return Err(StaticKeyError::Missing("current_key_id"));
        }
        if texts.current_key.is_empty() {
            return Err(StaticKeyError::Missing("current_key"));
        }
        let named = |field, id: &str, text: &str| {
            Ok(NamedKey { id: id.to_owned(), key: key(field, text, &environment)? })
        };
        let current = named("current_key", &texts.current_key_id, &texts.current_key)?;
        let previous = match (texts.previous_key_id.as_str(), texts.previous_key.as_str()) {
            ("", "") => None,
            ("", _) | (_, "") => return Err(StaticKeyError::HalfPrevious),
            (id, _) if id == current.id => return Err(StaticKeyError::SameId),
            (id, text) => Some(named("previous_key", id, text)?),
        };
        Ok(Self { current, previous })
    }

    /// The key a record names.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<&SecretKey> {
        let named = std::iter::once(&self.current).chain(&self.previous).find(|named| named.id == id);
        named.map(|named| &named.key)
    }
}

fn key(
    field: &'static str,
    text: &str,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<SecretKey, StaticKeyError> {
    let bytes = if let Some(path) = text.strip_prefix("file://") {
        read(field, Path::new(path))?
    } else if let Some(name) = text.strip_prefix("env://") {
        let value = environment(name);
        let value = value.ok_or_else(|| StaticKeyError::Environment { field, name: name.to_owned() })?;
        Zeroizing::new(value.into_bytes())
    } else {
        Zeroizing::new(text.as_bytes().to_vec())
    };
    SecretKey::of(&bytes).or_else(|| decoded(&bytes)).ok_or(StaticKeyError::Form(field))
}

fn read(field: &'static str, path: &Path) -> Result<Zeroizing<Vec<u8>>, StaticKeyError> {
    use std::io::Read;
    let failed = |error: std::io::Error| StaticKeyError::File {
        field,
        path: path.display().to_string(),
        reason: error.to_string(),
    };
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(MAX_FILE_BYTES).unwrap_or_default()));
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(MAX_FILE_BYTES).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

/// A key as text, blanks around it allowed.
fn decoded(bytes: &[u8]) -> Option<SecretKey> {
    let text = std::str::from_utf8(bytes).ok()?.trim();
    let hex = hex::decode(text).ok().map(Zeroizing::new);
    let base64 = || BASE64_STANDARD.decode(text).ok().map(Zeroizing::new);
    hex.and_then(|bytes| SecretKey::of(&bytes)).or_else(|| SecretKey::of(&base64()?))
}

impl fmt::Debug for StaticTexts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StaticTexts({})", self.current_key_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; KEY_BYTES] = [0xab; KEY_BYTES];

    fn texts(id: &str, key: &str) -> StaticTexts {
        let (current_key_id, current_key) = (id.to_owned(), Zeroizing::new(key.to_owned()));
        StaticTexts { current_key_id, current_key, ..StaticTexts::default() }
    }

    fn resolve(texts: &StaticTexts) -> Result<StaticKeys, StaticKeyError> {
        StaticKeys::resolve(texts, |name| (name == "KEY").then(|| hex::encode(KEY)))
    }

    #[test]
    fn a_key_is_found_in_every_form() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, bytes: &[u8]| {
            std::fs::write(dir.path().join(name), bytes).unwrap();
            format!("file://{}", dir.path().join(name).display())
        };
        let text = format!("{}\n", hex::encode(KEY));
        for form in [
            hex::encode(KEY),
            BASE64_STANDARD.encode(KEY),
            "env://KEY".to_owned(),
            file("raw", &KEY),
            file("text", text.as_bytes()),
        ] {
            let keys = resolve(&texts("k1", &form)).unwrap();
            assert!(keys.find("k1").unwrap().is(&SecretKey::of(&KEY).unwrap()), "{form}");
            assert!(keys.find("k2").is_none());
        }
    }

    #[test]
    fn what_is_no_key_is_said_without_saying_what_it_is() {
        for (id, text, error) in [
            ("", "ab", "seal \"static\": current_key_id is missing"),
            ("k", "", "seal \"static\": current_key is missing"),
            ("k", "hunter2", "seal \"static\": current_key is not 32 bytes in hex or base64"),
            ("k", "env://OTHER", "seal \"static\": current_key: the environment variable OTHER is not set"),
        ] {
            assert_eq!(resolve(&texts(id, text)).unwrap_err().to_string(), error);
        }
        assert!(matches!(resolve(&texts("k", "file:///none/x")), Err(StaticKeyError::File { .. })));
    }

    #[test]
    fn the_previous_key_is_given_whole_or_not_at_all() {
        let with = |id: &str, key: &str| {
            let (previous_key_id, previous_key) = (id.to_owned(), Zeroizing::new(key.to_owned()));
            StaticTexts { previous_key_id, previous_key, ..texts("k2", "env://KEY") }
        };
        assert_eq!(resolve(&with("k1", "")).unwrap_err(), StaticKeyError::HalfPrevious);
        assert_eq!(resolve(&with("", "env://KEY")).unwrap_err(), StaticKeyError::HalfPrevious);
        assert_eq!(resolve(&with("k2", "env://KEY")).unwrap_err(), StaticKeyError::SameId);
        assert!(resolve(&with("k1", &hex::encode([1; 32]))).unwrap().find("k1").is_some());
    }
}
