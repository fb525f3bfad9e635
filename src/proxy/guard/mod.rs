//! What a client may say to the cluster: every request passes here once, before anything is decided about it.
//!
//! ```text
//!   head as hyper read it
//!     -> survey       one pass: which headers of interest, how often, how many bytes
//!     -> target       method, form of the target, Host against :authority
//!     -> framing      Content-Length, Transfer-Encoding, Expect; is the body kept
//!     -> hop_by_hop   Connection and what it names, before a header of ours exists
//!     -> protected    headers only a trusted party may set are removed
//!     -> forwarded, request_id, trace, client_cert   ours are added
//! ```
//!
//! The head is edited in place; a request with nothing unusual costs the headers we add and no other
//! allocation. It does not know where the request goes, answers nobody and reads no body: a refusal is a
//! [`Rejection`], and whoever answers it closes the connection, because the rest of its bytes mean nothing.
//! What hyper and h2 refuse while reading (bad names, obsolete folding, differing lengths) never gets here.

pub mod client_cert;
pub mod forwarded;
pub mod framing;
pub mod hop_by_hop;
pub mod name;
pub mod protected;
pub mod request_id;
pub mod survey;
pub mod target;
pub mod trace;

use std::net::IpAddr;

use http::header::HeaderValue;
use http::{StatusCode, request};

use crate::config::proxy::{ConsistencyMode, Listener};

pub use framing::RequestBody;
pub use hop_by_hop::strip_response;
use name::{Kind, Kinds};
use survey::Survey;

/// The far end of one client connection. Made once per connection, so that a request clones counted bytes only.
#[derive(Debug, Clone)]
pub struct PeerInfo {
    address: IpAddr,
    address_text: HeaderValue,
    client_cert: Option<HeaderValue>,
}

/// What the caller decided for this request before the guard runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Allowed {
    /// The path matches one of the listener's `upgrades` globs.
    pub upgrade: bool,
    /// `observability.propagate_trace`.
    pub trace: bool,
    /// `consistency.request_override`.
    pub consistency: bool,
}

/// What the rest of the proxy needs to know that the edited head no longer says.
#[derive(Debug, Clone, PartialEq)]
pub struct GuardedRequest {
    /// The client as far as it can be believed: the peer, or what trusted proxies say in front of it.
    pub client: IpAddr,
    pub body: RequestBody,
    /// The `Upgrade` value to offer upstream (with `Connection: upgrade`); tunnel only after a 101.
    pub upgrade: Option<HeaderValue>,
    /// `X-Understudy-Consistency`, when the configuration lets clients choose.
    pub consistency: Option<ConsistencyMode>,
    /// There is no `X-Vault-*` header besides the token: whoever looks for another one need not.
    pub plain: bool,
}

/// Headers with a meaning to this API that most requests do without.
const SPECIAL: Kinds = Kinds::of(&[
    Kind::Namespace,
    Kind::Index,
    Kind::Inconsistent,
    Kind::WrapTtl,
    Kind::WrapFormat,
    Kind::Forward,
    Kind::NoForwarding,
    Kind::InternalNoForwarding,
    Kind::VaultOther,
]);

/// A request that is not served. The text never contains bytes of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Rejection {
    pub status: StatusCode,
    pub reason: RejectReason,
    pub message: &'static str,
}

/// The `reason` label of `understudy_proxy_downstream_rejected_total`, as far as the guard decides it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RejectReason {
    BadRequest,
    TooLarge,
}

/// Check the head and turn it into what may be sent to the cluster.
///
/// # Errors
/// A [`Rejection`] (400, 405, 417, 431, 501); the head may be half edited and must not be used.
pub fn check_request(
    parts: &mut request::Parts,
    peer: &PeerInfo,
    listener: &Listener,
    allowed: Allowed,
) -> Result<GuardedRequest, Rejection> {
    let survey = Survey::of(parts, &listener.limits)?;
    target::check(parts, &survey)?;
    let body = framing::check(parts, &survey)?;
    let upgrade = hop_by_hop::strip_request(parts, &survey, allowed.upgrade && body.is_empty())?;
    let trusted = survey.any_forwarded() && forwarded::is_trusted(peer.address, &listener.forwarded);
    let consistency = protected::strip(&mut parts.headers, &survey, trusted, allowed.consistency)?;
    trace::apply(&mut parts.headers, &survey, allowed.trace);
    request_id::apply(&mut parts.headers, &survey);
    client_cert::apply(&mut parts.headers, peer, listener);
    let client = forwarded::apply(&mut parts.headers, peer, trusted, &listener.forwarded);
    let plain = !survey.has_any(SPECIAL);
    Ok(GuardedRequest { client, body, upgrade, consistency, plain })
}

// === impl PeerInfo ===

impl PeerInfo {
    /// `address` is the peer after the PROXY protocol; a Unix socket's peer is the loopback address.
    /// `client_cert` is the verified certificate in DER.
    #[must_use]
    pub fn new(address: IpAddr, client_cert: Option<&[u8]>) -> Self {
        let address = address.to_canonical();
        Self {
            address,
            address_text: forwarded::address_value(address),
            client_cert: client_cert.and_then(client_cert::header_value),
        }
    }

    #[must_use]
    pub const fn address(&self) -> IpAddr {
        self.address
    }
}

// === impl Rejection ===

impl Rejection {
    const fn bad(message: &'static str) -> Self {
        Self { status: StatusCode::BAD_REQUEST, reason: RejectReason::BadRequest, message }
    }

    const fn with_status(status: StatusCode, message: &'static str) -> Self {
        Self { status, reason: RejectReason::BadRequest, message }
    }

    const fn too_large(message: &'static str) -> Self {
        Self { status: StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, reason: RejectReason::TooLarge, message }
    }
}

impl RejectReason {
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::TooLarge => "too_large",
        }
    }
}

#[cfg(test)]
mod tests;
