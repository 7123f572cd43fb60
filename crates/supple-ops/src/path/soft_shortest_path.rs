//! The length of the shortest path through a graph without cycles, smoothed.
//!
//! With $\min_\Omega$ the regularised minimum of
//! [`SmoothMax`](supple_numerics::smooth_max::SmoothMax), over the edges into a node,
//!
//! $$V(\mathrm{source}) = 0, \qquad
//! V(v) = \min\nolimits_\Omega \lbrace V(u) + c_e : e = (u, v) \rbrace, \qquad
//! \mathrm{value} = V(\mathrm{target}),$$
//!
//! and `usage` is its gradient $\partial \mathrm{value} / \partial c$: a unit flow from source to target.
//! With entropy that is a sum over all paths, $-\gamma \ln \sum_\pi e^{-c(\pi)/\gamma}$, and the flow that
//! of random paths with these weights; with L2 most edges carry nothing. The derivative of the usage is
//! the Hessian of the value, by the recursions of Mensch and Blondel. Softness is γ, in the unit of the
//! costs; softness → 0 is the shortest path. Costs may be negative. Cost: O(V + E) time and memory.
//!
//! Paper: Mensch and Blondel, *Differentiable dynamic programming for structured prediction and
//! attention*, ICML 2018.

use super::dag::Dag;
use super::oracle;
use ndarray::{ArrayD, ArrayView, Dimension};
use supple_core::{
    Args, Contract, Error, Fault, Float, Gradient, Law, Operator, Params, Point, Real, Sample, Scaling,
    Scratch, Stream, evaluate,
};
use supple_numerics::smooth_max::SmoothMax;

supple_core::choices! {
    /// What smooths the minimum.
    pub enum Regularization {
        /// Log-sum-exp: every path gets some flow.
        Entropic = "entropic",
        /// Sparsemax: few paths get flow.
        L2 = "l2",
    }
}

supple_core::params! {
    /// Smoothed shortest path: see [`soft_shortest_path`].
    pub struct SoftShortestPath {
        /// Smoothing γ of the minimum, in the unit of the costs.
        softness: f64 = 1.0, Positive;
        /// What smooths the minimum.
        regularization: Regularization = Regularization::Entropic, Any;
        /// The number of nodes.
        nodes: usize = 2, AtLeast(1.0);
        /// The node where paths start.
        source: usize = 0, Any;
        /// The node where they end; the last one if none is given.
        target: Option<u64> = None, Any;
    }
}

/// The graph, and the weight of each edge among those into its node.
#[derive(Debug, Default)]
pub struct Plan<T> {
    dag: Dag,
    weights: Vec<T>,
}

impl SoftShortestPath {
    pub(super) fn target(&self) -> usize {
        self.target.map_or(self.nodes - 1, |target| target as usize)
    }

    fn kind(&self) -> SmoothMax {
        match self.regularization {
            Regularization::Entropic => SmoothMax::Entropic,
            Regularization::L2 => SmoothMax::L2,
        }
    }

    /// The value; fills the weights and adds the usage to `usage`.
    fn solve<T: Real>(
        &self,
        kind: SmoothMax,
        cost: &[T],
        plan: &mut Plan<T>,
        usage: &mut [T],
        scratch: &mut Scratch<T>,
    ) -> T {
        let Plan { dag, weights } = plan;
        weights.resize(dag.len(), T::zero());
        let mut values = scratch.reals.zeros(self.nodes);
        for (group, edges) in dag.groups() {
            let weights = &mut weights[group.edges.clone()];
            values[group.node] = if group.node == self.source {
                weights.fill(T::zero());
                T::zero()
            } else {
                weights.iter_mut().zip(edges).for_each(|(w, e)| *w = values[e.from] + cost[e.number]);
                kind.min(self.softness, weights)
            };
        }
        let value = values[self.target()];
        values.fill(T::zero());
        values[self.target()] = if value < T::infinity() { T::one() } else { T::zero() };
        spread(dag, weights, |_| T::zero(), &mut values, usage);
        scratch.reals.give(values);
        value
    }
}

