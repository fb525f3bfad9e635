//! `ANY /node/{name}/v1/...`: one named server's own API, for what is node-local (unseal, metrics, monitor, pprof).
//!
//! Both bodies are streamed and there is no deadline for the answer: monitors and snapshots take as long as they take.
//! Each request has a connection of its own, so nothing here competes with the workers' pools. The admin's own
//! `Authorization` never reaches the server: Vault tokens go in `X-Vault-Token`.

use http::header::{AUTHORIZATION, COOKIE, EXPECT, HOST, PROXY_AUTHORIZATION, TE};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Request, StatusCode, Uri};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;

use crate::net::client::{Stream, Target, TlsTarget, connect};
use crate::net::tls;
use crate::proxy::guard::strip_response;
use crate::proxy::snapshot::{ServerView, Snapshot};

use super::answer::{Answer, Handled, Refusal};

/// Sends the request to the server and streams the answer back.
pub(super) async fn pass(snapshot: &Snapshot, server: &ServerView, request: Request<Incoming>) -> Handled {
    let request = readdress(server, request)?;
    let stream = open(snapshot, server).await?;
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| bad_gateway(server, &error))?;
    // It ends with the answer's body, or when that is dropped: it needs no owner.
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a node-pinned connection ended early");
        }
    });
    let answer = sender.send_request(request).await.map_err(|error| bad_gateway(server, &error))?;
    let (mut head, body) = answer.into_parts();
    strip_response(&mut head.headers);
    Ok(Answer::from_parts(head, body.boxed()))
}

/// The rest of the path goes on byte for byte.
fn readdress(server: &ServerView, request: Request<Incoming>) -> Result<Request<Incoming>, Refusal> {
    let (mut head, body) = request.into_parts();
    head.uri = pinned_uri(&head.uri, &server.name)
        .ok_or_else(|| Refusal::bad_request("the path after /node/{name} is not a path"))?;
    own_headers_out(&mut head.headers);
    let host = HeaderValue::from_str(&authority(server))
        .map_err(|_| Refusal::new(StatusCode::BAD_GATEWAY, "the server's address is not a host name"))?;
    head.headers.insert(HOST, host);
    Ok(Request::from_parts(head, body))
}

fn pinned_uri(uri: &Uri, name: &str) -> Option<Uri> {
    let all = uri.path_and_query()?.as_str();
    let rest = all.strip_prefix("/node/")?.strip_prefix(name)?;
    Some(Uri::from(rest.parse::<PathAndQuery>().ok()?))
}

/// Hop-by-hop headers, and what is between the operator's client and the admin only.
fn own_headers_out(headers: &mut HeaderMap) {
    strip_response(headers);
    for name in [AUTHORIZATION, COOKIE, EXPECT, PROXY_AUTHORIZATION, TE] {
        headers.remove(name);
    }
}

fn authority(server: &ServerView) -> String {
    let address = &server.address;
    if address.host.contains(':') {
        return format!("[{}]:{}", address.host, address.port);
    }
    format!("{}:{}", address.host, address.port)
}

async fn open(snapshot: &Snapshot, server: &ServerView) -> Result<Stream, Refusal> {
    let target = target(snapshot, server).map_err(|error| bad_gateway(server, &error))?;
    connect(&target).await.map_err(|error| bad_gateway(server, &error))
}

/// Reads the certificate files each time: rare, and always what is on disk.
fn target(snapshot: &Snapshot, server: &ServerView) -> Result<Target, tls::TlsError> {
    let (cluster, address) = (&snapshot.config.cluster, &server.address);
    let tls = match address.tls {
        false => None,
        true => Some(TlsTarget {
            config: tls::client_config(&cluster.tls)?,
            name: tls::server_name(&cluster.tls, &address.host)?,
        }),
    };
    let connect_timeout = cluster.connections.connect_timeout;
    Ok(Target { host: address.host.clone(), port: address.port, tls, connect_timeout })
}

fn bad_gateway(server: &ServerView, error: &dyn std::error::Error) -> Refusal {
    Refusal::new(StatusCode::BAD_GATEWAY, format!("server {}: {error}", server.name))
}
