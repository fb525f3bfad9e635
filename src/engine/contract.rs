//! What every engine promises, asked of every engine in the registry: a further one is held to it by its line there.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::registry::{ENGINES, build};
use crate::api::classify::{Needs, Shape, classify};
use crate::api::mount::MountType;
use crate::api::operation::Operation as Verb;
use crate::barrier::Mode;
use crate::logical::testing::{Bench, data_of};
use crate::logical::{Answer, Backend, Body, Effect, Endpoint, Fault, Operation};

const ALL: [Operation; 7] = [
    Operation::Create,
    Operation::Update,
    Operation::Patch,
    Operation::Read,
    Operation::List,
    Operation::Scan,
    Operation::Delete,
];

/// Every engine with every version it has.
fn engines() -> Vec<(String, Arc<dyn Backend>, MountType)> {
    let versions = ["1", "2"];
    let made = ENGINES.iter().flat_map(|(kind, _)| {
        versions.iter().filter_map(move |version| {
            let options = BTreeMap::from([("version".to_owned(), (*version).to_owned())]);
            let known_as = MountType::from_api(kind, Some(version));
            Some((format!("{kind} {version}"), build(kind, &options)?, known_as))
        })
    });
    made.collect()
}

/// A path the pattern matches: `s1`, `s2`, … for what it captures.
fn sample(endpoint: &Endpoint) -> String {
    let source = endpoint.pattern.source().trim_end_matches('?');
    let mut captured = 0;
    let segments = source.split('/').map(|segment| match segment.starts_with('{') {
        true => {
            captured += 1;
            format!("s{captured}")
        }
        false => segment.to_owned(),
    });
    segments.collect::<Vec<_>>().join("/")
}

/// A body with something for everybody.
fn body() -> Value {
    json!({"data": {"a": 1}, "versions": [1], "max_versions": 3, "key": "value"})
}

fn samples(backend: &dyn Backend) -> Vec<(String, Operation, Effect)> {
    let methods = |endpoint: &Endpoint| {
        let path = sample(endpoint);
        endpoint
            .methods
            .iter()
            .map(|(operation, effect, _)| (path.clone(), *operation, *effect))
            .collect::<Vec<_>>()
    };
    backend.endpoints().iter().flat_map(methods).collect()
}

fn is_404(answer: &Answer) -> bool {
    match answer {
        Ok(response) => {
            matches!(response.body, Body::None) && response.status.is_none_or(|status| status == 404)
        }
        Err(
            Fault::NotFound(_)
            | Fault::NotFoundWith(_)
            | Fault::UnsupportedPath
            | Fault::UnsupportedOperation,
        ) => true,
        Err(_) => false,
    }
}

#[test]
fn tables_are_whole() {
    for (name, backend, _) in engines() {
        assert!(!backend.endpoints().is_empty(), "{name}");
        for (at, endpoint) in backend.endpoints().iter().enumerate() {
            let source = endpoint.pattern.source();
            let place = format!("{name} {source:?}");
            assert!(endpoint.summary.ends_with('.'), "{place}: a summary is a sentence");
            assert!(!endpoint.methods.is_empty(), "{place}: nothing can be done here");
            for operation in ALL {
                let count = endpoint.methods.iter().filter(|(known, ..)| *known == operation).count();
                assert!(count <= 1, "{place}: {operation:?} is there {count} times");
            }
            let (found, _) = backend.find(&sample(endpoint)).expect("a sample is found");
            assert_eq!(found, at, "{place}: another endpoint takes its paths");
            let mut fields: Vec<&str> = endpoint.fields.iter().map(|field| field.name).collect();
            fields.sort_unstable();
            assert!(fields.windows(2).all(|two| two[0] != two[1]), "{place}: a field twice");
        }
    }
}

#[test]
fn what_was_never_written_is_not_found() {
    for (name, backend, _) in engines() {
        let bench = Bench::new(backend);
        for path in ["never/written", "never/written/", "no%20such", "é"] {
            let answer = bench.call(Operation::Read, path, json!({}));
            assert!(is_404(&answer), "{name} {path}: {answer:?}");
        }
    }
}

