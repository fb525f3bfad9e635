//! The outermost settings, and the parts put together.

use std::time::Duration;

use super::environment::Environment;
use super::model::{Endpoints, Leases, Listener, Log, NodeConfig, ResponseHeaders, Storage, Telemetry};
use super::section::Section;
use super::{audit, cluster, idle, listener, registration, sanitized, seal, storage};
use crate::config::proxy::{LogFormat, LogLevel, LogOutput};

/// Time to live of a lease nobody chose: 32 days, as Vault has it.
const LEASE_TTL: Duration = Duration::from_secs(768 * 3600);
/// How long a metric nobody touched is kept, as Vault has it.
pub(super) const PROMETHEUS_RETENTION: Duration = Duration::from_secs(24 * 3600);
/// First word of metric names, as Vault has it: dashboards look for it.
const METRICS_PREFIX: &str = "vault";

/// Reads everything; `None` when a part without which there is no node is missing (and it is reported).
pub(super) fn read(root: &Section<'_>, environment: &Environment) -> Option<NodeConfig> {
    let listeners: Vec<Listener> = root.blocks("listener", 1).iter().filter_map(listener::read).collect();
    if listeners.is_empty() {
        let help = "write listener \"tcp\" { address = \"127.0.0.1:8200\" ... }";
        root.notes.missing(&root.spot, "listener", help);
    }
    let storage = storage::read(root, environment);
    let cluster = cluster::read(root, environment, &listeners, storage.as_ref());
    let seal = seal::read(root);
    let response_headers = response_headers(root, storage.as_ref());
    let (audit, leases, log) = (audit::read(root), leases(root), log(root, environment));
    let endpoints = Endpoints {
        raw_storage: root.is_on("raw_storage_endpoint", false),
        introspection: root.is_on("introspection_endpoint", false),
    };
    let telemetry = telemetry(root);
    let service_registration = registration::read(root, environment);
    let pid_file = root.path("pid_file").map(|given| given.value);
    others(root);
    idle::in_file(root);
    root.close();
    Some(NodeConfig {
        listeners,
        storage: storage?,
        seal,
        cluster,
        leases,
        audit,
        log,
        response_headers,
        endpoints,
        telemetry,
        service_registration,
        pid_file,
        sanitized: sanitized::sanitized(root),
    })
}

fn response_headers(root: &Section<'_>, storage: Option<&Storage>) -> ResponseHeaders {
    let node_id = root.flag("enable_response_header_raft_node_id");
    if let (Some(given), Some(Storage::Inmem | Storage::File { .. })) = (&node_id, storage)
        && given.value
    {
        let message = "this storage has no node id, so no answer says it";
        root.notes.warning(&given.spot, "no-effect", message, "it is for storage \"raft\"");
    }
    ResponseHeaders {
        hostname: root.is_on("enable_response_header_hostname", false),
        raft_node_id: node_id.is_some_and(|given| given.value),
    }
}

fn leases(root: &Section<'_>) -> Leases {
    let (default, max) = (root.longest("default_lease_ttl"), root.longest("max_lease_ttl"));
    let of = |given: &Option<super::notes::Given<Duration>>| {
        given.as_ref().map(|given| given.value).filter(|ttl| !ttl.is_zero())
    };
    let max_ttl = of(&max).unwrap_or(LEASE_TTL);
    let default_ttl = of(&default).unwrap_or(LEASE_TTL.min(max_ttl));
    if let Some(default) = default.filter(|_| default_ttl > max_ttl) {
        let message = "the default time to live is longer than the longest";
        root.notes.error_help(&default.spot, "conflict", message, "raise max_lease_ttl or lower this");
    }
    Leases { default_ttl, max_ttl }
}

fn log(root: &Section<'_>, environment: &Environment) -> Log {
    let level = root.text("log_level").and_then(|given| {
        let known = level(&given.value);
        if known.is_none() {
            let known = ["trace", "debug", "info", "warn", "error"];
            root.notes.unknown_word(&given.spot, &given.value, &known);
        }
        known
    });
    let format = root.text("log_format").and_then(|given| {
        let known = format(&given.value);
        if known.is_none() {
            root.notes.unknown_word(&given.spot, &given.value, &["standard", "json"]);
        }
        known
    });
    let wanted_level = environment.log_level.as_deref().and_then(self::level);
    let wanted_format = environment.log_format.as_deref().and_then(self::format);
    Log {
        level: wanted_level.or(level).unwrap_or(LogLevel::Info),
        format: wanted_format.or(format).unwrap_or(LogFormat::Text),
        output: root.path("log_file").map_or(LogOutput::Stderr, |given| LogOutput::File(given.value)),
    }
}

/// A level of Vault's log.
#[must_use]
pub fn level(word: &str) -> Option<LogLevel> {
    match word.to_ascii_lowercase().as_str() {
        "trace" => Some(LogLevel::Trace),
        "debug" => Some(LogLevel::Debug),
        "info" | "notice" => Some(LogLevel::Info),
        "warn" | "warning" => Some(LogLevel::Warn),
        "error" | "err" => Some(LogLevel::Error),
        _ => None,
    }
}

/// A format of Vault's log.
#[must_use]
pub fn format(word: &str) -> Option<LogFormat> {
    match word.to_ascii_lowercase().as_str() {
        "standard" | "" | "unspecified" => Some(LogFormat::Text),
        "json" => Some(LogFormat::Json),
        _ => None,
    }
}

