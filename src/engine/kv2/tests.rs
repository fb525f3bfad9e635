//! The engine as its clients see it: tables of calls, and a model it must not differ from.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::Kv2;
use crate::engine::kv1::Kv1;
use crate::logical::testing::{Bench, data_of, gone};
use crate::logical::{Answer, Body, Operation, Response};

use Operation::{Delete, List, Patch, Read, Scan, Update};

fn bench() -> Bench {
    Bench::new(Arc::new(Kv2::new()))
}

fn put(bench: &Bench, name: &str, data: Value) -> Value {
    bench.data(Update, &format!("data/{name}"), json!({ "data": data }))
}

fn is_silent_404(answer: &Answer) -> bool {
    matches!(answer, Ok(Response { body: Body::Raw(raw), .. }) if raw.status == 404 && raw.body.is_empty())
}

#[test]
fn the_newest_version_comes_back_as_it_was_written() {
    let mut bench = bench();
    let text = r#"{"options":{"cas":0},"data":{"z":1.10,"a":123456789012345678901234567890}}"#;
    bench.call_text(Update, "data/a", text).unwrap();
    bench.wait(Duration::from_secs(1));
    let Body::Encoded(read) = bench.call(Read, "data/a", json!({})).unwrap().body else { panic!("no data") };
    assert_eq!(
        std::str::from_utf8(&read).unwrap(),
        "{\"data\":{\"a\":123456789012345678901234567890,\"z\":1.10},\"metadata\":{\"created_time\":\
         \"2001-09-09T01:46:40Z\",\"custom_metadata\":null,\"deletion_time\":\"\",\"destroyed\":false,\"version\":1}}"
    );
    assert_eq!(bench.keys(), ["key/a"], "one record holds it all");
}

#[test]
fn older_versions_are_read_by_number() {
    let bench = bench();
    (1..=3).for_each(|n| drop(put(&bench, "a/b", json!({ "n": n }))));
    for (version, n) in [("1", 1), ("2", 2), ("3", 3), ("0", 3), ("-1", 3), ("", 3)] {
        let read = bench.data(Read, "data/a/b", json!({ "version": version }));
        assert_eq!(
            (&read["data"], &read["metadata"]["version"]),
            (&json!({ "n": n }), &json!(n)),
            "{version:?}"
        );
    }
    assert_eq!(bench.data(Read, "data/a/b", json!({"version": "9"})), Value::Null);
    assert_eq!(bench.keys(), ["data/1/a/b", "data/2/a/b", "key/a/b"]);
}

#[test]
fn deleted_versions_say_so_and_come_back() {
    let mut bench = bench();
    (1..=2).for_each(|n| drop(put(&bench, "a", json!({ "n": n }))));
    bench.call(Delete, "data/a", json!({})).unwrap();
    bench.wait(Duration::from_secs(5));
    bench.call(Delete, "data/a", json!({})).unwrap();
    let read = gone(&bench.call(Read, "data/a", json!({})));
    assert_eq!(
        (&read["data"], &read["metadata"]["deletion_time"]),
        (&json!(null), &json!("2001-09-09T01:46:40Z"))
    );
    assert_eq!(gone(&bench.call(Read, "subkeys/a", json!({})))["subkeys"], json!(null));
    bench.call(Update, "delete/a", json!({"versions": "1"})).unwrap();
    assert_eq!(gone(&bench.call(Read, "data/a", json!({"version": 1})))["data"], json!(null));
    bench.call(Update, "undelete/a", json!({"versions": [1, "2", 7]})).unwrap();
    assert_eq!(bench.data(Read, "data/a", json!({}))["data"], json!({"n": 2}));
    bench.call(Update, "destroy/a", json!({"versions": [1, 2]})).unwrap();
    bench.call(Update, "undelete/a", json!({"versions": [1, 2]})).unwrap();
    for version in [1, 2] {
        let read = gone(&bench.call(Read, "data/a", json!({ "version": version })));
        assert_eq!((&read["data"], &read["metadata"]["destroyed"]), (&json!(null), &json!(true)));
    }
    assert_eq!(bench.keys(), ["key/a"], "destroyed data is gone");
    bench.call(Delete, "metadata/a", json!({})).unwrap();
    assert!(bench.keys().is_empty());
}

