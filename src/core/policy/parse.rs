//! The policy language: HCL or JSON text in, rules or the server's words of what is wrong out.

use std::sync::Arc;

use thiserror::Error;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::capability::Capabilities;
use super::decode::{Fields, ast};
use super::go::{self, quote};
use super::key_filter::KeyTemplate;
use super::rule::{PathRule, Permissions, Policy};
use super::scope::Scope;
use super::template;
use crate::hcl::{self, Body, Item};

const TOP_KEYS: &[&str] = &["name", "path"];
const PATH_KEYS: &[&str] = &[
    "comment",
    "policy",
    "capabilities",
    "allowed_parameters",
    "denied_parameters",
    "required_parameters",
    "min_wrapping_ttl",
    "max_wrapping_ttl",
    "mfa_methods",
    "pagination_limit",
    "expiration",
    "list_scan_response_keys_filter_path",
    "control_group",
];

/// A text that is no policy, in the server's words.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("failed to parse policy: {0}")]
pub struct PolicyError(String);

/// Reads a policy.
///
/// # Errors
/// The first mistake.
pub fn policy(text: &str) -> Result<Policy, PolicyError> {
    let is_json = text.trim_start().starts_with('{');
    let body = hcl::parse(text).map_err(|error| PolicyError(error.to_string()))?;
    read(&body, is_json).map_err(PolicyError)
}

/// A time of an `expiration`: RFC 3339, or seconds since 1970.
#[must_use]
pub fn moment(text: &str) -> Option<OffsetDateTime> {
    if let Ok(seconds) = text.parse::<i64>() {
        return OffsetDateTime::from_unix_timestamp(seconds).ok();
    }
    let upper = !text.contains(|c: char| c.is_ascii_lowercase());
    upper.then(|| OffsetDateTime::parse(text, &Rfc3339).ok()).flatten()
}

fn read(body: &Body, is_json: bool) -> Result<Policy, String> {
    check_keys(body, TOP_KEYS)?;
    // A name is taken, and means nothing: policies are called what they are stored as.
    Fields::new(body, is_json).text("name", "name")?;
    let paths = body.named("path").map(|item| {
        let key = item.labels().first().map_or("path", |label| &*label.text);
        path(key, item, is_json).map_err(|error| format!("path {}: {error}", quote(key)))
    });
    Ok(Policy { paths: paths.collect::<Result<_, _>>()? })
}

fn check_keys(body: &Body, known: &[&str]) -> Result<(), String> {
    let unknown = body.items.iter().filter(|item| !known.contains(&&*item.key().text)).map(|item| {
        let line = item.assign.map_or(0, |span| span.line);
        format!("invalid key {} on line {line}", quote(&item.key().text))
    });
    let unknown: Vec<String> = unknown.collect();
    if unknown.is_empty() { Ok(()) } else { Err(go::errors(&unknown)) }
}

fn path(key: &str, item: &Item, is_json: bool) -> Result<PathRule, String> {
    let templated = template::is_templated(key)
        .map_err(|error| format!("failed to validate policy templating: {error}"))?;
    let body =
        item.value.as_body().ok_or_else(|| format!("cannot check HCL keys of type {}", ast(&item.value)))?;
    check_keys(body, PATH_KEYS)?;
    let fields = Fields::new(body, is_json);
    if fields.has("control_group") {
        // Taking it without asking anybody's approval would open what it guards.
        return Err("control groups are not supported".to_owned());
    }
    let named = |error: String| format!("path {}: {error}", quote(key));
    let raw = Raw::read(fields).map_err(named)?;
    let expires_at = raw.expires_at().map_err(named)?;
    Scope::of(key).map_err(|error| error.to_string())?;
    let capabilities = raw.capabilities().map_err(named)?;
    let permissions = if capabilities.has(Capabilities::DENY) {
        Permissions { capabilities: Capabilities::DENY, ..Permissions::default() }
    } else {
        raw.permissions(capabilities, fields)?
    };
    Ok(PathRule { key: key.to_owned(), templated, expires_at, permissions: Arc::new(permissions) })
}

