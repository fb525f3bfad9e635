//! Names of the headers this API speaks, and their parsed values.
//!
//! Names only: which of them a client may send and which are stripped is the guard's business.

use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderName};

// --- requests (vault-semantics §10.1) ---

pub const X_VAULT_TOKEN: HeaderName = HeaderName::from_static("x-vault-token");
pub const X_VAULT_NAMESPACE: HeaderName = HeaderName::from_static("x-vault-namespace");
pub const X_VAULT_WRAP_TTL: HeaderName = HeaderName::from_static("x-vault-wrap-ttl");
pub const X_VAULT_WRAP_FORMAT: HeaderName = HeaderName::from_static("x-vault-wrap-format");
pub const X_VAULT_MFA: HeaderName = HeaderName::from_static("x-vault-mfa");
/// Guard against request forgery; agents can require it, servers ignore it.
pub const X_VAULT_REQUEST: HeaderName = HeaderName::from_static("x-vault-request");
/// Any non-empty value: 307 instead of forwarding.
pub const X_VAULT_NO_REQUEST_FORWARDING: HeaderName =
    HeaderName::from_static("x-vault-no-request-forwarding");
/// The same, silently.
pub const X_VAULT_INTERNAL_NO_REQUEST_FORWARDING: HeaderName =
    HeaderName::from_static("x-vault-internal-no-request-forwarding");
/// Requests and answers: see `crate::index`.
pub const X_VAULT_INDEX: HeaderName = HeaderName::from_static("x-vault-index");
/// `fail`, `forward-active-node`, `await-state`. Two values are two header lines, never one with a comma (§5.2).
pub const X_VAULT_INCONSISTENT: HeaderName = HeaderName::from_static("x-vault-inconsistent");
/// `active-node`: forward unconditionally (Vault Enterprise).
pub const X_VAULT_FORWARD: HeaderName = HeaderName::from_static("x-vault-forward");
pub const X_VAULT_POLICY_OVERRIDE: HeaderName = HeaderName::from_static("x-vault-policy-override");
/// OpenBao ≥ 2.4: log in and run one request at once. Further ones: [`X_VAULT_INLINE_AUTH_PARAMETER_PREFIX`]`<n>`.
pub const X_VAULT_INLINE_AUTH_PATH: HeaderName = HeaderName::from_static("x-vault-inline-auth-path");
pub const X_VAULT_INLINE_AUTH_OPERATION: HeaderName =
    HeaderName::from_static("x-vault-inline-auth-operation");
pub const X_VAULT_INLINE_AUTH_NAMESPACE: HeaderName =
    HeaderName::from_static("x-vault-inline-auth-namespace");
/// Every inline-auth header starts so. Their values hold passwords.
pub const X_VAULT_INLINE_AUTH_PREFIX: &str = "x-vault-inline-auth-";
pub const X_VAULT_INLINE_AUTH_PARAMETER_PREFIX: &str = "x-vault-inline-auth-parameter-";
pub const X_VAULT_AWS_IAM_SERVER_ID: HeaderName = HeaderName::from_static("x-vault-aws-iam-server-id");
pub const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// RFC 9440.
pub const CLIENT_CERT: HeaderName = HeaderName::from_static("client-cert");
pub const CLIENT_CERT_CHAIN: HeaderName = HeaderName::from_static("client-cert-chain");

// --- answers (vault-semantics §10.2) ---

/// Which node did the work, when the operator enabled it. After a forward it names the active node.
pub const X_VAULT_RAFT_NODE_ID: HeaderName = HeaderName::from_static("x-vault-raft-node-id");
pub const X_VAULT_HOSTNAME: HeaderName = HeaderName::from_static("x-vault-hostname");
pub const X_VAULT_RAW_ERROR: HeaderName = HeaderName::from_static("x-vault-raw-error");
pub const X_VAULT_INLINE_AUTH_FAILED: HeaderName = HeaderName::from_static("x-vault-inline-auth-failed");
pub const X_RATELIMIT_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
pub const X_RATELIMIT_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
pub const X_RATELIMIT_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

// --- ours ---

/// Every header of ours starts so; clients cannot send them, save the ones marked below.
pub const X_UNDERSTUDY_PREFIX: &str = "x-understudy-";
/// Answer: name of the server that was asked.
pub const X_UNDERSTUDY_SERVED_BY: HeaderName = HeaderName::from_static("x-understudy-served-by");
/// Answer: its role. From our own nodes: the role of the node that did the work.
pub const X_UNDERSTUDY_ROLE: HeaderName = HeaderName::from_static("x-understudy-role");
/// Answer: why that server.
pub const X_UNDERSTUDY_REASON: HeaderName = HeaderName::from_static("x-understudy-reason");
/// Answer: `unknown` when a write was sent and its outcome is in doubt.
pub const X_UNDERSTUDY_OUTCOME: HeaderName = HeaderName::from_static("x-understudy-outcome");
/// Request (where the listener allows it): consistency mode of this request.
pub const X_UNDERSTUDY_CONSISTENCY: HeaderName = HeaderName::from_static("x-understudy-consistency");
/// Answer: `cluster` when the proxy itself answered for all nodes.
pub const X_UNDERSTUDY_VIEW: HeaderName = HeaderName::from_static("x-understudy-view");
/// Request (operators only): pin to this server. Answer of our own nodes: who did the work.
pub const X_UNDERSTUDY_NODE: HeaderName = HeaderName::from_static("x-understudy-node");

