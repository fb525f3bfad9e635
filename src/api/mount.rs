//! Engine types and the table mount path → type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MountType {
    Kv1,
}
#[derive(Debug, Clone, Default)]
pub struct MountTable;
