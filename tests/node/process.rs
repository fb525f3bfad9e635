//! A node of ours as a child process, with its store in a directory that outlives it.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use http::StatusCode;
use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::until;

/// Where a node lives and how it is opened; the process comes and goes.
pub(crate) struct Place {
    scratch: tempfile::TempDir,
    pub(crate) address: SocketAddr,
    keys: Option<Keys>,
}

#[derive(Clone)]
struct Keys {
    unseal: String,
    root: String,
}

/// A running node; killed when dropped.
pub(crate) struct Running {
    child: Child,
}

// === impl Place ===

impl Place {
    /// `storage`: the stanza's name.
    pub(crate) fn new(storage: &str) -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let address = free_address();
        let place = Self { scratch, address, keys: None };
        std::fs::create_dir(place.path().join("data")).unwrap();
        std::fs::write(place.config(), configuration(storage, address, place.path())).unwrap();
        place
    }

    pub(crate) fn path(&self) -> &Path {
        self.scratch.path()
    }

    /// More of the configuration, before the first start.
    pub(crate) fn configure(&self, more: &str) {
        let text = std::fs::read_to_string(self.config()).unwrap();
        std::fs::write(self.config(), text + more).unwrap();
    }

    /// The unseal key in hex and the root token, once it was started.
    pub(crate) fn keys(&self) -> (&str, &str) {
        let keys = self.keys.as_ref().unwrap();
        (&keys.unseal, &keys.root)
    }

    fn config(&self) -> PathBuf {
        self.path().join("node.hcl")
    }

    /// Starts the node, initialises it the first time, and unseals it.
    pub(crate) async fn start(&mut self) -> Running {
        let log =
            std::fs::OpenOptions::new().create(true).append(true).open(self.path().join("log")).unwrap();
        // Whether cores are written must be the node's own decision.
        let child = Command::new("sh")
            .args(["-c", "ulimit -S -c \"$(ulimit -H -c)\"; exec \"$0\" \"$@\""])
            .arg(env!("CARGO_BIN_EXE_understudy"))
            .args(["server", "-config"])
            .arg(self.config())
            .current_dir(self.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let running = Running { child };
        let mut client = Client::new(self.address);
        let up = async || {
            client.get("/v1/sys/seal-status").await.is_ok_and(|answer| answer.status == StatusCode::OK)
        };
        until(&format!("the node answers; its log is {}", self.path().join("log").display()), up).await;
        self.open().await;
        running
    }

    async fn open(&mut self) {
        let mut client = Client::new(self.address);
        if self.keys.is_none() {
            let asked = json!({"secret_shares": 1, "secret_threshold": 1});
            let made = client.must(http::Method::PUT, "/v1/sys/init", Some(&asked)).await.json();
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            self.keys = Some(Keys { unseal: text(&made["keys"][0]), root: text(&made["root_token"]) });
        }
        let key = json!({"key": self.keys.as_ref().unwrap().unseal});
        client.must(http::Method::PUT, "/v1/sys/unseal", Some(&key)).await;
        let mut root = self.root();
        until("the node is active", async || {
            root.get("/v1/sys/health").await.is_ok_and(|answer| answer.status == StatusCode::OK)
        })
        .await;
    }

    /// From now on this place's store is under the keys of another: a snapshot of that one was restored in it.
    pub(crate) fn adopt_keys_of(&mut self, other: &Self) {
        self.keys.clone_from(&other.keys);
    }

    pub(crate) async fn unseal(&mut self) {
        self.open().await;
    }

    /// A client with the root token.
    pub(crate) fn root(&self) -> Client {
        Client::with_token(self.address, &self.keys.as_ref().unwrap().root)
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.path().join("log")).unwrap_or_default()
    }
}

// === impl Running ===

impl Running {
    /// As `kill -9`.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// As a fault of its own would end it.
    pub(crate) fn abort(mut self) -> ExitStatus {
        let process = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(process, rustix::process::Signal::ABORT).unwrap();
        self.child.wait().unwrap()
    }

    pub(crate) fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Already dead after `kill`.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Free a moment ago: the node binds it next.
pub(crate) fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn configuration(storage: &str, address: SocketAddr, place: &Path) -> String {
    let path = match storage {
        "inmem" => String::new(),
        _ => format!("  path = \"{}/data\"\n", place.display()),
    };
    let cluster = SocketAddr::new(address.ip(), free_address().port());
    format!(
        "storage \"{storage}\" {{\n{path}}}\nlistener \"tcp\" {{\n  address = \"{address}\"\n  cluster_address = \"{cluster}\"\n  \
         tls_disable = true\n}}\napi_addr = \"http://{address}\"\ncluster_addr = \"https://{cluster}\"\n"
    )
}
