//! `sys/mounts`, `sys/auth`, `sys/remount`, `sys/internal/ui/mounts`: what is mounted where.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{lockout_config, whole};
use crate::core::mount::{MountConfig, MountEntry, RUNNING_VERSION, Table, clean_path};
use crate::core::mounts::{self, Mounts, check_bounds};
use crate::core::policy::{Compiled, Holder, PolicyStore};
use crate::core::router::Mounted;
use crate::logical::field::Fields;
use crate::logical::{
    Access, Answer, Call, Captures, Effect, Endpoint, Fault, Field, FieldKind, Method, Operation, Response,
    Route, Routes,
};

/// The endpoints over the mounts.
#[derive(Debug)]
pub struct MountEndpoints {
    mounts: Arc<Mounts>,
    policies: Arc<PolicyStore>,
    routes: Routes<Self>,
}

const WRITE: &[Operation] = &[Operation::Create, Operation::Update];

const fn field(name: &'static str, kind: FieldKind, description: &'static str) -> Field {
    Field { name, kind, description }
}

/// Of mounting and of tuning: the two share their pattern.
const MOUNT_FIELDS: &[Field] = &[
    field("path", FieldKind::String, "The path to mount to. Example: \"aws/east\""),
    field("type", FieldKind::String, "The type of the backend. Example: \"passthrough\""),
    field("description", FieldKind::String, "User-friendly description for this mount."),
    field(
        "config",
        FieldKind::Map,
        "Configuration for this mount, such as default_lease_ttl and max_lease_ttl.",
    ),
    field("local", FieldKind::Bool, "Mark the mount as a local mount, which is not replicated."),
    field("seal_wrap", FieldKind::Bool, "Whether to turn on seal wrapping for the mount."),
    field(
        "external_entropy_access",
        FieldKind::Bool,
        "Whether to give the mount access to external entropy.",
    ),
    field("plugin_name", FieldKind::String, "Name of the plugin to mount based from the name registered."),
    field("plugin_version", FieldKind::String, "The semantic version of the plugin to use."),
    field("options", FieldKind::KvPairs, "The options to pass into the backend."),
    field("default_lease_ttl", FieldKind::String, "The default lease TTL for this mount."),
    field("max_lease_ttl", FieldKind::String, "The max lease TTL for this mount."),
    field(
        "audit_non_hmac_request_keys",
        FieldKind::CommaList,
        "Request keys that audit devices do not hash.",
    ),
    field(
        "audit_non_hmac_response_keys",
        FieldKind::CommaList,
        "Response keys that audit devices do not hash.",
    ),
    field("listing_visibility", FieldKind::LowerString, "\"unauth\", \"hidden\" or empty."),
    field("passthrough_request_headers", FieldKind::CommaList, "Request headers passed to the backend."),
    field("allowed_response_headers", FieldKind::CommaList, "Response headers a backend may set."),
    field("token_type", FieldKind::String, "The type of token to issue (service or batch)."),
    field("user_lockout_config", FieldKind::Map, "The user lockout configuration to pass into the backend."),
];

const REMOUNT_FIELDS: &[Field] = &[
    field("from", FieldKind::String, "The previous mount point."),
    field("to", FieldKind::String, "The new mount point."),
];

/// A list endpoint.
macro_rules! reads {
    ($pattern:literal, $access:ident, $run:expr, $summary:literal) => {
        Route {
            pattern: $pattern,
            access: Access::$access,
            methods: &[Method::new(&[Operation::Read], Effect::Read, $run)],
            exists: None,
            fields: &[],
            summary: $summary,
        }
    };
}

/// An endpoint that is read, written and perhaps deleted.
macro_rules! changes {
    ($pattern:literal, $access:ident, $fields:expr, $summary:literal, $read:expr, $write:expr $(, $delete:expr)?) => {
        Route {
            pattern: $pattern,
            access: Access::$access,
            methods: &[
                Method::new(&[Operation::Read], Effect::Read, $read),
                Method::new(WRITE, Effect::Write, $write),
                $(Method::new(&[Operation::Delete], Effect::Write, $delete),)?
            ],
            exists: None,
            fields: $fields,
            summary: $summary,
        }
    };
}