#[test]
fn versions_end_by_age() {
    let mut bench = bench();
    bench.call(Update, "metadata/a", json!({"delete_version_after": "10s"})).unwrap();
    assert_eq!(put(&bench, "a", json!({"n": 1}))["deletion_time"], json!("2001-09-09T01:46:50Z"));
    bench.wait(Duration::from_secs(9));
    assert_eq!(bench.data(Read, "data/a", json!({}))["data"], json!({"n": 1}));
    bench.wait(Duration::from_secs(1));
    assert_eq!(gone(&bench.call(Read, "data/a", json!({})))["data"], json!(null));
    bench.call(Update, "undelete/a", json!({"versions": 1})).unwrap();
    assert_eq!(bench.data(Read, "data/a", json!({}))["data"], json!({"n": 1}));
}

#[test]
fn check_and_set_is_held_to() {
    let bench = bench();
    let write = |options: Value| bench.call(Update, "data/a", json!({"data": {"n": 1}, "options": options}));
    let mismatch = "check-and-set parameter did not match the current version";
    for (options, outcome) in [
        (json!({"cas": 1}), Err(mismatch)),
        (json!({"cas": 0}), Ok(1)),
        (json!({"cas": 0}), Err(mismatch)),
        (json!({"cas": "x"}), Err("error parsing check-and-set parameter")),
        (json!({"cas": -1}), Err(mismatch)),
        (json!({"cas": "1"}), Ok(2)),
        (json!({}), Ok(3)),
        (
            json!("x"),
            Err(
                "error converting input for field \"options\": '' expected type 'map[string]interface {}', got unconvertible type 'string'",
            ),
        ),
    ] {
        let got = write(options.clone()).map(|response| data_of(&response)["version"].as_i64().unwrap());
        assert_eq!(got.map_err(|fault| fault.to_string()), outcome.map_err(str::to_owned), "{options}");
    }
    bench.call(Update, "config", json!({"cas_required": true})).unwrap();
    assert_eq!(write(json!({})).unwrap_err().to_string(), "check-and-set parameter required for this call");
    let warned = bench.call(Update, "metadata/a", json!({"cas_required": false})).unwrap().warnings;
    assert_eq!(
        warned,
        ["\"cas_required\" set to false, but is mandated by backend config. This value will be ignored."]
    );
}

#[test]
fn a_patch_needs_something_to_patch() {
    let bench = bench();
    let patch = |body: Value| bench.call(Patch, "data/a", body);
    assert!(is_silent_404(&patch(json!({"data": {"b": 1}}))));
    assert_eq!(patch(json!({})).unwrap_err().to_string(), "no data provided");
    put(&bench, "a", json!({"k": 1, "o": {"p": 1, "q": [1]}}));
    patch(json!({"data": {"k": null, "o": {"p": null, "r": 2}}, "options": {"cas": 1}})).unwrap();
    assert_eq!(bench.data(Read, "data/a", json!({}))["data"], json!({"o": {"q": [1], "r": 2}}));
    patch(json!({ "data": null })).unwrap();
    assert_eq!(patch(json!({"data": {"b": 1}})).unwrap_err().to_string(), "resource does not exist");
    put(&bench, "a", json!({"k": 1}));
    bench.call(Delete, "data/a", json!({})).unwrap();
    assert_eq!(gone(&patch(json!({"data": {"b": 1}})))["version"], json!(4));
}

