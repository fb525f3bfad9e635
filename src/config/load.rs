//! The way from a file to a checked configuration: read, parse, decode, convert, cross-check, look at the files.

use std::io::Read;
use std::path::Path;

use super::decode::decode;
use super::field::Field;
use super::finding::Finding;
use super::proxy::ProxyConfig;
use super::raw::{RawCluster, RawConfig};
use super::report::Report;
use super::{
    admin, cluster, consistency, cross_check, files, listener, observability, retry, routing, runtime, tree,
};

/// Largest configuration read, in bytes. A hundred listeners and 500 rules fit ten times.
pub const FILE_MAX: u64 = 1 << 20;
/// The one version of the file format.
pub const VERSION: u32 = 1;

/// What came of reading a configuration.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// There when no finding is an error.
    pub config: Option<ProxyConfig>,
    /// In file order.
    pub findings: Vec<Finding>,
}

/// Reads and checks a configuration file, the files it names included.
///
/// Relative names in it are relative to the working directory of the process. Never fails as such: a file that
/// cannot be read is a finding.
#[must_use]
pub fn load(path: &Path) -> Loaded {
    let name = path.display().to_string();
    match read(path) {
        Ok(text) => run(&text, &name, files::check),
        Err(why) => {
            let report = Report::new(&name, "");
            report.error("", "unreadable", why);
            Loaded { config: None, findings: report.finish() }
        }
    }
}

/// Checks configuration text. The certificates and keys it names are not opened; the secrets it points to are read.
#[must_use]
pub fn parse(text: &str, file_name: &str) -> Loaded {
    run(text, file_name, |_, _| ())
}

fn read(path: &Path) -> Result<String, String> {
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(|error| format!("cannot read this file: {error}"))?;
    let read = file.take(FILE_MAX + 1).read_to_string(&mut text);
    read.map_err(|error| format!("cannot read this file: {error}"))?;
    if text.len() as u64 > FILE_MAX {
        return Err(format!("this file is larger than {FILE_MAX} bytes"));
    }
    Ok(text)
}

fn run(text: &str, file_name: &str, check_files: impl FnOnce(&ProxyConfig, &Report)) -> Loaded {
    let mut report = Report::new(file_name, text);
    let (root, flaws) = tree::parse(text);
    let empty = root.is_none() && flaws.is_empty();
    if let Some(root) = &root {
        report.learn(root);
    }
    flaws.into_iter().for_each(|flaw| report.flaw(flaw));
    if empty {
        report.error_help("", "missing", "this file is empty", "start from config/minimal.yaml");
    }
    let raw = root.as_ref().and_then(|root| decode::<RawConfig>(root, &report));
    let config = raw.map(|raw| convert(raw, &report));
    if let Some(config) = &config {
        cross_check::check(config, &report);
        check_files(config, &report);
    }
    let config = config.filter(|_| !report.has_errors());
    Loaded { config, findings: report.finish() }
}

fn convert(raw: RawConfig, report: &Report) -> ProxyConfig {
    match raw.version.given() {
        Some(VERSION) => {}
        Some(other) => {
            report.error("version", "version", format!("version {other} is not known; this is {VERSION}"))
        }
        None if raw.version.is_absent() => report.missing("version", "start the file with `version: 1`"),
        None => {}
    }
    // A cluster that is there but not a mapping is in the report already.
    let no_servers = RawCluster { servers: Field::Bad, ..RawCluster::default() };
    let cluster = match raw.cluster {
        Field::Given(cluster) => cluster,
        Field::Bad => no_servers,
        Field::Absent => {
            report.missing("cluster", "write `cluster: {servers: [\"https://10.0.1.11:8200\", ...]}`");
            no_servers
        }
    };
    let timeouts = retry::timeouts(raw.timeouts.section(), report);
    ProxyConfig {
        runtime: runtime::convert(raw.runtime.section(), report),
        listeners: listener::convert(raw.listeners, report),
        cluster: cluster::convert(cluster, report),
        routing: routing::convert(raw.routing.section(), report),
        consistency: consistency::convert(raw.consistency.section(), report),
        retry: retry::convert(raw.retry.section(), timeouts.request, report),
        timeouts,
        admin: admin::convert(raw.admin.section(), report),
        observability: observability::convert(raw.observability.section()),
    }
}
