//! `understudy proxy`: read the configuration, set up the log, serve until drained.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use crate::config::proxy::{Log, LogFormat, LogLevel, LogOutput, ProxyConfig};
use crate::config::{self, Loaded, finding};
use crate::proxy::runtime::{self, Addresses, Source, Start};
use crate::telemetry::{self, LogControl};

/// `understudy proxy -config FILE`
#[derive(Debug, Clone, clap::Args)]
pub struct ProxyArgs {
    /// The configuration file (YAML).
    #[arg(long, short, value_name = "FILE")]
    pub config: PathBuf,
}

/// Runs the proxy. Exit codes: 0 drained, 1 a bad configuration or a start that failed.
#[must_use]
pub fn run(args: &ProxyArgs, notify: Option<OsString>) -> ExitCode {
    let file = args.config.display().to_string();
    let Loaded { config, findings } = config::load(&args.config);
    if !findings.is_empty() {
        eprint!("{}", finding::render(&file, &findings));
    }
    let Some(config) = config else { return ExitCode::FAILURE };
    let text = match std::fs::read_to_string(&args.config) {
        Ok(text) => text,
        Err(error) => return failed(&format!("{file}: {error}")),
    };
    let log = match install_log(&config.runtime.log) {
        Ok(log) => log,
        Err(error) => return failed(&error),
    };
    let start = Start {
        config: Arc::new(config),
        text,
        source: Source::File(args.config.clone()),
        log: Some(log),
        notify,
    };
    match block_on(start) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

/// Serves a configuration made by this program (`understudy dev`): blocks until SIGINT or SIGTERM drained it.
///
/// # Errors
/// One sentence: why it could not serve.
pub fn serve(config: ProxyConfig) -> Result<(), String> {
    let log = install_log(&config.runtime.log)?;
    block_on(Start {
        config: Arc::new(config),
        text: String::new(),
        source: Source::Memory,
        log: Some(log),
        notify: None,
    })
}

fn block_on(start: Start) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start the runtime: {error}"))?;
    // A core dump of a proxy holds tokens.
    if let Err(error) = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)
    {
        tracing::warn!(%error, "core dumps stay on");
    }
    runtime.block_on(runtime::serve(start, say_addresses)).map_err(|error| error.to_string())
}

fn say_addresses(addresses: &Addresses) {
    for (name, address) in &addresses.listeners {
        tracing::info!(listener = %name, %address, "listening");
    }
    if let Some(admin) = &addresses.admin {
        tracing::info!(%admin, "admin listening");
    }
}

fn install_log(log: &Log) -> Result<LogControl, String> {
    let level = match log.level {
        LogLevel::Error => tracing::Level::ERROR,
        LogLevel::Warn => tracing::Level::WARN,
        LogLevel::Info => tracing::Level::INFO,
        LogLevel::Debug => tracing::Level::DEBUG,
        LogLevel::Trace => tracing::Level::TRACE,
    };
    let format = match log.format {
        LogFormat::Json => telemetry::Format::Json,
        LogFormat::Text => telemetry::Format::Text,
    };
    let output = match &log.output {
        LogOutput::Stdout => telemetry::Output::Stdout,
        LogOutput::Stderr => telemetry::Output::Stderr,
        LogOutput::File(path) => telemetry::Output::File(path.clone()),
    };
    telemetry::install(level, format, &output).map_err(|error| error.to_string())
}

fn failed(why: &str) -> ExitCode {
    eprintln!("understudy proxy: {why}");
    ExitCode::FAILURE
}