#[test]
fn settings_of_keys_are_written_patched_and_guarded() {
    let bench = bench();
    let text = |operation, name: &str, body: Value| bench.fault(operation, &format!("metadata/{name}"), body);
    let shown = |name: &str| bench.data(Read, &format!("metadata/{name}"), json!({}));
    bench.call(Update, "metadata/a", json!({})).unwrap();
    assert_eq!(shown("a"), Value::Null, "a write that says nothing makes no key");
    assert!(is_silent_404(&bench.call(Patch, "metadata/a", json!({"max_versions": 1}))));
    assert_eq!(
        text(Update, "a", json!({"max_versions": 4, "metadata_cas": 7})),
        "metadata_cas must be 0 when creating new metadata"
    );
    let settings = json!({"max_versions": 4, "cas_required": true, "delete_version_after": "1h",
        "custom_metadata": {"a": "1", "b": 2}, "metadata_cas_required": true});
    bench.call(Update, "metadata/a", settings).unwrap();
    assert_eq!(
        text(Update, "a", json!({"max_versions": 5})),
        "metadata check-and-set parameter required for this call"
    );
    assert_eq!(
        text(Patch, "a", json!({"max_versions": 5, "metadata_cas": 9})),
        "metadata check-and-set parameter does not match the current version"
    );
    let change = json!({"metadata_cas": 1, "custom_metadata": {"a": null, "c": "3"}, "max_versions": null,
        "delete_version_after": null, "metadata_cas_required": false});
    bench.call(Patch, "metadata/a", change).unwrap();
    let now = shown("a");
    for (field, value) in [
        ("custom_metadata", json!({"b": "2", "c": "3"})),
        ("max_versions", json!(0)),
        ("cas_required", json!(true)),
        ("delete_version_after", json!("1h0m0s")),
        ("current_metadata_version", json!(2)),
        ("versions", json!({})),
    ] {
        assert_eq!(now[field], value, "{field}");
    }
    bench.call(Patch, "metadata/a", json!({"custom_metadata": null})).unwrap();
    assert_eq!(shown("a")["custom_metadata"], json!(null));
    assert_eq!(
        text(Update, "a", json!({"delete_version_after": "-1s"})),
        "error converting input for field \"delete_version_after\": cannot provide negative value '-1'"
    );
    assert_eq!(
        text(Patch, "a", json!({"delete_version_after": "-1s"})),
        "Field validation failed: error converting input for field \"delete_version_after\": cannot provide negative value '-1'"
    );
}

#[test]
fn paths_that_are_none_say_so() {
    let bench = bench();
    let root = "Non-listing operations on the root of a K/V v2 mount are not supported.";
    let nowhere = |verb: &str| {
        format!(
            "Invalid path for a versioned K/V secrets engine. See the API docs for the appropriate API endpoints to \
             use. If using the OpenBao CLI, use 'bao kv {verb}' for this operation."
        )
    };
    for (operation, path, warning) in [
        (Read, "data", root.to_owned()),
        (Update, "undelete", root.to_owned()),
        (Read, "a", nowhere("get")),
        (Update, "a/b", nowhere("put")),
        (Patch, "a", nowhere("patch")),
        (Delete, "a", nowhere("delete")),
        (List, "", nowhere("list")),
        (Scan, "x/", nowhere("scan")),
        (Read, "config/", nowhere("get")),
    ] {
        let response = bench.call(operation, path, json!({})).unwrap();
        assert_eq!((response.status, response.warnings), (Some(404), vec![warning]), "{operation:?} {path}");
    }
    for (operation, path) in [(List, "data/"), (Read, "delete/a"), (Read, "detailed-metadata/a")] {
        assert_eq!(bench.fault(operation, path, json!({})), "unsupported operation", "{operation:?} {path}");
    }
    assert_eq!(bench.data(Read, "data/", json!({})), Value::Null);
}

