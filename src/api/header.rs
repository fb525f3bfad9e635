//! Names of the headers this API speaks, and their parsed values.
