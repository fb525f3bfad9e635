//! What is asked of a server and what it answered; the dry forms of a question. No I/O.

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};

use super::super::output::tree::Tree;
use super::settings::Settings;

/// One question.
#[derive(Clone)]
pub struct Call {
    pub method: Method,
    /// Below `/v1/`, not escaped.
    pub path: String,
    /// Not escaped.
    pub query: Vec<(String, String)>,
    pub body: Option<Bytes>,
    /// Its answer is for the client itself.
    never_wrapped: bool,
}

/// How long the server keeps what it is asked to wrap, where nobody says.
const WRAP_TTL: &str = "5m";

/// A complete answer.
pub struct ApiAnswer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// Nothing was sent: print this and end well.
    #[error("{0}")]
    Dry(String),
    /// The command line or the environment cannot be obeyed.
    #[error("{0}")]
    Settings(String),
    /// No answer came.
    #[error("{verb} \"{url}\": {why}")]
    Transport { verb: String, url: String, why: String },
    /// The server said no.
    #[error("{0}")]
    Refused(Refusal),
    /// An answer that is none.
    #[error("error parsing the server's answer: {0}")]
    Malformed(String),
}

/// An answer with an error status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub method: String,
    pub url: String,
    pub status: u16,
    pub errors: Vec<String>,
    /// The body where it has no `errors`.
    pub raw: String,
}

// === impl Call ===

impl Call {
    /// A question without a body; slashes around the path do not count.
    #[must_use]
    pub fn new(method: Method, path: impl AsRef<str>) -> Self {
        let path = path.as_ref().trim_start_matches('/').to_owned();
        Self { method, path, query: Vec::new(), body: None, never_wrapped: false }
    }

    #[must_use]
    pub fn get(path: impl AsRef<str>) -> Self {
        Self::new(Method::GET, path)
    }

    /// LIST, in the form that every proxy lets through.
    #[must_use]
    pub fn list(path: impl AsRef<str>) -> Self {
        Self::get(path).with_query("list", "true")
    }

    #[must_use]
    pub fn put(path: impl AsRef<str>, body: &Tree) -> Self {
        Self::new(Method::PUT, path).with_body(body)
    }

    #[must_use]
    pub fn post(path: impl AsRef<str>, body: &Tree) -> Self {
        Self::new(Method::POST, path).with_body(body)
    }

    #[must_use]
    pub fn delete(path: impl AsRef<str>) -> Self {
        Self::new(Method::DELETE, path)
    }

    #[must_use]
    pub fn with_body(mut self, body: &Tree) -> Self {
        self.body = Some(Bytes::from(body.to_value().to_string()));
        self
    }

    #[must_use]
    pub fn with_query(mut self, name: &str, value: &str) -> Self {
        self.query.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The answer comes as it is, whatever is said of wrapping.
    #[must_use]
    pub fn never_wrapped(mut self) -> Self {
        self.never_wrapped = true;
        self
    }

    /// How long the answer is to be kept wrapped, if at all.
    pub(super) fn wrap_ttl<'s>(&self, settings: &'s Settings) -> Option<&'s str> {
        let wraps = self.path == "sys/wrapping/wrap" && matches!(self.method, Method::PUT | Method::POST);
        let asked = settings.wrap_ttl.as_deref().or(wraps.then_some(WRAP_TTL));
        asked.filter(|_| !self.never_wrapped)
    }

    /// `/v1/...` with its query, escaped, below the path of the address.
    #[must_use]
    pub fn target(&self, settings: &Settings) -> String {
        let base = settings.address.path().trim_end_matches('/');
        let query: Vec<_> = self
            .query
            .iter()
            .map(|(name, value)| format!("{}={}", escape(name, ""), escape(value, "")))
            .collect();
        let mark = if query.is_empty() { "" } else { "?" };
        format!("{base}/v1/{}{mark}{}", escape(&self.path, "/!$&'()*+,;=:@"), query.join("&"))
    }

    /// The whole URL.
    #[must_use]
    pub fn url(&self, settings: &Settings) -> String {
        let scheme = settings.address.scheme_str().unwrap_or("https");
        let authority = settings.address.authority().map(http::uri::Authority::as_str).unwrap_or_default();
        format!("{scheme}://{authority}{}", self.target(settings))
    }

    /// The same as a command line of curl; the token is not in it.
    #[must_use]
    pub fn as_curl(&self, settings: &Settings) -> String {
        let mut text = String::from("curl");
        if self.method != Method::GET {
            text.push_str(&format!(" -X {}", self.method));
        }
        text.push_str(" -H \"X-Vault-Request: true\"");
        if let Some(namespace) = &settings.namespace {
            text.push_str(&format!(" -H \"X-Vault-Namespace: {namespace}\""));
        }
        if let Some(ttl) = self.wrap_ttl(settings) {
            text.push_str(&format!(" -H \"X-Vault-Wrap-Ttl: {ttl}\""));
        }
        if settings.token.is_some() {
            text.push_str(" -H \"X-Vault-Token: $(understudy print token)\"");
        }
        if let Some(body) = &self.body {
            let body = String::from_utf8_lossy(body).replace('\'', r#"'"'"'"#);
            text.push_str(&format!(" -d '{body}'"));
        }
        text + &format!(" \"{}\"", self.url(settings))
    }

    /// The least policy that allows it.
    #[must_use]
    pub fn as_policy(&self) -> String {
        let listed = self.query.iter().any(|(name, value)| name == "list" && value == "true");
        let capabilities = match self.method {
            Method::GET if listed => "\"list\"",
            Method::DELETE => "\"delete\"",
            Method::PATCH => "\"patch\"",
            Method::PUT | Method::POST => "\"create\", \"update\"",
            _ => "\"read\"",
        };
        format!("path \"{}\" {{\n  capabilities = [{capabilities}]\n}}", self.path)
    }
}

