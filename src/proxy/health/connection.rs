//! One keep-alive connection for probes: small GETs with a deadline and a bounded answer.
//! Client headers never get here: what is sent is written here in full.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{HOST, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;

use crate::config::proxy::{Cluster, ServerAddress, UpstreamTls};
use crate::net::client::{ConnectError, Target, TlsTarget, connect};
use crate::net::tls::{self, TlsError};

/// Health and leader answers are a few hundred bytes.
const MAX_BODY: usize = 64 * 1024;
/// A mount list of some ten thousand mounts.
const MAX_LARGE_BODY: usize = 8 * 1024 * 1024;

/// What came back, whole.
#[derive(Debug, Clone)]
pub struct ProbeAnswer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// Why a probe got no usable answer.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    #[error("cannot connect: {0}")]
    Connect(#[source] ConnectError),
    #[error("TLS: {0}")]
    Tls(String),
    #[error("no answer within the timeout")]
    Timeout,
    #[error("the connection broke: {0}")]
    Broken(#[source] hyper::Error),
    #[error("the answer is longer than any true one")]
    TooLong,
    #[error("unexpected status {0}")]
    BadStatus(u16),
    #[error("the answer is not what Vault says: {0}")]
    Parse(#[source] serde_json::Error),
}

/// A connection to one server, opened when needed.
#[derive(Debug)]
pub struct ProbeConnection {
    target: Result<Target, String>,
    host: HeaderValue,
    timeout: Duration,
    sender: Option<SendRequest<Empty<Bytes>>>,
    opened: u64,
    max_body: usize,
}

impl ProbeConnection {
    /// `tls` is needed for `https` servers only.
    #[must_use]
    pub fn new(
        address: &ServerAddress,
        tls: Option<&UpstreamIdentity>,
        connect_timeout: Duration,
        timeout: Duration,
    ) -> Self {
        Self {
            target: target(address, tls, connect_timeout),
            host: host_value(address),
            timeout,
            sender: None,
            opened: 0,
            max_body: MAX_BODY,
        }
    }

    /// For mount lists.
    #[must_use]
    pub fn with_large_answers(self) -> Self {
        Self { max_body: MAX_LARGE_BODY, ..self }
    }

    /// How many connections were opened: a new one is the first sign of a restarted server.
    #[must_use]
    pub fn opened(&self) -> u64 {
        self.opened
    }

    /// One GET. A kept connection that turns out to be dead is replaced once: the server may have closed it idle.
    ///
    /// # Errors
    /// Any [`ProbeError`] but `BadStatus` and `Parse`, which are the caller's to find.
    pub async fn get(
        &mut self,
        path: &str,
        extra: Option<(HeaderName, HeaderValue)>,
    ) -> Result<ProbeAnswer, ProbeError> {
        let timeout = self.timeout;
        match tokio::time::timeout(timeout, self.get_within(path, extra)).await {
            Ok(done) => {
                if done.is_err() {
                    self.sender = None;
                }
                done
            }
            Err(_) => {
                self.sender = None;
                Err(ProbeError::Timeout)
            }
        }
    }

    async fn get_within(
        &mut self,
        path: &str,
        extra: Option<(HeaderName, HeaderValue)>,
    ) -> Result<ProbeAnswer, ProbeError> {
        let kept = self.sender.is_some();
        match self.send_once(path, extra.clone()).await {
            Err(ProbeError::Broken(_)) if kept => {
                self.sender = None;
                self.send_once(path, extra).await
            }
            done => done,
        }
    }

    async fn send_once(
        &mut self,
        path: &str,
        extra: Option<(HeaderName, HeaderValue)>,
    ) -> Result<ProbeAnswer, ProbeError> {
        let request = self.request(path, extra)?;
        let max_body = self.max_body;
        let sender = self.ready_sender().await?;
        let answer = sender.send_request(request).await.map_err(ProbeError::Broken)?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, max_body).collect().await.map_err(body_error)?.to_bytes();
        Ok(ProbeAnswer { status: head.status.as_u16(), headers: head.headers, body })
    }

    fn request(
        &self,
        path: &str,
        extra: Option<(HeaderName, HeaderValue)>,
    ) -> Result<Request<Empty<Bytes>>, ProbeError> {
        let mut request = Request::builder()
            .uri(path)
            .header(HOST, self.host.clone())
            .header(USER_AGENT, "understudy-probe")
            .header("x-vault-request", "true");
        if let Some((name, value)) = extra {
            request = request.header(name, value);
        }
        request
            .body(Empty::new())
            .map_err(|error| ProbeError::Tls(format!("the probe path is not a path: {error}")))
    }

    async fn ready_sender(&mut self) -> Result<&mut SendRequest<Empty<Bytes>>, ProbeError> {
        let alive = match &mut self.sender {
            Some(sender) => sender.ready().await.is_ok(),
            None => false,
        };
        if !alive {
            self.sender = Some(self.open().await?);
            self.opened += 1;
        }
        Ok(self.sender.as_mut().expect("opened above"))
    }

    async fn open(&self) -> Result<SendRequest<Empty<Bytes>>, ProbeError> {
        let target = self.target.as_ref().map_err(|why| ProbeError::Tls(why.clone()))?;
        let stream = connect(target).await.map_err(ProbeError::Connect)?;
        let (sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(ProbeError::Broken)?;
        // The task ends with its sender; what broke the connection comes back as the error of the request.
        tokio::spawn(async move { drop(connection.await) });
        Ok(sender)
    }
}

/// How to prove and check identity towards `https` servers; built by whoever reads the files.
#[derive(Clone)]
pub struct UpstreamIdentity {
    config: Arc<rustls::ClientConfig>,
    settings: UpstreamTls,
}

impl std::fmt::Debug for UpstreamIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UpstreamIdentity")
            .field("server_name", &self.settings.server_name)
            .finish_non_exhaustive()
    }
}

