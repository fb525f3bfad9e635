//! `X-Forwarded-For`: whom to believe, who the client is, and what the cluster is told.
//!
//! An entry counts only while the address that handed it over is a trusted proxy, read from the right, and no
//! further than `trusted_hops` entries. `Forwarded` and the other `X-Forwarded-*` of a trusted proxy pass
//! unread; from anybody else they are gone before this file runs.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bytes::{BufMut, BytesMut};
use http::header::{HeaderMap, HeaderName, HeaderValue};
use ipnet::IpNet;

use super::PeerInfo;
use crate::config::proxy::{Forwarded, ForwardedMode};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// An IPv6 address has at most 45 characters; brackets and a port add 8.
const MAX_ENTRY_BYTES: usize = 53;

/// The client as far as it can be believed; writes the header as `config.mode` says.
///
/// `append` adds the peer to what a trusted proxy sent; `replace` sends the effective client alone; `none`
/// leaves a trusted proxy's header as it is and adds nothing.
pub fn apply(headers: &mut HeaderMap, peer: &PeerInfo, trusted: bool, config: &Forwarded) -> IpAddr {
    let client = if trusted { believed(headers, peer.address, config) } else { peer.address };
    match config.mode {
        ForwardedMode::Append => append(headers, peer, trusted),
        ForwardedMode::Replace if client == peer.address => set(headers, peer.address_text.clone()),
        ForwardedMode::Replace => set(headers, address_value(client)),
        ForwardedMode::None => {}
    }
    client
}

#[must_use]
pub fn is_trusted(peer: IpAddr, config: &Forwarded) -> bool {
    covers(&config.trusted_proxies, peer)
}

/// Walk `lines` (in wire order) from the right, starting at `peer`, one entry per trusted hop.
///
/// Stops at the first address that is no trusted proxy, at the first entry that is no address, and after
/// `hops` entries; the answer is the last address reached. Empty list elements do not count (RFC 9110 §5.6.1).
#[must_use]
pub fn effective_client<'a>(
    lines: impl DoubleEndedIterator<Item = &'a [u8]>,
    peer: IpAddr,
    trusted: &[IpNet],
    hops: usize,
) -> IpAddr {
    let entries = lines.rev().flat_map(|line| line.rsplit(|byte| *byte == b',')).map(<[u8]>::trim_ascii);
    let mut client = peer;
    for entry in entries.filter(|entry| !entry.is_empty()).take(hops) {
        if !covers(trusted, client) {
            break;
        }
        let Some(address) = parse_entry(entry) else { break };
        client = address;
    }
    client
}

/// One entry: an IPv4 or IPv6 address, the latter with or without brackets, with an optional port where that
/// is unambiguous. IPv4 in IPv6 becomes IPv4. Names, `unknown` and zone identifiers are no addresses.
#[must_use]
pub fn parse_entry(entry: &[u8]) -> Option<IpAddr> {
    if entry.len() > MAX_ENTRY_BYTES {
        return None;
    }
    let text = std::str::from_utf8(entry.trim_ascii()).ok()?;
    let address = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']')?;
            check_port(port)?;
            IpAddr::V6(address.parse::<Ipv6Addr>().ok()?)
        }
        None => parse_bare(text)?,
    };
    Some(address.to_canonical())
}

/// More than one colon: an IPv6 address, which cannot carry a port without brackets.
fn parse_bare(text: &str) -> Option<IpAddr> {
    match text.split_once(':') {
        Some((_, rest)) if rest.contains(':') => text.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        Some((address, port)) => {
            port.parse::<u16>().ok().filter(|_| is_digits(port))?;
            address.parse::<Ipv4Addr>().ok().map(IpAddr::V4)
        }
        None => text.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
    }
}

fn check_port(rest: &str) -> Option<()> {
    if rest.is_empty() {
        return Some(());
    }
    let port = rest.strip_prefix(':')?;
    port.parse::<u16>().ok().filter(|_| is_digits(port)).map(|_| ())
}

/// `u16::from_str` takes a leading `+`.
fn is_digits(port: &str) -> bool {
    port.bytes().all(|byte| byte.is_ascii_digit())
}

pub(super) fn address_value(address: IpAddr) -> HeaderValue {
    HeaderValue::try_from(address.to_string()).expect("an address is visible ASCII")
}

fn believed(headers: &HeaderMap, peer: IpAddr, config: &Forwarded) -> IpAddr {
    let lines = headers.get_all(X_FORWARDED_FOR);
    effective_client(
        lines.iter().map(HeaderValue::as_bytes),
        peer,
        &config.trusted_proxies,
        config.trusted_hops,
    )
}

fn covers(networks: &[IpNet], address: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(&address))
}

