//! Sort by a key and carry a payload along: the product of a relaxed permutation matrix with other values,
//! without the matrix.
//!
//! $$ Y = P(x) V \qquad\text{or}\qquad Y = P(x)^\top V $$
//!
//! with the relaxed permutation matrix $P$ of one of five methods: [`NeuralSort`](super::NeuralSortPermutation),
//! [`SoftSort`](super::SoftSortPrilloPermutation), a [sorting network](super::SortingNetworkPermutation),
//! [LapSum](super::LapsumPermutation), [entropic transport](super::SinkhornPermutation). Row $i$ of $P V$ is the
//! payload that belongs to the $i$-th smallest key, mixed with those of keys near it. The transposed product goes
//! the other way: from places to elements. It takes $(1, \dots, n)$ to ranks.
//!
//! * Softness: the unit of `x`; what it means depends on the method.
//! * Hard limit: the payload in the order of the keys, or brought back from it. Equal keys share in the limit, but
//!   for networks; the hard form takes them in order of their position.
//! * Gradient: to key and payload; in the payload the product is linear. Kinks are those of the matrices, at
//!   equal keys; LapSum, transport and networks have none.
//! * A NaN among the keys makes the whole item NaN; in the payload it spoils its column, in part. A key of ±∞
//!   goes to its end; equal infinities share. A payload must be finite where the weights are to keep it out.
//! * Cost: `"soft_sort_prillo"` O(n log n + n d); `"neural_sort"` O(n log n + n w d) for rows of w weights
//!   above $e^{-60}$, at most O(n² d), which leaves out what a payload 10¹⁰ times as large as the others
//!   would be seen with; `"sorting_network"` O(d) for each comparator; `"lapsum"` O(n log n + n d); `"sinkhorn"`
//!   about O(n log n + n d). Memory O(n d), and for the network ten numbers for each comparator.
//!
//! Papers: those of the methods; Cuturi, Teboul, Vert, *Differentiable ranking and sorting using optimal
//! transport*, NeurIPS 2019, <https://arxiv.org/abs/1905.11885>, for sorting one thing by another.

use super::carried::{Carrier, Passage};
use super::network::Network;
use super::permutahedron::{arranged, check_length, sorted, spoilt};
use super::plan_products::Transport;
use super::products::Matrix;
use super::rows::Projection;
use super::swap::Distribution;
use super::{laplace_rows, neural_rows, sinkhorn, soft_rows, sorting_network_permutation};
use ndarray::{Array, ArrayView, Dimension};
use supple_core::{
    Args, Contract, Dual, Error, Evaluated, Fault, Float, Gradient, Law, Operator, Params, Point, Real,
    Scaling, Scratch, choices, evaluate, params,
};
use supple_numerics::line_transport;

choices! {
    /// Whose relaxed permutation matrix it is.
    pub enum PermutationMethod {
        /// [`NeuralSort`](super::NeuralSortPermutation): a softmax for each place.
        NeuralSort = "neural_sort",
        /// [`SoftSort`](super::SoftSortPrilloPermutation): a softmax of distances.
        SoftSortPrillo = "soft_sort_prillo",
        /// A [network](super::SortingNetworkPermutation) of soft comparators; doubly stochastic.
        SortingNetwork = "sorting_network",
        /// [LapSum](super::LapsumPermutation): Laplace distributions cut at thresholds; doubly stochastic.
        Lapsum = "lapsum",
        /// [Entropic transport](super::SinkhornPermutation) to places; doubly stochastic.
        Sinkhorn = "sinkhorn",
    }
}

params! {
    /// Sort by a key, carry a payload.
    pub struct SortWith {
        /// Distance at which keys mix; the unit of `x`.
        softness: f64 = 0.1, Positive;
        /// Whose relaxed permutation matrix it is.
        method: PermutationMethod = PermutationMethod::SoftSortPrillo, Any;
        /// Whether it is the transposed matrix that acts: from places to elements.
        transposed: bool = false, Any;
        /// Whether the largest key comes first.
        descending: bool = false, Any;
        /// Which keys are compared, for `"sorting_network"`.
        network: Network = Network::Bitonic, Any;
        /// How much of each goes to either side, for `"sorting_network"`.
        distribution: Distribution = Distribution::Cauchy, Any;
    }
}

