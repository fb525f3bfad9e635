//! One HTTP/1.1 keep-alive connection with a token: a client that never retries, so that nothing is hidden.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
pub use understudy::cli::openbao::call::Answer;

type Broken = Box<dyn std::error::Error + Send + Sync>;

/// Connects on first use and again when the peer has closed in between.
pub struct Client {
    to: SocketAddr,
    token: Option<String>,
    /// Sent with every request.
    pub headers: Vec<(&'static str, String)>,
    sender: Option<SendRequest<Full<Bytes>>>,
}

impl Client {
    pub fn new(to: SocketAddr) -> Self {
        Self { to, token: None, headers: Vec::new(), sender: None }
    }

    pub fn with_token(to: SocketAddr, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..Self::new(to) }
    }

    pub async fn get(&mut self, path: &str) -> Result<Answer, Broken> {
        self.send(Method::GET, path, Bytes::new()).await
    }

    pub async fn put(&mut self, path: &str, body: &Value) -> Result<Answer, Broken> {
        self.send(Method::PUT, path, body.to_string().into()).await
    }

    pub async fn post(&mut self, path: &str, body: &Value) -> Result<Answer, Broken> {
        self.send(Method::POST, path, body.to_string().into()).await
    }

    pub async fn delete(&mut self, path: &str) -> Result<Answer, Broken> {
        self.send(Method::DELETE, path, Bytes::new()).await
    }

    pub async fn list(&mut self, path: &str) -> Result<Answer, Broken> {
        self.send(Method::from_bytes(b"LIST")?, path, Bytes::new()).await
    }

    /// As `send`, for what must succeed: panics with the answer otherwise.
    pub async fn must(&mut self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let bytes = body.map_or_else(Bytes::new, |json| json.to_string().into());
        let answer =
            self.send(method.clone(), path, bytes).await.unwrap_or_else(|e| panic!("{method} {path}: {e}"));
        assert!(answer.status.is_success(), "{method} {path}: {} {}", answer.status, answer.json());
        answer
    }

    pub async fn send(&mut self, method: Method, path: &str, body: Bytes) -> Result<Answer, Broken> {
        let mut request = Request::builder().method(method).uri(path).header("host", self.to.to_string());
        if let Some(token) = &self.token {
            request = request.header("x-vault-token", token);
        }
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        let request = request.body(Full::new(body))?;
        let sender = self.connected().await?;
        let answer = sender.send_request(request).await;
        let read = match answer {
            Ok(answer) => {
                let (head, body) = answer.into_parts();
                body.collect().await.map(|body| (head, body.to_bytes()))
            }
            Err(error) => Err(error),
        };
        let (head, body) = read.inspect_err(|_| self.sender = None)?;
        Ok(Answer { status: head.status, headers: head.headers, body })
    }

    async fn connected(&mut self) -> Result<&mut SendRequest<Full<Bytes>>, Broken> {
        let usable = match &mut self.sender {
            Some(sender) => sender.ready().await.is_ok(),
            None => false,
        };
        if !usable {
            let stream = TcpStream::connect(self.to).await?;
            stream.set_nodelay(true)?;
            let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
            tokio::spawn(connection);
            self.sender = Some(sender);
        }
        self.sender.as_mut().ok_or_else(|| "not connected".into())
    }
}
