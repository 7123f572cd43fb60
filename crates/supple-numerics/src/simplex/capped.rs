//! Thresholds of masks whose entries are capped powers or capped exponentials.

use super::mask::{Bracket, split};
use crate::elementary::{exp_slice, sum_by};
use supple_core::{Float, Real};

/// τ with `Σ min(max(z[i] − τ, 0), 1)^POWER = k`, for `1 <= k < n`.
///
/// `z` is to be centred so that its k-th largest entry is 0; `next <= 0` is the one after:
/// see [`kth_largest`](super::kth_largest). They enclose τ in `[−1, next]`, which decides most entries. For
/// the others Newton's method, kept in that bracket: unless the choice is hard, the slope is at least
/// `POWER`. One last step in `T` gives the tangent. Where the sum is flat (a hard choice), any τ of the
/// piece is returned.
pub fn capped_power<const POWER: i32, T: Real>(
    z: &[T],
    k: usize,
    next: f64,
    undecided: &mut Vec<T::Acc>,
) -> T::Acc {
    let mut bracket = Bracket { low: -1.0, high: next.max(-1.0) };
    let lacking = k as f64 - split(z, bracket, undecided);
    let mut tau = bracket.middle();
    for _ in 0..64 {
        let (sum, slope) = powers::<POWER, T::Acc>(undecided, tau);
        let excess = sum - lacking;
        if excess == 0.0 {
            break;
        }
        bracket.narrow(tau, excess > 0.0);
        let newton = tau + excess / slope;
        if (newton - tau).abs() < 1e-12 {
            break;
        }
        tau = if bracket.holds(newton) { newton } else { bracket.middle() };
        if !bracket.holds(tau) {
            break;
        }
    }
    let at = T::Acc::of(tau);
    let (mut excess, mut slope) = (T::Acc::of(-lacking), 0.0);
    for &c in undecided.iter() {
        let part = c - at;
        if part >= T::Acc::one() {
            excess += T::Acc::one();
        } else if part > T::Acc::zero() {
            let lower = power::<T::Acc>(part, POWER - 1);
            excess += lower * part;
            slope += f64::from(POWER) * lower.as_f64();
        }
    }
    if slope > 0.0 { at + excess / T::Acc::of(slope) } else { at }
}

#[inline(always)]
fn power<A: Real>(base: A, exponent: i32) -> A {
    (1..exponent).fold(base, |product, _| product * base)
}

/// `Σ min(max(c − τ, 0), 1)^POWER` and how fast it falls with τ.
fn powers<const POWER: i32, A: Real>(c: &[A], tau: f64) -> (f64, f64) {
    let part = |c: A| {
        let part = c.as_f64() - tau;
        let part = if part > 0.0 { part } else { 0.0 };
        if part < 1.0 { part } else { 1.0 }
    };
    let sum = sum_by(c, c, |c, _| power(part(c), POWER));
    let slope = sum_by(c, c, |c, _| {
        let part = part(c);
        if part < 1.0 { power(part, POWER - 1) } else { 0.0 }
    });
    (sum, f64::from(POWER) * slope)
}

/// `u = e^{−τ}` with `Σ min(u e^{z[i]}, 1) = k`, for `1 <= k < n`; what is in `z` becomes its exponential.
///
/// `z` is to be centred so that its k-th largest entry is 0; then `0 <= τ <= ln(n − k + 1)`, and entries
/// above that are 1 in any case. In u the sum is concave and piecewise linear: Newton's method from the
/// left climbs from piece to piece, each time by what the entries that have not reached 1 sum to, and ends
/// on the right piece after a few passes. No sum cancels, and u carries tangents.
pub fn capped_exponential<T: Real>(z: &mut [T], k: usize) -> T::Acc {
    let rest = (z.len() + 1).saturating_sub(k) as f64;
    let (sure, least) =
        (T::of(rest.ln() + 1.0), T::of(if T::Value::EPSILON > 1e-10 { -87.0 } else { -708.0 }));
    // Results that are too small for ordinary numbers are slow: they are 0.
    z.iter_mut().for_each(|z| *z = if *z < least { least } else { (*z).min(sure) });
    exp_slice(z);
    // Twice what the least becomes, which the two exponentials round differently.
    let tiny = T::of(2.0) * least.exp();
    z.iter_mut().for_each(|z| *z = if *z > tiny { *z } else { T::zero() });
    let mut u = T::Acc::of(1.0 / rest);
    let mut last = usize::MAX;
    loop {
        let value = u.as_f64();
        let below = |e: T| e.as_f64() * value < 1.0;
        let full = z.len() - z.iter().filter(|&&e| below(e)).count();
        // Rounding may put the k-th entry, too, at 1: then all the others are 0 beside it.
        if full == last || full >= k {
            return u;
        }
        let sum = sum_by(z, z, |e, _| if below(e) { e.widen() } else { T::Acc::zero() });
        let next = T::Acc::of((k - full) as f64) / sum;
        if next.as_f64() <= value {
            // Only rounding makes u fall, where an entry lands on 1: that one counts as full.
            return next + T::Acc::of(value - next.as_f64());
        }
        u = next;
        last = full;
    }
}

#[cfg(test)]
mod tests {
    use super::super::kth_largest;
    use super::*;
    use proptest::prelude::*;
    use supple_core::{Dual, Stream};

