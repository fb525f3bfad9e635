//! What the transactions of a barrier took, for `sys/metrics`.

use crate::meter::Timer;

/// See the module.
#[derive(Debug, Default)]
pub struct BarrierMeters {
    /// A read of one value, from the snapshot.
    pub get: Timer,
    /// The sealing of one value.
    pub put: Timer,
    pub delete: Timer,
    pub list: Timer,
}

/// Times `work` where somebody counts.
pub(super) fn time<T>(timer: Option<&Timer>, work: impl FnOnce() -> T) -> T {
    match timer {
        Some(timer) => timer.time(work),
        None => work(),
    }
}
