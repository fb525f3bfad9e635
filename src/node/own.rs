//! Topics of `sys/` that are about this one node: its log, its machine, its configuration, and the endpoints that are off
//! unless the configuration asks for them.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::core::mounts::Mounts;
use crate::system::Endpoints;
use crate::system::host::HostEndpoints;
use crate::system::inspect::InspectEndpoints;
use crate::system::loggers::LoggerEndpoints;
use crate::system::monitor::MonitorEndpoints;
use crate::system::raw::RawEndpoints;
use crate::system::sanitized::SanitizedEndpoints;
use crate::telemetry::LogControl;

/// What a node is told about itself.
#[derive(Debug, Clone, Default)]
pub struct Own {
    /// `None`: it has no log of its own, so nobody can watch or change it.
    pub log: Option<LogControl>,
    /// As operators may see it.
    pub configuration: Map<String, Value>,
    pub raw_storage_endpoint: bool,
    pub introspection_endpoint: bool,
}

// === impl Own ===

impl Own {
    pub(super) fn topics(self, mounts: &Arc<Mounts>) -> Vec<Box<dyn Endpoints>> {
        let mut topics: Vec<Box<dyn Endpoints>> =
            vec![Box::new(HostEndpoints::new()), Box::new(SanitizedEndpoints::new(self.configuration))];
        if let Some(log) = self.log {
            topics.push(Box::new(LoggerEndpoints::new(log.clone())));
            topics.push(Box::new(MonitorEndpoints::new(log)));
        }
        if self.raw_storage_endpoint {
            topics.push(Box::new(RawEndpoints::new()));
        }
        if self.introspection_endpoint {
            topics.push(Box::new(InspectEndpoints::new(Arc::clone(mounts))));
        }
        topics
    }
}
