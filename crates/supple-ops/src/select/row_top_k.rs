//! Index distributions of the k largest values: for each of the k first places, a probability for each value to
//! belong there.
//!
//! They are the first k rows of a relaxed permutation matrix that sorts in descending order, by one of three
//! methods. With $x_{[i]}$ the $i$-th largest value,
//!
//! * `"neural_sort"`: $P_i = \operatorname{softmax}(((n + 1 - 2 i) x - A 1) / \varepsilon)$,
//!   $A_{jk} = \lvert x_j - x_k \rvert$;
//! * `"soft_sort_prillo"`: $P_i = \operatorname{softmax}(-\lvert x_{[i]} - x \rvert / \varepsilon)$;
//! * `"sorting_network"`: the product of the soft comparators of a network.
//!
//! Each row sums to one. $P x$ are soft values of the k largest, and the sum of the rows is a soft mask; only
//! that of the network, whose matrix is doubly stochastic, has no entry above 1.
//!
//! * Softness: the unit of `x`; what it means depends on the method.
//! * Hard limit: one-hot rows. Equal values share in the limit; the hard form takes them in order of their
//!   position.
//! * Gradient: exact but at equal values, where NeuralSort's is halfway between the two sides and SoftSort's
//!   that of the side on which they are in the order of their positions.
//! * A NaN makes its whole item NaN. +∞ comes first, −∞ last and gets no weight before its turn; equal
//!   infinities share.
//! * Cost: O(n log n) for the sort and O(k w) for rows with w entries above 1e-304, at most O(n k); with the
//!   network O(k) for each comparator. No matrix of n rows is formed.
//!
//! Papers: Petersen, Kuehne, Borgelt, Deussen, *Differentiable top-k classification learning*, ICML 2022,
//! <https://arxiv.org/abs/2206.07290>, which trains on such rows; those of the methods.

use super::cut::check_k;
use crate::order::{
    Carrier, Distribution, Network, NeuralRows, Passage, Projection, RowMatrix, SoftRows, check_length,
    naive_network, naive_neural_rows, naive_soft_rows, permutation, rows_sum_to_one, to_matrix,
};
use ndarray::{Array, ArrayView, Dimension};
use supple_core::{
    Args, Contract, Error, Fault, Float, Gradient, Law, Operator, Params, Point, Real, Scaling, Scratch,
    choices, params,
};

choices! {
    /// Whose relaxed permutation matrix the rows are of.
    pub enum RowMethod {
        /// [`NeuralSort`](crate::order::NeuralSortPermutation): a softmax for each place.
        NeuralSort = "neural_sort",
        /// [`SoftSort`](crate::order::SoftSortPrilloPermutation): a softmax of distances.
        SoftSortPrillo = "soft_sort_prillo",
        /// A [network](crate::order::SortingNetworkPermutation) of soft comparators.
        SortingNetwork = "sorting_network",
    }
}

params! {
    /// Index distributions of the k largest.
    pub struct RowTopK {
        /// How many places; at most n.
        k: usize = 1, AtLeast(0.0);
        /// Distance at which values mix; the unit of `x`.
        softness: f64 = 0.1, Positive;
        /// Whose relaxed permutation matrix it is.
        method: RowMethod = RowMethod::SoftSortPrillo, Any;
        /// Which values are compared, for `"sorting_network"`.
        network: Network = Network::Bitonic, Any;
        /// How much of each value goes to either side, for `"sorting_network"`.
        distribution: Distribution = Distribution::Cauchy, Any;
    }
}

/// What is found about the values.
#[derive(Debug)]
pub struct Saved<T> {
    /// The sorting permutation, unless it is a network that sorts. Empty for an item with a NaN.
    order: Vec<u32>,
    passage: Passage<T>,
}

impl<T> Default for Saved<T> {
    fn default() -> Self {
        Self { order: vec![], passage: Passage::default() }
    }
}

impl Operator for RowTopK {
    const NAME: &'static str = "row_top_k";
    const SIGNATURE: &'static str = "x(n>=1) -> rows(k,n)";
    const GRADIENT: Gradient = Gradient::AlmostEverywhere;
    type Saved<T: Real> = Saved<T>;

