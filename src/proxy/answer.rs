//! What a server's answer means for the request: a pure reading of status, headers and small bodies.
//!
//! The texts are OpenBao's and Vault's own (vault-semantics §3.2, §5.2). A text is looked for only in answers whose
//! status already makes it possible, so a secret that contains one changes nothing.

use bytes::Bytes;
use http::header::{HeaderMap, LOCATION};
use http::{StatusCode, Uri};

use crate::api::header::{X_VAULT_HOSTNAME, X_VAULT_RAFT_NODE_ID};
use crate::net::body::AnswerBody;
use crate::net::upstream::Answer;

use super::retry::Ended;
use super::snapshot::ServerView;

/// Error texts that say: this node is not the active one and did not run the request.
const NOT_ACTIVE: [&[u8]; 4] = [
    b"local node not active but active cluster node not found",
    b"node is not active",
    b"no active Vault instance found",
    b"Vault is in standby mode",
];
/// A standby that met a write and did not forward it (openbao#2548).
const PLEASE_FORWARD: [&[u8]; 2] =
    [b"please forward to the active node", b"cannot write to readonly storage"];
/// The node does not serve at all.
const SEALED: [&[u8]; 1] = [b"Vault is sealed"];
/// The node lost its leadership while it ran the request: the write may or may not be in the log.
const LEADERSHIP_LOST: [&[u8]; 5] = [
    b"leadership lost while committing log",
    b"leadership transfer in progress",
    b"node is not the leader",
    b"context canceled",
    b"raft is already shutdown",
];

/// What an answer turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// For the client.
    Final,
    /// The server itself does not know whether the write happened.
    InDoubt,
    /// Something `retry` decides about.
    Not(Ended),
}

/// Who was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    Active,
    Standby,
}

/// Reads an answer.
#[must_use]
pub fn read(answer: &Answer, asked: Asked) -> Reading {
    match answer.status {
        StatusCode::TEMPORARY_REDIRECT if leader_hint(&answer.headers).is_some() => {
            Reading::Not(Ended::NotLeader)
        }
        StatusCode::PRECONDITION_FAILED if asked == Asked::Standby => Reading::Not(Ended::StaleIndex),
        StatusCode::TOO_MANY_REQUESTS if asked == Asked::Standby && has_no_error(answer) => {
            Reading::Not(Ended::StaleIndex)
        }
        StatusCode::INTERNAL_SERVER_ERROR => internal_error(answer, asked),
        StatusCode::SERVICE_UNAVAILABLE if says(answer, &NOT_ACTIVE) => Reading::Not(Ended::NotLeader),
        StatusCode::SERVICE_UNAVAILABLE if says(answer, &SEALED) => Reading::Not(Ended::NotLeader),
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
            Reading::Not(Ended::Gateway)
        }
        _ => Reading::Final,
    }
}

fn internal_error(answer: &Answer, asked: Asked) -> Reading {
    if says(answer, &NOT_ACTIVE) {
        Reading::Not(Ended::NotLeader)
    } else if asked == Asked::Standby && says(answer, &PLEASE_FORWARD) {
        Reading::Not(Ended::StaleIndex)
    } else if says(answer, &LEADERSHIP_LOST) {
        Reading::InDoubt
    } else {
        Reading::Final
    }
}

/// OpenBao's stale-index 429 has an empty error list; a quota's names the quota (vault-semantics §0.5).
fn has_no_error(answer: &Answer) -> bool {
    says(answer, &[b"\"errors\":[]"])
}

fn says(answer: &Answer, texts: &[&[u8]]) -> bool {
    let AnswerBody::Full(body) = &answer.body else { return false };
    texts.iter().any(|text| contains(body, text))
}

fn contains(body: &Bytes, text: &[u8]) -> bool {
    body.windows(text.len()).any(|window| window == text)
}

/// The authority of an absolute `Location`: who the server thinks leads. A relative one is path cleaning, not a hint.
#[must_use]
pub fn leader_hint(headers: &HeaderMap) -> Option<String> {
    let location: Uri = headers.get(LOCATION)?.to_str().ok()?.parse().ok()?;
    location.authority().map(|authority| authority.as_str().to_owned())
}

