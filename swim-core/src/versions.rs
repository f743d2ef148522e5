//! What members announce that they understand.

use serde::{Deserialize, Serialize};

/// What a member understands: the membership protocol's range and the application's. See
/// [`Member::versions`](crate::Member::versions).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Versions {
    /// Of the membership protocol.
    pub protocol: VersionRange,
    /// Of the application above it ("delegate" in memberlist; Serf: 2 to 5).
    pub application: VersionRange,
    /// Extensions understood, one bit each; native wire only, 0 on Serf's.
    pub features: u32,
}

/// A range of versions and the one that is spoken. See [`Member::versions`](crate::Member::versions).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct VersionRange {
    /// Lowest understood.
    pub min: u8,
    /// Highest understood.
    pub max: u8,
    /// Spoken.
    pub current: u8,
}
