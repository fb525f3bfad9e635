//! Rows of `auth/…` (vault-semantics §4.1 and the auth rows of §4.3).
//!
//! Logins go to the active node whatever they would write: the lockout counter of a bad password is kept per node
//! (§10.8), and a standby multiplies the guesses.

use super::super::mount::{self, MountType};
use super::super::operation::Operation;
use super::Classified;
use super::family::split;
use super::verdict::{active_read, by_verb, pure, write};

/// `rest` is what follows `auth/`; `known` is the method's type and what follows its mount, when the table knows.
pub(super) fn classify(operation: Operation, rest: &str, known: Option<(MountType, &str)>) -> Classified {
    match known {
        Some((kind, inside)) => method(operation, kind, inside),
        None => guessed(operation, rest),
    }
}

fn guessed(operation: Operation, rest: &str) -> Classified {
    let (name, inside) = split(rest);
    let kind = mount::guess_auth(name);
    if kind == MountType::Other { by_shape(operation, inside) } else { method(operation, kind, inside) }
}

/// `inside` is what follows the mount.
fn method(operation: Operation, kind: MountType, inside: &str) -> Classified {
    match kind {
        MountType::Token => token(operation, inside),
        MountType::Approle => approle(operation, inside),
        MountType::Oidc => oidc(operation, inside),
        MountType::Kv1
        | MountType::Kv2
        | MountType::Cubbyhole
        | MountType::Identity
        | MountType::System
        | MountType::Transit
        | MountType::Pki
        | MountType::Ssh
        | MountType::Totp
        | MountType::Dynamic
        | MountType::Auth
        | MountType::Other => named(operation, inside),
    }
}

/// `auth/token/…`. `create` of a batch token writes nothing and a standby would answer it, but only the body says which
/// kind is asked for.
fn token(operation: Operation, inside: &str) -> Classified {
    let (word, _) = split(inside);
    match (word, operation) {
        ("lookup" | "lookup-self" | "lookup-accessor", Operation::Write) => pure("looks a token up"),
        ("create" | "create-orphan", _) => write("creates a token").mints_token(),
        ("renew" | "renew-self" | "renew-accessor", _) => write("renews a token"),
        ("revoke" | "revoke-self" | "revoke-accessor" | "revoke-orphan" | "tidy", _) => {
            write("revokes tokens")
        }
        _ => plain(operation),
    }
}

fn approle(operation: Operation, inside: &str) -> Classified {
    let last = inside.rsplit('/').next().unwrap_or_default();
    match (operation, last) {
        (Operation::Write, "lookup") if is_secret_id_lookup(inside) => pure("looks a secret id up"),
        _ => named(operation, inside),
    }
}

/// `role/<r>/secret-id/lookup`, `role/<r>/secret-id-accessor/lookup`.
fn is_secret_id_lookup(inside: &str) -> bool {
    let mut segments = inside.split('/');
    let (role, _, secret_id) = (segments.next(), segments.next(), segments.next());
    role == Some("role") && matches!(secret_id, Some("secret-id" | "secret-id-accessor"))
}

/// The browser's dance keeps its state in the memory of the node that began it.
fn oidc(operation: Operation, inside: &str) -> Classified {
    match inside {
        "oidc/auth_url" | "oidc/poll" => {
            active_read("login state is in the active node's memory").once_only().mints_token()
        }
        "oidc/callback" => write("ends a login").mints_token(),
        _ => named(operation, inside),
    }
}

/// Any method: `login…` logs in, Okta's `verify/…` asks after a login under way.
fn named(operation: Operation, inside: &str) -> Classified {
    let (word, _) = split(inside);
    match word {
        "login" => login(),
        "verify" if operation.is_read() => active_read("login state is in the active node's memory"),
        _ => plain(operation),
    }
}

fn login() -> Classified {
    write("a login: lockout counters and tokens belong to the active node").mints_token()
}

fn plain(operation: Operation) -> Classified {
    by_verb(operation, "reads an auth method's settings", "changes an auth method")
}

/// A method of unknown name and perhaps several segments: the words of a login anywhere behind the first.
fn by_shape(operation: Operation, inside: &str) -> Classified {
    let mut segments = inside.split('/');
    if segments.any(|segment| segment == "login") {
        return login();
    }
    if inside.ends_with("oidc/auth_url") || inside.ends_with("oidc/poll") || inside.ends_with("oidc/callback")
    {
        return write("looks like a login in a browser").mints_token();
    }
    plain(operation).as_fallback()
}