fn set(headers: &mut HeaderMap, value: HeaderValue) {
    headers.insert(X_FORWARDED_FOR, value);
}

fn append(headers: &mut HeaderMap, peer: &PeerInfo, trusted: bool) {
    let value = match trusted {
        true => joined(headers, peer),
        false => peer.address_text.clone(),
    };
    set(headers, value);
}

/// All lines as one list with the peer at its end. The head's size limit bounds it.
fn joined(headers: &HeaderMap, peer: &PeerInfo) -> HeaderValue {
    let mut list = BytesMut::new();
    for line in headers.get_all(X_FORWARDED_FOR) {
        let line = line.as_bytes().trim_ascii();
        if !line.is_empty() {
            list.put_slice(line);
            list.put_slice(b", ");
        }
    }
    list.put_slice(peer.address_text.as_bytes());
    HeaderValue::from_maybe_shared(list.freeze()).unwrap_or_else(|_| peer.address_text.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn entries() {
        let table: [(&str, Option<&str>); 20] = [
            ("192.0.2.1", Some("192.0.2.1")),
            (" 192.0.2.1\t", Some("192.0.2.1")),
            ("192.0.2.1:80", Some("192.0.2.1")),
            ("2001:db8::1", Some("2001:db8::1")),
            ("[2001:db8::1]", Some("2001:db8::1")),
            ("[2001:db8::1]:443", Some("2001:db8::1")),
            ("::ffff:192.0.2.1", Some("192.0.2.1")),
            ("[::ffff:192.0.2.1]:1", Some("192.0.2.1")),
            ("", None),
            ("unknown", None),
            ("_hidden", None),
            ("192.0.2.1:", None),
            ("192.0.2.1:+8", None),
            ("192.0.2.1:65536", None),
            ("[192.0.2.1]", None),
            ("[2001:db8::1", None),
            ("[2001:db8::1]x", None),
            ("[::1]:+8", None),
            ("fe80::1%eth0", None),
            ("\"192.0.2.1\"", None),
        ];
        for (text, expected) in table {
            assert_eq!(parse_entry(text.as_bytes()), expected.map(ip), "{text:?}");
        }
        assert_eq!(parse_entry(&[b'1'; 1000]), None);
        assert_eq!(parse_entry(b"\xff"), None);
    }

    #[test]
    fn who_the_client_is() {
        let trusted: Vec<IpNet> = vec!["10.0.0.0/8".parse().unwrap()];
        let table: [(&[&str], &str, usize, &str); 10] = [
            (&["192.0.2.7"], "203.0.113.9", 1, "203.0.113.9"),
            (&["192.0.2.7"], "10.0.0.1", 1, "192.0.2.7"),
            (&["192.0.2.7"], "10.0.0.1", 0, "10.0.0.1"),
            (&["192.0.2.6, 192.0.2.7"], "10.0.0.1", 1, "192.0.2.7"),
            (&["192.0.2.6, 192.0.2.7"], "10.0.0.1", 2, "192.0.2.7"),
            (&["192.0.2.6, 10.0.0.2"], "10.0.0.1", 2, "192.0.2.6"),
            (&["192.0.2.6", "10.0.0.2"], "10.0.0.1", 2, "192.0.2.6"),
            (&["192.0.2.6, 10.0.0.2"], "10.0.0.1", 1, "10.0.0.2"),
            (&["192.0.2.6, unknown"], "10.0.0.1", 5, "10.0.0.1"),
            (&["192.0.2.6,, ,"], "10.0.0.1", 1, "192.0.2.6"),
        ];
        for (lines, peer, hops, expected) in table {
            let lines = lines.iter().map(|line| line.as_bytes());
            assert_eq!(effective_client(lines, ip(peer), &trusted, hops), ip(expected));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(entry in proptest::collection::vec(any::<u8>(), 0..80)) {
            if let Some(address) = parse_entry(&entry) {
                prop_assert_eq!(address, address.to_canonical());
            }
        }

        #[test]
        fn an_untrusted_peer_is_the_client(line in "[ -~]{0,80}", hops in 0_usize..9) {
            let peer = ip("203.0.113.9");
            let trusted: Vec<IpNet> = vec!["10.0.0.0/8".parse().unwrap()];
            prop_assert_eq!(effective_client(std::iter::once(line.as_bytes()), peer, &trusted, hops), peer);
        }

        #[test]
        fn addresses_round_trip(address: IpAddr, port: u16) {
            let expected = Some(address.to_canonical());
            prop_assert_eq!(parse_entry(address.to_string().as_bytes()), expected);
            let with_port = std::net::SocketAddr::new(address, port).to_string();
            prop_assert_eq!(parse_entry(with_port.as_bytes()), expected);
        }
    }
}
