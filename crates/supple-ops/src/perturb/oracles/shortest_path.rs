//! Shortest paths on a general directed graph.

use super::graph::Graph;
use super::rows;
use crate::perturb::Oracle;
use ordered_float::OrderedFloat;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use supple_core::{Error, Fault};

const NAME: &str = "shortest_path";

/// Maximises over the paths from one node to another: `theta` holds the *negative* costs of the edges, and
/// `y` is 1 on the edges of a cheapest path.
///
/// Dijkstra's algorithm with a binary heap, O((V + E) log V). It needs costs of at least 0: those that noise
/// makes negative count as 0, which a Gaussian does rarely when σ is small against the costs. The gradient of
/// [`PerturbedArgmax`](crate::perturb::PerturbedArgmax) is right all the same, as that of the solver
/// so defined; that of [`FenchelYoung`](crate::perturb::FenchelYoung) is then a little off. A cost of
/// +∞ closes an edge. [`BellmanFord`](super::BellmanFord) takes negative costs as they are.
#[derive(Debug, Clone)]
pub struct ShortestPath(Graph);

impl ShortestPath {
    /// The graph of these directed edges between nodes `0..nodes`. Parallel edges and loops are allowed.
    pub fn new(nodes: usize, edges: &[(usize, usize)], source: usize, target: usize) -> Result<Self, Error> {
        Graph::new(NAME, nodes, edges, source, target).map(Self)
    }
}

/// What a search writes to.
struct Search {
    /// Least costs so far.
    distance: Vec<f64>,
    /// The edge through which a node that has been reached is reached at that cost.
    through: Vec<usize>,
    queue: BinaryHeap<Reverse<(OrderedFloat<f64>, usize)>>,
}

impl Search {
    fn run(&mut self, graph: &Graph, theta: &[f64]) -> Result<(), Fault> {
        let Self { distance, through, queue } = self;
        distance.fill(f64::INFINITY);
        distance[graph.source] = 0.0;
        queue.clear();
        queue.push(Reverse((OrderedFloat(0.0), graph.source)));
        while let Some(Reverse((OrderedFloat(reached), node))) = queue.pop() {
            if node == graph.target {
                return Ok(());
            }
            if reached > distance[node] {
                continue;
            }
            for &(next, edge) in graph.leaving(node) {
                let there = reached + (-theta[edge]).max(0.0);
                if there < distance[next] {
                    distance[next] = there;
                    through[next] = edge;
                    queue.push(Reverse((OrderedFloat(there), next)));
                }
            }
        }
        Err(Fault::Infeasible)
    }
}

impl Oracle for ShortestPath {
    fn solve(&self, theta: &[f64], y: &mut [f64]) -> Result<(), Fault> {
        self.solve_many(theta.len(), theta, y)
    }

    fn solve_many(&self, n: usize, thetas: &[f64], ys: &mut [f64]) -> Result<(), Fault> {
        let Self(graph) = self;
        let nodes = graph.nodes();
        let mut search =
            Search { distance: vec![0.0; nodes], through: vec![0; nodes], queue: BinaryHeap::new() };
        rows::each(self, n, thetas, ys, |theta, y| {
            search.run(graph, theta)?;
            graph.trace(&search.through, y);
            Ok(())
        })
    }

    fn takes_either_sign(&self) -> bool {
        false
    }

    fn validate(&self, n: usize) -> Result<(), Error> {
        rows::length(NAME, n, self.0.edges(), "edge")
    }

    fn work(&self, n: usize) -> usize {
        20 * (n + self.0.nodes() + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::perturb::oracles::graph::testing::{assert_flow, least, random_edges};
    use crate::perturb::oracles::rows::testing::{check_refusals, check_solve_many};
    use supple_core::Stream;

    #[test]
    fn finds_the_cheapest_of_all_paths() {
        let mut random = Stream::new(8, 0, 0);
        for _ in 0..200 {
            let (nodes, edges) = random_edges(&mut random, 14);
            let cost: Vec<f64> = edges.iter().map(|_| random.uniform()).collect();
            let theta: Vec<f64> = cost.iter().map(|c| -c).collect();
            let target = nodes - 1;
            let path = ShortestPath::new(nodes, &edges, 0, target).unwrap();
            let mut y = vec![0.0; edges.len()];
            let least = least(&edges, &cost, 0, target, 1);
            match path.solve(&theta, &mut y) {
                Ok(()) => {
                    let total: f64 = y.iter().zip(&cost).map(|(y, c)| y * c).sum();
                    assert!((total - least).abs() < 1e-12, "{edges:?} {cost:?}");
                    assert_flow(&edges, &y, 0, target, nodes);
                }
                Err(fault) => assert!(fault == Fault::Infeasible && least == f64::INFINITY),
            }
            if !edges.is_empty() {
                check_solve_many(&path, edges.len(), &mut random);
                check_refusals(&path, edges.len());
            }
        }
    }

    #[test]
    fn one_of_two_edges_under_gumbel_noise_is_taken_with_the_logistic_probability() {
        use crate::perturb::{Noise, PerturbedArgmax};
        use supple_core::linearize;
        let edges = [(0, 1), (0, 1)];
        let samples = 40_000;
        let operator = PerturbedArgmax {
            softness: 0.5,
            samples,
            noise: Noise::Gumbel,
            seed: Some(2),
            ..PerturbedArgmax::new(ShortestPath::new(2, &edges, 0, 1).unwrap())
        };
        // Far from zero, where no cost is clipped.
        let theta = ndarray::arr1(&[-30.0, -30.3]).into_dyn();
        let at = linearize(&operator, [theta.view()]).unwrap();
        let p = 1.0 / (1.0 + (-0.3f64 / 0.5).exp());
        let error = (p * (1.0 - p) / samples as f64).sqrt();
        assert!((at.outputs()[0][0] - p).abs() < 4.0 * error);
        let [slope] = at.vjp([ndarray::arr1(&[1.0, 0.0]).into_dyn().view()]).unwrap();
        let exact = p * (1.0 - p) / 0.5;
        assert!((slope[0] - exact).abs() < 10.0 * error && (slope[1] + exact).abs() < 10.0 * error);
    }

    #[test]
    fn bad_graphs_and_objectives_are_refused() {
        assert!(ShortestPath::new(2, &[(0, 2)], 0, 1).is_err());
        assert!(ShortestPath::new(2, &[(0, 1)], 0, 2).is_err());
        let path = ShortestPath::new(2, &[(0, 1)], 0, 1).unwrap();
        assert!(path.validate(2).is_err() && path.validate(1).is_ok());
        assert!(path.solve(&[f64::NAN], &mut [0.0]).is_err());
        assert!(path.solve(&[], &mut []).is_err());
        assert_eq!(path.solve(&[f64::NEG_INFINITY], &mut [0.0]), Err(Fault::Infeasible));
    }

    #[test]
    fn finite_costs_do_not_overflow() {
        let path = ShortestPath::new(3, &[(0, 1), (1, 2), (0, 2)], 0, 2).unwrap();
        let mut y = [0.0; 3];
        path.solve(&[-1e308, -1e308, f64::NEG_INFINITY], &mut y).unwrap();
        assert_eq!(y, [1.0, 1.0, 0.0]);
    }
}