const ROUTES: &[Route<MountEndpoints>] = &[
    reads!(
        "mounts/?",
        Token,
        |at, call| at.list(call, Table::Secret),
        "List the currently mounted backends."
    ),
    reads!(
        "auth/?",
        Token,
        |at, call| at.list(call, Table::Auth),
        "List the currently enabled credential backends."
    ),
    changes!(
        "mounts/{path:rest}",
        Token,
        MOUNT_FIELDS,
        "Mount, inspect or unmount a backend.",
        |at, call| at.read(call, Table::Secret),
        |at, call| at.write(call, Table::Secret),
        |at, call| at.delete(call, Table::Secret)
    ),
    changes!(
        "auth/{path:rest}",
        Sudo,
        MOUNT_FIELDS,
        "Enable, inspect or disable a credential backend.",
        |at, call| at.read(call, Table::Auth),
        |at, call| at.write(call, Table::Auth),
        |at, call| at.delete(call, Table::Auth)
    ),
    Route {
        pattern: "remount",
        access: Access::Sudo,
        methods: &[Method::new(WRITE, Effect::Write, MountEndpoints::remount)],
        exists: None,
        fields: REMOUNT_FIELDS,
        summary: "Move the mount point of an already-mounted backend.",
    },
    reads!(
        "remount/status/{migration_id}",
        Token,
        |_, _| Ok(Response::empty()),
        "Check the status of a mount move."
    ),
    reads!("internal/ui/mounts", Open, MountEndpoints::visible, "What the caller may see mounted."),
    reads!(
        "internal/ui/mounts/{path:rest}",
        Open,
        MountEndpoints::visible_one,
        "The mount that serves a path."
    ),
];

// === impl MountEndpoints ===

impl MountEndpoints {
    #[must_use]
    pub fn new(mounts: Arc<Mounts>, policies: Arc<PolicyStore>) -> Self {
        Self { mounts, policies, routes: Routes::new(ROUTES) }
    }

    fn list(&self, call: &mut Call<'_>, table: Table) -> Answer {
        let rows = mounts::load(whole(call)?, table)?;
        let data = rows.entries.iter().map(|entry| (entry.path.clone(), shown(entry))).collect();
        Ok(injected(data))
    }

    /// `mounts/<path>` and `mounts/<path>/tune` share a pattern: a mount's path has any number of segments.
    fn read(&self, call: &mut Call<'_>, table: Table) -> Answer {
        match split_tune(call.captures.get("path")) {
            (path, Suffix::Tune) => self.read_tune(call, table, path),
            (path, Suffix::None) => {
                let path = clean_path(path)?;
                let rows = mounts::load(whole(call)?, table)?;
                let what = if table == Table::Auth { "auth engine" } else { "secret engine mount" };
                let entry = rows.at(&path).ok_or_else(|| Fault::invalid(format!("No {what} at {path}")))?;
                Ok(injected(object(shown(entry))))
            }
        }
    }

    fn read_tune(&self, call: &mut Call<'_>, table: Table, path: &str) -> Answer {
        let (table, path) = home(table, path);
        let path = clean_path(path)?;
        let rows = mounts::load(whole(call)?, table)?;
        let missing =
            || Fault::invalid(format!("cannot fetch sysview for path \"{}{path}\"", table.prefix()));
        let entry = rows.at(&path).ok_or_else(missing)?;
        Ok(injected(tuned(
            entry,
            self.mounts.bounds().default_ttl.as_secs(),
            self.mounts.bounds().max_ttl.as_secs(),
        )))
    }

    fn write(&self, call: &mut Call<'_>, table: Table) -> Answer {
        match split_tune(call.captures.get("path")) {
            (path, Suffix::Tune) => self.tune(call, table, path),
            (path, Suffix::None) => self.enable(call, table, path),
        }
    }

    fn enable(&self, call: &mut Call<'_>, table: Table, path: &str) -> Answer {
        let path = clean_path(path)?;
        let data = call.request.data.clone();
        let entry = new_entry(table, &path, &data)?;
        let now = call.now;
        self.mounts.enable(whole(call)?, table, entry, now)?;
        Ok(Response::empty())
    }

    fn delete(&self, call: &mut Call<'_>, table: Table) -> Answer {
        let path = clean_path(call.captures.get("path"))?;
        self.mounts.disable(whole(call)?, table, &path)?;
        Ok(Response::empty())
    }

