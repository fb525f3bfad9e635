//! The running configuration as an operator may see it: as JSON, with every secret value blanked.

use serde_json::{Map, Value};

use crate::config::tree::{self, Entry, Kind, Node};

const BLANK: &str = "[redacted]";

/// The configuration's tree with secrets blanked; aliases are written out.
///
/// # Errors
/// The text is not YAML; the running one always is.
pub(super) fn blanked(yaml: &str) -> Result<Value, String> {
    let (root, _flaws) = tree::parse(yaml);
    root.map(|root| shown(&root)).ok_or_else(|| "the configuration text is not YAML".to_owned())
}

fn shown(node: &Node) -> Value {
    match &node.kind {
        Kind::Nothing => Value::Null,
        Kind::Scalar { text, plain: false } => Value::String(text.clone()),
        Kind::Scalar { text, plain: true } => plain(text),
        Kind::List(items) => items.iter().map(|item| shown(item)).collect(),
        Kind::Map(entries) => Value::Object(entries.iter().map(entry).collect::<Map<_, _>>()),
    }
}

/// Written without quotes: a number or truth value, where it is one in JSON too.
fn plain(text: &str) -> Value {
    let parsed = serde_json::from_str(text).ok();
    parsed.filter(|value: &Value| value.is_number() || value.is_boolean()).unwrap_or_else(|| text.into())
}

fn entry(entry: &Entry) -> (String, Value) {
    let scalar = matches!(entry.value.kind, Kind::Scalar { .. });
    let value = if scalar && is_secret(&entry.key) { BLANK.into() } else { shown(&entry.value) };
    (entry.key.clone(), value)
}

/// Names of files are no secrets. What merely sounds secret is blanked too.
fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    let sounds = ["token", "secret", "password", "sha256", "key", "authorization", "credential"];
    !key.ends_with("_file") && sounds.iter().any(|word| key.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_secrets_are_blank_and_the_rest_is_there() {
        let yaml = "
version: 1
admin:
  bind: 127.0.0.1:8299
  tokens: [{name: ops, sha256: aaaa, level: operator}]
routing:
  mount_discovery:
    token: |
      hvs.canary
    token_file: /etc/token
";
        let tree = blanked(yaml).unwrap();
        let text = tree.to_string();
        assert!(!text.contains("canary") && !text.contains("aaaa"), "{text}");
        assert_eq!((&tree["version"], &tree["admin"]["tokens"][0]["name"]), (&1.into(), &"ops".into()));
        assert_eq!(tree["routing"]["mount_discovery"]["token_file"], "/etc/token");
        assert!(blanked("{").is_err());
    }
}
