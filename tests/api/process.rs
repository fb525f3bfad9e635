//! `understudy server` as a process: what it says and takes, its signals, its files, its end. What a node answers is
//! the scenarios' business.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use crate::server::{Make, free_address, program};
use crate::wire::{self, Got, Sent};

/// How long anything may take; it takes well under a second each.
const PATIENCE: Duration = Duration::from_secs(30);

struct Process {
    child: Child,
    dir: tempfile::TempDir,
}

impl Process {
    fn start(dir: tempfile::TempDir, args: &[&str]) -> Self {
        let out = std::fs::File::create(dir.path().join("out")).unwrap();
        let err = std::fs::File::create(dir.path().join("err")).unwrap();
        let mut command = Command::new(program(Make::Node));
        command.arg("server").args(args).current_dir(dir.path()).env_clear().env("HOME", dir.path());
        let child = command.stdin(Stdio::null()).stdout(out).stderr(err).spawn().unwrap();
        Self { child, dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Asks again until the answer is as wanted.
    #[track_caller]
    fn until<T>(&self, what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
        let begin = Instant::now();
        loop {
            if let Some(found) = ask() {
                return found;
            }
            assert!(begin.elapsed() < PATIENCE, "{what} takes too long; its log:\n{}", self.read("err"));
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn started(&self) {
        self.until("the start", || self.read("out").contains("server started!").then_some(()));
    }

    fn ended(&mut self) -> ExitStatus {
        let begin = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(begin.elapsed() < PATIENCE, "the end takes too long; its log:\n{}", self.read("err"));
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended; then there is nothing to kill.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A self-signed pair as `tls.crt` and `tls.key`.
fn write_pair(dir: &Path) -> CertificateDer<'static> {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(dir.join("tls.key"), made.signing_key.serialize_pem()).unwrap();
    std::fs::write(dir.join("tls.crt"), made.cert.pem()).unwrap();
    made.cert.der().clone()
}

/// The certificate the server shows to one who trusts these.
fn shown(address: SocketAddr, trusted: &[CertificateDer<'static>]) -> Option<CertificateDer<'static>> {
    let mut roots = rustls::RootCertStore::empty();
    trusted.iter().for_each(|root| roots.add(root.clone()).unwrap());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut tls = rustls::ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
    let mut tcp = TcpStream::connect(address).ok()?;
    let mut stream = rustls::Stream::new(&mut tls, &mut tcp);
    stream.write_all(b"GET /v1/sys/nowhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = [0; 9];
    stream.read_exact(&mut answer).ok()?;
    assert_eq!(&answer, b"HTTP/1.1 ");
    tls.peer_certificates()?.first().cloned()
}

fn get(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Got {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let sent = Sent { method: "GET".into(), path: path.into(), headers, ..Sent::default() };
    wire::send(address, &sent).unwrap()
}

#[test]
fn certificates_are_reloaded_and_the_end_is_clean() {
    let dir = tempfile::tempdir().unwrap();
    let first = write_pair(dir.path());
    let address = free_address();
    let configuration = |level: &str| {
        format!(
            "storage \"file\" {{ path = \"data\" }}\nlistener \"tcp\" {{\n  address = \"{address}\"\n  \
             tls_cert_file = \"tls.crt\"\n  tls_key_file = \"tls.key\"\n}}\n\
             listener \"unix\" {{ address = \"api.sock\" socket_mode = \"0600\" }}\n\
             log_level = \"{level}\"\nlog_file = \"node.log\"\npid_file = \"node.pid\"\n"
        )
    };
    std::fs::write(dir.path().join("node.hcl"), configuration("info")).unwrap();
    let mut process = Process::start(dir, &["-config", "node.hcl"]);
    process.started();
    assert_eq!(process.read("node.pid").trim(), process.child.id().to_string());
    assert_eq!(shown(address, std::slice::from_ref(&first)).unwrap(), first);
    assert!(UnixStream::connect(process.path("api.sock")).is_ok());
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&process.path("api.sock").metadata().unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);

    let second = write_pair(process.dir.path());
    std::fs::rename(process.path("node.log"), process.path("node.log.1")).unwrap();
    std::fs::write(process.path("node.hcl"), configuration("debug")).unwrap();
    process.signal(Signal::HUP);
    let both = [first, second.clone()];
    process.until("the reload", || shown(address, &both).filter(|certificate| *certificate == second));
    process.until("the new log file", || process.path("node.log").exists().then_some(()));

    process.signal(Signal::TERM);
    assert!(process.ended().success(), "{}", process.read("err"));
    assert!(!process.path("node.pid").exists() && !process.path("api.sock").exists());
    assert!(process.read("node.log").contains("shutdown triggered"), "{}", process.read("node.log"));
}

#[test]
fn a_reload_takes_the_level_and_opens_audit_files_anew() {
    let (dir, address) = (tempfile::tempdir().unwrap(), free_address());
    let configuration = |level: &str| {
        format!(
            "log_level = \"{level}\"\naudit \"file\" \"a\" {{ options {{ file_path = \"audit.log\" }} }}\n"
        )
    };
    std::fs::write(dir.path().join("more.hcl"), configuration("error")).unwrap();
    let listen = format!("-dev-listen-address={address}");
    let args = ["-dev", "-dev-root-token-id=root", "-dev-no-store-token", "-config=more.hcl", &listen];
    let process = Process::start(dir, &args);
    process.started();
    let ask = |path: &str| get(address, path, &[("X-Vault-Token", "root")]).status;
    assert_eq!(ask("/v1/sys/mounts/first"), 400);
    std::fs::rename(process.path("audit.log"), process.path("audit.log.1")).unwrap();
    std::fs::write(process.path("more.hcl"), configuration("info")).unwrap();
    process.signal(Signal::HUP);
    process.until("the new audit file", || process.path("audit.log").exists().then_some(()));
    assert_eq!(ask("/v1/sys/mounts/second"), 400);
    let (old, new) = (process.read("audit.log.1"), process.read("audit.log"));
    assert!(old.contains("mounts/first") && !old.contains("mounts/second"), "{old}");
    assert!(new.contains("mounts/second") && !new.contains("mounts/first"), "{new}");
    process.until("the new level", || {
        // The level in force is the one before: the next reload speaks up.
        process.signal(Signal::HUP);
        process.read("err").contains("reload triggered").then_some(())
    });
}

#[test]
fn a_broken_certificate_leaves_the_old_one_in_use() {
    let dir = tempfile::tempdir().unwrap();
    let first = write_pair(dir.path());
    let address = free_address();
    let text = format!(
        "storage \"inmem\" {{}}\nlistener \"tcp\" {{ address = \"{address}\" tls_cert_file = \"tls.crt\" tls_key_file = \"tls.key\" }}\n"
    );
    std::fs::write(dir.path().join("node.hcl"), text).unwrap();
    let process = Process::start(dir, &["-config=node.hcl"]);
    process.started();
    std::fs::write(process.path("tls.crt"), "this is no certificate").unwrap();
    process.signal(Signal::HUP);
    process.until("the refusal", || {
        process.read("err").contains("the certificates in use are kept").then_some(())
    });
    assert_eq!(shown(address, std::slice::from_ref(&first)).unwrap(), first);
}

#[test]
fn the_development_mode_is_usable_at_once() {
    let address = free_address();
    let listen = format!("-dev-listen-address={address}");
    let mut process =
        Process::start(tempfile::tempdir().unwrap(), &["-dev", "-dev-root-token-id=root", &listen]);
    process.started();
    let said = process.read("out");
    assert!(said.lines().any(|line| line == "Root Token: root"), "{said}");
    assert!(said.lines().any(|line| line.starts_with("Unseal Key: ")), "{said}");
    assert_eq!(process.read(".vault-token"), "root");
    let got = get(address, "/v1/secret/config", &[("X-Vault-Token", "root")]);
    assert_eq!(got.status, 200, "{}", String::from_utf8_lossy(&got.body));
    process.signal(Signal::INT);
    assert!(process.ended().success());
}

#[test]
fn the_development_mode_speaks_tls() {
    let address = free_address();
    let listen = format!("-dev-listen-address={address}");
    let dir = tempfile::tempdir().unwrap();
    let args = ["-dev-tls", "-dev-tls-cert-dir=.", "-dev-no-store-token", &listen];
    let process = Process::start(dir, &args);
    process.started();
    let ca = CertificateDer::from_pem_file(process.path("vault-ca.pem")).unwrap();
    assert!(shown(address, &[ca]).is_some());
    assert!(process.read("out").contains("VAULT_CACERT"));
}

/// A lone node of `storage "raft"` with a key of its own: initialised over the API, opened by itself, then and after a
/// restart.
#[test]
fn a_node_with_a_key_of_its_own_opens_by_itself() {
    let address = free_address();
    let dir = tempfile::tempdir().unwrap();
    let text = format!(
        "storage \"raft\" {{ path = \"data\" node_id = \"n1\" }}\nlistener \"tcp\" {{ address = \"{address}\" tls_disable = true }}\n\
         seal \"static\" {{ current_key_id = \"k1\" current_key = \"{}\" }}\n\
         api_addr = \"http://{address}\"\nenable_response_header_raft_node_id = true\n",
        "ab".repeat(32)
    );
    std::fs::write(dir.path().join("node.hcl"), text).unwrap();
    let mut process = Process::start(dir, &["-config", "node.hcl"]);
    process.started();
    assert_eq!(get(address, "/v1/sys/health", &[]).status, 501);
    let body = br#"{"recovery_shares":1,"recovery_threshold":1}"#.to_vec();
    let sent = Sent { method: "PUT".into(), path: "/v1/sys/init".into(), body, ..Sent::default() };
    let made = wire::send(address, &sent).unwrap();
    assert_eq!(made.status, 200, "{}", String::from_utf8_lossy(&made.body));
    let made: serde_json::Value = serde_json::from_slice(&made.body).unwrap();
    let token = made["root_token"].as_str().unwrap().to_owned();
    let looked_up = |process: &Process| {
        process.until("opening", || {
            let got = get(address, "/v1/auth/token/lookup-self", &[("X-Vault-Token", &token)]);
            (got.status == 200).then_some(got)
        })
    };
    assert_eq!(looked_up(&process).header("x-vault-raft-node-id"), Some("n1"));

    process.signal(Signal::TERM);
    assert!(process.ended().success());
    let Process { dir, .. } = &mut process;
    let dir = std::mem::replace(dir, tempfile::tempdir().unwrap());
    let process = Process::start(dir, &["-config", "node.hcl"]);
    process.started();
    looked_up(&process);
    assert!(!process.read("out").contains("abab") && !process.read("err").contains("abab"));
}

#[test]
fn a_listeners_rules_hold() {
    let (address, strict) = (free_address(), free_address());
    let dir = tempfile::tempdir().unwrap();
    let text = format!(
        "listener \"tcp\" {{\n  address = \"{strict}\"\n  tls_disable = true\n  max_request_size = 100\n  \
         x_forwarded_for_authorized_addrs = \"127.0.0.1\"\n  x_forwarded_for_reject_not_present = true\n  \
         custom_response_headers {{ \"default\" = {{ \"X-A\" = [\"b\", \"c\"] }} \"4xx\" = {{ \"X-B\" = [\"d\"] }} }}\n}}\n\
         enable_response_header_hostname = true\n"
    );
    std::fs::write(dir.path().join("more.hcl"), text).unwrap();
    let listen = format!("-dev-listen-address={address}");
    let args = ["-dev", "-dev-root-token-id=root", "-dev-no-store-token", &listen, "-config", "more.hcl"];
    let process = Process::start(dir, &args);
    process.started();
    assert!(!process.path(".vault-token").exists());

    let token = ("X-Vault-Token", "root");
    let plain = get(address, "/v1/auth/token/lookup-self", &[token]);
    assert_eq!((plain.status, plain.header("x-a")), (200, None));
    assert!(plain.header("x-vault-hostname").is_some());
    let refused = get(strict, "/v1/auth/token/lookup-self", &[token]);
    assert_eq!(
        (refused.status, refused.header("x-a"), refused.header("x-b")),
        (400, Some("b; c"), Some("d"))
    );
    assert!(String::from_utf8_lossy(&refused.body).contains("missing x-forwarded-for header"));
    let forwarded = ("X-Forwarded-For", "1.2.3.4");
    let taken = get(strict, "/v1/auth/token/lookup-self", &[token, forwarded]);
    assert_eq!((taken.status, taken.header("x-b")), (200, None));

    let put = |address, body: String| {
        let headers = [token, forwarded].map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        let path = "/v1/cubbyhole/a".to_owned();
        let sent = Sent { method: "PUT".into(), path, headers, body: body.into_bytes() };
        wire::send(address, &sent).unwrap().status
    };
    assert_eq!(put(strict, format!("{{\"a\":\"{}\"}}", "x".repeat(200))), 413);
    assert_eq!(put(address, format!("{{\"a\":[{}]}}", vec!["\"x\""; 1001].join(","))), 400);
    assert_eq!(put(strict, "{\"a\":\"x\"}".into()), 204);
}

#[test]
fn what_cannot_start_says_why() {
    let cases: [(&str, &[&str], i32, &str); 5] = [
        ("", &[], 64, "say where the configuration is"),
        ("", &["-config", "none.hcl"], 1, "error[unreadable]"),
        ("bogus = 1", &["-config", "node.hcl"], 1, "`bogus` is not a setting of this file"),
        ("", &["-dev", "-dev-listen-address=nowhere"], 1, "this is no address to listen on"),
        ("", &["-dev", "-log-level=loud"], 64, "unknown log level: loud"),
    ];
    for (text, args, code, why) in cases {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("node.hcl"), text).unwrap();
        let mut process = Process::start(dir, args);
        assert_eq!(process.ended().code(), Some(code), "{args:?}: {}", process.read("err"));
        assert!(process.read("err").contains(why), "{args:?}: {}", process.read("err"));
    }
}

#[test]
fn a_taken_address_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = format!("-dev-listen-address={}", taken.local_addr().unwrap());
    let mut process = Process::start(tempfile::tempdir().unwrap(), &["-dev", &listen]);
    assert_eq!(process.ended().code(), Some(1));
    assert!(process.read("err").contains("another process listens there"), "{}", process.read("err"));
}
