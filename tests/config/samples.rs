//! The files in `config/` are what they claim to be.

use std::path::{Path, PathBuf};

use understudy::config::{Loaded, Severity, parse, schema};

fn config_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config")
}

fn samples() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(config_dir()).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut samples: Vec<_> = paths.filter(|path| path.extension().is_some_and(|e| e == "yaml")).collect();
    samples.sort();
    samples
}

fn read(name: &str) -> Loaded {
    parse(&std::fs::read_to_string(config_dir().join(name)).unwrap(), name)
}

#[test]
fn every_sample_is_without_errors_and_warnings() {
    assert!(!samples().is_empty());
    for path in samples() {
        let name = path.file_name().unwrap().to_str().unwrap();
        let Loaded { config, findings } = read(name);
        let bad: Vec<_> = findings.iter().filter(|finding| finding.severity > Severity::Note).collect();
        assert!(bad.is_empty(), "{}", bad.iter().map(|f| format!("{f}\n")).collect::<String>());
        assert!(config.is_some(), "{name}");
    }
}

#[test]
fn the_schema_is_up_to_date() {
    let path = config_dir().join("proxy.schema.json");
    let current = schema::text();
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(&path, &current).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == current,
        "{} is out of date: run `UPDATE_SCHEMA=1 cargo test --test config`",
        path.display()
    );
}

#[test]
fn the_full_sample_shows_the_defaults() {
    let mut full = read("full.yaml").config.unwrap();
    let minimal = read("minimal.yaml").config.unwrap();
    // Zones have no default; the sample shows how they are written.
    full.cluster.local_zone = None;
    full.cluster.servers.iter_mut().for_each(|server| server.zone = None);
    assert_eq!(full, minimal);
}

#[test]
fn the_full_sample_names_every_setting() {
    let text = std::fs::read_to_string(config_dir().join("full.yaml")).unwrap();
    let schema: serde_json::Value = serde_json::from_str(&schema::text()).unwrap();
    let mut keys = Vec::new();
    collect_keys(&schema, &mut keys);
    let named: Vec<_> = text.split(':').filter_map(last_word).collect();
    let missing: Vec<_> = keys.iter().filter(|key| !named.contains(&key.as_str())).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// The word a text ends with, as before a colon.
fn last_word(text: &str) -> Option<&str> {
    let text = text.trim_end_matches('"');
    text.rsplit(|c: char| !c.is_ascii_alphanumeric() && c != '_').next()
}

fn collect_keys(schema: &serde_json::Value, keys: &mut Vec<String>) {
    if let Some(properties) = schema.get("properties").and_then(|properties| properties.as_object()) {
        keys.extend(properties.keys().cloned());
    }
    let members = schema.as_object().into_iter().flat_map(|map| map.values());
    let items = schema.as_array().into_iter().flatten();
    members.chain(items).for_each(|value| collect_keys(value, keys));
}
