//! Spanning trees and forests of an undirected graph.

use super::rows;
use crate::perturb::Oracle;
use supple_core::{Error, Fault, Scratch};
use supple_numerics::argsort::argsort;

const NAME: &str = "spanning_tree";

/// Maximises over the spanning trees of an undirected graph, or over its spanning forests of a given number
/// of trees: `theta` holds the weights of the edges (of costs, the negative), and `y` is 1 on the edges
/// chosen.
///
/// Kruskal's algorithm, O(E log E). It takes all the edges that a tree or forest must have, negative weights
/// among them. Of equal weights the first edge is considered first. A weight of −∞ closes an edge; where too
/// few edges are left, the fault is [`Fault::Infeasible`].
///
/// Kruskal, *On the shortest spanning subtree of a graph and the traveling salesman problem*, 1956. That the
/// same rule gives the best forest of any number of edges: Edmonds, *Matroids and the greedy algorithm*,
/// 1971.
///
/// ```
/// use supple_ops::perturb::Oracle;
/// use supple_ops::perturb::oracles::SpanningTree;
///
/// let tree = SpanningTree::new(4, &[(0, 1), (1, 2), (2, 0), (2, 3)])?;
/// let theta = [3.0, -1.0, 2.0, -5.0];
/// let mut y = [0.0; 4];
/// tree.solve(&theta, &mut y)?;
/// assert_eq!(y, [1.0, 0.0, 1.0, 1.0]);
///
/// // Two clusters.
/// let mut y = [0.0; 4];
/// tree.forest(2)?.solve(&theta, &mut y)?;
/// assert_eq!(y, [1.0, 0.0, 1.0, 0.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct SpanningTree {
    nodes: usize,
    edges: Vec<(usize, usize)>,
    trees: usize,
}

impl SpanningTree {
    /// The graph of these edges between nodes `0..nodes`. Parallel edges and loops are allowed; no tree has a
    /// loop.
    pub fn new(nodes: usize, edges: &[(usize, usize)]) -> Result<Self, Error> {
        if !(1..u32::MAX as usize).contains(&nodes) {
            return Err(Error::argument(NAME, "nodes", ">= 1 and less than 2^32 - 1", nodes));
        }
        match edges.iter().flat_map(|&(a, b)| [a, b]).find(|&node| node >= nodes) {
            Some(node) => Err(Error::argument(NAME, "edges", format!("in 0..{nodes}"), node)),
            None => Ok(Self { nodes, edges: edges.to_vec(), trees: 1 }),
        }
    }

    /// Forests of exactly so many trees, so many edges less than there are nodes, in place of one tree. A
    /// node alone is a tree too.
    pub fn forest(self, trees: usize) -> Result<Self, Error> {
        if (1..=self.nodes).contains(&trees) {
            return Ok(Self { trees, ..self });
        }
        Err(Error::argument(NAME, "trees", format!("in 1..={}", self.nodes), trees))
    }
}

/// The node that stands for the tree of `node`. The path there is halved for the next time.
fn root(parent: &mut [usize], mut node: usize) -> usize {
    while parent[node] != node {
        parent[node] = parent[parent[node]];
        node = parent[node];
    }
    node
}

impl Oracle for SpanningTree {
    fn solve(&self, theta: &[f64], y: &mut [f64]) -> Result<(), Fault> {
        self.solve_many(theta.len(), theta, y)
    }

    fn solve_many(&self, n: usize, thetas: &[f64], ys: &mut [f64]) -> Result<(), Fault> {
        let mut scratch = Scratch::default();
        let mut parent = vec![0; self.nodes];
        let mut size = vec![0; self.nodes];
        rows::each(self, n, thetas, ys, |theta, y| {
            parent.iter_mut().enumerate().for_each(|(node, parent)| *parent = node);
            size.fill(1);
            let (order, sorted) = argsort(theta, true, &mut scratch);
            let mut trees = self.nodes;
            for (&edge, &weight) in order.iter().zip(&sorted) {
                if trees == self.trees || weight == f64::NEG_INFINITY {
                    break;
                }
                let (a, b) = self.edges[edge as usize];
                let (a, b) = (root(&mut parent, a), root(&mut parent, b));
                if a != b {
                    let (small, large) = if size[a] < size[b] { (a, b) } else { (b, a) };
                    parent[small] = large;
                    size[large] += size[small];
                    y[edge as usize] = 1.0;
                    trees -= 1;
                }
            }
            scratch.indices.give(order);
            scratch.reals.give(sorted);
            if trees == self.trees { Ok(()) } else { Err(Fault::Infeasible) }
        })
    }

