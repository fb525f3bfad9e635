//! What one listener does to every request and answer of its own: whose address counts, how long it may take, which
//! headers are added. What is asked and answered is the business of the front behind it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming as HttpBody;

use super::body::AnswerBody;
use super::forwarded;
use super::headers::AddedHeaders;
use super::http::respond;
use super::workers::{Front, LocalFuture};
use crate::config::node::model::Forwarded;
use crate::core::answer::Answered;

/// The rules of a listener.
#[derive(Debug)]
pub struct Rules {
    /// `None`: the peer is the client.
    pub forwarded: Option<Forwarded>,
    /// `None`: without limit.
    pub duration: Option<Duration>,
    pub headers: AddedHeaders,
}

/// A front behind the rules of its listener.
#[derive(Debug)]
pub struct ListenerFront {
    inner: Arc<dyn Front>,
    rules: Rules,
}

// === impl ListenerFront ===

impl ListenerFront {
    #[must_use]
    pub fn new(inner: Arc<dyn Front>, rules: Rules) -> Self {
        Self { inner, rules }
    }

    async fn serve(&self, request: Request<HttpBody>, peer: Option<SocketAddr>) -> Response<AnswerBody> {
        let client = match &self.rules.forwarded {
            Some(rules) => forwarded::client(rules, request.headers(), peer),
            None => Ok(peer),
        };
        let mut response = match client {
            Ok(client) => within(Arc::clone(&self.inner).answer(request, client), self.rules.duration).await,
            Err(text) => respond(Answered::errors(400, &text), None),
        };
        self.rules.headers.apply(response.status().as_u16(), response.headers_mut());
        response
    }
}

/// The answer, or a 503 when it takes too long. The request goes on alone: what it writes, it writes whole, and it is
/// in the audit log with what it came to.
async fn within(
    mut answering: LocalFuture<Response<AnswerBody>>,
    limit: Option<Duration>,
) -> Response<AnswerBody> {
    let Some(limit) = limit else { return answering.await };
    tokio::select! {
        biased;
        answer = &mut answering => answer,
        () = tokio::time::sleep(limit) => {
            tokio::task::spawn_local(answering);
            let text = "the request took longer than max_request_duration; it may still take effect";
            respond(Answered::errors(503, text), None)
        }
    }
}

impl Front for ListenerFront {
    fn answer(
        self: Arc<Self>,
        request: Request<HttpBody>,
        peer: Option<SocketAddr>,
    ) -> LocalFuture<Response<AnswerBody>> {
        Box::pin(async move { self.serve(request, peer).await })
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_request_that_takes_too_long_goes_on_alone() {
        let local = tokio::task::LocalSet::new();
        let done = Rc::new(Cell::new(false));
        let noted = Rc::clone(&done);
        let slow = Box::pin(async move {
            tokio::time::sleep(Duration::from_secs(10)).await;
            noted.set(true);
            respond(Answered::errors(400, "x"), None)
        });
        let answer = local.run_until(within(slow, Some(Duration::from_secs(1)))).await;
        assert_eq!((answer.status().as_u16(), done.get()), (503, false));
        local.await;
        assert!(done.get());
    }

    #[tokio::test(start_paused = true)]
    async fn one_in_time_is_answered() {
        for limit in [None, Some(Duration::from_secs(1))] {
            let quick = Box::pin(async { respond(Answered::errors(400, "x"), None) });
            assert_eq!(within(quick, limit).await.status().as_u16(), 400);
        }
    }
}
