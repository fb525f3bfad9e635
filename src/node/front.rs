//! One HTTP request through the node: head, body, answer. Where it is answered is decided here, what it says is not.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, STRICT_TRANSPORT_SECURITY};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, request};
use http_body_util::BodyExt;
use hyper::body::Incoming as HttpBody;
use time::OffsetDateTime;
use tokio::sync::mpsc;

use super::Node;
use super::body::AnswerBody;
use super::bootstrap::{self, Question, Unauthenticated};
use super::cors::{self, Crossing};
use super::http::{Head, Parsed, parse, read_body, respond};
use super::place;
use super::workers::{Front, LocalFuture};
use super::{json_body, json_cost};
use crate::api::header::{X_VAULT_INDEX, X_VAULT_NAMESPACE};
use crate::api::operation::Operation;
use crate::config::node::model::RequestLimits;
use crate::core::answer::Answered;
use crate::core::incoming::Incoming;
use crate::index;
use crate::logical::{Chunk, Stream};

/// Largest body of a request without a token, in bytes: shares, and PGP keys that are refused.
const MAX_BOOTSTRAP_BYTES: usize = 1024 * 1024;

/// Where a body is an archive of any size.
const UPLOADS: [&str; 2] = ["sys/storage/raft/snapshot", "sys/storage/raft/snapshot-force"];

/// The API over HTTP.
#[derive(Debug)]
pub struct ApiFront {
    node: Arc<Node>,
    limits: RequestLimits,
    /// Ceremonies without a token.
    offered: Unauthenticated,
}

// === impl ApiFront ===

impl ApiFront {
    #[must_use]
    pub fn new(node: Arc<Node>, limits: RequestLimits, offered: Unauthenticated) -> Self {
        Self { node, limits, offered }
    }

    async fn serve(&self, request: Request<HttpBody>, peer: Option<SocketAddr>) -> Response<AnswerBody> {
        let (parts, body) = request.into_parts();
        match cors::judge(&self.node.administration.cors.get(), &parts) {
            Crossing::None => self.answer_to(parts, body, peer).await,
            Crossing::Refused => respond(Answered::errors(403, "origin not allowed"), None),
            Crossing::NoSuchMethod => bare(405, &[CONTENT_TYPE]),
            Crossing::Preflight(headers) => {
                beside(bare(200, &[CONTENT_TYPE, STRICT_TRANSPORT_SECURITY]), headers)
            }
            Crossing::Allowed(headers) => beside(self.answer_to(parts, body, peer).await, headers),
        }
    }

    async fn answer_to(
        &self,
        parts: request::Parts,
        body: HttpBody,
        peer: Option<SocketAddr>,
    ) -> Response<AnswerBody> {
        if parts.headers.get_all(X_VAULT_INDEX).iter().any(|value| !index::is_readable(value.as_bytes())) {
            return respond(Answered::errors(400, "failed to decode \"X-Vault-Index\""), None);
        }
        let namespace = parts.headers.get(X_VAULT_NAMESPACE).cloned();
        let mut response = match Question::of(&parts, self.offered) {
            Some(question) => self.bootstrap(&question, body).await,
            None => self.through_the_core(parts, body, peer).await,
        };
        if let Some(namespace) = namespace {
            response.headers_mut().insert(X_VAULT_NAMESPACE, namespace);
        }
        response
    }

    async fn through_the_core(
        &self,
        parts: request::Parts,
        body: HttpBody,
        peer: Option<SocketAddr>,
    ) -> Response<AnswerBody> {
        let method = parts.method.clone();
        match parse(parts, peer) {
            Parsed::Refused(answered) => respond(answered, None),
            Parsed::Redirect(to) => place::redirect(&method, &to),
            Parsed::Malformed(text) => place::malformed(text),
            Parsed::Request(head) => {
                let answered = if self.node.core.barrier.is_sealed() {
                    sealed(&head)
                } else {
                    self.handle(*head, body).await
                };
                let index = self.index(&answered);
                respond(answered, index)
            }
        }
    }

