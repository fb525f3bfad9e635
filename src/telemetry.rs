//! The application log and the build's identity.
//!
//! It knows formats and outputs, not what is worth logging. The settings here mirror the configuration's, because this
//! layer does not import it.

mod hclog;
mod loggers;
mod watch;

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer, Registry, fmt, reload};

use hclog::Hclog;
use loggers::Loggers;
use watch::{WatchLayer, Watchers};

pub use loggers::REST;
pub use watch::{Lines, TooManyWatchers, WATCHERS};

/// Which program this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Build {
    pub version: &'static str,
    /// The revision, when the packager sets `UNDERSTUDY_COMMIT` while compiling; else `unknown`.
    pub commit: &'static str,
}

/// This build.
pub const BUILD: Build = Build {
    version: env!("CARGO_PKG_VERSION"),
    commit: match option_env!("UNDERSTUDY_COMMIT") {
        Some(commit) => commit,
        None => "unknown",
    },
};

/// How the log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Json,
    Text,
    /// As a Vault server writes it.
    HclogText,
    HclogJson,
}

/// Where it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    Stdout,
    Stderr,
    File(PathBuf),
}

/// Changes the running log, and looks at it.
#[derive(Debug, Clone)]
pub struct LogControl {
    loggers: Arc<Mutex<Loggers>>,
    filter: reload::Handle<Targets, Registry>,
    watchers: Arc<Watchers>,
    /// What watchers want.
    watched: reload::Handle<Targets, Registry>,
    output: Shared,
}

/// Why the log could not be set up or changed.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error("cannot open the log file {}: {source}; check that the folder exists and is writable", path.display())]
    Open { path: PathBuf, source: io::Error },
    #[error("a log is already set up in this process")]
    Installed,
    #[error("the log is gone: {0}")]
    Gone(#[from] reload::Error),
    #[error(transparent)]
    Watchers(#[from] TooManyWatchers),
    #[error("unknown log level `{0}`; use error, warn, info, debug or trace")]
    UnknownLevel(String),
}

/// Sets up the process's log.
///
/// # Errors
/// The file cannot be opened, or a log was set up before.
pub fn install(level: Level, format: Format, output: &Output) -> Result<LogControl, LogError> {
    let (subscriber, control) = build(level, format, output)?;
    subscriber.try_init().map_err(|_installed| LogError::Installed)?;
    Ok(control)
}

/// The log without making it the process's, for tests too.
pub(crate) fn build(
    level: Level,
    format: Format,
    output: &Output,
) -> Result<(impl tracing::Subscriber + Send + Sync + use<>, LogControl), LogError> {
    let output = Shared::open(output)?;
    let (loggers, watchers) = (Loggers::new(level), Arc::<Watchers>::default());
    let (passing, filter) = reload::Layer::new(loggers.targets());
    let (wanted, watched) = reload::Layer::new(watchers.targets());
    let lines = fmt::layer().with_writer(output.clone()).with_target(true).with_ansi(false);
    let lines = match format {
        Format::Json => lines.json().flatten_event(true).boxed(),
        Format::Text => lines.boxed(),
        Format::HclogText => lines.event_format(Hclog::Text).boxed(),
        Format::HclogJson => lines.event_format(Hclog::Json).boxed(),
    };
    let layers = vec![
        lines.with_filter(passing).boxed(),
        WatchLayer(Arc::clone(&watchers)).with_filter(wanted).boxed(),
    ];
    let loggers = Arc::new(Mutex::new(loggers));
    Ok((Registry::default().with(layers), LogControl { loggers, filter, watchers, watched, output }))
}

// === impl LogControl ===
impl LogControl {
    /// The configured level.
    #[must_use]
    pub fn level(&self) -> &'static str {
        word(self.loggers.lock().configured())
    }

    /// Takes another level as the configured one, for every logger.
    ///
    /// # Errors
    /// The log ended.
    pub fn set_level(&self, level: Level) -> Result<(), LogError> {
        let mut loggers = self.loggers.lock();
        *loggers = Loggers::new(level);
        Ok(self.filter.reload(loggers.targets())?)
    }

    /// Every logger with its level, by name.
    #[must_use]
    pub fn loggers(&self) -> Vec<(&'static str, &'static str)> {
        self.loggers.lock().list().into_iter().map(|(name, level)| (name, word(level))).collect()
    }

    /// Gives every logger this level, or the configured one (`None`).
    ///
    /// # Errors
    /// The log ended.
    pub fn set_loggers(&self, level: Option<Level>) -> Result<(), LogError> {
        let mut loggers = self.loggers.lock();
        let level = level.unwrap_or_else(|| loggers.configured());
        loggers.set_all(level);
        Ok(self.filter.reload(loggers.targets())?)
    }

    /// Gives one logger this level, or the configured one (`None`). `false`: there is no such logger.
    ///
    /// # Errors
    /// The log ended.
    pub fn set_logger(&self, name: &str, level: Option<Level>) -> Result<bool, LogError> {
        let mut loggers = self.loggers.lock();
        let level = level.unwrap_or_else(|| loggers.configured());
        let known = loggers.set(name, level);
        self.filter.reload(loggers.targets())?;
        Ok(known)
    }

    /// The lines from now on, whatever the loggers let pass: in the JSON form or as text.
    ///
    /// # Errors
    /// Too many look already, or the log ended.
    pub fn watch(&self, level: LevelFilter, as_json: bool) -> Result<Lines, LogError> {
        let lines = self.watchers.add(level, if as_json { Hclog::Json } else { Hclog::Text })?;
        self.watched.reload(self.watchers.targets())?;
        Ok(lines)
    }

    /// To be called about once a second: watchers who have gone cost nothing any more, slow ones learn what they lost.
    pub fn tend_watchers(&self) {
        self.watchers.tend();
        let wanted = self.watchers.targets();
        let changed = self.watched.with_current(|now| *now != wanted);
        if changed.is_ok_and(|changed| changed)
            && let Err(error) = self.watched.reload(wanted)
        {
            tracing::error!(%error, "the log goes on making lines nobody reads");
        }
    }

    /// Ends what watchers read: the process is about to.
    pub fn end_watchers(&self) {
        self.watchers.clear();
        self.tend_watchers();
    }

    /// Opens the log file anew, after it was moved away.
    ///
    /// # Errors
    /// It cannot be opened; the old one stays in use.
    pub fn reopen(&self) -> Result<(), LogError> {
        self.output.reopen()
    }
}