    fn validate(&self, sizes: &[usize]) -> Result<(), Error> {
        self.check(Self::NAME)?;
        check_k(Self::NAME, self.k, sizes)?;
        check_length(Self::NAME, sizes)
    }

    fn size(&self, symbol: &str) -> Option<usize> {
        (symbol == "k").then_some(self.k)
    }

    fn work(&self, sizes: &[usize]) -> usize {
        match self.method {
            RowMethod::SortingNetwork => self.network.size(sizes[0]).saturating_mul(self.k + 1),
            _ => sizes[0].saturating_mul(self.k + 1),
        }
    }

    fn scaling(&self) -> Option<Scaling> {
        Some(Scaling { softness: self.softness, power: 1, inputs: [1], outputs: [0] })
    }

    fn forward<T: Real>(
        &self,
        at: Args<'_, T>,
        [p]: [&mut [T]; 1],
        saved: &mut Saved<T>,
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let ([x], n) = (at.x, at.x[0].len());
        match self.method {
            RowMethod::NeuralSort => {
                saved.order = self.matrix().forward::<NeuralRows<_>, _>(x, p, scratch);
            }
            RowMethod::SoftSortPrillo => {
                saved.order = self.matrix().forward::<SoftRows<_>, _>(x, p, scratch);
            }
            RowMethod::SortingNetwork if x.iter().any(|x| x.is_nan()) => p.fill(T::nan()),
            RowMethod::SortingNetwork => {
                saved.passage = self.carrier().keys(x, scratch);
                let store = |element: usize, place: usize, value| p[place * n + element] = value;
                self.carrier().carry(&saved.passage, [n, self.k], unit, store, scratch);
            }
        }
        Ok(())
    }

    fn vjp<T: Real>(
        &self,
        at: Point<'_, T, Saved<T>>,
        [dp]: [&[T]; 1],
        [dx]: [&mut [T]; 1],
        scratch: &mut Scratch<T>,
    ) {
        let ([x], [p], n) = (at.x, at.y, dx.len());
        let order = &at.saved.order;
        match self.method {
            RowMethod::NeuralSort => {
                self.matrix().vjp::<NeuralRows<_>, _>(x, order, (p, dp), dx, scratch);
            }
            RowMethod::SoftSortPrillo => {
                self.matrix().vjp::<SoftRows<_>, _>(x, order, (p, dp), dx, scratch);
            }
            RowMethod::SortingNetwork if x.iter().any(|x| x.is_nan()) => dx.fill(T::nan()),
            RowMethod::SortingNetwork => {
                let load = |element, place| [unit(element, place), dp[place * n + element]];
                let (carrier, sizes) = (self.carrier(), [n, self.k]);
                carrier.pull(&at.saved.passage, sizes, load, |_, _, _| {}, dx, scratch);
            }
        }
    }

    fn hard<T: Float>(
        &self,
        at: Args<'_, T>,
        [p]: [&mut [T]; 1],
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        permutation(at.x[0], true, p, scratch);
        Ok(())
    }
}

/// One in its own place.
fn unit<T: Real>(element: usize, place: usize) -> T {
    if element == place { T::one() } else { T::zero() }
}

impl RowTopK {
    fn matrix(&self) -> RowMatrix {
        RowMatrix { softness: self.softness, descending: true, projection: Projection::Softmax }
    }

    /// Takes places to elements, as the transposed matrix does.
    fn carrier(&self) -> Carrier {
        let Self { softness, network, distribution, .. } = *self;
        Carrier { softness, network, distribution, descending: true, transposed: true }
    }
}

