//! Engine types and the table mount path → type.
//!
//! The type of a mount decides what a request means: `GET foo/creds/bar` writes for a database and reads for a
//! key-value store. The table holds what the cluster or the operator said; [`guess`] is the fallback by customary name
//! and is kept apart, so that a guess is never taken for knowledge. Asking the cluster is somebody else's work.

use std::cmp::Ordering;

/// Most mounts kept; more are counted as unknown. Real clusters have hundreds.
pub const MAX_MOUNTS: usize = 65_536;

/// Engine families as far as they differ in what reads and what writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MountType {
    Kv1,
    Kv2,
    Cubbyhole,
    Identity,
    System,
    Transit,
    Pki,
    Ssh,
    Totp,
    /// Engines that hand out leased credentials on `creds/…`, by type name: `database`, `aws`, `ldap`, ….
    Dynamic,
    /// `auth/token`.
    Token,
    Approle,
    /// `jwt` and `oidc`.
    Oidc,
    /// Any other auth method: it logs in, and for the rest reads read and writes write.
    Auth,
    /// Something this table does not know: shapes and learning.
    Other,
}

/// Immutable table of the known mounts.
#[derive(Debug, Clone, Default)]
pub struct MountTable {
    /// Sorted by path; every path ends in a slash and has none in front.
    entries: Vec<Entry>,
}

#[derive(Debug, Clone)]
struct Entry {
    path: Box<str>,
    kind: MountType,
    /// The longest other entry that is a prefix of this one.
    parent: Option<usize>,
}

// === impl MountType ===

impl MountType {
    /// The family of an engine type as `sys/mounts`, `sys/auth` or the configuration name it.
    /// `version` is the mount option of that name, which tells the two key-value engines apart.
    #[must_use]
    pub fn from_api(name: &str, version: Option<&str>) -> Self {
        match name {
            "kv" if version == Some("2") => Self::Kv2,
            "kv-v2" | "kv2" => Self::Kv2,
            "kv" | "kv-v1" | "kv1" | "generic" => Self::Kv1,
            "cubbyhole" | "ns_cubbyhole" => Self::Cubbyhole,
            "identity" | "ns_identity" => Self::Identity,
            "system" | "ns_system" => Self::System,
            "token" | "ns_token" => Self::Token,
            "transit" => Self::Transit,
            "pki" => Self::Pki,
            "ssh" => Self::Ssh,
            "totp" => Self::Totp,
            "approle" => Self::Approle,
            "jwt" | "oidc" => Self::Oidc,
            "userpass" | "cert" | "radius" | "okta" | "github" | "kerberos" | "saml" | "cf" | "oci" => {
                Self::Auth
            }
            name if DYNAMIC_ENGINES.contains(&name) => Self::Dynamic,
            _ => Self::Other,
        }
    }

    /// Whether entries of this type live under `auth/`.
    #[must_use]
    pub fn is_auth(self) -> bool {
        matches!(self, Self::Token | Self::Approle | Self::Oidc | Self::Auth)
    }

    /// The word for logs and metrics: a closed set.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Kv1 => "kv1",
            Self::Kv2 => "kv2",
            Self::Cubbyhole => "cubbyhole",
            Self::Identity => "identity",
            Self::System => "system",
            Self::Transit => "transit",
            Self::Pki => "pki",
            Self::Ssh => "ssh",
            Self::Totp => "totp",
            Self::Dynamic => "dynamic",
            Self::Token => "token",
            Self::Approle => "approle",
            Self::Oidc => "oidc",
            Self::Auth => "auth",
            Self::Other => "other",
        }
    }
}

/// Type names of engines whose `creds/…` (or `sts/…`, `token/…`) makes a lease.
const DYNAMIC_ENGINES: [&str; 15] = [
    "database",
    "aws",
    "azure",
    "gcp",
    "alicloud",
    "ldap",
    "openldap",
    "ad",
    "rabbitmq",
    "kubernetes",
    "consul",
    "nomad",
    "mongodbatlas",
    "terraform",
    "snowflake",
];