/// The level of a word, in any case.
///
/// # Errors
/// It is not one of the five.
pub fn level(word: &str) -> Result<Level, LogError> {
    let known = [Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG, Level::TRACE];
    let level = known.into_iter().find(|level| level.as_str().eq_ignore_ascii_case(word));
    level.ok_or_else(|| LogError::UnknownLevel(word.chars().take(16).collect()))
}

fn word(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

/// The output, shared by the log and its control.
#[derive(Debug, Clone)]
struct Shared {
    place: Output,
    file: Arc<RwLock<Option<Arc<Mutex<File>>>>>,
}

impl Shared {
    fn open(place: &Output) -> Result<Self, LogError> {
        let file = match place {
            Output::Stdout | Output::Stderr => None,
            Output::File(path) => Some(open(path)?),
        };
        Ok(Self { place: place.clone(), file: Arc::new(RwLock::new(file)) })
    }

    fn reopen(&self) -> Result<(), LogError> {
        if let Output::File(path) = &self.place {
            *self.file.write() = Some(open(path)?);
        }
        Ok(())
    }
}

fn open(path: &Path) -> Result<Arc<Mutex<File>>, LogError> {
    let file = OpenOptions::new().create(true).append(true).mode(0o640).open(path);
    let file = file.map_err(|source| LogError::Open { path: path.to_owned(), source })?;
    Ok(Arc::new(Mutex::new(file)))
}

/// One event's way out.
#[derive(Debug)]
enum Sink {
    Stdout(io::Stdout),
    Stderr(io::Stderr),
    File(Arc<Mutex<File>>),
}

impl<'a> MakeWriter<'a> for Shared {
    type Writer = Sink;

    fn make_writer(&'a self) -> Sink {
        match (&self.place, self.file.read().as_ref()) {
            (Output::File(_), Some(file)) => Sink::File(Arc::clone(file)),
            (Output::Stdout, _) => Sink::Stdout(io::stdout()),
            (Output::Stderr | Output::File(_), _) => Sink::Stderr(io::stderr()),
        }
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stdout(out) => out.write(bytes),
            Self::Stderr(out) => out.write(bytes),
            Self::File(file) => file.lock().write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout(out) => out.flush(),
            Self::Stderr(out) => out.flush(),
            Self::File(file) => file.lock().flush(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::{debug, info, subscriber::with_default};

    fn file_log(
        format: Format,
    ) -> (tempfile::TempDir, PathBuf, impl tracing::Subscriber + Send + Sync, LogControl) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("understudy.log");
        let (subscriber, control) = build(Level::INFO, format, &Output::File(path.clone())).unwrap();
        (dir, path, subscriber, control)
    }

    #[test]
    fn the_level_changes_while_running() {
        let (_dir, path, subscriber, control) = file_log(Format::Text);
        with_default(subscriber, || {
            debug!("before");
            assert_eq!(control.level(), "info");
            control.set_level(Level::DEBUG).unwrap();
            assert_eq!(control.level(), "debug");
            debug!("after");
        });
        let text = std::fs::read_to_string(path).unwrap();
        assert!(text.contains("after") && !text.contains("before"), "{text}");
    }

    #[test]
    fn a_logger_has_its_own_level() {
        let (_dir, path, subscriber, control) = file_log(Format::Text);
        with_default(subscriber, || {
            assert!(control.set_logger("core", Some(Level::DEBUG)).unwrap());
            assert!(!control.set_logger("nobody", None).unwrap());
            debug!(target: "understudy::core::pipeline", "one");
            debug!(target: "understudy::node::front", "two");
            control.set_loggers(Some(Level::DEBUG)).unwrap();
            debug!(target: "understudy::node::front", "three");
            control.set_loggers(None).unwrap();
            debug!(target: "understudy::core::pipeline", "four");
        });
        let text = std::fs::read_to_string(path).unwrap();
        let seen = ["one", "two", "three", "four"].map(|word| text.contains(word));
        assert_eq!(seen, [true, false, true, false], "{text}");
    }

    #[test]
    fn a_watcher_sees_what_the_log_leaves_out() {
        let (_dir, path, subscriber, control) = file_log(Format::HclogText);
        with_default(subscriber, || {
            let mut lines = control.watch(LevelFilter::DEBUG, true).unwrap();
            debug!(target: "h2::codec", "of a library");
            debug!(target: "understudy::core::pipeline", count = 3, "below the log's level");
            let line: serde_json::Value =
                serde_json::from_slice(&lines.try_recv().unwrap().unwrap()).unwrap();
            assert_eq!((line["@module"].as_str(), line["count"].as_u64()), (Some("core.pipeline"), Some(3)));
            control.end_watchers();
            assert!(lines.is_closed());
        });
        assert_eq!(std::fs::read_to_string(path).unwrap(), "");
    }

    #[test]
    fn json_lines_are_json() {
        let (_dir, path, subscriber, _control) = file_log(Format::Json);
        with_default(subscriber, || info!(server = "n1", "role changed \"quoted\""));
        let line: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        assert_eq!((line["server"].as_str(), line["level"].as_str()), (Some("n1"), Some("INFO")));
    }

    #[test]
    fn a_moved_file_is_opened_anew() {
        let (dir, path, subscriber, control) = file_log(Format::Text);
        with_default(subscriber, || {
            info!("one");
            std::fs::rename(&path, dir.path().join("old")).unwrap();
            control.reopen().unwrap();
            info!("two");
        });
        let text = std::fs::read_to_string(path).unwrap();
        assert!(text.contains("two") && !text.contains("one"));
    }

    #[test]
    fn a_missing_folder_is_named() {
        let error =
            build(Level::INFO, Format::Text, &Output::File("/nonexistent/x.log".into())).err().unwrap();
        assert!(error.to_string().contains("/nonexistent/x.log"), "{error}");
    }

    #[test]
    fn levels_are_a_closed_set() {
        assert_eq!(level("WARN").unwrap(), Level::WARN);
        assert!(level("loud").unwrap_err().to_string().contains("use error, warn"));
    }
}
