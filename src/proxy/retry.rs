//! What to do with an attempt that gave no usable answer: a pure table.
//!
//! The rule behind every line: a request is sent again only when it certainly did not run, or when it is a read
//! that consumes nothing. A write that may have run is reported as in doubt, never repeated (proxies.md §6.2).

use crate::config::proxy::{Retry, RetryOn};

/// How an attempt ended when it did not end with an answer for the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ended {
    /// No connection; nothing was sent.
    Connect,
    /// Too many wait for this server's connections; nothing was sent.
    Overflow,
    /// The connection broke before an answer.
    Broken { sent: bool },
    /// The attempt's time was up.
    TimedOut { sent: bool },
    /// The answer was not HTTP, or broke off inside a body that was being collected.
    Garbage,
    /// 307, or "not active": the server says it did not run it.
    NotLeader,
    /// 412, or OpenBao's stale 429: the server says it did not run it.
    StaleIndex,
    /// The server answered 502, 503 or 504.
    Gateway,
}

/// What the table needs to know of the request.
#[derive(Debug, Clone, Copy)]
pub struct Request {
    /// A read by class *and* method that consumes nothing.
    pub idempotent: bool,
    /// The body is still there to be sent again.
    pub replayable: bool,
    /// Attempts still allowed by `retry.attempts`.
    pub left: u32,
    /// The retry budget has room.
    pub budget: bool,
}

/// The table's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Try again on another server where there is one.
    Again(RetryOn),
    /// It did not run; wait (bounded) until the active node is known, then send it there.
    AwaitLeader,
    /// Ask the active node, which is never behind.
    AskActive,
    /// Give the server's own answer to the client.
    PassOn,
    /// It did not run and will not be tried again.
    GiveUp,
    /// It may have run: say so.
    InDoubt,
}

/// Decides.
#[must_use]
pub fn decide(ended: Ended, request: Request, settings: &Retry) -> Verdict {
    match ended {
        Ended::NotLeader if request.replayable => Verdict::AwaitLeader,
        Ended::StaleIndex if request.replayable => Verdict::AskActive,
        Ended::NotLeader => Verdict::GiveUp,
        Ended::StaleIndex => Verdict::PassOn,
        Ended::Overflow => again(ended, RetryOn::ConnectFailure, request, settings, true, Verdict::GiveUp),
        Ended::Connect => again(ended, RetryOn::ConnectFailure, request, settings, true, Verdict::GiveUp),
        Ended::Broken { sent: false } => {
            again(ended, RetryOn::ConnectFailure, request, settings, true, Verdict::GiveUp)
        }
        Ended::TimedOut { sent: false } => {
            again(ended, RetryOn::ConnectFailure, request, settings, true, Verdict::GiveUp)
        }
        Ended::Broken { sent: true } | Ended::TimedOut { sent: true } | Ended::Garbage => {
            again(ended, RetryOn::Reset, request, settings, request.idempotent, in_doubt(request))
        }
        Ended::Gateway => {
            again(ended, RetryOn::GatewayError, request, settings, request.idempotent, Verdict::PassOn)
        }
    }
}

/// Nothing of the request left this proxy.
#[must_use]
pub fn was_not_sent(ended: Ended) -> bool {
    match ended {
        Ended::Connect
        | Ended::Overflow
        | Ended::Broken { sent: false }
        | Ended::TimedOut { sent: false } => true,
        Ended::Broken { sent: true }
        | Ended::TimedOut { sent: true }
        | Ended::Garbage
        | Ended::NotLeader
        | Ended::StaleIndex
        | Ended::Gateway => false,
    }
}

/// The budget keeps repetitions from burying a server that is alive but slow. A server that is gone cannot be
/// buried: when it dies, everything it was answering moves at once, and each request only once per server.
#[must_use]
pub fn needs_budget(ended: Ended) -> bool {
    !matches!(ended, Ended::Connect | Ended::Broken { .. })
}

fn in_doubt(request: Request) -> Verdict {
    if request.idempotent { Verdict::GiveUp } else { Verdict::InDoubt }
}

fn again(
    ended: Ended,
    reason: RetryOn,
    request: Request,
    settings: &Retry,
    safe: bool,
    otherwise: Verdict,
) -> Verdict {
    let affordable = request.budget || !needs_budget(ended);
    let wanted = settings.on.contains(&reason) || (request.idempotent && settings.on_read.contains(&reason));
    if safe && wanted && request.replayable && request.left > 0 && affordable {
        Verdict::Again(reason)
    } else {
        otherwise
    }
}

