//! The adapter that runs swim's driver on smol.
//!
//! It is not there yet: this crate exports nothing.
