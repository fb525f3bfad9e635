//! One device: its row, its salt and where its lines go.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::entry::Entry;
use super::file::FileDevice;
use super::hash::Salt;
use super::line::{self, Shape};
use super::socket::{SocketDevice, SocketKind};
use crate::duration;

/// Longest wait for a socket's peer where `write_timeout` says nothing.
const WRITE_TIMEOUT: Duration = Duration::from_secs(2);
/// Who may read an audit log that we create, where `mode` says nothing.
const FILE_MODE: u32 = 0o600;

/// A device as it is stored and listed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DeviceConfig {
    /// Ends in `/`.
    pub path: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub description: String,
    pub options: BTreeMap<String, String>,
    pub local: bool,
}

/// Why a device cannot be.
#[derive(Debug, Error)]
pub enum DeviceError {
    #[error("unknown backend type: {0:?}")]
    UnknownKind(String),
    #[error("unknown format type {0:?}")]
    UnknownFormat(String),
    #[error("{0} is required")]
    Missing(&'static str),
    #[error("{name} is not valid: {why}")]
    Invalid { name: &'static str, why: String },
    #[error("sanity check failed; unable to open {what:?} for writing: {source}")]
    Open { what: String, source: io::Error },
    #[error("audit backend failed test message: {0}")]
    Test(io::Error),
}

#[derive(Debug)]
pub(super) struct Device {
    config: DeviceConfig,
    salt: Salt,
    shape: Shape,
    /// Before each line.
    prefix: String,
    sink: Sink,
}

#[derive(Debug)]
enum Sink {
    File(FileDevice),
    Socket(SocketDevice),
    /// The stored row is one this release does not know.
    Unusable,
}

// === impl Device ===

impl Device {
    /// A row that is refused gives a device that writes nothing: its requests must not pass unseen.
    pub(super) fn new(config: DeviceConfig, salt: Salt) -> Self {
        let (shape, sink) = match Shape::of(&config).and_then(|shape| Ok((shape, Sink::of(&config)?))) {
            Ok(made) => made,
            Err(error) => {
                tracing::error!(device = %config.path, %error, "an audit device cannot be");
                (Shape::default(), Sink::Unusable)
            }
        };
        let prefix = option(&config, "prefix").unwrap_or_default().to_owned();
        Self { config, salt, shape, prefix, sink }
    }

    /// Opens a device with this row and writes a line to it, unless `skip_test` says not to.
    ///
    /// # Errors
    /// The row is refused or the line.
    pub(super) fn try_out(config: &DeviceConfig, salt: Salt, entry: &Entry) -> Result<(), DeviceError> {
        let shape = Shape::of(config)?;
        let sink = Sink::of(config)?;
        if let Sink::File(file) = &sink {
            file.open().map_err(|source| DeviceError::Open { what: file.name(), source })?;
        }
        if flag(config, "skip_test")?.unwrap_or_default() {
            return Ok(());
        }
        let line = line::write(entry, &salt, shape).map_err(io::Error::from);
        line.and_then(|line| sink.write(&line)).map_err(DeviceError::Test)
    }

    pub(super) fn config(&self) -> &DeviceConfig {
        &self.config
    }

    pub(super) fn hash(&self, input: &str) -> String {
        self.salt.hide(input)
    }

    /// Whether a line may take as long as its peer lets it.
    pub(super) fn may_wait(&self) -> bool {
        matches!(self.sink, Sink::Socket(_))
    }

    pub(super) fn reopen(&self) -> io::Result<()> {
        match &self.sink {
            Sink::File(file) => file.reopen(),
            Sink::Socket(_) | Sink::Unusable => Ok(()),
        }
    }

    /// Whether the line was written.
    pub(super) fn log(&self, entry: &Entry) -> bool {
        let written = self.line(entry).and_then(|line| self.sink.write(&line));
        match &written {
            Ok(()) => {}
            // What it failed of was said when it did.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => {
                tracing::debug!(device = %self.config.path, %error, "an audit device is left alone");
            }
            Err(error) => tracing::error!(device = %self.config.path, %error, "an audit device failed"),
        }
        written.is_ok()
    }

    fn line(&self, entry: &Entry) -> io::Result<Vec<u8>> {
        let line = line::write(entry, &self.salt, self.shape)?;
        if self.prefix.is_empty() {
            return Ok(line);
        }
        Ok([self.prefix.as_bytes(), &line].concat())
    }
}

// === impl Shape ===

impl Shape {
    fn of(config: &DeviceConfig) -> Result<Self, DeviceError> {
        match option(config, "format") {
            None | Some("json") => {}
            Some(other) => return Err(DeviceError::UnknownFormat(other.to_owned())),
        }
        Ok(Self {
            is_raw: flag(config, "log_raw")?.unwrap_or_default(),
            hides_accessor: flag(config, "hmac_accessor")?.unwrap_or(true),
            elides_lists: flag(config, "elide_list_responses")?.unwrap_or_default(),
        })
    }
}

// === impl Sink ===

impl Sink {
    /// Nothing is opened yet.
    fn of(config: &DeviceConfig) -> Result<Self, DeviceError> {
        match config.kind.as_str() {
            "file" => file(config).map(Self::File),
            "socket" => socket(config).map(Self::Socket),
            other => Err(DeviceError::UnknownKind(other.to_owned())),
        }
    }

