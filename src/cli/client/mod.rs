//! The client half: one question at a time over a connection of its own, retried and redirected as Vault's client does.
//!
//! It knows no verb; what is asked is [`request`], where and how is [`settings`].

pub mod request;
pub mod settings;
pub mod tls;

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper_util::rt::TokioIo;

use crate::net::client::{ConnectError, Target, connect};
use request::{ApiAnswer, ApiError, Call};
use settings::{Dry, Settings};

/// Largest answer kept in memory; snapshots are streamed.
const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;
/// Resolve, TCP and TLS.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Between two attempts, in milliseconds.
const WAIT_MS: std::ops::RangeInclusive<u64> = 1000..=1500;
/// A piece of an uploaded file.
const PIECE: usize = 64 * 1024;

type Body = UnsyncBoxBody<Bytes, std::io::Error>;
type Broken = Box<dyn std::error::Error + Send + Sync>;

/// Speaks to one server.
pub struct Client {
    pub settings: Settings,
    runtime: tokio::runtime::Runtime,
}

/// Why an attempt gave no answer, and whether anything may have been done by it.
struct Attempt {
    sent: bool,
    why: String,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Client {
    /// # Errors
    /// The runtime cannot start.
    pub fn new(settings: Settings) -> Result<Self, String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| format!("cannot start the runtime: {error}"))?;
        Ok(Self { settings, runtime })
    }

    /// Asks and returns whatever answer came last, error statuses included.
    ///
    /// # Errors
    /// No answer, or a dry run.
    pub fn ask(&self, call: &Call) -> Result<ApiAnswer, ApiError> {
        self.dry(call)?;
        self.ask_anyway(call)
    }

    /// As [`Self::ask`], in a dry run too: for what shapes the question that matters.
    ///
    /// # Errors
    /// No answer.
    pub fn ask_anyway(&self, call: &Call) -> Result<ApiAnswer, ApiError> {
        self.runtime.block_on(async {
            let mut retries = 0;
            loop {
                let got = tokio::time::timeout(self.settings.timeout, self.follow(call)).await;
                let got =
                    got.unwrap_or_else(|_| Err(Attempt { sent: true, why: "no answer in time".to_owned() }));
                if retries == self.settings.retries || !may_retry(call, &got) {
                    return got.map_err(|attempt| self.transport(call, attempt.why));
                }
                retries += 1;
                tokio::time::sleep(Duration::from_millis(fastrand::u64(WAIT_MS))).await;
            }
        })
    }

    /// Asks and takes error statuses for errors.
    ///
    /// # Errors
    /// As [`Self::ask`], and every status from 400.
    pub fn call(&self, call: &Call) -> Result<ApiAnswer, ApiError> {
        self.ask(call)?.accepted(&call.method, &call.url(&self.settings))
    }

    /// The JSON of an accepted answer.
    ///
    /// # Errors
    /// As [`Self::call`], and a body that is no JSON.
    pub fn json(&self, call: &Call) -> Result<super::output::tree::Tree, ApiError> {
        self.call(call)?.tree()
    }

    /// Streams the body of an answer into `file`. One attempt; the timeout covers the answer's head.
    ///
    /// # Errors
    /// As [`Self::call`], and a file that cannot be written.
    pub fn download(&self, call: &Call, file: &mut dyn std::io::Write) -> Result<u64, ApiError> {
        self.dry(call)?;
        let failed = |why: String| self.transport(call, why);
        self.runtime.block_on(async {
            let (response, connection) = self.send(call, whole(call)).await.map_err(|a| failed(a.why))?;
            let result = store(response, file, call, &call.url(&self.settings)).await;
            connection.abort();
            result.map_err(|stored| match stored {
                Stored::Api(error) => error,
                Stored::Broken(why) => failed(why.to_string()),
            })
        })
    }

    /// Sends a file as the body, piece by piece. One attempt, as long as it takes.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub fn upload(&self, call: &Call, file: std::fs::File) -> Result<(), ApiError> {
        self.dry(call)?;
        let pieces = futures_util::stream::unfold(tokio::fs::File::from_std(file), |mut file| async move {
            let mut piece = vec![0; PIECE];
            match tokio::io::AsyncReadExt::read(&mut file, &mut piece).await {
                Ok(0) => None,
                Ok(read) => {
                    piece.truncate(read);
                    Some((Ok(Frame::data(Bytes::from(piece))), file))
                }
                Err(error) => Some((Err(error), file)),
            }
        });
        let body = StreamBody::new(pieces).boxed_unsync();
        let answer = self.runtime.block_on(async {
            let (response, connection) = self.send(call, body).await?;
            let answer = collect(response).await;
            connection.abort();
            answer
        });
        let answer = answer.map_err(|attempt| self.transport(call, attempt.why))?;
        answer.accepted(&call.method, &call.url(&self.settings)).map(drop)
    }

    fn dry(&self, call: &Call) -> Result<(), ApiError> {
        match self.settings.dry {
            Dry::No => Ok(()),
            Dry::Curl => Err(ApiError::Dry(call.as_curl(&self.settings))),
            Dry::Policy => Err(ApiError::Dry(call.as_policy())),
        }
    }

    fn transport(&self, call: &Call, why: String) -> ApiError {
        let name = call.method.as_str();
        let verb: String = name
            .chars()
            .enumerate()
            .map(|(at, c)| if at == 0 { c } else { c.to_ascii_lowercase() })
            .collect();
        ApiError::Transport { verb, url: call.url(&self.settings), why }
    }

    /// One attempt, and one more where a redirect points.
    async fn follow(&self, call: &Call) -> Result<ApiAnswer, Attempt> {
        let first = self.exchange(&self.settings.address, &call.target(&self.settings), call).await?;
        let redirect = matches!(
            first.status,
            StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND | StatusCode::TEMPORARY_REDIRECT
        );
        let place = first.headers.get(http::header::LOCATION).and_then(|place| place.to_str().ok());
        let Some(place) = place.filter(|_| redirect && self.settings.redirects) else { return Ok(first) };
        let uri = redirect_to(&self.settings.address, place).map_err(|why| Attempt { sent: true, why })?;
        let target = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str).to_owned();
        self.exchange(&uri, &target, call).await
    }

    async fn exchange(&self, address: &Uri, target: &str, call: &Call) -> Result<ApiAnswer, Attempt> {
        let (response, connection) = self.send_to(address, target, call, whole(call)).await?;
        let answer = collect(response).await;
        connection.abort();
        answer
    }

    async fn send(&self, call: &Call, body: Body) -> Result<(Response<Incoming>, Connection), Attempt> {
        self.send_to(&self.settings.address, &call.target(&self.settings), call, body).await
    }

    async fn send_to(
        &self,
        address: &Uri,
        target: &str,
        call: &Call,
        body: Body,
    ) -> Result<(Response<Incoming>, Connection), Attempt> {
        let unsent = |why: String| Attempt { sent: false, why };
        let request = self.request(address, target, call, body).map_err(unsent)?;
        let to = self.target(address).map_err(unsent)?;
        let stream = connect(&to).await.map_err(|error| unsent(connect_text(&to, &error)))?;
        let hands = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = hands.map_err(|error| unsent(error.to_string()))?;
        // Its end is seen as the end of the answer.
        let connection = tokio::spawn(async move { drop(connection.await) });
        let response = sender.send_request(request).await;
        let response = response.map_err(|error| Attempt { sent: true, why: error.to_string() })?;
        Ok((response, connection))
    }

    fn target(&self, address: &Uri) -> Result<Target, String> {
        let host = address.host().unwrap_or_default();
        let secure = address.scheme_str() == Some("https");
        let tls = secure.then(|| tls::target(&self.settings.tls, host)).transpose()?;
        let port = address.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let host = host.trim_matches(['[', ']']).to_owned();
        Ok(Target { host, port, tls, connect_timeout: CONNECT_TIMEOUT.min(self.settings.timeout) })
    }

    fn request(&self, address: &Uri, target: &str, call: &Call, body: Body) -> Result<Request<Body>, String> {
        let host = address.authority().map(http::uri::Authority::as_str).unwrap_or_default();
        let settings = &self.settings;
        let mut request = Request::builder()
            .method(call.method.clone())
            .uri(target)
            .header("host", host)
            .header("x-vault-request", "true");
        if let Some(token) = &settings.token {
            let mut value = HeaderValue::from_str(token.expose())
                .map_err(|_| "the token contains characters that no header can carry".to_owned())?;
            value.set_sensitive(true);
            request = request.header("x-vault-token", value);
        }
        if let Some(namespace) = &settings.namespace {
            request = request.header("x-vault-namespace", namespace);
        }
        if let Some(ttl) = call.wrap_ttl(settings) {
            request = request.header("x-vault-wrap-ttl", ttl);
        }
        for mfa in &settings.mfa {
            request = request.header("x-vault-mfa", mfa);
        }
        if settings.policy_override {
            request = request.header("x-vault-policy-override", "true");
        }
        if call.method == Method::PATCH {
            request = request.header("content-type", "application/merge-patch+json");
        }
        for (name, value) in &settings.headers {
            let name =
                HeaderName::try_from(name.as_str()).map_err(|_| format!("\"{name}\" is no header name"))?;
            request = request.header(name, value);
        }
        request.body(body).map_err(|error| error.to_string())
    }
}