    fn tune(&self, call: &mut Call<'_>, table: Table, path: &str) -> Answer {
        let (table, path) = home(table, path);
        let path = clean_path(path)?;
        let data = call.request.data.clone();
        let mut upgraded = false;
        let system = self.mounts.bounds();
        self.mounts.tune(whole(call)?, table, &path, |entry| {
            let before = entry.options.get("version").cloned();
            apply_tune(entry, &Fields::new(&data), system.default_ttl.as_secs())?;
            upgraded = entry.kind == "kv" && before != entry.options.get("version").cloned();
            Ok(())
        })?;
        Ok(match upgraded {
            true => Response::empty().with_warning(
                "Upgrading mount from version 1 to version 2. This mount will be unavailable for a brief period and will \
                 resume service shortly.",
            ),
            false => Response::empty(),
        })
    }

    fn remount(&self, call: &mut Call<'_>) -> Answer {
        let fields = Fields::new(&call.request.data);
        let (from, to) = (fields.text("from")?.unwrap_or_default(), fields.text("to")?.unwrap_or_default());
        if from.is_empty() || to.is_empty() {
            return Err(Fault::invalid("both 'from' and 'to' path must be specified as a string"));
        }
        let (table, from, to) = between(&clean_path(&from)?, &clean_path(&to)?)?;
        self.mounts.remap(whole(call)?, table, &from, &to)?;
        let mut response = Response::json(json!({ "migration_id": Uuid::new_v4().to_string() })).with_warning(
            "Mount move has been queued. Progress will be reported in OpenBao's server log, tagged with the returned \
             migration_id",
        );
        response.injected = true;
        Ok(response)
    }

    /// A caller sees the mounts its policies reach, and like anybody those listed for everybody.
    fn visible(&self, call: &mut Call<'_>) -> Answer {
        if call.request.shows_token && call.request.caller.is_none() {
            return Err(no_token());
        }
        let access = self.access(call)?;
        let router = self.mounts.router();
        let reaches =
            |mounted: &Mounted| access.as_ref().is_some_and(|access| access.acl.reaches(&mounted.info.path));
        let listed = |table: Table| -> Map<String, Value> {
            router
                .mounts()
                .filter(|mounted| mounted.table == table && (reaches(mounted) || is_listed(mounted)))
                .map(|mounted| {
                    let known = access.is_some();
                    let seen = if known { shown(&mounted.entry) } else { glimpse(&mounted.entry) };
                    (mounted.entry.path.clone(), seen)
                })
                .collect()
        };
        Ok(Response::json(json!({ "secret": listed(Table::Secret), "auth": listed(Table::Auth) })))
    }

    /// The rules of the caller; `None`: there is none.
    fn access(&self, call: &mut Call<'_>) -> Result<Option<Arc<Compiled>>, Fault> {
        let (caller, now) = (call.request.caller.clone(), call.now);
        let Some(caller) = caller else { return Ok(None) };
        Ok(Some(self.policies.access(whole(call)?, &Holder::from(&*caller), now)?))
    }

    /// Anybody may ask; who reaches nothing of the mount is told no more than of one that is not there.
    fn visible_one(&self, call: &mut Call<'_>) -> Answer {
        let path = call.captures.get("path");
        let router = self.mounts.router();
        let denied = || {
            let text = format!(
                "preflight capability check returned 403, please ensure client's policies grant access to path {:?}",
                format!("{}/", path.trim_end_matches('/'))
            );
            Fault::Status { status: 403, text }
        };
        let access = self.access(call)?.ok_or_else(no_token)?;
        let (mounted, _) = router.route(path).ok_or_else(denied)?;
        if !access.acl.reaches(&mounted.info.path) {
            return Err(denied());
        }
        let mut data = object(shown(&mounted.entry));
        data.insert("path".to_owned(), json!(mounted.info.path));
        Ok(Response::of(data))
    }
}

enum Suffix {
    None,
    Tune,
}

/// Auth methods may be tuned as `sys/mounts/auth/<path>/tune` too: that is how the command line does it.
fn home(table: Table, path: &str) -> (Table, &str) {
    match path.strip_prefix(Table::Auth.prefix()) {
        Some(path) if table == Table::Secret => (Table::Auth, path),
        Some(_) | None => (table, path),
    }
}

