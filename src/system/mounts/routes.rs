//! The table of the mounts' endpoints.

use super::MountEndpoints;
use crate::core::mount::Table;
use crate::logical::Access::{Open, Sudo, Token};
use crate::logical::{Field, FieldKind, Method, Route};

const fn field(name: &'static str, kind: FieldKind, description: &'static str) -> Field {
    Field { name, kind, description }
}

/// Of mounting and of tuning: the two share their pattern.
pub(super) const MOUNT_FIELDS: &[Field] = &[
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

pub(super) const ROUTES: &[Route<MountEndpoints>] = &[
    Route::new(
        "mounts",
        Token,
        &[Method::read(|at, call| at.list(call, Table::Secret))],
        &[],
        "List the currently mounted backends.",
    ),
    Route::new(
        "auth",
        Token,
        &[Method::read(|at, call| at.list(call, Table::Auth))],
        &[],
        "List the currently enabled credential backends.",
    ),
    Route::new(
        "mounts/{path:rest}",
        Token,
        &[
            Method::read(|at, call| at.read(call, Table::Secret)),
            Method::write(|at, call| at.write(call, Table::Secret)),
            Method::delete(|at, call| at.delete(call, Table::Secret)),
        ],
        MOUNT_FIELDS,
        "Mount, inspect or unmount a backend.",
    ),
    Route::new(
        "auth/{path:rest}",
        Sudo,
        &[
            Method::read(|at, call| at.read(call, Table::Auth)),
            Method::write(|at, call| at.write(call, Table::Auth)),
            Method::delete(|at, call| at.delete(call, Table::Auth)),
        ],
        MOUNT_FIELDS,
        "Enable, inspect or disable a credential backend.",
    ),
    Route::new(
        "remount",
        Sudo,
        &[Method::write(MountEndpoints::remount)],
        REMOUNT_FIELDS,
        "Move the mount point of an already-mounted backend.",
    ),
    Route::new(
        "remount/status/{migration_id:segment}",
        Token,
        &[Method::read(|_, call| super::remount::status(call))],
        &[],
        "Check the status of a mount move.",
    ),
    Route::new(
        "internal/ui/mounts",
        Open,
        &[Method::read(MountEndpoints::visible)],
        &[],
        "What the caller may see mounted.",
    ),
    Route::new(
        "internal/ui/mounts/{path:rest}",
        Open,
        &[Method::read(MountEndpoints::visible_one)],
        &[],
        "The mount that serves a path.",
    ),
];
