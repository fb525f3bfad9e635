//! The table of the mounts' endpoints.

use super::MountEndpoints;
use crate::core::mount::Table;
use crate::logical::Access::{Open, Sudo, Token};
use crate::logical::{Field, FieldKind, Method, Route};

/// Of mounting and of tuning: the two share their pattern.
pub(super) const MOUNT_FIELDS: &[Field] = &[
    Field::new("path", FieldKind::String, "The path to mount to. Example: \"aws/east\""),
    Field::new("type", FieldKind::String, "The type of the backend. Example: \"passthrough\""),
    Field::new("description", FieldKind::String, "User-friendly description for this mount."),
    Field::new(
        "config",
        FieldKind::Map,
        "Configuration for this mount, such as default_lease_ttl and max_lease_ttl.",
    ),
    Field::new("local", FieldKind::Bool, "Mark the mount as a local mount, which is not replicated."),
    Field::new("seal_wrap", FieldKind::Bool, "Whether to turn on seal wrapping for the mount."),
    Field::new(
        "external_entropy_access",
        FieldKind::Bool,
        "Whether to give the mount access to external entropy.",
    ),
    Field::new(
        "plugin_name",
        FieldKind::String,
        "Name of the plugin to mount based from the name registered.",
    ),
    Field::new("plugin_version", FieldKind::String, "The semantic version of the plugin to use."),
    Field::new("options", FieldKind::KvPairs, "The options to pass into the backend."),
    Field::new("default_lease_ttl", FieldKind::String, "The default lease TTL for this mount."),
    Field::new("max_lease_ttl", FieldKind::String, "The max lease TTL for this mount."),
    Field::new(
        "audit_non_hmac_request_keys",
        FieldKind::CommaList,
        "Request keys that audit devices do not hash.",
    ),
    Field::new(
        "audit_non_hmac_response_keys",
        FieldKind::CommaList,
        "Response keys that audit devices do not hash.",
    ),
    Field::new("listing_visibility", FieldKind::LowerString, "\"unauth\", \"hidden\" or empty."),
    Field::new("passthrough_request_headers", FieldKind::CommaList, "Request headers passed to the backend."),
    Field::new("allowed_response_headers", FieldKind::CommaList, "Response headers a backend may set."),
    Field::new("token_type", FieldKind::String, "The type of token to issue (service or batch)."),
    Field::new(
        "user_lockout_config",
        FieldKind::Map,
        "The user lockout configuration to pass into the backend.",
    ),
];

const REMOUNT_FIELDS: &[Field] = &[
    Field::new("from", FieldKind::String, "The previous mount point."),
    Field::new("to", FieldKind::String, "The new mount point."),
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
