//! A sorting network in vector registers: no branch that could be mispredicted.
//!
//! Keys lie in rows of one vector register each. A bitonic network sorts every column, which compares whole
//! rows; then columns are merged in pairs, fours and eights, so that the keys end up in order column after
//! column. Only the merging compares across lanes.
//!
//! AVX-512 or AVX2, chosen at run time.

#[cfg(target_arch = "x86_64")]
pub use x86::{most, sort};

/// Declines: there is no form for this processor.
#[cfg(not(target_arch = "x86_64"))]
pub fn sort(_: &mut [u64]) -> bool {
    false
}

/// None, because there is no form for this processor.
#[cfg(not(target_arch = "x86_64"))]
pub fn most() -> usize {
    0
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    /// The numbers of keys for either width, as measured.
    const LEAST: usize = 33;
    const MOST_512: usize = 1024;
    const MOST_256: usize = 256;

    /// How many keys [`sort`] takes at most on this machine.
    pub fn most() -> usize {
        match () {
            () if is_x86_feature_detected!("avx512f") => MOST_512,
            () if is_x86_feature_detected!("avx2") => MOST_256,
            () => 0,
        }
    }

    /// Sorts `keys`, if their number is one at which this machine does that faster than by other means; says
    /// whether it did.
    pub fn sort(keys: &mut [u64]) -> bool {
        if (LEAST..=MOST_512).contains(&keys.len()) && is_x86_feature_detected!("avx512f") {
            // SAFETY: the machine has the feature.
            unsafe { avx512(keys) };
            return true;
        }
        if (LEAST..=MOST_256).contains(&keys.len()) && is_x86_feature_detected!("avx2") {
            // SAFETY: the machine has the feature.
            unsafe { avx2(keys) };
            return true;
        }
        false
    }

    #[target_feature(enable = "avx512f")]
    fn avx512(keys: &mut [u64]) {
        // SAFETY: the feature is enabled here.
        unsafe {
            match keys.len() {
                0..=64 => columns::<__m512i, 8, 8>(keys),
                65..=128 => columns::<__m512i, 8, 16>(keys),
                129..=256 => columns::<__m512i, 8, 32>(keys),
                257..=512 => columns::<__m512i, 8, 64>(keys),
                _ => columns::<__m512i, 8, { MOST_512 / 8 }>(keys),
            }
        }
    }

    #[target_feature(enable = "avx2")]
    fn avx2(keys: &mut [u64]) {
        // SAFETY: the feature is enabled here.
        unsafe {
            match keys.len() {
                0..=64 => columns::<__m256i, 4, 16>(keys),
                65..=128 => columns::<__m256i, 4, 32>(keys),
                _ => columns::<__m256i, 4, { MOST_256 / 4 }>(keys),
            }
        }
    }

    /// A register of `LANES` signed keys. Methods may be called where its instructions are enabled.
    trait Row<const LANES: usize>: Copy {
        fn load(lanes: [i64; LANES]) -> Self;
        fn lanes(self) -> [i64; LANES];
        /// The smaller and the larger key of each lane.
        unsafe fn exchange(self, other: Self) -> (Self, Self);
        /// Lane `l` of `self` against lane `l ^ XOR` of `other`: the smaller one where `l` is the lower of
        /// the two.
        unsafe fn across<const XOR: usize>(self, other: Self) -> Self;
    }

    impl Row<8> for __m512i {
        #[inline(always)]
        fn load(lanes: [i64; 8]) -> Self {
            // SAFETY: both are 64 plain bytes.
            unsafe { std::mem::transmute(lanes) }
        }
        #[inline(always)]
        fn lanes(self) -> [i64; 8] {
            // SAFETY: both are 64 plain bytes.
            unsafe { std::mem::transmute(self) }
        }
        #[inline(always)]
        unsafe fn exchange(self, other: Self) -> (Self, Self) {
            // SAFETY: the caller has enabled AVX-512.
            unsafe { (_mm512_min_epi64(self, other), _mm512_max_epi64(self, other)) }
        }
        #[inline(always)]
        unsafe fn across<const XOR: usize>(self, other: Self) -> Self {
            let partner = Self::load(std::array::from_fn(|l| (l ^ XOR) as i64));
            let upper = (0..8).filter(|l| l & (XOR & !(XOR >> 1)) != 0).fold(0, |mask, l| mask | 1 << l);
            // SAFETY: the caller has enabled AVX-512.
            unsafe {
                let other = _mm512_permutexvar_epi64(partner, other);
                _mm512_mask_max_epi64(_mm512_min_epi64(self, other), upper, self, other)
            }
        }
    }

    impl Row<4> for __m256i {
        #[inline(always)]
        fn load(lanes: [i64; 4]) -> Self {
            // SAFETY: both are 32 plain bytes.
            unsafe { std::mem::transmute(lanes) }
        }
        #[inline(always)]
        fn lanes(self) -> [i64; 4] {
            // SAFETY: both are 32 plain bytes.
            unsafe { std::mem::transmute(self) }
        }
        #[inline(always)]
        unsafe fn exchange(self, other: Self) -> (Self, Self) {
            // SAFETY: the caller has enabled AVX2.
            unsafe {
                let greater = _mm256_cmpgt_epi64(self, other);
                (_mm256_blendv_epi8(self, other, greater), _mm256_blendv_epi8(other, self, greater))
            }
        }
        #[inline(always)]
        unsafe fn across<const XOR: usize>(self, other: Self) -> Self {
            // SAFETY: the caller has enabled AVX2.
            unsafe {
                match XOR {
                    1 => {
                        let (least, most) = self.exchange(_mm256_permute4x64_epi64::<0b10_11_00_01>(other));
                        _mm256_blend_epi32::<0b1100_1100>(least, most)
                    }
                    3 => {
                        let (least, most) = self.exchange(_mm256_permute4x64_epi64::<0b00_01_10_11>(other));
                        _mm256_blend_epi32::<0b1111_0000>(least, most)
                    }
                    _ => unreachable!("four lanes"),
                }
            }
        }
    }

    /// Turns the order of unsigned keys into that of signed ones, which is what AVX2 compares.
    const SIGN: u64 = 1 << 63;

    /// Sorts up to `LANES * COUNT` keys; the last places are filled with the largest key. May be called where
    /// the instructions of `V` are enabled.
    #[inline(always)]
    unsafe fn columns<V: Row<LANES>, const LANES: usize, const COUNT: usize>(keys: &mut [u64]) {
        debug_assert!(keys.len() <= LANES * COUNT, "{} keys", keys.len());
        let mut rows = [V::load([i64::MAX; LANES]); COUNT];
        let (full, rest) = keys.as_chunks::<LANES>();
        for (row, keys) in rows.iter_mut().zip(full) {
            *row = V::load(keys.map(|key| (key ^ SIGN) as i64));
        }
        if let Some(row) = rows.get_mut(full.len()) {
            *row = V::load(std::array::from_fn(|l| rest.get(l).map_or(i64::MAX, |key| (key ^ SIGN) as i64)));
        }
        // SAFETY: the caller has enabled the instructions.
        unsafe { network(&mut rows) };
        let mut lanes = [[0; LANES]; COUNT];
        lanes.iter_mut().zip(&rows).for_each(|(lanes, row)| *lanes = row.lanes());
        for (l, column) in keys.chunks_mut(COUNT).enumerate() {
            for (key, lanes) in column.iter_mut().zip(&lanes) {
                *key = lanes[l] as u64 ^ SIGN;
            }
        }
    }

    #[inline(always)]
    unsafe fn network<V: Row<LANES>, const LANES: usize>(rows: &mut [V]) {
        let count = rows.len();
        let mut half = 1;
        // SAFETY: the caller has enabled the instructions.
        unsafe {
            while half < count {
                for run in rows.chunks_exact_mut(2 * half) {
                    let (lower, upper) = run.split_at_mut(half);
                    for (a, b) in lower.iter_mut().zip(upper.iter_mut().rev()) {
                        (*a, *b) = a.exchange(*b);
                    }
                }
                merge(rows, half / 2);
                half *= 2;
            }
            mirror::<V, LANES, 1>(rows);
            merge(rows, count / 2);
            mirror::<V, LANES, 3>(rows);
            within::<V, LANES, 1>(rows);
            merge(rows, count / 2);
            if LANES == 8 {
                mirror::<V, LANES, 7>(rows);
                within::<V, LANES, 2>(rows);
                within::<V, LANES, 1>(rows);
                merge(rows, count / 2);
            }
        }
    }

    /// Compares rows at distances `stride`, `stride / 2`, …, 1, two distances in one pass.
    #[inline(always)]
    unsafe fn merge<V: Row<LANES>, const LANES: usize>(rows: &mut [V], mut stride: usize) {
        // SAFETY: the caller has enabled the instructions.
        unsafe {
            while stride > 1 {
                for run in rows.chunks_exact_mut(2 * stride) {
                    let (lower, upper) = run.split_at_mut(stride);
                    let ((a, b), (c, d)) = (lower.split_at_mut(stride / 2), upper.split_at_mut(stride / 2));
                    for (((a, b), c), d) in a.iter_mut().zip(b).zip(c).zip(d) {
                        let ((a0, c0), (b0, d0)) = (a.exchange(*c), b.exchange(*d));
                        ((*a, *b), (*c, *d)) = (a0.exchange(b0), c0.exchange(d0));
                    }
                }
                stride /= 4;
            }
            if stride == 1 {
                for [a, b] in rows.as_chunks_mut::<2>().0 {
                    (*a, *b) = a.exchange(*b);
                }
            }
        }
    }

    /// Compares the columns of each group of `XOR + 1` with their mirror images.
    #[inline(always)]
    unsafe fn mirror<V: Row<LANES>, const LANES: usize, const XOR: usize>(rows: &mut [V]) {
        let (lower, upper) = rows.split_at_mut(rows.len() / 2);
        for (a, b) in lower.iter_mut().zip(upper.iter_mut().rev()) {
            // SAFETY: the caller has enabled the instructions.
            (*a, *b) = unsafe { (a.across::<XOR>(*b), b.across::<XOR>(*a)) };
        }
    }

    /// Compares lanes of each row.
    #[inline(always)]
    unsafe fn within<V: Row<LANES>, const LANES: usize, const XOR: usize>(rows: &mut [V]) {
        for row in rows {
            // SAFETY: the caller has enabled the instructions.
            *row = unsafe { row.across::<XOR>(*row) };
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;
        use supple_core::Stream;

        #[test]
        fn both_widths_agree_with_the_standard_library() {
            let random = &mut Stream::new(0, 0, 0);
            for n in (0..200).chain([255, 256, 257, 511, 512, 513, 700, 1023, 1024]) {
                let keys: Vec<u64> = (0..n).map(|_| (random.uniform() * u64::MAX as f64) as u64).collect();
                let few = keys.iter().map(|key| key >> 61 << 61).collect();
                let ends = keys.iter().map(|key| if key % 2 == 0 { 0 } else { u64::MAX }).collect();
                for keys in [keys, few, ends] {
                    let mut expected = keys.clone();
                    expected.sort_unstable();
                    let check = |sort: unsafe fn(&mut [u64])| {
                        let mut sorted = keys.clone();
                        // SAFETY: only called where the machine has the feature.
                        unsafe { sort(&mut sorted) };
                        assert_eq!(sorted, expected);
                    };
                    if is_x86_feature_detected!("avx512f") {
                        check(avx512);
                    }
                    if n <= MOST_256 && is_x86_feature_detected!("avx2") {
                        check(avx2);
                    }
                }
            }
        }
    }
}
