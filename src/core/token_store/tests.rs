//! Tokens, leases and wrapping over a store in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use time::OffsetDateTime;
use time::macros::datetime;

use super::*;
use crate::barrier::{Keyring, Mode};
use crate::core::expiration::{self, Expiration};
use crate::core::wrapping::{self, ToWrap};
use crate::logical::{Auth, LeaseRequest, MountInfo};
use crate::storage::{Snapshot, StorageError, Stored, Write};

const NOW: OffsetDateTime = datetime!(2026-11-23 02:00:00 UTC);

/// One writer, so no conflicts: what a snapshot needs and no more.
#[derive(Debug, Clone, Default)]
struct Memory {
    index: CommitIndex,
    values: BTreeMap<String, Stored>,
}

impl Snapshot for Memory {
    fn index(&self) -> CommitIndex {
        self.index
    }

    fn get(&self, key: &str) -> Result<Option<Stored>, StorageError> {
        Ok(self.values.get(key).cloned())
    }

    fn list(&self, prefix: &str, after: &str, limit: usize) -> Result<Vec<String>, StorageError> {
        let child = |key: &String| {
            let rest = key.strip_prefix(prefix)?;
            rest.split_inclusive('/').next().map(str::to_owned)
        };
        let mut children: Vec<String> =
            self.values.keys().filter_map(child).filter(|child| child.as_str() > after).collect();
        children.dedup();
        children.truncate(limit);
        Ok(children)
    }

    fn keys(&self, prefix: &str, after: &str, limit: usize) -> Result<Vec<String>, StorageError> {
        let wanted = |key: &&String| key.starts_with(prefix) && key.as_str() > after;
        Ok(self.values.keys().filter(wanted).take(limit).cloned().collect())
    }
}

struct World {
    memory: Memory,
    keyring: Arc<Keyring>,
    tokens: TokenStore,
    expiration: Expiration,
}

impl World {
    fn new() -> Self {
        let tokens = TokenStore::new();
        tokens.set_cubbyholes("logical/c/");
        Self {
            memory: Memory::default(),
            keyring: Arc::new(Keyring::new([(1, &[7; 32])])),
            tokens,
            expiration: Expiration::new(),
        }
    }

    fn begin(&self) -> Transaction {
        Transaction::new(Arc::new(self.memory.clone()), self.keyring.clone(), Mode::ReadWrite)
    }

    fn run<T>(&mut self, job: impl FnOnce(&TokenStore, &mut Transaction) -> T) -> T {
        let mut tx = self.begin();
        let outcome = job(&self.tokens, &mut tx);
        let Some(changes) = tx.into_changes() else { return outcome };
        self.memory.index += 1;
        for write in changes.writes {
            self.tokens.changed(self.memory.index, Some(write.key()));
            self.expiration.changed(self.memory.index, Some(write.key()));
            match write {
                Write::Put { key, value } => {
                    drop(self.memory.values.insert(key, Stored { version: self.memory.index, value }))
                }
                Write::Delete { key } => drop(self.memory.values.remove(&key)),
            }
        }
        outcome
    }

    fn make(&mut self, spec: TokenSpec) -> Made {
        self.run(|tokens, tx| tokens.create(tx, spec, NOW)).unwrap()
    }

    fn finds(&mut self, text: &str, now: OffsetDateTime) -> bool {
        self.run(|tokens, tx| tokens.lookup(tx, text, now)).unwrap().is_some()
    }

    /// Keys of the store but for the token store's own two.
    fn left(&self) -> Vec<&String> {
        self.memory.values.keys().filter(|key| *key != secrets::KEYS).collect()
    }
}

fn spec(parent: Option<&str>) -> TokenSpec {
    TokenSpec {
        parent: parent.map(str::to_owned),
        policies: vec!["default".to_owned()],
        path: "auth/token/create".to_owned(),
        ttl_secs: 3600,
        renewable: true,
        ..TokenSpec::default()
    }
}

fn mount() -> MountInfo {
    let month = std::time::Duration::from_secs(768 * 3600);
    MountInfo {
        path: "auth/userpass/".to_owned(),
        default_ttl: month,
        max_ttl: month,
        ..MountInfo::default()
    }
}

