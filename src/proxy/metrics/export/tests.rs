//! The exposition as Prometheus reads it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::super::label::*;
use super::super::{CertificateExpiry, CertificateOwner, Finished, Metrics, WorkerMetrics};
use crate::api::classify::{Class, Source};
use crate::config::proxy::ConsistencyMode;
use crate::proxy::observation::FailureKind;
use crate::proxy::snapshot::{Role, ServerId, Snapshot};
use crate::proxy::testing::snapshot;

const CLASSES: [Class; 4] = [Class::Read, Class::Write, Class::Local, Class::Unknown];
const MODES: [ConsistencyMode; 4] =
    [ConsistencyMode::Eventual, ConsistencyMode::Session, ConsistencyMode::Global, ConsistencyMode::Strong];
const ROLES: [RoleLabel; 5] =
    [RoleLabel::Active, RoleLabel::Standby, RoleLabel::PerfStandby, RoleLabel::DrSecondary, RoleLabel::None];

#[derive(Debug, Default)]
struct Parsed {
    kinds: BTreeMap<String, String>,
    helped: BTreeSet<String>,
    /// Name → (labels, value).
    samples: Vec<(String, BTreeMap<String, String>, f64)>,
}

/// A strict reader of the text format; panics on anything it does not know.
fn parse(text: &str) -> Parsed {
    let mut parsed = Parsed::default();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap();
            assert!(help.ends_with('.'), "{name}: HELP is a sentence");
            assert!(parsed.helped.insert(name.to_owned()), "{name}: two families");
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            parsed.kinds.insert(name.to_owned(), kind.to_owned());
        } else {
            parsed.samples.push(sample(line));
        }
    }
    parsed
}

fn sample(line: &str) -> (String, BTreeMap<String, String>, f64) {
    let (series, value) = line.rsplit_once(' ').unwrap();
    let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
    let labels = labels.strip_suffix('}').unwrap();
    let pairs = labels.split(',').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap();
        let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap();
        (name.to_owned(), value.to_owned())
    });
    (name.to_owned(), pairs.collect(), value.parse().unwrap())
}

fn value(parsed: &Parsed, name: &str, labels: &[(&str, &str)]) -> f64 {
    let wanted: BTreeMap<String, String> =
        labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let found = parsed.samples.iter().find(|(known, labels, _)| known == name && *labels == wanted);
    found.unwrap_or_else(|| panic!("no {name} {labels:?}")).2
}

/// Makes every combination happen that the types allow.
fn everything(metrics: &Metrics, worker: &WorkerMetrics, servers: u16) {
    let listener = metrics.listener("main");
    for class in CLASSES {
        for role in ROLES {
            for (status, method) in [(101, "GET"), (200, "PUT"), (307, "SCAN"), (404, "HEAD"), (503, "BREW")]
            {
                worker.finished(&Finished {
                    listener,
                    class,
                    role,
                    status,
                    method: (&http::Method::from_bytes(method.as_bytes()).unwrap()).into(),
                    total: Duration::from_millis(3),
                    upstream: Duration::from_millis(2),
                });
            }
        }
        worker.prediction(class, PredictionOutcome::Correct);
        for source in [Source::Rule, Source::Builtin, Source::Learned, Source::Header, Source::Fallback] {
            worker.classification(source, class);
        }
        for reason in [RetryReason::Connect, RetryReason::NotLeader, RetryReason::Gateway] {
            worker.retry(reason, class, RetryOutcome::Ok);
            worker.retry(reason, class, RetryOutcome::Failed);
        }
    }
    for mode in MODES {
        worker.consistency(mode, ConsistencyOutcome::Waited);
        worker.consistency_waited(mode, Duration::from_millis(7));
    }
    for id in (0..servers).map(ServerId) {
        per_server(metrics, worker, id);
    }
}