    /// Centres on the k-th largest.
    fn centre(z: &[f64], k: usize) -> (Vec<f64>, f64) {
        let (kth, next) = kth_largest(z, k, &mut vec![]);
        (z.iter().map(|z| z - kth).collect(), next - kth)
    }

    fn data() -> impl Strategy<Value = (Vec<f64>, usize)> {
        let value = prop_oneof![
            6 => -3.0..3.0,
            3 => (-4i32..4).prop_map(|i| i as f64 / 2.0),
            1 => Just(f64::NEG_INFINITY),
            1 => -1e9..1e9,
            1 => -0.01..0.01,
        ];
        let values = prop::collection::vec(value, 2..60);
        (values, 0.0..1.0).prop_filter_map("two are finite", |(z, part): (Vec<f64>, f64)| {
            let finite = z.iter().filter(|z| z.is_finite()).count();
            (finite >= 2).then(|| (z, 1 + (part * (finite - 1) as f64) as usize))
        })
    }

    fn parts(z: &[f64], tau: f64, exponent: i32) -> Vec<f64> {
        z.iter().map(|z| (z - tau).clamp(0.0, 1.0).powi(exponent)).collect()
    }

    fn shares(z: &[f64], u: f64) -> Vec<f64> {
        z.iter().map(|z| (u.ln() + z).exp().min(1.0)).collect()
    }

    proptest! {
        #[test]
        fn masks_sum_to_k((z, k) in data()) {
            let (z, next) = centre(&z, k);
            let target = k as f64;
            let square = parts(&z, capped_power::<2, _>(&z, k, next, &mut vec![]), 2);
            let cube = parts(&z, capped_power::<3, _>(&z, k, next, &mut vec![]), 3);
            let shannon = shares(&z, capped_exponential(&mut z.clone(), k));
            for (name, mask) in [("square", square), ("cube", cube), ("shannon", shannon)] {
                let sum: f64 = mask.iter().sum();
                prop_assert!((sum - target).abs() <= 1e-13 * target, "{name}: {sum} for {target}");
            }
        }

        #[test]
        fn tangents_keep_the_sum((z, k) in data()) {
            let (z, next) = centre(&z, k);
            let duals: Vec<_> =
                z.iter().enumerate().map(|(i, &z)| Dual::new(z, (i as f64).cos())).collect();
            let tau = capped_power::<3, _>(&duals, k, next, &mut vec![]);
            let slope = |z: f64| if z - tau.v < 1.0 { (z - tau.v).max(0.0).powi(2) } else { 0.0 };
            let change: f64 = duals.iter().map(|z| slope(z.v) * (z.d - tau.d)).sum();
            prop_assert!(change.abs() < 1e-12 * k as f64, "cube: {change:e}");
            let mut e = duals.clone();
            let u = capped_exponential(&mut e, k);
            let mask: Vec<_> = e.iter().map(|&e| u * e).filter(|y| y.v < 1.0).collect();
            let change: f64 = mask.iter().map(|y| y.d).sum();
            // Where only the k-th entry is left below 1, rounding may have put it at 1.
            let hard = mask.iter().map(|y| y.v).sum::<f64>() < 1e-12;
            prop_assert!(hard || change.abs() < 1e-11 * k as f64, "shannon: {change:e}");
        }
    }

    /// The k-th share may land on 1 to the last digit.
    #[test]
    fn logarithms_of_whole_numbers_come_to_an_end() {
        let check = |z: &[f64], k: usize| {
            let mask = shares(z, capped_exponential(&mut z.to_vec(), k));
            let sum: f64 = mask.iter().sum();
            assert!((sum - k as f64).abs() <= 1e-13 * k as f64, "{z:?}, k = {k}: {sum}");
        };
        let (z, _) = centre(&[1.0, 3.0, 4.0].map(f64::ln), 2);
        check(&z, 2);
        let mut random = Stream::new(0, 0, 0);
        for _ in 0..20_000 {
            let n = 2 + random.below(8);
            let z: Vec<f64> = (0..n).map(|_| ((1 + random.below(12)) as f64).ln()).collect();
            let k = 1 + random.below(n - 1);
            check(&centre(&z, k).0, k);
        }
    }

    #[test]
    fn few_passes_on_any_data() {
        let n = 200_000;
        let halving: Vec<f64> = (0..n).map(|i| 2f64.powi(-(i % 1000))).collect();
        let steps: Vec<f64> = (0..n).map(|i| -(i as f64) * 1e-4).collect();
        let equal = vec![0.0; n as usize];
        for z in [halving, steps, equal] {
            let start = std::time::Instant::now();
            for k in [1, n as usize / 2, n as usize - 1] {
                let (z, next) = centre(&z, k);
                let mask = parts(&z, capped_power::<2, _>(&z, k, next, &mut vec![]), 2);
                assert!((mask.iter().sum::<f64>() - k as f64).abs() < 1e-9 * k as f64);
                let mask = shares(&z, capped_exponential(&mut z.clone(), k));
                assert!((mask.iter().sum::<f64>() - k as f64).abs() < 1e-9 * k as f64);
            }
            assert!(start.elapsed().as_secs() < 5);
        }
    }
}
