//! Random policies and what the real server made of them (`tests/clients/record_acl.py` asked it): capabilities at paths,
//! and requests with parameters.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value};
use time::OffsetDateTime;

use super::acl::{Acl, Asked};
use super::compile::compile;
use super::record::{Record, Stored};
use crate::logical::Operation;

#[derive(Deserialize)]
struct Case {
    policies: Vec<String>,
    capabilities: BTreeMap<String, Vec<String>>,
    asked: Vec<Question>,
}

#[derive(Deserialize)]
struct Question {
    operation: String,
    path: String,
    data: Map<String, Value>,
    allowed: bool,
}

fn acl(policies: &[String]) -> Acl {
    let stored = |(number, text): (usize, &String)| {
        let record = Record { text: text.clone(), ..Record::default() };
        Arc::new(Stored::read(&format!("r{number}"), record).unwrap())
    };
    let policies: Vec<_> = policies.iter().enumerate().map(stored).collect();
    compile(&policies, None, OffsetDateTime::UNIX_EPOCH).unwrap().acl
}

fn operation(name: &str) -> Operation {
    [Operation::Update, Operation::Read, Operation::List]
        .into_iter()
        .find(|operation| operation.as_str() == name)
        .unwrap()
}

#[test]
fn the_real_server_decides_the_same() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("recorded.json")).unwrap();
    for case in &cases {
        let (acl, policies) = (acl(&case.policies), case.policies.join("\n"));
        for (path, capabilities) in &case.capabilities {
            assert_eq!(acl.capabilities(path), *capabilities, "{policies}{path}");
        }
        for Question { operation: name, path, data, allowed } in &case.asked {
            let operation = operation(name);
            let path = if operation == Operation::List { format!("{path}/") } else { path.clone() };
            let decision = acl.decide(&Asked { operation, path: &path, data, wrap_ttl: None });
            assert_eq!(decision.allowed, *allowed, "{policies}{name} {path} {data:?}");
        }
    }
}
