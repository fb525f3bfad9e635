//! The words people bring from HAProxy, Envoy and nginx, and what they are called here.
//!
//! Pure tables and the choice of the best hint; `decode` calls them for a key or a word it does not know.

use super::report::{Report, join};
use super::schema;

/// Setting of another proxy → ours. Several lines for one word: the one nearest to where it was written is meant.
const SYNONYMS: &[(&str, &str, &str)] = &[
    // process
    ("HAProxy", "global", "runtime"),
    ("HAProxy", "nbthread", "runtime.workers"),
    ("Envoy", "concurrency", "runtime.workers"),
    ("nginx", "worker_processes", "runtime.workers"),
    ("nginx", "worker_connections", "runtime.max_connections"),
    ("HAProxy", "maxconn", "runtime.max_connections"),
    ("HAProxy", "maxconn", "listeners[].limits.max_connections"),
    ("HAProxy", "maxconn", "cluster.connections.max_per_server"),
    ("HAProxy", "hard-stop-after", "runtime.shutdown_grace"),
    ("Envoy", "drain-time-s", "runtime.shutdown_grace"),
    ("Envoy", "drain_time", "runtime.shutdown_grace"),
    // listening
    ("HAProxy", "frontend", "listeners"),
    ("HAProxy", "frontends", "listeners"),
    ("nginx", "listen", "listeners[].bind"),
    ("Envoy", "address", "listeners[].bind"),
    ("Envoy", "address", "admin.bind"),
    ("HAProxy", "ssl", "listeners[].tls"),
    ("Envoy", "transport_socket", "listeners[].tls"),
    ("Envoy", "transport_socket", "cluster.tls"),
    ("HAProxy", "crt", "listeners[].tls.certificates"),
    ("Envoy", "tls_certificates", "listeners[].tls.certificates"),
    ("nginx", "ssl_certificate", "listeners[].tls.certificates"),
    ("Envoy", "certificate_chain", "listeners[].tls.certificates[].cert_file"),
    ("Envoy", "private_key", "listeners[].tls.certificates[].key_file"),
    ("HAProxy", "ssl-min-ver", "listeners[].tls.min_version"),
    ("HAProxy", "ssl-min-ver", "cluster.tls.min_version"),
    ("nginx", "ssl_protocols", "listeners[].tls.min_version"),
    ("Envoy", "tls_minimum_protocol_version", "listeners[].tls.min_version"),
    ("Envoy", "tls_minimum_protocol_version", "cluster.tls.min_version"),
    ("Envoy", "alpn_protocols", "listeners[].tls.alpn"),
    ("HAProxy", "verify", "listeners[].tls.client_certs.mode"),
    ("Envoy", "require_client_certificate", "listeners[].tls.client_certs.mode"),
    ("nginx", "ssl_verify_client", "listeners[].tls.client_certs.mode"),
    ("HAProxy", "accept-proxy", "listeners[].proxy_protocol.accept"),
    ("HAProxy", "forwardfor", "listeners[].forwarded.mode"),
    ("HAProxy", "option forwardfor", "listeners[].forwarded.mode"),
    ("Envoy", "use_remote_address", "listeners[].forwarded.mode"),
    ("Envoy", "skip_xff_append", "listeners[].forwarded.mode"),
    ("Envoy", "xff_num_trusted_hops", "listeners[].forwarded.trusted_hops"),
    ("nginx", "set_real_ip_from", "listeners[].forwarded.trusted_proxies"),
    ("HAProxy", "tune.http.maxhdr", "listeners[].limits.max_headers"),
    ("Envoy", "max_headers_count", "listeners[].limits.max_headers"),
    ("HAProxy", "tune.bufsize", "listeners[].limits.max_header_bytes"),
    ("Envoy", "max_request_headers_kb", "listeners[].limits.max_header_bytes"),
    ("nginx", "large_client_header_buffers", "listeners[].limits.max_header_bytes"),
    ("nginx", "client_max_body_size", "listeners[].limits.max_body_bytes"),
    ("nginx", "limit_conn", "listeners[].limits.max_connections_per_ip"),
    ("nginx", "limit_req", "listeners[].limits.rate"),
    ("HAProxy", "timeout http-request", "listeners[].timeouts.request_header"),
    ("Envoy", "request_headers_timeout", "listeners[].timeouts.request_header"),
    ("nginx", "client_header_timeout", "listeners[].timeouts.request_header"),
    ("HAProxy", "timeout http-keep-alive", "listeners[].timeouts.idle"),
    ("HAProxy", "timeout client", "listeners[].timeouts.idle"),
    ("Envoy", "idle_timeout", "listeners[].timeouts.idle"),
    ("nginx", "keepalive_timeout", "listeners[].timeouts.idle"),
    ("nginx", "client_body_timeout", "listeners[].timeouts.request_body"),
    ("Envoy", "stream_idle_timeout", "listeners[].timeouts.request_body"),
    ("HAProxy", "timeout tunnel", "listeners[].timeouts.tunnel"),
    // the cluster
    ("HAProxy", "backend", "cluster"),
    ("HAProxy", "backends", "cluster"),
    ("Envoy", "clusters", "cluster"),
    ("nginx", "upstream", "cluster"),
    ("HAProxy", "server", "cluster.servers"),
    ("Envoy", "endpoints", "cluster.servers"),
    ("Envoy", "lb_endpoints", "cluster.servers"),
    ("Envoy", "load_assignment", "cluster.servers"),
    ("Envoy", "load_balancing_weight", "cluster.servers[].weight"),
    ("HAProxy", "server-template", "cluster.discovery"),
    ("Envoy", "dns_refresh_rate", "cluster.discovery.interval"),
    ("HAProxy", "sni", "cluster.tls.server_name"),
    ("Envoy", "sni", "cluster.tls.server_name"),
    ("HAProxy", "verifyhost", "cluster.tls.server_name"),
    ("HAProxy", "ca-file", "cluster.tls.ca_file"),
    ("HAProxy", "ca-file", "listeners[].tls.client_certs.ca_file"),
    ("Envoy", "validation_context", "cluster.tls.ca_file"),
    ("Envoy", "validation_context", "listeners[].tls.client_certs.ca_file"),
    ("HAProxy", "timeout connect", "cluster.connections.connect_timeout"),
    ("nginx", "proxy_connect_timeout", "cluster.connections.connect_timeout"),
    ("HAProxy", "pool-max-conn", "cluster.connections.max_idle_per_server"),
    ("nginx", "keepalive", "cluster.connections.max_idle_per_server"),
    ("HAProxy", "pool-purge-delay", "cluster.connections.idle_timeout"),
    ("HAProxy", "max-reuse", "cluster.connections.max_requests_per_connection"),
    ("HAProxy", "maxqueue", "cluster.connections.max_pending"),
    ("HAProxy", "timeout queue", "cluster.failover.hold_writes"),
    ("Envoy", "circuit_breakers", "cluster.connections"),
    ("Envoy", "max_pending_requests", "cluster.connections.max_pending"),
    ("Envoy", "max_connections", "cluster.connections.max_per_server"),
    // health
    ("Envoy", "health_checks", "cluster.health_check"),
    ("HAProxy", "option httpchk", "cluster.health_check.path"),
    ("HAProxy", "httpchk", "cluster.health_check.path"),
    ("HAProxy", "inter", "cluster.health_check.interval"),
    ("HAProxy", "fastinter", "cluster.health_check.fast_interval"),
    ("HAProxy", "downinter", "cluster.health_check.down_interval"),
    ("Envoy", "unhealthy_interval", "cluster.health_check.down_interval"),
    ("HAProxy", "fall", "cluster.health_check.unhealthy_threshold"),
    ("nginx", "max_fails", "cluster.outlier_detection.consecutive_failures"),
    ("nginx", "fail_timeout", "cluster.outlier_detection.base_ejection"),
    ("HAProxy", "rise", "cluster.health_check.healthy_threshold"),
    ("HAProxy", "timeout check", "cluster.health_check.timeout"),
    ("HAProxy", "spread-checks", "cluster.health_check.jitter"),
    ("Envoy", "interval_jitter_percent", "cluster.health_check.jitter"),
    ("HAProxy", "observe", "cluster.outlier_detection"),
    ("HAProxy", "error-limit", "cluster.outlier_detection.consecutive_failures"),
    ("Envoy", "consecutive_5xx", "cluster.outlier_detection.consecutive_failures"),
    ("Envoy", "consecutive_gateway_failure", "cluster.outlier_detection.consecutive_failures"),
    ("Envoy", "base_ejection_time", "cluster.outlier_detection.base_ejection"),
    // routing, retry, time
    ("HAProxy", "balance", "routing.balance"),
    ("Envoy", "lb_policy", "routing.balance"),
    ("nginx", "least_conn", "routing.balance"),
    ("HAProxy", "slowstart", "routing.slow_start"),
    ("Envoy", "slow_start_config", "routing.slow_start"),
    ("HAProxy", "acl", "routing.rules[].match"),
    ("HAProxy", "use_backend", "routing.rules"),
    ("Envoy", "route_config", "routing.rules"),
    ("Envoy", "routes", "routing.rules"),
    ("nginx", "location", "routing.rules"),
    ("Envoy", "prefix", "routing.rules[].match.path"),
    ("Envoy", "headers", "routing.rules[].match.header"),
    ("HAProxy", "retries", "retry.attempts"),
    ("Envoy", "num_retries", "retry.attempts"),
    ("nginx", "proxy_next_upstream_tries", "retry.attempts"),
    ("HAProxy", "retry-on", "retry.on"),
    ("Envoy", "retry_on", "retry.on"),
    ("nginx", "proxy_next_upstream", "retry.on"),
    ("YAML 1.1", "true", "retry.on"), // such tools read the key `on` as a truth value and write it back as `true`
    ("Envoy", "retry_policy", "retry"),
    ("Envoy", "retry_budget", "retry.budget"),
    ("Envoy", "budget_percent", "retry.budget.percent"),
    ("Envoy", "min_retry_concurrency", "retry.budget.min_concurrent"),
    ("Envoy", "retry_back_off", "retry.backoff"),
    ("Envoy", "base_interval", "retry.backoff.base"),
    ("Envoy", "max_interval", "retry.backoff.max"),
    ("HAProxy", "timeout server", "timeouts.request"),
    ("Envoy", "route.timeout", "timeouts.request"),
    ("nginx", "proxy_read_timeout", "timeouts.request"),
    // seeing
    ("HAProxy", "stats", "admin"),
    ("HAProxy", "log", "observability.access_log"),
    ("HAProxy", "log-format", "observability.access_log.format"),
];

