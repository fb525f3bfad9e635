//! `understudy dev`: one JSON line when all is ready, a clean end on SIGTERM, and no orphans even after `kill -9`.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::support::client::Client;
use crate::support::until;

struct Dev {
    process: Child,
    said: Value,
}

impl Dev {
    async fn start(arguments: &[&str], scratch: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_understudy"));
        command.args(["dev", "--json", "--listen", "127.0.0.1:0"]).args(arguments).env("TMPDIR", scratch);
        let mut process =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let mut line = String::new();
        let mut out = BufReader::new(process.stdout.take().unwrap());
        let read = tokio::time::timeout(Duration::from_secs(90), out.read_line(&mut line)).await;
        read.expect("dev is ready in 90 s").unwrap();
        let said = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line:?}: {error}"));
        Self { process, said }
    }

    fn address(&self, key: &str) -> SocketAddr {
        self.said[key].as_str().unwrap().strip_prefix("http://").unwrap().parse().unwrap()
    }

    fn client(&self) -> Client {
        Client::with_token(self.address("address"), self.said["root_token"].as_str().unwrap())
    }

    fn nodes(&self) -> Vec<Pid> {
        let pids = self.said["nodes"].as_array().unwrap().iter().map(|node| node["pid"].as_i64().unwrap());
        pids.map(|pid| Pid::from_raw(i32::try_from(pid).unwrap()).unwrap()).collect()
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.process.id().unwrap()).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
    }

    async fn exit_code(&mut self) -> Option<i32> {
        let ended = tokio::time::timeout(Duration::from_secs(60), self.process.wait()).await;
        ended.expect("dev ends in a minute").unwrap().code()
    }
}

/// Not even as a zombie that nobody has waited for.
fn is_gone(pid: Pid) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero()));
    status.is_err() || status.is_ok_and(|text| text.contains("State:\tZ"))
}

async fn nothing_is_left(nodes: &[Pid], scratch: &Path) {
    until("every node is gone", async || nodes.iter().all(|pid| is_gone(*pid))).await;
    until("its files are gone", async || std::fs::read_dir(scratch).unwrap().next().is_none()).await;
}

#[tokio::test]
async fn it_serves_and_ends_cleanly_on_sigterm() {
    let scratch = tempfile::tempdir().unwrap();
    let mut dev = Dev::start(&[], scratch.path()).await;
    assert_eq!(dev.nodes().len(), 3);
    let mut client = dev.client();
    client.put("/v1/cubbyhole/x", &serde_json::json!({"a": "b"})).await.unwrap();
    assert_eq!(client.get("/v1/cubbyhole/x").await.unwrap().json()["data"]["a"], "b");
    let ready = Client::new(dev.address("admin")).get("/-/ready").await.unwrap();
    assert_eq!(ready.status, 200);
    let nodes = dev.nodes();
    dev.signal(Signal::TERM);
    assert_eq!(dev.exit_code().await, Some(0));
    nothing_is_left(&nodes, scratch.path()).await;
}

#[tokio::test]
async fn no_node_outlives_it_even_when_it_is_killed() {
    let scratch = tempfile::tempdir().unwrap();
    let dev = Dev::start(&["--nodes", "1"], scratch.path()).await;
    let nodes = dev.nodes();
    dev.signal(Signal::KILL);
    nothing_is_left(&nodes, scratch.path()).await;
}

#[tokio::test]
async fn a_second_start_with_data_finds_what_was_written() {
    let scratch = tempfile::tempdir().unwrap();
    let data = scratch.path().join("data");
    let arguments = ["--nodes", "1", "--data", data.to_str().unwrap()];
    let mut first = Dev::start(&arguments, scratch.path()).await;
    first.client().put("/v1/cubbyhole/kept", &serde_json::json!({"a": "b"})).await.unwrap();
    first.signal(Signal::INT);
    assert_eq!(first.exit_code().await, Some(0));
    let mut second = Dev::start(&["--data", data.to_str().unwrap()], scratch.path()).await;
    assert_eq!(second.said["root_token"], first.said["root_token"]);
    assert_eq!(second.client().get("/v1/cubbyhole/kept").await.unwrap().json()["data"]["a"], "b");
    second.signal(Signal::TERM);
    assert_eq!(second.exit_code().await, Some(0));
}
