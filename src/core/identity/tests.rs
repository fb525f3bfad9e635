//! Identity over transactions: logins, changes, merges, and the laws of the index and of groups in groups.

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;
use time::OffsetDateTime;

use super::alias::AliasChange;
use super::entity::EntityChange;
use super::group::GroupChange;
use super::group_alias::GroupAliasChange;
use super::login::entity_of_login;
use super::merge::{MergeChange, MergeError};
use super::*;
use crate::barrier::{Barrier, Keyring, Mode, Transaction};
use crate::core::policy::Subjects;
use crate::logical::{self, Fault};
use crate::storage::inmem;

const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;
const PASS: AliasMount<'static> = AliasMount { accessor: "auth_userpass_1", local: false };
const ROLE: AliasMount<'static> = AliasMount { accessor: "auth_approle_1", local: false };

struct World {
    barrier: Barrier,
    identity: Arc<Identity>,
    runtime: tokio::runtime::Runtime,
}

impl World {
    fn new() -> Self {
        let barrier = Barrier::new(inmem::open());
        barrier.open(Keyring::new([(1, &[7; 32])]));
        let identity = Arc::new(Identity::new());
        barrier.storage().observe(Arc::clone(&identity) as _);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        Self { barrier, identity, runtime }
    }

    fn begin(&self) -> Transaction {
        self.barrier.begin(Mode::ReadWrite).unwrap()
    }

    /// Runs and commits; what fails changes nothing.
    fn run<T, E>(&self, work: impl FnOnce(&mut Transaction) -> Result<T, E>) -> Result<T, E> {
        let mut tx = self.begin();
        let done = work(&mut tx)?;
        self.runtime.block_on(self.barrier.commit(tx)).unwrap();
        Ok(done)
    }

    fn entity(&self, name: &str) -> Entity {
        let change = EntityChange { name: name.to_owned(), ..EntityChange::default() };
        self.run(|tx| entity::upsert(tx, change, NOW)).unwrap().unwrap()
    }

    fn alias(&self, mount: AliasMount<'_>, name: &str, owner: &str) -> alias::Changed {
        let change = AliasChange {
            name: name.to_owned(),
            mount_accessor: mount.accessor.to_owned(),
            canonical_id: owner.to_owned(),
            ..AliasChange::default()
        };
        self.run(|tx| alias::upsert(tx, change, mounts, NOW)).unwrap().unwrap()
    }

    fn group(&self, change: GroupChange) -> Result<Group, Fault> {
        let id = change.id.clone();
        let made = self.run(|tx| group::upsert(tx, &change, NOW))?;
        Ok(made.unwrap_or_else(|| group(&mut self.begin(), &id).unwrap().unwrap()))
    }

    fn log_in(
        &self,
        mount: AliasMount<'_>,
        name: &str,
        groups: &[&str],
    ) -> Result<Arc<policy::Subject>, Fault> {
        let login = logical::Alias { name: name.to_owned(), ..logical::Alias::default() };
        let groups: Vec<String> = groups.iter().map(|name| (*name).to_owned()).collect();
        self.run(|tx| self.identity.log_in(tx, mount, &login, &groups, NOW))
    }

    fn subject(&self, id: &str) -> Option<Arc<policy::Subject>> {
        self.identity.subject(&mut self.begin(), id).unwrap()
    }
}

use crate::core::policy;

fn mounts(accessor: &str) -> Option<AliasMount<'static>> {
    [PASS, ROLE].into_iter().find(|mount| mount.accessor == accessor)
}

fn named(name: &str) -> GroupChange {
    GroupChange { name: name.to_owned(), ..GroupChange::default() }
}

fn texts(values: &[&str]) -> Option<Vec<String>> {
    Some(values.iter().map(|value| (*value).to_owned()).collect())
}

#[test]
fn a_first_login_makes_an_entity_and_the_next_finds_it() {
    let world = World::new();
    let first = world.log_in(PASS, "Ed", &[]).unwrap();
    let index = world.begin().index();
    assert_eq!(world.log_in(PASS, "eD", &[]).unwrap().entity_id, first.entity_id);
    assert_eq!(world.begin().index(), index, "nothing was to be written");
    assert_ne!(world.log_in(ROLE, "ed", &[]).unwrap().entity_id, first.entity_id);
    let metadata = [("role".to_owned(), "r".to_owned())].into();
    let login = logical::Alias { name: "ed".to_owned(), metadata };
    world.run(|tx| world.identity.log_in(tx, PASS, &login, &[], NOW)).unwrap();
    let subject = world.subject(&first.entity_id).unwrap();
    assert_eq!(subject.aliases[PASS.accessor].metadata["role"], "r", "what the method says is kept");
}