/// Settings that other documents name and this version does not have: section, key, what to do instead.
const UNSUPPORTED: &[(&str, &str, &str)] = &[
    ("runtime", "user", "start the process as that user: systemd's `User=`"),
    ("runtime", "group", "start the process in that group: systemd's `Group=`"),
    ("runtime", "chroot", "systemd's `RootDirectory=` or a container does this"),
    ("", "defaults", "every setting has a default; use YAML anchors for what repeats"),
    (
        "cluster.connections",
        "send_proxy_protocol",
        "pooled connections serve many clients; use X-Forwarded-For",
    ),
    ("cluster.health_check", "roles", "roles are decided by JSON fields, not by status codes"),
    ("cluster.health_check", "expected_statuses", "roles are decided by JSON fields, not by status codes"),
    ("cluster", "healthy_panic_threshold", "there is no panic mode: an unfit node never gets requests"),
    ("admin", "dashboard", "this version has no page; read /v1/status and /metrics"),
    (
        "observability.tracing",
        "otlp_endpoint",
        "spans are not exported; traceparent is passed on (propagate: w3c)",
    ),
    ("observability.tracing", "sample", "spans are not exported; traceparent is passed on (propagate: w3c)"),
];

/// Words that would be values of a setting, were they supported: setting, word, what to do instead.
const UNSUPPORTED_WORDS: &[(&str, &str, &str)] = &[
    ("cluster.tls.alpn[]", "h2", "this version speaks http/1.1 to the servers; leave `alpn` out"),
    ("cluster.discovery.type", "aaaa", "`a` looks up A and AAAA records"),
    ("cluster.discovery.type", "srv", "this version looks up A and AAAA records; give the port in `port`"),
    ("observability.access_log.format", "text", "the access log is JSON, one object a line"),
    ("routing.balance", "leastconn", "HAProxy's `leastconn` is `least_request` here"),
    ("routing.balance", "roundrobin", "HAProxy's `roundrobin` is `round_robin` here"),
    ("routing.balance", "ring_hash", "sessions are kept consistent by index, not by hashing: least_request"),
    ("routing.balance", "maglev", "sessions are kept consistent by index, not by hashing: least_request"),
];

