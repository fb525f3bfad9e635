//! From a YAML file to a checked [`proxy::ProxyConfig`], with every mistake reported at once.
pub mod proxy;