#[test]
fn lists_come_in_pages() {
    let bench = bench();
    ["a", "d/x", "d/y/z", "deep", "new"].iter().for_each(|name| drop(put(&bench, name, json!({"n": 1}))));
    let keys = |operation, path: &str, page: Value| bench.data(operation, path, page)["keys"].clone();
    for (path, page, expected) in [
        ("metadata/", json!({}), json!(["a", "d/", "deep", "new"])),
        ("metadata/", json!({"limit": 2}), json!(["a", "d/"])),
        ("metadata/", json!({"limit": "-1"}), json!(["a", "d/", "deep", "new"])),
        ("metadata/", json!({"after": "a", "limit": 2}), json!(["d/", "deep"])),
        ("metadata/", json!({"after": "d"}), json!(["d/", "deep", "new"])),
        ("metadata/", json!({"after": "d/x"}), json!(["deep", "new"])),
        ("metadata/", json!({"after": "zz"}), Value::Null),
        ("metadata/d/", json!({}), json!(["x", "y/"])),
        ("metadata/none/", json!({}), Value::Null),
    ] {
        assert_eq!(keys(List, path, page.clone()), expected, "{path} {page}");
    }
    assert_eq!(keys(Scan, "metadata/", json!({})), json!(["a", "deep", "new", "d/x", "d/y/z"]));
    assert_eq!(bench.data(Scan, "metadata/none/", json!({})), json!({}));
    let detailed = bench.data(List, "detailed-metadata/", json!({"limit": 2}));
    assert_eq!((&detailed["keys"], &detailed["key_info"]["d/"]), (&json!(["a", "d/"]), &json!({})));
    assert_eq!(detailed["key_info"]["a"]["current_version"], json!(1));
    assert_eq!(bench.data(Scan, "detailed-metadata/d/", json!({}))["keys"], json!(["x", "y/z"]));
}

#[test]
fn settings_of_the_mount() {
    let bench = bench();
    let shown = || bench.data(Read, "config", json!({}));
    for (body, after, max) in [
        (json!({}), "0s", 0),
        (json!({"max_versions": "7", "delete_version_after": "1h30s"}), "1h0m30s", 7),
        (json!({"delete_version_after": "-5s"}), "-1s", 7),
        (json!({"delete_version_after": 90, "max_versions": null}), "1m30s", 0),
        (json!({"max_versions": -1}), "1m30s", 4_294_967_295_i64),
    ] {
        bench.call(Update, "config", body.clone()).unwrap();
        let shown = shown();
        assert_eq!(
            (&shown["delete_version_after"], &shown["max_versions"]),
            (&json!(after), &json!(max)),
            "{body}"
        );
    }
}

#[test]
fn a_large_secret_lives_beside_its_key() {
    let bench = bench();
    let large = json!({"v": "x".repeat(100_000)});
    put(&bench, "a", large.clone());
    assert_eq!(bench.keys(), ["data/1/a", "key/a"]);
    put(&bench, "a", json!({"v": 2}));
    put(&bench, "a", large.clone());
    for (version, data) in [(1, &large), (2, &json!({"v": 2})), (0, &large)] {
        assert_eq!(&bench.data(Read, "data/a", json!({ "version": version }))["data"], data, "{version}");
    }
    bench.call(Update, "destroy/a", json!({"versions": [1, 3]})).unwrap();
    assert_eq!(bench.keys(), ["data/2/a", "key/a"]);
    let text = bench.fault(Update, "data/a", json!({"data": {"v": "x".repeat(1024 * 1024)}}));
    assert_eq!(text, "put failed due to value being too large; got 1048601 bytes, max: 1048576");
}

/// A mount that was of version 1, with these secrets in it.
fn upgraded(secrets: &[(&str, Value)]) -> Bench {
    let mut bench = Bench::new(Arc::new(Kv1::plain()));
    secrets.iter().for_each(|(name, data)| drop(bench.call(Update, name, data.clone()).unwrap()));
    bench.backend = Arc::new(Kv2::new());
    bench
}

#[test]
fn an_upgraded_mount_answers_at_once() {
    let bench = upgraded(&[("old", json!({"v": 1})), ("d/old", json!({"v": 2})), ("gone", json!({"v": 3}))]);
    put(&bench, "new", json!({"v": 4}));
    assert_eq!(bench.data(Read, "data/old", json!({}))["data"], json!({"v": 1}));
    let known = bench.data(Read, "metadata/d/old", json!({}));
    assert_eq!((&known["current_version"], &known["oldest_version"]), (&json!(1), &json!(1)));
    assert_eq!(bench.data(List, "metadata/", json!({}))["keys"], json!(["d/", "gone", "new", "old"]));
    assert_eq!(
        bench.data(List, "metadata/", json!({"limit": 2, "after": "d/"}))["keys"],
        json!(["gone", "new"])
    );
    assert_eq!(bench.data(Scan, "metadata/", json!({}))["keys"], json!(["gone", "new", "old", "d/old"]));
    bench.call(Delete, "metadata/gone", json!({})).unwrap();
    assert_eq!(put(&bench, "old", json!({"v": 5}))["version"], json!(2));
    assert_eq!(bench.data(Read, "data/old", json!({"version": 1}))["data"], json!({"v": 1}));
    assert_eq!(bench.keys(), ["data/1/old", "key/new", "key/old", "plain/d/old"]);
    bench.tick();
    assert_eq!(bench.keys(), ["data/1/old", "key/d/old", "key/new", "key/old"]);
    assert_eq!(bench.data(Read, "data/d/old", json!({}))["data"], json!({"v": 2}));
}