/// What is found about the keys. All is empty for an item with a NaN.
#[derive(Debug, Default)]
pub struct Saved<T: Real> {
    /// The sorting permutation, unless it is a network that sorts; for a transport also its thresholds.
    plan: line_transport::Saved<T>,
    passage: Passage<T>,
}

impl Operator<2> for SortWith {
    const NAME: &'static str = "sort_with";
    const SIGNATURE: &'static str = "x(n>=1), payload(n,d) -> sorted(n,d)";
    const GRADIENT: Gradient = Gradient::AlmostEverywhere;
    type Saved<T: Real> = Saved<T>;

    fn validate(&self, sizes: &[usize]) -> Result<(), Error> {
        self.check(Self::NAME)?;
        check_length(Self::NAME, sizes)
    }

    fn work(&self, sizes: &[usize]) -> usize {
        let (n, d) = (sizes[0], sizes[1] + 1);
        match self.method {
            PermutationMethod::NeuralSort => n.saturating_mul(n).saturating_mul(d),
            PermutationMethod::SoftSortPrillo => 8 * n.saturating_mul(d),
            PermutationMethod::Lapsum => 16 * n.saturating_mul(d),
            PermutationMethod::Sinkhorn => sinkhorn::work(sizes).saturating_add(200 * n.saturating_mul(d)),
            PermutationMethod::SortingNetwork => self.network.size(n).saturating_mul(d),
        }
    }

    fn scaling(&self) -> Option<Scaling<2>> {
        Some(Scaling { softness: self.softness, power: 1, inputs: [1, 0], outputs: [0] })
    }

    fn forward<T: Real>(
        &self,
        at: Args<'_, T, 2>,
        [y]: [&mut [T]; 1],
        saved: &mut Saved<T>,
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let ([x, payload], [n, d]) = (at.x, at.sizes());
        if x.iter().any(|x| x.is_nan()) {
            y.fill(T::nan());
        } else if self.method == PermutationMethod::SortingNetwork {
            saved.passage = self.carrier().keys(x, scratch);
            let load = |row, column| payload[row * d + column];
            let store = |row: usize, column: usize, value| y[row * d + column] = value;
            self.carrier().carry(&saved.passage, [n, d], load, store, scratch);
        } else if self.method == PermutationMethod::Sinkhorn {
            self.transport().carry(x, (payload, d), y, &mut saved.plan, scratch)?;
        } else {
            let (order, z) = sorted(x, self.descending, scratch);
            let matrix = self.matrix(&z, &order, scratch);
            matrix.product(self.transposed, payload, d, y, scratch);
            matrix.give(scratch);
            scratch.reals.give(z);
            saved.plan.order = order;
        }
        Ok(())
    }

    fn lift<F: Float>(
        &self,
        at: Args<'_, Dual<F>, 2>,
        values: Point<'_, F, Saved<F>, 2>,
        [y]: [&mut [Dual<F>]; 1],
        saved: &mut Saved<Dual<F>>,
        scratch: &mut Scratch<Dual<F>>,
    ) -> Result<(), Fault> {
        if self.method != PermutationMethod::Sinkhorn {
            return self.forward(at, [y], saved, scratch);
        }
        let ([x, payload], [_, d]) = (at.x, at.sizes());
        self.transport().lift(x, (payload, d), y, &values.saved.plan, &mut saved.plan);
        Ok(())
    }

