//! `sys/health` and `sys/leader` on the client port answer for the cluster, from the snapshot: a poller behind this
//! proxy neither loads the nodes nor mistakes a healthy standby for a failure (lakekeeper#1929).
//! What the snapshot does not know (`sys/seal-status`, `sys/init`) is asked of a node.

use http::header::HeaderValue;
use http::{Method, Response, StatusCode, request};
use serde_json::json;

use crate::api::header::X_UNDERSTUDY_VIEW;
use crate::net::body::AnswerBody;

use super::error;
use super::snapshot::{Role, Snapshot};

/// What the cluster as a whole is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Condition {
    Active,
    /// Standbys serve reads, nobody leads.
    Leaderless,
    Sealed,
    Uninitialized,
    Unreachable,
}

/// The answer to a cluster path, `None` when a node has to be asked.
pub(super) fn answer(
    snapshot: &Snapshot,
    parts: &request::Parts,
    is_tls: bool,
    now_unix: u64,
) -> Option<Response<AnswerBody>> {
    let path = parts.uri.path().trim_end_matches('/');
    let asked = matches!(parts.method, Method::GET | Method::HEAD);
    let mut answer = match path {
        "/v1/sys/health" | "/v1/sys/leader" if !asked => {
            error::json(StatusCode::METHOD_NOT_ALLOWED, &json!({ "errors": [] }))
        }
        "/v1/sys/health" => health(snapshot, parts, now_unix),
        "/v1/sys/leader" => leader(snapshot, parts, if is_tls { "https" } else { "http" }),
        _ => return None,
    };
    answer.headers_mut().insert(X_UNDERSTUDY_VIEW, HeaderValue::from_static("cluster"));
    if parts.method == Method::HEAD {
        *answer.body_mut() = AnswerBody::Empty;
    }
    Some(answer)
}

// --- health (vault-semantics §1) ---

fn health(snapshot: &Snapshot, parts: &request::Parts, now_unix: u64) -> Response<AnswerBody> {
    let condition = condition(snapshot);
    let Ok(codes) = Codes::parse(parts.uri.query().unwrap_or_default()) else {
        return error::json(StatusCode::BAD_REQUEST, &json!({ "errors": [] }));
    };
    let leads = condition == Condition::Active;
    let serves = leads || condition == Condition::Leaderless;
    let mut body = json!({
        "initialized": condition != Condition::Uninitialized,
        "sealed": !serves,
        "standby": !leads,
        "performance_standby": condition == Condition::Leaderless,
        "replication_performance_mode": if serves { "primary" } else { "unknown" },
        "replication_dr_mode": if serves { "disabled" } else { "unknown" },
        "server_time_utc": now_unix,
        "version": concat!("understudy-", env!("CARGO_PKG_VERSION")),
    });
    if serves {
        body["cluster_name"] = json!(snapshot.cluster_name.as_deref().unwrap_or_default());
        body["cluster_id"] = json!(snapshot.cluster_id.as_deref().unwrap_or_default());
    }
    error::json(codes.of(condition), &body)
}

fn condition(snapshot: &Snapshot) -> Condition {
    let any = |role: Role| snapshot.servers.iter().any(|server| server.role == role);
    if snapshot.active.is_some() {
        Condition::Active
    } else if snapshot.servers.iter().any(|server| server.usable && server.reads) {
        Condition::Leaderless
    } else if any(Role::Sealed) {
        Condition::Sealed
    } else if any(Role::Uninitialized) {
        Condition::Uninitialized
    } else {
        Condition::Unreachable
    }
}

/// The codes a client asked for, Vault's by default.
struct Codes {
    active: StatusCode,
    standby: StatusCode,
    sealed: StatusCode,
    uninitialized: StatusCode,
}

struct BadCode;

impl Codes {
    /// The first value of a parameter wins; anything but 100 to 599 is refused (the real server panics there).
    fn parse(query: &str) -> Result<Self, BadCode> {
        let code = |name: &str, default: u16| -> Result<StatusCode, BadCode> {
            let given =
                value(query, name).map(|text| text.parse::<u16>().map_err(|_| BadCode)).transpose()?;
            let code = given.unwrap_or(default);
            if code > 599 { Err(BadCode) } else { StatusCode::from_u16(code).map_err(|_| BadCode) }
        };
        let flag = |name: &str| match value(query, name) {
            None | Some("" | "0" | "f" | "F" | "false" | "FALSE" | "False") => Ok(false),
            Some("1" | "t" | "T" | "true" | "TRUE" | "True") => Ok(true),
            Some(_) => Err(BadCode),
        };
        let active = code("activecode", 200)?;
        let standby_ok = flag("standbyok")? | flag("perfstandbyok")?;
        let standby = code("standbycode", 429)?;
        Ok(Self {
            active,
            standby: if standby_ok { active } else { standby },
            sealed: code("sealedcode", 503)?,
            uninitialized: code("uninitcode", 501)?,
        })
    }

    fn of(&self, condition: Condition) -> StatusCode {
        match condition {
            Condition::Active => self.active,
            Condition::Leaderless => self.standby,
            Condition::Sealed | Condition::Unreachable => self.sealed,
            Condition::Uninitialized => self.uninitialized,
        }
    }
}

fn value<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (key == name).then_some(value)
    })
}

// --- leader (vault-semantics §2) ---

/// Names this proxy as the leader's address: clients that follow it stay in front of the cluster.
fn leader(snapshot: &Snapshot, parts: &request::Parts, scheme: &str) -> Response<AnswerBody> {
    let Some(active) = snapshot.active_server() else {
        return error::json(
            StatusCode::OK,
            &json!({ "ha_enabled": true, "is_self": false, "leader_address": "", "leader_cluster_address": "" }),
        );
    };
    let host = parts.headers.get(http::header::HOST).and_then(|host| host.to_str().ok());
    let host = parts.uri.authority().map(http::uri::Authority::as_str).or(host).unwrap_or_default();
    let index = active.live.applied_index();
    error::json(
        StatusCode::OK,
        &json!({
            "ha_enabled": true,
            "is_self": true,
            "leader_address": format!("{scheme}://{host}"),
            "leader_cluster_address": "",
            "performance_standby": false,
            "performance_standby_last_remote_wal": 0,
            "raft_committed_index": index,
            "raft_applied_index": index,
        }),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes() {
        let table = [
            ("", Condition::Active, Some(200)),
            ("", Condition::Leaderless, Some(429)),
            ("standbyok=true", Condition::Leaderless, Some(200)),
            ("perfstandbyok=true&activecode=204", Condition::Leaderless, Some(204)),
            ("standbyok", Condition::Leaderless, Some(429)),
            ("standbyok=maybe", Condition::Active, None),
            ("", Condition::Sealed, Some(503)),
            ("sealedcode=299", Condition::Sealed, Some(299)),
            ("", Condition::Uninitialized, Some(501)),
            ("", Condition::Unreachable, Some(503)),
            ("activecode=99", Condition::Active, None),
            ("activecode=600", Condition::Active, None),
            ("sealedcode=", Condition::Active, None),
            ("activecode=201&activecode=202", Condition::Active, Some(201)),
        ];
        for (query, condition, code) in table {
            let found = Codes::parse(query).ok().map(|codes| codes.of(condition).as_u16());
            assert_eq!(found, code, "{query} when {condition:?}");
        }
    }
}