/// The client's token: `X-Vault-Token` wins over `Authorization: Bearer`; other schemes are not tokens (§10.1).
/// Empty values are no token. Never log what this returns.
#[must_use]
pub fn session_token(headers: &HeaderMap) -> Option<&[u8]> {
    let own = headers.get(&X_VAULT_TOKEN).map(|value| value.as_bytes());
    match own.filter(|token| !token.is_empty()) {
        Some(token) => Some(token),
        None => headers.get(&AUTHORIZATION).and_then(|value| bearer(value.as_bytes())),
    }
}

/// The scheme's name is compared without case (RFC 9110 §11.1).
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = value.split_at_checked(b"Bearer ".len())?;
    let token = rest.trim_ascii();
    (scheme.eq_ignore_ascii_case(b"Bearer ") && !token.is_empty()).then_some(token)
}

/// What `X-Vault-Wrap-TTL` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WrapTtl {
    /// Not sent, or empty.
    Absent,
    /// `0`, `0s`, …: no wrapping.
    Zero,
    /// The answer is to be wrapped, which writes. A value that is no duration counts here too: the active node
    /// says what is wrong with it.
    NonZero,
}

/// Reads `X-Vault-Wrap-TTL`: seconds, or a Go duration such as `1h30m`.
#[must_use]
pub fn wrap_ttl(headers: &HeaderMap) -> WrapTtl {
    match headers.get(&X_VAULT_WRAP_TTL).map(|value| value.as_bytes().trim_ascii()) {
        None | Some(b"") => WrapTtl::Absent,
        Some(value) if is_zero_duration(value) => WrapTtl::Zero,
        Some(_) => WrapTtl::NonZero,
    }
}

/// Whether every number in the text is zero and the rest are units: `0`, `0s`, `0h0m0.0s`.
fn is_zero_duration(value: &[u8]) -> bool {
    let units = |byte: &u8| matches!(byte, b'n' | b'u' | b'm' | b's' | b'h' | b'd' | b'.' | b'0');
    value.contains(&b'0') && value.iter().all(units)
}

/// The namespace header without its leading and trailing slashes; empty for the root namespace and for text that
/// is not UTF-8 (which no namespace is named).
#[must_use]
pub fn namespace(headers: &HeaderMap) -> &str {
    let value = headers.get(&X_VAULT_NAMESPACE).and_then(|value| std::str::from_utf8(value.as_bytes()).ok());
    value.unwrap_or_default().trim_matches('/')
}

/// Whether `X-Vault-Forward: active-node` is sent.
#[must_use]
pub fn forwards_to_active(headers: &HeaderMap) -> bool {
    headers.get(&X_VAULT_FORWARD).is_some_and(|value| value.as_bytes() == b"active-node")
}

/// Whether the request logs in inline.
#[must_use]
pub fn has_inline_auth(headers: &HeaderMap) -> bool {
    headers.contains_key(&X_VAULT_INLINE_AUTH_PATH)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&str, &str)| {
            (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap())
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn the_vault_header_wins_over_bearer() {
        type Row = (&'static [(&'static str, &'static str)], Option<&'static str>);
        let table: [Row; 10] = [
            (&[], None),
            (&[("x-vault-token", "s.1")], Some("s.1")),
            (&[("authorization", "Bearer s.2")], Some("s.2")),
            (&[("authorization", "bearer  s.2 ")], Some("s.2")),
            (&[("x-vault-token", "s.1"), ("authorization", "Bearer s.2")], Some("s.1")),
            (&[("x-vault-token", ""), ("authorization", "Bearer s.2")], Some("s.2")),
            (&[("authorization", "Basic dTpw")], None),
            (&[("authorization", "Bearer ")], None),
            (&[("authorization", "Bearers.2")], None),
            (&[("x-vault-token", "")], None),
        ];
        for (pairs, want) in table {
            assert_eq!(session_token(&headers(pairs)), want.map(str::as_bytes), "{pairs:?}");
        }
    }

    #[test]
    fn only_a_ttl_above_zero_wraps() {
        let table = [
            ("", WrapTtl::Absent),
            ("0", WrapTtl::Zero),
            ("0s", WrapTtl::Zero),
            ("0h0m0.0s", WrapTtl::Zero),
            ("60", WrapTtl::NonZero),
            ("1h30m", WrapTtl::NonZero),
            ("0h1s", WrapTtl::NonZero),
            ("-1", WrapTtl::NonZero),
            ("soon", WrapTtl::NonZero),
            ("s", WrapTtl::NonZero),
        ];
        for (value, want) in table {
            assert_eq!(wrap_ttl(&headers(&[("x-vault-wrap-ttl", value)])), want, "{value:?}");
        }
        assert_eq!(wrap_ttl(&HeaderMap::new()), WrapTtl::Absent);
    }

    #[test]
    fn the_namespace_is_read_without_its_slashes() {
        assert_eq!(namespace(&headers(&[("x-vault-namespace", "/ns1/ns2/")])), "ns1/ns2");
        assert_eq!(namespace(&HeaderMap::new()), "");
    }

    #[test]
    fn only_the_known_word_forwards() {
        assert!(forwards_to_active(&headers(&[("x-vault-forward", "active-node")])));
        assert!(!forwards_to_active(&headers(&[("x-vault-forward", "yes")])));
    }
}
