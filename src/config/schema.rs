//! The JSON Schema of the configuration file, generated from `raw`: for editors, and for our own hints.

use std::sync::LazyLock;

use serde_json::Value;

use super::raw::RawConfig;

/// Sections of the schema and the settings each must have; the empty name is the file itself.
///
/// Beside the types, because to the decoder every setting is optional: a missing one is reported by its section.
const REQUIRED: [(&str, &[&str]); 6] = [
    ("", &["version", "listeners", "cluster"]),
    ("Listener", &["bind"]),
    ("ListenerTls", &["certificates"]),
    ("Certificate", &["cert_file", "key_file"]),
    ("Server", &["address"]),
    ("Rule", &["match"]),
];

/// The schema as kept in `config/proxy.schema.json`, with a newline at the end.
#[must_use]
pub fn text() -> String {
    let mut schema = Value::from(schemars::schema_for!(RawConfig));
    for (section, settings) in REQUIRED {
        let pointer = if section.is_empty() { String::new() } else { format!("/$defs/{section}") };
        if let Some(Value::Object(section)) = schema.pointer_mut(&pointer) {
            section.insert("required".to_owned(), settings.into());
        }
    }
    format!("{schema:#}\n")
}

/// Every setting there is, as `listeners[].limits.rate`, in schema order.
pub(crate) fn settings() -> &'static [String] {
    static SETTINGS: LazyLock<Vec<String>> = LazyLock::new(list_settings);
    &SETTINGS
}

fn list_settings() -> Vec<String> {
    let schema = Value::from(schemars::schema_for!(RawConfig));
    let mut paths = Vec::new();
    walk(&schema, &schema, "", &mut paths);
    paths
}

/// The schema is a finite tree (no section contains itself), so this ends.
fn walk(root: &Value, schema: &Value, path: &str, paths: &mut Vec<String>) {
    let schema = resolve(root, schema);
    for alternative in ["anyOf", "oneOf"] {
        for choice in schema.get(alternative).and_then(Value::as_array).into_iter().flatten() {
            walk(root, choice, path, paths);
        }
    }
    if let Some(items) = schema.get("items") {
        walk(root, items, &format!("{path}[]"), paths);
    }
    for (key, value) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let path = super::report::join(path, key);
        paths.push(path.clone());
        walk(root, value, &path, paths);
    }
}

fn resolve<'s>(root: &'s Value, schema: &'s Value) -> &'s Value {
    let target = schema.get("$ref").and_then(Value::as_str).and_then(|target| target.strip_prefix('#'));
    target.and_then(|pointer| root.pointer(pointer)).unwrap_or(schema)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn required_settings_exist() {
        let schema: Value = serde_json::from_str(&text()).unwrap();
        for (section, settings) in REQUIRED {
            let pointer = if section.is_empty() { String::new() } else { format!("/$defs/{section}") };
            let section = schema.pointer(&pointer).unwrap();
            for setting in settings {
                assert!(section["properties"].get(setting).is_some(), "{pointer} {setting}");
            }
            assert_eq!(section["required"].as_array().unwrap().len(), settings.len());
        }
    }

    #[test]
    fn settings_are_listed_through_lists_and_alternatives() {
        let settings = super::settings();
        for path in
            ["version", "listeners[].limits.rate.key", "cluster.servers[].weight", "retry.backoff.base"]
        {
            assert!(settings.iter().any(|known| known == path), "{path}: {settings:?}");
        }
    }
}