type Connection = tokio::task::JoinHandle<()>;

fn whole(call: &Call) -> Body {
    Full::new(call.body.clone().unwrap_or_default()).map_err(|never| match never {}).boxed_unsync()
}

async fn collect(response: Response<Incoming>) -> Result<ApiAnswer, Attempt> {
    let (head, body) = response.into_parts();
    let body = Limited::new(body, MAX_ANSWER_BYTES).collect().await;
    let body = body.map_err(|error| Attempt { sent: true, why: error.to_string() })?.to_bytes();
    Ok(ApiAnswer { status: head.status, headers: head.headers, body })
}

enum Stored {
    Api(ApiError),
    Broken(Broken),
}

async fn store(
    response: Response<Incoming>,
    file: &mut dyn std::io::Write,
    call: &Call,
    url: &str,
) -> Result<u64, Stored> {
    if response.status().as_u16() >= 400 {
        let answer = collect(response).await.map_err(|attempt| Stored::Broken(attempt.why.into()))?;
        answer.accepted(&call.method, url).map_err(Stored::Api)?;
        return Ok(0);
    }
    let mut body = response.into_body();
    let mut bytes = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Stored::Broken(error.into()))?;
        if let Some(data) = frame.data_ref() {
            file.write_all(data).map_err(|error| Stored::Broken(error.into()))?;
            bytes += data.len() as u64;
        }
    }
    Ok(bytes)
}