/// Reports a key that `section` does not have, with the best hint there is.
pub(crate) fn unknown_key(section: &str, key: &str, known: &[&str], report: &Report) {
    if report.is_full() {
        return;
    }
    let path = join(section, key);
    let pattern = pattern(section);
    if let Some((.., instead)) = UNSUPPORTED.iter().find(|(s, k, _)| *s == pattern && *k == key) {
        let message = format!("`{path}` is not supported by this version");
        return report.key_error(&path, "unsupported", message, Some((*instead).to_owned()));
    }
    let place = if section.is_empty() { "this file" } else { section };
    let help = synonym(&pattern, key)
        .or_else(|| similar(key, known.iter().copied()))
        .or_else(|| misplaced(key))
        .unwrap_or_else(|| format!("settings here: {}", known.join(", ")));
    report.key_error(&path, "unknown-key", format!("`{key}` is not a setting of {place}"), Some(help));
}

/// Reports a word that is none of the words a setting takes.
pub(crate) fn unknown_word(path: &str, word: &str, known: &[&str], report: &Report) {
    let pattern = pattern(path);
    if let Some((.., instead)) = UNSUPPORTED_WORDS.iter().find(|(p, w, _)| *p == pattern && *w == word) {
        return report.error_help(path, "unsupported", format!("`{word}` is not supported here"), *instead);
    }
    let message = format!("`{word}` is not one of: {}", known.join(", "));
    match similar(word, known.iter().copied()) {
        Some(help) => report.error_help(path, "bad-value", message, help),
        None => report.error(path, "bad-value", message),
    }
}

