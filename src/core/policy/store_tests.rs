//! The store over an in-memory one: what is kept is forgotten in time, and who holds a token gets its rules.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use time::{Duration, OffsetDateTime};

use super::store::{AccessError, Draft, PolicyStore};
use super::subject::{NoSubjects, Subject, Subjects};
use super::{CompileError, Holder};
use crate::api::operation::Operation as Wire;
use crate::barrier::{Barrier, Keyring, Mode, Transaction};
use crate::core::incoming::Incoming;
use crate::core::pipeline::{Authorizer, Question};
use crate::core::token_store::TokenEntry;
use crate::logical::{Client, Fault, Operation};
use crate::storage::{Observer, inmem};

const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

#[derive(Debug, Default)]
struct People(Mutex<BTreeMap<String, Arc<Subject>>>);

impl Subjects for People {
    fn subject(&self, _: &mut Transaction, id: &str) -> Result<Option<Arc<Subject>>, Fault> {
        Ok(self.0.lock().get(id).cloned())
    }
}

struct World {
    barrier: Barrier,
    policies: Arc<PolicyStore>,
}

impl World {
    fn new(subjects: Arc<dyn Subjects>) -> Self {
        let barrier = Barrier::new(inmem::open());
        barrier.open(Keyring::new([(1, &[7; 32])]));
        let policies = Arc::new(PolicyStore::new(subjects));
        barrier.storage().observe(Arc::clone(&policies) as _);
        Self { barrier, policies }
    }

    async fn change<T>(&self, work: impl FnOnce(&PolicyStore, &mut Transaction) -> Result<T, Fault>) -> T {
        let mut tx = self.barrier.begin(Mode::ReadWrite).unwrap();
        let made = work(&self.policies, &mut tx).unwrap();
        self.barrier.commit(tx).await.unwrap();
        made
    }

    async fn put(&self, name: &str, text: &str) {
        let draft = Draft { text: text.to_owned(), ..Draft::default() };
        self.change(|policies, tx| policies.put(tx, name, draft, NOW)).await;
    }

    fn read(&self) -> Transaction {
        self.barrier.begin(Mode::ReadOnly).unwrap()
    }

    fn may(&self, entry: &TokenEntry, operation: Operation, path: &str) -> bool {
        self.ask(&mut self.read(), entry, operation, path, NOW)
    }

    fn ask(
        &self,
        tx: &mut Transaction,
        entry: &TokenEntry,
        operation: Operation,
        path: &str,
        now: OffsetDateTime,
    ) -> bool {
        let request = incoming(path, &json!({}));
        let question = Question { operation, path, request: &request, now };
        self.policies.decide(tx, entry, question).is_ok_and(|verdict| verdict.allowed)
    }
}

fn incoming(path: &str, data: &Value) -> Incoming {
    Incoming {
        id: "".into(),
        operation: Wire::Read,
        path: path.to_owned(),
        data: Arc::new(data.as_object().cloned().unwrap_or_else(Map::new)),
        token: None,
        client: Client::default(),
        wrap: None,
        headers: http::HeaderMap::default(),
        body: bytes::Bytes::new(),
        upload: None,
    }
}

fn token(policies: &[&str]) -> TokenEntry {
    TokenEntry { policies: policies.iter().map(|name| (*name).to_owned()).collect(), ..TokenEntry::default() }
}

fn of_entity(id: &str, policies: &[&str]) -> TokenEntry {
    TokenEntry { entity_id: id.to_owned(), ..token(policies) }
}

const READ_A: &str = r#"path "kv/a" { capabilities = ["read"] }"#;
const LIST_A: &str = r#"path "kv/a" { capabilities = ["list"] }"#;

#[tokio::test]
async fn a_change_counts_from_the_moment_it_is_answered() {
    let world = World::new(Arc::new(NoSubjects));
    let holder = token(&["p"]);
    assert!(!world.may(&holder, Operation::Read, "kv/a"), "there is no such policy yet");
    world.put("p", READ_A).await;
    assert!(world.may(&holder, Operation::Read, "kv/a"));
    assert!(world.may(&holder, Operation::Read, "kv/a"), "from memory");
    world.put("p", LIST_A).await;
    assert!(!world.may(&holder, Operation::Read, "kv/a"));
    assert!(world.may(&holder, Operation::List, "kv/a"));
    world.change(|policies, tx| policies.delete(tx, "p")).await;
    assert!(!world.may(&holder, Operation::List, "kv/a"));
}

