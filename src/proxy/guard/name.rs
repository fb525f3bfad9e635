//! Header names the guard cares about, told apart by their lower-case text.
//!
//! It knows names only: how often they may appear and what happens to them is decided beside each rule.

/// A header of interest. The discriminant is a bit position in a [`Kinds`] set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Passed on untouched.
    Other,
    Host,
    ContentLength,
    ContentType,
    TransferEncoding,
    Connection,
    Upgrade,
    Expect,
    Cookie,
    /// `Keep-Alive`, `TE`, `Trailer`, `HTTP2-Settings`, `Proxy` and `Proxy-*`.
    HopByHop,
    XForwardedFor,
    /// `Forwarded`, the other `X-Forwarded-*` and `X-Real-Ip`.
    OtherForwarded,
    /// `Client-Cert` and `Client-Cert-Chain` (RFC 9440).
    ClientCert,
    Consistency,
    /// The other `X-Understudy-*`.
    Understudy,
    RequestId,
    Traceparent,
    Tracestate,
    Authorization,
    Token,
    Namespace,
    Index,
    Inconsistent,
    WrapTtl,
    WrapFormat,
    Forward,
    NoForwarding,
    InternalNoForwarding,
    VaultRequest,
    /// The other `X-Vault-*`.
    VaultOther,
    /// A name with `_` that some server down the line reads as a protected name.
    Alias,
}

/// A set of [`Kind`]s.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Kinds(u64);

impl Kinds {
    #[must_use]
    pub const fn of(kinds: &[Kind]) -> Self {
        let mut bits = 0;
        let mut at = 0;
        while at < kinds.len() {
            bits |= 1 << kinds[at] as u8;
            at += 1;
        }
        Self(bits)
    }

    #[must_use]
    pub const fn has(self, kind: Kind) -> bool {
        self.0 & (1 << kind as u8) != 0
    }

    #[must_use]
    pub const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub const fn add(&mut self, kind: Kind) {
        self.0 |= 1 << kind as u8;
    }
}

impl Kind {
    /// `name` is lower case, as every `http::HeaderName` is.
    #[must_use]
    pub fn of(name: &str) -> Self {
        let kind = known(name);
        if matches!(kind, Self::Other | Self::VaultOther) && is_alias(name) { Self::Alias } else { kind }
    }
}

