//! Connect to a server: TCP, TLS, deadlines.
