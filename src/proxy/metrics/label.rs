//! The closed label sets. A value that is not in one of these enums cannot reach a metric.

use crate::api::classify::{Class, Source};
use crate::config::proxy::ConsistencyMode;
use crate::proxy::observation::FailureKind;
use crate::proxy::snapshot::Role;

/// A closed set of label values, numbered from 0 without gaps.
pub trait Label: Copy {
    /// The words in number order.
    const WORDS: &'static [&'static str];

    /// The value's number: its position in [`Label::WORDS`].
    fn index(self) -> usize;

    /// The value as it appears in the exposition.
    fn word(self) -> &'static str {
        Self::WORDS.get(self.index()).copied().unwrap_or("other")
    }
}

macro_rules! labels {
    ($($(#[$about:meta])* $name:ident { $($value:ident = $word:literal),+ $(,)? })+) => { $(
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $($value),+ }

        impl Label for $name {
            const WORDS: &'static [&'static str] = &[$($word),+];

            fn index(self) -> usize {
                self as usize
            }
        }
    )+ };
}

macro_rules! label_of {
    ($($name:ident { $($value:ident = $number:literal $word:literal),+ $(,)? })+) => { $(
        impl Label for $name {
            const WORDS: &'static [&'static str] = &[$($word),+];

            fn index(self) -> usize {
                match self { $(Self::$value => $number),+ }
            }
        }
    )+ };
}

labels! {
    /// Where a request was finally answered.
    RoleLabel {
        Active = "active",
        Standby = "standby",
        PerfStandby = "perf_standby",
        DrSecondary = "dr_secondary",
        None = "none",
    }

    /// Class of the status sent to the client.
    CodeClass { C1xx = "1xx", C2xx = "2xx", C3xx = "3xx", C4xx = "4xx", C5xx = "5xx" }

    /// The method as the client wrote it.
    MethodLabel {
        Get = "GET", Put = "PUT", Post = "POST", Delete = "DELETE", List = "LIST",
        Patch = "PATCH", Head = "HEAD", Scan = "SCAN", Other = "other",
    }

    /// How the prediction "who can answer this" turned out.
    PredictionOutcome {
        Correct = "correct",
        Forwarded = "forwarded",
        Redirected = "redirected",
        UnneededActive = "unneeded_active",
        Unverifiable = "unverifiable",
    }

    /// How a consistency floor was met.
    ConsistencyOutcome {
        NoFloor = "no_floor",
        Satisfied = "satisfied",
        OtherStandby = "other_standby",
        Waited = "waited",
        ToActive = "to_active",
        Timeout = "timeout",
        Rejected = "rejected",
    }

    /// Why an attempt was made again.
    RetryReason {
        Connect = "connect",
        Refused = "refused",
        NotLeader = "not_leader",
        StaleIndex = "stale_index",
        Reset = "reset",
        Gateway = "gateway",
    }

    /// How the further attempt ended.
    RetryOutcome { Ok = "ok", Failed = "failed" }

    /// Why something from the client side was turned away.
    Rejected {
        Limit = "limit",
        Acl = "acl",
        Tls = "tls",
        HeaderTimeout = "header_timeout",
        BadRequest = "bad_request",
        TooLarge = "too_large",
        Rate = "rate",
    }

    /// Protocol of a client connection.
    ClientProto { H1 = "h1", H2 = "h2" }

    /// Whether a client connection is encrypted.
    TlsLabel { No = "false", Yes = "true" }

    /// How opening a connection to a server ended.
    ConnectResult { Ok = "ok", Refused = "refused", Timeout = "timeout", Tls = "tls", Other = "other" }

    /// What a pooled connection is doing.
    ConnectionState { Active = "active", Idle = "idle" }

    /// Which bound of a server was hit.
    OverflowKind { Connections = "connections", Pending = "pending" }

    /// How a health check ended.
    CheckResult {
        Ok = "ok",
        BadStatus = "bad_status",
        Timeout = "timeout",
        Connect = "connect",
        Tls = "tls",
        Parse = "parse",
    }

    /// How a configuration reload ended.
    ReloadResult { Ok = "ok", Failed = "failed" }

    /// What was thrown away because its bounded queue was full.
    Dropped { AccessLog = "access_log", Observation = "observation" }

    /// The statuses that get their own `status` label; anything else is `other`.
    StatusLabel {
        S101 = "101", S200 = "200", S204 = "204", S301 = "301", S304 = "304", S307 = "307",
        S400 = "400", S403 = "403", S404 = "404", S405 = "405", S408 = "408", S412 = "412",
        S413 = "413", S415 = "415", S429 = "429", S431 = "431", S472 = "472", S473 = "473",
        S500 = "500", S501 = "501", S502 = "502", S503 = "503", S504 = "504", Other = "other",
    }
}

