//! `kill -9` under write load: what was acknowledged is there, nothing is there by half.
//!
//! Each write is a new version of a kv v2 secret: two records and the metadata in one transaction. Beside them tokens are
//! made and revoked: a token, its accessor and its lease come and go together.
//! `UNDERSTUDY_KILLS` sets how often the node is killed (6).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::StatusCode;
use serde_json::json;

use crate::process::Place;
use crate::support::client::Client;
use crate::support::seed::seeded;

const WRITERS: usize = 16;
const ISSUERS: usize = 4;

/// What one writer knows of its secret: the last version that was acknowledged, and how many it has tried to write.
#[derive(Debug, Clone, Copy, Default)]
struct Written {
    acknowledged: u64,
    tried: u64,
}

/// What one maker of tokens was told in one round: token and accessor of those it made, and those it revoked again.
#[derive(Debug, Default)]
struct Issued {
    live: Vec<(String, String)>,
    revoked: Vec<String>,
}

#[tokio::test]
async fn acknowledged_writes_survive_kills_of_a_raft_node() {
    survive("raft").await;
}

#[tokio::test]
async fn acknowledged_writes_survive_kills_of_a_file_node() {
    survive("file").await;
}

async fn survive(storage: &str) {
    let mut random = seeded(&format!("kills of {storage}"));
    let mut place = Place::new(storage);
    let mut running = place.start().await;
    let kv = json!({"type": "kv", "options": {"version": "2"}});
    place.root().must(http::Method::POST, "/v1/sys/mounts/kv", Some(&kv)).await;
    let mut secrets = [Written::default(); WRITERS];
    let mut accessors = HashSet::new();
    let (mut total, mut tokens) = (0, 0);
    for _ in 0..kills() {
        let before: u64 = secrets.iter().map(|written| written.acknowledged).sum();
        let stop = Arc::new(AtomicBool::new(false));
        let writers: Vec<_> = (0..WRITERS)
            .map(|number| tokio::spawn(write(place.root(), number, secrets[number], Arc::clone(&stop))))
            .collect();
        let issuers: Vec<_> =
            (0..ISSUERS).map(|_| tokio::spawn(issue(place.root(), Arc::clone(&stop)))).collect();
        // How long it writes is the test's input, not a wait for something.
        tokio::time::sleep(Duration::from_millis(random.u64(20..300))).await;
        running.kill();
        stop.store(true, Ordering::Relaxed);
        for (number, writer) in writers.into_iter().enumerate() {
            secrets[number] = writer.await.unwrap();
        }
        let mut issued = Vec::new();
        for issuer in issuers {
            issued.push(issuer.await.unwrap());
        }
        running = place.start().await;
        for one in &issued {
            check_tokens(&mut place.root(), one).await;
            tokens += one.live.len() + one.revoked.len();
        }
        no_accessor_dangles(&mut place.root(), &mut accessors).await;
        for (number, written) in secrets.iter_mut().enumerate() {
            *written = check(&mut place.root(), number, *written).await;
        }
        total += secrets.iter().map(|written| written.acknowledged).sum::<u64>() - before;
    }
    assert!(total > u64::from(kills()), "the writers hardly wrote: {total}");
    assert!(tokens > 0, "no token was made");
    println!(
        "{storage}: {} kills, {total} acknowledged writes, {tokens} acknowledged tokens; none lost, none there by half",
        kills()
    );
    drop(running);
}

fn kills() -> u32 {
    std::env::var_os("UNDERSTUDY_KILLS").and_then(|text| text.into_string().ok()?.parse().ok()).unwrap_or(6)
}

/// Writes version after version until the node is gone.
async fn write(mut client: Client, number: usize, mut written: Written, stop: Arc<AtomicBool>) -> Written {
    while !stop.load(Ordering::Relaxed) {
        written.tried = written.acknowledged + 1;
        let body = json!({"data": {"n": written.tried, "filler": "x".repeat(300)}});
        match client.post(&format!("/v1/kv/data/w{number}"), &body).await {
            Ok(answer) if answer.status == StatusCode::OK => {
                written.acknowledged = answer.json()["data"]["version"].as_u64().unwrap();
                assert_eq!(written.acknowledged, written.tried, "a version was lost or written twice");
            }
            Ok(_) | Err(_) => break,
        }
    }
    written
}

