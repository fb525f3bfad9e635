//! rustls for listeners and for servers, built from files and reloaded.