/// Keys read and written by a first login and by one of an entity that is known.
fn touched(world: &World) -> [(usize, usize); 2] {
    ["fresh", "known"].map(|name| {
        let login = logical::Alias { name: name.to_owned(), metadata: [("a".into(), "b".into())].into() };
        let mut tx = world.begin();
        entity_of_login(&mut tx, PASS, &login, NOW).unwrap();
        tx.into_changes().map_or((0, 0), |changes| (changes.expect.len(), changes.writes.len()))
    })
}

#[test]
fn a_login_touches_as_little_among_many_as_among_few() {
    let world = World::new();
    world.log_in(PASS, "known", &[]).unwrap();
    let among_few = touched(&world);
    world
        .run(|tx| {
            (0..2000).try_for_each(|number| {
                let login = logical::Alias { name: format!("u{number}"), ..logical::Alias::default() };
                entity_of_login(tx, PASS, &login, NOW).map(drop)
            })
        })
        .unwrap();
    assert_eq!(touched(&world), among_few);
    assert_eq!(among_few, [(2, 4), (2, 1)]);
}

#[test]
fn a_disabled_entity_does_not_log_in() {
    let world = World::new();
    let id = world.log_in(PASS, "ed", &[]).unwrap().entity_id.clone();
    assert!(!world.subject(&id).unwrap().disabled);
    let change = EntityChange { id: id.clone(), disabled: Some(true), ..EntityChange::default() };
    world.run(|tx| entity::upsert(tx, change, NOW)).unwrap();
    assert!(world.subject(&id).unwrap().disabled, "the cache was told");
    assert!(matches!(world.log_in(PASS, "ed", &[]), Err(Fault::Status { status: 403, .. })));
    world.run(|tx| entity::delete(tx, &id)).unwrap();
    assert!(world.subject(&id).is_none());
    assert_ne!(world.log_in(PASS, "ed", &[]).unwrap().entity_id, id, "a new one");
}

#[test]
fn names_are_taken_once() {
    let world = World::new();
    let (ann, bob) = (world.entity("ann"), world.entity("bob"));
    let rename = |id: &str, name: &str| {
        let change = EntityChange { id: id.to_owned(), name: name.to_owned(), ..EntityChange::default() };
        world.run(|tx| entity::upsert(tx, change, NOW)).err().map(|fault| fault.to_string())
    };
    assert_eq!(rename(&ann.id, "BOB").unwrap(), "entity name is already in use");
    assert_eq!(rename("none", "x").unwrap(), "entity not found from id");
    assert_eq!(rename(&ann.id, "Ann"), None);
    assert_eq!(rename(&bob.id, "robert"), None);
    assert_eq!(rename(&ann.id, "bob"), None, "it is free again");
    let root = EntityChange { policies: texts(&["Root"]), ..EntityChange::default() };
    let text = world.run(|tx| entity::upsert(tx, root, NOW)).unwrap_err().to_string();
    assert_eq!(text, "policies cannot contain root");
}

#[test]
fn aliases_move_between_entities_but_never_double() {
    let world = World::new();
    let (ann, bob) = (world.entity("ann"), world.entity("bob"));
    let (first, second) = (world.alias(PASS, "a", &ann.id), world.alias(PASS, "b", &bob.id));
    let change = |change: AliasChange| {
        world.run(|tx| alias::upsert(tx, change, mounts, NOW)).map_err(|fault| fault.to_string())
    };
    let of = |id: &str| AliasChange { id: id.to_owned(), ..AliasChange::default() };
    for (wanted, text) in [
        (of("none"), "invalid alias ID provided"),
        (
            AliasChange { name: "B".into(), ..of(&first.id) },
            "alias with combination of mount accessor and name already exists",
        ),
        (
            AliasChange { canonical_id: bob.id.clone(), ..of(&first.id) },
            "Alias cannot be updated as the given entity already has an alias for this mount ",
        ),
        (
            AliasChange { canonical_id: "none".into(), ..of(&first.id) },
            "given 'canonical_id' is not associated with an entity",
        ),
        (AliasChange { mount_accessor: "none".into(), ..of(&first.id) }, "invalid mount accessor \"none\""),
        (
            AliasChange { name: "c".into(), ..AliasChange::default() },
            "'id' or 'mount_accessor' and 'name' must be provided",
        ),
    ] {
        assert_eq!(change(wanted).unwrap_err(), text);
    }
    assert_eq!(change(of(&first.id)), Ok(None), "nothing to do");
    world.run(|tx| alias::delete(tx, &second.id)).unwrap();
    let moved = change(AliasChange { canonical_id: bob.id.clone(), ..of(&first.id) }).unwrap().unwrap();
    assert_eq!(moved.canonical_id, bob.id);
    assert_eq!(world.log_in(PASS, "a", &[]).unwrap().entity_id, bob.id);
}

