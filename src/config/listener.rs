//! `listeners`: where clients connect and what they may send.

use std::time::Duration;

use super::field::{Field, good};
use super::listener_tls;
use super::proxy::{
    Access, Bind, Forwarded, ForwardedMode, Limits, Listener, ListenerTimeouts, ProxyProtocol, RateLimit,
};
use super::raw::{
    RawAccess, RawForwarded, RawLimits, RawListener, RawListenerTimeouts, RawProxyProtocol, RawRate,
};
use super::report::Report;
use super::unit::{BindText, Network, PathGlob};

/// Mode. Without a trusted proxy in front it is the same as replacing, and with one it keeps the client.
const FORWARDED_MODE: ForwardedMode = ForwardedMode::Append;
/// Entries. One proxy in front is what people have.
const TRUSTED_HOPS: usize = 1;
/// Bytes. Vault's own limit is 1 MiB (Go's default); 32 KiB holds any token and cookie and bounds 20 000 heads.
const MAX_HEADER_BYTES: usize = 32 << 10;
/// Lines. As in the common proxies; clients of this API send about ten.
const MAX_HEADERS: usize = 100;
/// Bytes. Vault's own `max_request_size`.
const MAX_BODY_BYTES: u64 = 32 << 20;
/// Requests at once on one HTTP/2 connection: what Go's server, which clients are used to, allows.
const MAX_CONCURRENT_STREAMS: u32 = 250;
/// Connections of one listener: half the process, so that one busy listener cannot starve the others.
const MAX_CONNECTIONS: usize = 10_000;
/// Connections of one address; 0, because many clients come through one NAT or node address.
const MAX_CONNECTIONS_PER_IP: usize = 0;
/// Requests a second; 0 = off, as Vault has quotas of its own.
const REQUESTS_PER_SECOND: f64 = 0.0;
/// Time for a request head: a slow client may not hold a connection by sending byte after byte.
const REQUEST_HEADER: Duration = Duration::from_secs(10);
/// Time between requests: as long as Vault's `http_idle_timeout`, so clients see no difference.
const IDLE: Duration = Duration::from_secs(300);
/// Pause between two pieces of a body: a network hiccup, not a slow client.
const REQUEST_BODY: Duration = Duration::from_secs(60);
/// Pause in a tunnel: event streams may be silent for long.
const TUNNEL: Duration = Duration::from_secs(3600);
/// Shortest time a client is given for anything.
const CLIENT_TIME_LEAST: Duration = Duration::from_millis(100);

pub(crate) fn convert(raw: Field<Vec<Field<RawListener>>>, report: &Report) -> Vec<Listener> {
    let bad = matches!(raw, Field::Bad);
    let listeners = raw.given().unwrap_or_default();
    if listeners.is_empty() && !bad {
        report.missing("listeners", "write `listeners: [{bind: \"127.0.0.1:8200\"}]`");
    }
    let numbered = listeners.into_iter().enumerate();
    numbered.filter_map(|(number, raw)| raw.given().map(|raw| listener(raw, number, report))).collect()
}

fn listener(raw: RawListener, number: usize, report: &Report) -> Listener {
    let at = format!("listeners[{number}]");
    Listener {
        name: raw.name.or(format!("listener{}", number + 1)),
        binds: binds(raw.bind, &at, report),
        tls: raw.tls.given().map(|tls| listener_tls::convert(tls, &at, report)),
        h2c: raw.h2c.or(false),
        proxy_protocol: proxy_protocol(raw.proxy_protocol.section()),
        forwarded: forwarded(raw.forwarded.section(), &at, report),
        access: access(raw.access.section()),
        limits: limits(raw.limits.section(), &format!("{at}.limits"), report),
        timeouts: timeouts(&raw.timeouts.section(), &format!("{at}.timeouts"), report),
        answer_headers: raw.answer_headers.or(false),
        upgrades: raw.upgrades.list().into_iter().map(|PathGlob(glob)| glob).collect(),
    }
}