    fn vjp<T: Real>(
        &self,
        at: Point<'_, T, Saved<T>, 2>,
        [dy]: [&[T]; 1],
        [dx, dpayload]: [&mut [T]; 2],
        scratch: &mut Scratch<T>,
    ) {
        let ([x, payload], [n, d], order) = (at.x, at.sizes(), &at.saved.plan.order);
        if x.iter().any(|x| x.is_nan()) {
            dx.fill(T::nan());
            dpayload.fill(T::nan());
        } else if self.method == PermutationMethod::SortingNetwork {
            let load = |row, column| [payload[row * d + column], dy[row * d + column]];
            let store = |row: usize, column: usize, value| dpayload[row * d + column] = value;
            self.carrier().pull(&at.saved.passage, [n, d], load, store, dx, scratch);
        } else if self.method == PermutationMethod::Sinkhorn {
            self.transport().pull(x, (payload, dy, d), [dx, dpayload], &at.saved.plan);
        } else {
            let z = arranged(x, self.descending, order, scratch);
            let matrix = self.matrix(&z, order, scratch);
            matrix.product(!self.transposed, dy, d, dpayload, scratch);
            let (places, elements) = if self.transposed { (payload, dy) } else { (dy, payload) };
            matrix.pull(places, elements, d, dx, scratch);
            if self.descending {
                dx.iter_mut().for_each(|dx| *dx = -*dx);
            }
            matrix.give(scratch);
            scratch.reals.give(z);
        }
    }

    fn hard<T: Float>(
        &self,
        at: Args<'_, T, 2>,
        [y]: [&mut [T]; 1],
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let ([x, payload], [_, d]) = (at.x, at.sizes());
        let (order, z) = sorted(x, self.descending, scratch);
        for (place, &element) in order.iter().enumerate() {
            let (place, element) = (place * d, element as usize * d);
            let (from, to) = if self.transposed { (place, element) } else { (element, place) };
            y[to..to + d].copy_from_slice(&payload[from..from + d]);
        }
        if spoilt(&z) {
            y.fill(T::nan());
        }
        scratch.indices.give(order);
        scratch.reals.give(z);
        Ok(())
    }
}

impl SortWith {
    fn carrier(&self) -> Carrier {
        let Self { softness, network, distribution, descending, transposed, .. } = *self;
        Carrier { softness, network, distribution, descending, transposed }
    }

    fn transport(&self) -> Transport {
        let Self { softness, descending, transposed, .. } = *self;
        Transport { softness, descending, transposed }
    }

    /// The matrix of sorted values.
    fn matrix<'a, T: Real>(
        &self,
        sorted: &[T],
        order: &'a [u32],
        scratch: &mut Scratch<T>,
    ) -> Matrix<'a, T::Acc> {
        match self.method {
            PermutationMethod::NeuralSort => Matrix::neural(sorted, order, self.softness, scratch),
            PermutationMethod::Lapsum => Matrix::laplace(sorted, order, self.softness, scratch),
            _ => Matrix::soft(sorted, order, self.softness, scratch),
        }
    }
}

impl Contract<2> for SortWith {
    const SUMMARY: &'static str = "something sorted by a key, without the matrix";
    const PAPER: &'static str = "Cuturi et al., NeurIPS 2019, arXiv:1905.11885; those of the methods";
    const COST: &'static str = "O(n log n + n d), O(n² d) or O(d n log² n) by method; O(n d) memory";

    fn cases() -> Vec<Self> {
        let case = |method, softness, transposed, descending| Self {
            softness,
            method,
            transposed,
            descending,
            ..Self::default()
        };
        let logistic = Self {
            network: Network::OddEven,
            distribution: Distribution::Logistic,
            ..case(PermutationMethod::SortingNetwork, 0.4, true, true)
        };
        vec![
            case(PermutationMethod::SoftSortPrillo, 0.1, false, false),
            case(PermutationMethod::SoftSortPrillo, 2.0, true, true),
            case(PermutationMethod::NeuralSort, 0.5, false, true),
            case(PermutationMethod::NeuralSort, 5.0, true, false),
            case(PermutationMethod::SortingNetwork, 0.1, false, false),
            logistic,
            case(PermutationMethod::Lapsum, 0.1, false, true),
            case(PermutationMethod::Lapsum, 2.0, true, false),
            case(PermutationMethod::Sinkhorn, 0.5, false, false),
            case(PermutationMethod::Sinkhorn, 5.0, true, true),
        ]
    }

