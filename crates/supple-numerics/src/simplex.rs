//! Thresholds of the simplex and its relatives: the one number that a projection has to find.
//!
//! | set | projection of z | function |
//! |---|---|---|
//! | simplex $\lbrace y \ge 0, \sum y = s\rbrace$ | $\max(z_i - \tau, 0)$ | [`simplex`] |
//! | capped simplex $\lbrace 0 \le y \le 1, \sum y = k\rbrace$ | $\min(\max(z_i - \tau, 0), 1)$ | [`capped_simplex`] |
//! | the same, in binary entropy | $1 / (1 + e^{\tau - z_i})$ | [`logistic`] |
//! | the same, in Shannon's entropy | $\min(e^{z_i - \tau}, 1)$ | [`capped_exponential`] |
//! | the same, in the p-norm with $r = 1 / (p - 1)$ | $\min(\max(z_i - \tau, 0), 1)^r$ | [`capped_power`] |
//! | simplex with $s = 1$, in Tsallis's entropy of order 3/2 | $\max(z_i - \tau, 0)^2$ | [`squared_simplex`] |
//! | the same, of order 4/3 | $\max(z_i - \tau, 0)^3$ | [`cubed_simplex`] |
//!
//! All are O(n) expected, on any data: the pivots of the first two are drawn at random (from a fixed seed).
//! Thresholds carry tangents. $-\infty$ entries are never chosen; NaN must be kept out by
//! [`largest`].

mod capped;
mod cubic;
mod mask;
mod support;

pub use capped::{capped_exponential, capped_power};
pub use cubic::cubed_simplex;
pub use mask::{capped_simplex, logistic};
pub use support::{Scale, any, peaks};

use crate::elementary::sum_by;
use supple_core::{Float, Real, Stream};

/// The largest value: NaN if there is one, −∞ if there is nothing.
pub fn largest<T: Real>(x: &[T]) -> T::Value {
    let greater = |a: T::Value, b: T::Value| if b > a { b } else { a };
    let mut lanes = [T::Value::of(f64::NEG_INFINITY); 16];
    let (rows, rest) = x.as_chunks::<16>();
    let mut spoilt = rest.iter().any(|x| x.is_nan());
    for row in rows {
        spoilt |= row.iter().fold(false, |any, x| any | x.is_nan());
        lanes = std::array::from_fn(|i| greater(lanes[i], row[i].value()));
    }
    let lanes = lanes.into_iter().chain(rest.iter().map(|x| x.value()));
    if spoilt { T::Value::nan() } else { lanes.fold(T::Value::of(f64::NEG_INFINITY), greater) }
}

/// The `k`-th and the next largest value, for `1 <= k <= n`; the next of the last is −∞. NaN counts as
/// largest. O(n) in the worst case.
///
/// Where k is small, k + 1 rows of a few entries have a largest entry that is not below the k + 1-th largest of
/// these: few others need to be looked at.
pub fn kth_largest<T: Real>(x: &[T], k: usize, keys: &mut Vec<u64>) -> (T::Value, T::Value) {
    const ROW: usize = 16;
    keys.clear();
    if x.len() >= 3 * ROW * (k + 1) {
        keys.extend(x.as_chunks::<ROW>().0.iter().map(|row| !largest_but_nan(row).key()));
        let bound = T::Value::from_key(!*keys.select_nth_unstable(k).1);
        keys.clear();
        let counts = |x: &T| (x.value() >= bound) | x.value().is_nan();
        for row in x.chunks(ROW) {
            if row.iter().fold(false, |any, x| any | counts(x)) {
                keys.extend(row.iter().filter(|x| counts(x)).map(|x| !x.value().key()));
            }
        }
    } else {
        keys.extend(x.iter().map(|x| !x.value().key()));
    }
    let (_, &mut kth, rest) = keys.select_nth_unstable(k - 1);
    let next = rest.iter().min().map_or(T::Value::of(f64::NEG_INFINITY), |&key| T::Value::from_key(!key));
    (T::Value::from_key(!kth), next)
}

