//! The name of a node, kept beside its log: a log must never be continued under another name.

use std::io::Write;
use std::path::Path;

use super::super::open::OpenError;
use crate::raft::NodeId;

const FILE: &str = "node-id";

/// The name in the file, or the configured one, or a new one; afterwards the file holds it.
///
/// # Errors
/// The file cannot be read or written, or says something else than the configuration.
pub(super) fn node_id(path: &Path, configured: Option<&str>) -> Result<NodeId, OpenError> {
    let failed = |reason: String| OpenError::Path { path: path.join(FILE), reason };
    let stored = match std::fs::read_to_string(path.join(FILE)) {
        Ok(text) => Some(text.trim().to_owned()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(failed(error.to_string())),
    };
    let name = choose(stored.as_deref(), configured).map_err(failed)?;
    let name = name.unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
    let id = NodeId::new(&name).ok_or_else(|| failed(format!("{name:?} is not a usable node_id")))?;
    if stored.is_none() {
        write(path, id.as_str()).map_err(|error| failed(error.to_string()))?;
    }
    Ok(id)
}

/// `None`: a new name is needed.
fn choose(stored: Option<&str>, configured: Option<&str>) -> Result<Option<String>, String> {
    match (stored, configured) {
        (Some(stored), Some(configured)) if stored != configured => Err(format!(
            "this store was made as node {stored:?}, but node_id is {configured:?}: set it back, or start with an \
             empty path and join the cluster again"
        )),
        (Some(name), _) | (None, Some(name)) => Ok(Some(name.to_owned())),
        (None, None) => Ok(None),
    }
}

/// Whole or not at all, and on the disk before a log is begun under it.
fn write(path: &Path, name: &str) -> std::io::Result<()> {
    let unfinished = path.join("node-id.new");
    let mut file = std::fs::File::create(&unfinished)?;
    file.write_all(name.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&unfinished, path.join(FILE))?;
    std::fs::File::open(path)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_name_stays() {
        let scratch = tempfile::tempdir().unwrap();
        let made = node_id(scratch.path(), None).unwrap();
        assert_eq!(node_id(scratch.path(), None).unwrap(), made);
        assert_eq!(node_id(scratch.path(), Some(made.as_str())).unwrap(), made);
        let error = node_id(scratch.path(), Some("other")).unwrap_err().to_string();
        assert!(error.contains("node-id") && error.contains("other"), "{error}");
    }

    #[test]
    fn a_configured_name_is_kept_and_checked() {
        let scratch = tempfile::tempdir().unwrap();
        node_id(scratch.path(), Some("")).unwrap_err();
        assert_eq!(node_id(scratch.path(), Some("node1")).unwrap().as_str(), "node1");
        assert_eq!(node_id(scratch.path(), None).unwrap().as_str(), "node1");
    }
}