fn per_server(metrics: &Metrics, worker: &WorkerMetrics, id: ServerId) {
    let server = worker.server(id);
    for class in CLASSES {
        worker.upstream_answered(server, class, Duration::from_millis(2));
    }
    for result in [ConnectResult::Ok, ConnectResult::Refused, ConnectResult::Timeout, ConnectResult::Tls] {
        worker.upstream_connect(server, result);
    }
    worker.overflow(server, OverflowKind::Connections);
    worker.overflow(server, OverflowKind::Pending);
    let cluster = metrics.cluster();
    for result in [CheckResult::Ok, CheckResult::Timeout, CheckResult::Connect, CheckResult::Parse] {
        cluster.checked(id, result, Duration::from_millis(1));
    }
    for role in [Role::Active, Role::Standby, Role::Sealed, Role::Unreachable] {
        cluster.role_changed(id, role);
    }
    for kind in [FailureKind::Connect, FailureKind::Reset, FailureKind::Timeout] {
        cluster.ejected(id, kind);
    }
}

fn five() -> (Metrics, WorkerMetrics, Snapshot) {
    let metrics = Metrics::default();
    let worker = metrics.worker();
    let snapshot = snapshot(&["n1", "n2", "n3", "n4", "n5"]);
    metrics.cluster().place_servers(["n1", "n2", "n3", "n4", "n5"]);
    metrics.cluster().reloaded(ReloadResult::Ok, 1_795_383_751);
    metrics.set_certificates(vec![CertificateExpiry {
        owner: CertificateOwner::Listener("main".into()),
        certificate: "main.crt".into(),
        not_after: 1_800_000_000,
    }]);
    (metrics, worker, snapshot)
}

#[test]
fn names_labels_and_budget_hold() {
    let (metrics, worker, snapshot) = five();
    worker.runs_here();
    everything(&metrics, &worker, 5);
    metrics.render(&snapshot).unwrap();
    let text = metrics.render(&snapshot).unwrap();
    let parsed = parse(&text);
    assert_eq!(parsed.kinds.len(), parsed.helped.len());
    assert!(parsed.samples.len() < 1500, "{} series", parsed.samples.len());
    let names: BTreeSet<&str> =
        parsed.kinds.keys().map(|name| name.strip_prefix("understudy_proxy_").unwrap_or(name)).collect();
    for expected in EXPECTED {
        assert!(names.contains(expected), "{expected} is missing");
    }
}

/// The contract: dashboards and alerts name these.
const EXPECTED: [&str; 47] = [
    "requests_total",
    "request_duration_seconds",
    "overhead_seconds",
    "upstream_duration_seconds",
    "prediction_total",
    "classification_total",
    "consistency_total",
    "consistency_wait_seconds",
    "sessions",
    "sessions_evicted_total",
    "server_role",
    "server_up",
    "server_check_duration_seconds",
    "server_checks_total",
    "server_role_changes_total",
    "server_raft_applied_index",
    "server_lag_entries",
    "server_lag_seconds",
    "server_in_flight",
    "server_pending",
    "upstream_connections",
    "upstream_connects_total",
    "upstream_requests_reused_total",
    "retries_total",
    "retry_budget_exhausted_total",
    "ejections_total",
    "overflow_total",
    "leader_changes_total",
    "no_leader_seconds_total",
    "writes_held",
    "in_doubt_writes_total",
    "downstream_rejected_total",
    "tls_certificate_expiry_timestamp_seconds",
    "config_generation",
    "config_last_reload_success",
    "config_last_reload_timestamp_seconds",
    "config_reloads_total",
    "build_info",
    "worker_busy_ratio",
    "responses_by_status_total",
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
    "process_virtual_memory_bytes",
    "process_threads",
    "process_start_time_seconds",
    "process_open_fds",
    "dropped_total",
];

#[test]
fn label_values_come_from_closed_sets() {
    let (metrics, worker, snapshot) = five();
    everything(&metrics, &worker, 5);
    let closed: BTreeMap<&str, BTreeSet<&str>> = [
        ("class", Class::WORDS),
        ("code", CodeClass::WORDS),
        ("status", StatusLabel::WORDS),
        ("method", MethodLabel::WORDS),
        (
            "outcome",
            &[
                "correct",
                "forwarded",
                "redirected",
                "unneeded_active",
                "unverifiable",
                "waited",
                "ok",
                "failed",
            ],
        ),
        ("source", Source::WORDS),
        ("mode", ConsistencyMode::WORDS),
        ("to", Role::WORDS),
        ("role", &[Role::WORDS, RoleLabel::WORDS].concat()),
        ("server", &["n1", "n2", "n3", "n4", "n5"]),
        ("listener", &["main"]),
    ]
    .into_iter()
    .map(|(name, words)| (name, words.iter().copied().collect()))
    .collect();
    for (name, labels, _) in parse(&metrics.render(&snapshot).unwrap()).samples {
        for (label, word) in labels {
            if let Some(words) = closed.get(label.as_str()) {
                assert!(words.contains(word.as_str()), "{name}: {label}={word}");
            }
        }
    }
}