/// Sends the flow of every node back along the edges into it, in proportion to their weights, and adds
/// what `more` says for the place of an edge.
fn spread<T: Real>(dag: &Dag, weights: &[T], more: impl Fn(usize) -> T, nodes: &mut [T], usage: &mut [T]) {
    for (group, edges) in dag.groups().rev() {
        let flow = nodes[group.node];
        for (place, edge) in group.edges.clone().zip(edges) {
            let part = weights[place] * flow + more(place);
            usage[edge.number] += part;
            nodes[edge.from] += part;
        }
    }
}

impl Operator<1, 2, 2> for SoftShortestPath {
    const NAME: &'static str = "soft_shortest_path";
    const SIGNATURE: &'static str = "cost(e), from: index(e), to: index(e) -> value(), usage(e)";
    // Under L2, usages have kinks where a step enters or leaves the support.
    const GRADIENT: Gradient = Gradient::AlmostEverywhere;

    type Saved<T: Real> = Plan<T>;

    fn validate(&self, _sizes: &[usize]) -> Result<(), Error> {
        self.check(Self::NAME)?;
        if u32::try_from(self.nodes).is_err() {
            return Err(Error::argument(Self::NAME, "nodes", "below 2³²", self.nodes));
        }
        let inside = |name, node: u64| match node < self.nodes as u64 {
            true => Ok(()),
            false => Err(Error::argument(Self::NAME, name, format!("in 0..{}", self.nodes), node)),
        };
        inside("source", self.source as u64)?;
        inside("target", self.target.unwrap_or(self.nodes as u64 - 1))
    }

    fn work(&self, sizes: &[usize]) -> usize {
        16 * (sizes[0] + self.nodes)
    }

    fn scaling(&self) -> Option<Scaling<1, 2>> {
        Some(Scaling { softness: self.softness, power: 1, inputs: [1], outputs: [1, 0] })
    }

    fn forward<T: Real>(
        &self,
        at: Args<'_, T, 1, 2>,
        [value, usage]: [&mut [T]; 2],
        saved: &mut Plan<T>,
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let [from, to] = at.k;
        saved.dag = Dag::new(self.nodes, from, to)?;
        value[0] = self.solve(self.kind(), at.x[0], saved, usage, scratch);
        Ok(())
    }

    fn vjp<T: Real>(
        &self,
        at: Point<'_, T, Plan<T>, 1, 2, 2>,
        [dvalue, dusage]: [&[T]; 2],
        [dcost]: [&mut [T]; 1],
        scratch: &mut Scratch<T>,
    ) {
        let usage = at.y[1];
        dcost.iter_mut().zip(usage).for_each(|(dcost, &usage)| *dcost = usage * dvalue[0]);
        if dusage.iter().all(|d| d.is_zero()) {
            return;
        }
        // How values and weights change when the costs change by `dusage`.
        let Plan { dag, weights } = at.saved;
        let mut slopes = scratch.reals.zeros(self.nodes);
        let mut flows = scratch.reals.zeros(self.nodes);
        let mut changes = scratch.reals.zeros(dag.len());
        for (group, edges) in dag.groups() {
            let weights = &weights[group.edges.clone()];
            let changes = &mut changes[group.edges.clone()];
            for ((change, &weight), edge) in changes.iter_mut().zip(weights).zip(edges) {
                *change = slopes[edge.from] + dusage[edge.number];
                slopes[group.node] += weight * *change;
                flows[group.node] += usage[edge.number];
            }
            self.kind().hessian_product(self.softness, weights, changes);
        }
        slopes.fill(T::zero());
        for (group, _) in dag.groups() {
            let flow = flows[group.node];
            changes[group.edges.clone()].iter_mut().for_each(|change| *change = -(*change * flow));
        }
        spread(dag, weights, |place| changes[place], &mut slopes, dcost);
        [slopes, flows, changes].into_iter().for_each(|buffer| scratch.reals.give(buffer));
    }

    fn hard<T: Float>(
        &self,
        at: Args<'_, T, 1, 2>,
        [value, usage]: [&mut [T]; 2],
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let [from, to] = at.k;
        let mut plan = Plan { dag: Dag::new(self.nodes, from, to)?, weights: vec![] };
        value[0] = self.solve(SmoothMax::Hard, at.x[0], &mut plan, usage, scratch);
        Ok(())
    }
}

