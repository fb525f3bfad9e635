//! One pass over the head: which headers of interest are there, which of them twice, and how big it all is.
//!
//! Rules that need no more than that are applied here: limits, headers that may appear once, spellings with `_`.

use http::request;

use super::Rejection;
use super::name::{Kind, Kinds};
use crate::config::proxy::Limits;

/// What one pass over the headers found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Survey {
    seen: Kinds,
    repeated: Kinds,
}

/// Everything a client may have set about where it comes from.
pub(super) const FORWARDED: Kinds = Kinds::of(&[Kind::XForwardedFor, Kind::OtherForwarded]);

/// ": " and CR LF around every header on the wire.
const LINE_OVERHEAD_BYTES: usize = 4;

/// Two of these mean two readers may believe different ones.
const SINGLE: [(Kind, &str); 15] = [
    (Kind::Host, "more than one Host header"),
    (Kind::ContentLength, "more than one Content-Length header"),
    (Kind::ContentType, "more than one Content-Type header"),
    (Kind::TransferEncoding, "more than one Transfer-Encoding header"),
    (Kind::Expect, "more than one Expect header"),
    (Kind::Authorization, "more than one Authorization header"),
    (Kind::Token, "more than one X-Vault-Token header"),
    (Kind::Namespace, "more than one X-Vault-Namespace header"),
    (Kind::Index, "more than one X-Vault-Index header"),
    (Kind::WrapTtl, "more than one X-Vault-Wrap-TTL header"),
    (Kind::WrapFormat, "more than one X-Vault-Wrap-Format header"),
    (Kind::Forward, "more than one X-Vault-Forward header"),
    (Kind::NoForwarding, "more than one X-Vault-No-Request-Forwarding header"),
    (Kind::InternalNoForwarding, "more than one X-Vault-Internal-No-Request-Forwarding header"),
    (Kind::VaultRequest, "more than one X-Vault-Request header"),
];

impl Survey {
    /// # Errors
    /// 431 over `limits.max_headers` or `limits.max_header_bytes` (request line included), 400 for a repeated
    /// single-valued header and for a protected name spelt with `_`.
    pub fn of(parts: &request::Parts, limits: &Limits) -> Result<Self, Rejection> {
        let mut survey = Self::default();
        let mut bytes = request_line_bytes(parts);
        for (name, value) in &parts.headers {
            bytes += name.as_str().len() + value.len() + LINE_OVERHEAD_BYTES;
            survey.note(Kind::of(name.as_str()));
        }
        check_limits(parts.headers.len(), bytes, limits)?;
        survey.check_names()?;
        Ok(survey)
    }

    #[must_use]
    pub const fn has(&self, kind: Kind) -> bool {
        self.seen.has(kind)
    }

    #[must_use]
    pub const fn has_any(&self, kinds: Kinds) -> bool {
        self.seen.meets(kinds)
    }

    #[must_use]
    pub const fn repeats(&self, kind: Kind) -> bool {
        self.repeated.has(kind)
    }

    pub(super) const fn any_forwarded(&self) -> bool {
        self.has_any(FORWARDED)
    }

    fn note(&mut self, kind: Kind) {
        if self.seen.has(kind) {
            self.repeated.add(kind);
        }
        self.seen.add(kind);
    }

    fn check_names(&self) -> Result<(), Rejection> {
        if self.has(Kind::Alias) {
            return Err(Rejection::bad("a header name spells a protected name with an underscore"));
        }
        match SINGLE.iter().find(|(kind, _)| self.repeats(*kind)) {
            Some((_, message)) => Err(Rejection::bad(message)),
            None => Ok(()),
        }
    }
}

fn request_line_bytes(parts: &request::Parts) -> usize {
    let target = parts.uri.path_and_query().map_or(0, |target| target.as_str().len());
    parts.method.as_str().len() + target
}

fn check_limits(headers: usize, bytes: usize, limits: &Limits) -> Result<(), Rejection> {
    if headers > limits.max_headers {
        return Err(Rejection::too_large("more headers than limits.max_headers of this listener"));
    }
    if bytes > limits.max_header_bytes {
        return Err(Rejection::too_large(
            "request line and headers are larger than limits.max_header_bytes of this listener",
        ));
    }
    Ok(())
}
