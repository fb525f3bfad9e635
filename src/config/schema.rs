//! The JSON Schema of the configuration file, generated from `raw`: for editors, and for our own hints.

use std::sync::LazyLock;

use serde_json::Value;

use super::raw::RawConfig;

/// The schema as kept in `config/proxy.schema.json`, with a newline at the end.
#[must_use]
pub fn text() -> String {
    let schema = schemars::schema_for!(RawConfig);
    format!("{:#}\n", Value::from(schema))
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
