//! Soft sort by a sorting network of soft comparators.
//!
//! A comparator takes $(a, b)$ to
//!
//! $$ \min\nolimits' = a s + b (1 - s), \qquad \max\nolimits' = a (1 - s) + b s, \qquad
//! s = F\big((b - a) / \varepsilon\big) $$
//!
//! with a distribution function $F$ that is symmetric about 0. With $t = \lvert b - a \rvert / \varepsilon$
//! and the error $G(t) = t F(-t)$, this is
//!
//! $$ \min\nolimits' = \min(a, b) + \varepsilon G(t), \qquad \max\nolimits' = \max(a, b) - \varepsilon G(t). $$
//!
//! The comparators are those of a [`Network`] that sorts: neighbours in $n$ layers, or a bitonic sort in
//! $\tfrac12 k (k + 1)$ layers, $k = \lceil \log_2 n \rceil$. For n that is not a power of two, the bitonic
//! network is that of $2^k$ wires without the first $2^k - n$.
//!
//! * Softness: the unit of `x`; ε, one over the papers' steepness β. With `"logistic_phi"`,
//!   $F(t) = \sigma(t / \lvert t \rvert^{1/4})$, in which $\beta = \varepsilon^{-3/4}$.
//! * Hard limit: the sorted values.
//! * Gradient: exact and continuous everywhere, ties included. The second derivative jumps with `"optimal"`
//!   where $\lvert b - a \rvert = \varepsilon / 4$; with `"logistic_phi"` it is infinite where $a = b$ and
//!   comes out as zero there. The gradient is never negative with `"cauchy"`, `"reciprocal"` and
//!   `"optimal"`; with the others $G$ falls again, and a larger input can make an output smaller.
//! * A NaN makes its whole item NaN. ±∞ goes to its end and leaves the others nearly as they were: a
//!   comparator with it errs by $\varepsilon G(\infty)$.
//! * Cost: O(n) a layer, forward and backward. Memory: one number for each comparator.
//!
//! Papers: Petersen, Borgelt, Kuehne, Deussen, *Differentiable sorting networks for scalable sorting and
//! ranking supervision*, ICML 2021, <https://arxiv.org/abs/2105.04019>; the same, *Monotonic differentiable
//! sorting networks*, ICLR 2022, <https://arxiv.org/abs/2203.09630>.

pub use super::network::Network;
pub use super::swap::Distribution;

use super::permutahedron::{check_length, sort};
use super::swap::apart;
use multiversion::multiversion;
use ndarray::{Array, ArrayView, Dimension};
use supple_core::{
    Args, Contract, Error, Fault, Float, Law, Operator, Params, Point, Real, Scaling, Scratch, map, params,
};

params! {
    /// Soft sort by a sorting network.
    pub struct SortingNetwork {
        /// Distance at which values mix; the unit of `x`.
        softness: f64 = 0.1, Positive;
        /// Which values are compared.
        network: Network = Network::Bitonic, Any;
        /// How much of each value goes to either side.
        distribution: Distribution = Distribution::Cauchy, Any;
        /// Whether the largest value comes first.
        descending: bool = false, Any;
    }
}

/// `∂min′/∂b` of every comparator, layer by layer. It is also `∂max′/∂a`; the other two are one less it.
#[derive(Debug)]
pub struct Saved<T> {
    shares: Vec<T>,
}

impl<T> Default for Saved<T> {
    fn default() -> Self {
        Self { shares: vec![] }
    }
}

impl Operator for SortingNetwork {
    const NAME: &'static str = "sorting_network";
    const SIGNATURE: &'static str = "x(n) -> sorted(n)";
    type Saved<T: Real> = Saved<T>;

    fn validate(&self, sizes: &[usize]) -> Result<(), Error> {
        self.check(Self::NAME)?;
        check_length(Self::NAME, sizes)
    }

    fn work(&self, sizes: &[usize]) -> usize {
        4 * self.network.size(sizes[0])
    }

    fn scaling(&self) -> Option<Scaling> {
        Some(Scaling { softness: self.softness, power: 1, inputs: [1], outputs: [1] })
    }

    fn forward<T: Real>(
        &self,
        at: Args<'_, T>,
        [y]: [&mut [T]; 1],
        saved: &mut Saved<T>,
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        y.iter_mut().zip(at.x[0]).for_each(|(y, &x)| *y = self.signed(x));
        saved.shares.reserve_exact(self.network.size(y.len()));
        let [mut a, mut b, mut t, mut error] = [(); 4].map(|()| scratch.reals.zeros(y.len() / 2));
        for layer in self.network.layers(y.len()) {
            let pairs = ..layer.len();
            let (a, b, t, error) = (&mut a[pairs], &mut b[pairs], &mut t[pairs], &mut error[pairs]);
            layer.split(y, a, b);
            compare(self, [&mut *a, &mut *b, t, error], &mut saved.shares, scratch);
            layer.join(y, a, b);
        }
        [a, b, t, error].into_iter().for_each(|buffer| scratch.reals.give(buffer));
        y.iter_mut().for_each(|y| *y = self.signed(*y));
        Ok(())
    }

