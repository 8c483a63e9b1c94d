//! Repeatable random numbers: for the simulated feed, jitter and fault injection. Not for secrets.

/// SplitMix64: small, fast, and good enough to pick faults.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// Numbers from a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn next_bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ bits >> 31
    }

    /// A number below `end`, which is above 0.
    pub fn below(&mut self, end: usize) -> usize {
        let end = end.max(1) as u64;
        usize::try_from(self.next_bits() % end).unwrap_or(0)
    }

    /// True in `per_mille` of 1000 cases.
    pub fn happens(&mut self, per_mille: u32) -> bool {
        self.next_bits() % 1_000 < u64::from(per_mille)
    }
}
