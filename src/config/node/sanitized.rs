//! The configuration as an operator may see it over the API: what the files say, without what they keep secret.
//!
//! Names and empty values are those of the real server's answer. Of seals and storages only the kind is told, of
//! telemetry what has an effect here.

use serde_json::{Map, Value as Json, json};

use super::section::Section;
use super::value;
use crate::hcl::{Body, Kind, Value};

const TEXTS: &[&str] = &[
    "api_addr",
    "cluster_addr",
    "cluster_cipher_suites",
    "cluster_name",
    "detect_deadlocks",
    "log_format",
    "log_level",
    "log_requests_level",
    "pid_file",
    "plugin_directory",
];
const NUMBERS: &[&str] = &["cache_size", "plugin_file_permissions", "plugin_file_uid"];
/// Seconds.
const TIMES: &[&str] = &["default_lease_ttl", "default_max_request_duration", "max_lease_ttl"];
const FLAGS: &[&str] = &[
    "allow_audit_log_prefixing",
    "allow_unauthenticated_workflows",
    "disable_cache",
    "disable_clustering",
    "disable_indexing",
    "disable_performance_standby",
    "disable_printable_check",
    "disable_sealwrap",
    "disable_sentinel_trace",
    "disable_standby_reads",
    "enable_response_header_hostname",
    "enable_response_header_raft_node_id",
    "imprecise_lease_role_tracking",
    "introspection_endpoint",
    "raw_storage_endpoint",
    "unsafe_allow_api_audit_creation",
    "unsafe_cross_namespace_identity",
    "unsafe_relative_paths",
];
/// Parts of a listener's names whose values are not shown.
const SECRET: &[&str] = &["secret", "token", "password", "private"];

/// See the module.
pub(super) fn sanitized(root: &Section<'_>) -> Map<String, Json> {
    let text = |key: &str| root.last(key).and_then(|given| value::text(given).ok()).unwrap_or_default();
    let number = |key: &str| root.last(key).and_then(|given| value::integer(given).ok()).unwrap_or_default();
    let seconds =
        |key: &str| root.last(key).and_then(|given| value::time(given).ok()).unwrap_or_default().as_secs();
    let flag = |key: &str| root.last(key).and_then(|given| value::flag(given).ok()).unwrap_or_default();
    let mut shown = Map::new();
    shown.extend(TEXTS.iter().map(|key| ((*key).to_owned(), json!(text(key)))));
    shown.extend(NUMBERS.iter().map(|key| ((*key).to_owned(), json!(number(key)))));
    shown.extend(TIMES.iter().map(|key| ((*key).to_owned(), json!(seconds(key)))));
    shown.extend(FLAGS.iter().map(|key| ((*key).to_owned(), json!(flag(key)))));
    // There is no web interface, and tokens are not signed.
    shown.insert("enable_ui".to_owned(), json!(false));
    shown.insert("disable_ssct_tokens".to_owned(), json!(true));
    shown.insert("listeners".to_owned(), listeners(root));
    shown.insert("seals".to_owned(), seals(root));
    shown.insert("storage".to_owned(), storage(root));
    shown.extend(kind(root, "service_registration").map(|kind| ("service_registration".to_owned(), kind)));
    shown.insert("telemetry".to_owned(), telemetry(root));
    shown
}

fn listeners(root: &Section<'_>) -> Json {
    root.labelled("listener").map(|(kind, body)| json!({ "type": kind, "config": listener(&body) })).collect()
}

fn listener(body: &Body) -> Json {
    let open = |key: &str| !SECRET.iter().any(|word| key.contains(word));
    let settings = body.items.iter().map(|item| (&*item.key().text, &item.value));
    let shown = settings.filter(|(key, _)| open(key)).map(|(key, value)| (key.to_owned(), json_of(value)));
    Json::Object(shown.collect())
}

fn seals(root: &Section<'_>) -> Json {
    let seals: Vec<Json> = root
        .labelled("seal")
        .map(|(kind, body)| {
            let disabled = body.attribute("disabled").and_then(|given| value::flag(given).ok());
            json!({ "type": kind, "disabled": disabled.unwrap_or_default() })
        })
        .collect();
    if seals.is_empty() { json!([{ "type": "shamir", "disabled": false }]) } else { json!(seals) }
}