#[test]
fn policies_come_from_near_and_far_groups() {
    let world = World::new();
    let ann = world.entity("ann");
    let inner = world
        .group(GroupChange { policies: texts(&["in"]), member_entities: texts(&[&ann.id]), ..named("inner") })
        .unwrap();
    let outer = world
        .group(GroupChange {
            policies: texts(&["out"]),
            member_groups: texts(&[&inner.id]),
            ..named("outer")
        })
        .unwrap();
    assert_eq!(world.subject(&ann.id).unwrap().policies, ["in", "out"]);
    let change = GroupChange { id: outer.id.clone(), policies: texts(&["other"]), ..GroupChange::default() };
    world.group(change).unwrap();
    assert_eq!(world.subject(&ann.id).unwrap().policies, ["in", "other"], "the cache was told");
    world.run(|tx| group::delete(tx, &inner.id)).unwrap();
    assert!(world.subject(&ann.id).unwrap().policies.is_empty());
    assert!(group(&mut world.begin(), &outer.id).unwrap().unwrap().member_groups.is_empty());
}

#[test]
fn external_groups_follow_the_login() {
    let world = World::new();
    let made = |name: &str, mount: AliasMount<'_>| {
        let change = GroupChange { kind: Some("external".into()), policies: texts(&[name]), ..named(name) };
        let group = world.group(change).unwrap();
        let change = GroupAliasChange {
            name: name.to_owned(),
            mount_accessor: mount.accessor.to_owned(),
            canonical_id: group.id,
            ..GroupAliasChange::default()
        };
        world.run(|tx| group_alias::upsert(tx, &change, mounts, NOW)).unwrap()
    };
    made("dev", PASS);
    made("ops", PASS);
    made("far", ROLE);
    let policies = |groups: &[&str]| world.log_in(PASS, "ed", groups).unwrap().policies.clone();
    assert_eq!(policies(&["dev", "far", "unknown"]), ["dev"], "a name is one of its mount");
    assert_eq!(policies(&["OPS"]), ["ops"]);
    assert!(policies(&[]).is_empty());
}

#[test]
fn a_merge_keeps_what_was_asked_for() {
    let world = World::new();
    let (to, from) = (world.entity("to"), world.entity("from"));
    let (kept, lost) = (world.alias(PASS, "f", &from.id), world.alias(PASS, "t", &to.id));
    world.alias(ROLE, "r", &from.id);
    let group = world.group(GroupChange {
        policies: texts(&["g"]),
        member_entities: texts(&[&from.id]),
        ..named("g")
    });
    let change = |keep: &[&str]| MergeChange {
        to: to.id.clone(),
        from: vec![from.id.clone()],
        keep: texts(keep).unwrap(),
    };
    let merge = |change: MergeChange| world.run(|tx| merge::merge(tx, &change));
    assert!(matches!(merge(change(&[])), Err(MergeError::Clashes(clashes)) if clashes.len() == 1));
    assert!(matches!(merge(change(&["x"])), Err(MergeError::Refused(_))));
    merge(change(&[&kept.id])).unwrap();
    let mut tx = world.begin();
    let after = entity(&mut tx, &to.id).unwrap().unwrap();
    let names: BTreeSet<&str> = after.aliases.iter().map(|alias| alias.name.as_str()).collect();
    assert_eq!((names, &after.merged), (BTreeSet::from(["f", "r"]), &vec![from.id.clone()]));
    assert!(alias_owner(&mut tx, &lost.id).unwrap().is_none());
    assert_eq!(members(&tx, &group.unwrap().id).unwrap(), std::slice::from_ref(&to.id));
    assert_eq!(world.subject(&from.id).unwrap().entity_id, to.id, "old tokens stand for the one that stays");
    // And those of the merged one go on when it is merged itself.
    let last = world.entity("last");
    merge(MergeChange { to: last.id.clone(), from: vec![to.id], keep: Vec::new() }).unwrap();
    assert_eq!(world.subject(&from.id).unwrap().entity_id, last.id);
}