    fn write(&self, line: &[u8]) -> io::Result<()> {
        match self {
            Self::File(file) => file.write(line),
            Self::Socket(socket) => socket.write(line),
            Self::Unusable => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}

fn file(config: &DeviceConfig) -> Result<FileDevice, DeviceError> {
    let path = option(config, "file_path").or_else(|| option(config, "path"));
    let invalid =
        |text: &str| DeviceError::Invalid { name: "mode", why: format!("{text:?} is no octal number") };
    let mode = match option(config, "mode") {
        None => FILE_MODE,
        Some(text) => u32::from_str_radix(text, 8).map_err(|_| invalid(text))?,
    };
    Ok(FileDevice::new(path.ok_or(DeviceError::Missing("file_path"))?, mode))
}

fn socket(config: &DeviceConfig) -> Result<SocketDevice, DeviceError> {
    let address = option(config, "address").ok_or(DeviceError::Missing("address"))?;
    let kind = match option(config, "socket_type").unwrap_or("tcp") {
        "tcp" => SocketKind::Tcp,
        "udp" => SocketKind::Udp,
        "unix" => SocketKind::Unix,
        other => {
            let why = format!("{other:?} is none of tcp, udp, unix");
            return Err(DeviceError::Invalid { name: "socket_type", why });
        }
    };
    let timeout = match option(config, "write_timeout") {
        None => WRITE_TIMEOUT,
        Some(text) => duration::parse(text).ok().filter(|timeout| !timeout.is_zero()).ok_or_else(|| {
            DeviceError::Invalid { name: "write_timeout", why: "not a duration".to_owned() }
        })?,
    };
    Ok(SocketDevice::new(kind, address, timeout))
}

fn option<'c>(config: &'c DeviceConfig, name: &str) -> Option<&'c str> {
    config.options.get(name).map(String::as_str).filter(|value| !value.is_empty())
}

/// As Go's `ParseBool`.
fn flag(config: &DeviceConfig, name: &'static str) -> Result<Option<bool>, DeviceError> {
    let Some(text) = option(config, name) else { return Ok(None) };
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(Some(true)),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(Some(false)),
        other => Err(DeviceError::Invalid { name, why: format!("{other:?} is neither true nor false") }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(kind: &str, options: &[(&str, &str)]) -> DeviceConfig {
        let options = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        DeviceConfig { kind: kind.to_owned(), options, ..DeviceConfig::default() }
    }

    fn try_out(row: &DeviceConfig) -> Result<(), DeviceError> {
        Device::try_out(row, Salt::new(b"k"), &Entry::test("id".to_owned(), "now".to_owned()))
    }

    #[test]
    fn bad_rows_are_refused_with_the_servers_words() {
        for (row, text) in [
            (row("zz", &[]), "unknown backend type: \"zz\""),
            (row("", &[]), "unknown backend type: \"\""),
            (row("file", &[]), "file_path is required"),
            (row("socket", &[]), "address is required"),
            (row("file", &[("file_path", "/x"), ("format", "xx")]), "unknown format type \"xx\""),
            (
                row("file", &[("file_path", "/x"), ("log_raw", "yes")]),
                "log_raw is not valid: \"yes\" is neither true nor false",
            ),
        ] {
            assert_eq!(try_out(&row).unwrap_err().to_string(), text);
        }
        let nowhere = try_out(&row("file", &[("file_path", "/proc/no/audit.log")])).unwrap_err();
        assert!(matches!(nowhere, DeviceError::Open { .. }), "{nowhere}");
        let nobody = try_out(&row("socket", &[("address", "127.0.0.1:1")])).unwrap_err();
        assert!(matches!(nobody, DeviceError::Test(_)), "{nobody}");
        try_out(&row("socket", &[("address", "127.0.0.1:1"), ("skip_test", "true")])).unwrap();
    }

    #[test]
    fn a_new_device_gets_a_test_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("made/audit.log");
        try_out(&row("file", &[("file_path", path.to_str().unwrap())])).unwrap();
        assert_eq!(
            std::fs::read_to_string(path).unwrap(),
            "{\"time\":\"now\",\"type\":\"request\",\"auth\":{\"token_type\":\"default\"},\"request\":{\"id\":\"id\",\
             \"operation\":\"update\",\"namespace\":{\"id\":\"root\"},\"path\":\"sys/audit/test\"}}\n"
        );
    }
}
