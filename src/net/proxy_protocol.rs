//! PROXY protocol v1 and v2 (<https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>): who a TCP load
//! balancer in front of us accepted the connection from.
//!
//! ```text
//!  v1   PROXY TCP4 192.0.2.1 198.51.100.2 56324 8200\r\n                            at most 107 bytes
//!  v2   \r\n\r\n\0\r\nQUIT\n | version, command | family, protocol | length (2) | addresses | TLVs
//! ```
//!
//! Bytes in, header out; it reads no socket. Whether a peer may, must or must not send a header is the
//! listener's decision: guessing is what makes addresses forgeable.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The longest v1 line with its end, by the specification.
pub const MAX_V1_BYTES: usize = 107;
/// The most a v2 header may carry after its 16 fixed bytes. Addresses need 216 at most, the rest are TLVs.
pub const MAX_V2_PAYLOAD_BYTES: usize = 4096;
/// No header is longer; a buffer of this size is always enough.
pub const MAX_BYTES: usize = V2_FIXED_BYTES + MAX_V2_PAYLOAD_BYTES;

const V1_SIGNATURE: &[u8] = b"PROXY ";
const V2_SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
const V2_FIXED_BYTES: usize = 16;

/// What the bytes read so far amount to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parse<T> {
    /// A prefix of a header: read more. Never said once [`MAX_BYTES`] are there.
    Partial,
    /// The header and how many bytes it took; the rest belongs to the connection.
    Complete(T, usize),
    Invalid(Invalid),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Header {
    /// The balancer speaks for itself (health checks), or does not know: the peer is the client.
    Local,
    Proxied {
        source: SocketAddr,
        destination: SocketAddr,
    },
}

/// The connection is closed; there is nobody to answer who understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    #[error("no PROXY protocol header; let the balancer send one or take it out of proxy_protocol.trusted")]
    Missing,
    #[error("PROXY v1 line longer than 107 bytes or without its end")]
    LineTooLong,
    #[error("PROXY v1 line that is not `PROXY TCP4|TCP6|UNKNOWN ...`")]
    Line,
    #[error("PROXY v1 line with an address or port that does not parse")]
    Address,
    #[error("PROXY v2 header of an unknown version or command")]
    Command,
    #[error("PROXY v2 header longer than 4096 bytes after its fixed part")]
    TooLong,
    #[error("PROXY v2 header shorter than its addresses")]
    TooShort,
    #[error("PROXY v2 header for something other than TCP over IPv4 or IPv6")]
    Family,
}

/// Read a header from the start of `buf`. Call again with more bytes after [`Parse::Partial`].
#[must_use]
pub fn parse(buf: &[u8]) -> Parse<Header> {
    if starts_alike(buf, V2_SIGNATURE) {
        return parse_v2(buf);
    }
    if starts_alike(buf, V1_SIGNATURE) {
        return parse_v1(buf);
    }
    Parse::Invalid(Invalid::Missing)
}

/// As far as there are bytes; an empty buffer starts like anything.
fn starts_alike(buf: &[u8], signature: &[u8]) -> bool {
    buf.iter().zip(signature).all(|(byte, expected)| byte == expected)
}

fn parse_v1(buf: &[u8]) -> Parse<Header> {
    let window = buf.get(..MAX_V1_BYTES).unwrap_or(buf);
    let Some(end) = window.windows(2).position(|pair| pair == b"\r\n") else {
        return if buf.len() < MAX_V1_BYTES { Parse::Partial } else { Parse::Invalid(Invalid::LineTooLong) };
    };
    let (line, _) = window.split_at(end);
    match std::str::from_utf8(line).map_err(|_| Invalid::Line).and_then(v1_line) {
        Ok(header) => Parse::Complete(header, end + 2),
        Err(invalid) => Parse::Invalid(invalid),
    }
}

