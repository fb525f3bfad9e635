//! PROXY protocol v1 and v2 on accepted connections.