/// Did the server that was asked answer itself? `None`: its answers do not carry a name.
#[must_use]
pub fn answered_itself(headers: &HeaderMap, server: &ServerView) -> Option<bool> {
    let named = |name, known: &Option<std::sync::Arc<str>>| {
        let known = known.as_ref()?;
        headers.get(name).map(|value| value.as_bytes() == known.as_bytes())
    };
    named(X_VAULT_RAFT_NODE_ID, &server.node_id).or_else(|| named(X_VAULT_HOSTNAME, &server.hostname))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::balance::tests::view;
    use http::HeaderValue;

    fn answer(status: u16, body: &'static str) -> Answer {
        Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: HeaderMap::new(),
            body: AnswerBody::Full(Bytes::from_static(body.as_bytes())),
            early: false,
            tunnel: None,
            at: std::time::Instant::now(),
        }
    }

    #[test]
    fn the_table() {
        use Asked::{Active, Standby};
        use Reading::{Final, InDoubt, Not};
        let stale = r#"{"errors":[]}"#;
        let quota = r#"{"errors":["request path \"kv/a\": rate limit quota exceeded"]}"#;
        let lost = r#"{"errors":["local node not active but active cluster node not found"]}"#;
        let forward = r#"{"errors":["please forward to the active node"]}"#;
        let mid = r#"{"errors":["leadership lost while committing log"]}"#;
        #[rustfmt::skip]
        let table = [
            (200, "{}", Standby, Final),
            (404, stale, Standby, Final),
            (403, r#"{"errors":["permission denied"]}"#, Standby, Final),
            (429, stale, Standby, Not(Ended::StaleIndex)),
            (429, stale, Active, Final),
            (429, quota, Standby, Final),
            (412, r#"{"errors":["required index state not present"]}"#, Standby, Not(Ended::StaleIndex)),
            (412, "{}", Active, Final),
            (500, lost, Active, Not(Ended::NotLeader)),
            (500, lost, Standby, Not(Ended::NotLeader)),
            (500, forward, Standby, Not(Ended::StaleIndex)),
            (500, forward, Active, Final),
            (500, mid, Active, InDoubt),
            (500, r#"{"errors":["internal error"]}"#, Standby, Final),
            (503, r#"{"errors":["Vault is sealed"]}"#, Standby, Not(Ended::NotLeader)),
            (503, r#"{"errors":["node is not active"]}"#, Standby, Not(Ended::NotLeader)),
            (503, "{}", Active, Not(Ended::Gateway)),
            (502, "{}", Active, Not(Ended::Gateway)),
            (501, "{}", Active, Final),
            (200, "{\"data\":{\"v\":\"Vault is sealed\"}}", Active, Final),
        ];
        for (status, body, asked, reading) in table {
            assert_eq!(read(&answer(status, body), asked), reading, "{status} {body} from {asked:?}");
        }
    }

    #[test]
    fn only_an_absolute_redirect_names_a_leader() {
        for (location, hint) in [
            ("http://127.0.0.1:8210/v1/kv/a", Some("127.0.0.1:8210")),
            ("https://n1.internal/v1/kv/a?x=y", Some("n1.internal")),
            ("/v1/kv/a", None),
        ] {
            let mut redirect = answer(307, "");
            redirect.headers.insert(LOCATION, HeaderValue::from_static(location));
            assert_eq!(leader_hint(&redirect.headers).as_deref(), hint);
            let expected = if hint.is_some() { Reading::Not(Ended::NotLeader) } else { Reading::Final };
            assert_eq!(read(&redirect, Asked::Standby), expected, "{location}");
        }
    }

    #[test]
    fn who_answered() {
        let mut server = view(1);
        let mut headers = HeaderMap::new();
        headers.insert(X_VAULT_RAFT_NODE_ID, HeaderValue::from_static("n1"));
        assert_eq!(answered_itself(&headers, &server), None, "its own name is not known yet");
        server.node_id = Some("n1".into());
        assert_eq!(answered_itself(&headers, &server), Some(true));
        headers.insert(X_VAULT_RAFT_NODE_ID, HeaderValue::from_static("n2"));
        assert_eq!(answered_itself(&headers, &server), Some(false));
        assert_eq!(answered_itself(&HeaderMap::new(), &server), None);
    }
}
