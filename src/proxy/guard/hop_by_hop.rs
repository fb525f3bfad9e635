//! Headers that belong to one connection end here (RFC 9110 §7.6.1), in both directions.
//!
//! Requests are stripped before a header of ours is added, and a client cannot name a protected header in
//! `Connection`, so nothing that we add or rely on can be taken away.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Version, request};

use super::Rejection;
use super::name::{self, Kind, Kinds};
use super::protected::remove_kinds;
use super::survey::Survey;

const HOP_BY_HOP: Kinds = Kinds::of(&[Kind::HopByHop, Kind::Connection, Kind::Upgrade]);

/// Remove them all; the answer is the `Upgrade` value when the client asked for one that is allowed here.
///
/// A request for an upgrade that is not allowed goes on as an ordinary one, as RFC 9110 §7.8 lets a server do.
///
/// # Errors
/// 400 when `Connection` names a protected header or something that is no header name.
pub fn strip_request(
    parts: &mut request::Parts,
    survey: &Survey,
    upgrade_allowed: bool,
) -> Result<Option<HeaderValue>, Rejection> {
    if !survey.has_any(HOP_BY_HOP) {
        return Ok(None);
    }
    let upgrade = if upgrade_allowed { wanted_upgrade(parts) } else { None };
    for nominated in nominated_by_client(&parts.headers)? {
        parts.headers.remove(nominated);
    }
    remove_kinds(&mut parts.headers, HOP_BY_HOP);
    Ok(upgrade)
}

/// Remove what a backend said to us alone. Protected headers stay even when `Connection` names them.
///
/// `Transfer-Encoding` goes too: the body is framed again towards the client. `Server` stays as it is.
pub fn strip_response(headers: &mut HeaderMap) {
    // Reading the names once is cheaper than looking for each of those that are hardly ever there.
    let seen = headers.keys().fold(0, |seen, name| seen | response_bit(name.as_str()));
    if seen == 0 {
        return;
    }
    if headers.contains_key(header::CONNECTION) {
        for nominated in nominated_by_server(headers) {
            headers.remove(nominated);
        }
    }
    for (at, name) in RESPONSE_NAMES.iter().enumerate() {
        if seen & (1 << at) != 0 {
            headers.remove(name);
        }
    }
}

/// Of the hop-by-hop headers those that occur in answers.
const RESPONSE_NAMES: [HeaderName; 7] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    header::PROXY_AUTHENTICATE,
    HeaderName::from_static("proxy-connection"),
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// The bit of a name's place in [`RESPONSE_NAMES`].
fn response_bit(name: &str) -> u8 {
    match name {
        "connection" => 1,
        "keep-alive" => 1 << 1,
        "proxy-authenticate" => 1 << 2,
        "proxy-connection" => 1 << 3,
        "trailer" => 1 << 4,
        "transfer-encoding" => 1 << 5,
        "upgrade" => 1 << 6,
        _ => 0,
    }
}

/// WebSocket's opening handshake (RFC 6455 §4.1) and nothing else.
fn wanted_upgrade(parts: &request::Parts) -> Option<HeaderValue> {
    if parts.method != Method::GET || parts.version != Version::HTTP_11 {
        return None;
    }
    let asked = tokens(&parts.headers).any(|token| token.eq_ignore_ascii_case(b"upgrade"));
    let mut offers = parts.headers.get_all(header::UPGRADE).iter();
    match (asked, offers.next(), offers.next()) {
        (true, Some(offer), None) if offer.as_bytes().eq_ignore_ascii_case(b"websocket") => {
            Some(offer.clone())
        }
        _ => None,
    }
}

fn nominated_by_client(headers: &HeaderMap) -> Result<Vec<HeaderName>, Rejection> {
    let mut nominated = Vec::new();
    for token in tokens(headers).filter(|token| !is_connection_option(token)) {
        let name = HeaderName::from_bytes(token)
            .map_err(|_| Rejection::bad("Connection holds something that is no header name"))?;
        if name::is_protected(&name.as_str().replace('_', "-")) {
            return Err(Rejection::bad("Connection names a header that must reach the server"));
        }
        nominated.push(name);
    }
    Ok(nominated)
}

fn nominated_by_server(headers: &HeaderMap) -> Vec<HeaderName> {
    tokens(headers)
        .filter(|token| !is_connection_option(token))
        .filter_map(|token| HeaderName::from_bytes(token).ok())
        .filter(|name| !name::is_protected(name.as_str()))
        .collect()
}

/// The non-empty elements of all `Connection` lines.
fn tokens(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    headers
        .get_all(header::CONNECTION)
        .iter()
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|token| !token.is_empty())
}

/// Not names of end-to-end headers: nothing more to remove for them.
const fn is_connection_option(token: &[u8]) -> bool {
    token.eq_ignore_ascii_case(b"close")
        || token.eq_ignore_ascii_case(b"keep-alive")
        || token.eq_ignore_ascii_case(b"upgrade")
        || token.eq_ignore_ascii_case(b"te")
}
