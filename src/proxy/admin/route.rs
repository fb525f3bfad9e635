//! Path and method → endpoint: the one table of what there is.

use http::Method;

use crate::config::proxy::AdminLevel;

use super::access::Needs;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Endpoint<'a> {
    Index,
    Live,
    Ready,
    Metrics,
    Reload,
    Drain,
    Shutdown,
    Status,
    Servers,
    Server(&'a str),
    ServerState(&'a str),
    ServerProbe(&'a str),
    Decisions,
    Errors,
    Explain,
    Learned,
    LearnedReset,
    Config,
    ConfigCheck,
    Certificates,
    LogLevel,
    Node(&'a str),
}

/// The endpoints in words, for `GET /`.
pub(super) const INDEX: &str = "\
Understudy admin

GET  /-/live                      the process answers
GET  /-/ready?require=active      a server (with require: the active one) can be used
GET  /metrics                     Prometheus text format
GET  /v1/status                   generation, leader, servers
GET  /v1/servers                  all servers
GET  /v1/servers/{name}           one server
POST /v1/servers/{name}/state     {\"state\": \"ready\" | \"drain\" | \"maint\"}
POST /v1/servers/{name}/probe     check its health now
GET  /v1/decisions?last=100       the last routing decisions
GET  /v1/errors                   the last malformed requests and answers
GET  /v1/explain?method=&path=    what would be done with a request; POST takes {\"method\", \"path\", \"headers\"}
GET  /v1/learned                  shapes learned from answers
POST /v1/learned/reset            forget them
GET  /v1/config                   the running configuration, secrets blanked
POST /v1/config/check             check a candidate (YAML body)
GET  /v1/certs                    certificates and when they end
GET  /v1/log-level                PUT takes {\"level\": \"debug\"}
POST /-/reload                    read the configuration again
POST /-/drain                     not ready any more, connections end with their request
POST /-/shutdown?grace=30         drain, then end
ANY  /node/{name}/v1/...          one server's own API, unchanged
";

impl<'a> Endpoint<'a> {
    /// `None`: there is no such path.
    pub(super) fn of(path: &'a str, metrics_path: &str) -> Option<Self> {
        if path == metrics_path {
            return Some(Self::Metrics);
        }
        Some(match path {
            "/" => Self::Index,
            "/-/live" => Self::Live,
            "/-/ready" => Self::Ready,
            "/-/reload" => Self::Reload,
            "/-/drain" => Self::Drain,
            "/-/shutdown" => Self::Shutdown,
            "/v1/status" => Self::Status,
            "/v1/servers" => Self::Servers,
            "/v1/decisions" => Self::Decisions,
            "/v1/errors" => Self::Errors,
            "/v1/explain" => Self::Explain,
            "/v1/learned" => Self::Learned,
            "/v1/learned/reset" => Self::LearnedReset,
            "/v1/config" => Self::Config,
            "/v1/config/check" => Self::ConfigCheck,
            "/v1/certs" => Self::Certificates,
            "/v1/log-level" => Self::LogLevel,
            other => return Self::of_one_server(other),
        })
    }

    fn of_one_server(path: &'a str) -> Option<Self> {
        if let Some(rest) = path.strip_prefix("/node/") {
            let (name, api) = rest.split_once('/')?;
            return (!name.is_empty() && api.starts_with("v1/")).then_some(Self::Node(name));
        }
        let rest = path.strip_prefix("/v1/servers/")?;
        let (name, what) = rest.split_once('/').unwrap_or((rest, ""));
        match what {
            _ if name.is_empty() => None,
            "" if !rest.ends_with('/') => Some(Self::Server(name)),
            "state" => Some(Self::ServerState(name)),
            "probe" => Some(Self::ServerProbe(name)),
            _ => None,
        }
    }

    /// Whether the method fits.
    ///
    /// # Errors
    /// The methods that do, for `Allow`.
    pub(super) fn takes(self, method: &Method) -> Result<(), &'static str> {
        let allowed = self.methods();
        let fits = allowed == "ANY" || allowed.split(", ").any(|word| word == method.as_str());
        if fits { Ok(()) } else { Err(allowed) }
    }

    fn methods(self) -> &'static str {
        match self {
            Self::Index
            | Self::Live
            | Self::Ready
            | Self::Metrics
            | Self::Status
            | Self::Servers
            | Self::Server(_)
            | Self::Decisions
            | Self::Errors
            | Self::Learned
            | Self::Config
            | Self::Certificates => "GET, HEAD",
            Self::Reload
            | Self::Drain
            | Self::Shutdown
            | Self::ServerState(_)
            | Self::ServerProbe(_)
            | Self::LearnedReset
            | Self::ConfigCheck => "POST",
            Self::Explain => "GET, HEAD, POST",
            Self::LogLevel => "GET, HEAD, PUT",
            Self::Node(_) => "ANY",
        }
    }

    /// Reading is a viewer's, changing and the nodes themselves an operator's. Explaining changes nothing.
    pub(super) fn needs(self, method: &Method) -> Needs {
        let reads = matches!(*method, Method::GET | Method::HEAD);
        if matches!(self, Self::Live | Self::Ready) {
            Needs::Nobody
        } else if matches!(self, Self::Explain) || (reads && !matches!(self, Self::Node(_))) {
            Needs::Level(AdminLevel::Viewer)
        } else {
            Needs::Level(AdminLevel::Operator)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_to_endpoints() {
        let cases = [
            ("/metrics", Some(Endpoint::Metrics)),
            ("/v1/servers/n1", Some(Endpoint::Server("n1"))),
            ("/v1/servers/n1/", None),
            ("/v1/servers/", None),
            ("/v1/servers/n1/state", Some(Endpoint::ServerState("n1"))),
            ("/v1/servers/n1/state/x", None),
            ("/v1/servers/n1/weight", None),
            ("/node/n1/v1/sys/unseal", Some(Endpoint::Node("n1"))),
            ("/node/n1/v1", None),
            ("/node//v1/sys", None),
            ("/node/n1/ui/", None),
            ("/nowhere", None),
        ];
        for (path, expected) in cases {
            assert_eq!(Endpoint::of(path, "/metrics"), expected, "{path}");
        }
        assert_eq!(Endpoint::of("/metrics", "/prom"), None);
    }

    #[test]
    fn every_listed_endpoint_exists_and_takes_its_method() {
        let lines = INDEX.lines().filter(|line| line.contains(" /"));
        let mut seen = 0;
        for line in lines {
            let mut words = line.split_ascii_whitespace();
            let method = words.next().unwrap().replace("ANY", "PATCH");
            let path =
                words.next().unwrap().split('?').next().unwrap().replace("{name}", "n1").replace("...", "x");
            let endpoint = Endpoint::of(&path, "/metrics").unwrap_or_else(|| panic!("{path}"));
            assert_eq!(endpoint.takes(&Method::from_bytes(method.as_bytes()).unwrap()), Ok(()), "{line}");
            seen += 1;
        }
        assert_eq!(seen, 21);
    }

    #[test]
    fn changing_needs_an_operator() {
        let operator = Needs::Level(AdminLevel::Operator);
        for (method, path) in [
            (Method::POST, "/-/reload"),
            (Method::POST, "/-/shutdown"),
            (Method::PUT, "/v1/log-level"),
            (Method::POST, "/v1/servers/n1/state"),
            (Method::GET, "/node/n1/v1/sys/metrics"),
        ] {
            assert_eq!(Endpoint::of(path, "/metrics").unwrap().needs(&method), operator, "{path}");
        }
        assert_eq!(Endpoint::LogLevel.needs(&Method::GET), Needs::Level(AdminLevel::Viewer));
    }
}
