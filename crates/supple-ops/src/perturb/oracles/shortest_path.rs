//! Shortest paths on a general directed graph.

use crate::perturb::Oracle;
use ordered_float::OrderedFloat;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use supple_core::{Error, Fault};

/// Maximises over the paths from one node to another: `theta` holds the *negative* costs of the edges, and
/// `y` is 1 on the edges of a cheapest path.
///
/// Dijkstra's algorithm with a binary heap, O((V + E) log V). It needs costs of at least 0: those that noise
/// makes negative count as 0, which a Gaussian does rarely when σ is small against the costs. The gradient of
/// [`PerturbedArgmax`](crate::perturb::PerturbedArgmax) is right all the same, as that of the solver
/// so defined; that of [`FenchelYoung`](crate::perturb::FenchelYoung) is then a little off. A cost of
/// +∞ closes an edge.
#[derive(Debug, Clone)]
pub struct ShortestPath {
    source: usize,
    target: usize,
    /// The edges that leave node `v` are `leaving[first[v]..first[v + 1]]`: where they lead, and their number.
    first: Vec<usize>,
    leaving: Vec<(usize, usize)>,
    /// Where each edge comes from.
    from: Vec<usize>,
}

impl ShortestPath {
    /// The graph of these directed edges between nodes `0..nodes`. Parallel edges and loops are allowed.
    pub fn new(nodes: usize, edges: &[(usize, usize)], source: usize, target: usize) -> Result<Self, Error> {
        let inside = |argument: &str, node: usize| match node < nodes {
            true => Ok(()),
            false => Err(Error::argument("shortest_path", argument, format!("in 0..{nodes}"), node)),
        };
        inside("source", source)?;
        inside("target", target)?;
        edges.iter().try_for_each(|&(from, to)| inside("edges", from).and(inside("edges", to)))?;
        let mut first = vec![0; nodes + 1];
        edges.iter().for_each(|&(from, _)| first[from + 1] += 1);
        (0..nodes).for_each(|v| first[v + 1] += first[v]);
        let mut order: Vec<usize> = (0..edges.len()).collect();
        order.sort_by_key(|&e| edges[e].0);
        let leaving = order.into_iter().map(|e| (edges[e].1, e)).collect();
        Ok(Self { source, target, first, leaving, from: edges.iter().map(|e| e.0).collect() })
    }

    /// The edge through which each node is reached at least cost.
    fn search(&self, theta: &[f64]) -> Result<Vec<Option<usize>>, Fault> {
        let nodes = self.first.len() - 1;
        let mut distance = vec![f64::INFINITY; nodes];
        let mut through = vec![None; nodes];
        let mut queue = BinaryHeap::from([Reverse((OrderedFloat(0.0), self.source))]);
        distance[self.source] = 0.0;
        while let Some(Reverse((OrderedFloat(reached), node))) = queue.pop() {
            if node == self.target {
                return Ok(through);
            }
            if reached > distance[node] {
                continue;
            }
            for &(next, edge) in &self.leaving[self.first[node]..self.first[node + 1]] {
                let there = reached + (-theta[edge]).max(0.0);
                if there < distance[next] {
                    distance[next] = there;
                    through[next] = Some(edge);
                    queue.push(Reverse((OrderedFloat(there), next)));
                }
            }
        }
        Err(Fault::Infeasible)
    }
}

impl Oracle for ShortestPath {
    fn solve(&self, theta: &[f64], y: &mut [f64]) -> Result<(), Fault> {
        self.validate(theta.len()).map_err(|e| Fault::Oracle(e.to_string()))?;
        if let Some(&value) = theta.iter().find(|theta| theta.is_nan()) {
            return Err(Fault::Domain { argument: "theta", requirement: "a number", value });
        }
        let through = self.search(theta)?;
        let mut node = self.target;
        while node != self.source {
            let Some(edge) = through[node] else { return Err(Fault::Infeasible) };
            y[edge] = 1.0;
            node = self.from[edge];
        }
        Ok(())
    }

    fn validate(&self, n: usize) -> Result<(), Error> {
        let edges = self.from.len();
        if n == edges {
            return Ok(());
        }
        Err(Error::argument("shortest_path", "theta", format!("of {edges} numbers, one for each edge"), n))
    }

    fn work(&self, n: usize) -> usize {
        20 * (n + self.first.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use supple_core::Stream;

    /// The least cost over all paths without a repeated node, by trying them.
    fn least(edges: &[(usize, usize)], cost: &[f64], at: usize, target: usize, seen: u32) -> f64 {
        if at == target {
            return 0.0;
        }
        let leaving = edges.iter().zip(cost).filter(|((from, to), _)| *from == at && seen >> to & 1 == 0);
        leaving
            .map(|(&(_, to), c)| c + least(edges, cost, to, target, seen | 1 << to))
            .fold(f64::INFINITY, f64::min)
    }

    #[test]
    fn finds_the_cheapest_of_all_paths() {
        let mut random = Stream::new(8, 0, 0);
        for _ in 0..200 {
            let nodes = 1 + random.below(6);
            let edges: Vec<_> =
                (0..random.below(15)).map(|_| (random.below(nodes), random.below(nodes))).collect();
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
                    for node in 0..nodes {
                        let sum = |end: fn(&(usize, usize)) -> usize| -> f64 {
                            edges.iter().zip(&y).filter(|(e, _)| end(e) == node).map(|(_, y)| y).sum()
                        };
                        let flow = sum(|e| e.0) - sum(|e| e.1);
                        let expected = (node == 0) as i8 - (node == target) as i8;
                        assert_eq!(flow, expected as f64);
                    }
                }
                Err(fault) => assert!(fault == Fault::Infeasible && least == f64::INFINITY),
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
}
