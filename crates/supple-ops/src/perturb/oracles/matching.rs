//! Matchings of the largest weight in general graphs.

mod search;

use self::search::Search;
use super::graph::HalfEdges;
use super::rows;
use crate::perturb::Oracle;
use supple_core::{Error, Fault};

const NAME: &str = "matching";
const NONE: usize = usize::MAX;
/// So few that dual variables fit into 64 bits.
const MOST_NODES: usize = 1 << 26;

/// Maximises over the matchings of an undirected graph, sets of edges of which no two share a node: `theta`
/// holds the weights of the edges, and `y` is 1 on those of a matching of the largest total weight.
///
/// ```
/// use supple_core::Error;
/// use supple_ops::perturb::{Oracle, oracles::Matching};
///
/// // A triangle with a tail: its two ends, or the middle.
/// let edges = [(0, 1), (1, 2), (2, 0), (2, 3)];
/// let matching = Matching::new(4, &edges)?;
/// let mut y = [0.0; 4];
/// matching.solve(&[2.0, 4.0, 1.0, 3.0], &mut y).unwrap();
/// assert_eq!(y, [1.0, 0.0, 0.0, 1.0]);
/// # Ok::<(), Error>(())
/// ```
///
/// Edmonds' algorithm with blossoms and dual variables, from all free nodes at once, with a queue of the events
/// at which an edge becomes tight or a blossom dissolves: O(V E log V) beside the contraction of blossoms, which
/// takes O(V³) where they nest deeply; much less where trees stay small. It
/// computes with whole numbers: the weights, rounded to multiples of 2⁻⁵² of the power of two above the largest
/// |θ| (among the positive ones, unless [`perfect`](Self::perfect)). It is exact where all are multiples of that
/// unit, as integers are. The unit is larger by a factor of at most V/32 where the matching must be perfect or a
/// weight is +∞, and of V²/16 where both are so.
///
/// Edges of weight 0 or less are not taken. −∞ closes an edge; edges of +∞ come first: as many of them as
/// possible, and the best of the rest. Of equal matchings which one is taken is fixed by the order of the edges.
///
/// Edmonds, *Maximum matching and a polyhedron with 0,1-vertices*, 1965; Galil, Micali and Gabow, *An O(EV log
/// V) algorithm for finding a maximal weighted matching in general graphs*, 1986.
#[derive(Debug, Clone)]
pub struct Matching {
    nodes: usize,
    /// Half-edge `2e` leads to the first end of edge `e`, `2e + 1` to the second; `h ^ 1` is `h` backwards.
    ends: Vec<usize>,
    /// The half-edges that leave node `v` are `leaving[first[v]..first[v + 1]]`.
    first: Vec<usize>,
    leaving: Vec<usize>,
    perfect: bool,
}

impl Matching {
    /// The graph of these edges between nodes `0..nodes`. Parallel edges are allowed, loops are not.
    pub fn new(nodes: usize, edges: &[(usize, usize)]) -> Result<Self, Error> {
        if nodes > MOST_NODES {
            return Err(Error::argument(NAME, "nodes", format!("in 0..={MOST_NODES}"), nodes));
        }
        for &(a, b) in edges {
            if let Some(node) = [a, b].into_iter().find(|&node| node >= nodes) {
                return Err(Error::argument(NAME, "edges", format!("in 0..{nodes}"), node));
            }
            if a == b {
                return Err(Error::argument(NAME, "edges", "between two nodes", format!("({a}, {b})")));
            }
        }
        let HalfEdges { ends, first, leaving } = HalfEdges::of(nodes, edges);
        Ok(Self { nodes, ends, first, leaving, perfect: false })
    }

    /// Only over the matchings that cover every node, whatever the signs of the weights. Where there is none,
    /// the solver answers [`Fault::Infeasible`].
    pub fn perfect(self) -> Self {
        Self { perfect: true, ..self }
    }
}

impl Oracle for Matching {
    fn solve(&self, theta: &[f64], y: &mut [f64]) -> Result<(), Fault> {
        self.solve_many(theta.len(), theta, y)
    }