#[test]
fn a_mount_that_is_gone_takes_its_aliases_along() {
    let world = World::new();
    let ann = world.entity("ann");
    world.alias(PASS, "a", &ann.id);
    world.alias(ROLE, "a", &ann.id);
    world.run(|tx| gone::mount_removed(tx, PASS.accessor)).unwrap();
    while world.run(gone::forget_step).unwrap() {}
    let aliases = entity(&mut world.begin(), &ann.id).unwrap().unwrap().aliases;
    assert_eq!(
        aliases.iter().map(|alias| alias.mount_accessor.as_str()).collect::<Vec<_>>(),
        [ROLE.accessor]
    );
}

#[test]
fn two_changes_that_close_a_circle_never_both_succeed() {
    let world = World::new();
    let ids: Vec<String> = ["a", "b", "c"].iter().map(|name| world.group(named(name)).unwrap().id).collect();
    // a contains b; at the same time b shall contain c and c shall contain a.
    world
        .group(GroupChange { id: ids[0].clone(), member_groups: texts(&[&ids[1]]), ..GroupChange::default() })
        .unwrap();
    let (mut one, mut other) = (world.begin(), world.begin());
    let change = |of: usize, member: usize| GroupChange {
        id: ids[of].clone(),
        member_groups: texts(&[&ids[member]]),
        ..GroupChange::default()
    };
    group::upsert(&mut one, &change(1, 2), NOW).unwrap();
    group::upsert(&mut other, &change(2, 0), NOW).unwrap();
    let done = [one, other].map(|tx| world.runtime.block_on(world.barrier.commit(tx)).is_ok());
    assert_eq!(done, [true, false]);
}

/// A change chosen by chance; numbers are taken modulo what there is.
#[derive(Debug, Clone)]
enum Step {
    Entity(usize),
    Login(usize, usize),
    Rename(usize, usize),
    Merge(usize, usize, bool),
    DeleteEntity(usize),
    MoveAlias(usize, usize),
    DeleteAlias(usize),
    Group(usize, Vec<usize>, Vec<usize>),
    DeleteGroup(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let n = 0..6_usize;
    let some = || proptest::collection::vec(0..6_usize, 0..3);
    prop_oneof![
        n.clone().prop_map(Step::Entity),
        (n.clone(), 0..2_usize).prop_map(|(who, mount)| Step::Login(who, mount)),
        (n.clone(), n.clone()).prop_map(|(who, name)| Step::Rename(who, name)),
        (n.clone(), n.clone(), any::<bool>()).prop_map(|(to, from, keep)| Step::Merge(to, from, keep)),
        n.clone().prop_map(Step::DeleteEntity),
        (n.clone(), n.clone()).prop_map(|(alias, to)| Step::MoveAlias(alias, to)),
        n.clone().prop_map(Step::DeleteAlias),
        (n.clone(), some(), some())
            .prop_map(|(group, entities, groups)| Step::Group(group, entities, groups)),
        n.prop_map(Step::DeleteGroup),
    ]
}

fn nth(ids: &[String], n: usize) -> String {
    ids.get(n % ids.len().max(1)).cloned().unwrap_or_default()
}

impl World {
    /// Takes the step; that it may be refused is no matter here.
    fn take(&self, step: Step) {
        let tx = self.begin();
        let (entities, aliases) = (entity_ids(&tx).unwrap(), alias_ids(&tx).unwrap());
        let groups = group_ids(&tx).unwrap();
        let all = |ids: &[String], picks: Vec<usize>| picks.into_iter().map(|n| nth(ids, n)).collect();
        drop(match step {
            Step::Entity(n) => {
                let change = EntityChange { name: format!("e{n}"), ..EntityChange::default() };
                self.run(|tx| entity::upsert(tx, change, NOW)).map(drop)
            }
            Step::Login(n, mount) => self.log_in([PASS, ROLE][mount], &format!("u{n}"), &[]).map(drop),
            Step::Rename(n, name) => {
                let (id, name) = (nth(&entities, n), format!("E{name}"));
                let change = EntityChange { id, name, ..EntityChange::default() };
                self.run(|tx| entity::upsert(tx, change, NOW)).map(drop)
            }
            Step::Merge(to, from, keep) => {
                let keep = if keep { aliases } else { Vec::new() };
                let change = MergeChange { to: nth(&entities, to), from: vec![nth(&entities, from)], keep };
                drop(self.run(|tx| merge::merge(tx, &change)));
                Ok(())
            }
            Step::DeleteEntity(n) => self.run(|tx| entity::delete(tx, &nth(&entities, n))),
            Step::MoveAlias(n, to) => {
                let (id, canonical_id) = (nth(&aliases, n), nth(&entities, to));
                let change = AliasChange { id, canonical_id, ..AliasChange::default() };
                self.run(|tx| alias::upsert(tx, change, mounts, NOW)).map(drop)
            }
            Step::DeleteAlias(n) => self.run(|tx| alias::delete(tx, &nth(&aliases, n))),
            Step::Group(n, members, inner) => {
                let change = GroupChange {
                    member_entities: Some(all(&entities, members)),
                    member_groups: Some(all(&groups, inner)),
                    ..named(&format!("g{n}"))
                };
                self.run(|tx| group::upsert(tx, &change, NOW)).map(drop)
            }
            Step::DeleteGroup(n) => self.run(|tx| group::delete(tx, &nth(&groups, n))),
        });
    }

