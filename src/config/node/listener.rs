//! `listener "tcp"` and `listener "unix"`: where, how long, how much, and whose word about the client counts.

use std::time::Duration;

use ipnet::IpNet;

use super::address::{self, BIND_FORM};
use super::custom_headers;
use super::idle;
use super::listener_tls;
use super::model::{
    Bind, Consistency, Fallback, Forwarded, Listener, ListenerTimeouts, OpenEndpoints, RequestLimits,
    UnixSocket,
};
use super::notes::Given;
use super::section::Section;
use crate::config::report::written;

/// Address. Vault's; nobody but this machine reaches it.
const ADDRESS: &str = "127.0.0.1:8200";
/// Time for a head, as Vault has it: two lost packets on a bad line and room to spare.
const READ_HEADER: Duration = Duration::from_secs(10);
/// Time for a body, as Vault has it.
const READ: Duration = Duration::from_secs(30);
/// Time for an answer: without limit, as an answer may be a snapshot.
const WRITE: Duration = Duration::ZERO;
/// Time a connection may be without a request. Vault's; pools of clients count on it.
const IDLE: Duration = Duration::from_secs(300);
/// Bytes of a body: a transit batch or a policy fits, a disk image does not.
const REQUEST_SIZE: u64 = 32 * 1024 * 1024;
/// Time for a request, as Vault has it: clients give up after 60 s or 90 s.
const REQUEST_DURATION: Duration = Duration::from_secs(90);
/// Bytes for decoded JSON, as OpenBao has it: the largest body and half a megabyte of tree.
const JSON_MEMORY: u64 = REQUEST_SIZE + 512 * 1024;
/// Strings in a JSON body, as OpenBao has it.
const JSON_STRINGS: u64 = 1000;
/// Shortest wait for an index: a commit takes about that long.
const INDEX_WAIT: Duration = Duration::from_millis(25);
/// Permission bits of a unix socket: its owner and group.
const SOCKET_MODE: u32 = 0o660;

/// Reads one listener; `None` for a kind there is not (and it is reported).
pub(super) fn read(section: &Section<'_>) -> Option<Listener> {
    let kind = section.labels.first().map(String::as_str).unwrap_or_default();
    let bind = match kind {
        "tcp" => tcp_bind(section),
        "unix" => unix_bind(section),
        other => {
            section.notes.unknown_word(&section.spot, other, &["tcp", "unix"]);
            return None;
        }
    };
    let is_unix = kind == "unix";
    let listener = Listener {
        cluster_bind: cluster_bind(section, &bind),
        tls: listener_tls::read(section, is_unix),
        timeouts: timeouts(section),
        limits: limits(section),
        forwarded: forwarded(section),
        custom_headers: custom_headers::read(section),
        open: open_endpoints(section),
        consistency: consistency(section),
        bind,
    };
    without_effect(section);
    idle::in_listener(section);
    section.close();
    Some(listener)
}

fn tcp_bind(section: &Section<'_>) -> Bind {
    let default = || address::bind(ADDRESS).expect("the default is an address");
    let Some(given) = section.text("address") else { return default() };
    address::bind(&given.value).unwrap_or_else(|| {
        let message = if given.value.contains("{{") {
            "address templates are not supported by this version"
        } else {
            "this is no address to listen on"
        };
        section.notes.error_help(&given.spot, "bad-value", message, BIND_FORM);
        default()
    })
}

fn unix_bind(section: &Section<'_>) -> Bind {
    let path = section.path("address");
    if path.is_none() {
        section.notes.missing(&section.spot, "address", "write address = \"/run/understudy/api.sock\"");
    }
    for (key, instead) in [("socket_user", "owner"), ("socket_group", "group")] {
        let why = format!("the socket gets the {instead} of the process");
        section.without_effect(key, &why);
    }
    let mode = section.text("socket_mode").and_then(|given| mode(section, &given));
    Bind::Unix(UnixSocket {
        path: path.map(|given| given.value).unwrap_or_default(),
        mode: mode.unwrap_or(SOCKET_MODE),
    })
}

fn mode(section: &Section<'_>, given: &Given<String>) -> Option<u32> {
    let mode = u32::from_str_radix(&given.value, 8).ok().filter(|mode| *mode <= 0o777);
    if mode.is_none() {
        section.notes.error_help(&given.spot, "bad-value", "these are no permission bits", "write \"0660\"");
    }
    mode
}

fn cluster_bind(section: &Section<'_>, bind: &Bind) -> Option<Bind> {
    let Some(given) = section.text("cluster_address") else { return address::next_port(bind) };
    let cluster = address::bind(&given.value);
    if cluster.is_none() {
        section.notes.error_help(&given.spot, "bad-value", "this is no address to listen on", BIND_FORM);
    }
    cluster
}

fn timeouts(section: &Section<'_>) -> ListenerTimeouts {
    let time = |key, default| section.time(key).map_or(default, |given| given.value);
    ListenerTimeouts {
        read_header: time("http_read_header_timeout", READ_HEADER),
        read: time("http_read_timeout", READ),
        write: time("http_write_timeout", WRITE),
        idle: time("http_idle_timeout", IDLE),
    }
}

