//! A server that answers what a test says, and remembers what it was asked; and one that speaks raw bytes.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

pub type Body = BoxBody<Bytes, std::io::Error>;
pub type Reply = Response<Body>;
type Later<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A complete body.
pub fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed()
}

/// A JSON answer with a status.
pub fn json(status: u16, value: &serde_json::Value) -> Reply {
    let head = Response::builder().status(status).header("content-type", "application/json");
    head.body(full(value.to_string())).unwrap()
}

/// Heads of the requests received, oldest first.
type Received = Arc<Mutex<Vec<Parts>>>;

/// Listens on loopback until dropped; connections end with it.
pub struct Backend {
    pub address: SocketAddr,
    received: Received,
    task: JoinHandle<()>,
}

impl Backend {
    /// `handle` is asked once a request, with the body still arriving.
    pub async fn start<F>(handle: impl Fn(Request<Incoming>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Reply> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::on(listener, handle)
    }

    pub fn on<F>(
        listener: TcpListener,
        handle: impl Fn(Request<Incoming>) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Reply> + Send + 'static,
    {
        let address = listener.local_addr().unwrap();
        let received = Received::default();
        let handle: Arc<dyn Fn(Request<Incoming>) -> Later<Reply> + Send + Sync> =
            Arc::new(move |request| Box::pin(handle(request)));
        let seen = Arc::clone(&received);
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (handle, seen) = (Arc::clone(&handle), Arc::clone(&seen));
                let service = service_fn(move |request: Request<Incoming>| {
                    let (parts, body) = request.into_parts();
                    seen.lock().unwrap().push(parts.clone());
                    let reply = handle(Request::from_parts(parts, body));
                    async move { Ok::<_, Infallible>(reply.await) }
                });
                connections.spawn(
                    hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .with_upgrades(),
                );
            }
        });
        Self { address, received, task }
    }

    /// Heads of all requests whose path starts with `prefix`.
    pub fn received(&self, prefix: &str) -> Vec<Parts> {
        let all = self.received.lock().unwrap();
        all.iter().filter(|parts| parts.uri.path().starts_with(prefix)).cloned().collect()
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Hands each accepted connection to a closure that speaks bytes.
pub struct RawBackend {
    pub address: SocketAddr,
    task: JoinHandle<()>,
}

impl RawBackend {
    pub async fn start<F>(speak: impl Fn(TcpStream) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = std::io::Result<()>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connections.spawn(speak(stream));
            }
        });
        Self { address, task }
    }
}

impl Drop for RawBackend {
    fn drop(&mut self) {
        self.task.abort();
    }
}
