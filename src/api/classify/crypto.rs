//! Rows of transit, pki, ssh and totp (vault-semantics §4.3): the engines whose POSTs compute and whose GETs may write.

use super::super::operation::Operation;
use super::Classified;
use super::family::split;
use super::verdict::{active_read, by_verb, pure, read, write};

/// `inside` is what follows the mount.
pub(super) fn transit(operation: Operation, inside: &str) -> Classified {
    let (word, _) = split(inside);
    match (word, operation) {
        ("encrypt", Operation::Write) => pure("encrypts; makes the key the first time").first_touch(),
        (
            "decrypt" | "rewrap" | "datakey" | "sign" | "verify" | "hmac" | "hash" | "random" | "cmac",
            Operation::Write,
        ) => pure("computes with a key"),
        ("wrapping_key", Operation::Read) => read("makes the wrapping key the first time").first_touch(),
        ("backup", Operation::Read) => write("notes the time of the backup"),
        _ => by_verb(operation, "reads keys", "changes keys"),
    }
}

/// `inside` is what follows the mount. Issuing for a role with `no_store=true` writes nothing, but only the role says
/// so: such roles are sent to standbys by a rule.
pub(super) fn pki(operation: Operation, inside: &str) -> Classified {
    let (word, _) = split(inside);
    if word == "ocsp" && operation == Operation::Write {
        return pure("answers whether a certificate is revoked");
    }
    if operation == Operation::List || operation == Operation::Scan {
        return read("lists certificates, issuers or roles");
    }
    if has_acme(inside) {
        return write("ACME nonces and accounts belong to the active node");
    }
    match inside {
        "crl/rotate" | "crl/rotate-delta" => write("makes a new revocation list, whatever the verb"),
        "tidy-status" if operation.is_read() => active_read("the active node tidies"),
        _ => by_verb(operation, "reads certificates or settings", "issues, revokes or changes settings"),
    }
}

/// `acme/…` stands at the mount and behind roles and issuers.
fn has_acme(inside: &str) -> bool {
    inside.split('/').any(|segment| segment == "acme")
}

/// `inside` is what follows the mount.
pub(super) fn ssh(operation: Operation, inside: &str) -> Classified {
    let (word, _) = split(inside);
    match (word, operation) {
        ("sign" | "issue", Operation::Write) => pure("signs a key and keeps nothing"),
        ("lookup", Operation::Write) => pure("looks roles up"),
        ("creds" | "verify", _) => write("makes or consumes a one-time password"),
        _ => by_verb(operation, "reads settings", "changes settings"),
    }
}

/// `inside` is what follows the mount. Validating a code marks it used in one node's memory: on standbys the
/// same code would be good once per node.
pub(super) fn totp(operation: Operation, inside: &str) -> Classified {
    let (word, _) = split(inside);
    match (word, operation) {
        ("code", Operation::Write) => write("a code is good once: used codes are kept by the active node"),
        _ => by_verb(operation, "reads a code or a key's settings", "changes keys"),
    }
}

/// GETs of these engines that write, told by their shape alone, for a mount nobody knows. `inside` is what follows the
/// first segment.
pub(super) fn writes_when_read(inside: &str) -> bool {
    inside.ends_with("crl/rotate")
        || inside.ends_with("crl/rotate-delta")
        || inside == "wrapping_key"
        || inside.ends_with("/acme/new-nonce")
        || inside == "acme/new-nonce"
}
