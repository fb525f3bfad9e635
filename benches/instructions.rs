//! Instructions per call of what every proxied request passes through, counted by callgrind: the same on a busy
//! machine as on an idle one, so a step that got dearer can be refused. Wall-clock time is `benches/proxy`'s.
//!
//! `cargo bench --bench instructions` compares with `benches/instructions.json` and fails above +2 %;
//! with `-- --update` it writes the new figures, to be committed with the change that moved them.
//!
//! Each case runs in its own process under valgrind, once with N calls and once with 2 N: the difference is
//! free of start-up and set-up.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::time::Instant;

use bytes::BytesMut;
use http::{HeaderMap, HeaderValue, Method, Request};

use understudy::api::classify::{Shape, classify};
use understudy::api::mount::{MountTable, MountType};
use understudy::api::operation::{self, Operation};
use understudy::config::load;
use understudy::config::proxy::{ConsistencyMode, ProxyConfig};
use understudy::net::codec::{self, Framing, RequestHead};
use understudy::proxy::affinity::{Floor, Sessions};
use understudy::proxy::balance::Load;
use understudy::proxy::guard::{self, Allowed, PeerInfo};
use understudy::proxy::learn::Learned;
use understudy::proxy::route::{Ask, Wants, route};
use understudy::proxy::rules::{CompiledRules, RuleInput};
use understudy::proxy::snapshot::{Dialect, Role, ServerId, ServerLive, ServerView, Snapshot};
use understudy::{index, path};

/// Calls of one run; the second run makes twice as many.
const CALLS: u64 = 2_000;
/// Tries of a case: the kernel may interrupt one at a bad moment, and the least is what the code costs.
const TRIES: usize = 3;
/// A case may cost this much more than its baseline, in percent.
const TOLERANCE_PERCENT: u64 = 2;

const RAW_PATH: &str = "/v1/secret/data/apps/payments/db";
const PATH: &str = "secret/data/apps/payments/db";
const TOKEN: &[u8] = b"s.kQ8zPp0nT5cJmXw2Yb7LdR4f";
const CLUSTER: &str = "9dcf58f7-5d3e-4b0c-9c35-2f6b8a2f1c55";

const CONFIG: &str = r#"
version: 1
listeners: [{name: api, bind: ["127.0.0.1:8200"]}]
cluster:
  name: bench
  servers:
    - {name: n1, address: "http://127.0.0.1:8201"}
    - {name: n2, address: "http://127.0.0.1:8202"}
    - {name: n3, address: "http://127.0.0.1:8203"}
routing:
  rules:
    - {name: no-raw, match: {path: "sys/raw/*"}, action: deny, status: 403}
    - {name: db-creds, match: {path: "database/creds/*", method: [GET]}, to: active}
    - {name: reporting, match: {namespace: "reports/*", class: read}, to: standby, consistency: eventual}
"#;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nContent-Type: application/json\r\n\
Strict-Transport-Security: max-age=31536000; includeSubDomains\r\n\
X-Vault-Index: eyJjbHVzdGVyIjoiOWRjZjU4ZjctNWQzZS00YjBjLTljMzUtMmY2YjhhMmYxYzU1IiwidmFsdWUiOiIyOTI3In0=\r\n\
Date: Sun, 22 Nov 2026 19:08:48 GMT\r\nContent-Length: 250\r\n\r\n";

