//! The three largest of seven scores under Gaussian noise; the reference is an integral for each of the 35
//! sets.

use super::posed::Posed;
use super::quadratic::quadratic;
use crate::problem::{Solver, Target};
use crate::reference;
use std::sync::Arc;
use supple_estimators::smoothing::Noise;
use supple_ops::perturb::oracles::TopK;

/// The problem.
pub fn top_k() -> Posed {
    let (k, softness, noise) = (3, 0.5, Noise::Gaussian);
    let cost = quadratic(&[1.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0], &[0.5, 2.0, -1.0, 0.0, 1.0, 0.5, -0.5], 0.7);
    let target = Target::Solved { cost: cost.clone(), solver: Solver(Arc::new(TopK { k })), softness, noise };
    let theta = [0.9, 0.7, 0.1, -0.2, 0.4, 0.0, 0.3];
    Posed::new(["top_k", "the three largest of seven"], &theta, target, move |theta| {
        reference::top_k(&cost, k, theta, softness, noise)
    })
}
