//! The path of a request line: what is asked for, or where it should have been asked, in the words of Go's server.

use http::header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION, STRICT_TRANSPORT_SECURITY};
use http::{HeaderValue, Method, Response, StatusCode, Uri};

use super::body::AnswerBody;
use crate::core::answer::Answered;
use crate::path::{self, InvalidPath, PathView, Unclean};

/// What a path leads to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Below `/v1/`, decoded once.
    Api(String),
    /// The clean path, with the query.
    Redirect(String),
    Refused(Answered),
    /// Go's server itself says no, before any handler: 400 with this text and none of the API's headers.
    Malformed(&'static str),
}

/// Reads the path of `uri`.
pub(super) fn of(uri: &Uri) -> Place {
    let missing = || Place::Refused(Answered::errors(404, ""));
    match path::canonical(uri.path()) {
        // A folder to Go's mux, and so the only name that is sent on to itself with a slash.
        PathView::Clean(clean) if clean == "/v1/sys" => Place::Redirect(format!("/v1/sys/{}", query(uri))),
        PathView::Clean(clean) => {
            clean.strip_prefix("/v1/").map_or_else(missing, |inside| Place::Api(inside.to_owned()))
        }
        PathView::Unclean(_) if !uri.path().starts_with("/v1/") => missing(),
        PathView::Invalid(InvalidPath::BadEscape) => Place::Malformed("400 Bad Request"),
        PathView::Invalid(InvalidPath::Unprintable) | PathView::Unclean(Unclean::NotUtf8) => {
            Place::Malformed("")
        }
        PathView::Unclean(_) if has_unclean_segment(uri.path()) => Place::Redirect(cleaned(uri)),
        // Only once it is decoded: no redirect helps, and nothing has such a name.
        PathView::Unclean(_) => Place::Refused(Answered::errors(400, "relative paths not supported")),
    }
}

fn has_unclean_segment(raw: &str) -> bool {
    let mut inside = raw.trim_start_matches('/').trim_end_matches('/').split('/');
    raw.contains("//") || inside.any(|segment| matches!(segment, "" | "." | ".."))
}

/// The path with empty, `.` and `..` segments resolved, as Go's mux redirects to it.
fn cleaned(uri: &Uri) -> String {
    let mut segments: Vec<&str> = Vec::new();
    for segment in uri.path().split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            _ => segments.push(segment),
        }
    }
    let slash = if uri.path().ends_with('/') && !segments.is_empty() { "/" } else { "" };
    format!("/{}{slash}{}", segments.join("/"), query(uri))
}

/// With its question mark.
fn query(uri: &Uri) -> String {
    uri.query().map(|query| format!("?{query}")).unwrap_or_default()
}

/// Go's answer to an unclean path: a page with a link for who reads pages.
pub(super) fn redirect(method: &Method, to: &str) -> Response<AnswerBody> {
    let page = match *method {
        Method::GET => format!("<a href=\"{}\">Temporary Redirect</a>.\n\n", escaped(to)),
        _ => String::new(),
    };
    let mut response = Response::new(AnswerBody::whole(page.into()));
    *response.status_mut() = StatusCode::TEMPORARY_REDIRECT;
    let headers = response.headers_mut();
    if let Ok(location) = HeaderValue::from_str(to) {
        headers.insert(LOCATION, location);
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers
        .insert(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000; includeSubDomains"));
    if matches!(*method, Method::GET | Method::HEAD) {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    }
    response
}

/// For an attribute of a page.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('"', "&#34;")
        .replace('\'', "&#39;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// See [`Place::Malformed`].
pub(super) fn malformed(text: &'static str) -> Response<AnswerBody> {
    let mut response = Response::new(AnswerBody::whole(text.into()));
    *response.status_mut() = StatusCode::BAD_REQUEST;
    if !text.is_empty() {
        let plain = HeaderValue::from_static("text/plain; charset=utf-8");
        response.headers_mut().insert(CONTENT_TYPE, plain);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_where_gos_server_leads_them() {
        let relative = || Place::Refused(Answered::errors(400, "relative paths not supported"));
        for (uri, place) in [
            ("/v1/kv/a", Place::Api("kv/a".to_owned())),
            ("/v1/kv/sl%2fash", Place::Api("kv/sl/ash".to_owned())),
            ("/v1/kv/a..b", Place::Api("kv/a..b".to_owned())),
            ("/v1/kv/...", Place::Api("kv/...".to_owned())),
            ("/v1", Place::Refused(Answered::errors(404, ""))),
            ("//v1/kv/a", Place::Refused(Answered::errors(404, ""))),
            ("/v2/../v1/kv/a", Place::Refused(Answered::errors(404, ""))),
            ("/v1/sys?x=1", Place::Redirect("/v1/sys/?x=1".to_owned())),
            ("/v1/sys/", Place::Api("sys/".to_owned())),
            ("/v1/kv1//a?x=1", Place::Redirect("/v1/kv1/a?x=1".to_owned())),
            ("/v1/kv1/../a", Place::Redirect("/v1/a".to_owned())),
            ("/v1/./a/", Place::Redirect("/v1/a/".to_owned())),
            ("/v1/a/..", Place::Redirect("/v1".to_owned())),
            ("/v1/kv/%2e%2e/a", relative()),
            ("/v1/kv/a/..%2fb", relative()),
            ("/v1/kv/a%2f%2fb", relative()),
            ("/v1/a%01", Place::Malformed("")),
            ("/v1/a%00x", Place::Malformed("")),
            ("/v1/%ff", Place::Malformed("")),
            ("/v1/a%zz", Place::Malformed("400 Bad Request")),
        ] {
            assert_eq!(of(&uri.parse().unwrap()), place, "{uri}");
        }
    }

    #[test]
    fn a_link_cannot_be_left() {
        assert_eq!(escaped("/v1/\"><b>&'"), "/v1/&#34;&gt;&lt;b&gt;&amp;&#39;");
    }
}