#[test]
fn a_token_is_found_until_it_ends() {
    let mut world = World::new();
    let made = world.make(spec(None));
    let text = made.granted.client_token.as_str();
    assert_eq!((text.len(), made.granted.accessor.len()), (26, 24));
    for _ in 0..2 {
        assert!(world.finds(text, NOW));
    }
    assert!(!world.finds(text, NOW + time::Duration::hours(1)));
    assert!(!world.finds("s.nope", NOW));
    assert!(!world.finds("", NOW));
    assert!(world.run(|tokens, tx| tokens.by_accessor(tx, &made.granted.accessor, NOW)).unwrap().is_some());
    assert!(!format!("{made:?}{:?}", world.tokens).contains(text));
}

#[test]
fn revoking_leaves_nothing() {
    let mut world = World::new();
    let parent = world.make(spec(None));
    let child = world.make(spec(Some(&parent.key)));
    let grandchild = world.make(spec(Some(&child.key)));
    world.run(|_, tx| tx.put(&format!("logical/c/{}/x", child.cubbyhole), b"v".to_vec().into())).unwrap();
    assert!(world.finds(&grandchild.granted.client_token, NOW));
    world.run(|tokens, tx| tokens.revoke_tree(tx, &parent.key, NOW)).unwrap();
    assert!(!world.finds(&grandchild.granted.client_token, NOW));
    assert_eq!(world.left(), Vec::<&String>::new());
}

#[test]
fn orphaned_children_live_on() {
    let mut world = World::new();
    let parent = world.make(spec(None));
    let child = world.make(spec(Some(&parent.key)));
    world.run(|tokens, tx| tokens.revoke_orphan(tx, &parent.key, NOW)).unwrap();
    assert!(!world.finds(&parent.granted.client_token, NOW));
    let entry = world.run(|tokens, tx| tokens.entry(tx, &child.key)).unwrap().unwrap();
    assert!(entry.orphan && entry.parent.is_empty());
    world.run(|tokens, tx| tokens.revoke_tree(tx, &child.key, NOW)).unwrap();
    assert_eq!(world.left(), Vec::<&String>::new());
}

#[test]
fn uses_are_counted_and_the_last_one_ends_it() {
    let mut world = World::new();
    let made = world.make(TokenSpec { num_uses: 2, ..spec(None) });
    for left in [2, 1] {
        let entry =
            world.run(|tokens, tx| tokens.lookup(tx, &made.granted.client_token, NOW)).unwrap().unwrap();
        assert_eq!(entry.num_uses, left);
        world.run(|tokens, tx| tokens.consume_use(tx, &entry, NOW)).unwrap();
    }
    assert!(!world.finds(&made.granted.client_token, NOW));
    world.expiration.refresh(|| Some(world.begin())).unwrap();
    let due = world.expiration.due(NOW, 10);
    assert_eq!(due.len(), 1);
    world.run(|tokens, tx| expiration::revoke(tx, tokens, &due[0], true, NOW)).unwrap();
    assert_eq!(world.left(), Vec::<&String>::new());
}

#[test]
fn batch_tokens_leave_no_record_and_die_with_their_parent() {
    let mut world = World::new();
    let parent = world.make(spec(None));
    let before = world.left().len();
    let batch = world.make(TokenSpec { kind: Kind::Batch, ..spec(Some(&parent.key)) });
    assert_eq!(world.left().len(), before);
    assert!(batch.granted.client_token.starts_with("b.AAAAA"));
    assert!(world.finds(&batch.granted.client_token, NOW));
    let mut forged = batch.granted.client_token.to_string();
    forged.replace_range(30..31, if forged.as_bytes()[30] == b'A' { "B" } else { "A" });
    assert!(!world.finds(&forged, NOW));
    world.run(|tokens, tx| tokens.revoke_tree(tx, &parent.key, NOW)).unwrap();
    assert!(!world.finds(&batch.granted.client_token, NOW));
}

