//! The built binary between test and backend, with limits short enough to wait for.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::backend::Backend;
use super::client::{Client, PATIENCE, exchange};

pub(crate) struct Proxy {
    child: Child,
    /// HTTP/1.1.
    pub(crate) socket: PathBuf,
    /// HTTP/2 with prior knowledge.
    pub(crate) h2: PathBuf,
    admin: PathBuf,
    dir: TempDir,
}

/// Of the listeners: longest head, pause in a body, idle connection.
pub(crate) const CLIENT_LIMIT: Duration = Duration::from_secs(1);

impl Proxy {
    /// Ready to serve when this returns.
    pub(crate) fn before(backend: &Backend) -> Self {
        Self::with_listener(backend, TempDir::new().unwrap(), "")
    }

    /// One more listener, as a line of YAML; its files and its socket live in `dir`.
    pub(crate) fn with_listener(backend: &Backend, dir: TempDir, listener: &str) -> Self {
        let file = dir.path().join("proxy.yaml");
        std::fs::write(&file, config(&dir, backend, listener)).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_understudy"))
            .args(["proxy", "-config"])
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let path = |name| dir.path().join(name);
        let mut proxy =
            Self { child, socket: path("api.sock"), h2: path("h2.sock"), admin: path("admin.sock"), dir };
        proxy.wait_until_ready();
        proxy
    }

    /// A file or socket of this proxy.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// As an operator would, with `kill`.
    pub(crate) fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(&self.socket)
    }

    pub(crate) fn get(&self, path: &str) -> String {
        exchange(&self.socket, get(path).as_bytes()).text()
    }

    /// The sum of all samples of `name` whose labels contain every word of `labels`.
    pub(crate) fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let text =
            exchange(&self.admin, b"GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").text();
        let samples = text.lines().filter(|line| {
            line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']))
                && labels.iter().all(|label| line.contains(label))
        });
        samples.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    pub(crate) fn rejected(&self, reason: &str) -> f64 {
        self.metric("understudy_proxy_downstream_rejected_total", &[&format!("reason=\"{reason}\"")])
    }

    /// Counters may be summed a moment after the answer.
    pub(crate) fn wait_for(&self, what: &str, mut reached: impl FnMut(&Self) -> bool) {
        let started = Instant::now();
        while !reached(self) {
            assert!(started.elapsed() < PATIENCE, "never: {what}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Resident memory in KiB.
    pub(crate) fn memory_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    fn wait_until_ready(&mut self) {
        let ended = |child: &mut Child| child.try_wait().unwrap();
        thread::sleep(Duration::from_millis(20));
        assert_eq!(ended(&mut self.child), None, "the proxy ended at once: its messages are above");
        self.wait_for("the proxy is ready", |proxy| {
            if !proxy.admin.exists() || !proxy.h2.exists() || !proxy.socket.exists() {
                return false;
            }
            let request = b"GET /-/ready?require=active HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
            exchange(&proxy.admin, request).statuses() == [200]
        });
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // It may be gone already, which a test has noticed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: vault.example\r\n\r\n")
}

fn config(dir: &TempDir, backend: &Backend, listener: &str) -> String {
    let (dir, address) = (dir.path().display(), backend.address);
    let seconds = CLIENT_LIMIT.as_secs();
    let timeouts = format!(
        "{{request_header: {seconds}s, idle: {seconds}s, request_body: {seconds}s, tunnel: {seconds}s}}"
    );
    format!(
        r#"version: 1
runtime: {{workers: 1, shutdown_grace: 1s, log: {{level: error, output: stderr}}}}
listeners:
  - {{name: api, bind: "unix:{dir}/api.sock", timeouts: {timeouts}, upgrades: ["sys/events/subscribe/*"]}}
  - {{name: h2, bind: "unix:{dir}/h2.sock", h2c: true, timeouts: {timeouts}}}
{listener}
cluster:
  name: wire
  servers: [{{name: n1, address: "http://{address}"}}]
  connections: {{connect_timeout: 500ms}}
  health_check: {{interval: 500ms, timeout: 2s, unhealthy_threshold: 100}}
  outlier_detection: {{consecutive_failures: 0}}
retry: {{attempts: 0}}
routing: {{rules: [{{name: quick, match: {{path: "*"}}, action: continue, timeout: 2s}}]}}
admin: {{bind: "unix:{dir}/admin.sock"}}
"#
    )
}
