//! Who may: pure decisions from where a connection came in, its headers and the configured tokens.
//!
//! - A unix socket is guarded by its file mode: everything is allowed.
//! - Without tokens, a loopback bind allows everything and any other bind only the health endpoints.
//! - With tokens, `Authorization: Bearer` names one; its level decides.
//!
//! Browsers are kept out: a page of another site must not drive the admin of whoever reads it. A `Host` that is a
//! name (DNS rebinding) needs a token, and a request with a foreign `Origin` is refused.

use std::net::IpAddr;

use http::header::{AUTHORIZATION, HOST, ORIGIN};
use http::{HeaderMap, HeaderName};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::config::proxy::{AdminLevel, AdminToken};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Where the admin listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    Unix,
    Loopback,
    Network,
}

/// What an endpoint asks of its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Needs {
    /// Health endpoints: nothing to learn there, and orchestrators carry no token.
    Nobody,
    Level(AdminLevel),
}

/// Why a caller is turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Denied {
    NoToken,
    WrongToken,
    NeedsOperator,
    NoTokensConfigured,
    HostName,
    ForeignOrigin,
}

impl Denied {
    pub(super) fn sentence(self) -> &'static str {
        match self {
            Self::NoToken => "send an admin token: `Authorization: Bearer TOKEN`",
            Self::WrongToken => "this admin token is not known",
            Self::NeedsOperator => "this needs a token of level operator",
            Self::NoTokensConfigured => {
                "the admin listens beyond loopback without tokens: configure `admin.tokens`, or bind it to loopback or a \
                 unix socket"
            }
            Self::HostName => {
                "without a token the Host header must be an IP address or localhost (protection against DNS rebinding)"
            }
            Self::ForeignOrigin => "requests of other sites' pages are refused",
        }
    }
}

/// Lets the caller through or says why not.
pub(super) fn check(
    reach: Reach,
    tokens: &[AdminToken],
    headers: &HeaderMap,
    needs: Needs,
) -> Result<(), Denied> {
    if is_foreign_page(headers) {
        return Err(Denied::ForeignOrigin);
    }
    let Needs::Level(needed) = needs else { return Ok(()) };
    let level = match (reach, bearer(headers)) {
        (Reach::Unix, _) => AdminLevel::Operator,
        (Reach::Loopback | Reach::Network, Some(token)) if !tokens.is_empty() => {
            level_of(tokens, token).ok_or(Denied::WrongToken)?
        }
        (Reach::Loopback, _) if tokens.is_empty() => loopback(headers)?,
        (Reach::Network, _) if tokens.is_empty() => return Err(Denied::NoTokensConfigured),
        (Reach::Loopback | Reach::Network, _) => return Err(Denied::NoToken),
    };
    if level >= needed { Ok(()) } else { Err(Denied::NeedsOperator) }
}

fn loopback(headers: &HeaderMap) -> Result<AdminLevel, Denied> {
    let numeric = headers.get_all(HOST).iter().all(|host| host.to_str().is_ok_and(is_local_host));
    if numeric { Ok(AdminLevel::Operator) } else { Err(Denied::HostName) }
}

fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.as_bytes().split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then(|| token.trim_ascii())
}

/// Looks at every token whatever the earlier ones say, in constant time each.
fn level_of(tokens: &[AdminToken], presented: &[u8]) -> Option<AdminLevel> {
    let digest: [u8; 32] = Sha256::digest(presented).into();
    let mut found = None;
    for token in tokens {
        if bool::from(token.sha256.ct_eq(&digest)) {
            found = found.max(Some(token.level));
        }
    }
    found
}

/// `localhost`, `127.0.0.1:8299`, `[::1]:8299`, ...
fn is_local_host(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or("", |(address, _port)| address),
        None => host.split_once(':').map_or(host, |(name, _port)| name),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
}

