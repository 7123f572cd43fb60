//! The largest of five scores under Gumbel noise, where the mean solution is softmax: a closed form.

use super::posed::Posed;
use super::quadratic::quadratic;
use crate::problem::{Exact, Solver, Target};
use std::sync::Arc;
use supple_estimators::Function;
use supple_estimators::smoothing::Noise;
use supple_ops::perturb::oracles::TopK;

/// The problem.
pub fn argmax() -> Posed {
    let cost = quadratic(&[0.1, 0.2, 0.0, 0.6, 0.1], &[2.0, -1.0, 0.5, 0.0, 1.5], 0.8);
    let softness = 0.7;
    let solver = Solver(Arc::new(TopK { k: 1 }));
    let target = Target::Solved { cost: cost.clone(), solver, softness, noise: Noise::Gumbel };
    let text = ["argmax", "the largest of five, Gumbel noise"];
    Posed::new(text, &[0.8, 0.2, -0.3, 0.5, -1.0], target, move |theta| {
        let n = theta.len();
        let weights: Vec<f64> = theta.iter().map(|theta| (theta / softness).exp()).collect();
        let total: f64 = weights.iter().sum();
        let value = |i: usize| {
            let mut value = [f64::NAN];
            let y: Vec<f64> = (0..n).map(|j| (i == j) as u8 as f64).collect();
            cost.evaluate(1, &y, &mut value).map_or(f64::NAN, |()| value[0])
        };
        let costs: Vec<f64> = (0..n).map(value).collect();
        let mean = weights.iter().zip(&costs).map(|(w, c)| w / total * c).sum::<f64>();
        let slope = |(w, c): (&f64, &f64)| w / total * (c - mean) / softness;
        Exact { value: mean, gradient: weights.iter().zip(&costs).map(slope).collect() }
    })
}
