//! Graphs, as solvers look at them.

use supple_core::Error;

/// Edges that can be passed both ways: half-edge `2e` leads to the first end of edge `e`, `2e + 1` to the second, so
/// that `h ^ 1` is `h` backwards.
pub(super) struct HalfEdges {
    /// Where each leads.
    pub ends: Vec<usize>,
    /// Those that leave node `v` are `leaving[first[v]..first[v + 1]]`.
    pub first: Vec<usize>,
    pub leaving: Vec<usize>,
}

impl HalfEdges {
    /// Those of edges between nodes `0..nodes`.
    pub fn of(nodes: usize, edges: &[(usize, usize)]) -> Self {
        let ends: Vec<usize> = edges.iter().flat_map(|&(from, to)| [from, to]).collect();
        let mut leaving: Vec<usize> = (0..ends.len()).collect();
        leaving.sort_by_key(|h| ends[h ^ 1]);
        let mut first = vec![0; nodes + 1];
        ends.iter().for_each(|&v| first[v + 1] += 1);
        (0..nodes).for_each(|v| first[v + 1] += first[v]);
        Self { ends, first, leaving }
    }
}

/// A directed graph with two nodes to be joined: edges by the node that they leave.
#[derive(Debug, Clone)]
pub(super) struct Graph {
    pub source: usize,
    pub target: usize,
    /// The edges that leave node `v` are `leaving[first[v]..first[v + 1]]`: where they lead, and their
    /// number.
    first: Vec<usize>,
    leaving: Vec<(usize, usize)>,
    /// Where each edge comes from.
    from: Vec<usize>,
}

impl Graph {
    /// The graph of these edges between nodes `0..nodes`, for the oracle of this name.
    pub fn new(
        oracle: &str,
        nodes: usize,
        edges: &[(usize, usize)],
        source: usize,
        target: usize,
    ) -> Result<Self, Error> {
        if nodes >= u32::MAX as usize {
            return Err(Error::argument(oracle, "nodes", "less than 2^32 - 1", nodes));
        }
        let inside = |argument: &str, node: usize| match node < nodes {
            true => Ok(()),
            false => Err(Error::argument(oracle, argument, format!("in 0..{nodes}"), node)),
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

    pub fn nodes(&self) -> usize {
        self.first.len() - 1
    }

    pub fn edges(&self) -> usize {
        self.from.len()
    }

    /// The edges that leave a node: where they lead, and their number.
    pub fn leaving(&self, node: usize) -> &[(usize, usize)] {
        &self.leaving[self.first[node]..self.first[node + 1]]
    }

    /// Writes ones on the path that ends at the target, from the edge through which each node on it is
    /// reached. False if that goes round in a circle.
    pub fn trace(&self, through: &[usize], y: &mut [f64]) -> bool {
        let mut node = self.target;
        for _ in 0..self.nodes() {
            if node == self.source {
                return true;
            }
            y[through[node]] = 1.0;
            node = self.from[through[node]];
        }
        false
    }
}

#[cfg(test)]
pub(super) mod testing {
    use supple_core::Stream;

    /// A few edges between up to six nodes, loops and parallel ones among them.
    pub fn random_edges(random: &mut Stream, most: usize) -> (usize, Vec<(usize, usize)>) {
        let nodes = 1 + random.below(6);
        let edges = 0..random.below(most + 1);
        (nodes, edges.map(|_| (random.below(nodes), random.below(nodes))).collect())
    }

    /// The least cost over all paths without a repeated node, by trying them.
    pub fn least(edges: &[(usize, usize)], cost: &[f64], at: usize, target: usize, seen: u32) -> f64 {
        if at == target {
            return 0.0;
        }
        let leaving = edges.iter().zip(cost).filter(|((from, to), _)| *from == at && seen >> to & 1 == 0);
        leaving
            .map(|(&(_, to), c)| c + least(edges, cost, to, target, seen | 1 << to))
            .fold(f64::INFINITY, f64::min)
    }

    /// One more edge leaves the source than enters it, one more enters the target, and elsewhere as many.
    pub fn assert_flow(edges: &[(usize, usize)], y: &[f64], source: usize, target: usize, nodes: usize) {
        for node in 0..nodes {
            let sum = |end: fn(&(usize, usize)) -> usize| -> f64 {
                edges.iter().zip(y).filter(|(e, _)| end(e) == node).map(|(_, y)| y).sum()
            };
            let flow = sum(|e| e.0) - sum(|e| e.1);
            let expected = (node == source) as i8 - (node == target) as i8;
            assert_eq!(flow, expected as f64);
        }
    }
}
