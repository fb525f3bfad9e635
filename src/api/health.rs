//! sys/health and sys/leader bodies, decided by JSON fields and never by status code.
