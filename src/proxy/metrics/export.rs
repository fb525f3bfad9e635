//! The names: every family of the exposition with its HELP text, in one list.
use prometheus::proto::MetricFamily;
use std::time::Instant;

use crate::proxy::snapshot::Snapshot;

use super::Metrics;
use super::family::Families;

pub(super) fn families(_metrics: &Metrics, _snapshot: &Snapshot, _now: Instant) -> Vec<MetricFamily> {
    Families::default().into_inner()
}
