//! The guides, as far as a compiler can check them: `cargo test -p swim-guides` compiles every Rust block in them and in
//! the README, and runs those that are not marked `no_run`.
//!
//! A crate of its own because these files belong to no published crate: `include_str!` must not reach out of a package.

/// docs/embedding.md
#[cfg(doctest)]
#[doc = include_str!("embedding.md")]
mod embedding {}

/// docs/security.md
#[cfg(doctest)]
#[doc = include_str!("security.md")]
mod security {}

/// docs/migrating.md
#[cfg(doctest)]
#[doc = include_str!("migrating.md")]
mod migrating {}

/// docs/operations.md
#[cfg(doctest)]
#[doc = include_str!("operations.md")]
mod operations {}

/// README.md
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