fn storage(root: &Section<'_>) -> Json {
    let Some((kind, body)) = root.labelled("storage").last() else { return Json::Null };
    let text = |key: &str| body.attribute(key).and_then(|given| value::text(given).ok()).unwrap_or_default();
    let mut shown = json!({
        "type": kind,
        "redirect_addr": text("api_addr"),
        "cluster_addr": text("cluster_addr"),
        "disable_clustering": false,
    });
    if let (Some(shown), "raft") = (shown.as_object_mut(), kind.as_str()) {
        shown.insert("raft".to_owned(), json!({ "max_entry_size": text("max_entry_size") }));
    }
    shown
}

fn kind(root: &Section<'_>, key: &str) -> Option<Json> {
    root.labelled(key).last().map(|(kind, _)| json!({ "type": kind }))
}

fn telemetry(root: &Section<'_>) -> Json {
    let blocks = || root.bodies("telemetry");
    let last = |key: &str| blocks().filter_map(|body| body.attribute(key)).last();
    let retention = last("prometheus_retention_time").and_then(|given| value::time(given).ok());
    let retention = retention.unwrap_or(super::root::PROMETHEUS_RETENTION);
    json!({
        "disable_hostname": last("disable_hostname").and_then(|given| value::flag(given).ok()).unwrap_or_default(),
        "metrics_prefix": last("metrics_prefix").and_then(|given| value::text(given).ok()).unwrap_or_default(),
        "prometheus_retention_time": u64::try_from(retention.as_nanos()).unwrap_or(u64::MAX),
    })
}

fn json_of(value: &Value) -> Json {
    match &value.kind {
        Kind::Null => Json::Null,
        Kind::Bool(truth) => json!(truth),
        Kind::Integer(number) => json!(number),
        Kind::Float(number) => json!(number),
        Kind::Text(text) => json!(text.as_str()),
        Kind::List(values) => values.iter().map(json_of).collect(),
        Kind::Object(body) => listener(body),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Environment, parse};
    use super::*;

    fn shown(text: &str) -> Map<String, Json> {
        parse(&[("test.hcl", text)], &Environment::default()).config.unwrap().sanitized
    }

    #[test]
    fn it_says_what_the_files_say() {
        let shown = shown(
            "api_addr = \"http://127.0.0.1:8200\"\nmax_lease_ttl = \"10h\"\nraw_storage_endpoint = true\n\
             listener \"tcp\" {\n address = \"127.0.0.1:8200\"\n tls_disable = true\n}\n\
             storage \"inmem\" {}\ntelemetry {\n prometheus_retention_time = \"30s\"\n}\n",
        );
        for (key, value) in [
            ("api_addr", json!("http://127.0.0.1:8200")),
            ("cluster_name", json!("")),
            ("max_lease_ttl", json!(36_000)),
            ("default_lease_ttl", json!(0)),
            ("raw_storage_endpoint", json!(true)),
            ("introspection_endpoint", json!(false)),
            (
                "listeners",
                json!([{"type": "tcp", "config": {"address": "127.0.0.1:8200", "tls_disable": true}}]),
            ),
            ("seals", json!([{"type": "shamir", "disabled": false}])),
        ] {
            assert_eq!(shown[key], value, "{key}");
        }
        assert_eq!(shown["telemetry"]["prometheus_retention_time"], json!(30_000_000_000_u64));
        assert_eq!(shown["storage"]["type"], json!("inmem"));
    }

    #[test]
    fn keys_of_the_seal_are_not_in_it() {
        let key = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
        let shown = shown(&format!(
            "listener \"tcp\" {{\n address = \"127.0.0.1:8200\"\n tls_disable = true\n}}\nstorage \"inmem\" {{}}\n\
             seal \"static\" {{\n current_key_id = \"a\"\n current_key = \"{key}\"\n}}\n"
        ));
        let text = Json::Object(shown.clone()).to_string();
        assert!(!text.contains(key), "{text}");
        assert_eq!(shown["seals"], json!([{"type": "static", "disabled": false}]));
    }
}
