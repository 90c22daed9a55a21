//! Random numbers of a seed and a name, so that a case alone is disturbed as it is among others: `SplitMix64`.

/// A stream of random numbers.
#[derive(Debug)]
pub(super) struct Random(u64);

impl Random {
    /// The stream of this name.
    pub(super) fn new(seed: u64, name: &str) -> Self {
        let mut stream = Self(seed);
        for byte in name.bytes() {
            stream.0 = stream.next() ^ u64::from(byte);
        }
        stream
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in `[0, 1)`.
    pub(super) fn fraction(&mut self) -> f64 {
        // 53 bits are what a number has.
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Uniform among 0 to `count - 1`.
    pub(super) fn below(&mut self, count: usize) -> usize {
        let count = u64::try_from(count.max(1)).unwrap_or(u64::MAX);
        usize::try_from(self.next() % count).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_that_of_its_seed_and_name() {
        let draws = |seed, name| {
            let mut stream = Random::new(seed, name);
            [(); 4].map(|()| stream.next())
        };
        assert_eq!(draws(1, "a"), draws(1, "a"), "again");
        assert_ne!(draws(1, "a"), draws(2, "a"), "another seed");
        assert_ne!(draws(1, "a"), draws(1, "b"), "another name");
        // The reference implementation's first numbers for the seed 1234567.
        let mut plain = Random(1_234_567);
        assert_eq!(plain.next(), 6_457_827_717_110_365_317);
        assert_eq!(plain.next(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn numbers_are_spread_evenly() {
        let mut stream = Random::new(0, "spread");
        let mean = (0..1000).map(|_| stream.fraction()).sum::<f64>() / 1000.;
        assert!((mean - 0.5).abs() < 0.05, "a mean of {mean}");
        let counts = (0..1000).fold([0; 5], |mut counts, _| {
            counts[stream.below(5)] += 1;
            counts
        });
        assert!(counts.iter().all(|count| (150..250).contains(count)), "{counts:?}");
    }
}
