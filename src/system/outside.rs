//! Endpoints of `sys/` that are served before the barrier is open, so not by a backend: here they are only described, for
//! the OpenAPI document.

use crate::logical::Access::Open;
use crate::logical::{Answer, Call, Endpoint, Fault, Field, FieldKind, Method, Route, Routes};

const INIT: &[Field] = &[
    Field::new("secret_shares", FieldKind::Int, "The number of shares to split the unseal key into."),
    Field::new("secret_threshold", FieldKind::Int, "The number of shares that make the unseal key."),
    Field::new("recovery_shares", FieldKind::Int, "The number of shares to split the recovery key into."),
    Field::new("recovery_threshold", FieldKind::Int, "The number of shares that make the recovery key."),
];
const UNSEAL: &[Field] = &[
    Field::new("key", FieldKind::String, "A share of the key."),
    Field::new("reset", FieldKind::Bool, "Forget the shares given so far."),
    Field::new("migrate", FieldKind::Bool, "Whether the shares are of the seal that is left."),
];
const SHARE: &[Field] = &[
    Field::new("key", FieldKind::String, "A share of the key."),
    Field::new("nonce", FieldKind::String, "The nonce of the operation."),
];
const REKEY: &[Field] = &[
    Field::new("secret_shares", FieldKind::Int, "The number of shares to split the new key into."),
    Field::new("secret_threshold", FieldKind::Int, "The number of shares that make the new key."),
    Field::new("require_verification", FieldKind::Bool, "Whether the new shares are to be shown first."),
];
const ATTEMPT: &[Field] = &[Field::new("otp", FieldKind::String, "The pad for the new root token.")];

const CEREMONY: &[Method<()>] =
    &[Method::read(elsewhere), Method::write(elsewhere), Method::delete(elsewhere)];
const READ: &[Method<()>] = &[Method::read(elsewhere)];
const GIVE: &[Method<()>] = &[Method::write(elsewhere)];
const BOTH: &[Method<()>] = &[Method::read(elsewhere), Method::write(elsewhere)];

const ROUTES: &[Route<()>] = &[
    Route::new("health", Open, READ, &[], "How this node is."),
    Route::new("leader", Open, READ, &[], "Which node is the active one."),
    Route::new("seal-status", Open, READ, &[], "Whether this node is sealed, and how far unsealing is."),
    Route::new("init", Open, BOTH, INIT, "Whether there is a store, and making a new one."),
    Route::new("unseal", Open, GIVE, UNSEAL, "Give a share of the unseal key."),
    Route::new("generate-root/attempt", Open, CEREMONY, ATTEMPT, "Begin making a root token."),
    Route::new("generate-root/update", Open, GIVE, SHARE, "Give a share for a root token."),
    Route::new("rekey/init", Open, CEREMONY, REKEY, "Begin replacing the unseal key."),
    Route::new("rekey/update", Open, GIVE, SHARE, "Give a share of the old unseal key."),
    Route::new("rekey/verify", Open, CEREMONY, SHARE, "Show a share of the new unseal key."),
    Route::new("rekey-recovery-key/init", Open, CEREMONY, REKEY, "Begin replacing the recovery key."),
    Route::new("rekey-recovery-key/update", Open, GIVE, SHARE, "Give a share of the old recovery key."),
    Route::new("rekey-recovery-key/verify", Open, CEREMONY, SHARE, "Show a share of the new recovery key."),
];

/// What describes them.
pub(super) fn endpoints() -> Vec<Endpoint> {
    Routes::new(ROUTES).endpoints().to_vec()
}

/// No request comes here: the table is not part of the system backend.
fn elsewhere(_: &(), _: &mut Call<'_>) -> Answer {
    Err(Fault::UnsupportedPath)
}
