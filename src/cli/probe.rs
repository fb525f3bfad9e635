//! `check --probe`: asks every server of a configuration what it is, step by step, and turns that into findings.

use std::collections::BTreeSet;

use crate::config::finding::{Finding, Severity};
use crate::config::proxy::ProxyConfig;
use crate::proxy::health::UpstreamIdentity;
use crate::proxy::health::inspect::{Level, ServerReport, Step, inspect};

/// Probes all servers one after the other; bounded by their connect and health timeouts.
#[must_use]
pub fn probe(config: &ProxyConfig) -> Vec<Finding> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime {
        Ok(runtime) => runtime.block_on(probe_all(config)),
        Err(error) => vec![finding(Severity::Error, "", format!("cannot start the runtime: {error}"))],
    }
}

async fn probe_all(config: &ProxyConfig) -> Vec<Finding> {
    let identity = if config.cluster.servers.iter().any(|server| server.address.tls) {
        match UpstreamIdentity::load(&config.cluster) {
            Ok(identity) => Some(identity),
            Err(error) => return vec![finding(Severity::Error, "cluster.tls", error.to_string())],
        }
    } else {
        None
    };
    let mut reports = Vec::with_capacity(config.cluster.servers.len());
    for server in &config.cluster.servers {
        reports.push(inspect(server, &config.cluster, identity.as_ref()).await);
    }
    let mut findings: Vec<Finding> =
        reports.iter().enumerate().flat_map(|(at, report)| of_server(at, report)).collect();
    findings.extend(of_cluster(&reports));
    findings
}

fn of_server(at: usize, report: &ServerReport) -> Vec<Finding> {
    let path = format!("cluster.servers[{at}]");
    let (fine, rest): (Vec<&Step>, Vec<&Step>) =
        report.steps.iter().partition(|step| step.level == Level::Ok);
    let said = |step: &Step| format!("{}: {}", step.name, step.message);
    let fine: Vec<String> = fine.into_iter().map(said).collect();
    let summary = format!("{}: {}", report.server, fine.join("; "));
    let summary = (!fine.is_empty()).then(|| finding(Severity::Note, &path, summary));
    let rest = rest
        .into_iter()
        .map(|step| finding(severity(step.level), &path, format!("{}: {}", report.server, said(step))));
    summary.into_iter().chain(rest).collect()
}

/// What only the servers together can show.
fn of_cluster(reports: &[ServerReport]) -> Vec<Finding> {
    let ids: BTreeSet<&str> = reports.iter().filter_map(|report| report.cluster_id.as_deref()).collect();
    let active = reports.iter().filter(|report| report.role == Some("active")).count();
    let mut findings = Vec::new();
    if ids.len() > 1 {
        let message = format!(
            "the servers belong to {} different clusters: {}",
            ids.len(),
            Vec::from_iter(ids).join(", ")
        );
        findings.push(finding(Severity::Error, "cluster.servers", message));
    }
    if !reports.is_empty() && active != 1 {
        let message = format!("{active} servers say that they are active; writes need exactly one");
        findings.push(finding(Severity::Warning, "cluster.servers", message));
    }
    findings
}

fn severity(level: Level) -> Severity {
    match level {
        Level::Ok | Level::Note => Severity::Note,
        Level::Warning => Severity::Warning,
        Level::Error => Severity::Error,
    }
}

fn finding(severity: Severity, path: &str, message: String) -> Finding {
    Finding::probe(severity, path, message, None)
}