impl UpstreamIdentity {
    /// The name that the certificates of this cluster must carry: the configured one, else for discovered
    /// servers (known by IP address only) the discovered name, else each server's host.
    ///
    /// # Errors
    /// A file of `cluster.tls` cannot be used.
    pub fn load(cluster: &Cluster) -> Result<Self, TlsError> {
        let mut settings = cluster.tls.clone();
        if let Some(discovery) = &cluster.discovery {
            settings.server_name.get_or_insert_with(|| discovery.name.clone());
        }
        Ok(Self { config: tls::client_config(&settings)?, settings })
    }
}

fn target(
    address: &ServerAddress,
    tls: Option<&UpstreamIdentity>,
    connect_timeout: Duration,
) -> Result<Target, String> {
    let tls = match (address.tls, tls) {
        (false, _) => None,
        (true, None) => return Err("no TLS settings for an https server".to_owned()),
        (true, Some(identity)) => Some(tls_target(address, identity)?),
    };
    Ok(Target { host: address.host.clone(), port: address.port, tls, connect_timeout })
}

fn tls_target(address: &ServerAddress, identity: &UpstreamIdentity) -> Result<TlsTarget, String> {
    let name = tls::server_name(&identity.settings, &address.host).map_err(|error| error.to_string())?;
    Ok(TlsTarget { config: Arc::clone(&identity.config), name })
}

/// `host:port`, an IPv6 address in brackets.
fn host_value(address: &ServerAddress) -> HeaderValue {
    let host = &address.host;
    let text = if host.contains(':') {
        format!("[{host}]:{}", address.port)
    } else {
        format!("{host}:{}", address.port)
    };
    HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static("localhost"))
}

fn body_error(error: Box<dyn std::error::Error + Send + Sync>) -> ProbeError {
    if error.is::<LengthLimitError>() {
        return ProbeError::TooLong;
    }
    match error.downcast::<hyper::Error>() {
        Ok(error) => ProbeError::Broken(*error),
        Err(_) => ProbeError::TooLong,
    }
}