    fn validate(&self, n: usize) -> Result<(), Error> {
        rows::length(NAME, n, self.edges.len(), "edge")
    }

    fn work(&self, n: usize) -> usize {
        20 * n + self.nodes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::perturb::oracles::graph::testing::random_edges;
    use crate::perturb::oracles::rows::testing::{
        check_refusals, check_solve_many, objective, solved, value,
    };
    use supple_core::Stream;

    /// How many trees the chosen edges leave, if they have no cycle.
    fn trees(nodes: usize, edges: &[(usize, usize)], chosen: impl Fn(usize) -> bool) -> Option<usize> {
        let mut tree: Vec<usize> = (0..nodes).collect();
        for (_, &(a, b)) in edges.iter().enumerate().filter(|(e, _)| chosen(*e)) {
            let (a, b) = (tree[a], tree[b]);
            if a == b {
                return None;
            }
            tree.iter_mut().filter(|tree| **tree == a).for_each(|tree| *tree = b);
        }
        Some((0..nodes).filter(|v| tree[*v] == *v).count())
    }

    #[test]
    fn finds_the_best_of_all_trees_and_forests() {
        let mut random = Stream::new(13, 0, 0);
        let mut found = 0;
        for _ in 0..600 {
            let (nodes, edges) = random_edges(&mut random, 10);
            let count = 1 + random.below(nodes.min(3));
            let forest = SpanningTree::new(nodes, &edges).unwrap().forest(count).unwrap();
            let theta = objective(&mut random, edges.len());
            let chosen = |set: usize| move |e: usize| set >> e & 1 == 1;
            let sets = (0..1 << edges.len()).filter(|&set| trees(nodes, &edges, chosen(set)) == Some(count));
            let sum = |set| (0..edges.len()).filter(|&e| chosen(set)(e)).map(|e| theta[e]).sum::<f64>();
            let best = sets.map(sum).fold(f64::NEG_INFINITY, f64::max);
            match solved(&forest, &theta) {
                Ok(y) => {
                    assert_eq!(trees(nodes, &edges, |e| y[e] == 1.0), Some(count));
                    assert!((value(&theta, &y) - best).abs() < 1e-12, "{edges:?} {theta:?}");
                    found += 1;
                }
                Err(fault) => assert!(fault == Fault::Infeasible && best == f64::NEG_INFINITY),
            }
            if !edges.is_empty() {
                check_solve_many(&forest, edges.len(), &mut random);
                check_refusals(&forest, edges.len());
            }
        }
        assert!(found > 200, "{found}");
    }

    #[test]
    fn infinities_ties_and_bad_graphs() {
        let tree = SpanningTree::new(3, &[(0, 0), (0, 1), (1, 0), (1, 2)]).unwrap();
        assert_eq!(solved(&tree, &[f64::INFINITY, 1.0, 1.0, -3.0]), Ok(vec![0.0, 1.0, 0.0, 1.0]));
        assert_eq!(solved(&tree, &[0.0, 1.0, f64::INFINITY, -3.0]), Ok(vec![0.0, 0.0, 1.0, 1.0]));
        assert_eq!(solved(&tree, &[0.0, 1.0, 1.0, f64::NEG_INFINITY]), Err(Fault::Infeasible));
        // No edges: one node is a tree, two are not, but a forest.
        let bare = |nodes| SpanningTree::new(nodes, &[]).unwrap();
        assert_eq!(solved(&bare(1), &[]), Ok(vec![]));
        assert_eq!(solved(&bare(2), &[]), Err(Fault::Infeasible));
        assert_eq!(solved(&bare(2).forest(2).unwrap(), &[]), Ok(vec![]));
        let text = |result: Result<SpanningTree, Error>| result.unwrap_err().to_string();
        assert_eq!(
            text(SpanningTree::new(0, &[])),
            "spanning_tree: `nodes` must be >= 1 and less than 2^32 - 1, got 0"
        );
        assert_eq!(text(SpanningTree::new(2, &[(0, 3)])), "spanning_tree: `edges` must be in 0..2, got 3");
        assert_eq!(text(bare(2).forest(0)), "spanning_tree: `trees` must be in 1..=2, got 0");
        assert_eq!(text(bare(2).forest(3)), "spanning_tree: `trees` must be in 1..=2, got 3");
    }
}