fn limits(section: &Section<'_>) -> RequestLimits {
    RequestLimits {
        size: limit(section, "max_request_size", REQUEST_SIZE),
        duration: duration_limit(section),
        json_memory: limit(section, "max_request_json_memory", JSON_MEMORY),
        json_strings: limit(section, "max_request_json_strings", JSON_STRINGS),
    }
}

/// Zero is the default, a negative number no limit.
fn limit(section: &Section<'_>, key: &'static str, default: u64) -> Option<u64> {
    match section.number(key).map_or(0, |given| given.value) {
        0 => Some(default),
        number => u64::try_from(number).ok(),
    }
}

fn duration_limit(section: &Section<'_>) -> Option<Duration> {
    let given = section.time("max_request_duration").map(|given| given.value);
    Some(given.filter(|duration| !duration.is_zero()).unwrap_or(REQUEST_DURATION))
}

fn forwarded(section: &Section<'_>) -> Option<Forwarded> {
    let authorized = section.list("x_forwarded_for_authorized_addrs");
    let hop_skips = section.number("x_forwarded_for_hop_skips");
    let reject_not_present = section.is_on("x_forwarded_for_reject_not_present", false);
    let reject_not_authorized = section.is_on("x_forwarded_for_reject_not_authorized", false);
    if let Some(skips) = &hop_skips {
        section.notes.within(skips, &(0..=1000));
    }
    let authorized = authorized?;
    Some(Forwarded {
        authorized: authorized.value.iter().filter_map(|text| network(section, &authorized, text)).collect(),
        hop_skips: hop_skips.and_then(|given| usize::try_from(given.value).ok()).unwrap_or(0),
        reject_not_present,
        reject_not_authorized,
    })
}

fn network(section: &Section<'_>, list: &Given<Vec<String>>, text: &str) -> Option<IpNet> {
    let network = text.parse().or_else(|_| text.parse::<std::net::IpAddr>().map(IpNet::from)).ok();
    if network.is_none() {
        let message = format!("`{text}` is no network");
        section.notes.error_help(&list.spot, "bad-value", message, "write 10.0.0.0/8 or 10.0.1.11");
    }
    network
}

/// Both are closed unless the file opens them, as OpenBao has it: whoever reaches the port could disturb a ceremony.
fn open_endpoints(section: &Section<'_>) -> OpenEndpoints {
    let metrics = section.merged("telemetry").map(|telemetry| {
        let open = telemetry.is_on("unauthenticated_metrics_access", false);
        telemetry.without_effect(
            "disallow_metrics",
            "a listener with metrics closed needs a token, as by default",
        );
        telemetry.close();
        open
    });
    for key in ["profiling", "inflight_requests_logging"] {
        if let Some(block) = section.merged(key) {
            let why = "these endpoints need a token here";
            block.without_effect("unauthenticated_pprof_access", why);
            block.without_effect("unauthenticated_in_flight_requests_access", why);
            block.close();
        }
    }
    OpenEndpoints {
        rekey: !section.is_on("disable_unauthed_rekey_endpoints", true),
        generate_root: !section.is_on("disable_unauthed_generate_root_endpoints", true),
        metrics: metrics.unwrap_or(false),
    }
}

fn consistency(section: &Section<'_>) -> Consistency {
    let wait = section.time("consistency_max_index_wait");
    if let Some(short) = wait.as_ref().filter(|given| given.value < INDEX_WAIT) {
        let message = format!("the least is {}", written(INDEX_WAIT));
        section.notes.warning(&short.spot, "range", message, "the least is used");
    }
    let fallback = section.text("consistency_fallback_behavior").map(|given| match given.value.as_str() {
        "forward" => Fallback::Forward,
        "fail" => Fallback::Fail,
        other => {
            section.notes.unknown_word(&given.spot, other, &["fail", "forward"]);
            Fallback::Fail
        }
    });
    Consistency {
        max_index_wait: wait.map_or(INDEX_WAIT, |given| given.value.max(INDEX_WAIT)),
        fallback: fallback.unwrap_or(Fallback::Fail),
        missing_header_forward: section.is_on("consistency_missing_header_forward", false),
    }
}

fn without_effect(section: &Section<'_>) {
    for (key, why) in [
        ("purpose", "every listener serves the whole API"),
        ("role", "every listener serves the whole API"),
        ("agent_api", "this is an agent's setting"),
        ("proxy_api", "this is an agent's setting"),
        ("require_request_header", "this is an agent's setting"),
        ("cors_enabled", "cross-origin rules are set by sys/config/cors"),
        ("cors_allowed_origins", "cross-origin rules are set by sys/config/cors"),
        ("chroot_namespace", "there is one namespace"),
        ("redact_addresses", "answers are not redacted"),
        ("redact_cluster_name", "answers are not redacted"),
        ("redact_version", "answers are not redacted"),
        ("x_forwarded_for_client_cert_header", "no auth method here looks at client certificates"),
        ("x_forwarded_for_client_cert_header_decoders", "no auth method here looks at client certificates"),
        ("disable_replication_status_endpoints", "there is no replication between clusters"),
        ("disable_request_limiter", "there is no request limiter"),
    ] {
        section.without_effect(key, why);
    }
    for key in ["proxy_protocol_behavior", "proxy_protocol_authorized_addrs"] {
        section.unsupported(key, "put `understudy proxy` in front, it speaks the PROXY protocol");
    }
}
