//! `sys/ha-status`: the nodes the active one knows of.

use serde_json::{Value, json};

use crate::api::version::VERSION;
use crate::logical::Access::Token;
use crate::logical::{Answer, Call, Effect, Method, Operation, Response, Route, Routes};

/// Where a node is reached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Addresses {
    /// By clients.
    pub api: String,
    /// By other nodes.
    pub cluster: String,
}

/// See the module.
#[derive(Debug)]
pub struct HaStatusEndpoints {
    addresses: Addresses,
    routes: Routes<Self>,
}

const ROUTES: &[Route<HaStatusEndpoints>] = &[
    // Only the active node hears of the others.
    Route::new(
        "ha-status",
        Token,
        &[Method::new(&[Operation::Read], Effect::Write, HaStatusEndpoints::read)],
        &[],
        "The nodes of the cluster.",
    ),
];

// === impl HaStatusEndpoints ===

impl HaStatusEndpoints {
    #[must_use]
    pub fn new(addresses: Addresses) -> Self {
        Self { addresses, routes: Routes::new(ROUTES) }
    }

    fn read(&self, _call: &mut Call<'_>) -> Answer {
        let this = json!({
            "hostname": hostname(),
            "api_address": self.addresses.api,
            "cluster_address": self.addresses.cluster,
            "active_node": true,
            "last_echo": Value::Null,
            "version": VERSION,
        });
        Ok(Response { injected: true, ..Response::json(json!({ "nodes": [this] })) })
    }
}

fn hostname() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

impl super::Tabled for HaStatusEndpoints {
    fn routes(&self) -> &Routes<Self> {
        &self.routes
    }
}