    fn test_sizes(&self) -> Vec<Vec<usize>> {
        [[1, 1], [2, 3], [5, 1], [8, 9], [3, 0]].map(|sizes| sizes.to_vec()).to_vec()
    }

    fn bench_sizes(&self) -> Vec<Vec<usize>> {
        [[16, 4], [256, 4]].map(|sizes| sizes.to_vec()).to_vec()
    }

    fn laws(&self) -> Vec<Law> {
        let sum = |v: &[f64]| v.iter().sum::<f64>();
        let by_rows = [PermutationMethod::NeuralSort, PermutationMethod::SoftSortPrillo];
        let doubly_stochastic = !by_rows.contains(&self.method);
        let mut laws = vec![Law::ShiftInvariant];
        if self.transposed || doubly_stochastic {
            laws.push(Law::Vanishes("preserves_the_sum", Box::new(move |at| sum(at.x[1]) - sum(at.y[0]))));
        }
        if !self.transposed || doubly_stochastic {
            let largest = |v: &[f64]| v.iter().fold(0.0, |m: f64, v| m.max(v.abs()));
            let beyond = move |at: Evaluated<'_>| (largest(at.y[0]) - largest(at.x[1])).max(0.0);
            laws.push(Law::Vanishes("stays_within_the_payload", Box::new(beyond)));
        }
        laws
    }

    fn oracle(&self, at: Args<'_, f64, 2>) -> Option<[Vec<f64>; 1]> {
        let ([x, payload], [n, d]) = (at.x, at.sizes());
        let (softness, descending) = (self.softness, self.descending);
        let p = match self.method {
            PermutationMethod::NeuralSort => neural_rows::naive(x, softness, descending, Projection::Softmax),
            PermutationMethod::SoftSortPrillo => {
                soft_rows::naive(x, softness, descending, Projection::Softmax)
            }
            PermutationMethod::SortingNetwork => sorting_network_permutation::naive(self.carrier(), x),
            PermutationMethod::Lapsum => laplace_rows::naive(x, softness, descending),
            PermutationMethod::Sinkhorn => self.transport().naive(x),
        };
        let weight = |i: usize, j: usize| if self.transposed { p[j][i] } else { p[i][j] };
        let entry = |i: usize, c: usize| (0..n).map(|j| weight(i, j) * payload[j * d + c]).sum();
        Some([(0..n * d).map(|place| entry(place / d, place % d)).collect()])
    }
}

