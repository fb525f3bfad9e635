//! `sys/quotas/*`: rules and configuration of rate limits. What they come to is `core::quota`'s.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::whole;
use crate::core::mount::Table;
use crate::core::mounts::Mounts;
use crate::core::quota::{self, Config, Rule, RuleChange, RuleMount};
use crate::logical::Access::Token;
use crate::logical::field::Fields;
use crate::logical::{Answer, Call, Fault, Field, FieldKind, Method, Response, Route, Routes};

/// See the module.
#[derive(Debug)]
pub struct QuotaEndpoints {
    mounts: Arc<Mounts>,
    routes: Routes<Self>,
}

const NAME: Field = Field::new("name", FieldKind::String, "Name of the quota rule.");

const RULE: &[Field] = &[
    NAME,
    Field::new("type", FieldKind::String, "Type of the quota rule."),
    Field::new("path", FieldKind::String, "Mount, or path of a mount, the rule is about; empty: everything."),
    Field::new("role", FieldKind::String, "Login role the rule is about."),
    Field::new("rate", FieldKind::Float, "Requests an address may make in an interval; positive."),
    Field::new("interval", FieldKind::DurationSecs, "How long the rate counts (default 1s)."),
    Field::new("block_interval", FieldKind::DurationSecs, "How long an address that exceeds is refused."),
    Field::new("inheritable", FieldKind::Bool, "Whether child namespaces use it."),
];

const CONFIG: &[Field] = &[
    Field::new("rate_limit_exempt_paths", FieldKind::List, "Paths no rule is about."),
    Field::new(
        "enable_rate_limit_audit_logging",
        FieldKind::Bool,
        "Whether refused requests are written to the audit log.",
    ),
    Field::new(
        "enable_rate_limit_response_headers",
        FieldKind::Bool,
        "Whether answers say how a client stands.",
    ),
];

const ROUTES: &[Route<QuotaEndpoints>] = &[
    Route::new(
        "quotas/config",
        Token,
        &[Method::read(QuotaEndpoints::read_config), Method::write(QuotaEndpoints::write_config)],
        CONFIG,
        "Create, update and read the quota configuration.",
    ),
    Route::new(
        "quotas/rate-limit/?",
        Token,
        &[Method::list(QuotaEndpoints::list)],
        &[NAME],
        "Lists the names of all the rate limit quotas.",
    ),
    Route::new(
        "quotas/rate-limit/{name}",
        Token,
        &[
            Method::read(QuotaEndpoints::read),
            Method::write(QuotaEndpoints::write),
            Method::delete(QuotaEndpoints::delete),
        ],
        RULE,
        "Get, create or update a rate limit quota.",
    ),
];

// === impl QuotaEndpoints ===

impl QuotaEndpoints {
    #[must_use]
    pub fn new(mounts: Arc<Mounts>) -> Self {
        Self { mounts, routes: Routes::new(ROUTES) }
    }

    fn read_config(&self, call: &mut Call<'_>) -> Answer {
        let config = quota::read(whole(call)?)?.config;
        Ok(Response::json(json!({
            "enable_rate_limit_audit_logging": config.audit_logging,
            "enable_rate_limit_response_headers": config.response_headers,
            "rate_limit_exempt_paths": config.exempt_paths,
        })))
    }

    /// A write says all of it: what it leaves out is off.
    fn write_config(&self, call: &mut Call<'_>) -> Answer {
        let fields = Fields::new(&call.request.data);
        let config = Config {
            exempt_paths: fields.list("rate_limit_exempt_paths")?.unwrap_or_default(),
            response_headers: fields.flag("enable_rate_limit_response_headers")?.unwrap_or(false),
            audit_logging: fields.flag("enable_rate_limit_audit_logging")?.unwrap_or(false),
        };
        quota::set_config(whole(call)?, config)?;
        Ok(Response::empty())
    }

    fn list(&self, call: &mut Call<'_>) -> Answer {
        Ok(Response::keys(quota::read(whole(call)?)?.rules.into_keys().collect()))
    }

    fn read(&self, call: &mut Call<'_>) -> Answer {
        let name = call.captures.get("name");
        let rules = quota::read(whole(call)?)?.rules;
        Ok(rules.get(name).map_or_else(Response::empty, |rule| Response::of(shown(name, rule))))
    }

    fn write(&self, call: &mut Call<'_>) -> Answer {
        let fields = Fields::new(&call.request.data);
        let change = RuleChange {
            path: fields.text("path")?.unwrap_or_default(),
            role: fields.text("role")?.unwrap_or_default(),
            rate: fields.float("rate")?.unwrap_or(0.0),
            interval_secs: fields.seconds("interval")?.unwrap_or(0),
            block_secs: fields.seconds("block_interval")?.unwrap_or(0),
            inheritable: fields.flag("inheritable")?,
        };
        let rule = self.rule(&change)?;
        let name = call.captures.get("name");
        quota::set_rule(whole(call)?, name, rule)?;
        Ok(Response::empty())
    }

    fn rule(&self, change: &RuleChange) -> Result<Rule, Fault> {
        let router = self.mounts.router();
        let mount = router.route(change.path.trim_matches('/')).map(|(mounted, rest)| RuleMount {
            path: &mounted.info.path,
            rest,
            is_auth: mounted.table == Table::Auth,
            has_roles: mounted.backend.has_login_roles(),
        });
        Rule::new(change, mount)
    }

    fn delete(&self, call: &mut Call<'_>) -> Answer {
        let name = call.captures.get("name");
        quota::delete_rule(whole(call)?, name)?;
        Ok(Response::empty())
    }
}

fn shown(name: &str, rule: &Rule) -> Map<String, Value> {
    let fields = [
        ("block_interval", json!(rule.block_secs)),
        ("inheritable", json!(rule.inheritable)),
        ("interval", json!(rule.interval_secs)),
        ("name", json!(name)),
        ("path", json!(rule.path())),
        ("rate", shown_rate(rule.rate)),
        ("role", json!(rule.role)),
        ("type", json!("rate-limit")),
    ];
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Whole numbers are shown without a point.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole, positive and exact")]
fn shown_rate(rate: f64) -> Value {
    if rate.fract() == 0.0 && rate < 9e15 { json!(rate as u64) } else { json!(rate) }
}

impl super::Tabled for QuotaEndpoints {
    fn routes(&self) -> &Routes<Self> {
        &self.routes
    }
}
