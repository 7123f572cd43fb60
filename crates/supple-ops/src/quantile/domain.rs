//! What weights and levels may be.

use supple_core::{Fault, Real};

/// The largest weight, if weights and level are in the domain.
pub(super) fn check<T: Real>(weights: &[T], q: T) -> Result<f64, Fault> {
    let domain = |argument, requirement, value| Err(Fault::Domain { argument, requirement, value });
    if let Some(w) = weights.iter().find(|w| !(w.as_f64() >= 0.0 && w.is_finite())) {
        return domain("weights", "finite and >= 0", w.as_f64());
    }
    if !(q.as_f64() > 0.0 && q.as_f64() < 1.0) {
        return domain("q", "between 0 and 1", q.as_f64());
    }
    match weights.iter().fold(0.0, |most: f64, w| most.max(w.as_f64())) {
        0.0 => domain("weights", "not all zero", 0.0),
        heaviest => Ok(heaviest),
    }
}
