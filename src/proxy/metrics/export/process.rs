//! Configuration, certificates, workers and the process itself.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use prometheus::proto::MetricType::{COUNTER, GAUGE};

use crate::telemetry::BUILD;

use super::super::family::{Families, Show};
use super::super::label::{Dropped, ReloadResult};
use super::super::process::{Process, thread_cpu};
use super::super::registry::{CertificateExpiry, CertificateOwner};
use super::{Scrape, axis, cells};

pub(super) fn add(scrape: &Scrape<'_>, out: &mut Families, now: Instant) {
    configuration(scrape, out);
    let certificates = scrape.metrics.certificates();
    out.samples(
        "tls_certificate_expiry_timestamp_seconds",
        "When the certificate ends, Unix time.",
        GAUGE,
        certificates.iter().map(certificate),
    );
    workers(scrape, out, now);
    if let Some(process) = Process::read() {
        own_process(&process, out);
    }
}

fn configuration(scrape: &Scrape<'_>, out: &mut Families) {
    let cluster = &scrape.metrics.cluster;
    let generation = scrape.snapshot.generation as f64;
    out.number(
        "config_generation",
        "Number of the running configuration, 1 for the first.",
        GAUGE,
        generation,
    );
    let reloads = cells(&cluster.reloads);
    out.counters(
        "config_reloads_total",
        "Attempts to load a configuration.",
        Show::All,
        &[axis::<ReloadResult>("result")],
        &reloads,
    );
    // Before the first load there is no "last" one.
    if reloads.iter().any(|count| *count > 0) {
        let ok = cluster.last_reload_ok.value([]) as f64;
        out.number("config_last_reload_success", "1 when the last load was good.", GAUGE, ok);
        let at = cluster.last_reload_at.value([]) as f64;
        out.number("config_last_reload_timestamp_seconds", "When it was, Unix time.", GAUGE, at);
    }
    let build = vec![("version", BUILD.version.to_owned()), ("commit", BUILD.commit.to_owned())];
    out.samples("build_info", "Always 1; the labels name the build.", GAUGE, [(build, 1.0)]);
}

fn certificate(expiry: &CertificateExpiry) -> (Vec<(&'static str, String)>, f64) {
    let owner = match &expiry.owner {
        CertificateOwner::Listener(name) => ("listener", name.clone()),
        CertificateOwner::Server(name) => ("server", name.clone()),
    };
    (vec![owner, ("cert", expiry.certificate.clone())], expiry.not_after as f64)
}

fn workers(scrape: &Scrape<'_>, out: &mut Families, now: Instant) {
    out.counters(
        "dropped_total",
        "Notes thrown away because their bounded queue was full.",
        Show::All,
        &[axis::<Dropped>("what")],
        &scrape.sum(|worker| &worker.dropped),
    );
    let busy: Vec<Duration> =
        scrape.workers.iter().map(|worker| thread_cpu(worker.thread.load(Ordering::Relaxed))).collect();
    let before = scrape.metrics.last_busy.lock().replace((now, busy.clone()));
    let Some((then, before)) = before else { return };
    let passed = now.saturating_duration_since(then).as_secs_f64();
    let ratios =
        busy.iter().zip(before).enumerate().filter(|_| passed > 0.0).map(|(number, (cpu, before))| {
            let ratio = cpu.saturating_sub(before).as_secs_f64() / passed;
            (vec![("worker", number.to_string())], ratio.min(1.0))
        });
    out.samples("worker_busy_ratio", "CPU share of the worker since the last scrape.", GAUGE, ratios);
}

fn own_process(process: &Process, out: &mut Families) {
    let cpu = process.cpu_seconds;
    out.standard("process_cpu_seconds_total", "User and system CPU time.", COUNTER, cpu);
    let resident = process.resident_bytes as f64;
    out.standard("process_resident_memory_bytes", "Resident memory.", GAUGE, resident);
    let virtual_bytes = process.virtual_bytes as f64;
    out.standard("process_virtual_memory_bytes", "Virtual memory.", GAUGE, virtual_bytes);
    out.standard("process_threads", "Threads.", GAUGE, process.threads as f64);
    out.standard("process_start_time_seconds", "Start, Unix time.", GAUGE, process.start_unix_s);
    out.standard("process_open_fds", "Open file descriptors.", GAUGE, process.open_fds as f64);
    if let Some(limit) = process.max_fds {
        out.standard("process_max_fds", "Limit of open file descriptors.", GAUGE, limit as f64);
    }
}
