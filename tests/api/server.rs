//! A fresh server for one scenario, real or ours, on a free port; killed when dropped.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use understudy::cli::openbao::binary;

use crate::wire::{self, Sent};

/// How long a server may take to answer its first request.
const START: Duration = Duration::from_secs(30);

/// Whose server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Make {
    OpenBao,
    Node,
}

/// How it starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `-dev` with the root token `root`: initialised, unsealed, `secret/` mounted.
    Dev,
    /// From a configuration file with an in-memory storage: not yet initialised.
    Fresh,
    /// As `Fresh`, with an audit device `file` that writes `audit.log`.
    Audited,
}

impl Kind {
    pub(crate) fn named(name: &str) -> Self {
        match name {
            "dev" => Self::Dev,
            "fresh" => Self::Fresh,
            "audited" => Self::Audited,
            _ => panic!("no server starts as {name:?}"),
        }
    }
}

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) child: Child,
    pub(crate) scratch: tempfile::TempDir,
}

impl Server {
    pub(crate) fn start(make: Make, kind: Kind) -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let address = free_address();
        let mut command = Command::new(program(make));
        command.arg("server");
        match kind {
            Kind::Dev => {
                command.args(["-dev", "-dev-root-token-id=root", "-dev-no-store-token"]);
                command.arg(format!("-dev-listen-address={address}"));
            }
            Kind::Fresh | Kind::Audited => {
                let file = scratch.path().join("server.hcl");
                std::fs::write(&file, configuration(address, kind, scratch.path())).unwrap();
                command.arg("-config").arg(file);
            }
        }
        let log = std::fs::File::create(scratch.path().join("log")).unwrap();
        command.current_dir(scratch.path()).env("HOME", scratch.path());
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let server = Self { address, child: command.spawn().unwrap(), scratch };
        server.answers(kind);
        server
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.scratch.path().join("log")).unwrap_or_default()
    }

    fn answers(&self, kind: Kind) {
        let begin = Instant::now();
        let health = Sent { method: "GET".into(), path: "/v1/sys/health".into(), ..Sent::default() };
        let mounts = Sent {
            method: "GET".into(),
            path: "/v1/secret/config".into(),
            headers: vec![("X-Vault-Token".into(), "root".into())],
            ..Sent::default()
        };
        loop {
            let (question, wanted) = match kind {
                Kind::Dev => (&mounts, 200),
                Kind::Fresh | Kind::Audited => (&health, 501),
            };
            if wire::send(self.address, question).is_ok_and(|got| got.status == wanted) {
                return;
            }
            assert!(begin.elapsed() < START, "the server does not start; its log:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// Free a moment ago: the server binds it next.
pub(crate) fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn configuration(address: SocketAddr, kind: Kind, scratch: &Path) -> String {
    let audit = match kind {
        Kind::Dev | Kind::Fresh => String::new(),
        Kind::Audited => format!(
            "audit \"file\" \"file\" {{\n  options {{\n    file_path = \"{}/audit.log\"\n  }}\n}}\n",
            scratch.display()
        ),
    };
    format!(
        "storage \"inmem\" {{}}\nlistener \"tcp\" {{\n  address = \"{address}\"\n  tls_disable = true\n  disable_unauthed_rekey_endpoints = false\n  disable_unauthed_generate_root_endpoints = false\n}}\n\
         disable_mlock = true\napi_addr = \"http://{address}\"\n{audit}"
    )
}

pub(crate) fn program(make: Make) -> PathBuf {
    static OPENBAO: OnceLock<PathBuf> = OnceLock::new();
    match make {
        Make::OpenBao => OPENBAO.get_or_init(real).clone(),
        Make::Node => std::env::var_os("UNDERSTUDY_BINARY")
            .map_or_else(|| Path::new(env!("CARGO_BIN_EXE_understudy")).to_owned(), PathBuf::from),
    }
}

fn real() -> PathBuf {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(binary::find_or_install(&mut |line| eprintln!("{line}"))).unwrap()
}
