//! Values that must not be printed: wiped on drop, compared in constant time.
