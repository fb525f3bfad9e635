//! What this node is called by others, and what part it takes in the cluster.

use super::address::{self, URL_FORM, Url};
use super::environment::Environment;
use super::model::{Cluster, Listener, Storage};
use super::notes::{Given, Spot};
use super::section::Section;

pub(super) fn read(
    root: &Section<'_>,
    environment: &Environment,
    listeners: &[Listener],
    storage: Option<&Storage>,
) -> Cluster {
    let api = address(root, "api_addr", environment.api_addr.as_ref());
    let cluster = address(root, "cluster_addr", environment.cluster_addr.as_ref());
    if let (None, None, Some(Storage::Raft(_))) = (&api, &cluster, storage) {
        let help =
            "write api_addr = \"https://10.0.1.11:8200\" and cluster_addr = \"https://10.0.1.11:8201\"";
        let message = "storage \"raft\" needs to know what other nodes call this one";
        root.notes.error_help(&root.spot, "missing", message, help);
    }
    let api_url = api.map_or_else(|| derived_api(listeners), |(url, _)| url);
    let cluster_url = cluster.map_or_else(
        || Url { tls: true, port: api_url.port.saturating_add(1), host: api_url.host.clone() },
        |(url, _)| Url { tls: true, ..url }, // the cluster port always speaks TLS, whatever the scheme says
    );
    Cluster {
        name: root.text("cluster_name").map(|given| given.value).filter(|name| !name.is_empty()),
        api_addr: text(&api_url),
        cluster_addr: text(&cluster_url),
        performance_standby: !root.is_on("disable_performance_standby", false),
        standby_reads: !root.is_on("disable_standby_reads", false),
    }
}

/// The environment's address, else the file's.
fn address(root: &Section<'_>, key: &'static str, variable: Option<&String>) -> Option<(Url, Spot)> {
    let given = root.text(key).filter(|given| !given.value.is_empty());
    let (Given { value, spot }, from) = match variable {
        Some(value) => (Given { value: value.clone(), spot: root.spot.clone() }, "the environment's "),
        None => (given?, ""),
    };
    let url = address::url(&value);
    if url.is_none() {
        let message = format!("{from}`{key}` is no address");
        root.notes.error_help(&spot, "bad-value", message, URL_FORM);
    }
    url.map(|url| (url, spot))
}

/// By the first listener on a port. A node that listens everywhere calls itself by this machine's own address: good
/// for one node, and `read` asks for more where there are others.
fn derived_api(listeners: &[Listener]) -> Url {
    let first = listeners.iter().find_map(|listener| Some((address::reachable(&listener.bind)?, listener)));
    match first {
        Some(((host, port), listener)) => Url { tls: listener.tls.is_some(), host, port },
        None => Url { tls: false, host: "127.0.0.1".to_owned(), port: 8200 },
    }
}

fn text(url: &Url) -> String {
    format!("{}://{}:{}", if url.tls { "https" } else { "http" }, url.host, url.port)
}