fn telemetry(root: &Section<'_>) -> Telemetry {
    let default = || Telemetry { prometheus: true, prefix: METRICS_PREFIX.to_owned() };
    let Some(section) = root.block_once("telemetry", 0) else { return default() };
    let retention = section.time("prometheus_retention_time");
    if let Some(kept) = retention.as_ref().filter(|given| !given.value.is_zero()) {
        section.notes.warning(
            &kept.spot,
            "no-effect",
            "a metric is told as long as the node runs",
            "0 turns the Prometheus form off; leave it out",
        );
    }
    section.without_effect("disable_hostname", "names of metrics never hold the host's name");
    let telemetry = Telemetry {
        prometheus: retention.is_none_or(|given| !given.value.is_zero()),
        prefix: section.text("metrics_prefix").map_or(METRICS_PREFIX.to_owned(), |given| given.value),
    };
    for key in SINKS {
        section.without_effect(key, "metrics are fetched: scrape sys/metrics?format=prometheus");
    }
    for key in METRICS {
        section.without_effect(key, "which metrics there are is fixed");
    }
    section.close();
    telemetry
}

/// Where Vault sends metrics.
const SINKS: [&str; 22] = [
    "statsite_address",
    "statsd_address",
    "dogstatsd_addr",
    "dogstatsd_tags",
    "circonus_api_token",
    "circonus_api_app",
    "circonus_api_url",
    "circonus_submission_interval",
    "circonus_submission_url",
    "circonus_check_id",
    "circonus_check_force_metric_activation",
    "circonus_check_instance_id",
    "circonus_check_search_tag",
    "circonus_check_display_name",
    "circonus_check_tags",
    "circonus_broker_id",
    "circonus_broker_select_tag",
    "stackdriver_project_id",
    "stackdriver_location",
    "stackdriver_namespace",
    "stackdriver_debug_logs",
    "enable_hostname_label",
];

/// What Vault lets one choose about its metrics.
const METRICS: [&str; 9] = [
    "usage_gauge_period",
    "maximum_gauge_cardinality",
    "lease_metrics_epsilon",
    "num_lease_metrics_buckets",
    "add_lease_metrics_namespace_labels",
    "add_mount_point_rollback_metrics",
    "filter_default",
    "prefix_filter",
    "unauthenticated_metrics_access",
];

/// Settings of Vault's that change nothing, or that this version does not have.
fn others(root: &Section<'_>) {
    for (key, why) in [
        ("ui", "there is no web interface; the API and the command line are there"),
        (
            "disable_mlock",
            "memory is not locked: keys are wiped when they are no longer needed; use encrypted swap or none",
        ),
        ("disable_cache", "reads come from the open store itself"),
        ("cache_size", "reads come from the open store itself"),
        ("disable_sealwrap", "there is no seal wrapping"),
        ("disable_indexing", "there is no indexing"),
        ("disable_printable_check", "names may hold any character"),
        ("disable_clustering", "only storage \"raft\" makes a cluster"),
        ("disable_ssct_tokens", "tokens are not signed by the server"),
        ("plugin_directory", "there are no plugins"),
        ("plugin_file_uid", "there are no plugins"),
        ("plugin_file_permissions", "there are no plugins"),
        ("plugin_tmpdir", "there are no plugins"),
        ("plugin_auto_download", "there are no plugins"),
        ("plugin_auto_register", "there are no plugins"),
        ("plugin_download_behavior", "there are no plugins"),
        ("plugin_download_max_size", "there are no plugins"),
        ("default_max_request_duration", "it is a setting of each listener: max_request_duration"),
        ("cluster_cipher_suites", "the cluster port speaks TLS 1.3 only"),
        ("log_requests_level", "requests are in the audit log"),
        ("log_rotate_bytes", "SIGHUP opens the log file anew: logrotate does the rest"),
        ("log_rotate_duration", "SIGHUP opens the log file anew: logrotate does the rest"),
        ("log_rotate_max_files", "SIGHUP opens the log file anew: logrotate does the rest"),
        ("enable_post_unseal_trace", "there is no such trace"),
        ("post_unseal_trace_directory", "there is no such trace"),
        ("detect_deadlocks", "locks are not watched"),
        ("imprecise_lease_role_tracking", "leases are counted exactly"),
        ("experiments", "there are no experiments"),
        ("license_path", "no licence is needed"),
        ("reporting", "nothing is reported to anybody"),
        ("sentinel", "policies are ACL policies"),
        ("disable_sentinel_trace", "policies are ACL policies"),
        ("replication", "there is no replication between clusters"),
        ("request_limiter", "there is no request limiter; see max_request_duration"),
        ("adaptive_overload_protection", "there is no request limiter; see max_request_duration"),
        ("administrative_namespace_path", "there is one namespace"),
        ("unsafe_cross_namespace_identity", "there is one namespace"),
        ("unsafe_relative_paths", "paths are cleaned as in Go"),
        ("allow_unauthenticated_workflows", "there are no workflows"),
        ("remove_irrevocable_lease_after", "a lease that cannot be revoked stays until an operator ends it"),
        ("user_lockout", "it is tuned on each mount of userpass and approle"),
        ("kms_library", "there are no libraries of hardware modules"),
    ] {
        root.without_effect(key, why);
    }
    for (key, instead) in [
        ("initialize", "run `operator init` once, and the rest through the API"),
        ("plugin", "there are no plugins; the engines are built in"),
        ("entropy", "random bytes come from the operating system"),
        ("hsm", "seals here: shamir, static"),
    ] {
        root.unsupported(key, instead);
    }
}
