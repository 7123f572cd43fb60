//! The threshold of cubes.

use super::{Scale, keep};
use crate::elementary::sum_by;
use supple_core::Real;

/// τ with `Σ max(z[i] − τ, 0)³ = 1`, for entries of which the largest is 0.
///
/// Newton's method from −1, where the sum is 1 or more: the sum is convex and falls, so that no step goes
/// too far and the support only shrinks. One more step carries tangents.
pub fn cubed_simplex<T: Real>(z: &[T], candidates: &mut Vec<T::Acc>) -> T::Acc {
    let square = |c: T::Acc, from: f64| (c.as_f64() - from) * (c.as_f64() - from);
    let slope =
        |candidates: &[T::Acc], from: f64| 3.0 * sum_by(candidates, candidates, |c, _| square(c, from));
    let newton = |candidates: &[T::Acc], from: f64| {
        let sum = sum_by(candidates, candidates, |c, _| square(c, from) * (c.as_f64() - from));
        from + (sum - 1.0) / slope(candidates, from)
    };
    let mut threshold = Scale::default().collect(z, candidates, newton);
    loop {
        let next = newton(candidates, threshold);
        if next > threshold {
            threshold = next;
            keep(candidates, 0, |c| c.as_f64() > threshold);
        } else {
            // NaN stops it too.
            break;
        }
    }
    let at = T::Acc::of(threshold);
    let cubes: T::Acc = candidates.iter().map(|&c| (c - at) * (c - at).square()).sum();
    at + (cubes - T::Acc::one()) / T::Acc::of(slope(candidates, threshold))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use supple_core::Dual;

    fn cubes(z: &[f64], threshold: f64) -> f64 {
        z.iter().map(|z| (z - threshold).max(0.0).powi(3)).sum()
    }

    proptest! {
        #[test]
        fn cubes_sum_to_one(mut z in prop::collection::vec(-2.0..0.0, 1..60), ties in 0..5usize) {
            z.extend(vec![0.0; ties + 1]);
            z.push(f64::NEG_INFINITY);
            let threshold = cubed_simplex(&z, &mut vec![]);
            prop_assert!((cubes(&z, threshold) - 1.0).abs() < 1e-13, "{threshold}");
            let single: Vec<f32> = z.iter().map(|&z| z as f32).collect();
            prop_assert!((cubed_simplex(&single, &mut vec![]) - threshold).abs() < 1e-6);
        }

        #[test]
        fn tangents_keep_the_sum(z in prop::collection::vec(-1.5..0.0, 1..20)) {
            let z: Vec<f64> = z.into_iter().chain([0.0]).collect();
            let direction = |i: usize| (i as f64).cos();
            let duals: Vec<_> = z.iter().enumerate().map(|(i, &z)| Dual::new(z, direction(i))).collect();
            let threshold = cubed_simplex(&duals, &mut vec![]);
            let slope = |z: f64| (z - threshold.v).max(0.0).powi(2);
            let change: f64 = z.iter().enumerate().map(|(i, &z)| slope(z) * (direction(i) - threshold.d)).sum();
            prop_assert!(change.abs() < 1e-12, "{change:e}");
        }
    }
}
