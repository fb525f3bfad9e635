//! Method and request target: which forms are served, and that everybody would read the same host.
//!
//! The path itself is judged by `path` and `api::classify`; here it only has to be one.

use http::header::{self, HeaderValue};
use http::{Method, StatusCode, Version, request};

use super::Rejection;
use super::name::Kind;
use super::survey::Survey;

/// `Host` stands in the head afterwards unless an HTTP/1.0 client sent none.
///
/// # Errors
/// 501 for CONNECT and TRACE, 400 for any other target or host that two readers could take differently.
pub fn check(parts: &mut request::Parts, survey: &Survey) -> Result<(), Rejection> {
    check_method(&parts.method)?;
    check_form(parts)?;
    check_host(parts, survey)
}

/// CONNECT has no meaning in front of an API and desynchronises pooled backends; TRACE reflects tokens.
fn check_method(method: &Method) -> Result<(), Rejection> {
    if method == Method::CONNECT || method == Method::TRACE {
        return Err(Rejection::with_status(StatusCode::NOT_IMPLEMENTED, "CONNECT and TRACE are not served"));
    }
    Ok(())
}

/// Origin form, or absolute form for http(s) (RFC 9112 §3.2); `OPTIONS *` asks about nothing behind us.
fn check_form(parts: &request::Parts) -> Result<(), Rejection> {
    if !parts.uri.path().starts_with('/') {
        return Err(Rejection::bad("the request target must be a path starting with /"));
    }
    match parts.uri.scheme_str() {
        None | Some("http" | "https") => Ok(()),
        Some(_) => Err(Rejection::bad("the scheme of the request target must be http or https")),
    }
}

fn check_host(parts: &mut request::Parts, survey: &Survey) -> Result<(), Rejection> {
    let authority = parts.uri.authority().map(|authority| authority.as_str());
    let host = parts.headers.get(header::HOST);
    match (authority, host) {
        (None, None) if parts.version < Version::HTTP_11 => Ok(()),
        (None, None) => Err(Rejection::bad("no Host header")),
        (None, Some(host)) => check_host_text(host.as_bytes()),
        (Some(authority), Some(host)) => {
            check_host_text(authority.as_bytes())?;
            check_same(authority, host)
        }
        (Some(authority), None) => {
            debug_assert!(!survey.has(Kind::Host));
            check_host_text(authority.as_bytes())?;
            if parts.version == Version::HTTP_11 {
                return Err(Rejection::bad("no Host header"));
            }
            let value = HeaderValue::from_str(authority)
                .map_err(|_| Rejection::bad("the authority of the request target is not a host"))?;
            parts.headers.insert(header::HOST, value);
            Ok(())
        }
    }
}

fn check_same(authority: &str, host: &HeaderValue) -> Result<(), Rejection> {
    if authority.as_bytes().eq_ignore_ascii_case(host.as_bytes()) {
        return Ok(());
    }
    Err(Rejection::bad("Host and the authority of the request target differ"))
}

/// `uri-host [ ":" port ]` of RFC 9110 §7.2: no user info, no list, no path, no blanks.
fn check_host_text(host: &[u8]) -> Result<(), Rejection> {
    /// A DNS name has at most 253 characters; a port and brackets come on top.
    const MAX_HOST_BYTES: usize = 300;
    if host.is_empty() || host.len() > MAX_HOST_BYTES || !is_host_and_port(host) {
        return Err(Rejection::bad("the Host header is not a host name or address with an optional port"));
    }
    Ok(())
}

fn is_host_and_port(host: &[u8]) -> bool {
    let (name, port) = match host.strip_prefix(b"[") {
        Some(rest) => match rest.iter().position(|byte| *byte == b']') {
            Some(end) => (&rest[..end], &rest[end + 1..]),
            None => return false,
        },
        None => host.split_at(host.iter().position(|byte| *byte == b':').unwrap_or(host.len())),
    };
    let bracketed = host.starts_with(b"[");
    !name.is_empty() && name.iter().all(|byte| is_host_byte(*byte, bracketed)) && is_port(port)
}

/// Registered names as clients send them: letters, digits and `-._~`; `%`-encoding names no server of ours.
const fn is_host_byte(byte: u8, bracketed: bool) -> bool {
    if bracketed {
        return byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.');
    }
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

fn is_port(rest: &[u8]) -> bool {
    match rest.split_first() {
        None => true,
        Some((b':', digits)) => digits.len() <= 5 && digits.iter().all(u8::is_ascii_digit),
        Some(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts() {
        let good = ["a", "vault.example", "127.0.0.1:8200", "[::1]", "[::1]:8200", "a_b.c", "a:"];
        let bad =
            ["", "a b", "a,b", "u@h", "a/b", "[::1", "a:x", "a:123456", "[]", "[::1]x", ":80", "a#b", "h\t"];
        for host in good {
            assert!(check_host_text(host.as_bytes()).is_ok(), "{host}");
        }
        for host in bad {
            assert!(check_host_text(host.as_bytes()).is_err(), "{host}");
        }
    }
}