impl Contract<1, 2, 2> for SoftShortestPath {
    const SUMMARY: &'static str = "Smoothed shortest path through a graph without cycles, with edge usage";
    const PAPER: &'static str = "Mensch and Blondel, ICML 2018";
    const COST: &'static str = "O(V + E) time and memory";
    const ARGUMENTS: &'static [&'static str] = &["nodes", "softness"];

    fn cases() -> Vec<Self> {
        use Regularization::{Entropic, L2};
        let case = |softness, regularization, nodes, source, target| Self {
            softness,
            regularization,
            nodes,
            source,
            target,
        };
        vec![
            case(1.0, Entropic, 5, 0, None),
            case(0.3, Entropic, 6, 4, Some(1)),
            case(1.0, L2, 5, 0, None),
            case(0.3, L2, 6, 4, Some(1)),
        ]
    }

    fn laws(&self) -> Vec<Law> {
        oracle::laws(self)
    }

    fn oracle(&self, at: Args<'_, f64, 1, 2>) -> Option<[Vec<f64>; 2]> {
        Some(match self.regularization {
            Regularization::Entropic => oracle::sum_over_paths(self, at),
            Regularization::L2 => oracle::recursion(self, at),
        })
    }

    fn test_sizes(&self) -> Vec<Vec<usize>> {
        [1, 3, 8, 14].map(|edges| vec![edges]).to_vec()
    }

    /// An edge from source to target, a chain through all nodes, then edges at random.
    fn sample(&self, sizes: &[usize], _: [usize; 1], random: &mut Stream) -> Sample<1, 2> {
        let (source, target) = (self.source, self.target());
        let inner = (0..self.nodes).filter(|&node| node != source && node != target);
        let order: Vec<usize> = [source].into_iter().chain(inner).chain([target]).collect();
        let ends = |edge: usize, random: &mut Stream| match edge {
            0 => (source, target),
            edge if edge < order.len() => (order[edge - 1], order[edge]),
            _ => {
                let first = random.below(order.len() - 1);
                (order[first], order[first + 1 + random.below(order.len() - 1 - first)])
            }
        };
        let (from, to) =
            (0..sizes[0]).map(|edge| ends(edge, random)).map(|(from, to)| (from as i64, to as i64)).unzip();
        Sample { x: [random.normals(sizes[0])], k: [from, to] }
    }
}