/// The known word a typing slip away from `word`.
pub(crate) fn similar<'w>(word: &str, known: impl Iterator<Item = &'w str>) -> Option<String> {
    let slips_max = 1 + word.chars().count() / 4;
    let lower = word.to_ascii_lowercase().replace('-', "_");
    known
        .map(|candidate| (strsim::damerau_levenshtein(&lower, candidate), candidate))
        .filter(|(slips, _)| *slips <= slips_max)
        .min_by_key(|(slips, _)| *slips)
        .map(|(_, candidate)| format!("did you mean `{candidate}`?"))
}

fn synonym(section: &str, key: &str) -> Option<String> {
    let lower = key.to_ascii_lowercase();
    let (whose, word, ours) = SYNONYMS
        .iter()
        .filter(|(_, word, _)| *word == lower)
        .max_by_key(|(.., ours)| shared(section, ours))?;
    Some(match ours.rsplit_once('.') {
        Some((home, name)) if home == section => format!("{whose}'s `{word}` is `{name}` here"),
        _ => format!("{whose}'s `{word}` is `{ours}` here"),
    })
}

/// A setting of ours, but of another section.
fn misplaced(key: &str) -> Option<String> {
    let homes: Vec<_> =
        schema::settings().iter().filter(|path| last(path) == key).map(String::as_str).collect();
    match homes.as_slice() {
        [] => None,
        [home] => Some(format!("it belongs to another section: `{home}`")),
        homes => Some(format!("it belongs to another section: one of {}", homes.join(", "))),
    }
}

fn last(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path).trim_end_matches("[]")
}

/// Leading sections two paths have in common.
fn shared(a: &str, b: &str) -> usize {
    a.split('.').zip(b.split('.')).take_while(|(a, b)| a == b).count()
}

/// `listeners[2].tls` → `listeners[].tls`.
fn pattern(path: &str) -> String {
    let mut inside = false;
    path.chars()
        .filter(|c| {
            let keep = !inside || *c == ']';
            inside = (*c == '[' || inside) && *c != ']';
            keep
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_hint_leads_to_a_setting_that_exists() {
        let settings = schema::settings();
        for (_, word, ours) in SYNONYMS {
            assert!(settings.iter().any(|s| s == ours), "{word} leads to {ours}, which is no setting");
        }
    }

    #[test]
    fn nothing_unsupported_is_a_setting() {
        let settings = schema::settings();
        for (section, key, _) in UNSUPPORTED {
            assert!(!settings.contains(&join(section, key)), "{section}.{key}");
        }
    }

    #[test]
    fn the_nearest_meaning_is_taken() {
        let cases = [
            ("cluster.health_check", "fall", "HAProxy's `fall` is `unhealthy_threshold` here"),
            (
                "cluster.servers[]",
                "fall",
                "HAProxy's `fall` is `cluster.health_check.unhealthy_threshold` here",
            ),
            ("runtime", "maxconn", "HAProxy's `maxconn` is `max_connections` here"),
            ("listeners[]", "maxconn", "HAProxy's `maxconn` is `listeners[].limits.max_connections` here"),
            (
                "cluster.servers[]",
                "maxconn",
                "HAProxy's `maxconn` is `cluster.connections.max_per_server` here",
            ),
        ];
        for (section, key, expected) in cases {
            assert_eq!(synonym(section, key).as_deref(), Some(expected));
        }
        assert_eq!(synonym("runtime", "fnord"), None);
    }

    #[test]
    fn slips_are_recognised() {
        assert_eq!(
            similar("intervall", ["interval", "timeout"].into_iter()).unwrap(),
            "did you mean `interval`?"
        );
        assert_eq!(similar("max-lag", ["max_lag"].into_iter()).unwrap(), "did you mean `max_lag`?");
        assert_eq!(similar("colour", ["interval", "timeout"].into_iter()), None);
    }

    #[test]
    fn a_setting_of_another_section_is_sent_home() {
        let hint = misplaced("connect_timeout").unwrap();
        assert!(hint.contains("`cluster.connections.connect_timeout`"), "{hint}");
    }

    #[test]
    fn patterns_drop_numbers() {
        assert_eq!(pattern("listeners[12].tls.alpn[0]"), "listeners[].tls.alpn[]");
    }
}
