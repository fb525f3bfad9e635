//! Learning from answers which shapes a standby forwards.
#[derive(Debug, Clone, Default)]
pub struct Learned;
/// Shape of a request as learning sees it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ShapeKey;
