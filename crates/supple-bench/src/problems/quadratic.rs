//! A quadratic cost of a solution or a sample.
//!
//! $$ c(y) = \tfrac12 \lVert y - t \rVert^2 + \tfrac12 (\langle w, y \rangle - l)^2 $$
//!
//! On 0/1 vectors of one length, and on permutations, the first term is linear; the second is not: entries
//! interact, and $c$ at the mean is not the mean of $c$.

use super::posed::cost;
use crate::problem::Cost;

fn excess(weights: &[f64], level: f64, y: &[f64]) -> f64 {
    weights.iter().zip(y).map(|(w, y)| w * y).sum::<f64>() - level
}

/// The cost for a target `t`, weights `w` and a level `l`.
pub(super) fn quadratic(target: &[f64], weights: &[f64], level: f64) -> Cost {
    let (target, weights) = (target.to_vec(), weights.to_vec());
    let (own_target, own_weights) = (target.clone(), weights.clone());
    cost(
        move |y| {
            let distance: f64 = y.iter().zip(&target).map(|(y, t)| (y - t).powi(2)).sum();
            0.5 * (distance + excess(&weights, level, y).powi(2))
        },
        move |y, dy| {
            let excess = excess(&own_weights, level, y);
            for (((dy, y), t), w) in dy.iter_mut().zip(y).zip(&own_target).zip(&own_weights) {
                *dy = y - t + excess * w;
            }
        },
    )
}
