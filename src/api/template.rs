//! Path templates: the shape of a path without its secret segments.
#[derive(Debug, Clone)]
pub struct Template;
