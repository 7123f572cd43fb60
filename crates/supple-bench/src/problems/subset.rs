//! A subset of three of seven.

use super::posed::Posed;
use super::quadratic::quadratic;
use crate::problem::Distribution;

/// The problem.
pub fn subset() -> Posed {
    let cost = quadratic(&[1.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0], &[0.5, 2.0, -1.0, 0.0, 1.0, 0.5, -0.5], 0.7);
    let x = [0.9, 0.7, 0.1, -0.2, 0.4, 0.0, 0.3];
    Posed::sampled(["subset", "three of seven"], &x, cost, Distribution::Subset { k: 3 })
}
