//! The application log and build information.