#[test]
fn logins_follow_their_mount_and_renew_within_it() {
    let mut world = World::new();
    let auth = Auth {
        display_name: "u".into(),
        ttl_secs: 60,
        max_ttl_secs: 120,
        renewable: true,
        ..Auth::default()
    };
    let login = |tokens: &TokenStore, tx: &mut Transaction| {
        tokens.finish_login(tx, &auth, &mount(), "e", &["ip".to_owned()], "auth/userpass/login/u", NOW)
    };
    let made = world.run(login).unwrap();
    assert_eq!(made.granted.policies, ["default", "ip"]);
    assert_eq!((made.granted.lease_duration, made.granted.orphan), (60, true));
    let entry = world.run(|tokens, tx| tokens.entry(tx, &made.key)).unwrap().unwrap();
    assert_eq!(entry.display_name, "userpass-u");
    let later = NOW + time::Duration::seconds(50);
    let renewed = world.run(|tokens, tx| tokens.renew(tx, &entry, &mount(), 1000, None, later)).unwrap();
    assert_eq!(renewed.granted.lease_duration, 70, "never past two minutes from its birth");
    assert!(world.finds(&made.granted.client_token, NOW + time::Duration::seconds(119)));
    assert!(!world.finds(&made.granted.client_token, NOW + time::Duration::seconds(120)));
}

#[test]
fn a_wrapped_answer_opens_once() {
    let mut world = World::new();
    let answer = ToWrap {
        status: 200,
        envelope: b"{\"data\":1}\n",
        ttl_secs: 60,
        request_path: "sys/wrapping/wrap",
        wrapped_accessor: "",
    };
    let info = world.run(|tokens, tx| wrapping::wrap(tx, tokens, answer, NOW)).unwrap();
    let entry = world.run(|tokens, tx| tokens.lookup(tx, &info.token, NOW)).unwrap().unwrap();
    assert_eq!(world.run(|_, tx| wrapping::lookup(tx, Some(&entry))).unwrap().creation_ttl, 60);
    let again = world.run(|tokens, tx| wrapping::rewrap(tx, tokens, Some(&entry), None, NOW)).unwrap();
    assert!(world.run(|tokens, tx| wrapping::unwrap(tx, tokens, Some(&entry), NOW)).is_err());
    let entry = world.run(|tokens, tx| tokens.lookup(tx, &again.token, NOW)).unwrap().unwrap();
    let opened = world.run(|tokens, tx| wrapping::unwrap(tx, tokens, Some(&entry), NOW)).unwrap();
    assert_eq!(opened.envelope.as_str(), "{\"data\":1}");
    assert_eq!(world.left(), Vec::<&String>::new());
}

#[test]
fn leases_of_a_revoked_token_are_due_and_survive_a_restart() {
    let mut world = World::new();
    let made = world.make(spec(None));
    let lease = LeaseRequest { ttl_secs: 600, renewable: true, ..LeaseRequest::default() };
    let (id, ttl) = world
        .run(|tokens, tx| {
            let entry = tokens.entry(tx, &made.key)?.unwrap();
            expiration::register(tx, "db/creds/r", &mount(), &lease, &entry, NOW)
        })
        .unwrap();
    assert_eq!(ttl, 600);
    world.expiration = Expiration::new();
    world.expiration.refresh(|| Some(world.begin())).unwrap();
    assert_eq!((world.expiration.waiting(), world.expiration.due(NOW, 10).len()), (2, 0));
    world.run(|tokens, tx| tokens.revoke_tree(tx, &made.key, NOW)).unwrap();
    world.expiration.refresh(|| Some(world.begin())).unwrap();
    assert_eq!(world.expiration.due(NOW, 10), std::slice::from_ref(&id));
    let revoked = world.run(|tokens, tx| expiration::revoke(tx, tokens, &id, true, NOW)).unwrap();
    assert_eq!(revoked.unwrap().lease.path, "db/creds/r");
    assert_eq!(world.left(), Vec::<&String>::new());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn revoking_any_tree_leaves_nothing(parents in prop::collection::vec(0usize..8, 1..12)) {
        let mut world = World::new();
        let mut keys = vec![world.make(spec(None)).key];
        for parent in parents {
            let parent = keys[parent % keys.len()].clone();
            keys.push(world.make(spec(Some(&parent))).key);
        }
        let revoked = world.run(|tokens, tx| tokens.revoke_tree(tx, &keys[0], NOW)).unwrap();
        prop_assert_eq!(revoked.tokens, keys.len());
        prop_assert_eq!(world.left().len(), 0);
    }
}