    /// What must hold whatever was done.
    fn check(&self) {
        let mut tx = self.begin();
        let (mut expected, mut found) = (BTreeSet::new(), BTreeSet::new());
        for id in entity_ids(&tx).unwrap() {
            let entity = entity(&mut tx, &id).unwrap().unwrap();
            let mounts: BTreeSet<&str> = entity.aliases.iter().map(|alias| &*alias.mount_accessor).collect();
            assert_eq!(mounts.len(), entity.aliases.len(), "one alias a mount");
            for group in groups_of(&tx, &id).unwrap() {
                assert!(members(&tx, &group).unwrap().contains(&id), "links go both ways");
            }
            expected.insert(format!("identity/entity/id/{id}"));
            expected.extend(entity.index().into_keys());
        }
        for id in group_ids(&tx).unwrap() {
            let here = group(&mut tx, &id).unwrap().unwrap();
            for child in &here.member_groups {
                assert!(
                    group(&mut tx, child).unwrap().unwrap().parents.contains(&id),
                    "so do groups in groups"
                );
            }
            let above = ancestors(&mut tx, here.parents.iter().cloned()).unwrap();
            assert!(above.iter().all(|group| group.id != id), "no circle");
            for member in members(&tx, &id).unwrap() {
                assert!(groups_of(&tx, &member).unwrap().contains(&id));
                assert!(entity(&mut tx, &member).unwrap().is_some(), "no member that is gone");
            }
            expected.insert(format!("identity/group/id/{id}"));
            expected.extend(here.index().into_keys());
        }
        let links = |key: &String| !key.starts_with("identity/member");
        found.extend(tx.keys(PREFIX, usize::MAX).unwrap().into_iter().filter(links));
        assert_eq!(found, expected, "the index is what the records say");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn records_index_and_links_always_agree(steps in proptest::collection::vec(step(), 1..40)) {
        let world = World::new();
        for step in steps {
            world.take(step);
        }
        world.check();
    }

    #[test]
    fn what_is_merged_is_reached_by_every_old_name(
        aliases in proptest::collection::vec((0..4_usize, 0..2_usize), 0..6),
        keep in any::<bool>(),
    ) {
        let entities: Vec<Entity> = (0..4).map(|n| Entity { id: n.to_string(), ..Entity::default() }).collect();
        let mut entities = entities;
        for (number, (owner, mount)) in aliases.iter().enumerate() {
            let mount = [PASS, ROLE][*mount];
            let taken = entities[*owner].alias_at(mount.accessor).is_some();
            if !taken {
                entities[*owner].aliases.push(Alias::new(mount, &format!("n{number}"), NOW));
            }
        }
        let all: Vec<String> =
            entities.iter().flat_map(|entity| &entity.aliases).map(|alias| alias.id.clone()).collect();
        let (to, from) = entities.split_first().unwrap();
        let kept = if keep { all } else { Vec::new() };
        let Ok(after) = merge::merged(to, from, &kept) else { return Ok(()) };
        prop_assert_eq!(after.merged.len(), from.len());
        let mounts: BTreeSet<&str> = after.aliases.iter().map(|alias| &*alias.mount_accessor).collect();
        prop_assert_eq!(mounts.len(), after.aliases.len());
        for alias in entities.iter().flat_map(|entity| &entity.aliases) {
            prop_assert!(after.alias_at(&alias.mount_accessor).is_some());
        }
    }
}