    fn vjp<T: Real>(
        &self,
        at: Point<'_, T, Saved<T>>,
        [dy]: [&[T]; 1],
        [dx]: [&mut [T]; 1],
        scratch: &mut Scratch<T>,
    ) {
        if let ([x], [dx]) = (at.x[0], &mut *dx)
            && x.is_nan()
        {
            // No comparator passes it on.
            return *dx = T::nan();
        }
        dx.copy_from_slice(dy);
        let [mut a, mut b] = [(); 2].map(|()| scratch.reals.zeros(dy.len() / 2));
        let mut left = &at.saved.shares[..];
        for layer in self.network.layers(dy.len()).rev() {
            let (a, b) = (&mut a[..layer.len()], &mut b[..layer.len()]);
            let (before, shares) = left.split_at(left.len() - layer.len());
            layer.split(dx, a, b);
            pass_back(a, b, shares);
            layer.join(dx, a, b);
            left = before;
        }
        scratch.reals.give(a);
        scratch.reals.give(b);
    }

    fn hard<T: Float>(
        &self,
        at: Args<'_, T>,
        [y]: [&mut [T]; 1],
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        sort(at.x[0], self.descending, y, scratch);
        Ok(())
    }
}

impl SortingNetwork {
    fn signed<T: Real>(&self, x: T) -> T {
        if self.descending { -x } else { x }
    }
}

/// Replaces each `(a, b)` by `(min′, max′)` and adds `∂min′/∂b` to `shares`. `t` and `error` are room to work in.
#[multiversion(targets("x86_64+avx2"))]
fn compare<T: Real>(
    operator: &SortingNetwork,
    [a, b, t, error]: [&mut [T]; 4],
    shares: &mut Vec<T>,
    scratch: &mut Scratch<T>,
) {
    let (softness, rate) = (T::of(operator.softness), T::of(1.0 / operator.softness));
    for ((t, &a), &b) in t.iter_mut().zip(&*a).zip(&*b) {
        *t = apart(a, b) * rate;
    }
    operator.distribution.errors(t, error, scratch);
    for (((a, b), t), &error) in a.iter_mut().zip(b).zip(&mut *t).zip(&*error) {
        let swapped = *b < *a;
        let (low, high) = if swapped { (*b, *a) } else { (*a, *b) };
        *a = low + softness * error;
        *b = high - softness * error;
        *t = if swapped { T::one() - *t } else { *t };
    }
    shares.extend_from_slice(t);
}

/// Passes cotangents back through comparators.
#[multiversion(targets("x86_64+avx2"))]
fn pass_back<T: Real>(a: &mut [T], b: &mut [T], shares: &[T]) {
    for ((a, b), &share) in a.iter_mut().zip(b).zip(shares) {
        let moved = share * (*b - *a);
        *a += moved;
        *b -= moved;
    }
}

impl Contract for SortingNetwork {
    const SUMMARY: &'static str = "sorted values, by a network of soft comparators";
    const PAPER: &'static str = "Petersen et al., ICML 2021, arXiv:2105.04019; ICLR 2022, arXiv:2203.09630";
    const COST: &'static str = "O(n log² n) bitonic, O(n²) odd-even; time and memory";

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
            case(3.0, Network::Bitonic, Distribution::LogisticPhi, true),
            case(0.7, Network::OddEven, Distribution::Gaussian, true),
            case(20.0, Network::Bitonic, Distribution::Gaussian, false),
            case(0.3, Network::OddEven, Distribution::Reciprocal, false),
            case(4.0, Network::Bitonic, Distribution::Optimal, false),
            case(0.8, Network::OddEven, Distribution::Optimal, true),
        ]
    }

    fn test_sizes(&self) -> Vec<Vec<usize>> {
        [1, 2, 3, 5, 8, 13].map(|n| vec![n]).to_vec()
    }

    fn laws(&self) -> Vec<Law> {
        let total = |x: &[f64]| x.iter().sum::<f64>();
        let largest = |x: &[f64]| x.iter().fold(0.0, |m: f64, x| m.max(x.abs()));
        vec![
            Law::ShiftEquivariant,
            Law::Vanishes("preserves_the_sum", Box::new(move |at| total(at.x[0]) - total(at.y[0]))),
            Law::Vanishes(
                "stays_within_the_data",
                Box::new(move |at| (largest(at.y[0]) - largest(at.x[0])).max(0.0)),
            ),
        ]
    }

    fn oracle(&self, at: Args<'_, f64>) -> Option<[Vec<f64>; 1]> {
        let mut x: Vec<f64> = at.x[0].iter().map(|&x| self.signed(x)).collect();
        for (first, second) in self.network.comparators(x.len()) {
            let (a, b) = (x[first], x[second]);
            let s = self.distribution.naive((b - a) / self.softness);
            (x[first], x[second]) = (a * s + b * (1.0 - s), a * (1.0 - s) + b * s);
        }
        Some([x.into_iter().map(|x| self.signed(x)).collect()])
    }
}

