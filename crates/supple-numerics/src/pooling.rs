//! Isotonic regression of any sequence, by pooling adjacent violators: with weights, or of the difference of
//! two sorted sequences.
//!
//! [`isotonic`](crate::isotonic) is for sorted values against a known line, and quicker at that. Here, as
//! there, blocks are compared by the gap between them and by their values relative to their first elements,
//! so that a large offset does not decide, and blocks of equal value are pooled. Time and memory are O(n).
//! Only values are looked at: what a block's value is, the caller computes again from its elements.

use supple_core::{Real, Scratch};

/// What the elements of a block have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mean {
    /// $\sum_i w_i x_i / \sum_i w_i$: least squares.
    Arithmetic,
    /// $\ln (\sum_i w_i e^{x_i} / \sum_i w_i)$: Kullback-Leibler divergence of the exponentials.
    Exponential,
}

impl Mean {
    /// The mean of 0 and `step` with weights of these shares.
    fn of_two(self, step: f64, shares: [f64; 2]) -> f64 {
        match self {
            Mean::Arithmetic => shares[1] * step,
            Mean::Exponential if step > 0.0 => step + log_mean(-step, [shares[1], shares[0]]),
            Mean::Exponential => log_mean(step, shares),
        }
    }
}

/// `ln(p + q exp(step))` for `p + q = 1` and a step that is not positive.
fn log_mean(step: f64, [p, q]: [f64; 2]) -> f64 {
    match step {
        _ if p == 0.0 => step,
        step if step > -1.0 => (q * step.exp_m1()).ln_1p(),
        step => (p + q * step.exp()).ln(),
    }
}

/// The weight of a block. One of which all weights are zero counts its elements.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Weight {
    Sum(f64),
    Zeros(f64),
}

impl Weight {
    /// The weight of two blocks together, and the share of each. Zeros count for nothing beside others.
    fn with(self, other: Self) -> (Self, [f64; 2]) {
        match (self, other) {
            (Weight::Sum(a), Weight::Sum(b)) => (Weight::Sum(a + b), [a / (a + b), b / (a + b)]),
            (Weight::Zeros(a), Weight::Zeros(b)) => (Weight::Zeros(a + b), [a / (a + b), b / (a + b)]),
            (sum @ Weight::Sum(_), _) => (sum, [1.0, 0.0]),
            (_, sum) => (sum, [0.0, 1.0]),
        }
    }
}

/// The blocks of $\min_v \sum_i w_i D(x_i, v_i)$ over $v_1 \le v_2 \le \dots$, or $\ge$ if `decreasing`,
/// where the value of a block is the `mean` of its elements: where each starts, and the length of `x`.
///
/// Values are to be finite, weights finite and not negative. Elements of weight zero count as if their
/// weights were equal and small beyond measure.
///
/// ```
/// # use supple_core::Scratch;
/// # use supple_numerics::pooling::{Mean, weighted};
/// let x = [1.0, 3.0, 2.0, 4.0];
/// let starts = weighted(&x, &[1.0; 4], false, Mean::Arithmetic, &mut Scratch::default());
/// assert_eq!(starts, [0, 1, 3, 4]);
/// ```
pub fn weighted<T: Real>(
    x: &[T],
    weights: &[T],
    decreasing: bool,
    mean: Mean,
    scratch: &mut Scratch<T>,
) -> Vec<u32> {
    let mut starts = scratch.indices.empty();
    // Of the blocks below the top one.
    let mut values: Vec<(f64, Weight)> = vec![];
    let at = |i: u32| x[i as usize].as_f64();
    for i in 0..x.len() as u32 {
        let weight = weights[i as usize].as_f64();
        let weight = if weight > 0.0 { Weight::Sum(weight) } else { Weight::Zeros(1.0) };
        let mut top = (i, 0.0, weight);
        while let (Some(&start), Some(&(value, weight))) = (starts.last(), values.last()) {
            let step = (at(top.0) - at(start)) + (top.1 - value);
            if if decreasing { step < 0.0 } else { step > 0.0 } {
                break;
            }
            let (sum, shares) = weight.with(top.2);
            top = (start, value + mean.of_two(step, shares), sum);
            starts.pop();
            values.pop();
        }
        starts.push(top.0);
        values.push((top.1, top.2));
    }
    starts.push(x.len() as u32);
    starts
}

