//! A cursor over received bytes that cannot run past their end.

/// The bytes end before the value does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Truncated;

/// What is left of some received bytes. A failed read takes nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], Truncated> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Truncated> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(Truncated)?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Truncated> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    /// Big-endian, as are all numbers here unless said otherwise.
    pub(crate) fn u16(&mut self) -> Result<u16, Truncated> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Truncated> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Truncated> {
        self.array().map(u64::from_be_bytes)
    }

    pub(crate) fn u32_le(&mut self) -> Result<u32, Truncated> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(crate) const fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// What was read since `earlier`, an older copy of this cursor.
    pub(crate) fn since(&self, earlier: &Self) -> &'a [u8] {
        earlier.rest.get(..earlier.rest.len().saturating_sub(self.rest.len())).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_read_takes_nothing() {
        let mut reader = Reader::new(&[1, 2, 3, 4, 5]);
        let start = reader;
        assert_eq!(reader.u16(), Ok(0x0102));
        assert_eq!(reader.u32(), Err(Truncated));
        assert_eq!(reader.take(4), Err(Truncated));
        assert_eq!(reader.take(3), Ok(&[3, 4, 5][..]));
        assert_eq!(reader.u8(), Err(Truncated));
        assert_eq!(reader.since(&start), [1, 2, 3, 4, 5]);
        assert_eq!(reader.remaining(), 0);
    }
}
