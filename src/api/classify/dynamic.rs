//! Rows of engines that hand out leased credentials: database, aws, ldap, kubernetes and their kin (vault-semantics §4.3).
//!
//! Here a GET writes: it makes an account somewhere and a lease for it. A standby that ran it on its own
//! would have made the account before it failed to write the lease.

use super::super::operation::Operation;
use super::Classified;
use super::verdict::{by_verb, write};

/// `inside` is what follows the mount.
pub(super) fn classify(operation: Operation, inside: &str) -> Classified {
    if operation != Operation::List
        && operation != Operation::Scan
        && (makes_credentials(inside) || makes_keys(inside))
    {
        return write("makes credentials and a lease, whatever the verb");
    }
    by_verb(operation, "reads an engine's settings", "changes an engine")
}

/// `creds/<role>`, `sts/<role>`, and the rotations that some engines (ad, openldap) also take by GET.
/// Looks at every segment but the last, because the mount may be longer than its first segment.
pub(super) fn makes_credentials(inside: &str) -> bool {
    let mut segments = inside.split('/').peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment {
            "creds" | "sts" if !is_last => return true,
            "rotate-root" | "rotate-role" => return true,
            _ => {}
        }
    }
    false
}

/// Google Cloud's words: `token/<roleset>`, `key/<roleset>`, and the same behind `roleset/<r>/…`, `static-account/<a>/…`,
/// `impersonated-account/<a>/…`.
fn makes_keys(inside: &str) -> bool {
    let mut segments = inside.split('/');
    let (word, name, what) = (segments.next(), segments.next(), segments.next());
    let is_key = |word| matches!(word, Some("token" | "key"));
    let is_account = matches!(word, Some("roleset" | "static-account" | "impersonated-account"));
    name.is_some() && (is_key(word) || is_account && is_key(what))
}