/// The blocks of the increasing regression of $z - w$ for `z` and `w` that ascend, where the value of a block
/// is the mean of its `z` less that of its `w`: where each starts, and the length.
pub fn difference<T: Real>(z: &[T], w: &[T], mean: Mean, scratch: &mut Scratch<T>) -> Vec<u32> {
    let mut starts = scratch.indices.empty();
    let mut values: Vec<[f64; 2]> = vec![];
    let gap = |x: &[T], i: u32, j: u32| x[j as usize].as_f64() - x[i as usize].as_f64();
    for i in 0..z.len() as u32 {
        let (mut top, mut value) = (i, [0.0; 2]);
        let end = i + 1;
        while let (Some(&start), Some(&below)) = (starts.last(), values.last()) {
            let of_z = gap(z, start, top) + (value[0] - below[0]);
            let of_w = gap(w, start, top) + (value[1] - below[1]);
            if of_z > of_w {
                break;
            }
            let shares = [top - start, end - top].map(|n| f64::from(n) / f64::from(end - start));
            value = [below[0] + mean.of_two(of_z, shares), below[1] + mean.of_two(of_w, shares)];
            top = start;
            starts.pop();
            values.pop();
        }
        starts.push(top);
        values.push(value);
    }
    starts.push(z.len() as u32);
    starts
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of_block(x: &[f64], weights: &[f64], mean: Mean) -> f64 {
        let total: f64 = weights.iter().sum();
        let equal = vec![1.0; x.len()];
        let weights = if total > 0.0 { weights } else { &equal };
        let average = |x: &mut dyn Iterator<Item = f64>| {
            x.zip(weights).map(|(x, w)| x * w).sum::<f64>() / weights.iter().sum::<f64>()
        };
        match mean {
            Mean::Arithmetic => average(&mut x.iter().copied()),
            Mean::Exponential => {
                let top = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                top + average(&mut x.iter().map(|x| (x - top).exp())).ln()
            }
        }
    }

    /// The greatest of the least values over blocks that hold a position.
    fn minimax(n: usize, value: impl Fn(usize, usize) -> f64) -> Vec<f64> {
        let least = |i, k| (k..n).map(|j| value(i, j + 1)).fold(f64::INFINITY, f64::min);
        (0..n).map(|k| (0..=k).map(|i| least(i, k)).fold(f64::NEG_INFINITY, f64::max)).collect()
    }

    fn check(
        starts: &[u32],
        expected: &[f64],
        value: impl Fn(usize, usize) -> f64,
    ) -> Result<(), TestCaseError> {
        for ends in starts.windows(2) {
            let (start, end) = (ends[0] as usize, ends[1] as usize);
            let found = value(start, end);
            for v in &expected[start..end] {
                prop_assert!((v - found).abs() < 1e-9 * (1.0 + v.abs()), "{v} {found} {starts:?}");
            }
        }
        Ok(())
    }

    fn value() -> impl Strategy<Value = f64> {
        prop_oneof![3 => -3.0..3.0, 2 => (-4i32..4).prop_map(f64::from), 1 => -50.0..50.0]
    }

    proptest! {
        #[test]
        fn weighted_agrees_with_the_minimax_formula(
            pairs in prop::collection::vec(
                (value(), prop_oneof![3 => 0.1..3.0, 1 => Just(0.0), 1 => Just(1e-9)]), 0..20),
            decreasing: bool,
        ) {
            let (x, weights): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
            let scratch = &mut Scratch::default();
            for mean in [Mean::Arithmetic, Mean::Exponential] {
                let starts = weighted(&x, &weights, decreasing, mean, scratch);
                let sign = if decreasing { -1.0 } else { 1.0 };
                let value = |i: usize, j: usize| sign * of_block(&x[i..j], &weights[i..j], mean);
                check(&starts, &minimax(x.len(), value), value)?;
            }
        }

        #[test]
        fn differences_agree_with_the_minimax_formula(
            mut z in prop::collection::vec(value(), 0..20),
            w in prop::collection::vec(value(), 20),
            scale in prop_oneof![Just(1.0), Just(0.1), Just(10.0)],
        ) {
            let mut w: Vec<f64> = w[..z.len()].iter().map(|w| w * scale).collect();
            z.sort_by(f64::total_cmp);
            w.sort_by(f64::total_cmp);
            let (ones, scratch) = (vec![1.0; z.len()], &mut Scratch::default());
            for mean in [Mean::Arithmetic, Mean::Exponential] {
                let starts = difference(&z, &w, mean, scratch);
                let value = |i: usize, j: usize| {
                    of_block(&z[i..j], &ones[i..j], mean) - of_block(&w[i..j], &ones[i..j], mean)
                };
                check(&starts, &minimax(z.len(), value), value)?;
            }
        }
    }

    #[test]
    fn neither_scale_nor_offset_decides() {
        let x = [0.5, 0.25, 0.75, -0.5, 1.0, 1.25, 1.0];
        let w = [1.0, 2.0, 1.0, 0.5, 1.0, 1.0, 4.0];
        let scratch = &mut Scratch::default();
        let expected = weighted(&x, &w, false, Mean::Arithmetic, scratch);
        for (scale, offset, of_weights) in [(1.0, f64::exp2(40.0), 1.0), (f64::exp2(-40.0), 0.0, 1e-200)] {
            let x = x.map(|x| x * scale + offset);
            let w = w.map(|w| w * of_weights);
            assert_eq!(weighted(&x, &w, false, Mean::Arithmetic, scratch), expected);
        }
    }
}