#[test]
fn the_rest_of_an_upgrade_goes_in_bounded_steps() {
    let names: Vec<String> = (0..450).map(|n| format!("k{n:03}")).collect();
    let secrets: Vec<(&str, Value)> = names.iter().map(|name| (name.as_str(), json!({"v": 1}))).collect();
    let bench = upgraded(&secrets);
    for left in [250, 50, 0, 0] {
        bench.tick();
        assert_eq!(bench.keys().iter().filter(|key| key.starts_with("plain/")).count(), left);
    }
    assert_eq!(bench.keys().len(), 450);
}

/// What is done to one key.
#[derive(Debug, Clone)]
enum Act {
    Put { large: bool },
    Patch,
    DeleteNewest,
    DeleteVersions(Vec<u64>),
    Undelete(Vec<u64>),
    Destroy(Vec<u64>),
    KeyMax(u32),
    MountMax(u32),
    Remove,
}

#[derive(Debug, Clone, Default)]
struct Modelled {
    data: String,
    deleted: bool,
    destroyed: bool,
}

/// What a key is, told naively.
#[derive(Debug, Default)]
struct Model {
    exists: bool,
    current: u64,
    oldest: u64,
    key_max: u32,
    mount_max: u32,
    versions: BTreeMap<u64, Modelled>,
}

impl Model {
    fn put(&mut self, data: String) {
        self.exists = true;
        self.current += 1;
        self.versions.insert(self.current, Modelled { data, ..Modelled::default() });
        let kept = u64::from(match self.key_max.max(self.mount_max) {
            0 => 10,
            max => max,
        });
        while self.current - self.oldest >= kept {
            self.versions.remove(&self.oldest);
            self.oldest += 1;
        }
    }

    fn each(&mut self, numbers: &[u64], change: impl Fn(&mut Modelled)) {
        for number in numbers {
            self.versions.get_mut(number).map(&change).unwrap_or_default();
        }
    }

    /// Whether the newest version can be patched.
    fn is_live(&self) -> bool {
        self.versions.get(&self.current).is_some_and(|version| !version.deleted && !version.destroyed)
    }

    /// Applies the act to both and says whether the engine took a write of data.
    fn act(&mut self, bench: &Bench, act: &Act, step: usize) {
        match act {
            Act::Put { large } => {
                let data = format!("{step}{}", "x".repeat(if *large { 20_000 } else { 0 }));
                put(bench, "k", json!({ "v": data }));
                self.put(data);
            }
            Act::Patch => {
                let answer = bench.call(Patch, "data/k", json!({"data": {"v": step.to_string()}}));
                assert_eq!(answer.is_ok() && !is_silent_404(&answer), self.is_live());
                if self.is_live() {
                    self.put(step.to_string());
                }
            }
            Act::DeleteNewest => {
                bench.call(Delete, "data/k", json!({})).unwrap();
                self.each(&[self.current], |version| version.deleted |= !version.destroyed);
            }
            Act::DeleteVersions(numbers) => {
                bench.call(Update, "delete/k", json!({ "versions": numbers })).unwrap();
                self.each(numbers, |version| version.deleted |= !version.destroyed);
            }
            Act::Undelete(numbers) => {
                bench.call(Update, "undelete/k", json!({ "versions": numbers })).unwrap();
                self.each(numbers, |version| version.deleted &= version.destroyed);
            }
            Act::Destroy(numbers) => {
                bench.call(Update, "destroy/k", json!({ "versions": numbers })).unwrap();
                self.each(numbers, |version| version.destroyed = true);
            }
            Act::KeyMax(max) => {
                bench.call(Update, "metadata/k", json!({ "max_versions": max })).unwrap();
                (self.exists, self.key_max) = (true, *max);
            }
            Act::MountMax(max) => {
                bench.call(Update, "config", json!({ "max_versions": max })).unwrap();
                self.mount_max = *max;
            }
            Act::Remove => {
                bench.call(Delete, "metadata/k", json!({})).unwrap();
                *self = Self { mount_max: self.mount_max, ..Self::default() };
            }
        }
    }