label_of! {
    Class { Read = 0 "read", Write = 1 "write", Local = 2 "local", Unknown = 3 "unknown" }
    Source {
        Rule = 0 "rule", Builtin = 1 "builtin", Learned = 2 "learned", Header = 3 "header",
        Fallback = 4 "fallback",
    }
    ConsistencyMode { Eventual = 0 "eventual", Session = 1 "session", Global = 2 "global", Strong = 3 "strong" }
    FailureKind {
        Connect = 0 "connect", Reset = 1 "reset", Timeout = 2 "timeout", Gateway = 3 "gateway",
        Garbage = 4 "garbage",
    }
    Role {
        Active = 0 "active", Standby = 1 "standby", PerfStandby = 2 "perf_standby",
        DrSecondary = 3 "dr_secondary", Sealed = 4 "sealed", Uninitialized = 5 "uninitialized",
        Unhealthy = 6 "unhealthy", Removed = 7 "removed", Foreign = 8 "foreign",
        Unreachable = 9 "unreachable", Unknown = 10 "unknown",
    }
}

impl From<Role> for RoleLabel {
    fn from(role: Role) -> Self {
        match role {
            Role::Active => Self::Active,
            Role::Standby => Self::Standby,
            Role::PerfStandby => Self::PerfStandby,
            Role::DrSecondary => Self::DrSecondary,
            Role::Sealed
            | Role::Uninitialized
            | Role::Unhealthy
            | Role::Removed
            | Role::Foreign
            | Role::Unreachable
            | Role::Unknown => Self::None,
        }
    }
}

impl From<&http::Method> for MethodLabel {
    fn from(method: &http::Method) -> Self {
        match method.as_str() {
            "GET" => Self::Get,
            "PUT" => Self::Put,
            "POST" => Self::Post,
            "DELETE" => Self::Delete,
            "LIST" => Self::List,
            "PATCH" => Self::Patch,
            "HEAD" => Self::Head,
            "SCAN" => Self::Scan,
            _ => Self::Other,
        }
    }
}

impl From<bool> for TlsLabel {
    fn from(tls: bool) -> Self {
        if tls { Self::Yes } else { Self::No }
    }
}

impl CodeClass {
    /// The class of a status; what is outside 100..=599 was never a good answer and counts as `5xx`.
    #[must_use]
    pub fn of(status: u16) -> Self {
        match status {
            100..=199 => Self::C1xx,
            200..=299 => Self::C2xx,
            300..=399 => Self::C3xx,
            400..=499 => Self::C4xx,
            _ => Self::C5xx,
        }
    }
}

impl StatusLabel {
    /// The label of a status.
    #[must_use]
    pub fn of(status: u16) -> Self {
        match status {
            101 => Self::S101,
            200 => Self::S200,
            204 => Self::S204,
            301 => Self::S301,
            304 => Self::S304,
            307 => Self::S307,
            400 => Self::S400,
            403 => Self::S403,
            404 => Self::S404,
            405 => Self::S405,
            408 => Self::S408,
            412 => Self::S412,
            413 => Self::S413,
            415 => Self::S415,
            429 => Self::S429,
            431 => Self::S431,
            472 => Self::S472,
            473 => Self::S473,
            500 => Self::S500,
            501 => Self::S501,
            502 => Self::S502,
            503 => Self::S503,
            504 => Self::S504,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_numbers_agree() {
        assert_eq!(Role::Unknown.index(), Role::WORDS.len() - 1);
        assert_eq!(Role::Foreign.word(), "foreign");
        assert_eq!(Source::Fallback.word(), "fallback");
        assert_eq!(ConsistencyMode::Strong.word(), "strong");
        assert_eq!(FailureKind::Garbage.word(), "garbage");
        assert_eq!(Class::Unknown.word(), "unknown");
        assert_eq!(Rejected::Rate.word(), "rate");
    }

    #[test]
    fn statuses_fall_into_closed_sets() {
        for status in 0..=999_u16 {
            let word = StatusLabel::of(status).word();
            assert!(word == "other" || word == status.to_string(), "{status} became {word}");
        }
        assert_eq!(CodeClass::of(473), CodeClass::C4xx);
        assert_eq!(CodeClass::of(999), CodeClass::C5xx);
    }

    #[test]
    fn methods_outside_the_set_are_other() {
        assert_eq!(MethodLabel::from(&http::Method::GET), MethodLabel::Get);
        let odd = http::Method::from_bytes(b"BREW").unwrap();
        assert_eq!(MethodLabel::from(&odd), MethodLabel::Other);
    }
}
