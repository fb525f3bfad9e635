//! understudy dev
