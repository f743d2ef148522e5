//! A fuzz input as a source of values.

use core::net::{IpAddr, Ipv4Addr};

/// Takes values off the front; what is missing at the end is zero or empty.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bytes<'a>(pub(super) &'a [u8]);

impl<'a> Bytes<'a> {
    pub(super) fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    pub(super) fn u8(&mut self) -> u8 {
        self.byte().unwrap_or(0)
    }

    pub(super) fn u16(&mut self) -> u16 {
        u16::from_le_bytes([self.u8(), self.u8()])
    }

    pub(super) fn u32(&mut self) -> u32 {
        u32::from(self.u16()) | u32::from(self.u16()) << 16
    }

    pub(super) fn u64(&mut self) -> u64 {
        u64::from(self.u32()) | u64::from(self.u32()) << 32
    }

    pub(super) fn flag(&mut self) -> bool {
        self.u8() & 1 == 1
    }

    pub(super) fn take(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// As many bytes as the next one says.
    pub(super) fn short(&mut self) -> &'a [u8] {
        let len = self.u8();
        self.take(len.into())
    }

    /// Nothing, an IPv4 address, one in 16 bytes, or one of IPv6.
    pub(super) fn ip(&mut self) -> Option<IpAddr> {
        match self.u8() % 4 {
            0 => None,
            1 => Some(Ipv4Addr::from(self.u32()).into()),
            2 => Some(Ipv4Addr::from(self.u32()).to_ipv6_mapped().into()),
            _ => {
                let mut octets = [0; 16];
                let taken = self.take(16);
                octets[..taken.len()].copy_from_slice(taken);
                Some(octets.into())
            }
        }
    }
}
