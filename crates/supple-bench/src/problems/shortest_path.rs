//! A shortest path across a grid of 4 × 4 crossings, by steps to the right and down: 24 edges, 20 paths.
//!
//! The cost is half of the number of edges that differ from a given path, as in training a layer to find it,
//! and of the square of a sum along the path. Perturbed lengths may be negative, which the solver allows.

use super::posed::Posed;
use super::quadratic::quadratic;
use crate::reference::Solutions;
use supple_ops::perturb::Oracle;
use supple_ops::perturb::oracles::BellmanFord;

const SIDE: usize = 4;

/// The edges: for each crossing, to the right and down.
fn edges() -> Vec<(usize, usize)> {
    let node = |row: usize, column: usize| row * SIDE + column;
    let mut edges = vec![];
    for row in 0..SIDE {
        for column in 0..SIDE {
            if column + 1 < SIDE {
                edges.push((node(row, column), node(row, column + 1)));
            }
            if row + 1 < SIDE {
                edges.push((node(row, column), node(row + 1, column)));
            }
        }
    }
    edges
}

/// All paths: which of the six steps go down.
fn paths(edges: &[(usize, usize)]) -> Vec<u32> {
    let path = |downs: u32| {
        let mut node = 0;
        (0..2 * (SIDE - 1)).fold(0, |path, step| {
            let next = node + if downs >> step & 1 == 1 { SIDE } else { 1 };
            let edge = edges.iter().position(|edge| *edge == (node, next)).unwrap_or(edges.len());
            node = next;
            path | 1 << edge
        })
    };
    (0..1u32 << 6).filter(|downs| downs.count_ones() == 3).map(path).collect()
}

/// The problem.
///
/// # Panics
/// Never: the graph is one.
pub fn shortest_path() -> Posed {
    let edges = edges();
    let solver = BellmanFord::new(SIDE * SIDE, &edges, 0, SIDE * SIDE - 1).expect("a graph");
    // Lengths between 0.6 and 1.4, without a pattern; and others, of which the target is the shortest path.
    let number = |seed: usize, i: usize| ((i * i * 31 + i * 17 + seed) % 23) as f64 / 22.0;
    let theta: Vec<f64> = (0..edges.len()).map(|i| -0.6 - 0.8 * number(5, i)).collect();
    let wanted: Vec<f64> = (0..edges.len()).map(|i| -0.6 - 0.8 * number(11, i)).collect();
    let mut target = vec![0.0; edges.len()];
    solver.solve(&wanted, &mut target).expect("a path");
    let weights: Vec<f64> = (0..edges.len()).map(|i| number(2, i) - 0.5).collect();
    let cost = quadratic(&target, &weights, 0.5);
    let text = ["shortest_path", "the shortest path across a grid of 4 × 4, 24 edges"];
    let reference = (Solutions::Sets(paths(&edges)), 1 << 16);
    Posed::solved(text, &theta, 0.4, cost, solver, reference)
}
