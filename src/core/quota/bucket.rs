//! One address's count under one rule. Pure: a moment in, a verdict out.
//!
//! Windows are as long as the rule's interval and follow each other from the first request on; each begins with the full
//! number. That is the server's way: up to twice the rate may pass around the border of two windows.

use time::OffsetDateTime;

const NANOS: i128 = 1_000_000_000;

/// What a rule allows an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    /// Requests a window, at least 1.
    pub(super) tokens: u64,
    /// At least 1.
    pub(super) interval_secs: u64,
    /// 0: an address that exceeds waits for the next window only.
    pub(super) block_secs: u64,
}

/// How a client stands, as the headers of an answer tell it; empty where clients are not told. Whole seconds, cut off.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing {
    /// Of the window: limit, what remains of it, seconds to its end. `None` while the address is blocked.
    pub window: Option<(u64, u64, u64)>,
    /// When to come again; only where the request was refused.
    pub retry_after_secs: Option<u64>,
}

/// The outcome for one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) allowed: bool,
    pub(super) standing: Standing,
}

/// Moments in nanoseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bucket {
    window_end: i128,
    left: u64,
    blocked_until: i128,
}

// === impl Bucket ===

impl Bucket {
    pub(super) fn new(limits: Limits, now: OffsetDateTime) -> Self {
        let window_end = now.unix_timestamp_nanos() + i128::from(limits.interval_secs) * NANOS;
        Self { window_end, left: limits.tokens, blocked_until: 0 }
    }

    /// Takes one request.
    pub(super) fn take(&mut self, limits: Limits, now: OffsetDateTime) -> Taken {
        let now = now.unix_timestamp_nanos();
        if now < self.blocked_until {
            let standing =
                Standing { window: None, retry_after_secs: Some(secs_before(self.blocked_until, now)) };
            return Taken { allowed: false, standing };
        }
        self.roll(limits, now);
        let allowed = self.left > 0;
        self.left = self.left.saturating_sub(1);
        let reset = secs_before(self.window_end, now);
        let mut retry_after_secs = (!allowed).then_some(reset);
        if !allowed && limits.block_secs > 0 {
            self.blocked_until = now + i128::from(limits.block_secs) * NANOS;
            retry_after_secs = Some(secs_before(self.blocked_until, now));
        }
        let window = Some((limits.tokens, self.left, reset));
        Taken { allowed, standing: Standing { window, retry_after_secs } }
    }

    fn roll(&mut self, limits: Limits, now: i128) {
        if now < self.window_end {
            return;
        }
        let interval = i128::from(limits.interval_secs) * NANOS;
        let passed = (now - self.window_end) / interval + 1;
        self.window_end += passed * interval;
        self.left = limits.tokens;
    }

    /// Whether it says no more than a new one would.
    pub(super) fn is_over(&self, now: OffsetDateTime) -> bool {
        let now = now.unix_timestamp_nanos();
        now >= self.window_end && now >= self.blocked_until
    }
}

/// Whole seconds left, as the server tells them: it looks a moment later, so that a minute that has just begun is 59.
fn secs_before(end: i128, now: i128) -> u64 {
    u64::try_from((end - now - 1).max(0) / NANOS).unwrap_or(u64::MAX)
}