    async fn handle(&self, head: Head, body: HttpBody) -> Answered {
        if is_upload(&head.incoming) {
            return self.handle_upload(head.incoming, body).await;
        }
        match self.with_body(head, body).await {
            Ok(head) => self.node.core.handle(head.incoming, OffsetDateTime::now_utc()).await,
            Err(refused) => refused,
        }
    }

    /// The body goes to whoever may have it as it comes; an answer before its end is the end of it.
    async fn handle_upload(&self, mut incoming: Incoming, body: HttpBody) -> Answered {
        let (chunks, stream) = Stream::new();
        incoming.upload = Some(stream);
        let mut answered = pin!(self.node.core.handle(incoming, OffsetDateTime::now_utc()));
        tokio::select! {
            answered = &mut answered => return answered,
            () = hand_over(body, chunks) => {}
        }
        answered.await
    }

    /// What is answered without a token, sealed or not.
    async fn bootstrap(&self, question: &Question, body: HttpBody) -> Response<AnswerBody> {
        let body = match question.has_body() {
            true => read_body(body, MAX_BOOTSTRAP_BYTES.min(self.size())).await,
            false => Ok(Bytes::new()),
        };
        let answered = match body {
            Ok(body) => {
                let now = OffsetDateTime::now_utc();
                bootstrap::answer(&self.node, self.offered, question, &body, now).await
            }
            Err(refused) => refused,
        };
        respond(answered, None)
    }

    async fn with_body(&self, mut head: Head, body: HttpBody) -> Result<Head, Answered> {
        if matches!(head.incoming.operation, Operation::Write | Operation::Patch) {
            let bytes = read_body(body, self.size()).await?;
            json_cost::check(&bytes, &self.limits).map_err(|text| Answered::errors(400, text))?;
            let data = json_body::data(&head.incoming.headers, bytes)?;
            (head.incoming.data, head.incoming.body) = (Arc::new(data.map), data.text);
        }
        Ok(head)
    }

    /// Most bytes of a body.
    fn size(&self) -> usize {
        self.limits.size.map_or(usize::MAX, |size| usize::try_from(size).unwrap_or(usize::MAX))
    }

    /// The header that says what a client with this answer has seen.
    fn index(&self, answered: &Answered) -> Option<HeaderValue> {
        let cluster = self.node.cluster.info()?;
        let index = index::encode_openbao(&cluster.id, answered.index?);
        HeaderValue::from_str(&index).ok()
    }
}

fn is_upload(incoming: &Incoming) -> bool {
    incoming.operation == Operation::Write && UPLOADS.contains(&incoming.path.as_str())
}

/// Until the body ends, or nobody wants more of it.
async fn hand_over(mut body: HttpBody, chunks: mpsc::Sender<Chunk>) {
    while let Some(frame) = body.frame().await {
        let chunk = match frame {
            Ok(frame) => frame.into_data().map(Ok),
            Err(error) => Ok(Err(io::Error::other(error))),
        };
        let Ok(chunk) = chunk else { continue };
        if chunks.send(chunk).await.is_err() {
            return;
        }
    }
}

/// An answer of a status and nothing else, without the headers the server leaves out of it.
fn bare(status: u16, left_out: &[HeaderName]) -> Response<AnswerBody> {
    let mut response = respond(Answered::new(status, Bytes::new()), None);
    left_out.iter().for_each(|name| drop(response.headers_mut().remove(name)));
    response
}

fn beside(mut response: Response<AnswerBody>, headers: HeaderMap) -> Response<AnswerBody> {
    response.headers_mut().extend(headers);
    response
}

/// A sealed node has nothing to say, and is as sealed as it can be.
fn sealed(head: &Head) -> Answered {
    if head.incoming.operation == Operation::Write && head.incoming.path == "sys/seal" {
        return Answered::new(204, Bytes::new());
    }
    Answered::errors(503, "Vault is sealed")
}

impl Front for ApiFront {
    fn answer(
        self: Arc<Self>,
        request: Request<HttpBody>,
        peer: Option<SocketAddr>,
    ) -> LocalFuture<Response<AnswerBody>> {
        Box::pin(async move { self.serve(request, peer).await })
    }
}