fn split_tune(path: &str) -> (&str, Suffix) {
    match path.trim_end_matches('/').strip_suffix("/tune") {
        Some(path) => (path, Suffix::Tune),
        None => (path, Suffix::None),
    }
}

/// None was shown, or none that is one.
fn no_token() -> Fault {
    Fault::Status { status: 403, text: "permission denied".to_owned() }
}

fn is_listed(mounted: &Mounted) -> bool {
    mounted.entry.config.listing_visibility == "unauth"
}

fn injected(data: Map<String, Value>) -> Response {
    Response { injected: true, ..Response::of(data) }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
    }
}

/// Which table a move concerns; a mount does not change sides.
fn between(from: &str, to: &str) -> Result<(Table, String, String), Fault> {
    if ["sys/", "identity/", "cubbyhole/", "auth/token/", "audit/"].contains(&to) {
        return Err(Fault::invalid(format!("cannot remount to destination {to}")));
    }
    match (from.strip_prefix("auth/"), to.strip_prefix("auth/")) {
        (Some(from), Some(to)) => Ok((Table::Auth, from.to_owned(), to.to_owned())),
        (None, None) => Ok((Table::Secret, from.to_owned(), to.to_owned())),
        _ => Err(Fault::invalid("cannot remount between auth and secret mounts")),
    }
}

fn new_entry(table: Table, path: &str, data: &Map<String, Value>) -> Result<MountEntry, Fault> {
    let fields = Fields::new(data);
    let kind = fields.text("type")?.filter(|kind| !kind.is_empty());
    let kind = kind.ok_or_else(|| Fault::invalid("backend type must be specified as a string"))?;
    let (kind, mut options) = match kind.as_str() {
        "kv-v1" => ("kv".to_owned(), version_option("1")),
        "kv-v2" => ("kv".to_owned(), version_option("2")),
        "generic" => ("kv".to_owned(), BTreeMap::new()),
        _ => (kind, BTreeMap::new()),
    };
    if matches!(kind.as_str(), "system" | "identity" | "cubbyhole" | "token") {
        return Err(Fault::invalid(format!("mount type of {kind:?} is not mountable")));
    }
    options.extend(fields.pairs("options")?.unwrap_or_default());
    let mut entry = MountEntry::new(table, path, &kind);
    entry.description = fields.text("description")?.unwrap_or_default();
    entry.local = fields.flag("local")?.unwrap_or_default();
    entry.seal_wrap = fields.flag("seal_wrap")?.unwrap_or_default();
    entry.external_entropy_access = fields.flag("external_entropy_access")?.unwrap_or_default();
    entry.options = options;
    if let Some(config) = fields.map("config")? {
        apply_config(&mut entry.config, &Fields::new(config))?;
    }
    if table == Table::Auth && entry.config.token_type.is_empty() {
        "default-service".clone_into(&mut entry.config.token_type);
    }
    check_bounds(&entry.config)?;
    Ok(entry)
}

fn version_option(version: &str) -> BTreeMap<String, String> {
    BTreeMap::from([("version".to_owned(), version.to_owned())])
}

/// What both `config` at mount time and `tune` set.
fn apply_config(config: &mut MountConfig, fields: &Fields<'_>) -> Result<(), Fault> {
    if let Some(secs) = lease_ttl(fields, "default_lease_ttl")? {
        config.default_lease_ttl = secs;
    }
    if let Some(secs) = lease_ttl(fields, "max_lease_ttl")? {
        config.max_lease_ttl = secs;
    }
    set(&mut config.force_no_cache, fields.flag("force_no_cache")?);
    set(&mut config.audit_non_hmac_request_keys, fields.list("audit_non_hmac_request_keys")?);
    set(&mut config.audit_non_hmac_response_keys, fields.list("audit_non_hmac_response_keys")?);
    set(&mut config.passthrough_request_headers, fields.list("passthrough_request_headers")?);
    set(&mut config.allowed_response_headers, fields.list("allowed_response_headers")?);
    if let Some(visibility) = fields.text("listing_visibility")? {
        if !matches!(visibility.as_str(), "" | "hidden" | "unauth") {
            return Err(Fault::invalid(format!("invalid listing visibility type: {visibility:?}")));
        }
        config.listing_visibility = visibility;
    }
    if let Some(kind) = fields.text("token_type")? {
        if !matches!(kind.as_str(), "default-service" | "default-batch" | "service" | "batch") {
            return Err(Fault::invalid(format!("invalid value for 'token_type': {kind:?}")));
        }
        config.token_type = kind;
    }
    Ok(())
}