// === impl MountTable ===

impl MountTable {
    /// Builds the table from mount paths (`secret/`, `auth/approle/`, `ns1/secret/`; slashes at the ends do not
    /// matter) and engine type names. A later entry for the same path wins. At most [`MAX_MOUNTS`] are kept.
    pub fn from_entries<P: AsRef<str>, T: AsRef<str>>(entries: impl IntoIterator<Item = (P, T)>) -> Self {
        let typed = |(path, name): (P, T)| (path, MountType::from_api(name.as_ref(), None));
        Self::from_types(entries.into_iter().map(typed))
    }

    /// As [`Self::from_entries`], from types already known.
    pub fn from_types<P: AsRef<str>>(entries: impl IntoIterator<Item = (P, MountType)>) -> Self {
        let mut entries: Vec<Entry> = entries.into_iter().take(MAX_MOUNTS).filter_map(entry).collect();
        // Stable: of equal paths the last given one is kept.
        entries.sort_by(|left, right| left.path.cmp(&right.path));
        entries.reverse();
        entries.dedup_by(|left, right| left.path == right.path);
        entries.reverse();
        link_parents(&mut entries);
        Self { entries }
    }

    /// The mount `path` belongs to: its length in bytes *of `path`* (its trailing slash included) and its type.
    ///
    /// `namespace` is the header's, slashes at its ends do not matter; `path` is the canonical path without `/v1/`
    /// and may begin with more of the namespace. One binary search; nothing is allocated.
    #[must_use]
    pub fn lookup(&self, namespace: &str, path: &str) -> Option<(usize, MountType)> {
        let wanted = Wanted::new(namespace.trim_matches('/'), path);
        let after = self.entries.partition_point(|entry| wanted.cmp_entry(&entry.path) != Ordering::Less);
        // A prefix of the wanted path is the entry just before it in order, or one of that entry's own prefixes.
        let mut at = after.checked_sub(1);
        while let Some(entry) = at.and_then(|at| self.entries.get(at)) {
            if wanted.starts_with(&entry.path) {
                let length = entry.path.len().checked_sub(wanted.namespace_len())?;
                return (length > 0).then_some((length.min(path.len()), entry.kind));
            }
            at = entry.parent;
        }
        None
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// All entries, sorted by path.
    pub fn iter(&self) -> impl Iterator<Item = (&str, MountType)> {
        self.entries.iter().map(|entry| (entry.path.as_ref(), entry.kind))
    }
}

fn entry<P: AsRef<str>>((path, kind): (P, MountType)) -> Option<Entry> {
    let path = path.as_ref().trim_matches('/');
    let kind = under_auth(path, kind);
    (!path.is_empty()).then(|| Entry { path: format!("{path}/").into(), kind, parent: None })
}

/// `aws`, `ldap`, `kubernetes`, … are names of engines *and* of auth methods; where the mount is tells which.
fn under_auth(path: &str, kind: MountType) -> MountType {
    let is_auth = path.starts_with("auth/") || path.contains("/auth/");
    if is_auth && matches!(kind, MountType::Dynamic | MountType::Other) { MountType::Auth } else { kind }
}

/// Sets `parent` in one pass: the chain of open prefixes is a stack.
fn link_parents(entries: &mut [Entry]) {
    let mut open: Vec<usize> = Vec::new();
    for at in 0..entries.len() {
        let Some(path) = entries.get(at).map(|entry| entry.path.clone()) else { continue };
        let holds =
            |&top: &usize| entries.get(top).is_some_and(|entry| path.starts_with(entry.path.as_ref()));
        while open.last().is_some_and(|top| !holds(top)) {
            open.pop();
        }
        let parent = open.last().copied();
        if let Some(entry) = entries.get_mut(at) {
            entry.parent = parent;
        }
        open.push(at);
    }
}

/// `namespace/path/` as if it were one string.
struct Wanted<'a> {
    pieces: [&'a [u8]; 4],
}

impl<'a> Wanted<'a> {
    fn new(namespace: &'a str, path: &'a str) -> Self {
        let joint = if namespace.is_empty() { "" } else { "/" };
        // The server also finds a mount whose path is asked for without its trailing slash.
        let end = if path.ends_with('/') { "" } else { "/" };
        Self { pieces: [namespace, joint, path, end].map(str::as_bytes) }
    }

