//! `runtime`: the process itself.

use std::time::Duration;

use super::field::Field;
use super::proxy::{Log, LogFormat, LogLevel, LogOutput, Runtime};
use super::raw::{RawLog, RawRuntime};
use super::report::Report;
use super::unit::Workers;

/// Connections. An idle one costs about 10 kB, so a full house stays near 200 MB; above it accept waits.
const MAX_CONNECTIONS: usize = 20_000;
/// Time. Longer than nearly every request, shorter than the 90 s after which systemd kills.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(30);
/// Level. Leader changes and reloads are info; requests belong to the access log.
const LOG_LEVEL: LogLevel = LogLevel::Info;
/// Format. Log collectors read JSON; people can ask for text.
const LOG_FORMAT: LogFormat = LogFormat::Json;
/// Output. stdout is left to the access log.
const LOG_OUTPUT: LogOutput = LogOutput::Stderr;

pub(crate) fn convert(raw: RawRuntime, report: &Report) -> Runtime {
    let max_connections = raw.max_connections.or(MAX_CONNECTIONS);
    Runtime {
        workers: workers(raw.workers),
        max_connections: report.within("runtime.max_connections", max_connections, 1..=10_000_000),
        shutdown_grace: raw.shutdown_grace.or(SHUTDOWN_GRACE),
        log: log(raw.log.section()),
    }
}

/// `auto`: the cores this process may use, which counts its CPU set and cgroup quota.
fn workers(raw: Field<Workers>) -> usize {
    let given = raw.given().and_then(|Workers(number)| number);
    given.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
}

fn log(raw: RawLog) -> Log {
    Log {
        level: raw.level.or(LOG_LEVEL),
        format: raw.format.or(LOG_FORMAT),
        output: raw.output.or(LOG_OUTPUT),
    }
}
