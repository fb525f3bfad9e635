//! The devices and the rule over them: a request that no device could write down does not happen.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use thiserror::Error;

use super::entry::Entry;
use super::file::FileDevice;
use super::hash::Salt;
use super::socket::{SocketDevice, SocketKind};
use crate::duration;

/// Longest wait for a socket's peer where `write_timeout` says nothing.
const WRITE_TIMEOUT: Duration = Duration::from_secs(2);

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
    #[error("{0} is required")]
    Missing(&'static str),
    #[error("{name} is not valid: {why}")]
    Invalid { name: &'static str, why: String },
    #[error("sanity check failed; unable to open {what:?} for writing: {source}")]
    Open { what: String, source: io::Error },
}

/// No device wrote the line. Nothing of the request is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("no audit backend succeeded in logging the request")]
pub struct AuditError;

/// See the module.
#[derive(Debug, Default)]
pub struct Broker {
    devices: ArcSwap<Vec<Arc<Device>>>,
}

#[derive(Debug)]
struct Device {
    config: DeviceConfig,
    salt: Salt,
    sink: Sink,
}

#[derive(Debug)]
enum Sink {
    File(FileDevice),
    Socket(SocketDevice),
}

// === impl Broker ===

impl Broker {
    /// Whether anything is written at all: without devices nothing is, and entries need not be made.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        self.devices.load().is_empty()
    }

    /// Writes the entry to every device.
    ///
    /// # Errors
    /// There are devices and none of them took it.
    pub fn log(&self, entry: &Entry) -> Result<(), AuditError> {
        let devices = self.devices.load();
        if devices.is_empty() {
            return Ok(());
        }
        let written = devices.iter().filter(|device| device.log(entry)).count();
        if written > 0 { Ok(()) } else { Err(AuditError) }
    }

    /// Replaces the devices by these rows; open ones whose row did not change are kept.
    ///
    /// # Errors
    /// A new device cannot be opened; then nothing changes.
    pub fn replace(&self, rows: Vec<(DeviceConfig, Salt)>) -> Result<(), DeviceError> {
        let old = self.devices.load_full();
        let keep = |config: &DeviceConfig| old.iter().find(|device| device.config == *config).map(Arc::clone);
        let open = |(config, salt): (DeviceConfig, Salt)| match keep(&config) {
            Some(device) => Ok(device),
            None => Device::open(config, salt).map(Arc::new),
        };
        let devices = rows.into_iter().map(open).collect::<Result<Vec<_>, _>>()?;
        self.devices.store(Arc::new(devices));
        Ok(())
    }

    /// Whether a device with this row could be opened.
    ///
    /// # Errors
    /// It could not.
    pub fn check(config: &DeviceConfig) -> Result<(), DeviceError> {
        Sink::open(config).map(drop)
    }

    /// `sys/audit-hash/<path>`; `None`: no such device.
    #[must_use]
    pub fn hash(&self, path: &str, input: &str) -> Option<String> {
        let devices = self.devices.load();
        devices.iter().find(|device| device.config.path == path).map(|device| device.salt.hide(input))
    }

    /// Opens every file anew (SIGHUP). A file that cannot be is reported and stays as it was.
    pub fn reopen(&self) {
        for device in self.devices.load().iter() {
            if let Sink::File(file) = &device.sink
                && let Err(error) = file.reopen()
            {
                tracing::error!(device = %device.config.path, %error, "an audit log could not be reopened");
            }
        }
    }
}

impl Device {
    fn open(config: DeviceConfig, salt: Salt) -> Result<Self, DeviceError> {
        let sink = Sink::open(&config)?;
        Ok(Self { config, salt, sink })
    }

    /// Whether the line was written.
    fn log(&self, entry: &Entry) -> bool {
        let written = entry.line(&self.salt).map_err(io::Error::from).and_then(|line| self.sink.write(&line));
        if let Err(error) = &written {
            tracing::error!(device = %self.config.path, %error, "an audit device failed");
        }
        written.is_ok()
    }
}

impl Sink {
    fn open(config: &DeviceConfig) -> Result<Self, DeviceError> {
        match config.kind.as_str() {
            "file" => {
                let path = option(config, "file_path").or_else(|| option(config, "path"));
                let path = path.ok_or(DeviceError::Missing("file_path"))?;
                let failed = |source| DeviceError::Open { what: path.to_owned(), source };
                FileDevice::open(path).map(Self::File).map_err(failed)
            }
            "socket" => socket(config).map(Self::Socket),
            other => Err(DeviceError::UnknownKind(other.to_owned())),
        }
    }

    fn write(&self, line: &[u8]) -> io::Result<()> {
        match self {
            Self::File(file) => file.write(line),
            Self::Socket(socket) => socket.write(line),
        }
    }
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

#[cfg(test)]
mod tests {
    use super::super::entry::tests::sample;
    use super::*;

    fn file_row(path: &str, file: &str) -> DeviceConfig {
        DeviceConfig {
            path: path.to_owned(),
            kind: "file".to_owned(),
            options: [("file_path".to_owned(), file.to_owned())].into(),
            ..DeviceConfig::default()
        }
    }

    #[test]
    fn one_device_that_writes_is_enough_and_none_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let good = dir.path().join("good.log");
        let broker = Broker::default();
        assert_eq!(broker.log(&sample()), Ok(()), "no device, no rule");
        let dead = DeviceConfig {
            path: "dead/".to_owned(),
            kind: "socket".to_owned(),
            options: [("address".to_owned(), "127.0.0.1:1".to_owned())].into(),
            ..DeviceConfig::default()
        };
        broker.replace(vec![(dead.clone(), Salt::new(b"a"))]).unwrap();
        assert_eq!(broker.log(&sample()), Err(AuditError));
        let row = file_row("good/", good.to_str().unwrap());
        broker.replace(vec![(dead, Salt::new(b"a")), (row, Salt::new(b"b"))]).unwrap();
        assert_eq!(broker.log(&sample()), Ok(()));
        let text = std::fs::read_to_string(good).unwrap();
        assert_eq!(text.lines().count(), 1);
        assert!(!text.contains("canary"));
        assert_eq!(broker.hash("good/", "x"), Some(Salt::new(b"b").hide("x")));
        assert_eq!(broker.hash("other/", "x"), None);
    }

    #[test]
    fn bad_rows_are_refused_with_the_servers_words() {
        for (row, text) in [
            (
                DeviceConfig { kind: "zz".to_owned(), ..DeviceConfig::default() },
                "unknown backend type: \"zz\"",
            ),
            (DeviceConfig { kind: "file".to_owned(), ..DeviceConfig::default() }, "file_path is required"),
            (DeviceConfig { kind: "socket".to_owned(), ..DeviceConfig::default() }, "address is required"),
        ] {
            assert_eq!(Broker::check(&row).unwrap_err().to_string(), text);
        }
        assert!(Broker::check(&file_row("d/", "/nonexistent-directory/audit.log")).is_err());
    }
}
