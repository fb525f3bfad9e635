//! understudy proxy