    /// Bytes in front of the path.
    fn namespace_len(&self) -> usize {
        let [namespace, joint, ..] = self.pieces;
        namespace.len() + joint.len()
    }

    /// Byte by byte: entries nearly always differ within the first few, where calling `memcmp` costs more.
    fn cmp_entry(&self, entry: &str) -> Ordering {
        let mut entry = entry.bytes();
        for byte in self.pieces.iter().copied().flatten() {
            match entry.next() {
                Some(other) if other == *byte => {}
                Some(other) => return byte.cmp(&other),
                None => return Ordering::Greater,
            }
        }
        if entry.len() == 0 { Ordering::Equal } else { Ordering::Less }
    }

    fn starts_with(&self, entry: &str) -> bool {
        let mut wanted = self.pieces.iter().copied().flatten();
        entry.bytes().all(|byte| wanted.next() == Some(&byte))
    }
}

/// The type a mount usually has when it is called so: its length in `path` and a guess.
/// Looks at the first segment only (two under `auth/`); whoever uses it must be ready to be wrong.
#[must_use]
pub fn guess(path: &str) -> Option<(usize, MountType)> {
    if let Some(rest) = path.strip_prefix("auth/") {
        let name = first_segment(rest);
        let length = "auth/".len() + name.len() + 1;
        return (!name.is_empty()).then(|| (length.min(path.len()), guess_auth(name)));
    }
    let name = first_segment(path);
    guess_engine(name).map(|kind| ((name.len() + 1).min(path.len()), kind))
}

fn first_segment(path: &str) -> &str {
    path.split('/').next().unwrap_or_default()
}

fn guess_engine(name: &str) -> Option<MountType> {
    match name {
        "secret" | "kv" | "kv-v2" | "kv2" | "secrets" => Some(MountType::Kv2),
        "kv-v1" | "kv1" => Some(MountType::Kv1),
        "pki" | "pki_int" | "pki_root" | "pki-int" | "pki-root" => Some(MountType::Pki),
        "db" => Some(MountType::Dynamic),
        "ssh" | "ssh-client-signer" | "ssh-host-signer" => Some(MountType::Ssh),
        "transit" => Some(MountType::Transit),
        "totp" => Some(MountType::Totp),
        name => DYNAMIC_ENGINES.contains(&name).then_some(MountType::Dynamic),
    }
}

/// The type of an auth method called so; `Other` when the name is not customary.
pub(super) fn guess_auth(name: &str) -> MountType {
    match name {
        "token" => MountType::Token,
        "approle" => MountType::Approle,
        "jwt" | "oidc" => MountType::Oidc,
        "userpass" | "ldap" | "cert" | "kubernetes" | "aws" | "gcp" | "azure" | "okta" | "github"
        | "radius" | "kerberos" => MountType::Auth,
        _ => MountType::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn table() -> MountTable {
        MountTable::from_entries([
            ("secret/", "kv-v2"),
            ("team/", "kv"),
            ("team/pki/", "pki"),
            ("team/pki/deep/", "transit"),
            ("auth/token/", "token"),
            ("auth/ldap/", "ldap"),
            ("ldap/", "ldap"),
            ("ns1/secret/", "transit"),
            ("ns1/sys/", "system"),
            ("odd/", "my-plugin"),
        ])
    }

    #[test]
    fn the_longest_mount_wins() {
        let found = [
            ("", "secret/data/x", Some((7, MountType::Kv2))),
            ("", "secret", Some((6, MountType::Kv2))),
            ("", "secret/", Some((7, MountType::Kv2))),
            ("", "secrets/x", None),
            ("", "team/x", Some((5, MountType::Kv1))),
            ("", "team/pki/issue/x", Some((9, MountType::Pki))),
            ("", "team/pkix/issue/x", Some((5, MountType::Kv1))),
            ("", "team/pki/deep/x", Some((14, MountType::Transit))),
            ("", "team/pki/deeper", Some((9, MountType::Pki))),
            ("", "auth/token/lookup-self", Some((11, MountType::Token))),
            ("", "auth/ldap/login/bob", Some((10, MountType::Auth))),
            ("", "ldap/creds/x", Some((5, MountType::Dynamic))),
            ("", "odd/x", Some((4, MountType::Other))),
            ("", "zzz", None),
            ("", "", None),
            // The header's namespace and one in the path are the same thing.
            ("ns1/", "secret/encrypt/k", Some((7, MountType::Transit))),
            ("", "ns1/secret/encrypt/k", Some((11, MountType::Transit))),
            ("/ns1", "sys/mounts", Some((4, MountType::System))),
            ("ns2", "secret/data/x", None),
            ("team/pki", "issue/x", None),
        ];
        for (namespace, path, want) in found {
            assert_eq!(table().lookup(namespace, path), want, "{namespace:?} {path:?}");
        }
    }

    #[test]
    fn the_last_entry_of_a_path_wins() {
        let table = MountTable::from_entries([("a", "kv"), ("b", "kv"), ("/a/", "pki"), ("", "kv")]);
        assert_eq!(table.len(), 2);
        assert_eq!(table.lookup("", "a/x"), Some((2, MountType::Pki)));
    }

    #[test]
    fn the_version_option_tells_the_stores_apart() {
        assert_eq!(MountType::from_api("kv", Some("2")), MountType::Kv2);
        assert_eq!(MountType::from_api("kv", Some("1")), MountType::Kv1);
        assert_eq!(MountType::from_api("kv", None), MountType::Kv1);
    }

    #[test]
    fn customary_names_are_guessed() {
        assert_eq!(guess("secret/data/x"), Some((7, MountType::Kv2)));
        assert_eq!(guess("transit"), Some((7, MountType::Transit)));
        assert_eq!(guess("auth/approle/login"), Some((13, MountType::Approle)));
        assert_eq!(guess("auth/ldap/login/bob"), Some((10, MountType::Auth)));
        assert_eq!(guess("auth/corp/login/bob"), Some((10, MountType::Other)));
        assert_eq!(guess("auth/"), None);
        assert_eq!(guess("payments/data/x"), None);
    }

    proptest! {
        #[test]
        fn the_search_agrees_with_trying_every_entry(
            mounts in proptest::collection::vec("[ab]{1,2}(/[ab]{1,2}){0,2}", 0..12),
            namespace in "([ab]{1,2})?", path in "[ab]{1,2}(/[ab]{1,2}){0,4}/?",
        ) {
            let table = MountTable::from_types(mounts.iter().map(|mount| (mount, MountType::Kv1)));
            let joint = if namespace.is_empty() { String::new() } else { format!("{namespace}/") };
            let full = format!("{joint}{}/", path.trim_end_matches('/'));
            let best = mounts.iter().map(|mount| format!("{mount}/")).filter(|mount| full.starts_with(mount.as_str())).map(|mount| mount.len()).max();
            let want = best.and_then(|length| length.checked_sub(joint.len())).filter(|length| *length > 0).map(|length| length.min(path.len()));
            prop_assert_eq!(table.lookup(&namespace, &path).map(|(length, _)| length), want);
        }
    }
}
