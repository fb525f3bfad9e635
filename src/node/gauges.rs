//! What a node tells of itself in `sys/metrics`: the one place that gives its numbers the real server's names.

use std::fs;
use std::sync::Arc;

use crate::barrier::Barrier;
use crate::core::audit::Broker;
use crate::core::cluster::Cluster;
use crate::core::expiration::Expiration;
use crate::core::in_flight::InFlight;
use crate::core::meters::Meters;
use crate::core::mount::Table;
use crate::core::mounts::Mounts;
use crate::core::token_store::TokenStore;
use crate::system::metrics::{Family, Source};

/// Most mounts whose operations are told one by one.
const MAX_ROUTES: usize = 500;

/// Where the numbers are.
#[derive(Debug)]
pub(super) struct Gauges {
    pub(super) barrier: Arc<Barrier>,
    pub(super) mounts: Arc<Mounts>,
    pub(super) tokens: Arc<TokenStore>,
    pub(super) expiration: Arc<Expiration>,
    pub(super) cluster: Arc<Cluster>,
    pub(super) audit: Arc<Broker>,
    pub(super) meters: Arc<Meters>,
    pub(super) in_flight: Arc<InFlight>,
}

// === impl Gauges ===

impl Gauges {
    fn core(&self) -> Vec<Family> {
        let cluster = self.cluster.info().map(|info| info.name.clone()).unwrap_or_default();
        let open = if self.barrier.is_sealed() { 0.0 } else { 1.0 };
        vec![
            Family::gauge("core.unsealed", open).with("cluster", &cluster),
            Family::gauge("core.active", open).with("cluster", &cluster),
            Family::gauge("core.in_flight_requests", number(self.in_flight.len())).with("cluster", &cluster),
            Family::timer("core.handle_request", &self.meters.handle_request),
            Family::timer("core.handle_login_request", &self.meters.handle_login_request),
            Family::timer("core.check_token", &self.meters.check_token),
            Family::counter("core.commit_conflicts", &self.meters.conflicts),
            Family::timer("token.lookup", &self.meters.token_lookup),
            Family::timer("token.create", &self.tokens.creates),
            Family::gauge("expire.num_leases", number(self.expiration.waiting())),
        ]
    }

    fn audit(&self) -> Vec<Family> {
        let meters = self.audit.meters();
        vec![
            Family::timer("audit.log_request", &meters.request),
            Family::counter("audit.log_request_failure", &meters.request_failure),
            Family::timer("audit.log_response", &meters.response),
            Family::counter("audit.log_response_failure", &meters.response_failure),
        ]
    }

    fn barrier(&self) -> Vec<Family> {
        let meters = self.barrier.meters();
        vec![
            Family::timer("barrier.get", &meters.get),
            Family::timer("barrier.put", &meters.put),
            Family::timer("barrier.delete", &meters.delete),
            Family::timer("barrier.list", &meters.list),
        ]
    }

    fn mounts(&self) -> Vec<Family> {
        let router = self.mounts.router();
        let tables = [(Table::Secret, "logical"), (Table::Auth, "auth")];
        let counted =
            tables.into_iter().flat_map(|(table, kind)| [false, true].map(|local| (table, kind, local)));
        let entries = counted.map(|(table, kind, local)| {
            let count = router.mounts().filter(|one| one.table == table && one.entry.local == local).count();
            let family = Family::gauge("core.mount_table.num_entries", number(count));
            family.with("type", kind).with("local", if local { "true" } else { "false" })
        });
        let routes = router.mounts().take(MAX_ROUTES).flat_map(|mounted| {
            let path = mounted.info.path.replace('/', "-");
            let family = |(operation, timer): (crate::logical::Operation, &_)| {
                Family::timer(&format!("route.{}.{path}", operation.as_str()), timer)
            };
            mounted.meters.used().map(family).collect::<Vec<_>>()
        });
        entries.chain(routes).collect()
    }
}

impl Source for Gauges {
    fn families(&self) -> Vec<Family> {
        [self.core(), self.audit(), self.barrier(), self.mounts(), process()].concat()
    }
}

/// The process, under the names of the runtime's numbers that mean about the same here.
fn process() -> Vec<Family> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok()).unwrap_or_default()
    };
    const KIB: f64 = 1024.0;
    vec![
        Family::gauge("runtime.alloc_bytes", field("VmRSS") * KIB),
        Family::gauge("runtime.sys_bytes", field("VmSize") * KIB),
        Family::gauge("runtime.num_goroutines", field("Threads")),
    ]
}

#[expect(clippy::cast_precision_loss, reason = "no count of ours reaches 2^53")]
fn number(count: usize) -> f64 {
    count as f64
}
