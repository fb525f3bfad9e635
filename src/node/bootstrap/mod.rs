//! What answers without a token, and while the node is sealed or not yet initialised: health, leader, the seal and its
//! ceremonies.
//!
//! ```text
//!   head ─> endpoint ─> (body) ─> health | status | ceremony ─> answer
//! ```
//!
//! These are not audited and not bound to a mount. Everything else waits for an open barrier.

mod body;
mod ceremony;
mod health;
mod status;

use std::sync::Arc;

use http::{Method, request};
use time::OffsetDateTime;

use super::Node;
use super::http::query_pairs;
use crate::api::header;
use crate::core::answer::Answered;
use crate::logical::Raw;
pub use ceremony::Unauthenticated;

/// One of these endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint {
    Health,
    Leader,
    SealStatus,
    Init,
    Unseal,
    Ceremony(Ceremony),
    Metrics,
}

/// A step of a ceremony that shares authorise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ceremony {
    RekeyInit,
    RekeyUpdate,
    RekeyVerify,
    RecoveryInit,
    RecoveryUpdate,
    RecoveryVerify,
    RootAttempt,
    RootUpdate,
}

/// A request to one of them, its body not yet read.
#[derive(Debug, Clone)]
pub struct Question {
    pub endpoint: Endpoint,
    pub method: Method,
    pub query: String,
    /// Whether it named a namespace.
    pub namespaced: bool,
}

impl Question {
    /// `None`: the request goes another way, and so does one that spells the path in another way, or asks for metrics
    /// where they need a token.
    #[must_use]
    pub fn of(parts: &request::Parts, offered: Unauthenticated) -> Option<Self> {
        let endpoint = endpoint(parts.uri.path().strip_prefix("/v1/sys/")?)?;
        if endpoint == Endpoint::Metrics && !offered.metrics {
            return None;
        }
        let (method, query) = (parts.method.clone(), parts.uri.query().unwrap_or_default().to_owned());
        Some(Self { endpoint, method, query, namespaced: !header::namespace(&parts.headers).is_empty() })
    }

    /// Whether its body says something.
    #[must_use]
    pub fn has_body(&self) -> bool {
        matches!(self.endpoint, Endpoint::Init | Endpoint::Unseal | Endpoint::Ceremony(_))
    }
}

fn endpoint(rest: &str) -> Option<Endpoint> {
    Some(match rest {
        "health" => Endpoint::Health,
        "leader" => Endpoint::Leader,
        "seal-status" => Endpoint::SealStatus,
        "init" => Endpoint::Init,
        "unseal" => Endpoint::Unseal,
        "metrics" => Endpoint::Metrics,
        "rekey/init" => Endpoint::Ceremony(Ceremony::RekeyInit),
        "rekey/update" => Endpoint::Ceremony(Ceremony::RekeyUpdate),
        "rekey/verify" => Endpoint::Ceremony(Ceremony::RekeyVerify),
        "rekey-recovery-key/init" => Endpoint::Ceremony(Ceremony::RecoveryInit),
        "rekey-recovery-key/update" => Endpoint::Ceremony(Ceremony::RecoveryUpdate),
        "rekey-recovery-key/verify" => Endpoint::Ceremony(Ceremony::RecoveryVerify),
        "generate-root/attempt" => Endpoint::Ceremony(Ceremony::RootAttempt),
        "generate-root/update" => Endpoint::Ceremony(Ceremony::RootUpdate),
        _ => return None,
    })
}

/// Answers, on a listener that has the ceremonies `offered`.
pub async fn answer(
    node: &Arc<Node>,
    offered: Unauthenticated,
    question: &Question,
    body: &[u8],
    now: OffsetDateTime,
) -> Answered {
    let method = question.method.as_str();
    match (question.endpoint, method) {
        (Endpoint::Health, "GET" | "HEAD") if question.namespaced => {
            Answered::errors(400, "operation unavailable in namespaces")
        }
        (Endpoint::Health, "GET" | "HEAD") => health::answer(node, &question.query, now),
        (Endpoint::Metrics, "GET") => metrics(node, &question.query, now),
        (Endpoint::Leader, "GET") => status::leader(node),
        (Endpoint::SealStatus, "GET") => status::seal_status(node),
        (Endpoint::Init, "GET") => status::init_status(node),
        (Endpoint::Init, "PUT" | "POST") => match body::Fields::read(body, "InitRequest") {
            Ok(fields) => status::init(node, &fields, now).await,
            Err(refused) => refused,
        },
        (Endpoint::Unseal, "PUT" | "POST") => match body::Fields::read(body, "UnsealRequest") {
            Ok(fields) => status::unseal(node, &fields).await,
            Err(refused) => refused,
        },
        (Endpoint::Ceremony(ceremony), _) => {
            ceremony::answer(node, offered, ceremony, method, body, now).await
        }
        (
            Endpoint::Health
            | Endpoint::Leader
            | Endpoint::SealStatus
            | Endpoint::Init
            | Endpoint::Unseal
            | Endpoint::Metrics,
            _,
        ) => Answered::errors(405, ""),
    }
}

fn metrics(node: &Node, query: &str, now: OffsetDateTime) -> Answered {
    let format = query_pairs(query).find_map(|(name, value)| (name == "format").then_some(value));
    let Raw { status, content_type, body } = node.metrics.export(&format.unwrap_or_default(), now);
    Answered { content_type, ..Answered::new(status, body) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(uri: &str) -> Option<Question> {
        let parts = http::Request::builder().uri(uri).body(()).unwrap().into_parts().0;
        Question::of(&parts, Unauthenticated::default())
    }

    #[test]
    fn metrics_are_open_where_the_listener_says_so() {
        let parts = http::Request::builder().uri("/v1/sys/metrics").body(()).unwrap().into_parts().0;
        let open = Unauthenticated { metrics: true, ..Unauthenticated::default() };
        assert_eq!(Question::of(&parts, open).map(|question| question.endpoint), Some(Endpoint::Metrics));
        assert!(Question::of(&parts, Unauthenticated::default()).is_none());
    }

    #[test]
    fn only_these_paths_answer_without_a_token() {
        for (path, endpoint) in [
            ("health?activecode=299", Some(Endpoint::Health)),
            ("rekey/init", Some(Endpoint::Ceremony(Ceremony::RekeyInit))),
            ("generate-root/update", Some(Endpoint::Ceremony(Ceremony::RootUpdate))),
            ("health/", None),
            ("health/more", None),
            ("rekey/backup", None),
            ("seal", None),
            ("rotate/root/init", None),
        ] {
            let found = question(&format!("/v1/sys/{path}")).map(|question| question.endpoint);
            assert_eq!(found, endpoint, "{path}");
        }
        assert!(question("/v1//sys/health").is_none(), "an unclean path is redirected first");
        assert_eq!(question("/v1/sys/health?a=b").unwrap().query, "a=b");
    }
}
