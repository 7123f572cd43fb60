//! Minimum cuts and maximum flows.

use super::graph::HalfEdges;
use super::rows;
use crate::perturb::Oracle;
use supple_core::{Error, Fault};

const NAME: &str = "minimum_cut";
const NONE: usize = usize::MAX;

/// Maximises over the cuts that part the source from the sink: `theta` holds the *negative* capacities of the
/// edges, and `y` is 1 on the edges that lead from the source's side of a least cut to the other side.
///
/// ```
/// use supple_core::Error;
/// use supple_ops::perturb::{Oracle, oracles::MinimumCut};
///
/// let edges = [(0, 1), (0, 2), (1, 2), (1, 3), (2, 3)];
/// let cut = MinimumCut::new(4, &edges, 0, 3)?;
/// let mut y = [0.0; 5];
/// cut.solve(&[-5.0, -1.0, -1.0, -2.0, -4.0], &mut y).unwrap();
/// assert_eq!(y, [0.0, 1.0, 1.0, 1.0, 0.0]);
/// let (value, flow) = cut.maximum_flow(&[5.0, 1.0, 1.0, 2.0, 4.0]).unwrap();
/// assert_eq!((value, flow), (4.0, vec![3.0, 1.0, 1.0, 2.0, 2.0]));
/// # Ok::<(), Error>(())
/// ```
///
/// Dinic's algorithm: O(V² E), and far less as a rule. The flow is exact for whole capacities with a sum below
/// 2⁵², and right to round-off of the largest capacity else. Of several least cuts it takes the one with the fewest nodes on the side of
/// the source.
///
/// Capacities below 0, where θ is above, count as 0, as costs do for [`ShortestPath`](super::ShortestPath): the
/// gradient of [`PerturbedArgmax`](crate::perturb::PerturbedArgmax) is right all the same, that of
/// [`FenchelYoung`](crate::perturb::FenchelYoung) is then a little off. An edge of capacity +∞ cannot be cut;
/// where such edges join the source to the sink, the solver answers [`Fault::Infeasible`].
///
/// Dinic, *Algorithm for solution of a problem of maximum flow in networks with power estimation*, 1970.
#[derive(Debug, Clone)]
pub struct MinimumCut {
    source: usize,
    sink: usize,
    directed: bool,
    /// Half-edge `2e` leads to the first end of edge `e`, `2e + 1` to the second; `h ^ 1` is `h` backwards.
    ends: Vec<usize>,
    /// The half-edges that leave node `v` are `leaving[first[v]..first[v + 1]]`.
    first: Vec<usize>,
    leaving: Vec<usize>,
}

impl MinimumCut {
    /// The graph of these directed edges between nodes `0..nodes`. Parallel edges and loops are allowed.
    pub fn new(nodes: usize, edges: &[(usize, usize)], source: usize, sink: usize) -> Result<Self, Error> {
        let inside = |argument: &str, node: usize| match node < nodes {
            true => Ok(()),
            false => Err(Error::argument(NAME, argument, format!("in 0..{nodes}"), node)),
        };
        inside("source", source)?;
        inside("sink", sink)?;
        if source == sink {
            return Err(Error::argument(NAME, "sink", "another node than the source", sink));
        }
        edges.iter().try_for_each(|&(from, to)| inside("edges", from).and(inside("edges", to)))?;
        let HalfEdges { ends, first, leaving } = HalfEdges::of(nodes, edges);
        Ok(Self { source, sink, directed: true, ends, first, leaving })
    }

    /// As [`new`](Self::new), with edges that can be passed both ways: `y` is 1 on those between the two sides.
    pub fn undirected(
        nodes: usize,
        edges: &[(usize, usize)],
        source: usize,
        sink: usize,
    ) -> Result<Self, Error> {
        Ok(Self { directed: false, ..Self::new(nodes, edges, source, sink)? })
    }

    /// The largest flow from the source to the sink, and the flow through each edge (below 0 where it runs
    /// from the second end of an undirected edge to the first). Capacities below 0 count as 0.
    ///
    /// Faults: capacities that are NaN or not one for each edge; [`Fault::Unbounded`] where the flow is so.
    pub fn maximum_flow(&self, capacities: &[f64]) -> Result<(f64, Vec<f64>), Fault> {
        let edges = self.ends.len() / 2;
        if capacities.len() != edges {
            let requirement = format!("of {edges} numbers, one for each edge");
            let error = Error::argument(NAME, "capacities", requirement, capacities.len());
            return Err(Fault::Oracle(error.to_string()));
        }
        if let Some(&value) = capacities.iter().find(|capacity| capacity.is_nan()) {
            return Err(Fault::Domain { argument: "capacities", requirement: "a number", value });
        }
        let mut search = Search::new(self);
        let unit = search.saturate(capacities.iter().copied()).ok_or(Fault::Unbounded)?;
        let flow = |edge: &[f64]| match self.directed {
            true => edge[0] / unit,
            false => (edge[0] - edge[1]) / 2.0 / unit,
        };
        let flow: Vec<f64> = search.residual.chunks_exact(2).map(flow).collect();
        let leaves = |ends: &[usize]| (ends[0] == self.source) as i8 - (ends[1] == self.source) as i8;
        let value = self.ends.chunks_exact(2).zip(&flow).map(|(ends, flow)| leaves(ends) as f64 * flow).sum();
        Ok((value, flow))
    }
}

impl Oracle for MinimumCut {
    fn solve(&self, theta: &[f64], y: &mut [f64]) -> Result<(), Fault> {
        self.solve_many(theta.len(), theta, y)
    }

