//! `X-Forwarded-For`: whose address a request counts for. Pure; only proxies the configuration names are believed.

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;

use crate::config::node::model::Forwarded;

/// Most entries of the header that are looked at, the newest; a chain of proxies has a handful.
const MAX_ENTRIES: usize = 100;
const HEADER: &str = "x-forwarded-for";

/// The client of a request that came from `peer`, or the text of a 400. The port stays the peer's.
///
/// # Errors
/// The configuration asks to refuse it, or an authorized proxy wrote nonsense.
pub fn client(
    rules: &Forwarded,
    headers: &HeaderMap,
    peer: Option<SocketAddr>,
) -> Result<Option<SocketAddr>, String> {
    let entries = entries(headers);
    if entries.is_empty() {
        let text = "missing x-forwarded-for header and configured to reject when not present";
        return if rules.reject_not_present { Err(text.to_owned()) } else { Ok(peer) };
    }
    let Some(proxy) = peer else {
        // A unix socket: nobody to be authorized.
        let text = "error parsing client hostport: no address";
        return if rules.reject_not_present { Err(text.to_owned()) } else { Ok(peer) };
    };
    if !rules.authorized.iter().any(|network| network.contains(&proxy.ip().to_canonical())) {
        let text = "client address not authorized for x-forwarded-for and configured to reject connection";
        return if rules.reject_not_authorized { Err(text.to_owned()) } else { Ok(peer) };
    }
    let chosen = entries.len().checked_sub(1 + rules.hop_skips).and_then(|at| entries.get(at));
    let Some(chosen) = chosen else {
        return Err(format!(
            "malformed x-forwarded-for configuration or request, hops to skip ({}) would skip before earliest chain \
             link (chain length {})",
            rules.hop_skips,
            entries.len()
        ));
    };
    match address(chosen) {
        Some(address) => Ok(Some(SocketAddr::new(address, proxy.port()))),
        None => Err("error parsing client address: x-forwarded-for holds no address there".to_owned()),
    }
}

/// All lines of the header as one list, oldest first.
fn entries(headers: &HeaderMap) -> Vec<&str> {
    let lines = headers.get_all(HEADER).iter().map(|line| line.to_str().unwrap_or_default());
    let mut entries: Vec<&str> = lines.flat_map(|line| line.split(',')).map(str::trim).collect();
    // The newest ones are the proxies' own; what is before them anybody could have written.
    entries.drain(..entries.len().saturating_sub(MAX_ENTRIES));
    entries
}

/// `1.2.3.4`, `1.2.3.4:5`, `::1`, `[::1]:5`.
fn address(text: &str) -> Option<IpAddr> {
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    text.parse().ok().or_else(with_port)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(hop_skips: usize, reject: bool) -> Forwarded {
        Forwarded {
            authorized: vec!["127.0.0.0/8".parse().unwrap()],
            hop_skips,
            reject_not_present: reject,
            reject_not_authorized: reject,
        }
    }

    fn asked(rules: &Forwarded, peer: &str, lines: &[&str]) -> Result<String, String> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(HEADER, line.parse().unwrap());
        }
        client(rules, &headers, Some(peer.parse().unwrap())).map(|client| client.unwrap().to_string())
    }

    #[test]
    fn an_authorized_proxy_is_believed() {
        for (hop_skips, lines, expected) in [
            (0, &["1.2.3.4"][..], "1.2.3.4:9"),
            (0, &["9.9.9.9, 1.2.3.4"], "1.2.3.4:9"),
            (1, &["1.2.3.4, 4.4.4.4"], "1.2.3.4:9"),
            (1, &["1.2.3.4", "4.4.4.4"], "1.2.3.4:9"),
            (0, &["1.2.3.4:77"], "1.2.3.4:9"),
            (0, &["2001:db8::1"], "[2001:db8::1]:9"),
            (0, &["[2001:db8::1]:77"], "[2001:db8::1]:9"),
            (0, &[], "127.0.0.1:9"),
        ] {
            assert_eq!(asked(&rules(hop_skips, false), "127.0.0.1:9", lines).unwrap(), expected, "{lines:?}");
        }
        assert_eq!(asked(&rules(0, false), "[::ffff:127.0.0.1]:9", &["1.2.3.4"]).unwrap(), "1.2.3.4:9");
    }

    #[test]
    fn nobody_else_is() {
        assert_eq!(asked(&rules(0, false), "10.0.0.1:9", &["1.2.3.4"]).unwrap(), "10.0.0.1:9");
        let text = "client address not authorized for x-forwarded-for and configured to reject connection";
        assert_eq!(asked(&rules(0, true), "10.0.0.1:9", &["1.2.3.4"]).unwrap_err(), text);
    }

    #[test]
    fn what_is_refused() {
        let missing = "missing x-forwarded-for header and configured to reject when not present";
        assert_eq!(asked(&rules(0, true), "127.0.0.1:9", &[]).unwrap_err(), missing);
        let short = asked(&rules(1, false), "127.0.0.1:9", &["1.2.3.4"]).unwrap_err();
        assert!(
            short.ends_with("hops to skip (1) would skip before earliest chain link (chain length 1)"),
            "{short}"
        );
        assert!(asked(&rules(0, false), "127.0.0.1:9", &["unknown"]).is_err());
        assert!(asked(&rules(0, false), "127.0.0.1:9", &["1.2.3.4,"]).is_err());
    }

    #[test]
    fn a_unix_socket_has_no_proxy() {
        let mut headers = HeaderMap::new();
        headers.insert(HEADER, "1.2.3.4".parse().unwrap());
        assert_eq!(client(&rules(0, false), &headers, None), Ok(None));
        assert!(client(&rules(0, true), &headers, None).is_err());
    }
}
