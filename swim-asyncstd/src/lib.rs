//! The adapter that runs swim's driver on async-std.
//!
//! It is not there yet: this crate exports nothing.
