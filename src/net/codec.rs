//! HTTP/1.1 towards a server: one request out, one answer in.