/// `UNKNOWN` may be followed by anything, to be ignored.
fn v1_line(line: &str) -> Result<Header, Invalid> {
    let rest = line.strip_prefix("PROXY ").ok_or(Invalid::Line)?;
    if rest == "UNKNOWN" || rest.starts_with("UNKNOWN ") {
        return Ok(Header::Local);
    }
    let mut words = rest.split(' ');
    let mut word = || words.next().ok_or(Invalid::Line);
    let (family, source, destination) = (word()?, word()?, word()?);
    let (source_port, destination_port) = (port(word()?)?, port(word()?)?);
    if words.next().is_some() {
        return Err(Invalid::Line);
    }
    let address = match family {
        "TCP4" => v4,
        "TCP6" => v6,
        _ => return Err(Invalid::Line),
    };
    Ok(Header::Proxied {
        source: SocketAddr::new(address(source)?, source_port),
        destination: SocketAddr::new(address(destination)?, destination_port),
    })
}

fn v4(text: &str) -> Result<IpAddr, Invalid> {
    text.parse::<Ipv4Addr>().map(IpAddr::V4).map_err(|_| Invalid::Address)
}

fn v6(text: &str) -> Result<IpAddr, Invalid> {
    text.parse::<Ipv6Addr>().map(IpAddr::V6).map_err(|_| Invalid::Address)
}

/// Decimal without sign or leading zero.
fn port(text: &str) -> Result<u16, Invalid> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| plain).ok_or(Invalid::Address)
}

fn parse_v2(buf: &[u8]) -> Parse<Header> {
    let Some((fixed, rest)) = buf.split_first_chunk::<V2_FIXED_BYTES>() else { return Parse::Partial };
    let [.., version_command, family, high, low] = *fixed;
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length > MAX_V2_PAYLOAD_BYTES {
        return Parse::Invalid(Invalid::TooLong);
    }
    if !matches!(version_command, 0x20 | 0x21) {
        return Parse::Invalid(Invalid::Command);
    }
    let Some(payload) = rest.get(..length) else { return Parse::Partial };
    let header = if version_command == 0x20 { Ok(Header::Local) } else { v2_addresses(family, payload) };
    match header {
        Ok(header) => Parse::Complete(header, V2_FIXED_BYTES + length),
        Err(invalid) => Parse::Invalid(invalid),
    }
}

/// TLVs after the addresses are ignored.
fn v2_addresses(family: u8, payload: &[u8]) -> Result<Header, Invalid> {
    match family {
        0x00 => Ok(Header::Local),
        0x11 => {
            let bytes: &[u8; 12] = payload.first_chunk().ok_or(Invalid::TooShort)?;
            let [a, b, c, d, e, f, g, h, sp0, sp1, dp0, dp1] = *bytes;
            Ok(proxied([a, b, c, d].into(), [e, f, g, h].into(), [sp0, sp1], [dp0, dp1]))
        }
        0x21 => {
            let too_short = || Invalid::TooShort;
            let (source, rest) = payload.split_first_chunk::<16>().ok_or_else(too_short)?;
            let (destination, rest) = rest.split_first_chunk::<16>().ok_or_else(too_short)?;
            let [sp0, sp1, dp0, dp1] = *rest.first_chunk().ok_or_else(too_short)?;
            Ok(proxied((*source).into(), (*destination).into(), [sp0, sp1], [dp0, dp1]))
        }
        _ => Err(Invalid::Family),
    }
}

