//! Requests as clients see them, and how each was decided.

use crate::api::classify::{Class, Source};
use crate::config::proxy::ConsistencyMode;

use super::super::family::{Families, Show};
use super::super::label::{
    ClientProto, CodeClass, ConsistencyOutcome, MethodLabel, PredictionOutcome, Rejected, RetryOutcome,
    RetryReason, RoleLabel, StatusLabel, TlsLabel,
};
use super::{Scrape, axis};

pub(super) fn add(scrape: &Scrape<'_>, out: &mut Families) {
    answers(scrape, out);
    durations(scrape, out);
    decisions(scrape, out);
    consistency(scrape, out);
    retries(scrape, out);
    downstream(scrape, out);
}

fn answers(scrape: &Scrape<'_>, out: &mut Families) {
    out.counters(
        "requests_total",
        "Finished client requests; role is that of the server which finally answered.",
        Show::Touched,
        &[
            scrape.listener_axis(),
            axis::<Class>("class"),
            axis::<RoleLabel>("role"),
            axis::<CodeClass>("code"),
        ],
        &scrape.sum(|worker| &worker.requests),
    );
    out.counters(
        "responses_by_status_total",
        "Finished client requests by exact status; statuses outside the known set are other.",
        Show::Touched,
        &[axis::<StatusLabel>("status")],
        &scrape.sum(|worker| &worker.statuses),
    );
    out.counters(
        "requests_by_method_total",
        "Finished client requests by method.",
        Show::Touched,
        &[axis::<MethodLabel>("method"), axis::<Class>("class")],
        &scrape.sum(|worker| &worker.methods),
    );
}

fn durations(scrape: &Scrape<'_>, out: &mut Families) {
    let (bounds, sums) = scrape.sum_histograms(|worker| &worker.request_duration);
    out.histograms(
        "request_duration_seconds",
        "First byte in to last byte out.",
        &[axis::<Class>("class"), axis::<RoleLabel>("role")],
        bounds,
        &sums,
    );
    let (bounds, sums) = scrape.sum_histograms(|worker| &worker.overhead);
    out.histograms(
        "overhead_seconds",
        "The proxy's own time: the whole request minus the time spent waiting for servers.",
        &[axis::<Class>("class")],
        bounds,
        &sums,
    );
    let (bounds, sums) = scrape.sum_histograms(|worker| &worker.upstream_duration);
    out.histograms(
        "upstream_duration_seconds",
        "One attempt: request sent to answer head.",
        &[scrape.server_axis(), axis::<Class>("class")],
        bounds,
        &sums,
    );
}

fn decisions(scrape: &Scrape<'_>, out: &mut Families) {
    out.counters(
        "prediction_total",
        "How predictions turned out; forwarded: a standby had to forward, unneeded_active: a read went to the \
         active although a fit standby existed.",
        Show::All,
        &[axis::<Class>("class"), axis::<PredictionOutcome>("outcome")],
        &scrape.sum(|worker| &worker.prediction),
    );
    out.counters(
        "classification_total",
        "Who decided what a request needs.",
        Show::Touched,
        &[axis::<Source>("source"), axis::<Class>("class")],
        &scrape.sum(|worker| &worker.classification),
    );
}

fn consistency(scrape: &Scrape<'_>, out: &mut Families) {
    out.counters(
        "consistency_total",
        "How consistency floors were met.",
        Show::Touched,
        &[axis::<ConsistencyMode>("mode"), axis::<ConsistencyOutcome>("outcome")],
        &scrape.sum(|worker| &worker.consistency),
    );
    let (bounds, sums) = scrape.sum_histograms(|worker| &worker.consistency_wait);
    out.histograms(
        "consistency_wait_seconds",
        "Time reads waited for a standby to reach their floor.",
        &[axis::<ConsistencyMode>("mode")],
        bounds,
        &sums,
    );
}

fn retries(scrape: &Scrape<'_>, out: &mut Families) {
    out.counters(
        "retries_total",
        "Further attempts after the first.",
        Show::Touched,
        &[axis::<RetryReason>("reason"), axis::<Class>("class"), axis::<RetryOutcome>("outcome")],
        &scrape.sum(|worker| &worker.retries),
    );
    out.counters(
        "retry_budget_exhausted_total",
        "Retries not made because the budget was used up.",
        Show::All,
        &[],
        &scrape.sum(|worker| &worker.budget_exhausted),
    );
    out.gauges(
        "writes_held",
        "Writes waiting for a leader now.",
        Show::All,
        &[],
        &scrape.sum(|worker| &worker.writes_held),
    );
    let (bounds, sums) = scrape.sum_histograms(|worker| &worker.writes_held_seconds);
    out.histograms("writes_held_seconds", "How long held writes waited for a leader.", &[], bounds, &sums);
}

fn downstream(scrape: &Scrape<'_>, out: &mut Families) {
    out.gauges(
        "downstream_connections",
        "Client connections open now.",
        Show::Touched,
        &[scrape.listener_axis(), axis::<ClientProto>("proto"), axis::<TlsLabel>("tls")],
        &scrape.sum(|worker| &worker.downstream),
    );
    out.counters(
        "downstream_rejected_total",
        "Connections and requests turned away before they were routed.",
        Show::All,
        &[scrape.listener_axis(), axis::<Rejected>("reason")],
        &scrape.sum(|worker| &worker.rejected),
    );
}
