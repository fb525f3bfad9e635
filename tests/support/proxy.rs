//! The built binary as people run it: `understudy proxy -config FILE` on free ports, waited for, killed on drop.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use http::{Method, StatusCode};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use understudy::cli::openbao::call::{Answer, call};
use understudy::cli::openbao::{Cluster, plan};

use super::metrics::Samples;
use super::until;

/// What differs from a plain proxy: each text is a piece of YAML that goes below its section.
#[derive(Debug, Clone, Default)]
pub struct ProxySpec {
    pub servers: Vec<(String, SocketAddr)>,
    /// Lines inside `listeners[0]`, e.g. `limits: {max_headers: 50}`.
    pub listener: Vec<String>,
    /// Lines inside `cluster`.
    pub cluster: Vec<String>,
    /// Whole top-level sections, e.g. `consistency: {mode: global}`.
    pub sections: Vec<String>,
}

impl ProxySpec {
    pub fn before(cluster: &Cluster) -> Self {
        let servers = cluster.nodes().iter().map(|node| (node.id().to_owned(), node.api())).collect();
        Self { servers, ..Self::default() }
    }

    #[must_use]
    pub fn cluster(mut self, line: &str) -> Self {
        self.cluster.push(line.to_owned());
        self
    }

    #[must_use]
    pub fn listener(mut self, line: &str) -> Self {
        self.listener.push(line.to_owned());
        self
    }

    #[must_use]
    pub fn section(mut self, text: &str) -> Self {
        self.sections.push(text.to_owned());
        self
    }

    fn yaml(&self, api: SocketAddr, admin: SocketAddr) -> String {
        let servers =
            self.servers.iter().map(|(id, at)| format!("    - {{name: {id}, address: \"http://{at}\"}}\n"));
        let below = |lines: &[String], indent: &str| {
            lines.iter().map(|l| format!("{indent}{l}\n")).collect::<String>()
        };
        let mut text = format!(
            "version: 1\nadmin: {{bind: \"{admin}\"}}\n\
             listeners:\n  - name: api\n    bind: [\"{api}\"]\n    answer_headers: true\n{}\
             cluster:\n  name: test\n  servers:\n{}{}",
            below(&self.listener, "    "),
            servers.collect::<String>(),
            below(&self.cluster, "  "),
        );
        if !self.sections.iter().any(|section| section.starts_with("runtime:")) {
            text.push_str("runtime: {workers: 2, shutdown_grace: 20s, log: {level: info, format: text, output: stderr}}\n");
        }
        text.push_str(&below(&self.sections, ""));
        text
    }

    /// Starts it and waits until it can serve writes.
    pub async fn start(self) -> Proxy {
        let proxy = self.launch().await;
        proxy.until_ready("/-/ready?require=active").await;
        proxy
    }

    /// Starts it and waits only for its admin listener.
    pub async fn launch(self) -> Proxy {
        let ports = plan::free_ports(2).unwrap();
        let place = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let (api, admin) = (place(ports[0]), place(ports[1]));
        let scratch = tempfile::tempdir().unwrap();
        std::fs::write(scratch.path().join("proxy.yaml"), self.yaml(api, admin)).unwrap();
        let log = std::fs::File::create(scratch.path().join("log")).unwrap();
        let process = Command::new(env!("CARGO_BIN_EXE_understudy"))
            .arg("proxy")
            .arg("-config")
            .arg(scratch.path().join("proxy.yaml"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let proxy = Proxy { api, admin, spec: self, process, scratch };
        proxy.until_ready("/-/live").await;
        proxy
    }
}

/// A running proxy.
pub struct Proxy {
    pub api: SocketAddr,
    pub admin: SocketAddr,
    pub spec: ProxySpec,
    process: Child,
    scratch: tempfile::TempDir,
}

impl Proxy {
    async fn until_ready(&self, path: &str) {
        let what = format!("{path} answers 200; the proxy's log:\n{}", self.log());
        until(&what, async || {
            let answer = call(self.admin, Method::GET, path, None, None).await;
            answer.is_ok_and(|answer| answer.status == StatusCode::OK)
        })
        .await;
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.scratch.path().join("log")).unwrap()
    }

    pub fn config_file(&self) -> PathBuf {
        self.scratch.path().join("proxy.yaml")
    }

    /// Writes the file of another specification over the current one; addresses stay.
    pub fn rewrite(&self, spec: &ProxySpec) {
        std::fs::write(self.config_file(), spec.yaml(self.api, self.admin)).unwrap();
    }

    pub async fn ask_admin(&self, method: Method, path: &str) -> Answer {
        call(self.admin, method, path, None, None).await.unwrap()
    }

    pub async fn metrics(&self) -> Samples {
        Samples::scrape(self.admin).await
    }

    pub fn pid(&self) -> u32 {
        self.process.id().unwrap()
    }

    /// Resident memory in bytes.
    pub fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
    }

    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.pid()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// SIGTERM; returns its exit code once it has drained.
    pub async fn terminate(&mut self) -> Option<i32> {
        self.signal(Signal::TERM);
        self.exit_code().await
    }

    pub async fn exit_code(&mut self) -> Option<i32> {
        let ended = tokio::time::timeout(Duration::from_secs(30), self.process.wait()).await;
        ended.expect("the proxy ends in 30 s").unwrap().code()
    }
}
