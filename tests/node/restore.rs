//! Snapshots saved and restored over the API: on the node they come from, on another one, and with a node that is killed
//! meanwhile.
//!
//! `UNDERSTUDY_KILLS` sets how often the node is killed (6).

use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::process::Place;
use crate::support::client::Client;
use crate::support::seed::seeded;

const SNAPSHOT: &str = "/v1/sys/storage/raft/snapshot";
const FORCE: &str = "/v1/sys/storage/raft/snapshot-force";

async fn mount(place: &Place) {
    place.root().must(Method::POST, "/v1/sys/mounts/kv", Some(&json!({"type": "kv"}))).await;
}

async fn write(client: &mut Client, key: &str, value: &str) {
    client.must(Method::POST, &format!("/v1/kv/{key}"), Some(&json!({ "v": value }))).await;
}

async fn read(client: &mut Client, key: &str) -> Value {
    client.get(&format!("/v1/kv/{key}")).await.unwrap().json()["data"]["v"].clone()
}

async fn save(place: &Place) -> Bytes {
    place.root().must(Method::GET, SNAPSHOT, None).await.body
}

async fn restore(client: &mut Client, path: &str, snapshot: Bytes) -> (StatusCode, Value) {
    let answer = client.send(Method::POST, path, snapshot).await.unwrap();
    let errors = if answer.body.is_empty() { Value::Null } else { answer.json()["errors"][0].clone() };
    (answer.status, errors)
}

#[tokio::test]
async fn a_node_goes_back_to_its_snapshot() {
    let mut place = Place::new("raft");
    let running = place.start().await;
    mount(&place).await;
    let mut root = place.root();
    write(&mut root, "a", "old").await;
    let snapshot = save(&place).await;
    write(&mut root, "a", "new").await;
    write(&mut root, "b", "new").await;
    root.must(Method::POST, "/v1/sys/mounts/later", Some(&json!({"type": "kv"}))).await;
    let made = root.must(Method::POST, "/v1/auth/token/create", Some(&json!({}))).await.json();
    let mut later = Client::with_token(place.address, made["auth"]["client_token"].as_str().unwrap());
    later.must(Method::GET, "/v1/auth/token/lookup-self", None).await;

    assert_eq!(restore(&mut root, SNAPSHOT, snapshot).await, (StatusCode::NO_CONTENT, Value::Null));
    assert_eq!((read(&mut root, "a").await, read(&mut root, "b").await), (json!("old"), Value::Null));
    let gone = later.get("/v1/auth/token/lookup-self").await.unwrap();
    assert_eq!(gone.status, StatusCode::FORBIDDEN, "a token made later is none any more");
    let unmounted = root.get("/v1/later/x").await.unwrap();
    assert!(unmounted.json().to_string().contains("no handler for route"), "{}", unmounted.json());
    write(&mut root, "a", "again").await;
    running.kill();
    let _running = place.start().await;
    assert_eq!(read(&mut place.root(), "a").await, json!("again"));
}

/// The words are the real server's.
#[tokio::test]
async fn what_is_no_snapshot_of_this_cluster_changes_nothing() {
    let (mut place, mut other) = (Place::new("raft"), Place::new("raft"));
    let (_running, _other) = (place.start().await, other.start().await);
    mount(&place).await;
    mount(&other).await;
    let mut root = place.root();
    write(&mut root, "a", "kept").await;
    write(&mut other.root(), "a", "other").await;
    let (own, foreign) = (save(&place).await, save(&other).await);
    let error = |text: &str| json!(format!("1 error occurred:\n\t* {text}\n\n"));
    let cut = own.slice(..own.len() / 2);
    for (path, body, status, text) in [
        (
            SNAPSHOT,
            Bytes::from_static(b"garbage"),
            500,
            error("failed to decompress snapshot: unexpected EOF"),
        ),
        (FORCE, Bytes::from_static(b"garbage"), 500, error("failed to decompress snapshot: unexpected EOF")),
        (SNAPSHOT, Bytes::new(), 500, error("failed to decompress snapshot: EOF")),
        (
            SNAPSHOT,
            cut,
            500,
            error("failed to read snapshot file: failed to read or write snapshot data: unexpected EOF"),
        ),
        (
            SNAPSHOT,
            foreign.clone(),
            400,
            json!(
                "could not verify hash file, possibly the snapshot is using a different set of unseal keys; use the \
                 snapshot-force API to bypass this check"
            ),
        ),
    ] {
        let (found, said) = restore(&mut place.root(), path, body).await;
        assert_eq!((found.as_u16(), said), (status, text));
        assert_eq!(read(&mut root, "a").await, json!("kept"));
    }
    let (status, _) = restore(&mut Client::new(place.address), FORCE, own).await;
    assert_eq!(status, StatusCode::FORBIDDEN);

    assert_eq!(restore(&mut root, FORCE, foreign).await.0, StatusCode::NO_CONTENT);
    let health = root.get("/v1/sys/health").await.unwrap();
    assert_eq!(health.status, StatusCode::SERVICE_UNAVAILABLE, "the keys held open nothing of it: sealed");
    place.adopt_keys_of(&other);
    place.unseal().await;
    assert_eq!(read(&mut place.root(), "a").await, json!("other"));
}

/// Either the store before or that of the snapshot, whole.
#[tokio::test]
async fn a_node_killed_while_it_restores_has_one_store_or_the_other() {
    const KEYS: usize = 40;
    let mut random = seeded("kills of a restoring node");
    let mut place = Place::new("raft");
    let mut running = place.start().await;
    mount(&place).await;
    let filler = "x".repeat(100_000);
    fill(&place, KEYS, &format!("snapshot {filler}")).await;
    let snapshot = save(&place).await;
    let mut restored = 0;
    for round in 0..kills() {
        let text = format!("round {round}");
        fill(&place, KEYS, &text).await;
        let (mut root, body) = (place.root(), snapshot.clone());
        let restoring = tokio::spawn(async move { root.send(Method::POST, SNAPSHOT, body).await.is_ok() });
        // When it is killed is the test's input, not a wait for something.
        tokio::time::sleep(Duration::from_millis(random.u64(20..1200))).await;
        running.kill();
        let answered = restoring.await.unwrap();
        running = place.start().await;
        let mut root = place.root();
        let first = read(&mut root, "k0").await;
        let is_snapshot = first.as_str().unwrap().starts_with("snapshot");
        assert!(
            is_snapshot || (first == json!(text) && !answered),
            "{answered}: {}",
            first.to_string().len()
        );
        for key in 1..KEYS {
            assert!(
                read(&mut root, &format!("k{key}")).await == first,
                "round {round}: k{key} is of another store"
            );
        }
        restored += u32::from(is_snapshot);
    }
    println!("{} kills, {restored} after the store was replaced", kills());
    drop(running);
}

async fn fill(place: &Place, keys: usize, value: &str) {
    let mut root = place.root();
    for key in 0..keys {
        write(&mut root, &format!("k{key}"), value).await;
    }
}

fn kills() -> u32 {
    std::env::var_os("UNDERSTUDY_KILLS").and_then(|text| text.into_string().ok()?.parse().ok()).unwrap_or(6)
}
