//! Rows of `identity/…` and `cubbyhole/…` (vault-semantics §4.1 and §4.3).

use super::super::operation::Operation;
use super::Classified;
use super::family::split;
use super::verdict::{by_verb, pure, write};

/// `rest` is what follows `identity/`.
pub(super) fn identity(operation: Operation, rest: &str) -> Classified {
    let (word, tail) = split(rest);
    match (word, operation) {
        ("lookup", Operation::Write) if matches!(tail, "entity" | "group") => {
            pure("looks an entity or group up")
        }
        ("oidc", _) => oidc(operation, tail),
        _ => by_verb(operation, "reads identity", "changes identity"),
    }
}

/// The provider's codes are kept in the memory of the node that gave them out.
fn oidc(operation: Operation, tail: &str) -> Classified {
    let (word, after) = split(tail);
    match (word, after.rsplit('/').next().unwrap_or_default(), operation) {
        ("provider", "authorize" | "token", _) => {
            write("authorization codes are in the active node's memory")
        }
        ("provider", "userinfo", Operation::Write) => pure("reads the user's claims"),
        ("introspect", _, Operation::Write) => pure("looks a token up"),
        _ => by_verb(operation, "reads identity", "changes identity"),
    }
}

/// `rest` is what follows `cubbyhole/`.
pub(super) fn cubbyhole(operation: Operation, rest: &str) -> Classified {
    // Where old clients unwrap: the wrapping token is good for one use.
    if rest == "response" && operation.is_read() {
        return write("consumes the wrapping token");
    }
    by_verb(operation, "reads the token's own cupboard", "changes the token's own cupboard")
}
