//! The problems.
//!
//! | kind | problems |
//! |---|---|
//! | functions that jump | [`step`], [`steps`], [`simulator`] |
//! | costs of solutions | [`argmax`], [`top_k`], [`ranking`], [`shortest_path`], [`knapsack`], [`matching`] |
//! | costs of samples | [`bernoulli`], [`categorical`], [`subset`], [`order`], [`digits`] |
//!
//! References are computed when they are first asked for: closed forms, sums over all values, or quadrature
//! (`reference`).

pub mod argmax;
pub mod bernoulli;
pub mod categorical;
pub mod digits;
pub mod knapsack;
pub mod matching;
pub mod order;
mod posed;
mod quadratic;
pub mod ranking;
pub mod shortest_path;
pub mod simulator;
pub mod step;
pub mod steps;
pub mod subset;
#[cfg(test)]
mod tests;
pub mod top_k;

use crate::problem::Problem;
use posed::Posed;

/// All problems, in the order of the tables.
pub fn all() -> Vec<Box<dyn Problem>> {
    posed().into_iter().map(|posed| Box::new(posed) as Box<dyn Problem>).collect()
}

fn posed() -> Vec<Posed> {
    vec![
        step::gaussian(),
        step::uniform(),
        steps::gaussian(),
        steps::cauchy(),
        simulator::throw(),
        argmax::argmax(),
        top_k::top_k(),
        ranking::ranking(),
        shortest_path::shortest_path(),
        knapsack::knapsack(),
        matching::matching(),
        bernoulli::one(),
        bernoulli::four(),
        categorical::one(),
        categorical::three(),
        subset::subset(),
        order::order(),
        digits::one(),
        digits::eight(),
    ]
}
