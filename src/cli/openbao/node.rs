//! One node: its configuration, its process, its log, and the signals that break it on purpose.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Map, Value, json};
use tokio::process::{Child, Command};

use super::OpenBaoError;
use super::plan::NodePlan;

/// Lines of a log shown in an error.
const TAIL_LINES: usize = 8;
/// A stopping node hands its leadership over and closes its store; then it is killed.
const STOP_GRACE: Duration = Duration::from_secs(5);

/// One server process, running or not. Dropping it kills the process.
#[derive(Debug)]
pub struct Node {
    plan: NodePlan,
    dir: PathBuf,
    process: Option<Child>,
}

impl Node {
    /// Writes the configuration below `data`; `extra` holds further top-level settings and wins over ours.
    pub(super) fn prepare(
        data: &Path,
        plan: NodePlan,
        extra: &Map<String, Value>,
    ) -> Result<Self, OpenBaoError> {
        let dir = data.join(&plan.id);
        let raft = dir.join("raft");
        let file = |what, path: &Path, source| OpenBaoError::File { what, path: path.to_owned(), source };
        std::fs::create_dir_all(&raft).map_err(|e| file("cannot make", &raft, e))?;
        let mut config = configuration(&plan, &raft);
        config.extend(extra.clone());
        let path = dir.join("config.json");
        std::fs::write(&path, Value::Object(config).to_string())
            .map_err(|e| file("cannot write", &path, e))?;
        Ok(Self { plan, dir, process: None })
    }

    #[must_use]
    pub fn id(&self) -> &str {
        &self.plan.id
    }

    /// Where its HTTP API listens.
    #[must_use]
    pub fn api(&self) -> SocketAddr {
        self.plan.api
    }

    /// Where the other nodes reach it.
    #[must_use]
    pub fn cluster(&self) -> SocketAddr {
        self.plan.cluster
    }

    /// `None` while it does not run.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().and_then(Child::id)
    }

    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.dir.join("log")
    }

    /// Starts the process in a group of its own: a Ctrl-C meant for us does not stop the nodes under the proxy.
    pub(super) fn spawn(&mut self, binary: &Path) -> Result<(), OpenBaoError> {
        let log = self.log();
        let open = std::fs::OpenOptions::new().create(true).append(true).open(&log);
        let file = |source| OpenBaoError::File { what: "cannot open", path: log.clone(), source };
        let out = open.map_err(file)?;
        let err = out.try_clone().map_err(file)?;
        let spawned = Command::new(binary)
            .arg("server")
            .arg(format!("-config={}", self.dir.join("config.json").display()))
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .process_group(0)
            .kill_on_drop(true)
            .spawn();
        let program = binary.display().to_string();
        self.process = Some(spawned.map_err(|source| OpenBaoError::Spawn { program, source })?);
        Ok(())
    }

    /// An error when the process has ended although nobody stopped it.
    pub(super) fn check_running(&mut self) -> Result<(), OpenBaoError> {
        let ended = self.process.as_mut().map(Child::try_wait);
        match ended {
            Some(Ok(Some(status))) => Err(self.trouble(&format!("the server ended ({status})"))),
            Some(Err(error)) => Err(self.trouble(&format!("the server cannot be watched ({error})"))),
            Some(Ok(None)) | None => Ok(()),
        }
    }

    /// An error that names this node, its log and the log's last lines.
    pub(super) fn trouble(&self, reason: &str) -> OpenBaoError {
        let log = self.log();
        let tail = log_tail(&log).map_or_else(String::new, |lines| format!(", which ends with:\n{lines}"));
        OpenBaoError::Node { node: self.plan.id.clone(), reason: reason.to_owned(), log, tail }
    }

    /// Sends `signal`; a node that does not run ignores it.
    pub(super) fn signal(&self, signal: Signal) -> io::Result<()> {
        let pid = self.pid().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
        pid.map_or(Ok(()), |pid| Ok(kill_process(pid, signal)?))
    }

    /// Asks it to stop, kills it when it has not after [`STOP_GRACE`]; returns the pid that ended.
    pub(super) async fn stop(&mut self) -> io::Result<Option<u32>> {
        let pid = self.pid();
        self.signal(Signal::TERM)?;
        self.signal(Signal::CONT)?; // a paused process cannot stop
        let Some(mut process) = self.process.take() else { return Ok(None) };
        if tokio::time::timeout(STOP_GRACE, process.wait()).await.is_err() {
            process.kill().await?;
        }
        Ok(pid)
    }

    /// Kills it at once, as a crash would; returns the pid that ended.
    pub(super) async fn kill(&mut self) -> io::Result<Option<u32>> {
        let pid = self.pid();
        if let Some(mut process) = self.process.take() {
            process.kill().await?;
        }
        Ok(pid)
    }
}

/// The fastest failure detection raft allows, and the headers that let a client see which node answered.
fn configuration(plan: &NodePlan, raft: &Path) -> Map<String, Value> {
    let config = json!({
        "api_addr": format!("http://{}", plan.api),
        "cluster_addr": format!("https://{}", plan.cluster),
        "enable_response_header_hostname": true,
        "enable_response_header_raft_node_id": true,
        "listener": [{"tcp": {
            "address": plan.api.to_string(),
            "cluster_address": plan.cluster.to_string(),
            "tls_disable": true,
            "telemetry": {"unauthenticated_metrics_access": true},
        }}],
        "storage": {"raft": {
            "node_id": plan.id,
            "path": raft.display().to_string(),
            "performance_multiplier": 1,
            // how soon a joined node becomes a voter: the default of ten seconds is most of a start
            "autopilot_update_interval": "500ms",
            "autopilot_reconcile_interval": "500ms",
        }},
        "telemetry": {"prometheus_retention_time": "60s", "disable_hostname": true},
    });
    match config {
        Value::Object(map) => map,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
    }
}

fn log_tail(log: &Path) -> Option<String> {
    let text = String::from_utf8_lossy(&std::fs::read(log).ok()?).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    let start = lines.len().saturating_sub(TAIL_LINES);
    lines.get(start..).filter(|tail| !tail.is_empty()).map(|tail| format!("  {}", tail.join("\n  ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_shows_where_to_look_and_what_was_said_last() {
        let data = tempfile::tempdir().unwrap();
        let place = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let plan = NodePlan { id: "n1".to_owned(), api: place(1), cluster: place(2) };
        let node = Node::prepare(data.path(), plan, &Map::new()).unwrap();
        let said: String = (1..=20).map(|n| format!("line {n}\n")).collect();
        std::fs::write(node.log(), said).unwrap();
        let text = node.trouble("it ended").to_string();
        assert!(text.starts_with("node n1: it ended; its log is "), "{text}");
        assert!(
            text.contains("  line 13\n") && text.ends_with("  line 20") && !text.contains("line 12\n"),
            "{text}"
        );
    }

    #[test]
    fn extra_settings_win() {
        let data = tempfile::tempdir().unwrap();
        let place = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let plan = NodePlan { id: "n2".to_owned(), api: place(1), cluster: place(2) };
        let extra = json!({"disable_standby_reads": true, "telemetry": {}});
        Node::prepare(data.path(), plan, extra.as_object().unwrap()).unwrap();
        let written = std::fs::read(data.path().join("n2/config.json")).unwrap();
        let written: Value = serde_json::from_slice(&written).unwrap();
        assert_eq!(written["disable_standby_reads"], true);
        assert_eq!(written["telemetry"], json!({}));
        assert_eq!(written["storage"]["raft"]["node_id"], "n2");
    }
}
