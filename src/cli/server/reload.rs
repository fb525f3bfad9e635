//! SIGHUP: certificates are read again, the log's level is taken from the files, log and audit files are opened anew.
//! Everything else of a changed configuration waits for the next start, and the log says so.

use std::path::PathBuf;

use super::listeners::Tls;
use super::{ServerArgs, dev, log};
use crate::config::finding::{Severity, count};
use crate::config::node::{Environment, load};
use crate::node::Node;
use crate::telemetry::LogControl;

/// What a reload works with.
pub(super) struct Reloader {
    pub(super) args: ServerArgs,
    pub(super) environment: Environment,
    pub(super) tls: Vec<Tls>,
    pub(super) log: LogControl,
}

// === impl Reloader ===

impl Reloader {
    /// Does all of it; what fails is logged and leaves what was there in use.
    pub(super) fn reload(&self, node: &Node) {
        tracing::info!("reload triggered");
        self.certificates(|_| true);
        if let Err(error) = self.log.reopen() {
            tracing::error!(%error, "the log file was not opened anew");
        }
        node.core.audit.reopen();
        self.level();
    }

    /// Reads the certificates of listeners whose files have changed.
    pub(super) fn watch(&self) {
        self.certificates(|tls| !tls.watch_interval.is_zero() && tls.files.changed());
    }

    fn certificates(&self, wanted: impl Fn(&Tls) -> bool) {
        for tls in self.tls.iter().filter(|tls| wanted(tls)) {
            match tls.files.reload() {
                Ok(()) => tracing::info!(listener = %tls.address, "certificates were read again"),
                Err(error) => {
                    tracing::error!(listener = %tls.address, %error, "the certificates in use are kept");
                }
            }
        }
    }

    /// The level of the files, unless the command line has said it.
    fn level(&self) {
        if self.args.log_level.is_some() || self.args.config.is_empty() {
            return;
        }
        let paths: Vec<PathBuf> = self.args.config.clone();
        // Of the mode's own listener the address is enough to read the whole.
        let own = self.args.dev.then(|| dev::configuration(self.args.dev_listen_address.as_deref(), None));
        let own: Vec<(&str, &str)> = own.iter().map(|text| (dev::NAME, text.as_str())).collect();
        let loaded = load(&paths, &own, &self.environment);
        let Some(config) = loaded.config else {
            let errors = count(&loaded.findings).errors;
            tracing::error!(errors, "the changed configuration is refused, the one in use is kept");
            for finding in loaded.findings.iter().filter(|finding| finding.severity == Severity::Error) {
                tracing::error!(file = %finding.file, line = finding.line, "{}", finding.message);
            }
            return;
        };
        if let Err(error) = self.log.set_level(log::level(config.log.level)) {
            tracing::error!(%error, "the level of the log is unchanged");
        }
    }
}
