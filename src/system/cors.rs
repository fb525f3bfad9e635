//! `sys/config/cors`: which origins a browser may ask this API from. The front asks [`CorsConfig`] at each request.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::whole;
use crate::core::cached::Cached;
use crate::logical::Access::Sudo;
use crate::logical::field::Fields;
use crate::logical::{Answer, Call, Fault, Field, FieldKind, Method, Response, Route, Routes};

/// Where the record is stored.
pub const KEY: &str = "core/cors";

/// Headers a browser may always send.
const STANDARD_HEADERS: &[&str] = &[
    "Content-Type",
    "Authorization",
    "X-Vault-Token",
    "X-Vault-MFA",
    "X-Vault-No-Request-Forwarding",
    "X-Vault-Wrap-Format",
    "X-Vault-Wrap-TTL",
    "X-Requested-With",
    "X-Vault-AWS-IAM-Server-ID",
    "X-Vault-Policy-Override",
];

/// As stored; off where nothing is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CorsConfig {
    pub enabled: bool,
    pub allowed_origins: Vec<String>,
    /// Beside the standard ones.
    pub more_headers: Vec<String>,
    pub allow_credentials: bool,
}

/// See the module.
#[derive(Debug)]
pub struct CorsEndpoints {
    config: Arc<Cached<CorsConfig>>,
    routes: Routes<Self>,
}

const FIELDS: &[Field] = &[
    Field {
        name: "enable",
        kind: FieldKind::Bool,
        description: "Enables or disables CORS headers on requests.",
    },
    Field {
        name: "allowed_origins",
        kind: FieldKind::CommaList,
        description: "Origins that may make cross-origin requests, or `*`.",
    },
    Field {
        name: "allowed_headers",
        kind: FieldKind::CommaList,
        description: "Headers that are allowed beside the standard ones.",
    },
    Field {
        name: "allow_credentials",
        kind: FieldKind::Bool,
        description: "Whether requests may carry credentials.",
    },
];

const ROUTES: &[Route<CorsEndpoints>] = &[Route::new(
    "config/cors",
    Sudo,
    &[
        Method::read(CorsEndpoints::read),
        Method::write(CorsEndpoints::write),
        Method::delete(CorsEndpoints::delete),
    ],
    FIELDS,
    "Configure or return the current configuration of CORS settings.",
)];

// === impl CorsConfig ===

impl CorsConfig {
    /// Whether pages of `origin` may ask.
    #[must_use]
    pub fn allows(&self, origin: &str) -> bool {
        self.allowed_origins.iter().any(|allowed| allowed == "*" || allowed == origin)
    }

    pub fn headers(&self) -> impl Iterator<Item = &str> {
        STANDARD_HEADERS.iter().copied().chain(self.more_headers.iter().map(String::as_str))
    }

    fn check(&self) -> Result<(), Fault> {
        if self.allowed_origins.is_empty() {
            return Err(Fault::Internal("at least one origin or the wildcard must be provided".to_owned()));
        }
        if self.allowed_origins.len() > 1 && self.allowed_origins.iter().any(|origin| origin == "*") {
            let text = "to allow all origins the '*' must be the only value for allowed_origins";
            return Err(Fault::Internal(text.to_owned()));
        }
        Ok(())
    }

    fn shown(&self) -> Map<String, Value> {
        let mut shown = Map::from_iter([("enabled".to_owned(), json!(self.enabled))]);
        if self.enabled {
            shown.insert("allowed_origins".to_owned(), json!(self.allowed_origins));
            shown.insert("allowed_headers".to_owned(), json!(self.headers().collect::<Vec<_>>()));
            shown.insert("allow_credentials".to_owned(), json!(self.allow_credentials));
        }
        shown
    }
}

// === impl CorsEndpoints ===

impl CorsEndpoints {
    #[must_use]
    pub fn new(config: Arc<Cached<CorsConfig>>) -> Self {
        Self { config, routes: Routes::new(ROUTES) }
    }

    fn read(&self, call: &mut Call<'_>) -> Answer {
        let config = self.config.read(whole(call)?)?;
        Ok(Response { injected: true, ..Response::of(config.shown()) })
    }

    fn write(&self, call: &mut Call<'_>) -> Answer {
        let fields = Fields::new(&call.request.data);
        let config = CorsConfig {
            enabled: true,
            allowed_origins: fields.list("allowed_origins")?.unwrap_or_default(),
            more_headers: fields.list("allowed_headers")?.unwrap_or_default(),
            allow_credentials: fields.flag("allow_credentials")?.unwrap_or_default(),
        };
        config.check()?;
        self.config.write(whole(call)?, &config)?;
        Ok(Response::empty())
    }

    fn delete(&self, call: &mut Call<'_>) -> Answer {
        self.config.write(whole(call)?, &CorsConfig::default())?;
        Ok(Response::empty())
    }
}

impl super::Tabled for CorsEndpoints {
    fn routes(&self) -> &Routes<Self> {
        &self.routes
    }
}