/// Nobody may have these removed by naming them in `Connection`, nor reach them by another spelling.
///
/// Traefik's CVE-2021-32813 and CVE-2024-45410 were the first, its CVE-2026-39858 the second.
#[must_use]
pub fn is_protected(name: &str) -> bool {
    const EXACT: [&str; 10] = [
        "authorization",
        "client-cert",
        "cookie",
        "forwarded",
        "host",
        "traceparent",
        "transfer-encoding",
        "x-real-ip",
        "x-request-id",
        "connection",
    ];
    const PREFIXES: [&str; 5] = ["content-", "x-vault-", "x-forwarded-", "x-understudy-", "client-cert-"];
    EXACT.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// First letter first: most headers of a request are told to be `Other` by one comparison.
fn known(name: &str) -> Kind {
    match name.as_bytes().first() {
        Some(b'x') => vendor(name),
        Some(b'c') => letter_c(name),
        Some(b't') => letter_t(name),
        Some(b'h') => match name {
            "host" => Kind::Host,
            "http2-settings" => Kind::HopByHop,
            _ => Kind::Other,
        },
        Some(b'p') if name == "proxy" || name.starts_with("proxy-") => Kind::HopByHop,
        Some(b'a') if name == "authorization" => Kind::Authorization,
        Some(b'e') if name == "expect" => Kind::Expect,
        Some(b'f') if name == "forwarded" => Kind::OtherForwarded,
        Some(b'k') if name == "keep-alive" => Kind::HopByHop,
        Some(b'u') if name == "upgrade" => Kind::Upgrade,
        Some(_) | None => Kind::Other,
    }
}

fn letter_c(name: &str) -> Kind {
    match name {
        "content-length" => Kind::ContentLength,
        "content-type" => Kind::ContentType,
        "connection" => Kind::Connection,
        "cookie" => Kind::Cookie,
        _ if name == "client-cert" || name.starts_with("client-cert-") => Kind::ClientCert,
        _ => Kind::Other,
    }
}

fn letter_t(name: &str) -> Kind {
    match name {
        "transfer-encoding" => Kind::TransferEncoding,
        "te" | "trailer" => Kind::HopByHop,
        "traceparent" => Kind::Traceparent,
        "tracestate" => Kind::Tracestate,
        _ => Kind::Other,
    }
}

fn vendor(name: &str) -> Kind {
    match name {
        "x-real-ip" => Kind::OtherForwarded,
        "x-request-id" => Kind::RequestId,
        _ if name.starts_with("x-vault-") => vault(name),
        "x-forwarded-for" => Kind::XForwardedFor,
        _ if name.starts_with("x-forwarded-") => Kind::OtherForwarded,
        "x-understudy-consistency" => Kind::Consistency,
        _ if name.starts_with("x-understudy-") => Kind::Understudy,
        _ => Kind::Other,
    }
}

fn vault(name: &str) -> Kind {
    match name {
        "x-vault-token" => Kind::Token,
        "x-vault-namespace" => Kind::Namespace,
        "x-vault-request" => Kind::VaultRequest,
        "x-vault-index" => Kind::Index,
        "x-vault-inconsistent" => Kind::Inconsistent,
        "x-vault-forward" => Kind::Forward,
        "x-vault-wrap-ttl" => Kind::WrapTtl,
        "x-vault-wrap-format" => Kind::WrapFormat,
        "x-vault-no-request-forwarding" => Kind::NoForwarding,
        "x-vault-internal-no-request-forwarding" => Kind::InternalNoForwarding,
        _ => Kind::VaultOther,
    }
}

/// CGI-style servers read `X_Vault_Token` as `X-Vault-Token`. The free part of OpenBao's inline-auth
/// parameter headers may hold anything.
fn is_alias(name: &str) -> bool {
    name.contains('_')
        && !name.starts_with("x-vault-inline-auth-parameter-")
        && is_protected(&name.replace('_', "-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_by_name() {
        let table = [
            ("host", Kind::Host),
            ("accept", Kind::Other),
            ("te", Kind::HopByHop),
            ("proxy", Kind::HopByHop),
            ("proxy-authorization", Kind::HopByHop),
            ("proxied", Kind::Other),
            ("client-cert-chain", Kind::ClientCert),
            ("client-certificate", Kind::Other),
            ("x-forwarded-for", Kind::XForwardedFor),
            ("x-forwarded-host", Kind::OtherForwarded),
            ("x-understudy-node", Kind::Understudy),
            ("x-understudy-consistency", Kind::Consistency),
            ("x-vault-mfa", Kind::VaultOther),
            ("x-vault-token", Kind::Token),
            ("x_vault_token", Kind::Alias),
            ("x-vault_token", Kind::Alias),
            ("content_length", Kind::Alias),
            ("transfer_encoding", Kind::Alias),
            ("x_forwarded_for", Kind::Alias),
            ("client_cert", Kind::Alias),
            ("x_request_id", Kind::Alias),
            ("x_custom", Kind::Other),
            ("x-vault-inline-auth-parameter-role_id", Kind::VaultOther),
            ("", Kind::Other),
        ];
        for (name, expected) in table {
            assert_eq!(Kind::of(name), expected, "{name}");
        }
    }

    #[test]
    fn sets_hold_what_was_added() {
        let mut kinds = Kinds::default();
        kinds.add(Kind::Alias);
        assert!(kinds.has(Kind::Alias) && !kinds.has(Kind::Host));
        assert!(kinds.meets(Kinds::of(&[Kind::Host, Kind::Alias])) && !kinds.meets(Kinds::of(&[Kind::Host])));
    }
}