#[tokio::test]
async fn an_old_snapshot_neither_takes_the_new_nor_leaves_the_old() {
    let world = World::new(Arc::new(NoSubjects));
    let holder = token(&["p"]);
    world.put("p", READ_A).await;
    let mut old = world.read();
    world.put("p", LIST_A).await;
    assert!(world.may(&holder, Operation::List, "kv/a"), "compiled as of the change");
    assert!(world.ask(&mut old, &holder, Operation::Read, "kv/a", NOW), "the snapshot is from before it");
    assert!(!world.may(&holder, Operation::Read, "kv/a"), "what it compiled was not kept");
}

#[tokio::test]
async fn own_writes_count_and_are_not_kept() {
    let world = World::new(Arc::new(NoSubjects));
    let holder = token(&["p"]);
    world.put("p", READ_A).await;
    assert!(world.may(&holder, Operation::Read, "kv/a"));
    let mut tx = world.barrier.begin(Mode::ReadWrite).unwrap();
    let draft = Draft { text: LIST_A.to_owned(), ..Draft::default() };
    world.policies.put(&mut tx, "p", draft, NOW).unwrap();
    assert!(world.ask(&mut tx, &holder, Operation::List, "kv/a", NOW));
    drop(tx);
    assert!(!world.may(&holder, Operation::List, "kv/a"), "it was never committed");
}

#[tokio::test]
async fn restoring_a_snapshot_forgets_everything() {
    let world = World::new(Arc::new(NoSubjects));
    world.put("p", READ_A).await;
    assert!(world.may(&token(&["p"]), Operation::Read, "kv/a"));
    let mut gone = world.barrier.begin(Mode::ReadWrite).unwrap();
    gone.delete("sys/policy/p").unwrap();
    world.barrier.commit(gone).await.unwrap();
    world.policies.changed(world.read().index(), None);
    assert!(!world.may(&token(&["p"]), Operation::Read, "kv/a"));
}

#[tokio::test]
async fn what_expires_is_as_if_it_were_not_there() {
    let world = World::new(Arc::new(NoSubjects));
    let after = |seconds| NOW + Duration::seconds(seconds);
    let draft = Draft { text: READ_A.to_owned(), expires_at: Some(after(10)), ..Draft::default() };
    world.change(|policies, tx| policies.put(tx, "p", draft, NOW)).await;
    let block = r#"path "kv/b" { capabilities = ["read"] expiration = "5" }"#;
    world.put("q", block).await;
    let holder = token(&["p", "q"]);
    for (path, seconds, allowed) in
        [("kv/a", 0, true), ("kv/b", 0, true), ("kv/b", 5, false), ("kv/a", 9, true), ("kv/a", 10, false)]
    {
        let asked = world.ask(&mut world.read(), &holder, Operation::Read, path, after(seconds));
        assert_eq!(asked, allowed, "{path} after {seconds} s");
    }
    assert!(world.policies.get(&mut world.read(), "p", after(10)).unwrap().is_none());
    assert_eq!(world.policies.list(&mut world.read(), "", after(10)).unwrap(), ["q"]);
    world.change(|policies, tx| policies.remove_expired(tx, after(10))).await;
    assert_eq!(world.policies.list(&mut world.read(), "", NOW).unwrap(), ["q"]);
}