#[test]
fn a_role_is_a_state_set() {
    let (metrics, _worker, snapshot) = five();
    let parsed = parse(&metrics.render(&snapshot).unwrap());
    for server in ["n1", "n2", "n5"] {
        let ones: f64 = parsed
            .samples
            .iter()
            .filter(|(name, labels, _)| name == "understudy_proxy_server_role" && labels["server"] == server)
            .map(|(_, _, value)| value)
            .sum();
        assert_eq!(ones, 1.0, "{server}");
    }
    assert_eq!(value(&parsed, "understudy_proxy_server_up", &[("server", "n1")]), 1.0);
}

#[test]
fn workers_add_up_and_gauges_come_down() {
    let (metrics, one, snapshot) = five();
    let two = metrics.worker();
    let slot = one.server(ServerId(1));
    one.in_flight_started(slot);
    two.in_flight_started(slot);
    two.in_flight_started(slot);
    one.in_flight_ended(slot);
    let parsed = parse(&metrics.render(&snapshot).unwrap());
    assert_eq!(value(&parsed, "understudy_proxy_server_in_flight", &[("server", "n2")]), 2.0);
}

#[test]
fn buckets_are_cumulative_and_sums_are_seconds() {
    let (metrics, worker, snapshot) = five();
    for millis in [1, 3, 40] {
        worker.consistency_waited(ConsistencyMode::Session, Duration::from_millis(millis));
    }
    let parsed = parse(&metrics.render(&snapshot).unwrap());
    let name = "understudy_proxy_consistency_wait_seconds";
    let at = |le| value(&parsed, &format!("{name}_bucket"), &[("mode", "session"), ("le", le)]);
    assert_eq!((at("0.0005"), at("0.001"), at("0.005"), at("1"), at("+Inf")), (0.0, 1.0, 2.0, 3.0, 3.0));
    let sum = value(&parsed, &format!("{name}_sum"), &[("mode", "session")]);
    assert!((sum - 0.044).abs() < 1e-9, "{sum}");
}

#[test]
fn a_counter_stays_with_its_server_over_a_reload() {
    let (metrics, worker, mut snapshot) = five();
    worker.in_doubt(worker.server(ServerId(0)));
    snapshot.servers.reverse();
    for (position, server) in snapshot.servers.iter_mut().enumerate() {
        server.id = ServerId(position as u16);
    }
    metrics.cluster().place_servers(snapshot.servers.iter().map(|server| server.name.as_ref()));
    worker.in_doubt(worker.server(ServerId(0)));
    let parsed = parse(&metrics.render(&snapshot).unwrap());
    for server in ["n1", "n5"] {
        assert_eq!(value(&parsed, "understudy_proxy_in_doubt_writes_total", &[("server", server)]), 1.0);
    }
}

#[test]
fn a_scrape_may_run_beside_a_worker() {
    let metrics = Arc::new(Metrics::default());
    let snapshot = snapshot(&["n1"]);
    let theirs = Arc::clone(&metrics);
    let worker = std::thread::spawn(move || {
        let worker = theirs.worker();
        for _ in 0..10_000 {
            worker.prediction(Class::Read, PredictionOutcome::Correct);
        }
    });
    while !worker.is_finished() {
        metrics.render(&snapshot).unwrap();
    }
    worker.join().unwrap();
    let parsed = parse(&metrics.render(&snapshot).unwrap());
    let labels = [("class", "read"), ("outcome", "correct")];
    assert_eq!(value(&parsed, "understudy_proxy_prediction_total", &labels), 10_000.0);
}
