//! Checks that need more than one setting: duplicates, overlaps, settings that defeat each other.
//!
//! Pure: it looks at the typed configuration only. Rules are in `rule_check`, files in `files`.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::cluster;
use super::proxy::{Admin, Bind, Cluster, Listener, ProxyConfig};
use super::report::{Report, written};
use super::rule_check;

/// Vault's and OpenBao's default `http_idle_timeout`.
const SERVER_IDLE_TIMEOUT: Duration = Duration::from_secs(300);
/// Longest name of anything, in characters.
const NAME_MAX: usize = 64;
/// Vault's and OpenBao's default `max_request_duration`.
const SERVER_REQUEST_MAX: Duration = Duration::from_secs(90);

pub(crate) fn check(config: &ProxyConfig, report: &Report) {
    names(config, report);
    addresses(&config.cluster, report);
    binds(config, report);
    config.listeners.iter().enumerate().for_each(|(number, listener)| one_listener(number, listener, report));
    config.admin.iter().for_each(|admin| admin_access(admin, report));
    timeouts(config, report);
    connections(&config.cluster, report);
    zones(config, report);
    rule_check::check(&config.routing.rules, report);
}

fn names(config: &ProxyConfig, report: &Report) {
    label("cluster.name", &config.cluster.name, report);
    unique("listeners", config.listeners.iter().map(|listener| &listener.name), report);
    unique("cluster.servers", config.cluster.servers.iter().map(|server| &server.name), report);
    unique("routing.rules", config.routing.rules.iter().map(|rule| &rule.name), report);
    let tokens = config.admin.iter().flat_map(|admin| &admin.tokens);
    unique("admin.tokens", tokens.map(|token| &token.name), report);
}

/// Names are labels: two of the same could not be told apart in metrics and logs.
fn unique<'n>(list: &str, names: impl Iterator<Item = &'n String>, report: &Report) {
    let mut first = HashMap::new();
    for (number, name) in names.enumerate() {
        let path = format!("{list}[{number}].name");
        label(&path, name, report);
        if let Some(known) = first.insert(name, number) {
            let message = format!("the name `{name}` is used twice");
            let line = report.line(&format!("{list}[{known}].name"));
            report.error_help(&path, "duplicate", message, format!("first used on line {line}"));
        }
    }
}

/// A name becomes a label of metrics and a word of log lines.
fn label(path: &str, name: &str, report: &Report) {
    let length = name.chars().count();
    if !(1..=NAME_MAX).contains(&length) || name.contains(|c: char| c.is_control() || c.is_whitespace()) {
        let message = format!("a name has 1 to {NAME_MAX} characters, without white space");
        report.error(path, "bad-value", message);
    }
}

fn addresses(cluster: &Cluster, report: &Report) {
    let mut first = HashMap::new();
    for (number, server) in cluster.servers.iter().enumerate() {
        // An address that could not be read stays empty and is in the report already.
        if server.address.host.is_empty() {
            continue;
        }
        if let Some(known) = first.insert(&server.address, &server.name) {
            let message = format!("{} is given twice", cluster::written(&server.address));
            let path = format!("cluster.servers[{number}].address");
            report.error_help(&path, "duplicate", message, format!("server `{known}` has it already"));
        }
    }
    let plain = !cluster.servers.is_empty() && cluster.servers.iter().all(|server| !server.address.tls);
    if plain && cluster.tls.ca_file.is_some() {
        report.warning(
            "cluster.tls",
            "no server is spoken to by https, so these settings do nothing",
            "use https://",
        );
    }
}

fn binds(config: &ProxyConfig, report: &Report) {
    let mut taken: Vec<(&Bind, &str)> = Vec::new();
    for (number, listener) in config.listeners.iter().enumerate() {
        for bind in &listener.binds {
            if let Some((_, owner)) = taken.iter().find(|(known, _)| overlap(known, bind)) {
                let path = format!("listeners[{number}].bind");
                report.error(&path, "duplicate", format!("{} is taken by listener `{owner}`", shown(bind)));
            }
            taken.push((bind, &listener.name));
        }
    }
    let Some(admin) = &config.admin else { return };
    if let Some((_, owner)) = taken.iter().find(|(known, _)| overlap(known, &admin.bind)) {
        let message =
            format!("the admin interface would share {} with listener `{owner}`", shown(&admin.bind));
        report.error_help(
            "admin.bind",
            "duplicate",
            message,
            "give it an address of its own: 127.0.0.1:8299",
        );
    }
}

/// Whether the second bind fails after the first. Port 0 takes any free port.
fn overlap(a: &Bind, b: &Bind) -> bool {
    match (a, b) {
        (Bind::Unix(a), Bind::Unix(b)) => a == b,
        (Bind::Tcp(a), Bind::Tcp(b)) => {
            let any = a.ip().is_unspecified() || b.ip().is_unspecified();
            a.port() != 0 && a.port() == b.port() && a.is_ipv4() == b.is_ipv4() && (any || a.ip() == b.ip())
        }
        (Bind::Tcp(_), Bind::Unix(_)) | (Bind::Unix(_), Bind::Tcp(_)) => false,
    }
}

