//! Time as a handle: monotonic and wall, real or simulated.
