//! Addresses of the configuration: to listen on, and to be called by.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::model::Bind;
use crate::config::unit::is_host;

/// What may be written for an address to listen on.
pub(super) const BIND_FORM: &str = "write host:port, as 127.0.0.1:8200, [::1]:8200 or :8200";
/// What may be written for an address that others use.
pub(super) const URL_FORM: &str = "write scheme://host:port, as https://10.0.1.11:8200";

/// Reads `host:port`; `None` when it is none.
pub(super) fn bind(text: &str) -> Option<Bind> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Some(if address.ip() == IpAddr::from([0_u16; 8]) {
            Bind::Everywhere(address.port())
        } else {
            Bind::Tcp(address)
        });
    }
    let (host, port) = text.rsplit_once(':')?;
    let port = port.parse().ok()?;
    match host {
        "" => Some(Bind::Everywhere(port)),
        // An IPv6 address wants its brackets: where its port begins could not be told.
        name if is_host(name) && !name.contains(':') => Some(Bind::Name(name.to_owned(), port)),
        _ => None,
    }
}

/// The same place, one port further: where the cluster port is unless it is said.
pub(super) fn next_port(bind: &Bind) -> Option<Bind> {
    match bind {
        Bind::Tcp(address) => Some(Bind::Tcp(SocketAddr::new(address.ip(), address.port().checked_add(1)?))),
        Bind::Everywhere(port) => Some(Bind::Everywhere(port.checked_add(1)?)),
        Bind::Name(name, port) => Some(Bind::Name(name.clone(), port.checked_add(1)?)),
        Bind::Unix(_) => None,
    }
}

/// A URL's scheme, host and port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Url {
    pub(super) tls: bool,
    pub(super) host: String,
    pub(super) port: u16,
}

/// Reads `scheme://host[:port]`, the port 443 or 80 unless it is there; `None` when it is none.
pub(super) fn url(text: &str) -> Option<Url> {
    let (scheme, rest) = text.split_once("://")?;
    let tls = match scheme {
        "https" => true,
        "http" => false,
        _ => return None,
    };
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port.parse().ok()?),
        Some(_) | None => (authority, if tls { 443 } else { 80 }),
    };
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let known =
        bare.map_or_else(|| is_host(host) && !host.contains(':'), |host| host.contains(':') && is_host(host));
    known.then(|| Url { tls, host: host.to_owned(), port })
}

/// How another process reaches what listens at `bind`: the address itself, or this machine.
pub(super) fn reachable(bind: &Bind) -> Option<(String, u16)> {
    match bind {
        Bind::Tcp(address) if address.ip().is_unspecified() => {
            Some((Ipv4Addr::LOCALHOST.to_string(), address.port()))
        }
        Bind::Tcp(address) if address.is_ipv6() => Some((format!("[{}]", address.ip()), address.port())),
        Bind::Tcp(address) => Some((address.ip().to_string(), address.port())),
        Bind::Everywhere(port) => Some((Ipv4Addr::LOCALHOST.to_string(), *port)),
        Bind::Name(name, port) => Some((name.clone(), *port)),
        Bind::Unix(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_to_listen() {
        let tcp = |text: &str| Some(Bind::Tcp(text.parse().unwrap()));
        for (text, expected) in [
            ("127.0.0.1:8200", tcp("127.0.0.1:8200")),
            ("0.0.0.0:8200", tcp("0.0.0.0:8200")),
            ("[::1]:8200", tcp("[::1]:8200")),
            ("[::]:8200", Some(Bind::Everywhere(8200))),
            (":8200", Some(Bind::Everywhere(8200))),
            ("localhost:8200", Some(Bind::Name("localhost".into(), 8200))),
            ("127.0.0.1", None),
            ("127.0.0.1:http", None),
            ("::1:8200", None),
            ("a b:1", None),
            ("127.0.0.1:70000", None),
        ] {
            assert_eq!(bind(text), expected, "{text}");
        }
    }

    #[test]
    fn one_port_further() {
        assert_eq!(next_port(&bind("127.0.0.1:8200").unwrap()), bind("127.0.0.1:8201"));
        assert_eq!(next_port(&bind("127.0.0.1:65535").unwrap()), None);
    }

    #[test]
    fn what_others_call_it() {
        let is = |tls, host: &str, port| Some(Url { tls, host: host.into(), port });
        for (text, expected) in [
            ("https://10.0.0.1:8200", is(true, "10.0.0.1", 8200)),
            ("http://vault.internal", is(false, "vault.internal", 80)),
            ("https://[::1]:8200/", is(true, "[::1]", 8200)),
            ("https://[::1]", is(true, "[::1]", 443)),
            ("10.0.0.1:8200", None),
            ("ftp://x:1", None),
            ("https://a/b", None),
            ("https://u:p@h:1", None),
            ("https://::1:8200", None),
        ] {
            assert_eq!(url(text), expected, "{text}");
        }
    }
}