/// As Vault's client: 412, 429, 5xx but 501; without an answer only what cannot have run, or only reads.
fn may_retry(call: &Call, got: &Result<ApiAnswer, Attempt>) -> bool {
    match got {
        Ok(answer) => match answer.status.as_u16() {
            412 | 429 => true,
            501 => false,
            status => status >= 500,
        },
        Err(attempt) => !attempt.sent || call.method == Method::GET,
    }
}

/// Where a `Location` points; TLS is never given up.
fn redirect_to(from: &Uri, place: &str) -> Result<Uri, String> {
    let to: Uri = place.parse().map_err(|_| "the server redirects to something that is no URL".to_owned())?;
    if to.host().is_none() {
        return Err("the server redirects without naming a host".to_owned());
    }
    if from.scheme_str() == Some("https") && to.scheme_str() != Some("https") {
        return Err("redirect would cause protocol downgrade".to_owned());
    }
    Ok(to)
}

/// In the words of Go's dialer, which scripts look for.
fn connect_text(to: &Target, error: &ConnectError) -> String {
    match error {
        ConnectError::Tcp(inner) if inner.kind() == std::io::ErrorKind::ConnectionRefused => {
            format!("dial tcp {}:{}: connect: connection refused", to.host, to.port)
        }
        ConnectError::Resolve(_) => format!("dial tcp: lookup {}: no such host", to.host),
        ConnectError::Tls(inner) => format!("tls: {inner}"),
        ConnectError::Tcp(_) | ConnectError::Timeout => format!("dial tcp {}:{}: {error}", to.host, to.port),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_tried_again() {
        let answer = |status| {
            Ok(ApiAnswer {
                status: StatusCode::from_u16(status).unwrap(),
                headers: http::HeaderMap::new(),
                body: Bytes::new(),
            })
        };
        let broken = |sent| Err(Attempt { sent, why: String::new() });
        let (get, put) = (Call::get("a"), Call::new(Method::PUT, "a"));
        let cases = [
            (&put, answer(200), false),
            (&put, answer(400), false),
            (&put, answer(404), false),
            (&put, answer(412), true),
            (&put, answer(429), true),
            (&put, answer(500), true),
            (&put, answer(501), false),
            (&put, answer(503), true),
            (&put, broken(false), true),
            (&put, broken(true), false),
            (&get, broken(true), true),
        ];
        for (at, (call, got, expected)) in cases.into_iter().enumerate() {
            assert_eq!(may_retry(call, &got), expected, "case {at}");
        }
    }

    #[test]
    fn redirects_keep_tls() {
        let (plain, tls) = (Uri::from_static("http://a:1"), Uri::from_static("https://a:1"));
        for (from, place, good) in [
            (&plain, "http://b:1/v1/x?y=z", true),
            (&plain, "https://b:1/v1/x", true),
            (&tls, "https://b:1/v1/x", true),
            (&tls, "http://b:1/v1/x", false),
            (&plain, "/v1/x", false),
        ] {
            assert_eq!(redirect_to(from, place).is_ok(), good, "{place}");
        }
    }
}