impl Contract for RowTopK {
    const SUMMARY: &'static str = "for each of the k largest, a probability of each value to be it";
    const PAPER: &'static str = "Petersen et al., ICML 2022, arXiv:2206.07290; those of the methods";
    const COST: &'static str = "O(n log n + n k); by a network O(n k log² n); O(n) memory beside the output";
    const ARGUMENTS: &'static [&'static str] = &["k", "softness"];

    fn cases() -> Vec<Self> {
        let case = |k, softness, method| Self { k, softness, method, ..Self::default() };
        vec![
            case(1, 0.1, RowMethod::SoftSortPrillo),
            case(3, 1.5, RowMethod::SoftSortPrillo),
            case(2, 0.7, RowMethod::NeuralSort),
            case(4, 10.0, RowMethod::NeuralSort),
            case(1, 0.5, RowMethod::SortingNetwork),
            Self {
                network: Network::OddEven,
                distribution: Distribution::Logistic,
                ..case(3, 0.4, RowMethod::SortingNetwork)
            },
        ]
    }

    fn test_sizes(&self) -> Vec<Vec<usize>> {
        [1, 2, 5, 8].iter().filter(|&&n| n >= self.k).map(|&n| vec![n, self.k]).collect()
    }

    fn bench_sizes(&self) -> Vec<Vec<usize>> {
        [16, 256].map(|n| vec![n, self.k]).to_vec()
    }

    fn laws(&self) -> Vec<Law> {
        let k = self.k as f64;
        vec![
            Law::SumsTo(Box::new(move |_| k)),
            Law::Within(Box::new(|_| (0.0, 1.0))),
            Law::ShiftInvariant,
            rows_sum_to_one(),
        ]
    }

    fn oracle(&self, at: Args<'_, f64>) -> Option<[Vec<f64>; 1]> {
        let ([x], softness) = (at.x, self.softness);
        let all = match self.method {
            RowMethod::NeuralSort => naive_neural_rows(x, softness, true, Projection::Softmax),
            RowMethod::SoftSortPrillo => naive_soft_rows(x, softness, true, Projection::Softmax),
            RowMethod::SortingNetwork => naive_network(self.carrier(), x),
        };
        Some([all[..self.k].concat()])
    }
}

/// Index distributions of the `k` largest values along the last axis, the largest first, by SoftSort: row $i$
/// says how likely each value is to be the $i$-th largest.
///
/// $$ P_i = \operatorname{softmax}\left(-\frac{\lvert x_{\[i\]} - x \rvert}{\varepsilon}\right), \qquad
/// x_{\[1\]} \ge x_{\[2\]} \ge \dots $$
///
/// * Shapes: `(…, n)` to `(…, k, n)`, k ≤ n. `P x` are soft values of the k largest.
/// * Softness: ε, in the unit of `x`. Values mix where they are about that near.
/// * Hard limit: one-hot rows; equal values share.
/// * Gradient: that of the order found. Equal values are told apart by their position.
/// * A NaN makes its item NaN; −∞ gets no weight before its turn.
/// * Cost: O(n log n + n k) forward and backward, less where rows are narrow.
/// * Errors: a softness that is not finite and above zero; k > n; n = 0.
///
/// For NeuralSort, sorting networks, one-hot rows or ragged batches, call
/// [`evaluate`](supple_core::evaluate) with a [`RowTopK`]; for gradients,
/// [`linearize`](supple_core::linearize).
///
/// ```
/// use ndarray::array;
/// use supple_ops::select::row_top_k;
/// // Values ln 2 apart: the weights are 1, 1/2 and 1/4.
/// let p = row_top_k(&(array![2.0, 0.0, 1.0] * f64::ln(2.0)), 2, 1.0)?;
/// let expected = array![[4.0, 1.0, 2.0], [1.75, 1.75, 3.5]] / 7.0;
/// assert!((p - expected).iter().all(|gap| gap.abs() < 1e-12));
/// # Ok::<(), supple_core::Error>(())
/// ```
///
/// Petersen, Kuehne, Borgelt, Deussen, *Differentiable top-k classification learning*, ICML 2022,
/// <https://arxiv.org/abs/2206.07290>; Prillo and Eisenschlos, *SoftSort: A Continuous Relaxation for the argsort
/// Operator*, ICML 2020, <https://arxiv.org/abs/2006.16038>.
pub fn row_top_k<'a, T: Float, D: Dimension>(
    x: impl Into<ArrayView<'a, T, D>>,
    k: usize,
    softness: f64,
) -> Result<Array<T, D::Larger>, Error> {
    to_matrix(&RowTopK { k, softness, ..RowTopK::default() }, x.into())
}
