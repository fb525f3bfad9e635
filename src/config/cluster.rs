//! `cluster`: the servers and the way to reach them. Health and failure settings are in `health`.

use std::time::Duration;

use super::field::Field;
use super::health;
use super::listener_tls::{self, certificate_pair};
use super::proxy::{Api, Cluster, Connections, DnsDiscovery, Server, ServerAddress, UpstreamTls};
use super::raw::{RawCluster, RawConnections, RawDiscovery, RawServer, RawUpstreamTls, ServerEntry};
use super::report::Report;
use super::unit::{Address, FileName, is_host};

/// Label when the file gives none.
const NAME: &str = "default";
/// Product. Asking it is cheap and survives an upgrade.
const API: Api = Api::Auto;
/// Share of the traffic relative to the other servers.
const WEIGHT: u32 = 1;
/// Port of discovered servers: Vault's.
const DISCOVERY_PORT: u16 = 8200;
/// Time between DNS look-ups: about the TTL of a Kubernetes headless service.
const DISCOVERY_INTERVAL: Duration = Duration::from_secs(5);
/// Time for TCP and TLS: two lost SYN packets would take 3 s, and a standby next door is quicker than that.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Connections to one server over all workers: twice what one Vault node keeps busy.
const MAX_PER_SERVER: usize = 512;
/// Requests that wait for one of them: one more round of the same.
const MAX_PENDING: usize = 1024;
/// Connections kept without a request: a usual burst finds them warm.
const MAX_IDLE_PER_SERVER: usize = 64;
/// Time. Well below the server's `http_idle_timeout` of 5 min, or it closes them under us.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// Requests; 0 = no limit, HTTP/1.1 connections do not wear out.
const MAX_REQUESTS_PER_CONNECTION: u64 = 0;

pub(crate) fn convert(raw: RawCluster, report: &Report) -> Cluster {
    let discovery = raw.discovery.given().map(|raw| discovery(raw, report));
    Cluster {
        name: raw.name.or(NAME.to_owned()),
        api: raw.api.or(API),
        servers: servers(raw.servers, discovery.is_some(), report),
        discovery,
        local_zone: raw.local_zone.given(),
        tls: tls(raw.tls.section(), report),
        connections: connections(&raw.connections.section(), report),
        health_check: health::check(raw.health_check.section(), report),
        outlier_detection: health::outlier_detection(raw.outlier_detection.section(), report),
        failover: health::failover(&raw.failover.section()),
    }
}

fn servers(raw: Field<Vec<Field<ServerEntry>>>, discovered: bool, report: &Report) -> Vec<Server> {
    let bad = matches!(raw, Field::Bad);
    let written = raw.given().unwrap_or_default();
    match (written.is_empty(), discovered) {
        (true, false) if !bad => {
            report.missing(
                "cluster.servers",
                "write `servers: [\"https://10.0.1.11:8200\", ...]` or use `discovery`",
            );
        }
        (false, true) => {
            let help = "keep one of the two";
            report.error_help(
                "cluster.discovery",
                "conflict",
                "`servers` and `discovery` are both given",
                help,
            );
        }
        (true, _) | (false, false) => {}
    }
    let numbered = written.into_iter().enumerate();
    let empty = || ServerEntry::Map(RawServer { address: Field::Bad, ..RawServer::default() });
    numbered.map(|(number, entry)| server(entry.given().unwrap_or_else(empty), number, report)).collect()
}

/// A server without a usable address gets an empty one: the report has it, and the others keep their numbers.
fn server(entry: ServerEntry, number: usize, report: &Report) -> Server {
    let at = format!("cluster.servers[{number}]");
    let raw = match entry {
        ServerEntry::Text(address) => RawServer { address: Field::Given(address), ..RawServer::default() },
        ServerEntry::Map(raw) => raw,
    };
    if raw.address.is_absent() {
        report.missing(&format!("{at}.address"), "write `address: \"https://10.0.1.11:8200\"`");
    }
    let unusable = ServerAddress { tls: false, host: String::new(), port: 0 };
    let address = raw.address.given().map_or(unusable, |Address(address)| address);
    let weight = report.within(&format!("{at}.weight"), raw.weight.or(WEIGHT), 1..=256);
    Server { name: raw.name.or(format!("n{}", number + 1)), address, zone: raw.zone.given(), weight }
}

fn discovery(raw: RawDiscovery, report: &Report) -> DnsDiscovery {
    let name = raw.dns.given().unwrap_or_default();
    if name.is_empty() {
        report.missing("cluster.discovery.dns", "write `dns: \"vault-internal.vault.svc\"`");
    } else if !is_host(&name) {
        report.error("cluster.discovery.dns", "bad-value", format!("`{name}` is not a DNS name"));
    }
    let interval = raw.interval.or(DISCOVERY_INTERVAL);
    DnsDiscovery {
        name,
        port: report.within("cluster.discovery.port", raw.port.or(DISCOVERY_PORT), 1..=u16::MAX),
        tls: raw.tls.or(true),
        interval: report.no_shorter("cluster.discovery.interval", interval, Duration::from_secs(1)),
    }
}

fn tls(raw: RawUpstreamTls, report: &Report) -> UpstreamTls {
    let server_name = raw.server_name.given();
    if let Some(name) = server_name.as_deref().filter(|name| !is_host(name)) {
        report.error("cluster.tls.server_name", "bad-value", format!("`{name}` is not a host name"));
    }
    let pair = raw.client_cert.given();
    UpstreamTls {
        ca_file: raw.ca_file.given().map(|FileName(path)| path),
        server_name,
        client_cert: pair.and_then(|pair| certificate_pair(pair, "cluster.tls.client_cert", report)),
        min_version: raw.min_version.or(listener_tls::MIN_VERSION),
    }
}

fn connections(raw: &RawConnections, report: &Report) -> Connections {
    let count = |name: &str, field: &Field<usize>, default: usize, least: usize| {
        report.within(&format!("cluster.connections.{name}"), field.or(default), least..=1_000_000)
    };
    let connect_timeout = raw.connect_timeout.clone().or(CONNECT_TIMEOUT);
    let idle_timeout = raw.idle_timeout.clone().or(IDLE_TIMEOUT);
    let at = "cluster.connections";
    let max_per_server = count("max_per_server", &raw.max_per_server, MAX_PER_SERVER, 1);
    let max_idle = MAX_IDLE_PER_SERVER.min(max_per_server);
    Connections {
        connect_timeout: report.no_shorter(
            &format!("{at}.connect_timeout"),
            connect_timeout,
            Duration::from_millis(1),
        ),
        max_per_server,
        max_pending: count("max_pending", &raw.max_pending, MAX_PENDING, 0),
        max_idle_per_server: count("max_idle_per_server", &raw.max_idle_per_server, max_idle, 0),
        idle_timeout: report.no_shorter(&format!("{at}.idle_timeout"), idle_timeout, Duration::from_secs(1)),
        max_requests_per_connection: raw.max_requests_per_connection.or(MAX_REQUESTS_PER_CONNECTION),
    }
}

/// How an address is written, for messages.
pub(crate) fn written(address: &ServerAddress) -> String {
    let scheme = if address.tls { "https" } else { "http" };
    let host = &address.host;
    if host.contains(':') {
        format!("{scheme}://[{host}]:{}", address.port)
    } else {
        format!("{scheme}://{host}:{}", address.port)
    }
}
