//! The relaxed permutation matrix of a sorting network.
//!
//! A soft comparator of $(a, b)$ with $s = F((b - a) / \varepsilon)$ multiplies its two wires by
//!
//! $$ \begin{pmatrix} s & 1 - s \cr 1 - s & s \end{pmatrix}, $$
//!
//! and the matrix $P$ is the product of these over all comparators of the network, the last one leftmost. It
//! acts from the left: $P x$ is [`sorting_network`](super::sorting_network()), its rows are output positions.
//! As a product of doubly stochastic matrices it is doubly stochastic: all rows and all columns sum to one. The
//! papers multiply from the right; their matrix is $P^\top$.
//!
//! * Softness: the unit of `x`; ε, one over the papers' steepness β.
//! * Hard limit: the permutation matrix that sorts. In a comparator of equal values each gets half of either
//!   wire, at any softness; the hard form takes equal values in order of their position.
//! * Gradient: exact everywhere, ties included. Second derivatives jump with `"optimal"` where
//!   $\lvert b - a \rvert = \varepsilon / 4$ and with `"reciprocal"` at ties. With `"logistic_phi"` the gradient
//!   itself is infinite at ties and comes out as zero there.
//! * A NaN makes its whole item NaN. ±∞ goes to its end.
//! * Cost: O(n) for each comparator, forward and backward: O(n² log² n) with `"bitonic"`, O(n³) with
//!   `"odd_even"`. Memory beside the output: some ten numbers for each comparator.
//!
//! Papers: Petersen, Borgelt, Kuehne, Deussen, *Differentiable sorting networks for scalable sorting and
//! ranking supervision*, ICML 2021, <https://arxiv.org/abs/2105.04019>; the same, *Monotonic differentiable
//! sorting networks*, ICLR 2022, <https://arxiv.org/abs/2203.09630>.

use super::carried::{Carrier, Passage};
use super::network::Network;
use super::permutahedron::check_length;
use super::rows::{columns_sum_to_one, permutation, rows_sum_to_one, to_matrix};
use super::swap::Distribution;
use ndarray::{Array, ArrayView, Dimension};
use supple_core::{
    Args, Contract, Error, Fault, Float, Gradient, Law, Operator, Params, Point, Real, Scaling, Scratch,
    params,
};

params! {
    /// A sorting network's matrix.
    pub struct SortingNetworkPermutation {
        /// Distance at which values mix; the unit of `x`.
        softness: f64 = 0.1, Positive;
        /// Which values are compared.
        network: Network = Network::Bitonic, Any;
        /// How much of each value goes to either side.
        distribution: Distribution = Distribution::Cauchy, Any;
        /// Whether the first row is that of the largest value.
        descending: bool = false, Any;
    }
}

impl Operator for SortingNetworkPermutation {
    const NAME: &'static str = "sorting_network_permutation";
    const SIGNATURE: &'static str = "x(n) -> permutation(n,n)";
    const GRADIENT: Gradient = Gradient::AlmostEverywhere;
    type Saved<T: Real> = Passage<T>;

    fn validate(&self, sizes: &[usize]) -> Result<(), Error> {
        self.check(Self::NAME)?;
        check_length(Self::NAME, sizes)
    }

    fn work(&self, sizes: &[usize]) -> usize {
        self.network.size(sizes[0]).saturating_mul(sizes[0])
    }

    fn scaling(&self) -> Option<Scaling> {
        Some(Scaling { softness: self.softness, power: 1, inputs: [1], outputs: [0] })
    }

    fn forward<T: Real>(
        &self,
        at: Args<'_, T>,
        [p]: [&mut [T]; 1],
        saved: &mut Passage<T>,
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let (carrier, n) = (self.carrier(), at.x[0].len());
        *saved = carrier.keys(at.x[0], scratch);
        let store = |row: usize, column: usize, value| p[row * n + column] = value;
        carrier.carry(saved, [n, n], identity, store, scratch);
        if at.x[0].iter().any(|x| x.is_nan()) {
            p.fill(T::nan());
        }
        Ok(())
    }

