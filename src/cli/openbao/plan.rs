//! Which nodes, on which ports, and what a second start over the same data must remember.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// Ports below the range Linux hands to outgoing connections, so that none of those can take one from us.
const PORTS: std::ops::Range<u16> = 20_000..32_000;
/// Tries to find a free port before giving up.
const PORT_TRIES: usize = 200;
/// Raft gains nothing beyond seven voters.
pub const MAX_NODES: usize = 7;

/// Why no plan could be made or read.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    #[error("a cluster has 1 to {MAX_NODES} nodes, not {0}")]
    Size(usize),
    #[error("no free port on 127.0.0.1 between {} and {}", PORTS.start, PORTS.end)]
    NoPort,
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("{} is damaged: {reason}. Use another directory, or remove this one to start afresh", path.display())]
    Damaged { path: PathBuf, reason: String },
    #[error("{} holds a cluster of {found} nodes, not {asked}: leave --nodes away or use another directory", path.display())]
    OtherSize { path: PathBuf, found: usize, asked: usize },
    #[error("{} holds other files: give --data an empty directory, or one that `understudy dev` made", path.display())]
    Foreign { path: PathBuf },
    #[error("node {node} of {} needs {address}, which is taken: is this cluster still running?", path.display())]
    Taken { path: PathBuf, node: String, address: SocketAddr },
}

/// One node's place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodePlan {
    pub id: String,
    pub api: SocketAddr,
    pub cluster: SocketAddr,
}

/// What `dev.json` keeps, mode 0600. Raft remembers cluster addresses, so the ports must stay.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    pub nodes: Vec<NodePlan>,
    /// `None` until initialised.
    pub keys: Option<Keys>,
}

/// Shares 1, threshold 1: this is a cluster for trying things out.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keys {
    pub root_token: Zeroizing<String>,
    pub unseal_keys: Vec<Zeroizing<String>>,
}

impl std::fmt::Debug for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plan").field("nodes", &self.nodes).field("keys", &self.keys).finish()
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys(..)")
    }
}