#[tokio::test]
async fn identity_adds_its_policies_and_fills_templates() {
    let people = Arc::new(People::default());
    let world = World::new(Arc::clone(&people) as _);
    let set = |name: &str, policies: &[&str], disabled| {
        let subject = Subject {
            entity_id: "e".to_owned(),
            name: name.to_owned(),
            policies: policies.iter().map(|name| (*name).to_owned()).collect(),
            disabled,
            ..Subject::default()
        };
        people.0.lock().insert("e".to_owned(), Arc::new(subject));
    };
    world.put("a", READ_A).await;
    world.put("own", r#"path "kv/own/{{identity.entity.name}}" { capabilities = ["read"] }"#).await;
    let holder = of_entity("e", &["own"]);
    assert!(!world.may(&holder, Operation::Read, "kv/own/bob"), "nobody has this id");
    set("bob", &[], false);
    assert!(world.may(&holder, Operation::Read, "kv/own/bob"));
    assert!(!world.may(&token(&["own"]), Operation::Read, "kv/own/bob"), "nobody");
    assert!(!world.may(&holder, Operation::Read, "kv/a"));
    set("eve", &["a"], false);
    assert!(!world.may(&holder, Operation::Read, "kv/own/bob"));
    assert!(world.may(&holder, Operation::Read, "kv/own/eve"));
    assert!(world.may(&holder, Operation::Read, "kv/a"));
    let apart = TokenEntry { no_identity_policies: true, ..of_entity("e", &["own"]) };
    assert!(!world.may(&apart, Operation::Read, "kv/a"));
    set("eve", &["a"], true);
    let refused = world.policies.access(&mut world.read(), &Holder::from(&holder), NOW);
    assert!(matches!(refused, Err(AccessError::NoSubject)), "a disabled entity opens nothing");
    set("e*e", &[], false);
    let refused = world.policies.access(&mut world.read(), &Holder::from(&holder), NOW);
    assert!(matches!(refused, Err(AccessError::Compile(CompileError::Forbidden { .. }))));
    set("e+", &["root"], false);
    let refused = world.policies.access(&mut world.read(), &Holder::from(&of_entity("e", &[])), NOW);
    assert!(refused.is_ok_and(|compiled| compiled.acl.is_root()), "alone it is what it says");
    let refused = world.policies.access(&mut world.read(), &Holder::from(&of_entity("e", &["a"])), NOW);
    assert!(matches!(refused, Err(AccessError::Compile(CompileError::RootAmongOthers))));
}

#[tokio::test]
async fn the_time_of_day_holds_for_a_second() {
    let world = World::new(Arc::new(NoSubjects));
    world.put("now", r#"path "kv/{{time.now}}" { capabilities = ["read"] }"#).await;
    let holder = token(&["now"]);
    for seconds in [0, 1, 2] {
        let now = NOW + Duration::seconds(seconds) + Duration::milliseconds(300);
        let path = format!("kv/{seconds}");
        assert!(world.ask(&mut world.read(), &holder, Operation::Read, &path, now), "{path}");
    }
}

#[tokio::test]
async fn a_change_may_name_what_it_replaces() {
    let world = World::new(Arc::new(NoSubjects));
    let put = async |cas: Option<i64>, cas_required: bool| {
        let draft = Draft { text: READ_A.to_owned(), cas, cas_required, ..Draft::default() };
        let mut tx = world.barrier.begin(Mode::ReadWrite).unwrap();
        let outcome = world.policies.put(&mut tx, "P ", draft, NOW).map_err(|fault| fault.to_string());
        if outcome.is_ok() {
            world.barrier.commit(tx).await.unwrap();
        }
        outcome
    };
    let required = Err("check-and-set parameter required for this call".to_owned());
    for (cas, cas_required, outcome) in [
        (Some(3), false, Err("check-and-set parameter 3 did not match the current version 0".to_owned())),
        (None, true, required.clone()),
        (Some(-1), false, Ok(())),
        (Some(-1), false, Err("check-and-set parameter set to -1 on existing entry".to_owned())),
        (Some(1), true, Ok(())),
        (None, false, required),
        (Some(2), false, Ok(())),
        (None, false, Ok(())),
    ] {
        assert_eq!(put(cas, cas_required).await, outcome, "{cas:?}");
    }
    let stored = world.policies.get(&mut world.read(), "p", NOW).unwrap().unwrap();
    assert_eq!((stored.record.version, &*stored.name), (4, "p"));
}

#[tokio::test]
async fn what_a_node_begins_with_stays() {
    let world = World::new(Arc::new(NoSubjects));
    world.change(|policies, tx| policies.install(tx, NOW)).await;
    let mut tx = world.barrier.begin(Mode::ReadWrite).unwrap();
    let draft = || Draft { text: READ_A.to_owned(), ..Draft::default() };
    for name in ["root", "response-wrapping", " ROOT "] {
        assert!(world.policies.put(&mut tx, name, draft(), NOW).is_err(), "{name}");
        assert!(world.policies.delete(&mut tx, name).is_err(), "{name}");
    }
    assert!(world.policies.delete(&mut tx, "default").is_err());
    drop(tx);
    world.put("default", READ_A).await;
    world.change(|policies, tx| policies.install(tx, NOW)).await;
    let mut tx = world.read();
    let kept = world.policies.get(&mut tx, "default", NOW).unwrap().unwrap();
    assert_eq!(kept.record.text, READ_A, "what was changed is left alone");
    assert_eq!(world.policies.list(&mut tx, "", NOW).unwrap(), ["default"]);
    assert!(world.policies.exists(&mut tx, "root", NOW).unwrap());
    let wrapping = world.policies.access(&mut tx, &Holder::from(&token(&["response-wrapping"])), NOW);
    assert_eq!(wrapping.unwrap().acl.capabilities("sys/wrapping/unwrap"), ["update"]);
}

#[tokio::test]
async fn folders_are_listed_after_what_is_beside_them() {
    let world = World::new(Arc::new(NoSubjects));
    for name in ["b", "a/b/c", "a/d", "z/y", "c"] {
        world.put(name, READ_A).await;
    }
    let mut tx = world.read();
    assert_eq!(world.policies.list(&mut tx, "", NOW).unwrap(), ["b", "c", "z/y", "a/d", "a/b/c"]);
    assert_eq!(world.policies.list(&mut tx, "a/", NOW).unwrap(), ["a/d", "a/b/c"]);
}
