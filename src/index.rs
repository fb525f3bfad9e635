//! The replication index: how far a node's storage has come. It knows both header dialects and nothing of HTTP.
