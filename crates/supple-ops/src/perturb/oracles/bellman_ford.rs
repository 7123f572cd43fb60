//! Shortest paths on a directed graph with costs of either sign.

use super::graph::Graph;
use super::rows;
use crate::perturb::Oracle;
use supple_core::{Error, Fault};

const NAME: &str = "bellman_ford";

/// Maximises over the paths from one node to another, as [`ShortestPath`](super::ShortestPath), but costs may
/// be negative: `theta` holds the *negative* costs of the edges, and `y` is 1 on the edges of a cheapest
/// path.
///
/// The algorithm of Bellman and Ford, O(V E) at worst; it passes over the edges until nothing changes,
/// usually a few times, and skips nodes that have not changed. Use it where the graph has no cycles, or where
/// noise on costs near 0 must not be clipped: it solves for the `theta` it is given, so that
/// [`FenchelYoung`](crate::perturb::FenchelYoung) is exact too.
///
/// A cycle of negative cost that can be reached from the source is a fault, even where it does not lead to
/// the target; a cycle whose costs are 0 up to rounding may count as one. A cost of +∞ closes an edge, −∞ is
/// refused. Between paths of equal cost the order of the edges decides.
///
/// Bellman, *On a routing problem*, Quarterly of Applied Mathematics 1958; Ford, *Network flow theory*, RAND
/// 1956.
///
/// ```
/// use supple_ops::perturb::Oracle;
/// use supple_ops::perturb::oracles::BellmanFord;
///
/// // From 0 to 2 at once for a cost of 1, or through 1 for 3 − 4.
/// let path = BellmanFord::new(3, &[(0, 2), (0, 1), (1, 2)], 0, 2)?;
/// let mut y = [0.0; 3];
/// path.solve(&[-1.0, -3.0, 4.0], &mut y)?;
/// assert_eq!(y, [0.0, 1.0, 1.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct BellmanFord(Graph);

impl BellmanFord {
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
    /// Whether a node's distance has changed since its edges were last looked at.
    changed: Vec<bool>,
}

impl Search {
    fn run(&mut self, graph: &Graph, theta: &[f64]) -> Result<(), Fault> {
        let Self { distance, through, changed } = self;
        distance.fill(f64::INFINITY);
        changed.fill(false);
        distance[graph.source] = 0.0;
        changed[graph.source] = true;
        // After pass k no path of k edges is cheaper. More edges than V − 1 are a path with a cycle.
        for _ in 0..graph.nodes() {
            let mut any = false;
            for node in 0..graph.nodes() {
                if !std::mem::take(&mut changed[node]) {
                    continue;
                }
                for &(next, edge) in graph.leaving(node) {
                    let there = distance[node] - theta[edge];
                    if there < distance[next] {
                        distance[next] = there;
                        through[next] = edge;
                        changed[next] = true;
                        any = true;
                    }
                }
            }
            if !any {
                return match distance[graph.target] < f64::INFINITY {
                    true => Ok(()),
                    false => Err(Fault::Infeasible),
                };
            }
        }
        Err(negative_cycle())
    }
}

fn negative_cycle() -> Fault {
    Fault::Oracle("a cycle of negative cost can be reached from the source".into())
}

impl Oracle for BellmanFord {
    fn solve(&self, theta: &[f64], y: &mut [f64]) -> Result<(), Fault> {
        self.solve_many(theta.len(), theta, y)
    }

    fn solve_many(&self, n: usize, thetas: &[f64], ys: &mut [f64]) -> Result<(), Fault> {
        let Self(graph) = self;
        let nodes = graph.nodes();
        let mut search =
            Search { distance: vec![0.0; nodes], through: vec![0; nodes], changed: vec![false; nodes] };
        rows::each(self, n, thetas, ys, |theta, y| {
            rows::below_infinity(theta)?;
            search.run(graph, theta)?;
            match graph.trace(&search.through, y) {
                true => Ok(()),
                // A cycle whose gain rounding has swallowed.
                false => Err(negative_cycle()),
            }
        })
    }

    fn validate(&self, n: usize) -> Result<(), Error> {
        rows::length(NAME, n, self.0.edges(), "edge")
    }