    fn solve_many(&self, n: usize, thetas: &[f64], ys: &mut [f64]) -> Result<(), Fault> {
        let mut search = Search::new(self);
        rows::each(self, n, thetas, ys, |theta, y| {
            search.saturate(theta.iter().map(|theta| -theta)).ok_or(Fault::Infeasible)?;
            search.spread(|residual| residual > 0.0);
            for (y, ends) in y.iter_mut().zip(self.ends.chunks_exact(2)) {
                let [from, to] = [0, 1].map(|i| search.level[ends[i]] != NONE);
                *y = (from && !to || !self.directed && to && !from) as u8 as f64;
            }
            Ok(())
        })
    }

    fn takes_either_sign(&self) -> bool {
        false
    }

    fn validate(&self, n: usize) -> Result<(), Error> {
        rows::length(NAME, n, self.ends.len() / 2, "edge")
    }

    fn work(&self, n: usize) -> usize {
        // A search costs a few steps for each edge; their number grows slowly with the graph.
        let searches = 10 + self.first.len().isqrt();
        (4 * (2 * n + self.first.len())).saturating_mul(searches)
    }
}

struct Search<'a> {
    graph: &'a MinimumCut,
    /// What each half-edge can still take.
    residual: Vec<f64>,
    /// The distance of each node in edges; `NONE` where a search has not come.
    level: Vec<usize>,
    /// The half-edge to try next at each node, as an index into `leaving`.
    next: Vec<usize>,
    queue: Vec<usize>,
    path: Vec<usize>,
}

impl<'a> Search<'a> {
    fn new(graph: &'a MinimumCut) -> Self {
        let nodes = graph.first.len() - 1;
        Self {
            graph,
            residual: vec![],
            level: vec![NONE; nodes],
            next: vec![0; nodes],
            queue: vec![],
            path: vec![],
        }
    }

    /// Sends as much as these capacities let through. Returns the unit of the flow, or nothing where there is no
    /// limit.
    fn saturate(&mut self, capacities: impl Iterator<Item = f64>) -> Option<f64> {
        self.residual.clear();
        for capacity in capacities.map(|capacity| capacity.max(0.0)) {
            self.residual.extend([if self.graph.directed { 0.0 } else { capacity }, capacity]);
        }
        let finite = self.residual.iter().copied().filter(|r| r.is_finite());
        // So that no sum overflows.
        let unit = if finite.fold(0.0, f64::max) > 2f64.powi(900) { 2f64.powi(-100) } else { 1.0 };
        self.residual.iter_mut().for_each(|r| *r *= unit);
        if self.residual.contains(&f64::INFINITY) {
            self.spread(|residual| residual == f64::INFINITY);
            if self.level[self.graph.sink] != NONE {
                return None;
            }
            // More than can come.
            let plenty = 1.0 + 2.0 * self.residual.iter().filter(|r| r.is_finite()).sum::<f64>();
            self.residual.iter_mut().for_each(|r| *r = r.min(plenty));
        }
        while self.measure() {
            self.block();
        }
        Some(unit)
    }

    /// Levels from the source over open half-edges.
    fn spread(&mut self, open: impl Fn(f64) -> bool) {
        let Self { graph, residual, level, queue, .. } = self;
        level.fill(NONE);
        level[graph.source] = 0;
        queue.clear();
        queue.push(graph.source);
        let mut done = 0;
        while let Some(&v) = queue.get(done) {
            done += 1;
            for &h in &graph.leaving[graph.first[v]..graph.first[v + 1]] {
                let w = graph.ends[h];
                if level[w] == NONE && open(residual[h]) {
                    level[w] = level[v] + 1;
                    queue.push(w);
                }
            }
        }
    }

    /// Distances to the sink of all nodes that are closer than the source. False if there is no way.
    fn measure(&mut self) -> bool {
        let Self { graph, residual, level, queue, .. } = self;
        level.fill(NONE);
        level[graph.sink] = 0;
        queue.clear();
        queue.push(graph.sink);
        let mut done = 0;
        while let Some(&v) = queue.get(done) {
            done += 1;
            for &h in &graph.leaving[graph.first[v]..graph.first[v + 1]] {
                let w = graph.ends[h];
                if level[w] == NONE && residual[h ^ 1] > 0.0 {
                    level[w] = level[v] + 1;
                    if w == graph.source {
                        return true;
                    }
                    queue.push(w);
                }
            }
        }
        false
    }

    /// Sends flow along shortest paths until each of them has a full edge. That edge is full exactly: its
    /// residual is taken from itself.
    fn block(&mut self) {
        let Self { graph, residual, level, next, path, .. } = self;
        let nodes = next.len();
        next.copy_from_slice(&graph.first[..nodes]);
        path.clear();
        let mut v = graph.source;
        loop {
            if v == graph.sink {
                let least = path.iter().map(|&h| residual[h]).fold(f64::INFINITY, f64::min);
                for &h in path.iter() {
                    residual[h] -= least;
                    residual[h ^ 1] += least;
                }
                let full = path.iter().position(|&h| residual[h] == 0.0).unwrap_or(0);
                v = graph.ends[path[full] ^ 1];
                path.truncate(full);
            }
            let closer = level[v] - 1;
            let step = graph.leaving[next[v]..graph.first[v + 1]]
                .iter()
                .position(|&h| residual[h] > 0.0 && level[graph.ends[h]] == closer);
            match step {
                Some(step) => {
                    next[v] += step;
                    path.push(graph.leaving[next[v]]);
                    v = graph.ends[graph.leaving[next[v]]];
                }
                None => {
                    // A dead end: not to be entered again.
                    level[v] = NONE;
                    let Some(h) = path.pop() else { return };
                    v = graph.ends[h ^ 1];
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