    fn vjp<T: Real>(
        &self,
        at: Point<'_, T, Passage<T>>,
        [dp]: [&[T]; 1],
        [dx]: [&mut [T]; 1],
        scratch: &mut Scratch<T>,
    ) {
        let n = dx.len();
        if at.x[0].iter().any(|x| x.is_nan()) {
            return dx.fill(T::nan());
        }
        let load = |row, column| [identity(row, column), dp[row * n + column]];
        self.carrier().pull(at.saved, [n, n], load, |_, _, _| {}, dx, scratch);
    }

    fn hard<T: Float>(
        &self,
        at: Args<'_, T>,
        [p]: [&mut [T]; 1],
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        permutation(at.x[0], self.descending, p, scratch);
        Ok(())
    }
}

/// What is carried, so that it becomes the matrix.
fn identity<T: Real>(row: usize, column: usize) -> T {
    if row == column { T::one() } else { T::zero() }
}

impl SortingNetworkPermutation {
    fn carrier(&self) -> Carrier {
        let Self { softness, network, distribution, descending } = *self;
        Carrier { softness, network, distribution, descending, transposed: false }
    }
}

impl Contract for SortingNetworkPermutation {
    const SUMMARY: &'static str = "doubly stochastic matrix that sorts, by a network of soft comparators";
    const PAPER: &'static str = "Petersen et al., ICML 2021, arXiv:2105.04019; ICLR 2022, arXiv:2203.09630";
    const COST: &'static str = "O(n² log² n) bitonic, O(n³) odd-even; O(n log² n) or O(n²) memory";

    fn cases() -> Vec<Self> {
        let case = |softness, network, distribution, descending| Self {
            softness,
            network,
            distribution,
            descending,
        };
        vec![
            case(0.1, Network::Bitonic, Distribution::Cauchy, false),
            case(2.0, Network::OddEven, Distribution::Cauchy, true),
            case(0.5, Network::Bitonic, Distribution::Logistic, true),
            case(0.05, Network::OddEven, Distribution::LogisticPhi, false),
            case(0.7, Network::OddEven, Distribution::Gaussian, true),
            case(20.0, Network::Bitonic, Distribution::Gaussian, false),
            case(0.3, Network::Bitonic, Distribution::Reciprocal, false),
            case(4.0, Network::Bitonic, Distribution::Optimal, true),
        ]
    }

    fn test_sizes(&self) -> Vec<Vec<usize>> {
        [1, 2, 3, 5, 8].map(|n| vec![n]).to_vec()
    }

    fn laws(&self) -> Vec<Law> {
        vec![
            Law::Within(Box::new(|_| (0.0, 1.0))),
            Law::ShiftInvariant,
            rows_sum_to_one(),
            columns_sum_to_one(),
        ]
    }

    fn oracle(&self, at: Args<'_, f64>) -> Option<[Vec<f64>; 1]> {
        Some([naive(self.carrier(), at.x[0]).concat()])
    }
}

/// The product of the comparators' matrices. For oracles.
pub(crate) fn naive(carrier: Carrier, x: &[f64]) -> Vec<Vec<f64>> {
    let mut keys: Vec<f64> = x.iter().map(|&x| if carrier.descending { -x } else { x }).collect();
    let mut p: Vec<Vec<f64>> = (0..x.len()).map(|i| (0..x.len()).map(|j| identity(i, j)).collect()).collect();
    for (first, second) in carrier.network.comparators(x.len()) {
        let s = carrier.distribution.naive((keys[second] - keys[first]) / carrier.softness);
        let mix = |a: f64, b: f64| (s * a + (1.0 - s) * b, (1.0 - s) * a + s * b);
        (keys[first], keys[second]) = mix(keys[first], keys[second]);
        let (upper, lower) = (p[first].clone(), p[second].clone());
        let mixed = upper.into_iter().zip(lower).map(|(a, b)| mix(a, b));
        (p[first], p[second]) = mixed.unzip();
    }
    p
}

