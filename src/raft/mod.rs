//! Agreement on a log of bytes: the consensus library, its log on disk and its state machine, behind one handle.
