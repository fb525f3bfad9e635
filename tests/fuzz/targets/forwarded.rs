//! `X-Forwarded-For`: whom to believe, against a plain loop over the same entries.
#![no_main]

use std::net::{IpAddr, Ipv4Addr};

use libfuzzer_sys::fuzz_target;
use understudy::proxy::guard::forwarded::{effective_client, parse_entry};

/// From the right, while the address that handed the entry over is trusted.
fn plain(lines: &[&[u8]], peer: IpAddr, trusted: impl Fn(IpAddr) -> bool, hops: usize) -> IpAddr {
    let mut entries = Vec::new();
    for line in lines {
        for entry in line.split(|byte| *byte == b',') {
            let entry = entry.trim_ascii();
            if !entry.is_empty() {
                entries.push(entry);
            }
        }
    }
    let mut client = peer;
    for _ in 0..hops {
        if !trusted(client) {
            return client;
        }
        let Some(address) = entries.pop().and_then(parse_entry) else { return client };
        client = address;
    }
    client
}

fn check_entry(entry: &[u8]) {
    let Some(address) = parse_entry(entry) else { return };
    let text = std::str::from_utf8(entry).expect("an address is text").trim();
    // What the standard library reads must be what we read.
    if let Ok(plain) = text.parse::<IpAddr>() {
        assert_eq!(plain.to_canonical(), address);
    }
    assert_eq!(parse_entry(address.to_string().as_bytes()), Some(address));
}

fuzz_target!(|data: &[u8]| {
    let Some((&hops, data)) = data.split_first() else { return };
    let lines: Vec<&[u8]> = data.split(|byte| *byte == b'\n').collect();
    let peer = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
    let nets = ["10.0.0.0/8".parse().expect("a network"), "fd00::/8".parse().expect("a network")];
    let trusted = |address: IpAddr| match address {
        IpAddr::V4(address) => address.octets()[0] == 10,
        IpAddr::V6(address) => address.octets()[0] == 0xfd,
    };
    let hops = usize::from(hops % 8);
    let client = effective_client(lines.iter().copied(), peer, &nets, hops);
    assert_eq!(client, plain(&lines, peer, trusted, hops));
    lines.iter().flat_map(|line| line.split(|byte| *byte == b',')).for_each(check_entry);
});
