//! Choices.

use super::posed::Posed;
use super::quadratic::quadratic;
use crate::problem::Distribution;

/// One choice among five.
pub fn one() -> Posed {
    let cost = quadratic(&[0.2, 0.1, 0.4, 0.3, 0.0], &[1.0, -1.0, 0.5, 2.0, 0.0], 0.6);
    let text = ["categorical/one", "one choice among five"];
    Posed::sampled(text, &[0.5, -0.2, 0.1, 1.0, -0.8], cost, Distribution::Categorical { classes: 5 })
}

/// Three choices among four each, which interact.
pub fn three() -> Posed {
    let target = [0.3, 0.2, 0.4, 0.1, 0.1, 0.7, 0.1, 0.1, 0.25, 0.25, 0.25, 0.25];
    let weights = [1.0, -1.0, 0.5, 0.0, 0.3, 0.9, -0.6, -0.2, 1.2, 0.1, -0.4, 0.7];
    let x = [0.5, -0.2, 0.1, 0.0, -0.4, 0.3, 0.8, 0.0, 0.2, 0.6, -0.5, -0.1];
    let text = ["categorical/three", "three choices among four that interact"];
    let cost = quadratic(&target, &weights, 0.8);
    Posed::sampled(text, &x, cost, Distribution::Categorical { classes: 4 })
}