    /// As on graphs where a few passes do.
    fn work(&self, n: usize) -> usize {
        20 * (n + self.0.nodes() + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::perturb::oracles::graph::testing::{assert_flow, least, random_edges};
    use crate::perturb::oracles::rows::testing::{
        check_refusals, check_solve_many, objective, solved, value,
    };
    use supple_core::Stream;

    /// Whether a node on a cycle of negative cost can be reached from `source`, by all pairs of nodes.
    fn has_negative_cycle(nodes: usize, edges: &[(usize, usize)], cost: &[f64], source: usize) -> bool {
        let mut distance = vec![vec![f64::INFINITY; nodes]; nodes];
        let mut joined = vec![vec![false; nodes]; nodes];
        (0..nodes).for_each(|v| joined[v][v] = true);
        for (&(from, to), &cost) in edges.iter().zip(cost).filter(|(_, cost)| **cost < f64::INFINITY) {
            distance[from][to] = distance[from][to].min(cost);
            joined[from][to] = true;
        }
        for k in 0..nodes {
            for i in 0..nodes {
                for j in 0..nodes {
                    distance[i][j] = distance[i][j].min(distance[i][k] + distance[k][j]);
                    joined[i][j] |= joined[i][k] && joined[k][j];
                }
            }
        }
        (0..nodes).any(|v| joined[source][v] && distance[v][v] < 0.0)
    }

    #[test]
    fn finds_the_cheapest_of_all_paths_or_the_negative_cycle() {
        let mut random = Stream::new(9, 0, 0);
        let (mut found, mut closed, mut cycles) = (0, 0, 0);
        for case in 0..900 {
            let (nodes, mut edges) = random_edges(&mut random, 14);
            if case % 2 == 0 {
                edges.retain(|(from, to)| from < to);
            }
            let mut theta = objective(&mut random, edges.len());
            if case % 3 == 0 {
                theta.iter_mut().for_each(|theta| *theta -= 1.0);
            }
            let cost: Vec<f64> = theta.iter().map(|theta| -theta).collect();
            let (source, target) = (random.below(nodes), random.below(nodes));
            let path = BellmanFord::new(nodes, &edges, source, target).unwrap();
            let cycle = has_negative_cycle(nodes, &edges, &cost, source);
            let least = least(&edges, &cost, source, target, 1 << source);
            match solved(&path, &theta) {
                Ok(y) => {
                    assert!(!cycle && (value(&theta, &y) + least).abs() < 1e-12, "{edges:?} {cost:?}");
                    assert_flow(&edges, &y, source, target, nodes);
                    found += 1;
                }
                Err(Fault::Infeasible) => {
                    assert!(!cycle && least == f64::INFINITY);
                    closed += 1;
                }
                Err(fault) => {
                    assert!(cycle && fault == negative_cycle(), "{edges:?} {cost:?}");
                    cycles += 1;
                }
            }
            if !edges.is_empty() {
                check_solve_many(&path, edges.len(), &mut random);
                check_refusals(&path, edges.len());
            }
        }
        assert!(found > 200 && closed > 100 && cycles > 50, "{found} {closed} {cycles}");
    }

    #[test]
    fn agrees_with_dijkstra_where_no_cost_is_negative() {
        let mut random = Stream::new(10, 0, 0);
        for _ in 0..200 {
            let nodes = 2 + random.below(40);
            let edges: Vec<_> = (0..5 * nodes).map(|_| (random.below(nodes), random.below(nodes))).collect();
            let theta: Vec<f64> = edges.iter().map(|_| -random.uniform()).collect();
            let paths = BellmanFord::new(nodes, &edges, 0, 1).unwrap();
            let other = super::super::ShortestPath::new(nodes, &edges, 0, 1).unwrap();
            assert_eq!(solved(&paths, &theta), solved(&other, &theta));
        }
    }

    #[test]
    fn bad_graphs_infinities_and_cycles_that_rounding_hides_are_faults() {
        assert!(BellmanFord::new(0, &[], 0, 0).is_err() && BellmanFord::new(usize::MAX, &[], 0, 0).is_err());
        let error = BellmanFord::new(2, &[(0, 2)], 0, 1).unwrap_err().to_string();
        assert_eq!(error, "bellman_ford: `edges` must be in 0..2, got 2");
        let path = BellmanFord::new(4, &[(0, 1), (1, 2), (2, 1), (1, 3)], 0, 3).unwrap();
        assert_eq!(solved(&path, &[-0.3, -1e16, 1e16, 0.0]), Err(negative_cycle()));
        assert_eq!(solved(&path, &[-0.3, -1.0, 1.0, 0.0]), Ok(vec![1.0, 0.0, 0.0, 1.0]));
        assert!(matches!(solved(&path, &[f64::INFINITY; 4]), Err(Fault::Domain { .. })));
        assert_eq!(solved(&path, &[f64::NEG_INFINITY; 4]), Err(Fault::Infeasible));
        // No edges: the path that stays, and none.
        assert_eq!(solved(&BellmanFord::new(1, &[], 0, 0).unwrap(), &[]), Ok(vec![]));
        assert_eq!(solved(&BellmanFord::new(2, &[], 0, 1).unwrap(), &[]), Err(Fault::Infeasible));
    }
}