/// A browser says where a request comes from; other clients send neither header.
fn is_foreign_page(headers: &HeaderMap) -> bool {
    let host = headers.get(HOST).map(|host| host.as_bytes());
    let same = |origin: &[u8]| {
        let authority = origin.strip_prefix(b"http://").or_else(|| origin.strip_prefix(b"https://"));
        authority.is_some() && authority == host
    };
    let foreign_origin = headers.get_all(ORIGIN).iter().any(|origin| !same(origin.as_bytes()));
    let cross = [b"cross-site".as_slice(), b"same-site".as_slice()];
    foreign_origin || headers.get_all(SEC_FETCH_SITE).iter().any(|site| cross.contains(&site.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const VIEWER: Needs = Needs::Level(AdminLevel::Viewer);
    const OPERATOR: Needs = Needs::Level(AdminLevel::Operator);

    fn tokens() -> Vec<AdminToken> {
        [("view", AdminLevel::Viewer), ("root", AdminLevel::Operator)]
            .into_iter()
            .map(|(name, level)| AdminToken {
                name: name.into(),
                sha256: Sha256::digest(name.as_bytes()).into(),
                level,
            })
            .collect()
    }

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        lines.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    #[test]
    fn levels_decide() {
        let bearer = |token: &str| {
            headers(&[("host", "admin.example"), ("authorization", &format!("Bearer {token}"))])
        };
        let bare = headers(&[("host", "127.0.0.1:8299")]);
        let cases = [
            (Reach::Network, bearer("view"), VIEWER, Ok(())),
            (Reach::Network, bearer("view"), OPERATOR, Err(Denied::NeedsOperator)),
            (Reach::Network, bearer("root"), OPERATOR, Ok(())),
            (Reach::Loopback, bearer("guess"), VIEWER, Err(Denied::WrongToken)),
            (Reach::Loopback, bare.clone(), VIEWER, Err(Denied::NoToken)),
            (Reach::Network, bare.clone(), Needs::Nobody, Ok(())),
            (Reach::Unix, bare, OPERATOR, Ok(())),
        ];
        for (reach, headers, needs, expected) in cases {
            assert_eq!(check(reach, &tokens(), &headers, needs), expected, "{reach:?} {needs:?} {headers:?}");
        }
    }

    #[test]
    fn without_tokens_only_loopback_by_address_may() {
        let cases = [
            (Reach::Loopback, "127.0.0.1:8299", Ok(())),
            (Reach::Loopback, "[::1]:8299", Ok(())),
            (Reach::Loopback, "localhost", Ok(())),
            (Reach::Loopback, "rebound.example:8299", Err(Denied::HostName)),
            (Reach::Loopback, "127.0.0.1.rebound.example", Err(Denied::HostName)),
            (Reach::Network, "192.0.2.1:8299", Err(Denied::NoTokensConfigured)),
            (Reach::Unix, "anything", Ok(())),
        ];
        for (reach, host, expected) in cases {
            assert_eq!(
                check(reach, &[], &headers(&[("host", host)]), OPERATOR),
                expected,
                "{reach:?} {host}"
            );
        }
    }

    #[test]
    fn pages_of_other_sites_are_refused() {
        let cases = [
            (vec![("host", "127.0.0.1:1"), ("origin", "http://127.0.0.1:1")], Ok(())),
            (vec![("host", "127.0.0.1:1"), ("sec-fetch-site", "same-origin")], Ok(())),
            (vec![("host", "127.0.0.1:1"), ("origin", "http://evil.example")], Err(Denied::ForeignOrigin)),
            (vec![("host", "127.0.0.1:1"), ("origin", "null")], Err(Denied::ForeignOrigin)),
            (vec![("host", "127.0.0.1:1"), ("sec-fetch-site", "cross-site")], Err(Denied::ForeignOrigin)),
        ];
        for (lines, expected) in cases {
            assert_eq!(check(Reach::Loopback, &[], &headers(&lines), OPERATOR), expected, "{lines:?}");
        }
    }
}
