//! The servers: roles, indexes, probes, connections, elections.

use prometheus::proto::MetricType;

use crate::proxy::observation::FailureKind;
use crate::proxy::snapshot::{Role, ServerView};

use super::super::family::{Families, Show};
use super::super::label::{CheckResult, ConnectResult, ConnectionState, Label, OverflowKind};
use super::super::slot::NAMED;
use super::{Scrape, axis, cells};

pub(super) fn add(scrape: &Scrape<'_>, out: &mut Families) {
    roles(scrape, out);
    checks(scrape, out);
    indexes(scrape, out);
    use_now(scrape, out);
    connections(scrape, out);
    events(scrape, out);
    elections(scrape, out);
}

type Sample = (Vec<(&'static str, String)>, f64);

fn sample(server: &ServerView, value: f64) -> Sample {
    (vec![("server", server.name.to_string())], value)
}

/// At most as many servers as have rows of their own.
fn views<'a>(scrape: &'a Scrape<'_>) -> impl Iterator<Item = &'a ServerView> {
    scrape.snapshot.servers.iter().take(NAMED)
}

fn roles(scrape: &Scrape<'_>, out: &mut Families) {
    let states = views(scrape).flat_map(|server| {
        Role::WORDS.iter().map(move |word| {
            let labels = vec![("server", server.name.to_string()), ("role", (*word).to_owned())];
            (labels, f64::from(u8::from(server.role.word() == *word)))
        })
    });
    out.samples("server_role", "1 for the role the server has now.", MetricType::GAUGE, states);
    let up = views(scrape).map(|server| sample(server, f64::from(u8::from(server.usable))));
    out.samples(
        "server_up",
        "1 when the server may get requests any node can answer.",
        MetricType::GAUGE,
        up,
    );
    let reads = views(scrape).map(|server| sample(server, f64::from(u8::from(server.reads))));
    out.samples("server_reads", "1 when the server may get reads now.", MetricType::GAUGE, reads);
}

fn checks(scrape: &Scrape<'_>, out: &mut Families) {
    let cluster = &scrape.metrics.cluster;
    let mut sums = vec![0; cluster.check_duration.len()];
    cluster.check_duration.sum_into(&mut sums);
    out.histograms(
        "server_check_duration_seconds",
        "Time one health check took.",
        &[scrape.server_axis()],
        cluster.check_duration.bounds(),
        &sums,
    );
    out.counters(
        "server_checks_total",
        "Health checks by result.",
        Show::Touched,
        &[scrape.server_axis(), axis::<CheckResult>("result")],
        &cells(&cluster.checks),
    );
    out.counters(
        "server_role_changes_total",
        "Role changes by new role.",
        Show::Touched,
        &[scrape.server_axis(), axis::<Role>("to")],
        &cells(&cluster.role_changes),
    );
}

fn indexes(scrape: &Scrape<'_>, out: &mut Families) {
    let index = |server: &ServerView| server.live.applied_index();
    let known = views(scrape).filter(|server| index(server) > 0);
    let applied = known.map(|server| sample(server, index(server) as f64));
    out.samples("server_raft_applied_index", "Highest applied index seen.", MetricType::GAUGE, applied);
    let lead = scrape.snapshot.active_server().map_or(0, index);
    let behind = views(scrape)
        .filter(|server| lead > 0 && index(server) > 0)
        .map(|server| sample(server, lead.saturating_sub(index(server)) as f64));
    out.samples("server_lag_entries", "Log entries behind the active server.", MetricType::GAUGE, behind);
    let cluster = &scrape.metrics.cluster;
    let lag = views(scrape).filter(|server| is_standby(server.role)).map(|server| {
        let row = usize::from(cluster.servers.at(server.id.index()));
        sample(server, cluster.lag_ms.value([row]) as f64 / 1e3)
    });
    out.samples(
        "server_lag_seconds",
        "Time since the standby's index was the active server's.",
        MetricType::GAUGE,
        lag,
    );
}

fn is_standby(role: Role) -> bool {
    matches!(role, Role::Standby | Role::PerfStandby | Role::Unhealthy)
}

fn use_now(scrape: &Scrape<'_>, out: &mut Families) {
    let server = [scrape.server_axis()];
    let in_flight = scrape.sum(|worker| &worker.in_flight);
    out.gauges("server_in_flight", "Requests at the server now.", Show::All, &server, &in_flight);
    let pending = scrape.sum(|worker| &worker.pending);
    out.gauges("server_pending", "Requests waiting for a connection.", Show::All, &server, &pending);
    let loads = scrape.servers.iter().enumerate().filter_map(|(row, name)| {
        let known: Vec<f64> = scrape
            .workers
            .iter()
            .map(|worker| worker.load.value([row]) as f64)
            .filter(|load| *load > 0.0)
            .collect();
        let mean = known.iter().sum::<f64>() / known.len() as f64 / 1e6;
        mean.is_finite().then(|| (vec![("server", name.clone())], mean))
    });
    out.samples("server_load", "The balancer's score, mean of the workers.", MetricType::GAUGE, loads);
}

fn connections(scrape: &Scrape<'_>, out: &mut Families) {
    out.gauges(
        "upstream_connections",
        "Connections to the server now.",
        Show::All,
        &[scrape.server_axis(), axis::<ConnectionState>("state")],
        &scrape.sum(|worker| &worker.connections),
    );
    out.counters(
        "upstream_connects_total",
        "Connections opened, by result.",
        Show::Touched,
        &[scrape.server_axis(), axis::<ConnectResult>("result")],
        &scrape.sum(|worker| &worker.connects),
    );
    out.counters(
        "upstream_requests_reused_total",
        "Requests sent on a connection that had served one before.",
        Show::All,
        &[scrape.server_axis()],
        &scrape.sum(|worker| &worker.reused),
    );
}

fn events(scrape: &Scrape<'_>, out: &mut Families) {
    out.counters(
        "ejections_total",
        "Standbys taken out of the reads for failing live requests.",
        Show::Touched,
        &[scrape.server_axis(), axis::<FailureKind>("reason")],
        &cells(&scrape.metrics.cluster.ejections),
    );
    out.counters(
        "overflow_total",
        "Requests turned away by a bound of the server.",
        Show::Touched,
        &[scrape.server_axis(), axis::<OverflowKind>("kind")],
        &scrape.sum(|worker| &worker.overflow),
    );
    out.counters(
        "in_doubt_writes_total",
        "Writes that were sent and whose outcome is not known.",
        Show::All,
        &[scrape.server_axis()],
        &scrape.sum(|worker| &worker.in_doubt),
    );
}

fn elections(scrape: &Scrape<'_>, out: &mut Families) {
    let cluster = &scrape.metrics.cluster;
    let changes = cluster.leader_changes.value([]) as f64;
    out.number("leader_changes_total", "Times another server took the lead.", MetricType::COUNTER, changes);
    let without = cluster.no_leader_ms.value([]) as f64 / 1e3;
    out.number("no_leader_seconds_total", "Time without a known leader.", MetricType::COUNTER, without);
    let sessions = cluster.sessions.value([]) as f64;
    out.number("sessions", "Sessions with a consistency floor.", MetricType::GAUGE, sessions);
    let evicted = cluster.sessions_evicted.value([]) as f64;
    out.number(
        "sessions_evicted_total",
        "Sessions forgotten for lack of room.",
        MetricType::COUNTER,
        evicted,
    );
}