#[inline]
fn largest_but_nan<T: Real>(row: &[T]) -> T::Value {
    let bottom = T::Value::of(f64::NEG_INFINITY);
    row.iter().fold(bottom, |largest, x| if x.value() > largest { x.value() } else { largest })
}

/// τ with `Σ max(z[i] − τ, 0) = total`, for a positive total and the finite [`largest`] entry `top`.
pub fn simplex<T: Real>(z: &[T], top: T::Value, total: f64, candidates: &mut Vec<T::Acc>) -> T::Acc {
    let threshold = scaled_simplex(z, Scale { top, unit: total, peaks: &[] }, candidates);
    T::Acc::of(top.to_f64()) + T::Acc::of(total) * threshold
}

/// τ with `Σ max(z[i] − τ, 0) = 1` for entries on this scale.
///
/// The mean over a set that holds the support is a bound that drops entries from the set (Michelot 1986);
/// where it drops few, a random pivot halves the set (Duchi et al. 2008), so that no data make it quadratic.
pub fn scaled_simplex<T: Real>(z: &[T], scale: Scale<T>, candidates: &mut Vec<T::Acc>) -> T::Acc {
    scale.collect(z, candidates, |candidates, from| {
        let excess = sum_by(candidates, candidates, |c, _| c.as_f64() - from);
        from + (excess - 1.0) / candidates.len() as f64
    });
    threshold_of(candidates)
}

/// τ with `Σ max(z[i] − τ, 0)² = 1`, for entries of which the largest is 0.
pub fn squared_simplex<T: Real>(z: &[T], candidates: &mut Vec<T::Acc>) -> T::Acc {
    scaled_squared_simplex(z, Scale::default(), candidates)
}

/// [`squared_simplex`] for entries on this scale.
///
/// Newton's method from −1, where the sum is 1 or more: the sum is convex and falls, so that no step goes
/// too far and the support only shrinks. Then the root of the quadratic on the support, which carries
/// tangents.
pub fn scaled_squared_simplex<T: Real>(z: &[T], scale: Scale<T>, candidates: &mut Vec<T::Acc>) -> T::Acc {
    let newton = |candidates: &[T::Acc], from: f64| {
        let slope = sum_by(candidates, candidates, |c, _| c.as_f64() - from);
        let sum = sum_by(candidates, candidates, |c, _| (c.as_f64() - from) * (c.as_f64() - from));
        from + 0.5 * (sum - 1.0) / slope
    };
    let mut threshold = scale.collect(z, candidates, newton);
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
    let count = T::Acc::of(candidates.len() as f64);
    let mean = candidates.iter().copied().sum::<T::Acc>() / count;
    let spread: T::Acc = candidates.iter().map(|&c| (c - mean).square()).sum();
    mean - ((T::Acc::one() - spread) / count).sqrt()
}

/// Keeps the entries from `start` on for which `chosen`, without a branch on each.
fn keep<A: Real>(entries: &mut Vec<A>, start: usize, mut chosen: impl FnMut(A) -> bool) {
    let mut end = start;
    for i in start..entries.len() {
        let entry = entries[i];
        entries[end] = entry;
        end += chosen(entry) as usize;
    }
    entries.truncate(end);
}

