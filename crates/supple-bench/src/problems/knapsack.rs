//! Eight items of which some fit a knapsack.

use super::posed::Posed;
use super::quadratic::quadratic;
use crate::reference::Solutions;
use supple_ops::perturb::oracles::Knapsack;

const WEIGHTS: [usize; 8] = [3, 5, 2, 7, 4, 6, 1, 8];
const CAPACITY: usize = 15;

/// The problem.
///
/// # Panics
/// Never: the knapsack is one.
pub fn knapsack() -> Posed {
    let solver = Knapsack::new(&WEIGHTS, CAPACITY).expect("a knapsack");
    let target = [1.0, 1.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0];
    let cost = quadratic(&target, &[0.3, -0.5, 0.8, 1.0, -0.2, 0.6, 0.1, -0.9], 1.0);
    let theta = [1.0, 1.3, 0.9, 2.2, 1.1, 1.7, 0.3, 2.4];
    let weight = |set: u32| (0..8).filter(|i| set >> i & 1 == 1).map(|i| WEIGHTS[i]).sum::<usize>();
    let reference = (Solutions::sets(8, |set| weight(set) <= CAPACITY), 1 << 13);
    Posed::solved(["knapsack", "eight items, of which some fit"], &theta, 0.5, cost, solver, reference)
}
