//! Idle connections of one worker per server: LIFO, bounded, aged.
