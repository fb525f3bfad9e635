//! One HTTP request through the node: head, body, answer. Where it is answered is decided here, what it says is not.

use std::net::SocketAddr;
use std::sync::Arc;

use http::{HeaderValue, Request, Response};
use hyper::body::Incoming as HttpBody;
use time::OffsetDateTime;

use super::Node;
use super::body::AnswerBody;
use super::http::{Head, MAX_REQUEST_BYTES, Parsed, json_object, parse, read_body, redirect, respond};
use super::workers::{Front, LocalFuture};
use crate::api::operation::Operation;
use crate::core::answer::Answered;
use crate::index;

/// The API over HTTP.
#[derive(Debug)]
pub struct ApiFront {
    node: Arc<Node>,
}

// === impl ApiFront ===

impl ApiFront {
    #[must_use]
    pub fn new(node: Arc<Node>) -> Self {
        Self { node }
    }

    async fn serve(&self, request: Request<HttpBody>, peer: Option<SocketAddr>) -> Response<AnswerBody> {
        let (parts, body) = request.into_parts();
        match parse(parts, peer) {
            Parsed::Refused(answered) => respond(answered, None),
            Parsed::Redirect(to) => redirect(&to),
            Parsed::Request(head) => {
                let answered = match self.with_body(*head, body).await {
                    Ok(head) => self.node.core.handle(head.incoming, OffsetDateTime::now_utc()).await,
                    Err(refused) => refused,
                };
                let index = self.index(&answered);
                respond(answered, index)
            }
        }
    }

    async fn with_body(&self, mut head: Head, body: HttpBody) -> Result<Head, Answered> {
        if matches!(head.incoming.operation, Operation::Write | Operation::Patch) {
            let bytes = read_body(body, MAX_REQUEST_BYTES).await?;
            head.incoming.data = Arc::new(json_object(&bytes)?);
            head.incoming.body = bytes;
        }
        Ok(head)
    }

    /// The header that says what a client with this answer has seen.
    fn index(&self, answered: &Answered) -> Option<HeaderValue> {
        let cluster = self.node.cluster.info()?;
        let index = index::encode_openbao(&cluster.id, answered.index?);
        HeaderValue::from_str(&index).ok()
    }
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
