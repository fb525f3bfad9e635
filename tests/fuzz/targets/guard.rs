//! The whole guard over made-up heads: no panic, and nothing of what a client may not say comes through.
//! The first line is `METHOD target`, every further line `name: value`.
#![no_main]

use std::net::{IpAddr, Ipv4Addr};
use std::sync::LazyLock;

use http::{HeaderName, HeaderValue, Method, Request, request};
use libfuzzer_sys::fuzz_target;
use understudy::config;
use understudy::config::proxy::Listener;
use understudy::proxy::guard::{Allowed, PeerInfo, check_request};

static LISTENER: LazyLock<Listener> = LazyLock::new(|| {
    let loaded = config::parse(include_str!("../../../config/minimal.yaml"), "minimal.yaml");
    let config = loaded.config.expect("the sample is valid");
    config.listeners.into_iter().next().expect("a listener")
});

fn head(data: &[u8]) -> Option<request::Parts> {
    let mut lines = data.split(|byte| *byte == b'\n');
    let mut words = lines.next()?.split(|byte| *byte == b' ');
    let method = Method::from_bytes(words.next()?).ok()?;
    let target = std::str::from_utf8(words.next()?).ok()?;
    let mut request = Request::builder().method(method).uri(target).body(()).ok()?;
    for line in lines.take(200) {
        let mut pair = line.splitn(2, |byte| *byte == b':');
        let name = HeaderName::from_bytes(pair.next()?).ok()?;
        let value = HeaderValue::from_bytes(pair.next().unwrap_or_default().trim_ascii()).ok()?;
        request.headers_mut().append(name, value);
    }
    Some(request.into_parts().0)
}

fuzz_target!(|data: &[u8]| {
    let Some(mut parts) = head(data) else { return };
    let peer = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 9));
    let allowed = Allowed { upgrade: data.len() % 2 == 0, trace: false, consistency: true };
    let Ok(guarded) = check_request(&mut parts, &PeerInfo::new(peer, None), &LISTENER, allowed) else { return };
    // The sample trusts no proxy: the client is the peer, whatever it says.
    assert_eq!(guarded.client, peer);
    for name in parts.headers.keys() {
        let name = name.as_str();
        assert!(!name.starts_with("x-understudy-"), "{name}");
        assert!(!matches!(name, "te" | "trailer" | "keep-alive" | "proxy-connection" | "expect"), "{name}");
        assert!(!matches!(name, "client-cert" | "client-cert-chain"), "{name}");
    }
});
