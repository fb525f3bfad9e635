//! Cross-origin requests: what a browser is told before and beside the answer. Off until it is configured.

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue, Method, request};

use crate::system::cors::CorsConfig;

const METHODS: &[&str] = &["DELETE", "GET", "OPTIONS", "POST", "PUT", "LIST", "SCAN"];
/// Seconds a browser may keep what it was told.
const MAX_AGE: &str = "300";

/// What becomes of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Crossing {
    /// No browser of another origin asks, or nothing is configured.
    None,
    /// 403
    Refused,
    /// 405: a preflight for a method there is not.
    NoSuchMethod,
    /// The answer to a preflight is these headers.
    Preflight(HeaderMap),
    /// Answered as always, with these headers beside.
    Allowed(HeaderMap),
}

/// Judges a request's head.
#[must_use]
pub(super) fn judge(config: &CorsConfig, parts: &request::Parts) -> Crossing {
    let text = |name| parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let origin = text(ORIGIN);
    if !config.enabled || origin.is_empty() {
        return Crossing::None;
    }
    if !config.allows(origin) {
        return Crossing::Refused;
    }
    let mut headers = allowed(config, origin);
    if parts.method != Method::OPTIONS {
        return Crossing::Allowed(headers);
    }
    if !METHODS.contains(&text(ACCESS_CONTROL_REQUEST_METHOD)) {
        return Crossing::NoSuchMethod;
    }
    set(&mut headers, ACCESS_CONTROL_ALLOW_METHODS, &METHODS.join(","));
    set(&mut headers, ACCESS_CONTROL_ALLOW_HEADERS, &config.headers().collect::<Vec<_>>().join(","));
    set(&mut headers, ACCESS_CONTROL_MAX_AGE, MAX_AGE);
    Crossing::Preflight(headers)
}

fn allowed(config: &CorsConfig, origin: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    set(&mut headers, ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    set(&mut headers, VARY, "Origin");
    if config.allow_credentials {
        set(&mut headers, ACCESS_CONTROL_ALLOW_CREDENTIALS, "true");
    }
    headers
}

/// A configured header name that cannot stand in a header is left out.
fn set(headers: &mut HeaderMap, name: http::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(config: &CorsConfig, method: &str, headers: &[(&str, &str)]) -> Crossing {
        let mut builder = http::Request::builder().method(method).uri("/v1/sys/mounts");
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        judge(config, &builder.body(()).unwrap().into_parts().0)
    }

    #[test]
    fn origins_and_methods_are_judged() {
        let config = CorsConfig {
            enabled: true,
            allowed_origins: vec!["http://a".to_owned()],
            more_headers: vec!["X-Custom".to_owned()],
            allow_credentials: true,
        };
        let get = ("access-control-request-method", "GET");
        assert_eq!(judged(&CorsConfig::default(), "GET", &[("origin", "http://a")]), Crossing::None);
        assert_eq!(judged(&config, "GET", &[]), Crossing::None);
        assert_eq!(judged(&config, "GET", &[("origin", "http://b")]), Crossing::Refused);
        assert_eq!(judged(&config, "OPTIONS", &[("origin", "http://a")]), Crossing::NoSuchMethod);
        let Crossing::Allowed(headers) = judged(&config, "GET", &[("origin", "http://a")]) else { panic!() };
        assert_eq!(
            (&headers["vary"], &headers["access-control-allow-credentials"]),
            (&"Origin".parse().unwrap(), &"true".parse().unwrap())
        );
        let Crossing::Preflight(headers) = judged(&config, "OPTIONS", &[("origin", "http://a"), get]) else {
            panic!()
        };
        assert_eq!(headers["access-control-max-age"], "300");
        assert!(headers["access-control-allow-headers"].to_str().unwrap().ends_with(",X-Custom"));
    }

    #[test]
    fn a_star_is_every_origin() {
        let config =
            CorsConfig { enabled: true, allowed_origins: vec!["*".to_owned()], ..CorsConfig::default() };
        let Crossing::Allowed(headers) = judged(&config, "GET", &[("origin", "http://z")]) else { panic!() };
        assert_eq!(headers["access-control-allow-origin"], "http://z");
    }
}
