//! A real OpenBao cluster in a scratch directory.

use std::ops::{Deref, DerefMut};

use understudy::cli::openbao::{Cluster, ClusterSpec, binary};

/// Killed, and its directory removed, when dropped.
pub struct RealCluster {
    cluster: Cluster,
    // After `cluster`: the nodes are gone before their files are.
    scratch: tempfile::TempDir,
}

impl RealCluster {
    pub async fn start(nodes: usize) -> Self {
        Self::start_with(|spec| spec.nodes = Some(nodes)).await
    }

    pub async fn start_with(change: impl FnOnce(&mut ClusterSpec)) -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let binary = binary::find_or_install(&mut |line| eprintln!("{line}")).await.unwrap();
        let mut spec = ClusterSpec { binary, data: scratch.path().join("data"), ..ClusterSpec::default() };
        change(&mut spec);
        let cluster = Cluster::start(spec).await.unwrap_or_else(|error| panic!("{error}"));
        Self { cluster, scratch }
    }

    pub fn data(&self) -> std::path::PathBuf {
        self.scratch.path().join("data")
    }
}

impl Deref for RealCluster {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        &self.cluster
    }
}

impl DerefMut for RealCluster {
    fn deref_mut(&mut self) -> &mut Cluster {
        &mut self.cluster
    }
}