/// Retries in flight against requests in flight: `budget.share` of them, but at least `min_concurrent`.
#[must_use]
pub fn budget_allows(settings: &Retry, retries_in_flight: u32, requests_in_flight: u32) -> bool {
    let share = (settings.budget.share * f64::from(requests_in_flight)) as u32;
    retries_in_flight < share.max(settings.budget.min_concurrent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::proxy::RetryBudget;
    use std::time::Duration;

    fn settings() -> Retry {
        Retry {
            attempts: 2,
            per_try_timeout: Duration::from_secs(30),
            on: vec![
                RetryOn::ConnectFailure,
                RetryOn::RefusedStream,
                RetryOn::NotLeader,
                RetryOn::StaleIndex,
            ],
            on_read: vec![RetryOn::Reset, RetryOn::GatewayError],
            budget: RetryBudget { share: 0.2, min_concurrent: 3 },
            backoff_base: Duration::from_millis(25),
            backoff_max: Duration::from_millis(250),
            buffer_bytes: 65536,
        }
    }

    const WRITE: Request = Request { idempotent: false, replayable: true, left: 2, budget: true };
    const READ: Request = Request { idempotent: true, ..WRITE };
    const UPLOAD: Request = Request { replayable: false, ..WRITE };

    #[test]
    fn the_table() {
        use Ended::*;
        use Verdict::*;
        let connect = Again(RetryOn::ConnectFailure);
        let reset = Again(RetryOn::Reset);
        let gateway = Again(RetryOn::GatewayError);
        #[rustfmt::skip]
        let table = [
            //  ended                      write        read       upload
            (Connect,                   connect,     connect,   GiveUp),
            (Overflow,                  connect,     connect,   GiveUp),
            (Broken { sent: false },    connect,     connect,   GiveUp),
            (Broken { sent: true },     InDoubt,     reset,     InDoubt),
            (TimedOut { sent: false },  connect,     connect,   GiveUp),
            (TimedOut { sent: true },   InDoubt,     reset,     InDoubt),
            (Garbage,                   InDoubt,     reset,     InDoubt),
            (NotLeader,                 AwaitLeader, AwaitLeader, GiveUp),
            (StaleIndex,                AskActive,   AskActive, PassOn),
            (Gateway,                   PassOn,      gateway,   PassOn),
        ];
        for (ended, write, read, upload) in table {
            assert_eq!(decide(ended, WRITE, &settings()), write, "write {ended:?}");
            assert_eq!(decide(ended, READ, &settings()), read, "read {ended:?}");
            assert_eq!(decide(ended, UPLOAD, &settings()), upload, "upload {ended:?}");
        }
    }

    #[test]
    fn nothing_is_repeated_without_attempts_or_budget() {
        let tired = Request { left: 0, ..READ };
        let poor = Request { budget: false, ..READ };
        for request in [tired, poor] {
            assert_eq!(decide(Ended::TimedOut { sent: true }, request, &settings()), Verdict::GiveUp);
            assert_eq!(decide(Ended::Overflow, request, &settings()), Verdict::GiveUp);
            assert_eq!(decide(Ended::Gateway, request, &settings()), Verdict::PassOn);
        }
        assert_eq!(decide(Ended::Broken { sent: true }, tired, &settings()), Verdict::GiveUp);
        assert_eq!(
            decide(Ended::Broken { sent: true }, poor, &settings()),
            Verdict::Again(RetryOn::Reset),
            "a server that died moves everything it was answering"
        );
    }

    #[test]
    fn a_write_that_left_is_never_sent_twice_whatever_is_configured() {
        let mut eager = settings();
        eager.on.extend([RetryOn::Reset, RetryOn::GatewayError]);
        for ended in [Ended::Broken { sent: true }, Ended::TimedOut { sent: true }, Ended::Garbage] {
            assert_eq!(decide(ended, WRITE, &eager), Verdict::InDoubt);
        }
    }

    #[test]
    fn the_budget_is_a_share_with_a_floor() {
        let cases = [(0, 0, true), (2, 1, true), (3, 1, false), (19, 100, true), (20, 100, false)];
        for (retries, requests, allowed) in cases {
            assert_eq!(budget_allows(&settings(), retries, requests), allowed, "{retries} of {requests}");
        }
    }
}
