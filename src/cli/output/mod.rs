//! What the client verbs print: formats, secrets as tables, single fields, warnings. It leaves where it goes to the
//! session.

pub mod go;
pub mod json;
pub mod secret;
pub mod table;
pub mod tree;
pub mod yaml;

use tree::Tree;

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    #[default]
    Table,
    Json,
    Yaml,
    /// The body of the answer as it came; only `read` knows it.
    Raw,
}

impl Format {
    /// `None` for a format that nobody knows.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        match name.to_lowercase().as_str() {
            "" | "table" | "pretty" => Some(Self::Table),
            "json" => Some(Self::Json),
            "yaml" | "yml" => Some(Self::Yaml),
            "raw" => Some(Self::Raw),
            _ => None,
        }
    }

    /// The whole value in a structured format with its line end; `None` for a table.
    #[must_use]
    pub fn structured(self, tree: &Tree) -> Option<String> {
        match self {
            Self::Table => None,
            Self::Json | Self::Raw => Some(json::pretty(tree) + "\n"),
            Self::Yaml => Some(yaml::pretty(tree)),
        }
    }

    /// One field, without a line end of our own.
    #[must_use]
    pub fn field(self, tree: &Tree) -> String {
        match self {
            Self::Table | Self::Raw => go::show(tree),
            Self::Json => json::pretty(tree),
            Self::Yaml => yaml::pretty(tree),
        }
    }
}