/// The length of the shortest path through a graph without cycles, smoothed, with the expected usage of
/// each edge.
///
/// * `cost`: any leading batch axes, then one entry for each edge. Any sign; +∞ forbids an edge.
/// * `from`, `to`: the nodes that each edge leaves and enters, in `0..nodes`. They broadcast: one graph
///   serves a batch of costs. Any order of nodes and edges, parallel edges allowed, no cycles.
/// * `nodes`: the number of nodes. Paths lead from node 0 to the last node; the fields of
///   [`SoftShortestPath`] choose others.
/// * `softness`: γ, in the unit of the costs.
///
/// Returns the values, one for each item, and the usages, of the shape of `cost`:
///
/// $$\mathrm{value} = -\gamma \ln \sum_{\text{paths } \pi} e^{-c(\pi) / \gamma}, \qquad
/// \mathrm{usage} = \partial \mathrm{value} / \partial c,$$
///
/// with the entropic regularisation; with L2 the value is defined by the recursion over nodes. The usage is
/// a unit flow from the first to the last node: the probability that a random path takes the edge. As
/// γ → 0 the value becomes the length of the shortest path and the usage its edges; between tied edges into
/// a node the hard form takes the first. The entropic gradient is exact everywhere. That of L2 is too, but
/// the usage is piecewise linear locally and has kinks where an edge comes into use; there its derivative is
/// that of one side. Where no path leads to the target the value is +∞ and the usage zero.
///
/// Cost: O(V + E) time and memory. A [`Grid`](super::Grid) gives the edges of a map.
///
/// Errors: `softness` not finite and positive; no nodes; shapes that do not fit; an item whose edges
/// leave `0..nodes` or form a cycle.
///
/// ```
/// use ndarray::array;
/// use supple_ops::path::soft_shortest_path;
/// // 0 → 1 → 3 costs 3, 0 → 2 → 3 costs 5.
/// let (from, to) = (array![0, 1, 0, 2], array![1, 3, 2, 3]);
/// let (value, usage) = soft_shortest_path(&array![1.0, 2.0, 1.0, 4.0], &from, &to, 4, 0.1)?;
/// assert!((value.sum() - 3.0_f64).abs() < 1e-6);
/// assert!((usage[[0]] - 1.0).abs() < 1e-6 && usage[[2]] < 1e-6);
/// # Ok::<(), supple_core::Error>(())
/// ```
///
/// Paper: Mensch and Blondel, *Differentiable dynamic programming for structured prediction and
/// attention*, ICML 2018.
pub fn soft_shortest_path<'a, T: Float, D: Dimension, E: Dimension>(
    cost: impl Into<ArrayView<'a, T, D>>,
    from: impl Into<ArrayView<'a, i64, E>>,
    to: impl Into<ArrayView<'a, i64, E>>,
    nodes: usize,
    softness: f64,
) -> Result<(ArrayD<T>, ArrayD<T>), Error> {
    let operator = SoftShortestPath { nodes, softness, ..SoftShortestPath::default() };
    let inputs = ([cost.into().into_dyn()], [from.into().into_dyn(), to.into().into_dyn()]);
    let [value, usage] = evaluate(&operator, inputs)?;
    Ok((value, usage))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array1, array};

    #[test]
    fn an_unreachable_target_is_infinitely_far() {
        for regularization in [Regularization::Entropic, Regularization::L2] {
            let operator = SoftShortestPath { nodes: 4, regularization, ..SoftShortestPath::default() };
            let (from, to) = (array![0, 2].into_dyn(), array![1, 3].into_dyn());
            let cost = array![[1.0, 2.0], [f64::INFINITY, -1.0]].into_dyn();
            let [value, usage] = evaluate(&operator, ([cost.view()], [from.view(), to.view()])).unwrap();
            assert!(value.iter().all(|v| *v == f64::INFINITY) && usage.iter().all(|u| *u == 0.0));
        }
    }

    #[test]
    fn one_node_and_no_edge() {
        let none = Array1::<i64>::zeros(0);
        let (value, usage) = soft_shortest_path(&Array1::<f64>::zeros(0), &none, &none, 1, 1.0).unwrap();
        assert_eq!((value.sum(), usage.len()), (0.0, 0));
    }

    #[test]
    fn errors_name_what_is_wrong() {
        let message = |operator: &SoftShortestPath, from: &[i64], to: &[i64]| {
            let cost = vec![1.0; from.len()];
            let view = |ends| ArrayView::from(ends).into_dyn();
            let cost = ArrayView::from(&cost[..]).into_dyn();
            evaluate(operator, ([cost], [view(from), view(to)])).unwrap_err().to_string()
        };
        let operator = SoftShortestPath { nodes: 3, ..SoftShortestPath::default() };
        assert!(message(&operator, &[0, 1, 2], &[1, 2, 1]).contains("cycle"));
        assert!(message(&operator, &[0, 7], &[1, 2]).contains("`from` has 7 at position 1"));
        let operator = SoftShortestPath { target: Some(3), ..operator };
        assert_eq!(message(&operator, &[0], &[1]), "soft_shortest_path: `target` must be in 0..3, got 3");
    }

    #[test]
    fn l2_uses_few_edges() {
        let (from, to) = (array![0, 0, 0], array![1, 1, 1]);
        let operator = SoftShortestPath { regularization: Regularization::L2, ..SoftShortestPath::default() };
        let cost = array![1.0, 1.5, 9.0].into_dyn();
        let inputs = ([cost.view()], [from.view().into_dyn(), to.view().into_dyn()]);
        let [_, usage] = evaluate(&operator, inputs).unwrap();
        assert_eq!(usage, array![0.75, 0.25, 0.0].into_dyn());
    }
}
