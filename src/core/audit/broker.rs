//! The devices and the rule over them: a request that no device could write down does not happen.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::{Acquire, Release};

use arc_swap::ArcSwap;
use thiserror::Error;

use super::device::{Device, DeviceConfig, DeviceError};
use super::entry::{Entry, Kind};
use super::hash::Salt;
use super::headers::{self, AuditedHeaders};
use super::table::{self, DeviceTable};
use crate::barrier::{StoreError, Transaction};
use crate::core::cached::{Cached, FollowsRecord};
use crate::core::meters::AuditMeters;

/// No device wrote the line. Nothing of the request is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("no audit backend succeeded in logging the request")]
pub struct AuditError;

/// See the module.
#[derive(Debug)]
pub struct Broker {
    devices: ArcSwap<Vec<Arc<Device>>>,
    /// Of any of them.
    may_wait: AtomicBool,
    headers: Arc<Cached<AuditedHeaders>>,
    meters: AuditMeters,
}

// === impl Broker ===

impl Default for Broker {
    fn default() -> Self {
        Self {
            devices: ArcSwap::default(),
            may_wait: AtomicBool::new(false),
            headers: Arc::new(Cached::new(headers::KEY)),
            meters: AuditMeters::default(),
        }
    }
}

impl FollowsRecord for Broker {
    fn key(&self) -> &'static str {
        table::KEY
    }

    fn load(&self, tx: &mut Transaction) -> Result<(), StoreError> {
        self.replace(&DeviceTable::load(tx)?);
        Ok(())
    }

    fn clear(&self) {
        self.install(Vec::new());
    }
}

impl Broker {
    /// Which request headers are told.
    #[must_use]
    pub fn headers(&self) -> &Arc<Cached<AuditedHeaders>> {
        &self.headers
    }

    /// Whether anything is written at all: without devices nothing is, and entries need not be made.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        self.devices.load().is_empty()
    }

    /// Whether [`log`](Self::log) may wait for somebody's peer: not on a thread that serves others.
    #[must_use]
    pub fn may_wait(&self) -> bool {
        self.may_wait.load(Acquire)
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
        let (timer, failures) = match entry.kind {
            Kind::Request => (&self.meters.request, &self.meters.request_failure),
            Kind::Response => (&self.meters.response, &self.meters.response_failure),
        };
        let written = timer.time(|| devices.iter().filter(|device| device.log(entry)).count());
        if written > 0 {
            return Ok(());
        }
        failures.add(1);
        Err(AuditError)
    }

    #[must_use]
    pub fn meters(&self) -> &AuditMeters {
        &self.meters
    }

    /// The devices of the stored table; open ones whose row did not change are kept. One that cannot be opened here
    /// counts as a device that writes nothing until it can.
    fn replace(&self, table: &DeviceTable) {
        let old = self.devices.load_full();
        let device = |(config, salt): (&DeviceConfig, Salt)| {
            let known = old.iter().find(|device| device.config() == config);
            known.map_or_else(|| Arc::new(Device::new(config.clone(), salt)), Arc::clone)
        };
        self.install(table.devices().map(device).collect());
    }

    fn install(&self, devices: Vec<Arc<Device>>) {
        self.may_wait.store(devices.iter().any(|device| device.may_wait()), Release);
        self.devices.store(Arc::new(devices));
    }

    /// Opens a device with this row and writes a line to it.
    ///
    /// # Errors
    /// The row is refused or the device takes no line.
    pub fn try_out(config: &DeviceConfig, salt: Salt, line: &Entry) -> Result<(), DeviceError> {
        Device::try_out(config, salt, line)
    }

    /// `sys/audit-hash/<path>`; `None`: no such device.
    #[must_use]
    pub fn hash(&self, path: &str, input: &str) -> Option<String> {
        let devices = self.devices.load();
        devices.iter().find(|device| device.config().path == path).map(|device| device.hash(input))
    }

    /// Opens every file anew (SIGHUP). A file that cannot be is reported and stays as it was.
    pub fn reopen(&self) {
        for device in self.devices.load().iter() {
            if let Err(error) = device.reopen() {
                tracing::error!(device = %device.config().path, %error, "an audit log could not be reopened");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::line::tests::sample;
    use super::*;

    fn row(path: &str, kind: &str, option: (&str, &str)) -> DeviceConfig {
        DeviceConfig {
            path: path.to_owned(),
            kind: kind.to_owned(),
            options: [(option.0.to_owned(), option.1.to_owned())].into(),
            ..DeviceConfig::default()
        }
    }

    fn table(rows: &[DeviceConfig]) -> DeviceTable {
        let mut table = DeviceTable::default();
        rows.iter().for_each(|row| table.add(row.clone()).unwrap());
        table
    }

    #[test]
    fn one_device_that_writes_is_enough_and_none_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let good = dir.path().join("good.log");
        let broker = Broker::default();
        assert_eq!(broker.log(&sample()), Ok(()), "no device, no rule");
        let dead = row("dead/", "socket", ("address", "127.0.0.1:1"));
        broker.replace(&table(std::slice::from_ref(&dead)));
        assert_eq!(broker.log(&sample()), Err(AuditError));
        broker.replace(&table(&[dead, row("good/", "file", ("file_path", good.to_str().unwrap()))]));
        assert_eq!(broker.log(&sample()), Ok(()));
        let text = std::fs::read_to_string(good).unwrap();
        assert_eq!(text.lines().count(), 1);
        assert!(!text.contains("canary"));
        assert!(broker.hash("good/", "x").is_some_and(|hash| hash.starts_with("hmac-sha256:")));
        assert_eq!(broker.hash("other/", "x"), None);
        broker.clear();
        assert!(broker.is_silent());
    }

    #[test]
    fn a_device_that_cannot_be_opened_blocks_until_it_can() {
        let dir = tempfile::tempdir().unwrap();
        let later = dir.path().join("later");
        let broker = Broker::default();
        let file = later.join("audit.log");
        broker.replace(&table(&[row("f/", "file", ("file_path", file.to_str().unwrap()))]));
        std::fs::write(&later, "in the way").unwrap();
        assert_eq!(broker.log(&sample()), Err(AuditError));
        std::fs::remove_file(&later).unwrap();
        assert_eq!(broker.log(&sample()), Ok(()));
    }
}