impl Plan {
    /// The plan kept in `data`, or a new one of `nodes` nodes; `None` asks for what is there, else three.
    ///
    /// # Errors
    /// The directory holds something else, another number of nodes, or a port it needs is taken.
    pub fn open(data: &Path, nodes: Option<usize>) -> Result<Self, PlanError> {
        make_private_dir(data)?;
        match std::fs::read(plan_file(data)) {
            Ok(bytes) => Self::reopen(data, &bytes, nodes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::fresh(data, nodes.unwrap_or(3)),
            Err(source) => Err(PlanError::File { path: plan_file(data), source }),
        }
    }

    fn reopen(data: &Path, bytes: &[u8], asked: Option<usize>) -> Result<Self, PlanError> {
        let plan: Self = serde_json::from_slice(bytes)
            .map_err(|e| PlanError::Damaged { path: plan_file(data), reason: e.to_string() })?;
        let found = plan.nodes.len();
        if let Some(asked) = asked.filter(|asked| *asked != found) {
            return Err(PlanError::OtherSize { path: data.to_owned(), found, asked });
        }
        plan.check_ports(data)?;
        Ok(plan)
    }

    fn check_ports(&self, data: &Path) -> Result<(), PlanError> {
        for node in &self.nodes {
            if let Some(address) =
                [node.api, node.cluster].into_iter().find(|a| TcpListener::bind(a).is_err())
            {
                return Err(PlanError::Taken { path: data.to_owned(), node: node.id.clone(), address });
            }
        }
        Ok(())
    }

    fn fresh(data: &Path, nodes: usize) -> Result<Self, PlanError> {
        if !(1..=MAX_NODES).contains(&nodes) {
            return Err(PlanError::Size(nodes));
        }
        let mut entries =
            std::fs::read_dir(data).map_err(|source| PlanError::File { path: data.to_owned(), source })?;
        if entries.next().is_some() {
            return Err(PlanError::Foreign { path: data.to_owned() });
        }
        let ports = free_ports(2 * nodes)?;
        let place = |port: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let nodes = ports.chunks_exact(2).enumerate().map(|(at, pair)| NodePlan {
            id: format!("n{}", at + 1),
            api: place(pair[0]),
            cluster: place(pair[1]),
        });
        let plan = Self { nodes: nodes.collect(), keys: None };
        plan.save(data)?;
        Ok(plan)
    }

    /// Writes the plan beside its final place and renames it: never half a file.
    ///
    /// # Errors
    /// The directory cannot be written.
    pub fn save(&self, data: &Path) -> Result<(), PlanError> {
        let (path, partial) = (plan_file(data), data.join("dev.json.partial"));
        let write = || -> io::Result<()> {
            let mut options = std::fs::OpenOptions::new();
            let file = options.write(true).create(true).truncate(true).mode(0o600).open(&partial)?;
            serde_json::to_writer_pretty(&file, self)?;
            file.sync_all()?;
            std::fs::rename(&partial, &path)
        };
        write().map_err(|source| PlanError::File { path: path.clone(), source })
    }
}

fn plan_file(data: &Path) -> PathBuf {
    data.join("dev.json")
}

/// The keys to the cluster lie in here: nobody else may look.
fn make_private_dir(dir: &Path) -> Result<(), PlanError> {
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.map_err(|source| PlanError::File { path: dir.to_owned(), source })
}

/// `count` different ports nobody listens on; all are held until the last is found, then released together.
///
/// # Errors
/// None left in the range.
pub fn free_ports(count: usize) -> Result<Vec<u16>, PlanError> {
    let mut held: Vec<(u16, TcpListener)> = Vec::with_capacity(count);
    for _ in 0..count * PORT_TRIES {
        if held.len() == count {
            break;
        }
        let port = fastrand::u16(PORTS);
        if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            held.push((port, listener));
        }
    }
    if held.len() < count {
        return Err(PlanError::NoPort);
    }
    Ok(held.into_iter().map(|(port, _)| port).collect())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_second_start_finds_the_same_nodes_and_refuses_another_size() {
        let scratch = tempfile::tempdir().unwrap();
        let data = scratch.path().join("data");
        let mut plan = Plan::open(&data, Some(3)).unwrap();
        assert_eq!(Plan::open(&data, None).unwrap(), plan);
        plan.keys =
            Some(Keys { root_token: "s.x".to_owned().into(), unseal_keys: vec!["k".to_owned().into()] });
        plan.save(&data).unwrap();
        assert_eq!(Plan::open(&data, Some(3)).unwrap(), plan);
        assert!(matches!(Plan::open(&data, Some(5)), Err(PlanError::OtherSize { found: 3, asked: 5, .. })));
        assert!(!format!("{plan:?}").contains("s.x"));
    }

    #[test]
    fn only_the_owner_reads_the_keys() {
        let scratch = tempfile::tempdir().unwrap();
        let data = scratch.path().join("data");
        Plan::open(&data, Some(1)).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&data), mode(&plan_file(&data))), (0o700, 0o600));
    }

    #[test]
    fn what_is_not_ours_is_left_alone() {
        let scratch = tempfile::tempdir().unwrap();
        std::fs::write(scratch.path().join("thesis.tex"), "").unwrap();
        assert!(matches!(Plan::open(scratch.path(), None), Err(PlanError::Foreign { .. })));
        let other = scratch.path().join("other");
        std::fs::create_dir(&other).unwrap();
        std::fs::write(plan_file(&other), "{").unwrap();
        assert!(matches!(Plan::open(&other, None), Err(PlanError::Damaged { .. })));
        assert!(matches!(Plan::open(&scratch.path().join("big"), Some(8)), Err(PlanError::Size(8))));
    }

    #[test]
    fn a_taken_port_is_named() {
        let scratch = tempfile::tempdir().unwrap();
        let data = scratch.path().join("data");
        let plan = Plan::open(&data, Some(1)).unwrap();
        let squatter = TcpListener::bind(plan.nodes[0].api).unwrap();
        let error = Plan::open(&data, None).unwrap_err().to_string();
        assert!(
            error.contains("n1") && error.contains(&squatter.local_addr().unwrap().to_string()),
            "{error}"
        );
    }
}