/// The newest version is one that was acknowledged, or the one whose answer was lost; and it is whole.
async fn check(client: &mut Client, number: usize, written: Written) -> Written {
    if written.tried == 0 {
        return written;
    }
    let metadata = client.get(&format!("/v1/kv/metadata/w{number}")).await.unwrap();
    if metadata.status == StatusCode::NOT_FOUND {
        assert_eq!(written.acknowledged, 0, "w{number}: acknowledged and gone");
        return Written::default();
    }
    let metadata = metadata.json();
    let current = metadata["data"]["current_version"].as_u64().unwrap();
    assert!(
        (written.acknowledged..=written.tried).contains(&current),
        "w{number}: {written:?}, found version {current}"
    );
    let versions: HashMap<String, serde_json::Value> =
        serde_json::from_value(metadata["data"]["versions"].clone()).unwrap();
    for version in versions.keys() {
        let read = client.get(&format!("/v1/kv/data/w{number}?version={version}")).await.unwrap();
        assert_eq!(read.status, StatusCode::OK, "w{number} version {version} is there by half");
        assert_eq!(read.json()["data"]["data"]["n"].to_string(), *version);
    }
    Written { acknowledged: current, tried: current }
}

/// Makes tokens until the node is gone, and revokes every third again.
async fn issue(mut client: Client, stop: Arc<AtomicBool>) -> Issued {
    let mut issued = Issued::default();
    while !stop.load(Ordering::Relaxed) {
        let body = json!({"policies": ["default"], "ttl": "1h"});
        let Ok(answer) = client.post("/v1/auth/token/create", &body).await else { break };
        if answer.status != StatusCode::OK {
            break;
        }
        let text = |name: &str| answer.json()["auth"][name].as_str().unwrap().to_owned();
        let (token, accessor) = (text("client_token"), text("accessor"));
        if fastrand::u8(..3) > 0 {
            issued.live.push((token, accessor));
            continue;
        }
        match client.post("/v1/auth/token/revoke", &json!({ "token": token })).await {
            Ok(answer) if answer.status == StatusCode::NO_CONTENT => issued.revoked.push(token),
            // Perhaps revoked: nothing is known of it.
            Ok(_) | Err(_) => break,
        }
    }
    issued
}

async fn check_tokens(client: &mut Client, issued: &Issued) {
    for (token, accessor) in &issued.live {
        let found = client.post("/v1/auth/token/lookup", &json!({ "token": token })).await.unwrap();
        assert_eq!(found.status, StatusCode::OK, "an acknowledged token is gone");
        assert_eq!(found.json()["data"]["accessor"], json!(accessor));
        assert!(found.json()["data"]["ttl"].as_u64().unwrap() > 0, "it has its lease");
        let found =
            client.post("/v1/auth/token/lookup-accessor", &json!({ "accessor": accessor })).await.unwrap();
        assert_eq!(found.status, StatusCode::OK, "the accessor of an acknowledged token is gone");
    }
    for token in &issued.revoked {
        let found = client.post("/v1/auth/token/lookup", &json!({ "token": token })).await.unwrap();
        assert_ne!(found.status, StatusCode::OK, "a revoked token is back");
    }
}

/// Every accessor that was not known yet has its token: also where nobody was told of it.
async fn no_accessor_dangles(client: &mut Client, known: &mut HashSet<String>) {
    let listed = client.list("/v1/auth/token/accessors").await.unwrap().json();
    let listed: Vec<String> = serde_json::from_value(listed["data"]["keys"].clone()).unwrap();
    for accessor in listed {
        if known.insert(accessor.clone()) {
            let found = client
                .post("/v1/auth/token/lookup-accessor", &json!({ "accessor": accessor }))
                .await
                .unwrap();
            assert_eq!(found.status, StatusCode::OK, "an accessor without its token");
        }
    }
}
