//! What operators set up at run time beside mounts, tokens and policies: the records it is kept in and the topics of
//! `sys/` over them.

use std::sync::Arc;

use crate::auth;
use crate::core::audit::Broker;
use crate::core::cached::{Cached, FollowsRecord};
use crate::core::mounts::Mounts;
use crate::core::token_store::TokenStore;
use crate::engine;
use crate::system::Endpoints;
use crate::system::absent::AbsentEndpoints;
use crate::system::audit::{AuditEndpoints, AuditRules};
use crate::system::audited_headers::AuditedHeaderEndpoints;
use crate::system::cors::{self, CorsConfig, CorsEndpoints};
use crate::system::counters::CounterEndpoints;
use crate::system::namespaces::NamespaceEndpoints;
use crate::system::openapi::OpenApiEndpoints;
use crate::system::plugins::{Catalog, PluginEndpoints};
use crate::system::tools::ToolEndpoints;
use crate::system::ui_headers::{self, UiHeaderEndpoints, UiHeaders};
use crate::system::versions::VersionEndpoints;

/// See the module.
#[derive(Debug)]
pub struct Administration {
    pub audit: Arc<Broker>,
    pub cors: Arc<Cached<CorsConfig>>,
    ui_headers: Arc<Cached<UiHeaders>>,
}

// === impl Administration ===

impl Administration {
    pub(super) fn new() -> Self {
        Self {
            audit: Arc::default(),
            cors: Arc::new(Cached::new(cors::KEY)),
            ui_headers: Arc::new(Cached::new(ui_headers::KEY)),
        }
    }

    /// What follows the store on every node.
    pub(super) fn records(&self) -> Vec<Arc<dyn FollowsRecord>> {
        vec![
            Arc::clone(&self.audit) as _,
            Arc::clone(self.audit.headers()) as _,
            Arc::clone(&self.cors) as _,
            Arc::clone(&self.ui_headers) as _,
        ]
    }

    pub(super) fn topics(
        &self,
        mounts: &Arc<Mounts>,
        tokens: &Arc<TokenStore>,
        rules: AuditRules,
    ) -> Vec<Box<dyn Endpoints>> {
        let catalog = Catalog { auth: auth::KINDS.to_vec(), secret: engine::kinds().collect() };
        vec![
            Box::new(AuditEndpoints::new(Arc::clone(&self.audit), rules)),
            Box::new(AuditedHeaderEndpoints::new(Arc::clone(self.audit.headers()))),
            Box::new(CorsEndpoints::new(Arc::clone(&self.cors))),
            Box::new(UiHeaderEndpoints::new(Arc::clone(&self.ui_headers))),
            Box::new(ToolEndpoints::new()),
            Box::new(PluginEndpoints::new(Arc::clone(mounts), catalog)),
            Box::new(CounterEndpoints::new(Arc::clone(tokens))),
            Box::new(NamespaceEndpoints::new()),
            Box::new(VersionEndpoints::new()),
            Box::new(AbsentEndpoints::new()),
            Box::new(OpenApiEndpoints::new(Arc::clone(mounts))),
        ]
    }
}
