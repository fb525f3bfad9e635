//! How the root key is protected while a node is down, and how it comes back: shares, a static key, unsealing.
