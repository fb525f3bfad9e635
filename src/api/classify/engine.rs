//! Rows of mounted secret engines (vault-semantics §4.3), and what is made of an engine nobody knows.

use super::super::mount::{self, MountType};
use super::super::operation::Operation;
use super::verdict::{by_verb, read, write};
use super::{Classified, crypto, dynamic};

/// `known` is the type and what follows the mount, when the table knows; `path` is everything.
pub(super) fn classify(operation: Operation, path: &str, known: Option<(MountType, &str)>) -> Classified {
    if let Some((kind, inside)) = known {
        return engine(operation, kind, inside);
    }
    match mount::guess(path) {
        Some((length, kind)) => guessed(engine(operation, kind, path.get(length..).unwrap_or_default())),
        None => by_shape(operation, path),
    }
}

/// A mount with a customary name is nearly always what it is called. Only standby verdicts can be unlearned: a write
/// is not tried on a standby to see what happens.
fn guessed(verdict: Classified) -> Classified {
    if verdict.needs == super::Needs::Standby { verdict.learnable() } else { verdict }
}

/// `inside` is what follows the mount.
fn engine(operation: Operation, kind: MountType, inside: &str) -> Classified {
    match kind {
        MountType::Kv1 | MountType::Kv2 => kv(operation),
        MountType::Transit => crypto::transit(operation, inside),
        MountType::Pki => crypto::pki(operation, inside),
        MountType::Ssh => crypto::ssh(operation, inside),
        MountType::Totp => crypto::totp(operation, inside),
        MountType::Dynamic => dynamic::classify(operation, inside),
        MountType::Other | MountType::Auth | MountType::Token | MountType::Approle | MountType::Oidc => {
            unknown_engine(operation, inside)
        }
        // The three mounts that exist once are told by their word before an engine is looked for.
        MountType::Cubbyhole | MountType::Identity | MountType::System => {
            by_verb(operation, "reads", "writes")
        }
    }
}

/// Both key-value engines. Every change goes to the active node: a standby judges check-and-set on old data
/// and turns a delete of what it has not seen into a 204 that deletes nothing (§0.1, §0.2).
fn kv(operation: Operation) -> Classified {
    by_verb(operation, "reads a key-value store", "changes a key-value store")
}

/// No table entry and no customary name: the mount's end is unknown as well.
fn by_shape(operation: Operation, path: &str) -> Classified {
    // The first segment is always the mount's or a namespace's.
    let (_, inside) = super::family::split(path);
    unknown_engine(operation, inside)
}

/// Shapes that write when they are read are believed wherever they stand, except below a key-value store's own words,
/// where names are free.
fn unknown_engine(operation: Operation, inside: &str) -> Classified {
    if !operation.is_read() {
        return write("a change to a mount of unknown type").as_fallback();
    }
    if operation == Operation::List || operation == Operation::Scan || looks_like_kv2(inside) {
        return read("reads by its verb").as_fallback();
    }
    if dynamic::makes_credentials(inside) || crypto::writes_when_read(inside) {
        return write("the path has the shape of a GET that writes");
    }
    read("reads by its verb").as_fallback()
}

/// One of the first segments is a word of the second key-value engine.
fn looks_like_kv2(inside: &str) -> bool {
    let word = |segment| matches!(segment, "data" | "metadata" | "subkeys" | "detailed-metadata");
    inside.split('/').take(3).any(word)
}