    fn solve_many(&self, n: usize, thetas: &[f64], ys: &mut [f64]) -> Result<(), Fault> {
        let mut search = Search::new(self);
        rows::each(self, n, thetas, ys, |theta, y| {
            search.run(theta);
            for v in 0..self.nodes {
                match search.mate[v] {
                    NONE if self.perfect => return Err(Fault::Infeasible),
                    NONE => {}
                    h => y[h / 2] = 1.0,
                }
            }
            Ok(())
        })
    }

    fn validate(&self, n: usize) -> Result<(), Error> {
        rows::length(NAME, n, self.ends.len() / 2, "edge")
    }

    fn work(&self, n: usize) -> usize {
        // Half as many searches as nodes at most; one looks at a part of the edges.
        (5 * (n + self.nodes)).saturating_mul(self.nodes + 10)
    }
}

#[cfg(test)]
mod tests {
    use super::super::rows::testing::{check_refusals, check_solve_many, objective, solved, value};
    use super::*;
    use supple_core::Stream;

    /// The largest weight over all matchings of the nodes that are not in `covered`, by trying them.
    fn most(graph: &Matching, theta: &[f64], covered: u32) -> f64 {
        let v = covered.trailing_ones() as usize;
        if v >= graph.nodes {
            return 0.0;
        }
        let alone = if graph.perfect { f64::NEG_INFINITY } else { most(graph, theta, covered | 1 << v) };
        let edges = graph.leaving[graph.first[v]..graph.first[v + 1]].iter();
        edges.filter(|&&h| covered >> graph.ends[h] & 1 == 0).fold(alone, |best, &h| {
            best.max(theta[h / 2] + most(graph, theta, covered | 1 << v | 1 << graph.ends[h]))
        })
    }

    fn random_graph(random: &mut Stream, nodes: usize, edges: usize) -> Matching {
        let mut node = |below| random.below(below);
        let pairs = (0..if nodes < 2 { 0 } else { edges }).map(|_| {
            let (a, b) = (node(nodes), node(nodes - 1));
            (a, b + (b >= a) as usize)
        });
        Matching::new(nodes, &pairs.collect::<Vec<_>>()).unwrap()
    }

    fn assert_matching(graph: &Matching, y: &[f64]) {
        let mut degree = vec![0.0; graph.nodes];
        graph.ends.iter().enumerate().for_each(|(h, &v)| degree[v] += y[h / 2]);
        let least = if graph.perfect { 1.0 } else { 0.0 };
        assert!(degree.iter().all(|&degree| (least..=1.0).contains(&degree)));
    }

    #[test]
    fn finds_the_best_of_all_matchings() {
        let mut random = Stream::new(11, 0, 0);
        for case in 0..3000 {
            let nodes = random.below(if case % 100 == 0 { 13 } else { 9 });
            let edges = random.below(3 * nodes + 1);
            let graph = random_graph(&mut random, nodes, edges);
            let graph = if case % 2 == 0 { graph } else { graph.perfect() };
            let theta = objective(&mut random, graph.ends.len() / 2);
            let best = most(&graph, &theta, 0);
            match solved(&graph, &theta) {
                Ok(y) => {
                    assert_matching(&graph, &y);
                    assert!((value(&theta, &y) - best).abs() < 1e-12, "{graph:?} {theta:?} {best}");
                    assert!(graph.perfect || theta.iter().zip(&y).all(|(t, y)| *t > 0.0 || *y == 0.0));
                }
                Err(fault) => assert!(fault == Fault::Infeasible && best == f64::NEG_INFINITY),
            }
            if case % 10 == 0 && !graph.perfect {
                check_solve_many(&graph, theta.len(), &mut random);
            }
        }
    }

