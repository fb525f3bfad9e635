//! Numbers of the process from /proc/self.