/// The relaxed permutation matrix of a bitonic sorting network along the last axis, for ascending order, with
/// Cauchy's distribution function in its comparators.
///
/// $$ P = \prod_{(i, j)} \begin{pmatrix} s & 1 - s \cr 1 - s & s \end{pmatrix}_{ij}, \qquad
/// s = \tfrac12 + \tfrac1\pi \arctan \frac{b - a}{\varepsilon}, $$
///
/// over the comparators of the network, each of which finds $(a, b)$ on its two wires.
///
/// * Shapes: `(…, n)` to `(…, n, n)`, any n. Rows are output positions: `P x` is
///   [`sorting_network`](super::sorting_network()), which does not form the matrix. Rows and columns sum to one.
/// * Softness: ε, in the unit of `x`; one over the papers' steepness.
/// * Hard limit: the permutation matrix that sorts; equal values share.
/// * Gradient: exact everywhere, ties included.
/// * A NaN makes its item NaN; ±∞ goes to its end.
/// * Cost: O(n² log² n) forward and backward; O(n log² n) memory beside the output.
/// * Errors: a softness that is not finite and above zero.
///
/// For the odd-even [network](Network), other [distributions](Distribution), descending order or ragged
/// batches, call [`evaluate`](supple_core::evaluate) with a [`SortingNetworkPermutation`]; for gradients,
/// [`linearize`](supple_core::linearize).
///
/// ```
/// use supple_ops::order::sorting_network_permutation;
/// // One comparator: 1/2 + atan(−1) / π of each value stays where it is.
/// let p = sorting_network_permutation(&[3.0f64, 1.0], 2.0)?;
/// assert!((p[[0, 0]] - 0.25).abs() < 1e-12 && (p[[0, 1]] - 0.75).abs() < 1e-12);
/// # Ok::<(), supple_core::Error>(())
/// ```
///
/// Petersen, Borgelt, Kuehne, Deussen, *Monotonic differentiable sorting networks*, ICLR 2022,
/// <https://arxiv.org/abs/2203.09630>.
pub fn sorting_network_permutation<'a, T: Float, D: Dimension>(
    x: impl Into<ArrayView<'a, T, D>>,
    softness: f64,
) -> Result<Array<T, D::Larger>, Error> {
    to_matrix(&SortingNetworkPermutation { softness, ..SortingNetworkPermutation::default() }, x.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::SortingNetwork;
    use ndarray::{Array1, Array2, array, aview1};
    use supple_core::{Stream, linearize, map};

    #[test]
    fn its_product_with_the_values_is_the_network() {
        for n in [13, 22, 64] {
            let x = Array1::from(Stream::new(n as u64, 0, 0).normals(n));
            for operator in SortingNetworkPermutation::cases() {
                let SortingNetworkPermutation { softness, network, distribution, descending } = operator;
                let p: Array2<f64> = to_matrix(&operator, x.view()).unwrap();
                let y = map(&SortingNetwork { softness, network, distribution, descending }, &x).unwrap();
                let apart = (p.dot(&x) - y).iter().fold(0.0, |worst: f64, gap| worst.max(gap.abs()));
                assert!(apart < 1e-12, "{operator:?} of {n}: {apart:e}");
            }
        }
    }

    #[test]
    fn what_is_not_finite_spoils_its_item_only() {
        let (inf, nan) = (f64::INFINITY, f64::NAN);
        for operator in SortingNetworkPermutation::cases() {
            let operator = SortingNetworkPermutation { softness: 1e-9, descending: false, ..operator };
            let x = array![[2.0, inf, -inf, inf], [2.0, 1.0, nan, 3.0]].into_dyn();
            let at = linearize(&operator, [x.view()]).unwrap();
            let p: Vec<f64> = at.outputs()[0].iter().map(|p| (p * 1e6).round() / 1e6).collect();
            assert_eq!(p[..8], [0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0], "{operator:?}");
            assert_eq!(p[8..16], [0.0, 0.5, 0.0, 0.5, 0.0, 0.5, 0.0, 0.5], "{operator:?}");
            let [dx] =
                at.vjp([at.outputs()[0].mapv(|p| if p.is_nan() { 1.0 } else { p - 0.1 }).view()]).unwrap();
            let spoilt = |v: &[f64]| v.iter().all(|v| v.is_nan());
            let dx: Vec<f64> = dx.iter().copied().collect();
            assert!(dx[..4].iter().all(|dx| dx.is_finite()) && spoilt(&dx[4..]) && spoilt(&p[16..]));
        }
        let one = to_matrix(&SortingNetworkPermutation::default(), aview1(&[nan])).unwrap();
        assert!(one[[0, 0]].is_nan());
    }
}