fn proxied(source: IpAddr, destination: IpAddr, source_port: [u8; 2], destination_port: [u8; 2]) -> Header {
    Header::Proxied {
        source: SocketAddr::new(source, u16::from_be_bytes(source_port)),
        destination: SocketAddr::new(destination, u16::from_be_bytes(destination_port)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header(source: &str, destination: &str) -> Header {
        Header::Proxied { source: source.parse().unwrap(), destination: destination.parse().unwrap() }
    }

    fn v2(command: u8, family: u8, payload: &[u8]) -> Vec<u8> {
        let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
        [&V2_SIGNATURE[..], &[command, family], &length, payload].concat()
    }

    #[test]
    fn version_1() {
        let long = format!("PROXY UNKNOWN {}\r\n", "f".repeat(200));
        let longest = format!("PROXY UNKNOWN {}\r\n", "f".repeat(MAX_V1_BYTES - 16));
        let v6_line = "PROXY TCP6 2001:db8::1 2001:db8::2 1 8200\r\n";
        let table: [(&str, Parse<Header>); 17] = [
            (
                "PROXY TCP4 192.0.2.1 198.51.100.2 56324 8200\r\nGET /",
                Parse::Complete(header("192.0.2.1:56324", "198.51.100.2:8200"), 46),
            ),
            (v6_line, Parse::Complete(header("[2001:db8::1]:1", "[2001:db8::2]:8200"), v6_line.len())),
            ("PROXY UNKNOWN\r\n", Parse::Complete(Header::Local, 15)),
            ("PROXY UNKNOWN anything at all\r\n", Parse::Complete(Header::Local, 31)),
            (&longest, Parse::Complete(Header::Local, MAX_V1_BYTES)),
            ("", Parse::Partial),
            ("PRO", Parse::Partial),
            ("PROXY TCP4 192.0.2.1 198.51.100.2 56324 8200\r", Parse::Partial),
            (&long, Parse::Invalid(Invalid::LineTooLong)),
            ("GET / HTTP/1.1\r\n", Parse::Invalid(Invalid::Missing)),
            ("PROXY UDP4 192.0.2.1 198.51.100.2 1 2\r\n", Parse::Invalid(Invalid::Line)),
            ("PROXY TCP4 192.0.2.1 198.51.100.2 1\r\n", Parse::Invalid(Invalid::Line)),
            ("PROXY TCP4 192.0.2.1 198.51.100.2 1 2 3\r\n", Parse::Invalid(Invalid::Line)),
            ("PROXY TCP4 ::1 ::1 1 2\r\n", Parse::Invalid(Invalid::Address)),
            ("PROXY TCP4 192.0.2.1 198.51.100.2 +1 2\r\n", Parse::Invalid(Invalid::Address)),
            ("PROXY TCP4 192.0.2.1 198.51.100.2 01 2\r\n", Parse::Invalid(Invalid::Address)),
            ("PROXY TCP4 192.0.2.1 198.51.100.2 1 65536\r\n", Parse::Invalid(Invalid::Address)),
        ];
        for (bytes, expected) in table {
            assert_eq!(parse(bytes.as_bytes()), expected, "{bytes:?}");
        }
    }

    #[test]
    fn version_2() {
        let v4: &[u8] = &[192, 0, 2, 1, 198, 51, 100, 2, 0, 80, 0x20, 0x08];
        let with_tlvs = [v4, &[0x04, 0, 1, 9]].concat();
        let mut v6 = [0; 36];
        (v6[15], v6[31], v6[33], v6[35]) = (1, 2, 3, 4);
        let expected = header("192.0.2.1:80", "198.51.100.2:8200");
        let most = [v4, &vec![0; MAX_V2_PAYLOAD_BYTES - 12]].concat();
        let table = [
            (v2(0x21, 0x11, v4), Parse::Complete(expected, 28)),
            (v2(0x21, 0x11, &with_tlvs), Parse::Complete(expected, 32)),
            (v2(0x21, 0x11, &most), Parse::Complete(expected, MAX_BYTES)),
            (v2(0x21, 0x21, &v6), Parse::Complete(header("[::1]:3", "[::2]:4"), 52)),
            (v2(0x20, 0x00, &[]), Parse::Complete(Header::Local, 16)),
            (v2(0x20, 0x11, v4), Parse::Complete(Header::Local, 28)),
            (v2(0x21, 0x00, &[1, 2, 3]), Parse::Complete(Header::Local, 19)),
            (v2(0x21, 0x11, &v4[..11]), Parse::Invalid(Invalid::TooShort)),
            (v2(0x21, 0x21, &v6[..35]), Parse::Invalid(Invalid::TooShort)),
            (v2(0x21, 0x12, v4), Parse::Invalid(Invalid::Family)),
            (v2(0x21, 0x31, &[0; 216]), Parse::Invalid(Invalid::Family)),
            (v2(0x22, 0x11, v4), Parse::Invalid(Invalid::Command)),
            (v2(0x11, 0x11, v4), Parse::Invalid(Invalid::Command)),
            (v2(0x21, 0x11, &vec![0; MAX_V2_PAYLOAD_BYTES + 1]), Parse::Invalid(Invalid::TooLong)),
        ];
        for (bytes, expected) in table {
            assert_eq!(parse(&bytes), expected, "{bytes:x?}");
        }
        let mut broken = v2(0x21, 0x11, v4);
        broken[11] = b'\r';
        assert_eq!(parse(&broken), Parse::Invalid(Invalid::Missing));
    }

    fn any_header() -> impl Strategy<Value = (Vec<u8>, Header)> {
        let v4 = any::<([u8; 4], [u8; 4], u16, u16)>();
        let v6 = any::<([u8; 16], [u8; 16], u16, u16)>();
        let tlvs = proptest::collection::vec(any::<u8>(), 0..64);
        prop_oneof![
            (v4, tlvs.clone()).prop_map(|((a, b, p, q), tlvs)| encoded(a.into(), b.into(), p, q, Some(tlvs))),
            (v6, tlvs).prop_map(|((a, b, p, q), tlvs)| encoded(a.into(), b.into(), p, q, Some(tlvs))),
            v4.prop_map(|(a, b, p, q)| encoded(a.into(), b.into(), p, q, None)),
            v6.prop_map(|(a, b, p, q)| encoded(a.into(), b.into(), p, q, None)),
        ]
    }

    /// Version 2 with TLVs, version 1 without.
    fn encoded(a: IpAddr, b: IpAddr, p: u16, q: u16, tlvs: Option<Vec<u8>>) -> (Vec<u8>, Header) {
        let header = Header::Proxied { source: SocketAddr::new(a, p), destination: SocketAddr::new(b, q) };
        let family = if a.is_ipv4() { ("TCP4", 0x11) } else { ("TCP6", 0x21) };
        let Some(tlvs) = tlvs else {
            return (format!("PROXY {} {a} {b} {p} {q}\r\n", family.0).into_bytes(), header);
        };
        let octets = |address| match address {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        };
        let payload =
            [octets(a), octets(b), p.to_be_bytes().to_vec(), q.to_be_bytes().to_vec(), tlvs].concat();
        (v2(0x21, family.1, &payload), header)
    }

    proptest! {
        #[test]
        fn headers_round_trip_whatever_follows((bytes, header) in any_header(), rest: Vec<u8>) {
            let stream = [&bytes[..], &rest].concat();
            prop_assert_eq!(parse(&stream), Parse::Complete(header, bytes.len()));
        }

        /// A reader may ask after any byte: partial until the last one.
        #[test]
        fn every_proper_prefix_is_partial((bytes, _) in any_header()) {
            for end in 0..bytes.len() {
                prop_assert_eq!(parse(&bytes[..end]), Parse::Partial, "at {}", end);
            }
        }

        #[test]
        fn any_bytes_end_without_panic(start in 0_usize..3, tail in proptest::collection::vec(any::<u8>(), 0..5000)) {
            let stream = [[&b""[..], V1_SIGNATURE, V2_SIGNATURE][start], &tail].concat();
            match parse(&stream) {
                Parse::Complete(_, used) => prop_assert!(used <= stream.len() && used <= MAX_BYTES),
                Parse::Partial => prop_assert!(stream.len() < MAX_BYTES),
                Parse::Invalid(_) => {}
            }
        }
    }
}
