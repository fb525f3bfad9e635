//! Request paths as Go's server sees them: parsed once, unclean ones named. Knows no route.