/// Sorts `payload` `(…, n, d)` by the keys `x` `(…, n)`, ascending: `P(x) · payload` with SoftSort's relaxed
/// permutation matrix, without forming it.
///
/// $$ Y_{ic} = \frac{\sum_j e^{-|x_{(i)} - x_j| / \varepsilon} V_{jc}}{\sum_j e^{-|x_{(i)} - x_j| / \varepsilon}} $$
///
/// * Shapes: `(…, n)` and `(…, n, d)`, whose leading axes broadcast, to `(…, n, d)`; n ≥ 1.
/// * Softness: ε, in the unit of `x`. Payloads mix where their keys are about that near.
/// * Hard limit: the payload in the order of the keys. Equal keys share in the limit; the hard form takes them in
///   order of their position.
/// * Gradient: to keys and payload. Equal keys are told apart by their position.
/// * A NaN among the keys makes the item NaN; a key of ±∞ goes to its end.
/// * Cost: O(n log n + n d) forward and backward; O(n d) memory.
/// * Errors: a softness that is not finite and above zero; n = 0.
///
/// For the other [methods](PermutationMethod), the transposed matrix, descending order or ragged batches, call
/// [`evaluate`](supple_core::evaluate) with a [`SortWith`]; for gradients,
/// [`linearize`](supple_core::linearize).
///
/// ```
/// use ndarray::array;
/// use supple_ops::order::sort_with;
/// // The oldest last.
/// let ages = array![52.0, 17.0, 34.0];
/// let people = array![[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]];
/// let sorted = sort_with(&ages, &people, 0.1)?;
/// assert!((sorted - array![[2.0, 20.0], [3.0, 30.0], [1.0, 10.0]]).iter().all(|gap: &f64| gap.abs() < 1e-12));
/// # Ok::<(), supple_core::Error>(())
/// ```
///
/// Prillo and Eisenschlos, *SoftSort: A Continuous Relaxation for the argsort Operator*, ICML 2020,
/// <https://arxiv.org/abs/2006.16038>.
pub fn sort_with<'a, T: Float, D: Dimension, E: Dimension>(
    x: impl Into<ArrayView<'a, T, D>>,
    payload: impl Into<ArrayView<'a, T, E>>,
    softness: f64,
) -> Result<Array<T, E>, Error> {
    let operator = SortWith { softness, ..SortWith::default() };
    let [sorted] = evaluate(&operator, [x.into().into_dyn(), payload.into().into_dyn()])?;
    let other_rank = |e| Error::unsupported(SortWith::NAME, "an output of the payload's rank", e);
    sorted.into_dimensionality().map_err(other_rank)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array1, Array2, Axis, array};
    use supple_core::{Stream, linearize};

    /// Longer than what the harness takes, so that rows are narrow and columns many.
    #[test]
    fn it_is_the_dense_product() {
        let (n, d) = (90, 11);
        let x = Array1::from(Stream::new(1, 0, 0).normals(n)).into_dyn();
        let payload = Array2::from_shape_vec((n, d), Stream::new(2, 0, 0).normals(n * d)).unwrap().into_dyn();
        for operator in SortWith::cases() {
            let at = linearize(&operator, [x.view(), payload.view()]).unwrap();
            let views = [x.as_slice().unwrap(), payload.as_slice().unwrap()];
            let sizes = [n, d];
            let [expected] = operator.oracle(Args { x: views, k: [], sizes: &sizes, item: 0 }).unwrap();
            let y = &at.outputs()[0];
            assert!(y.iter().zip(expected).all(|(y, e)| (y - e).abs() < 1e-11), "{operator:?}");
            // The gradient in the payload is the transposed product.
            let [_, dpayload] = at.vjp([payload.view()]).unwrap();
            let other = SortWith { transposed: !operator.transposed, ..operator };
            let [expected] = evaluate(&other, [x.view(), payload.view()]).unwrap();
            assert!((dpayload - expected).iter().all(|gap| gap.abs() < 1e-11), "{other:?}");
        }
    }

    #[test]
    fn infinite_keys_share_and_nan_spoils() {
        let (inf, nan) = (f64::INFINITY, f64::NAN);
        let x = array![[2.0, inf, 1.0, -inf, inf], [2.0, 1.0, nan, 0.0, 3.0]].into_dyn();
        let payload = array![[1.0, 1.0], [2.0, 4.0], [3.0, 9.0], [4.0, 16.0], [5.0, 25.0]].into_dyn();
        for method in SortWith::cases().into_iter().map(|operator| operator.method) {
            let operator = SortWith { softness: 1e-9, method, ..SortWith::default() };
            let at = linearize(&operator, [x.view(), payload.view()]).unwrap();
            let y = at.outputs()[0].index_axis(Axis(0), 0).to_owned();
            let expected = array![[4.0, 16.0], [3.0, 9.0], [1.0, 1.0], [3.5, 14.5], [3.5, 14.5]].into_dyn();
            assert!((&y - &expected).iter().all(|gap| gap.abs() < 1e-6), "{operator:?}: {y}");
            let [dx, dpayload] = at.vjp([ndarray::ArrayD::ones(vec![2, 5, 2]).view()]).unwrap();
            assert!(dx.iter().enumerate().all(|(i, dx)| dx.is_nan() == (i >= 5)), "{dx}");
            assert!(dpayload.iter().all(|d| d.is_nan()), "the payload is shared");
            assert!(at.outputs()[0].index_axis(Axis(0), 1).iter().all(|y| y.is_nan()));
        }
    }
}
