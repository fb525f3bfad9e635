//! The node's log: the command line's word, else the environment's, else the configuration's.

use super::{ServerArgs, ServerError};
use crate::config::node::model::Log;
use crate::config::node::{log_format, log_level};
use crate::config::proxy::{LogFormat, LogLevel, LogOutput};
use crate::telemetry::{self, LogControl};

/// What the command line changes of the configured log.
///
/// # Errors
/// A word that is none.
pub(super) fn chosen(args: &ServerArgs, configured: &Log) -> Result<Log, ServerError> {
    let level = args
        .log_level
        .as_deref()
        .map(|word| log_level(word).ok_or_else(|| ServerError::Usage(format!("unknown log level: {word}"))));
    let format = args.log_format.as_deref().map(|word| {
        log_format(word).ok_or_else(|| ServerError::Usage(format!("unknown log format: {word}")))
    });
    Ok(Log {
        level: level.transpose()?.unwrap_or(configured.level),
        format: format.transpose()?.unwrap_or(configured.format),
        output: args.log_file.clone().map_or_else(|| configured.output.clone(), LogOutput::File),
    })
}

/// Makes it the process's log.
///
/// # Errors
/// The file cannot be opened.
pub(super) fn install(log: &Log) -> Result<LogControl, ServerError> {
    let format = match log.format {
        LogFormat::Json => telemetry::Format::HclogJson,
        LogFormat::Text => telemetry::Format::HclogText,
    };
    let output = match &log.output {
        LogOutput::Stdout => telemetry::Output::Stdout,
        LogOutput::Stderr => telemetry::Output::Stderr,
        LogOutput::File(path) => telemetry::Output::File(path.clone()),
    };
    Ok(telemetry::install(level(log.level), format, &output)?)
}

pub(super) fn level(level: LogLevel) -> tracing::Level {
    match level {
        LogLevel::Error => tracing::Level::ERROR,
        LogLevel::Warn => tracing::Level::WARN,
        LogLevel::Info => tracing::Level::INFO,
        LogLevel::Debug => tracing::Level::DEBUG,
        LogLevel::Trace => tracing::Level::TRACE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_wins() {
        let configured = Log { level: LogLevel::Warn, format: LogFormat::Json, output: LogOutput::Stderr };
        assert_eq!(chosen(&ServerArgs::default(), &configured).unwrap(), configured);
        let args = ServerArgs {
            log_level: Some("DEBUG".into()),
            log_format: Some("standard".into()),
            log_file: Some("/log".into()),
            ..ServerArgs::default()
        };
        let log = chosen(&args, &configured).unwrap();
        assert_eq!((log.level, log.format), (LogLevel::Debug, LogFormat::Text));
        assert_eq!(log.output, LogOutput::File("/log".into()));
        let wrong = ServerArgs { log_level: Some("loud".into()), ..ServerArgs::default() };
        assert!(chosen(&wrong, &configured).is_err());
    }
}
