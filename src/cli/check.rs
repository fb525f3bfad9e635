//! understudy check