fn set<T>(target: &mut T, given: Option<T>) {
    if let Some(value) = given {
        *target = value;
    }
}

/// `system` gives the default back.
fn lease_ttl(fields: &Fields<'_>, name: &str) -> Result<Option<u64>, Fault> {
    if fields.raw(name).and_then(Value::as_str) == Some("system") {
        return Ok(Some(0));
    }
    fields.seconds(name)
}

fn apply_tune(entry: &mut MountEntry, fields: &Fields<'_>, system_default: u64) -> Result<(), Fault> {
    if entry.kind == "cubbyhole" && (fields.has("max_lease_ttl") || fields.has("default_lease_ttl")) {
        let name = if fields.has("max_lease_ttl") { "max_lease_ttl" } else { "default_lease_ttl" };
        return Err(Fault::invalid(format!("cannot tune parameter {name} of cubbyhole/")));
    }
    let mut config = entry.config.clone();
    apply_config(&mut config, fields)?;
    let effective = if config.default_lease_ttl == 0 { system_default } else { config.default_lease_ttl };
    if config.max_lease_ttl != 0 && effective > config.max_lease_ttl {
        return Err(Fault::invalid(format!(
            "backend max lease TTL of {} would be less than backend default lease TTL of {effective}",
            config.max_lease_ttl
        )));
    }
    if let Some(given) = fields.map("user_lockout_config")? {
        config.user_lockout = Some(lockout_config::tuned(config.user_lockout, &entry.kind, given)?);
    }
    set(&mut entry.description, fields.text("description")?);
    if let Some(options) = fields.pairs("options")? {
        check_version(entry, &options)?;
        entry.options.extend(options);
    }
    entry.config = config;
    Ok(())
}

/// A kv mount goes from version 1 to 2, never back.
fn check_version(entry: &MountEntry, options: &BTreeMap<String, String>) -> Result<(), Fault> {
    let Some(wanted) = options.get("version").filter(|_| entry.kind == "kv") else { return Ok(()) };
    let current = entry.options.get("version").map_or("1", String::as_str);
    match (current, wanted.as_str()) {
        ("2", "1") => Err(Fault::invalid("cannot downgrade mount from version 2")),
        (_, "1" | "2") => Ok(()),
        (_, other) => Err(Fault::invalid(format!("invalid kv version {other:?}; it is 1 or 2"))),
    }
}

/// A row as lists show it.
fn shown(entry: &MountEntry) -> Value {
    let mut shown = json!({
        "accessor": entry.accessor,
        "config": shown_config(&entry.config),
        "description": entry.description,
        "external_entropy_access": entry.external_entropy_access,
        "local": entry.local,
        "options": shown_options(entry),
        "plugin_version": "",
        "running_plugin_version": RUNNING_VERSION,
        "running_sha256": "",
        "seal_wrap": entry.seal_wrap,
        "type": entry.kind,
        "uuid": entry.uuid,
    });
    if !entry.is_builtin()
        && let Some(map) = shown.as_object_mut()
    {
        map.insert("deprecation_status".to_owned(), json!("supported"));
    }
    shown
}

/// Builtin mounts have none at all, others an empty object.
fn shown_options(entry: &MountEntry) -> Value {
    if entry.is_builtin() && entry.options.is_empty() { Value::Null } else { json!(entry.options) }
}

/// What everybody may know of a mount listed as `unauth`.
fn glimpse(entry: &MountEntry) -> Value {
    json!({ "description": entry.description, "options": shown_options(entry), "type": entry.kind })
}

fn shown_config(config: &MountConfig) -> Map<String, Value> {
    let mut map = object(json!({
        "default_lease_ttl": config.default_lease_ttl,
        "force_no_cache": config.force_no_cache,
        "max_lease_ttl": config.max_lease_ttl,
    }));
    add_optional(&mut map, config);
    if let Some(lockout) = config.user_lockout {
        map.insert("user_lockout_config".to_owned(), Value::Object(lockout_config::shown(lockout)));
    }
    map
}

