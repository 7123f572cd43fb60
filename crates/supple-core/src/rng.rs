//! Counter-based random streams.

/// Random numbers that are a function of `(seed, item, sample, position)` and of nothing else.
///
/// The generator is Philox 2×64 with ten rounds (Salmon et al., *Parallel random numbers: as easy as
/// 1, 2, 3*, SC 2011). Streams of different items or samples never meet, so results do not depend
/// on the number of threads, and a backward pass draws again instead of storing.
#[derive(Debug, Clone)]
pub struct Stream {
    key: u64,
    stream: u64,
    position: u64,
    spare: Option<u64>,
}

impl Stream {
    /// The stream of one sample of one item, of 2³³ draws. Samples are counted to 2³².
    pub fn new(seed: u64, item: usize, sample: usize) -> Self {
        let item = item as u64;
        Self {
            key: seed,
            stream: item << 32 | sample as u64 & 0xffff_ffff,
            position: item >> 32 << 32,
            spare: None,
        }
    }

    /// A seed that is different at every call, for operators whose `seed` is `None`.
    pub fn fresh_seed() -> u64 {
        use std::collections::hash_map::RandomState;
        use std::hash::BuildHasher;
        use std::sync::atomic::{AtomicU64, Ordering};
        static CALLS: AtomicU64 = AtomicU64::new(0);
        RandomState::new().hash_one(CALLS.fetch_add(1, Ordering::Relaxed))
    }

    /// 64 random bits.
    #[inline]
    pub fn bits(&mut self) -> u64 {
        if let Some(bits) = self.spare.take() {
            return bits;
        }
        let [a, b] = philox(self.key, [self.position, self.stream]);
        self.position += 1;
        self.spare = Some(b);
        a
    }

    /// Fills `words` with random bits: the same as one call of [`bits`](Self::bits) for each, and faster.
    pub fn fill_bits(&mut self, words: &mut [u64]) {
        let mut words = words.iter_mut();
        if let Some(bits) = self.spare.take() {
            match words.next() {
                Some(word) => *word = bits,
                None => self.spare = Some(bits),
            }
        }
        let mut pairs = words.into_slice().chunks_exact_mut(2);
        for pair in &mut pairs {
            pair.copy_from_slice(&philox(self.key, [self.position, self.stream]));
            self.position += 1;
        }
        pairs.into_remainder().iter_mut().for_each(|word| *word = self.bits());
    }

    /// Uniform in the open interval (0, 1).
    #[inline]
    pub fn uniform(&mut self) -> f64 {
        ((self.bits() >> 12) as f64 + 0.5) * (1.0 / (1u64 << 52) as f64)
    }

    /// Uniform in `0..n`; 0 for `n = 0`.
    pub fn below(&mut self, n: usize) -> usize {
        ((self.bits() as u128 * n as u128) >> 64) as usize
    }

    /// Standard normal, by Box and Muller's method.
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * self.uniform().ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// `n` standard normals.
    pub fn normals(&mut self, n: usize) -> Vec<f64> {
        (0..n).map(|_| self.normal()).collect()
    }
}

#[inline]
fn philox(mut key: u64, mut counter: [u64; 2]) -> [u64; 2] {
    for _ in 0..10 {
        let product = counter[0] as u128 * 0xD2B7_4407_B1CE_6E93;
        counter = [(product >> 64) as u64 ^ key ^ counter[1], product as u64];
        key = key.wrapping_add(0x9E37_79B9_7F4A_7C15);
    }
    counter
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn philox_gives_the_published_vectors() {
        // Known answers of the Random123 library, philox2x64 with ten rounds.
        assert_eq!(philox(0, [0, 0]), [0xca00a0459843d731, 0x66c24222c9a845b5]);
        assert_eq!(philox(u64::MAX, [u64::MAX; 2]), [0x65b021d60cd8310f, 0x4d02f3222f86df20]);
        assert_eq!(
            philox(0xa4093822299f31d0, [0x243f6a8885a308d3, 0x13198a2e03707344]),
            [0x0a5e742c2997341c, 0xb0f883d38000de5d]
        );
    }

    #[test]
    fn bits_in_blocks_are_the_same_bits() {
        let (mut one, mut block) = (Stream::new(5, 1, 2), Stream::new(5, 1, 2));
        for count in [3, 0, 1, 4, 2, 7, 64, 5] {
            let mut words = vec![0; count];
            block.fill_bits(&mut words);
            assert!(words.iter().all(|&word| word == one.bits()));
        }
        assert_eq!(one.bits(), block.bits());
    }

    #[test]
    fn items_beyond_32_bits_have_streams_of_their_own() {
        let first = |item: u64| Stream::new(3, item as usize, 1).bits();
        let items: Vec<u64> = (0..4).flat_map(|low| (0..4u64).map(move |high| high << 32 | low)).collect();
        let firsts: std::collections::BTreeSet<u64> = items.iter().map(|&item| first(item)).collect();
        assert_eq!(firsts.len(), if usize::BITS < 64 { 4 } else { items.len() });
    }

    #[test]
    fn moments_and_independence_of_streams() {
        let n = 200_000;
        let x: Vec<f64> = (0..n).map(|i| Stream::new(7, i / 1000, i % 1000).normal()).collect();
        let mean = x.iter().sum::<f64>() / n as f64;
        let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n as f64;
        let lag = x.windows(2).map(|w| w[0] * w[1]).sum::<f64>() / n as f64;
        let bound = 4.0 / (n as f64).sqrt();
        assert!(mean.abs() < bound && (variance - 1.0).abs() < 1.5 * bound && lag.abs() < bound);
    }
}