    fn check(&self, bench: &Bench) {
        let known = bench.data(Read, "metadata/k", json!({}));
        assert_eq!(known.is_null(), !self.exists);
        if self.exists {
            let numbers: Vec<u64> =
                known["versions"].as_object().unwrap().keys().map(|number| number.parse().unwrap()).collect();
            let mut expected: Vec<u64> = self.versions.keys().copied().collect();
            expected.sort_by_key(u64::to_string);
            assert_eq!((numbers, &known["current_version"]), (expected, &json!(self.current)));
            assert_eq!(known["oldest_version"], json!(self.oldest));
        }
        (0..=self.current + 1).for_each(|number| self.check_version(bench, number));
        self.check_store(bench);
    }

    fn check_version(&self, bench: &Bench, number: u64) {
        let answer = bench.call(Read, "data/k", json!({ "version": number }));
        let number = if number == 0 { self.current } else { number };
        match self.versions.get(&number) {
            None => assert_eq!(data_of(&answer.unwrap()), Value::Null, "version {number}"),
            Some(version) if version.deleted || version.destroyed => {
                let gone = gone(&answer);
                assert_eq!(gone["data"], Value::Null);
                assert_eq!(gone["metadata"]["destroyed"], json!(version.destroyed));
                assert_eq!(gone["metadata"]["deletion_time"] != json!(""), version.deleted);
            }
            Some(version) => assert_eq!(data_of(&answer.unwrap())["data"], json!({"v": version.data})),
        }
    }

    /// Nothing is left in the store that nobody can read.
    fn check_store(&self, bench: &Bench) {
        let inside =
            |number: &u64, version: &Modelled| *number == self.current && version.data.len() < 16_000;
        let apart =
            self.versions.iter().filter(|(number, version)| !version.destroyed && !inside(number, version));
        let mut expected: Vec<String> = apart.map(|(number, _)| format!("data/{number}/k")).collect();
        expected.extend(self.exists.then(|| "key/k".to_owned()));
        expected.sort();
        let mut found = bench.keys();
        found.retain(|key| key != "config");
        if found != ["plain/k"] {
            assert_eq!(found, expected);
        }
    }
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let numbers = || proptest::collection::vec(1..8_u64, 1..3);
    let act = prop_oneof![
        6 => any::<bool>().prop_map(|large| Act::Put { large }),
        2 => Just(Act::Patch),
        2 => Just(Act::DeleteNewest),
        1 => numbers().prop_map(Act::DeleteVersions),
        2 => numbers().prop_map(Act::Undelete),
        1 => numbers().prop_map(Act::Destroy),
        1 => (0..5_u32).prop_map(Act::KeyMax),
        1 => (0..4_u32).prop_map(Act::MountMax),
        1 => Just(Act::Remove),
    ];
    proptest::collection::vec(act, 1..24)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn the_engine_is_what_the_model_says(acts in acts(), from_version_1 in any::<bool>()) {
        let mut bench = bench();
        let mut model = Model::default();
        if from_version_1 {
            bench = upgraded(&[("k", json!({"v": "old"}))]);
            model.put("old".to_owned());
            model.oldest = 1;
        }
        for (step, act) in acts.iter().enumerate() {
            bench.wait(Duration::from_secs(1));
            model.act(&bench, act, step);
            model.check(&bench);
        }
    }
}