#[test]
fn declared_reads_run_without_writing() {
    for (name, backend, _) in engines() {
        let bench = filled(backend);
        for (path, operation, effect) in samples(&*bench.backend) {
            if effect != Effect::Read {
                continue;
            }
            let (answer, tx) = bench.run(Mode::ReadOnly, operation, &path, "{}");
            assert!(!matches!(answer, Err(Fault::NeedsActive)), "{name} {operation:?} {path} wrote");
            assert!(!tx.has_writes(), "{name} {operation:?} {path}");
        }
    }
}

#[test]
fn whoever_writes_declared_it_and_is_refused_on_a_standby() {
    for (name, backend, _) in engines() {
        let bench = filled(backend);
        for (path, operation, effect) in samples(&*bench.backend) {
            let (answer, tx) = bench.run(Mode::ReadWrite, operation, &path, &body().to_string());
            if answer.is_err() || !tx.has_writes() {
                continue;
            }
            assert!(matches!(effect, Effect::Write | Effect::Mixed), "{name} {operation:?} {path} writes");
            let (refused, _) = bench.run(Mode::ReadOnly, operation, &path, &body().to_string());
            assert!(matches!(refused, Err(Fault::NeedsActive)), "{name} {operation:?} {path}: {refused:?}");
        }
    }
}

/// A store in which the samples are there: everything is written once, and what reads as deleted was written last.
fn filled(backend: Arc<dyn Backend>) -> Bench {
    let bench = Bench::new(backend);
    for (path, operation, effect) in samples(&*bench.backend) {
        if effect == Effect::Write && matches!(operation, Operation::Update) && !path.ends_with('/') {
            // Some need more than this body has: they stay as they are.
            drop(bench.call(operation, &path, body()));
        }
    }
    bench
}

#[test]
fn lists_have_keys_and_nothing_to_list_is_not_found() {
    for (name, backend, _) in engines() {
        let (empty, full) = (Bench::new(Arc::clone(&backend)), filled(backend));
        for (path, operation, _) in samples(&*full.backend) {
            if operation != Operation::List {
                continue;
            }
            let folder = path.strip_suffix("s1").unwrap_or(&path);
            assert!(is_404(&empty.call(operation, folder, json!({}))), "{name} {folder}");
            let Ok(response) = full.call(operation, folder, json!({})) else { continue };
            if let Value::Array(keys) = &data_of(&response)["keys"] {
                let names: Vec<&str> = keys.iter().map(|key| key.as_str().expect("keys are texts")).collect();
                assert!(names.is_sorted() && !names.is_empty(), "{name} {folder}: {names:?}");
            }
        }
    }
}

#[test]
fn operations_a_table_has_not_are_refused() {
    for (name, backend, _) in engines() {
        let bench = Bench::new(backend);
        for endpoint in bench.backend.endpoints() {
            let is_write = |operation| matches!(operation, Operation::Create | Operation::Update);
            for operation in ALL {
                let known = endpoint
                    .methods
                    .iter()
                    .any(|(has, ..)| *has == operation || is_write(*has) && is_write(operation));
                if !known {
                    let answer = bench.call(operation, &sample(endpoint), json!({}));
                    assert!(
                        matches!(answer, Err(Fault::UnsupportedOperation)),
                        "{name} {endpoint:?} {operation:?}"
                    );
                }
            }
        }
    }
}

/// A leased mount of kv reads like one that is not: nothing on the wire tells them apart, and forwarding corrects it.
#[test]
fn the_proxy_never_sends_a_declared_write_to_a_standby() {
    for (name, backend, known_as) in engines().into_iter().filter(|(name, ..)| !name.starts_with("generic")) {
        for (path, operation, effect) in samples(&*backend) {
            let whole = format!("bench/{path}");
            let shape = Shape {
                mount_type: Some(known_as),
                mount_len: "bench/".len(),
                ..Shape::plain(verb(operation), &whole)
            };
            let needs = classify(&shape).needs;
            let standby = matches!(needs, Needs::Standby | Needs::AnyNode);
            assert!(effect != Effect::Write || !standby, "{name} {operation:?} {path}: {needs:?}");
        }
    }
}

fn verb(operation: Operation) -> Verb {
    match operation {
        Operation::Create | Operation::Update => Verb::Write,
        Operation::Patch => Verb::Patch,
        Operation::Read => Verb::Read,
        Operation::List => Verb::List,
        Operation::Scan => Verb::Scan,
        Operation::Delete => Verb::Delete,
        Operation::Help => Verb::Help,
    }
}