fn binds(raw: Field<super::field::OneOrMany<BindText>>, at: &str, report: &Report) -> Vec<Bind> {
    let bad = matches!(raw, Field::Bad);
    let written = raw.given().map(|many| many.0).unwrap_or_default();
    if written.is_empty() && !bad {
        report.missing(&format!("{at}.bind"), "write `bind: \"127.0.0.1:8200\"`");
    }
    good(written).into_iter().map(|BindText(bind)| bind).collect()
}

fn proxy_protocol(raw: RawProxyProtocol) -> ProxyProtocol {
    ProxyProtocol { accept: raw.accept.or(false), trusted: networks(raw.trusted.list()) }
}

fn forwarded(raw: RawForwarded, at: &str, report: &Report) -> Forwarded {
    let hops = raw.trusted_hops.or(TRUSTED_HOPS);
    Forwarded {
        mode: raw.mode.or(FORWARDED_MODE),
        trusted_proxies: networks(raw.trusted_proxies.list()),
        trusted_hops: report.within(&format!("{at}.forwarded.trusted_hops"), hops, 1..=16),
    }
}

fn access(raw: RawAccess) -> Access {
    Access { allow: networks(raw.allow.list()), deny: networks(raw.deny.list()) }
}

fn networks(written: Vec<Network>) -> Vec<ipnet::IpNet> {
    written.into_iter().map(|Network(network)| network).collect()
}

fn limits(raw: RawLimits, at: &str, report: &Report) -> Limits {
    let header_bytes = raw.max_header_bytes.or(MAX_HEADER_BYTES as u64);
    let headers = raw.max_headers.or(MAX_HEADERS);
    let streams = raw.max_concurrent_streams.or(MAX_CONCURRENT_STREAMS);
    let connections = raw.max_connections.or(MAX_CONNECTIONS);
    // Below 8 KiB real requests fail; above 1 MiB the connection limit bounds no memory any more.
    let header_bytes = report.within(&format!("{at}.max_header_bytes"), header_bytes, 8 << 10..=1 << 20);
    Limits {
        max_header_bytes: usize::try_from(header_bytes).unwrap_or(usize::MAX),
        max_headers: report.within(&format!("{at}.max_headers"), headers, 16..=1_000),
        max_body_bytes: raw.max_body_bytes.or(MAX_BODY_BYTES),
        max_concurrent_streams: report.within(&format!("{at}.max_concurrent_streams"), streams, 1..=10_000),
        max_connections: report.within(&format!("{at}.max_connections"), connections, 1..=10_000_000),
        max_connections_per_ip: raw.max_connections_per_ip.or(MAX_CONNECTIONS_PER_IP),
        rate: rate(&raw.rate.section(), &format!("{at}.rate"), report),
    }
}

fn rate(raw: &RawRate, at: &str, report: &Report) -> RateLimit {
    let requests_per_second = raw.requests_per_second.or(REQUESTS_PER_SECOND);
    report.within(&format!("{at}.requests_per_second"), requests_per_second, 0.0..=1e9);
    // A bucket that holds less than one request would admit none: by default it holds one second's worth.
    let second = requests_per_second.clamp(0.0, f64::from(u32::MAX)).ceil();
    let burst = raw.burst.or(0_u32);
    RateLimit { requests_per_second, burst: if burst == 0 { whole(second) } else { burst } }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to 0..=u32::MAX by the caller"
)]
fn whole(number: f64) -> u32 {
    number as u32
}

fn timeouts(raw: &RawListenerTimeouts, at: &str, report: &Report) -> ListenerTimeouts {
    let checked = |name: &str, field: &Field<super::unit::Time>, default: Duration| {
        report.no_shorter(&format!("{at}.{name}"), field.clone().or(default), CLIENT_TIME_LEAST)
    };
    ListenerTimeouts {
        request_header: checked("request_header", &raw.request_header, REQUEST_HEADER),
        idle: checked("idle", &raw.idle, IDLE),
        request_body: checked("request_body", &raw.request_body, REQUEST_BODY),
        tunnel: checked("tunnel", &raw.tunnel, TUNNEL),
    }
}