    /// Duality: no matching is better than this sum of dual variables.
    #[test]
    fn dual_variables_prove_the_matchings_of_large_graphs() {
        let mut random = Stream::new(12, 0, 0);
        for case in 0..60 {
            let nodes = 20 + random.below(60);
            let edges = random.below(8 * nodes);
            let graph = random_graph(&mut random, nodes, edges);
            let graph = if case % 2 == 0 { graph } else { graph.perfect() };
            let mut theta = objective(&mut random, edges);
            theta.iter_mut().filter(|_| case % 3 == 0).for_each(|theta| *theta = theta.abs());
            let mut search = Search::new(&graph);
            search.run(&theta);
            let free = search.mate.iter().filter(|&&mate| mate == NONE).count();
            if graph.perfect && free > 0 {
                continue;
            }
            let around = |mut v: usize| {
                let mut all = vec![v];
                while search.parent[v] != NONE {
                    v = search.parent[v];
                    all.push(v);
                }
                all
            };
            let mut bound = search.dual[..nodes].iter().map(|&u| u as i128).sum::<i128>();
            assert!(graph.perfect || search.dual[..nodes].iter().all(|&u| u >= 0));
            for b in (nodes..search.parent.len()).filter(|b| !search.spare.contains(b)) {
                assert!(search.dual[b] >= 0);
                bound += search.dual[b] as i128 * (search.inside(b).len() as i128 / 2);
            }
            let mut total = 0;
            for e in 0..edges {
                let Some(weight) = search.weight[e] else { continue };
                let [a, b] = [2 * e, 2 * e + 1].map(|h| around(graph.ends[h]));
                let both = a.iter().filter(|x| b.contains(x)).map(|&x| search.dual[x]).sum::<i64>();
                assert!(search.dual[a[0]] + search.dual[b[0]] + both >= weight);
                total += if search.mate[graph.ends[2 * e]] / 2 == e { weight as i128 } else { 0 };
            }
            assert_eq!(total, bound);
        }
    }

    #[test]
    fn infinite_weights_come_first() {
        let path = Matching::new(5, &[(0, 1), (1, 2), (2, 3), (3, 4)]).unwrap();
        let inf = f64::INFINITY;
        assert_eq!(solved(&path, &[1e308, inf, 1e308, -inf]).unwrap(), [0.0, 1.0, 0.0, 0.0]);
        assert_eq!(solved(&path, &[inf, 1.0, 2.0, inf]).unwrap(), [1.0, 0.0, 0.0, 1.0]);
        assert_eq!(solved(&path, &[inf, 1.0, 2.0, 3.0]).unwrap(), [1.0, 0.0, 0.0, 1.0]);
        assert_eq!(solved(&path, &[5e-324, 1e308, 5e-324, 0.0]).unwrap(), [0.0, 1.0, 0.0, 0.0]);
        assert_eq!(solved(&path, &[5e-324; 4]).unwrap().iter().sum::<f64>(), 2.0);
        assert_eq!(solved(&path, &[-inf; 4]).unwrap(), [0.0; 4]);
        let square = Matching::new(4, &[(0, 1), (1, 2), (2, 3), (3, 0)]).unwrap().perfect();
        assert_eq!(solved(&square, &[inf, -9.0, -1e300, -9.0]).unwrap(), [1.0, 0.0, 1.0, 0.0]);
        assert_eq!(solved(&square, &[inf, -9.0, -inf, -9.0]).unwrap(), [0.0, 1.0, 0.0, 1.0]);
        assert_eq!(solved(&square, &[inf, -inf, -inf, -9.0]), Err(Fault::Infeasible));
    }

    #[test]
    fn bad_graphs_and_objectives_are_refused() {
        let message = Matching::new(2, &[(0, 2)]).unwrap_err().to_string();
        assert_eq!(message, "matching: `edges` must be in 0..2, got 2");
        let message = Matching::new(2, &[(1, 1)]).unwrap_err().to_string();
        assert_eq!(message, "matching: `edges` must be between two nodes, got (1, 1)");
        assert!(Matching::new(MOST_NODES + 1, &[]).is_err());
        check_refusals(&Matching::new(3, &[(0, 1), (1, 2)]).unwrap(), 2);
        for nodes in 0..3 {
            let perfect = Matching::new(nodes, &[]).unwrap().perfect();
            let expected = if nodes == 0 { Ok(vec![]) } else { Err(Fault::Infeasible) };
            assert_eq!(solved(&perfect, &[]), expected);
        }
    }
}
