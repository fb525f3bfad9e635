//! One HTTP/1.1 request to a node on a connection of its own: what bring-up and tests need, and no more.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

/// Longest wait for one answer; initialising takes about a second, a paused node answers never.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Largest answer kept: a list of mounts or raft servers is a few KiB.
const MAX_ANSWER_BYTES: usize = 4 * 1024 * 1024;

/// A complete answer.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    /// The body as JSON; `Null` where it is empty or something else.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}

/// No answer came.
#[derive(Debug, thiserror::Error)]
#[error("{method} {path} at {to}: {reason}")]
pub struct CallError {
    to: SocketAddr,
    method: Method,
    path: String,
    reason: String,
}

/// Sends one request; `token` goes into `X-Vault-Token`, `body` as JSON.
///
/// # Errors
/// No connection, a broken answer, or none within ten seconds.
pub async fn call(
    to: SocketAddr,
    method: Method,
    path: &str,
    token: Option<&str>,
    body: Option<&Value>,
) -> Result<Answer, CallError> {
    let failed = |reason: String| CallError { to, method: method.clone(), path: path.to_owned(), reason };
    let mut request = Request::builder().method(method.clone()).uri(path).header("host", to.to_string());
    if let Some(token) = token {
        request = request.header("x-vault-token", token);
    }
    let bytes = body.map_or_else(Bytes::new, |json| Bytes::from(json.to_string()));
    let request = request.body(Full::new(bytes)).map_err(|e| failed(e.to_string()))?;
    let answer = tokio::time::timeout(TIMEOUT, exchange(to, request)).await;
    answer.map_err(|_| failed("no answer in 10 s".to_owned()))?.map_err(|e| failed(e.to_string()))
}

type Broken = Box<dyn std::error::Error + Send + Sync>;

async fn exchange(to: SocketAddr, request: Request<Full<Bytes>>) -> Result<Answer, Broken> {
    let stream = TcpStream::connect(to).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let exchange = async {
        let answer = sender.send_request(request).await?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, MAX_ANSWER_BYTES).collect().await?.to_bytes();
        Ok::<_, Broken>(Answer { status: head.status, headers: head.headers, body })
    };
    tokio::pin!(exchange, connection);
    tokio::select! {
        biased; // the answer first: the server may close at once after it
        answer = &mut exchange => answer,
        ended = &mut connection => match ended {
            Ok(()) => exchange.await,
            Err(error) => Err(error.into()),
        },
    }
}
