//! What the operators by entropic transport share: the places, weights, and the way back to the order of `x`.

use supple_core::{Fault, Real, Sample, Stream};
use supple_numerics::line_transport::{Line, Places, naive_plan};

/// n places of equal mass on [0, 1].
pub(super) fn places(n: usize, softness: f64, negate: bool) -> Places {
    let rate = 2.0 / (n.max(2) - 1) as f64 / softness;
    // A rate beyond is as good as infinite, or as zero, and could not be divided by.
    Places { negate, masses: vec![1.0 / n as f64; n], rate: rate.clamp(1e-290, 1e290) }
}

/// A few Newton steps with some products each.
pub(super) fn work(sizes: &[usize]) -> usize {
    sizes.first().map_or(0, |n| 3000 * n)
}

/// Refuses weights that are none.
pub(super) fn check<T: Real>(weights: &[T]) -> Result<(), Fault> {
    let domain = |requirement, value| Err(Fault::Domain { argument: "weights", requirement, value });
    let total: f64 = weights.iter().map(|w| w.as_f64()).sum();
    match weights.iter().map(|w| w.as_f64()).find(|w| !(*w >= 0.0 && w.is_finite())) {
        Some(w) => domain("finite and >= 0", w),
        None if total > 0.0 && total.is_finite() => Ok(()),
        None => domain("of a finite sum above 0", total),
    }
}

/// Writes the changes of sorted values in the order of `x`; infinite ones do not change.
pub(super) fn scatter<T: Real>(
    order: &[u32],
    line: &Line<T::Acc>,
    changes: impl Iterator<Item = T::Acc>,
    dx: &mut [T],
) {
    for (i, (&place, change)) in order.iter().zip(changes).enumerate() {
        if line.finite.contains(&i) {
            dx[place as usize] = T::narrow(change);
        }
    }
}

/// Writes the changes of weights for those of the masses, which are weights over their sum.
pub(super) fn scatter_masses<T: Real>(
    order: &[u32],
    line: &Line<T::Acc>,
    changes: &[T::Acc],
    dweights: &mut [T],
) {
    let mean: T::Acc = line.plan.problem().weights.iter().zip(changes).map(|(&a, &c)| a * c).sum();
    for (&place, &change) in order.iter().zip(changes) {
        dweights[place as usize] = T::narrow((change - mean) / line.total);
    }
}

/// Weights between 0.2 and 1.2.
pub(super) fn sample([n, m]: [usize; 2], random: &mut Stream) -> Sample<2> {
    let x = random.normals(n);
    Sample { x: [x, (0..m).map(|_| 0.2 + random.uniform()).collect()], k: [] }
}

/// The plan from values to ascending places, row-major, by its definition. For oracles.
pub(super) fn naive(x: &[f64], weights: &[f64], softness: f64) -> Vec<f64> {
    let n = x.len();
    let total: f64 = weights.iter().sum();
    let masses: Vec<f64> = weights.iter().map(|w| w / total).collect();
    let places: Vec<f64> = (0..n).map(|j| j as f64 / (n.max(2) - 1) as f64).collect();
    naive_plan(x, &masses, &places, &vec![1.0 / n as f64; n], softness)
}
