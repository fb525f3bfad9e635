//! What is known of a request when it is over: the input of the access log and of the decision ring.

use std::net::SocketAddr;
use std::time::Duration;

use crate::api::classify::{Class, Source};
use crate::proxy::metrics::label::{ConsistencyOutcome, PredictionOutcome, RoleLabel};

/// One finished request, borrowed from where its parts live. No header value and no query string has a place here.
#[derive(Debug, Clone, Copy)]
pub struct AccessRecord<'a> {
    /// Milliseconds since the Unix epoch, when the head of the request was read.
    pub time_unix_ms: u64,
    pub request_id: &'a str,
    pub listener: &'a str,
    /// The client's address after PROXY protocol and trusted proxies; `None` on a unix socket.
    pub client: Option<SocketAddr>,
    pub method: &'a str,
    pub path: LoggedPath<'a>,
    /// Without slashes at its ends; empty: the root namespace.
    pub namespace: &'a str,
    pub class: Class,
    pub source: Source,
    /// One sentence of the classifier or router; never built from request data.
    pub reason: &'static str,
    /// Who answered; `None`: the proxy itself.
    pub server: Option<&'a str>,
    pub role: RoleLabel,
    pub status: u16,
    /// Body bytes from the client.
    pub bytes_in: u64,
    /// Body bytes to the client.
    pub bytes_out: u64,
    pub total: Duration,
    pub upstream: Duration,
    /// Further attempts after the first.
    pub retries: u32,
    pub prediction: Option<PredictionOutcome>,
    pub consistency: Option<ConsistencyOutcome>,
    /// A write was sent and its outcome is not known.
    pub outcome_unknown: bool,
    /// `TLSv1.3`, ...; `None`: plain text.
    pub tls: Option<&'static str>,
}

/// The views of a path between which the configuration chooses. All without the leading `/v1/`.
#[derive(Debug, Clone, Copy)]
pub struct LoggedPath<'a> {
    /// The shape without secret segments (`api::template::render`).
    pub template: &'a str,
    /// The mount, with its trailing slash; `None`: not known.
    pub mount: Option<&'a str>,
    /// The canonical path; names secrets, so it is written only when the operator asks for it.
    pub full: &'a str,
}
