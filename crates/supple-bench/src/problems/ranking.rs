//! Ranks of six scores, with a cost of their distance from true ones and of a weighted sum of them.

use super::posed::Posed;
use super::quadratic::quadratic;
use crate::reference::Solutions;
use supple_ops::perturb::oracles::Ranking;

/// The problem.
pub fn ranking() -> Posed {
    let cost = quadratic(&[3.0, 1.0, 6.0, 2.0, 5.0, 4.0], &[0.5, 0.0, -0.5, 1.0, 0.2, -0.3], 3.0);
    let theta = [0.4, 0.0, -0.3, 0.9, 0.5, 0.1];
    let reference = (Solutions::Ranks, 1 << 13);
    Posed::solved(["ranking", "the ranks of six"], &theta, 0.5, cost, Ranking, reference)
}
