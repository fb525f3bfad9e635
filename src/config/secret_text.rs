//! A setting that holds a secret: the only kind where `${VARIABLE}` and `file:/path` are followed.
//!
//! It is wiped on drop and prints as `***`.

use std::borrow::Cow;
use std::fmt;
use std::io::Read;
use std::path::Path;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer};
use zeroize::Zeroizing;

/// Longest secret read from a file, in bytes.
const SECRET_MAX: u64 = 4096;

/// The setting as written: a literal, `${VARIABLE}` or `file:/path`.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct SecretText(Zeroizing<String>);

// === impl SecretText ===

impl SecretText {
    /// Follows the indirection. The error says what failed and never what the value is.
    pub(crate) fn resolve(&self) -> Result<Zeroizing<String>, String> {
        if let Some(path) = self.0.strip_prefix("file:") {
            return read_secret_file(Path::new(path));
        }
        match self.0.strip_prefix("${").and_then(|name| name.strip_suffix('}')) {
            Some(name) => variable(name),
            None => Ok(self.0.clone()),
        }
    }
}

/// The content of a secret file without the white space around it.
pub(crate) fn read_secret_file(path: &Path) -> Result<Zeroizing<String>, String> {
    let shown = path.display();
    // A pipe or a device could block for ever; only plain files are opened.
    let metadata = std::fs::metadata(path).map_err(|error| format!("cannot read {shown}: {error}"))?;
    if !metadata.is_file() {
        return Err(format!("{shown} is not a plain file"));
    }
    let mut text = Zeroizing::new(String::new());
    std::fs::File::open(path)
        .and_then(|file| file.take(SECRET_MAX).read_to_string(&mut text))
        .map_err(|error| format!("cannot read {shown}: {error}"))?;
    Ok(Zeroizing::new(text.trim().to_owned()))
}

#[expect(clippy::disallowed_methods, reason = "the one place where the configuration reads its variables")]
fn variable(name: &str) -> Result<Zeroizing<String>, String> {
    std::env::var(name).map(Zeroizing::new).map_err(|_| format!("the environment has no variable {name}"))
}

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Zeroizing::new).map(Self)
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl JsonSchema for SecretText {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "SecretText".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^([0-9a-fA-F]{64}|\\$\\{[A-Za-z_][A-Za-z0-9_]*\\}|file:.+)$" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> SecretText {
        SecretText(Zeroizing::new(text.to_owned()))
    }

    #[test]
    fn indirections_are_followed() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("s");
        std::fs::write(&file, "abc\n").unwrap();
        assert_eq!(*secret("plain").resolve().unwrap(), "plain");
        assert_eq!(*secret(&format!("file:{}", file.display())).resolve().unwrap(), "abc");
        assert!(secret("${UNDERSTUDY_NO_SUCH_VARIABLE}").resolve().unwrap_err().contains("no variable"));
        assert!(secret("file:/nonexistent/x").resolve().unwrap_err().contains("cannot read"));
        assert!(secret("file:/dev/zero").resolve().unwrap_err().contains("plain file"));
    }

    #[test]
    fn secrets_are_not_printed() {
        assert_eq!(format!("{:?}", secret("hunter2")), "***");
    }
}