fn shown(bind: &Bind) -> String {
    match bind {
        Bind::Tcp(address) => address.to_string(),
        Bind::Unix(path) => format!("unix:{}", path.display()),
    }
}

fn one_listener(number: usize, listener: &Listener, report: &Report) {
    let at = format!("listeners[{number}]");
    if listener.h2c && listener.tls.is_some() {
        report.warning(
            &format!("{at}.h2c"),
            "h2c is for plain text; this listener has tls",
            "alpn: [h2] offers it",
        );
    }
    if listener.proxy_protocol.accept && listener.proxy_protocol.trusted.is_empty() {
        let message = "no peer is trusted, so no PROXY header is ever read";
        report.warning(&format!("{at}.proxy_protocol"), message, "name the load balancers in `trusted`");
    }
    for (index, allow) in listener.access.allow.iter().enumerate() {
        if let Some(deny) = listener.access.deny.iter().find(|deny| deny.contains(allow)) {
            let path = format!("{at}.access.allow[{index}]");
            report.warning(
                &path,
                format!("{allow} is never allowed: deny has {deny}"),
                "deny wins over allow",
            );
        }
    }
    if listener.tls.is_none() && listener.binds.iter().any(is_public) {
        let message = "tokens and secrets cross the network in clear on this listener";
        report.note_clear_text(
            &format!("{at}.bind"),
            message,
            "give it `tls`, unless something in front does TLS",
        );
    }
}

fn is_public(bind: &Bind) -> bool {
    public_address(bind).is_some()
}

fn public_address(bind: &Bind) -> Option<&SocketAddr> {
    match bind {
        Bind::Tcp(address) if !address.ip().is_loopback() => Some(address),
        Bind::Tcp(_) | Bind::Unix(_) => None,
    }
}

/// Whoever reaches an admin listener without tokens may drain and reload the proxy.
fn admin_access(admin: &Admin, report: &Report) {
    if let Some(address) = public_address(&admin.bind).filter(|_| admin.tokens.is_empty()) {
        let message = format!("{address} is reachable from elsewhere and no token guards it");
        let help = "add `tokens`, or bind to 127.0.0.1:8299 or unix:/run/understudy/admin.sock";
        report.error_help("admin.bind", "unsafe", message, help);
    }
}

fn timeouts(config: &ProxyConfig, report: &Report) {
    let request = config.timeouts.request;
    if request <= SERVER_REQUEST_MAX {
        let message =
            format!("timeouts.request ({}) is not above the server's own limit (90s)", written(request));
        let help = "clients get our 504 and never the server's answer: write 95s";
        report.warning("timeouts.request", message, help);
    }
    if config.retry.per_try_timeout > request {
        let message = format!("one attempt may take longer than the whole request ({})", written(request));
        report.warning("retry.per_try_timeout", message, "attempts are cut by timeouts.request");
    }
    if config.cluster.failover.hold_writes >= request {
        let message = format!("writes are held as long as the whole request may take ({})", written(request));
        report.warning("cluster.failover.hold_writes", message, "held writes would all time out");
    }
}

fn connections(cluster: &Cluster, report: &Report) {
    let connections = &cluster.connections;
    let idle = connections.idle_timeout;
    if idle >= SERVER_IDLE_TIMEOUT {
        let message = format!(
            "connections.idle_timeout ({}) is not below the server's http_idle_timeout (5m)",
            written(idle)
        );
        report.warning(
            "cluster.connections.idle_timeout",
            message,
            "reused connections will be closed under you",
        );
    }
    if connections.max_idle_per_server > connections.max_per_server {
        let message = format!("more idle connections than connections ({})", connections.max_per_server);
        report.warning("cluster.connections.max_idle_per_server", message, "the smaller of the two counts");
    }
    let check = &cluster.health_check;
    if check.fast_interval > check.interval {
        let message = format!("fast_interval is longer than interval ({})", written(check.interval));
        report.warning(
            "cluster.health_check.fast_interval",
            message,
            "a change would be confirmed more slowly",
        );
    }
}

fn zones(config: &ProxyConfig, report: &Report) {
    let Some(zone) = &config.cluster.local_zone else { return };
    let servers = &config.cluster.servers;
    if !servers.is_empty() && servers.iter().all(|server| server.zone.as_ref() != Some(zone)) {
        let message = format!("no server is in zone `{zone}`");
        report.warning("cluster.local_zone", message, "give the servers their `zone`");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binds_overlap_by_port_and_family() {
        let tcp = |text: &str| Bind::Tcp(text.parse().unwrap());
        let cases = [
            ("127.0.0.1:1", "127.0.0.1:1", true),
            ("127.0.0.1:1", "127.0.0.1:2", false),
            ("0.0.0.0:1", "127.0.0.1:1", true),
            ("0.0.0.0:1", "[::]:1", false),
            ("127.0.0.1:1", "127.0.0.2:1", false),
            ("127.0.0.1:0", "127.0.0.1:0", false),
        ];
        for (a, b, expected) in cases {
            assert_eq!(overlap(&tcp(a), &tcp(b)), expected, "{a} {b}");
        }
    }
}
