//! What the proxy finds out for itself: the addresses behind a DNS name, and the mount list a token may read.
//! Each is a loop that tells the owner what it found; a failed look leaves the last result in force.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use http::{HeaderName, HeaderValue};
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::api::mount::{MountTable, MountType};
use crate::config::proxy::{Connections, DnsDiscovery, MountDiscovery, ProxyConfig, Server, ServerAddress};

use super::health::{ProbeConnection, UpstreamIdentity};
use super::snapshot::Snapshot;

const MOUNTS_PATH: &str = "/v1/sys/internal/ui/mounts";
/// Servers taken from one DNS name; a Vault cluster has at most some ten nodes.
const MAX_SERVERS: usize = 64;
/// Before a leader is known, one is looked for this often.
const NO_LEADER_YET: Duration = Duration::from_millis(100);
/// After a failed look, mounts are asked for again no sooner than this.
const SOON: Duration = Duration::from_secs(2);
/// A mount list takes the server longer than a health answer.
const MOUNTS_TIMEOUT: Duration = Duration::from_secs(10);
/// A token file holds one line.
const MAX_TOKEN_BYTES: u64 = 4096;

/// Something found.
#[derive(Debug)]
pub enum Found {
    Mounts(MountTable),
    Servers(Vec<Server>),
}

/// Starts the loops this configuration asks for. They end with the returned set.
#[must_use]
pub fn start(
    config: Arc<ProxyConfig>,
    snapshot: Arc<ArcSwap<Snapshot>>,
    identity: Option<UpstreamIdentity>,
    found: mpsc::Sender<Found>,
) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    if let Some(dns) = config.cluster.discovery.clone() {
        tasks.spawn(watch_name(dns, found.clone()));
    }
    if let Some(token_file) = config.routing.mount_discovery.token_file.clone() {
        tasks.spawn(async move { watch_mounts(&config, &token_file, &snapshot, identity, found).await });
    }
    tasks
}

/// The mounts the configuration names, before anything is asked.
#[must_use]
pub fn configured_mounts(settings: &MountDiscovery) -> MountTable {
    mount_table(Vec::new(), settings)
}

/// What the cluster says, overruled by what the operator says.
fn mount_table(found: Vec<(String, MountType)>, settings: &MountDiscovery) -> MountTable {
    let configured =
        settings.types.iter().map(|(path, name)| (path.clone(), MountType::from_api(name, None)));
    MountTable::from_types(found.into_iter().chain(configured))
}

async fn watch_name(dns: DnsDiscovery, found: mpsc::Sender<Found>) {
    let mut last: Vec<Server> = Vec::new();
    loop {
        match tokio::net::lookup_host((dns.name.as_str(), dns.port)).await {
            Ok(addresses) => {
                let servers = servers_at(addresses, &dns);
                if !servers.is_empty() && servers != last {
                    last.clone_from(&servers);
                    if found.send(Found::Servers(servers)).await.is_err() {
                        return;
                    }
                }
            }
            Err(error) => tracing::warn!(name = %dns.name, %error, "discovery: the name does not resolve"),
        }
        tokio::time::sleep(dns.interval).await;
    }
}

/// One server per address, in address order, so that the same answer in another order is no change.
fn servers_at(addresses: impl IntoIterator<Item = SocketAddr>, dns: &DnsDiscovery) -> Vec<Server> {
    let mut ips: Vec<_> = addresses.into_iter().map(|address| address.ip()).collect();
    ips.sort_unstable();
    ips.dedup();
    let server = |ip: std::net::IpAddr| Server {
        name: ip.to_string(),
        address: ServerAddress { tls: dns.tls, host: ip.to_string(), port: dns.port },
        zone: None,
        weight: 1,
    };
    ips.into_iter().take(MAX_SERVERS).map(server).collect()
}

async fn watch_mounts(
    config: &ProxyConfig,
    token_file: &Path,
    snapshot: &ArcSwap<Snapshot>,
    identity: Option<UpstreamIdentity>,
    found: mpsc::Sender<Found>,
) {
    let settings = &config.routing.mount_discovery;
    loop {
        let asked = ask_active(&config.cluster.connections, token_file, snapshot, identity.as_ref()).await;
        let pause = match asked {
            Ok(Some(mounts)) => {
                if found.send(Found::Mounts(mount_table(mounts, settings))).await.is_err() {
                    return;
                }
                settings.interval
            }
            Ok(None) => NO_LEADER_YET,
            Err(why) => {
                tracing::warn!(%why, "mount discovery failed; the last mount list stays");
                SOON.max(settings.interval / 4).min(settings.interval)
            }
        };
        tokio::time::sleep(pause).await;
    }
}

