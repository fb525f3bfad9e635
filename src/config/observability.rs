//! `observability`: the access log and trace headers.

use super::proxy::{AccessLog, LogOutput, LoggedPaths, Observability};
use super::raw::{Propagate, RawAccessLog, RawObservability};

/// Output of the access log: stdout, the process's own log has stderr.
const ACCESS_LOG_OUTPUT: LogOutput = LogOutput::Stdout;
/// Part of the successful requests written.
const SAMPLE: f64 = 1.0;
/// Paths are written as templates: names of secrets are secrets to many.
const PATHS: LoggedPaths = LoggedPaths::Template;

/// The access log is off unless its section is there: a line a request is a cost to choose.
pub(crate) fn convert(raw: RawObservability) -> Observability {
    let tracing = raw.tracing.section();
    Observability {
        access_log: raw.access_log.given().map(access_log),
        propagate_trace: tracing.propagate.or(Propagate::W3c) == Propagate::W3c,
    }
}

fn access_log(raw: RawAccessLog) -> AccessLog {
    AccessLog {
        output: raw.output.or(ACCESS_LOG_OUTPUT),
        sample: raw.sample.or(SAMPLE),
        paths: raw.paths.or(PATHS),
    }
}
