//! understudy explain