/// `None`: no active node is known yet.
async fn ask_active(
    connections: &Connections,
    token_file: &Path,
    snapshot: &ArcSwap<Snapshot>,
    identity: Option<&UpstreamIdentity>,
) -> Result<Option<Vec<(String, MountType)>>, String> {
    let Some(address) = snapshot.load().active_server().map(|server| Arc::clone(&server.address)) else {
        return Ok(None);
    };
    let token = read_token(token_file).await?;
    let mut connection =
        ProbeConnection::new(&address, identity, connections.connect_timeout, MOUNTS_TIMEOUT)
            .with_large_answers();
    let header = (HeaderName::from_static("x-vault-token"), token);
    let answer = connection.get(MOUNTS_PATH, Some(header)).await.map_err(|error| error.to_string())?;
    if answer.status != 200 {
        return Err(format!("{MOUNTS_PATH} answered {}; may the token read it?", answer.status));
    }
    parse_mounts(&answer.body).map(Some).map_err(|error| format!("{MOUNTS_PATH}: {error}"))
}

/// The file's first line, as a header value that is never shown.
async fn read_token(file: &Path) -> Result<HeaderValue, String> {
    let place = file.display();
    let size = tokio::fs::metadata(file).await.map_err(|error| format!("{place}: {error}"))?.len();
    if size > MAX_TOKEN_BYTES {
        return Err(format!("{place}: longer than {MAX_TOKEN_BYTES} bytes; is it a token file?"));
    }
    let text = zeroize::Zeroizing::new(
        tokio::fs::read_to_string(file).await.map_err(|error| format!("{place}: {error}"))?,
    );
    let line = text.lines().next().unwrap_or("").trim();
    if line.is_empty() {
        return Err(format!("{place}: empty"));
    }
    let mut value = HeaderValue::from_str(line).map_err(|_| format!("{place}: not a token"))?;
    value.set_sensitive(true);
    Ok(value)
}

#[derive(Debug, Deserialize)]
struct MountsAnswer {
    data: MountsData,
}

#[derive(Debug, Deserialize)]
struct MountsData {
    #[serde(default)]
    secret: BTreeMap<String, MountEntry>,
    #[serde(default)]
    auth: BTreeMap<String, MountEntry>,
}

#[derive(Debug, Deserialize)]
struct MountEntry {
    #[serde(rename = "type")]
    kind: String,
    options: Option<BTreeMap<String, String>>,
}

fn parse_mounts(body: &[u8]) -> Result<Vec<(String, MountType)>, serde_json::Error> {
    let answer: MountsAnswer = serde_json::from_slice(body)?;
    let kind = |entry: &MountEntry| {
        let version = entry.options.as_ref().and_then(|options| options.get("version"));
        MountType::from_api(&entry.kind, version.map(String::as_str))
    };
    // An auth method this program does not know still logs in: it must not be taken for a secrets engine.
    let auth_kind = |entry: &MountEntry| match kind(entry) {
        known if known.is_auth() => known,
        _ => MountType::Auth,
    };
    let secret = answer.data.secret.iter().map(|(path, entry)| (path.clone(), kind(entry)));
    let auth = answer.data.auth.iter().map(|(path, entry)| (format!("auth/{path}"), auth_kind(entry)));
    Ok(secret.chain(auth).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mount_list_is_read_and_the_operator_overrules_it() {
        let body =
            br#"{"data":{"auth":{"token/":{"type":"token","options":null},"corp/":{"type":"corp-plugin"}},
            "secret":{"kv/":{"type":"kv","options":{"version":"2"}},"old/":{"type":"kv","options":null},
            "plug/":{"type":"own-plugin"}}}}"#;
        let settings = MountDiscovery {
            token_file: None,
            interval: Duration::from_secs(60),
            types: vec![("plug/".to_owned(), "database".to_owned())],
        };
        let table = mount_table(parse_mounts(body).unwrap(), &settings);
        for (path, expected) in [
            ("kv/data/a", MountType::Kv2),
            ("old/a", MountType::Kv1),
            ("plug/creds/a", MountType::Dynamic),
            ("auth/token/lookup-self", MountType::Token),
            ("auth/corp/login", MountType::Auth),
        ] {
            assert_eq!(table.lookup("", path).map(|found| found.1), Some(expected), "{path}");
        }
    }

    #[test]
    fn the_order_of_addresses_is_no_change() {
        let dns =
            DnsDiscovery { name: "v".to_owned(), port: 8200, tls: true, interval: Duration::from_secs(5) };
        let parse = |list: &[&str]| -> Vec<SocketAddr> { list.iter().map(|a| a.parse().unwrap()).collect() };
        let one = servers_at(parse(&["10.0.0.2:8200", "10.0.0.1:8200", "10.0.0.2:8200"]), &dns);
        let two = servers_at(parse(&["10.0.0.1:8200", "10.0.0.2:8200"]), &dns);
        assert_eq!(one, two);
        assert_eq!(
            one.iter().map(|server| server.name.as_str()).collect::<Vec<_>>(),
            ["10.0.0.1", "10.0.0.2"]
        );
        assert!(one[0].address.tls);
    }
}