/// The answer of `tune`: effective bounds, and what was set beside them.
fn tuned(entry: &MountEntry, default_ttl: u64, max_ttl: u64) -> Map<String, Value> {
    let or = |own: u64, system: u64| if own == 0 { system } else { own };
    let mut map = object(json!({
        "default_lease_ttl": or(entry.config.default_lease_ttl, default_ttl),
        "description": entry.description,
        "force_no_cache": entry.config.force_no_cache,
        "max_lease_ttl": or(entry.config.max_lease_ttl, max_ttl),
    }));
    if !entry.options.is_empty() {
        map.insert("options".to_owned(), json!(entry.options));
    }
    add_optional(&mut map, &entry.config);
    if let Some(lockout) = entry.config.user_lockout {
        map.extend(lockout_config::shown(lockout));
    }
    map
}

fn add_optional(map: &mut Map<String, Value>, config: &MountConfig) {
    for (name, text) in
        [("listing_visibility", &config.listing_visibility), ("token_type", &config.token_type)]
    {
        if !text.is_empty() {
            map.insert(name.to_owned(), json!(text));
        }
    }
    for (name, list) in [
        ("audit_non_hmac_request_keys", &config.audit_non_hmac_request_keys),
        ("audit_non_hmac_response_keys", &config.audit_non_hmac_response_keys),
        ("passthrough_request_headers", &config.passthrough_request_headers),
        ("allowed_response_headers", &config.allowed_response_headers),
    ] {
        if !list.is_empty() {
            map.insert(name.to_owned(), json!(list));
        }
    }
}

impl super::Endpoints for MountEndpoints {
    fn endpoints(&self) -> &[Endpoint] {
        self.routes.endpoints()
    }

    fn find<'p>(&self, path: &'p str) -> Option<(usize, Captures<'p>)> {
        self.routes.find(path)
    }

    fn handle(&self, endpoint: usize, call: &mut Call<'_>) -> Answer {
        self.routes.handle(endpoint, self, call)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_auth_method_is_tuned_by_either_path() {
        for (table, path, expected) in [
            (Table::Secret, "auth/userpass", (Table::Auth, "userpass")),
            (Table::Auth, "userpass", (Table::Auth, "userpass")),
            (Table::Auth, "auth/x", (Table::Auth, "auth/x")),
            (Table::Secret, "kv", (Table::Secret, "kv")),
            (Table::Secret, "authority", (Table::Secret, "authority")),
        ] {
            assert_eq!(home(table, path), expected, "{table:?} {path}");
        }
    }

    #[test]
    fn new_rows_are_checked() {
        let row = |data: Value| new_entry(Table::Secret, "x/", data.as_object().unwrap());
        assert_eq!(row(json!({"type": "kv-v2"})).unwrap().options["version"], "2");
        for (data, text) in [
            (json!({}), "backend type must be specified as a string"),
            (json!({"type": "system"}), "mount type of \"system\" is not mountable"),
            (
                json!({"type": "kv", "config": {"default_lease_ttl": "10h", "max_lease_ttl": "1h"}}),
                "given default lease TTL greater than given max lease TTL",
            ),
        ] {
            assert_eq!(row(data).unwrap_err().to_string(), text);
        }
    }

    #[test]
    fn tuning_keeps_bounds_in_order() {
        let mut entry = MountEntry::new(Table::Secret, "x/", "kv");
        entry.config.default_lease_ttl = 7200;
        let data = json!({"max_lease_ttl": "1h"});
        let fault = apply_tune(&mut entry, &Fields::new(data.as_object().unwrap()), 2_764_800).unwrap_err();
        assert_eq!(
            fault.to_string(),
            "backend max lease TTL of 3600 would be less than backend default lease TTL of 7200"
        );
        let data = json!({"options": {"version": "2"}, "description": "n"});
        apply_tune(&mut entry, &Fields::new(data.as_object().unwrap()), 2_764_800).unwrap();
        assert_eq!(tuned(&entry, 2_764_800, 2_764_800)["options"]["version"], "2");
        let data = json!({"options": {"version": "1"}});
        assert!(apply_tune(&mut entry, &Fields::new(data.as_object().unwrap()), 1).is_err());
    }
}