/// The threshold of entries that hold the support, which are used up, for a sum of one.
fn threshold_of<A: Real>(candidates: &mut Vec<A>) -> A {
    let sum_above = |c: &[A], pivot: A| sum_by(c, c, |c, _| if c >= pivot { c } else { A::zero() });
    let (total, mut sum, mut count) = (A::one(), A::zero(), 0);
    let mut random = Stream::new(0, candidates.len(), 0);
    loop {
        let before = candidates.len();
        let size = A::of((count + before) as f64);
        let bound = (sum + sum_by(candidates, candidates, |c, _| c) - total) / size;
        keep(candidates, 0, |c| c > bound);
        let after = candidates.len();
        if after == before {
            return bound;
        }
        if 8 * after > 7 * before {
            let pivot = candidates[random.below(after)];
            let more = candidates.iter().filter(|&&c| c >= pivot).count();
            let more_sum = sum_above(candidates, pivot);
            if (sum + more_sum - total).as_f64() < (count + more) as f64 * pivot.as_f64() {
                sum += more_sum;
                count += more;
                keep(candidates, 0, |c| c < pivot);
            } else {
                keep(candidates, 0, |c| c > pivot);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use supple_core::Dual;

    /// Where `sum` falls through `target`.
    fn bisect(z: &[f64], target: f64, entry: impl Fn(f64) -> f64) -> f64 {
        let reach = 1e3 + z.iter().filter(|z| z.is_finite()).fold(0.0, |a: f64, z| a.max(z.abs()));
        let (mut low, mut high) = (-reach, reach);
        for _ in 0..200 {
            let middle = 0.5 * (low + high);
            let sum: f64 = z.iter().map(|z| entry(z - middle)).sum();
            if sum >= target { low = middle } else { high = middle }
        }
        low
    }

    fn clamped(z: f64) -> f64 {
        z.clamp(0.0, 1.0)
    }

    fn sigmoid(z: f64) -> f64 {
        1.0 / (1.0 + (-z).exp())
    }

    /// Centres on the k-th largest, as `capped_simplex` and `logistic` want it.
    fn centre(z: &[f64], k: usize) -> (Vec<f64>, f64) {
        let (kth, next) = kth_largest(z, k, &mut vec![]);
        (z.iter().map(|z| z - kth).collect(), next - kth)
    }

    fn data() -> impl Strategy<Value = Vec<f64>> {
        let value = prop_oneof![
            4 => -3.0..3.0,
            2 => (-4i32..4).prop_map(|i| i as f64 / 2.0),
            1 => Just(f64::NEG_INFINITY),
            1 => -1e9..1e9,
        ];
        prop::collection::vec(value, 1..40)
    }

    proptest! {
        #[test]
        fn simplex_sums_to_the_total(mut z in data(), total in 1e-3..50.0) {
            z[0] = 0.25;
            let threshold = simplex(&z, largest(&z), total, &mut vec![]);
            let sum: f64 = z.iter().map(|z| (z - threshold).max(0.0)).sum();
            let scale = 1.0 + total + threshold.abs();
            prop_assert!((sum - total).abs() <= 1e-13 * scale, "{sum} for {total}");
            let expected = bisect(&z, total, |z| z.max(0.0));
            prop_assert!((threshold - expected).abs() <= 1e-13 * scale, "{threshold} for {expected}");
        }

        #[test]
        fn masks_sum_to_k(z in data(), part in 0.0..1.0) {
            let finite = z.iter().filter(|z| z.is_finite()).count();
            prop_assume!(finite >= 2);
            let k = 1 + (part * (finite - 1) as f64) as usize;
            let (z, next) = centre(&z, k);
            let target = k as f64;
            let check = |name: &str, threshold: f64, entry: fn(f64) -> f64| {
                let sum: f64 = z.iter().map(|z| entry(z - threshold)).sum();
                prop_assert!((sum - target).abs() <= 1e-12 * target, "{name}: {sum} for {target}");
                let expected = bisect(&z, target, entry);
                let at = |threshold: f64| z.iter().map(move |z| entry(z - threshold));
                let apart = at(threshold).zip(at(expected)).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
                prop_assert!(apart <= 1e-12, "{name}: entries differ by {apart:e}");
                Ok(())
            };
            check("capped simplex", capped_simplex(&z, k, next, &mut vec![]), clamped)?;
            check("logistic", logistic(&z, k, next, &mut vec![]), sigmoid)?;
        }
    }

    proptest! {
        #[test]
        fn kth_largest_is_that_of_the_sorted(
            x in prop::collection::vec(prop_oneof![-3.0..3.0, (-2i32..2).prop_map(f64::from)], 1..400),
            part in 0.0..1.0,
        ) {
            let k = 1 + (part * part * part * (x.len() - 1) as f64) as usize;
            let mut sorted: Vec<f64> = x.clone();
            sorted.sort_by(|a, b| b.total_cmp(a));
            let next = sorted.get(k).copied().unwrap_or(f64::NEG_INFINITY);
            prop_assert_eq!(kth_largest(&x, k, &mut vec![]), (sorted[k - 1], next));
        }
    }

    #[test]
    fn no_data_are_slow() {
        // Each entry twice as far down as the one before: every bound drops few of them.
        let n = 200_000;
        let spread: Vec<f64> = (0..n).map(|i| -(1.0 - 1.0 / (1.0 + i as f64))).collect();
        let halving: Vec<f64> = (0..n).map(|i| 2f64.powi(-(i % 1000))).collect();
        let equal = vec![0.0; n as usize];
        for z in [spread, halving, equal] {
            let start = std::time::Instant::now();
            for total in [1.0, 1000.0] {
                let threshold = simplex(&z, largest(&z), total, &mut vec![]);
                let sum: f64 = z.iter().map(|z| (z - threshold).max(0.0)).sum();
                assert!((sum - total).abs() < 1e-9 * total, "{sum}");
            }
            for k in [1, n as usize / 2] {
                let (z, next) = centre(&z, k);
                let threshold = capped_simplex(&z, k, next, &mut vec![]);
                let sum: f64 = z.iter().map(|z| clamped(z - threshold)).sum();
                assert!((sum - k as f64).abs() < 1e-9 * k as f64, "{sum}");
            }
            assert!(start.elapsed().as_secs() < 5);
        }
    }

    #[test]
    fn tangents_keep_the_sum() {
        let z = [0.4, 0.0, -0.1, -0.3, -2.0];
        let k = 2;
        let duals: Vec<_> = z.iter().enumerate().map(|(i, &z)| Dual::new(z, (i as f64).cos())).collect();
        let moved = |step: f64| {
            let z: Vec<f64> = duals.iter().map(|z| z.v + step * z.d).collect();
            let (centred, next) = centre(&z, k);
            let origin = z[1];
            [
                simplex(&z, largest(&z), 1.5, &mut vec![]),
                origin + capped_simplex(&centred, k, next, &mut vec![]),
                origin + logistic(&centred, k, next, &mut vec![]),
            ]
        };
        let (ahead, behind) = (moved(1e-6), moved(-1e-6));
        let found = [
            simplex(&duals, 0.4, 1.5, &mut vec![]),
            capped_simplex(&duals, k, -0.1, &mut vec![]),
            logistic(&duals, k, -0.1, &mut vec![]),
        ];
        for i in 0..3 {
            let expected = (ahead[i] - behind[i]) / 2e-6;
            assert!((found[i].d - expected).abs() < 1e-8, "{i}: {} for {expected}", found[i].d);
        }
    }

    #[test]
    fn largest_values() {
        let x: Vec<f32> = (0..100).map(|i| ((i * 37) % 101) as f32).collect();
        assert_eq!(largest(&x), 100.0);
        assert_eq!(largest::<f32>(&[]), f32::NEG_INFINITY);
        let with_nan: Vec<f32> = x.iter().copied().chain([f32::NAN]).collect();
        assert!(largest(&with_nan).is_nan());
        assert_eq!(kth_largest(&[1.0, 3.0, 3.0, -1.0], 2, &mut vec![]), (3.0, 1.0));
        assert_eq!(kth_largest(&[1.0f32], 1, &mut vec![]), (1.0, f32::NEG_INFINITY));
        assert!(kth_largest(&with_nan.repeat(5), 5, &mut vec![]).0.is_nan());
        assert_eq!(kth_largest(&with_nan.repeat(5), 6, &mut vec![]), (100.0, 100.0));
    }
}
