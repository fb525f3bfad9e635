//! `retry` and `timeouts`: when a request is sent again, and when it is given up.

use std::time::Duration;

use super::field::{Field, List};
use super::proxy::{Retry, RetryBudget, RetryOn, Timeouts};
use super::raw::{RawBackoff, RawRetry, RawRetryBudget, RawTimeouts};
use super::report::Report;
use super::unit::Time;

/// Further attempts: with three nodes, each is tried once.
const ATTEMPTS: u32 = 2;
/// Time for one attempt: a third of Vault's own limit, so two retries still fit.
const PER_TRY_TIMEOUT: Duration = Duration::from_secs(30);
/// Causes that prove the request did not run, so they are safe for writes too.
const ON: [RetryOn; 4] =
    [RetryOn::ConnectFailure, RetryOn::RefusedStream, RetryOn::NotLeader, RetryOn::StaleIndex];
/// Causes that prove nothing, so they are for reads only.
const ON_READ: [RetryOn; 2] = [RetryOn::Reset, RetryOn::GatewayError];
/// Part of the requests in flight that may be retries: a failing cluster is not hit harder.
const BUDGET: f64 = 0.2;
/// Retries always allowed, or a quiet proxy could not retry at all.
const BUDGET_MIN_CONCURRENT: u32 = 3;
/// First pause: longer than a connection reset takes to be noticed by both sides.
const BACKOFF_BASE: Duration = Duration::from_millis(25);
/// Longest pause: short against `hold_writes`.
const BACKOFF_MAX: Duration = Duration::from_millis(250);
/// Bytes of a request body kept for a retry: nearly every body; larger ones are sent once.
const BUFFER_BYTES: usize = 64 << 10;
/// Time for a request: above Vault's own 90 s, so that its error reaches the client and not ours.
const REQUEST: Duration = Duration::from_secs(95);

/// Causes that are no proof, so writes must not be repeated after them.
const UNPROVEN: [RetryOn; 2] = ON_READ;

/// `request` is the limit on the whole request, which bounds the default for one attempt.
pub(crate) fn convert(raw: RawRetry, request: Duration, report: &Report) -> Retry {
    let per_try_timeout = raw.per_try_timeout.or(PER_TRY_TIMEOUT.min(request));
    let (backoff_base, backoff_max) = backoff(raw.backoff.section(), report);
    let buffer_bytes =
        report.within("retry.buffer_bytes", raw.buffer_bytes.or(BUFFER_BYTES as u64), 0..=16 << 20);
    check_proof(&raw.on, report);
    Retry {
        attempts: report.within("retry.attempts", raw.attempts.or(ATTEMPTS), 0..=10),
        per_try_timeout: report.no_shorter(
            "retry.per_try_timeout",
            per_try_timeout,
            Duration::from_millis(10),
        ),
        on: causes(raw.on, &ON),
        on_read: causes(raw.on_read, &ON_READ),
        budget: budget(&raw.budget.section()),
        backoff_base,
        backoff_max,
        buffer_bytes: usize::try_from(buffer_bytes).unwrap_or(usize::MAX),
    }
}

fn check_proof(on: &List<RetryOn>, report: &Report) {
    let Field::Given(causes) = on else { return };
    for (number, cause) in causes.iter().enumerate() {
        if let Field::Given(cause) = cause
            && UNPROVEN.contains(cause)
        {
            let message = format!("`{}` does not prove that a write did not run", word(*cause));
            report.error_help(&format!("retry.on[{number}]"), "unsafe", message, "move it to on_read");
        }
    }
}

/// An empty list means "never"; only an absent one means the default.
fn causes(raw: List<RetryOn>, default: &[RetryOn]) -> Vec<RetryOn> {
    if raw.is_absent() { default.to_vec() } else { raw.list() }
}

fn word(cause: RetryOn) -> String {
    serde_json::to_value(cause).ok().and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default()
}

fn budget(raw: &RawRetryBudget) -> RetryBudget {
    let share = raw.percent.clone().or(BUDGET);
    RetryBudget { share, min_concurrent: raw.min_concurrent.or(BUDGET_MIN_CONCURRENT) }
}

fn backoff(raw: RawBackoff, report: &Report) -> (Duration, Duration) {
    let base = raw.base.or(BACKOFF_BASE);
    let max_given = !raw.max.is_absent();
    let max = raw.max.or(BACKOFF_MAX.max(base));
    if max_given && max < base {
        report.error("retry.backoff.max", "range", "`max` is shorter than `base`");
    }
    (base, max)
}

pub(crate) fn timeouts(raw: RawTimeouts, report: &Report) -> Timeouts {
    let request: Field<Time> = raw.request;
    Timeouts {
        request: report.no_shorter("timeouts.request", request.or(REQUEST), Duration::from_millis(100)),
    }
}