/// The fields of a path block as they are, before they are looked at together.
struct Raw {
    policy: Option<String>,
    capabilities: Vec<String>,
    expiration: Option<String>,
    permissions: Permissions,
    key_filter: Option<String>,
}

// === impl Raw ===

impl Raw {
    fn read(fields: Fields<'_>) -> Result<Self, String> {
        let raw = Self {
            policy: fields.text("policy", "Policy")?,
            capabilities: fields.texts("capabilities", "Capabilities")?,
            expiration: fields.text("expiration", "expiration")?,
            permissions: Permissions {
                allowed: fields.parameters("allowed_parameters")?,
                denied: fields.parameters("denied_parameters")?,
                required: fields
                    .texts("required_parameters", "required_parameters")?
                    .iter()
                    .map(|name| name.to_lowercase())
                    .collect(),
                ..Permissions::default()
            },
            key_filter: None,
        };
        // Nothing asks for a second factor per path; the server takes the names and asks neither.
        fields.texts("mfa_methods", "mfa_methods")?;
        let pagination_limit = fields.integer("pagination_limit")?.unwrap_or(0);
        let field = "list_scan_response_keys_filter_path";
        let key_filter = fields.text(field, field)?.filter(|text| !text.is_empty());
        Ok(Self { permissions: Permissions { pagination_limit, ..raw.permissions }, key_filter, ..raw })
    }

    fn expires_at(&self) -> Result<Option<OffsetDateTime>, String> {
        match self.expiration.as_deref() {
            None | Some("") => Ok(None),
            Some(text) => moment(text)
                .map(Some)
                .ok_or_else(|| "invalid expiration time: could not parse string as date and time".to_owned()),
        }
    }

    /// A denial beside anything is a denial.
    fn capabilities(&self) -> Result<Capabilities, String> {
        let mut capabilities = match self.policy.as_deref() {
            None | Some("") => Capabilities::NONE,
            Some(old) => {
                Capabilities::of_old_policy(old).ok_or_else(|| format!("invalid policy {}", quote(old)))?
            }
        };
        for name in &self.capabilities {
            if capabilities.has(Capabilities::DENY) {
                break;
            }
            let one =
                Capabilities::named(name).ok_or_else(|| format!("invalid capability {}", quote(name)))?;
            capabilities = capabilities.with(one);
        }
        Ok(capabilities)
    }

    fn permissions(self, capabilities: Capabilities, fields: Fields<'_>) -> Result<Permissions, String> {
        let ttl =
            |field: &str| fields.duration(field).map_err(|error| format!("error parsing {field}: {error}"));
        let min_wrapping_ttl = ttl("min_wrapping_ttl")?.unwrap_or(0);
        let max_wrapping_ttl = ttl("max_wrapping_ttl")?.unwrap_or(0);
        if min_wrapping_ttl != 0 && max_wrapping_ttl != 0 && max_wrapping_ttl < min_wrapping_ttl {
            return Err("max_wrapping_ttl cannot be less than min_wrapping_ttl".to_owned());
        }
        let key_filter = self.key_filter.map(|text| key_filter(&text, capabilities)).transpose()?;
        Ok(Permissions { capabilities, min_wrapping_ttl, max_wrapping_ttl, key_filter, ..self.permissions })
    }
}

fn key_filter(text: &str, capabilities: Capabilities) -> Result<Arc<KeyTemplate>, String> {
    let field = "list_scan_response_keys_filter_path";
    if !capabilities.has(Capabilities::LIST) {
        return Err(format!("{field} needs to be used on a path with the list capability"));
    }
    let template = KeyTemplate::parse(text).map_err(|error| {
        format!("unable to compile template for {field}: unable to parse template: {error}")
    })?;
    if !template.tells_keys_apart() {
        return Err(format!("{field} resulted in same path for two different keys"));
    }
    Ok(Arc::new(template))
}