/// Letters, digits, `-._~` and `also` stay.
fn escape(text: &str, also: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        let c = char::from(byte);
        if c.is_ascii_alphanumeric() || "-._~".contains(c) || byte.is_ascii() && also.contains(c) {
            out.push(c);
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

impl std::fmt::Debug for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Call").field("method", &self.method).finish_non_exhaustive()
    }
}

// === impl ApiAnswer ===

impl std::fmt::Debug for ApiAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiAnswer").field("status", &self.status).finish_non_exhaustive()
    }
}

impl ApiAnswer {
    /// The body as JSON, `Null` when it is empty.
    ///
    /// # Errors
    /// It is something else.
    pub fn tree(&self) -> Result<Tree, ApiError> {
        if self.body.iter().all(u8::is_ascii_whitespace) {
            return Ok(Tree::Null);
        }
        let value: serde_json::Value =
            serde_json::from_slice(&self.body).map_err(|why| ApiError::Malformed(why.to_string()))?;
        Ok(Tree::from(value))
    }

    /// The answer unless its status is an error.
    ///
    /// # Errors
    /// Any status from 400, with the server's words.
    pub fn accepted(self, method: &Method, url: &str) -> Result<Self, ApiError> {
        if self.status.as_u16() < 400 {
            return Ok(self);
        }
        let tree = self.tree().unwrap_or(Tree::Null);
        let errors = tree.get("errors").map(Tree::items);
        let raw =
            if errors.is_some() { String::new() } else { String::from_utf8_lossy(&self.body).into_owned() };
        Err(ApiError::Refused(Refusal {
            method: method.to_string(),
            url: url.to_owned(),
            status: self.status.as_u16(),
            errors: errors.unwrap_or_default().iter().filter_map(Tree::text).map(str::to_owned).collect(),
            raw,
        }))
    }
}

// === impl Refusal ===

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let what = if self.raw.is_empty() && !self.errors.is_empty() { "Errors" } else { "Raw Message" };
        let Self { method, url, status, .. } = self;
        write!(f, "Error making API request.\n\nURL: {method} {url}\nCode: {status}. {what}:\n\n")?;
        if self.errors.is_empty() {
            return write!(f, "{}", self.raw);
        }
        let lines: Vec<String> = self.errors.iter().map(|error| format!("* {error}")).collect();
        write!(f, "{}", lines.join("\n"))
    }
}

// === impl ApiError ===

impl ApiError {
    /// The status of a refusal.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused(refusal) => Some(refusal.status),
            Self::Dry(_) | Self::Settings(_) | Self::Transport { .. } | Self::Malformed(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_escaped() {
        for (text, expected) in
            [("a/b c", "a/b%20c"), ("a?b#c", "a%3Fb%23c"), ("a%2f", "a%252f"), ("ü", "%C3%BC")]
        {
            assert_eq!(escape(text, "/"), expected);
        }
    }

    #[test]
    fn refusals_read_as_the_official_client_prints_them() {
        let mut refusal = Refusal {
            method: "GET".to_owned(),
            url: "http://a/v1/x".to_owned(),
            status: 403,
            errors: vec!["permission denied".to_owned()],
            raw: String::new(),
        };
        let head = "Error making API request.\n\nURL: GET http://a/v1/x\nCode: 403. ";
        assert_eq!(refusal.to_string(), format!("{head}Errors:\n\n* permission denied"));
        refusal.errors.clear();
        assert_eq!(refusal.to_string(), format!("{head}Raw Message:\n\n"));
    }
}