/// Soft sort along the last axis, ascending, by a bitonic network of soft comparators with Cauchy's
/// distribution function.
///
/// A comparator takes $(a, b)$ to
///
/// $$ \min\nolimits' = a s + b (1 - s), \qquad \max\nolimits' = a (1 - s) + b s, \qquad
/// s = \tfrac12 + \tfrac1\pi \arctan \frac{b - a}{\varepsilon} . $$
///
/// * Shapes: `(…, n)` to `(…, n)`, any n.
/// * Softness: ε, in the unit of `x`; one over the papers' steepness. No comparator errs by more than ε / π.
///   As it grows, outputs approach means of the inputs: of all of them equally if n is a power of two, else
///   with weights that depend on where they lie.
/// * Hard limit: the sorted values. Where ε is not small against the gaps, outputs need not be in order, and
///   the order of the inputs has an influence.
/// * Gradient: exact everywhere, ties included, and never negative.
/// * A NaN makes its item NaN; ±∞ goes to its end.
/// * Cost: O(n log² n) forward and backward, time and memory.
/// * Errors: a softness that is not finite and above zero.
///
/// For the odd-even [network](Network), other [distributions](Distribution), descending order, another axis
/// or ragged batches, call [`evaluate`](supple_core::evaluate) with a [`SortingNetwork`]; for gradients,
/// [`linearize`](supple_core::linearize).
///
/// ```
/// use supple_ops::order::sorting_network;
/// let y = sorting_network(&[5.0f64, 1.0, 2.0], 0.01)?;
/// assert!((y[0] - 1.0).abs() < 0.01 && (y[1] - 2.0).abs() < 0.01 && (y[2] - 5.0).abs() < 0.01);
/// # Ok::<(), supple_core::Error>(())
/// ```
///
/// Petersen, Borgelt, Kuehne, Deussen, *Monotonic differentiable sorting networks*, ICLR 2022,
/// <https://arxiv.org/abs/2203.09630>.
pub fn sorting_network<'a, T: Float, D: Dimension>(
    x: impl Into<ArrayView<'a, T, D>>,
    softness: f64,
) -> Result<Array<T, D>, Error> {
    map(&SortingNetwork { softness, ..SortingNetwork::default() }, x)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{array, aview1};
    use supple_core::linearize;

    #[test]
    fn no_gradient_rounds_below_zero() {
        for gap in (0..60).map(|k| f32::powi(1.5, k)) {
            let (operator, x) = (SortingNetwork::default(), array![0.0, gap].into_dyn());
            let at = linearize(&operator, [x.view()]).unwrap();
            for cotangent in [array![1.0, 0.0], array![0.0, 1.0]] {
                let [dx] = at.vjp([cotangent.into_dyn().view()]).unwrap();
                assert!(dx.iter().all(|&dx| dx >= 0.0), "{gap} {dx}");
            }
        }
    }

    #[test]
    fn what_is_not_finite_spoils_its_item_only() {
        let (inf, nan) = (f64::INFINITY, f64::NAN);
        for operator in SortingNetwork::cases() {
            let operator = SortingNetwork { softness: 1e-9, descending: false, ..operator };
            let x = [[2.0, inf, 1.0, inf, -inf], [2.0, 1.0, 0.0, nan, 3.0]];
            let y = map(&operator, &x.concat()[..5]).unwrap();
            assert!(y[0] == -inf && (y[1] - 1.0).abs() < 1e-6 && (y[2] - 2.0).abs() < 1e-6, "{y}");
            assert!(y[3] == inf && y[4] == inf, "{y}");
            let at = linearize(&operator, [aview1(&x[0]).into_dyn()]).unwrap();
            // The two that are equal share, whatever their tangents.
            let (cotangent, direction) = (array![1.0, 2.0, 3.0, 4.0, 5.0], array![0.3, -1.0, 0.7, 2.0, 5.0]);
            let [dx] = at.vjp([cotangent.view().into_dyn()]).unwrap();
            let [dy] = at.jvp([direction.view().into_dyn()]).unwrap();
            assert!(((dy * &cotangent).sum() - (dx * &direction).sum()).abs() < 1e-12, "{operator:?}");
            let [dx] = at.vjp([array![1.0, 2.0, 3.0, 4.0, 4.0].into_dyn().view()]).unwrap();
            assert!((dx - array![3.0, 4.0, 2.0, 4.0, 1.0].into_dyn()).iter().all(|d| d.abs() < 1e-6));
            assert!(map(&operator, &x[1]).unwrap().iter().all(|y| y.is_nan()));
        }
    }
}
