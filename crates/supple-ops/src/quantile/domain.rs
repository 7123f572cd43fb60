//! What weights and levels may be, and some to check at.

use supple_core::{Fault, Real, Sample, Stream};

/// The largest weight, if all are in the domain.
pub(super) fn heaviest<T: Real>(weights: &[T]) -> Result<f64, Fault> {
    let domain = |requirement, value| Err(Fault::Domain { argument: "weights", requirement, value });
    if let Some(w) = weights.iter().find(|w| !(w.as_f64() >= 0.0 && w.is_finite())) {
        return domain("finite and >= 0", w.as_f64());
    }
    match weights.iter().fold(0.0, |most: f64, w| most.max(w.as_f64())) {
        0.0 => domain("not all zero", 0.0),
        heaviest => Ok(heaviest),
    }
}

/// The level, if it is in the domain.
pub(super) fn level<T: Real>(q: T) -> Result<f64, Fault> {
    let value = q.as_f64();
    if value > 0.0 && value < 1.0 {
        Ok(value)
    } else {
        Err(Fault::Domain { argument: "q", requirement: "between 0 and 1", value })
    }
}

/// Values, weights and a level. One weight is zero where there are more than three.
pub(super) fn sample(n: usize, random: &mut Stream) -> Sample<3> {
    let weights = (0..n).map(|i| if n > 3 && i == 1 { 0.0 } else { 0.2 + random.uniform() }).collect();
    Sample { x: [random.normals(n), weights, vec![0.2 + 0.6 * random.uniform()]], k: [] }
}

/// A direction for them, in which zero weights stay.
pub(super) fn direction([x, weights, q]: [&[f64]; 3], random: &mut Stream) -> [Vec<f64>; 3] {
    let weights = weights.iter().map(|&w| if w > 0.0 { random.normal() } else { 0.0 }).collect();
    [random.normals(x.len()), weights, random.normals(q.len())]
}