/// A case does its set-up, then the given number of calls.
type Case = (&'static str, fn(u64) -> Result<(), Box<dyn Error>>);

const CASES: [Case; 11] = [
    ("path canonical", path_canonical),
    ("operation of method and query", operation_of),
    ("mount lookup, 50 mounts", mount_lookup),
    ("classify, mount known", classify_known),
    ("classify, mount guessed", classify_guessed),
    ("rules, 3 without a match", rules),
    ("session key, floor and raise", session),
    ("index header parse", index_parse),
    ("route a read, 3 servers", route_read),
    ("guard a request", guard_request),
    ("codec: head out, head in", codec_heads),
];

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, flag, name, calls] = arguments.as_slice()
        && flag == "--run"
    {
        let (_, run) = CASES.iter().find(|(known, _)| known == name).ok_or("no such case")?;
        run(calls.parse()?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
    // `cargo test --all-targets` starts benches too, without this flag and without valgrind.
    if has("--bench") { measure(has("--update")) } else { Ok(ExitCode::SUCCESS) }
}

fn measure(update: bool) -> Result<ExitCode, Box<dyn Error>> {
    let mut counts = BTreeMap::new();
    for (name, _) in CASES {
        counts.insert(name.to_owned(), per_call(name)?);
    }
    if update {
        fs::write(baseline_file(), serde_json::to_string_pretty(&counts)? + "\n")?;
    }
    let baseline: BTreeMap<String, u64> = serde_json::from_str(&fs::read_to_string(baseline_file())?)?;
    let dearer = report(&counts, &baseline);
    if dearer > 0 {
        println!(
            "\n{dearer} above +{TOLERANCE_PERCENT} %. Meant? cargo bench --bench instructions -- --update"
        );
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

fn per_call(case: &str) -> Result<u64, Box<dyn Error>> {
    let mut least = u64::MAX;
    for _ in 0..TRIES {
        let spent = instructions(case, 2 * CALLS)?.saturating_sub(instructions(case, CALLS)?);
        least = least.min(spent / CALLS);
    }
    Ok(least)
}

/// Prints the table; how many cases are too dear. A case without a baseline counts as one.
fn report(counts: &BTreeMap<String, u64>, baseline: &BTreeMap<String, u64>) -> usize {
    println!("{:<34} {:>12} {:>12}", "instructions per call", "now", "baseline");
    let mut dearer = 0;
    for (name, now) in counts {
        let known = baseline.get(name).copied();
        let too_dear = known.is_none_or(|known| *now * 100 > known * (100 + TOLERANCE_PERCENT));
        let known = known.map_or_else(|| "none".to_owned(), |known| known.to_string());
        println!("{name:<34} {now:>12} {known:>12}{}", if too_dear { "  DEARER" } else { "" });
        dearer += usize::from(too_dear);
    }
    dearer
}

fn baseline_file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/instructions.json")
}

/// Runs one case under callgrind and reads the total off its last words (`Collected : <number>`).
fn instructions(case: &str, calls: u64) -> Result<u64, Box<dyn Error>> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe()?)
        .args(["--run", case, &calls.to_string()])
        .output()
        .map_err(|error| format!("cannot start valgrind (Debian package valgrind): {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let total = said.lines().find_map(|line| line.split_once("Collected : ")).map(|(_, total)| total.trim());
    match total {
        Some(total) if output.status.success() => Ok(total.parse()?),
        _ => Err(format!("callgrind of {case:?} failed:\n{said}").into()),
    }
}

fn path_canonical(calls: u64) -> Result<(), Box<dyn Error>> {
    for _ in 0..calls {
        black_box(path::canonical(black_box(RAW_PATH)));
    }
    Ok(())
}

fn operation_of(calls: u64) -> Result<(), Box<dyn Error>> {
    for _ in 0..calls {
        black_box(operation::of(black_box(&Method::GET), black_box(Some("list=true")))?);
    }
    Ok(())
}

fn mount_lookup(calls: u64) -> Result<(), Box<dyn Error>> {
    let others = (0..49).map(|number| (format!("team-{number}/kv/"), MountType::from_api("kv", Some("2"))));
    let table =
        MountTable::from_types(others.chain([("secret/".to_owned(), MountType::from_api("kv", Some("2")))]));
    for _ in 0..calls {
        black_box(table.lookup(black_box(""), black_box(PATH)));
    }
    Ok(())
}

fn classify_known(calls: u64) -> Result<(), Box<dyn Error>> {
    classify_shape(Some(("secret/".len(), MountType::from_api("kv", Some("2")))), calls)
}

fn classify_guessed(calls: u64) -> Result<(), Box<dyn Error>> {
    classify_shape(None, calls)
}

fn classify_shape(mount: Option<(usize, MountType)>, calls: u64) -> Result<(), Box<dyn Error>> {
    let headers = client_headers();
    for _ in 0..calls {
        let shape = Shape::of(black_box(Operation::Read), black_box(PATH), None, black_box(&headers), mount);
        black_box(classify(&shape));
    }
    Ok(())
}

fn rules(calls: u64) -> Result<(), Box<dyn Error>> {
    let rules = CompiledRules::compile(&config()?.routing.rules);
    let headers = client_headers();
    let class = classify(&Shape::plain(Operation::Read, PATH)).class;
    let input = RuleInput { path: Some(PATH), method: &Method::GET, namespace: "", class, headers: &headers };
    for _ in 0..calls {
        black_box(rules.first_match(black_box(&input)));
    }
    Ok(())
}

/// One session: among many, the random key would decide how often it meets another one in the map.
fn session(calls: u64) -> Result<(), Box<dyn Error>> {
    let sessions = Sessions::new(100_000, Instant::now()).map_err(|error| error.to_string())?;
    let floor = Floor { wrote: 2927, seen: 2927, written_ms: 0 };
    for _ in 0..calls {
        let key = sessions.key(black_box(TOKEN));
        black_box(sessions.floor(key));
        sessions.raise(key, floor);
    }
    Ok(())
}

fn index_parse(calls: u64) -> Result<(), Box<dyn Error>> {
    let header = index::encode_openbao(CLUSTER, 2927);
    for _ in 0..calls {
        black_box(index::parse(black_box(header.as_bytes()))?);
    }
    Ok(())
}

fn route_read(calls: u64) -> Result<(), Box<dyn Error>> {
    let snapshot = snapshot()?;
    let mut rng = fastrand::Rng::with_seed(7);
    let ask = Ask {
        wants: Wants::Fresh,
        mode: ConsistencyMode::Session,
        floor: Floor { wrote: 2927, seen: 2927, written_ms: 0 },
        tried: 0,
        now: Instant::now(),
        turn: 0,
    };
    for _ in 0..calls {
        black_box(route(&snapshot, black_box(&ask), |_| Load::default(), &mut rng));
    }
    Ok(())
}

fn guard_request(calls: u64) -> Result<(), Box<dyn Error>> {
    let config = config()?;
    let listener = config.listeners.first().ok_or("the configuration has one listener")?;
    let peer = PeerInfo::new("127.0.0.1".parse()?, None);
    let (mut template, ()) = Request::get(RAW_PATH).body(())?.into_parts();
    template.headers = client_headers();
    for _ in 0..calls {
        let mut parts = template.clone();
        black_box(guard::check_request(&mut parts, &peer, listener, Allowed::default())?);
    }
    Ok(())
}

fn codec_heads(calls: u64) -> Result<(), Box<dyn Error>> {
    let headers = client_headers();
    let mut out = BytesMut::with_capacity(2048);
    let mut answer = BytesMut::with_capacity(2048);
    for _ in 0..calls {
        out.clear();
        let head = RequestHead {
            method: &Method::GET,
            path_and_query: RAW_PATH,
            host: b"127.0.0.1:8201",
            headers: &headers,
            extra: &[],
        };
        codec::encode_request(&mut out, head, Framing::None);
        answer.extend_from_slice(black_box(ANSWER));
        black_box(codec::take_head(&mut answer, &Method::GET, &mut HeaderMap::new())?);
    }
    Ok(())
}

/// What `bao` and the SDKs send.
fn client_headers() -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(16);
    for (name, value) in [
        ("host", "127.0.0.1:8200"),
        ("user-agent", "Go-http-client/1.1"),
        ("x-vault-request", "true"),
        ("x-vault-token", "s.kQ8zPp0nT5cJmXw2Yb7LdR4f"),
        ("accept-encoding", "gzip"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers
}

fn config() -> Result<ProxyConfig, Box<dyn Error>> {
    let loaded = load::parse(CONFIG, "bench.yaml");
    loaded.config.ok_or_else(|| format!("the bench's configuration is refused: {:?}", loaded.findings).into())
}

/// An active and two read-serving standbys, all at the same index.
fn snapshot() -> Result<Snapshot, Box<dyn Error>> {
    let config = Arc::new(config()?);
    let servers = config.cluster.servers.iter().zip(0..).map(|(server, id)| view(server, id)).collect();
    Ok(Snapshot {
        generation: 1,
        config,
        servers,
        active: Some(ServerId(0)),
        cluster_id: Some(CLUSTER.into()),
        cluster_name: None,
        mounts: Arc::new(MountTable::default()),
        learned: Arc::new(Learned::default()),
        epoch: 1,
    })
}

fn view(server: &understudy::config::proxy::Server, id: u16) -> ServerView {
    let live = ServerLive::default();
    live.raise_applied_index(2927);
    ServerView {
        id: ServerId(id),
        name: server.name.as_str().into(),
        address: Arc::new(server.address.clone()),
        zone: None,
        weight: server.weight,
        role: if id == 0 { Role::Active } else { Role::Standby },
        usable: true,
        reads: id != 0,
        reads_reason: "ok",
        dialect: Dialect::OpenBao,
        node_id: None,
        hostname: None,
        ready_since: None,
        caught_up_to_ms: 0,
        catch_up_us: 0,
        live: Arc::new(live),
    }
}
