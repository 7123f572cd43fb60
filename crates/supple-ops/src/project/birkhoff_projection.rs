//! Projection onto the Birkhoff polytope, the doubly stochastic matrices: relaxed permutations.
//!
//! $$ P = \operatorname*{argmax}_{P \ge 0,\ P 1 = 1,\ P^\top 1 = 1} \langle P, X \rangle - \varepsilon \Omega(P) $$
//!
//! * `"l2"`: $\Omega = \tfrac12 \lVert P \rVert^2$ gives the Euclidean projection of $X / \varepsilon$, which
//!   is sparse: [`transport_projection`](super::transport_projection()) with all sums one.
//! * `"entropic"`: $\Omega = \sum_{ij} P_{ij} (\ln P_{ij} - 1)$ gives the Kullback-Leibler projection of
//!   $e^{X / \varepsilon}$, which is positive everywhere: [`sinkhorn`](crate::transport::sinkhorn()) at the
//!   costs $-X$.
//!
//! * Softness: the unit of `X`; ε. At 1, the default, L2 is the projection of `X` itself.
//! * Hard limit: the permutation matrix of the assignment of the largest sum; of several, the mean that Ω
//!   prefers. The L2 form is that permutation from some ε on. There is no hard form: it is for a solver of
//!   assignment problems.
//! * Gradient: that of the operator beneath. L2: on the support, zero where it is a permutation; an entry
//!   that has just reached zero (a kink) counts as outside; the second derivative is zero almost everywhere.
//!   Entropic: exact, with curvature.
//! * −∞ forbids an entry. NaN and +∞ make the item NaN. Entries that are forbidden such that no permutation
//!   is left are a fault of the item (infeasible, or not converged).
//! * Cost: L2, about ten Newton steps of O(n³) at most; entropic, O(n²) for each sweep and O(n³) for a few
//!   Newton steps, and for the gradient.
//!
//! Papers: Blondel, Seguy, Rolet, *Smooth and sparse optimal transport*, AISTATS 2018,
//! <https://arxiv.org/abs/1710.06276>; Mena, Belanger, Linderman, Snoek, *Learning latent permutations with
//! Gumbel-Sinkhorn networks*, ICLR 2018, <https://arxiv.org/abs/1802.08665>.

use super::common::{Regularization, project, twice};
use super::transport_projection::{Support, alternate, follow, pull_back, solve};
use crate::transport::Sinkhorn;
use ndarray::{Array, ArrayView, Dimension};
use supple_core::{
    Args, Contract, Dual, Error, Evaluated, Fault, Float, Gradient, Law, Operator, Params, Point, Real,
    Scaling, Scratch, params,
};

params! {
    /// Projection onto the doubly stochastic matrices.
    pub struct BirkhoffProjection {
        /// Strength ε of the regularization; the unit of `x`.
        softness: f64 = 1.0, Positive;
        /// What smooths the permutation.
        regularization: Regularization = Regularization::L2, Any;
    }
}

/// What the operator beneath saved.
#[derive(Debug, Default)]
pub struct Saved<T: Real> {
    l2: Support,
    entropic: <Sinkhorn as Operator<3>>::Saved<T>,
}

impl Operator for BirkhoffProjection {
    const NAME: &'static str = "birkhoff_projection";
    const SIGNATURE: &'static str = "x(n>=1,n) -> p(n,n)";
    const GRADIENT: Gradient = Gradient::AlmostEverywhere;
    type Saved<T: Real> = Saved<T>;

    fn validate(&self, _: &[usize]) -> Result<(), Error> {
        self.check(Self::NAME)
    }

    fn work(&self, sizes: &[usize]) -> usize {
        let &[n] = sizes else { return 0 };
        10 * n.pow(3) + 100 * n.pow(2)
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
        let [x] = at.x;
        if x.iter().any(|x| x.is_nan() || x.as_f64() == f64::INFINITY) {
            p.fill(T::nan());
            return Ok(());
        }
        let inputs = self.inputs(at, scratch);
        let result = match self.regularization {
            Regularization::L2 => solve(inputs.slices(), p).map(|support| {
                saved.l2 = support;
                follow(inputs.slices(), &saved.l2, p);
            }),
            Regularization::Entropic => {
                self.beneath().forward(inputs.args(at.item), [p], &mut saved.entropic, scratch)
            }
        };
        inputs.give(scratch);
        result
    }

    fn lift<F: Float>(
        &self,
        at: Args<'_, Dual<F>>,
        values: Point<'_, F, Saved<F>>,
        [p]: [&mut [Dual<F>]; 1],
        saved: &mut Saved<Dual<F>>,
        scratch: &mut Scratch<Dual<F>>,
    ) -> Result<(), Fault> {
        if values.y[0][0].is_nan() {
            return self.forward(at, [p], saved, scratch);
        }
        let inputs = self.inputs(at, scratch);
        let result = match self.regularization {
            Regularization::L2 => {
                saved.l2.clone_from(&values.saved.l2);
                p.iter_mut().zip(values.y[0]).for_each(|(p, &value)| *p = Dual::constant(value));
                follow(inputs.slices(), &saved.l2, p);
                Ok(())
            }
            Regularization::Entropic => {
                let plain = &mut Scratch::default();
                let point = Args { x: values.x, k: [], sizes: values.sizes, item: values.item };
                let of_values = self.inputs(point, plain);
                let Args { x, k, sizes, item } = of_values.args(values.item);
                let values = Point { x, k, sizes, item, y: values.y, saved: &values.saved.entropic };
                self.beneath().lift(inputs.args(at.item), values, [p], &mut saved.entropic, scratch)
            }
        };
        inputs.give(scratch);
        result
    }

    fn vjp<T: Real>(
        &self,
        at: Point<'_, T, Saved<T>>,
        [dy]: [&[T]; 1],
        [dx]: [&mut [T]; 1],
        scratch: &mut Scratch<T>,
    ) {
        if at.y[0][0].is_nan() {
            return dx.fill(T::nan());
        }
        let [n] = at.sizes();
        let (mut da, mut db) = (scratch.reals.zeros(n), scratch.reals.zeros(n));
        match self.regularization {
            Regularization::L2 => {
                pull_back(&at.saved.l2, dy, [&mut *dx, &mut da, &mut db]);
                let rate = T::of(1.0 / self.softness);
                dx.iter_mut().for_each(|dx| *dx *= rate);
            }
            Regularization::Entropic => {
                let inputs = self.inputs(at.args(), scratch);
                let Args { x, k, sizes, item } = inputs.args(at.item);
                let beneath = Point { x, k, sizes, item, y: at.y, saved: &at.saved.entropic };
                self.beneath().vjp(beneath, [dy], [&mut *dx, &mut da, &mut db], scratch);
                dx.iter_mut().for_each(|dx| *dx = -*dx);
                inputs.give(scratch);
            }
        }
        scratch.reals.give(da);
        scratch.reals.give(db);
    }
}

/// What the operator beneath is called with: a matrix, and ones.
struct Inputs<T> {
    matrix: Vec<T>,
    ones: Vec<T>,
    sizes: [usize; 2],
}

impl<T: Real> Inputs<T> {
    fn slices(&self) -> [&[T]; 3] {
        [&self.matrix, &self.ones, &self.ones]
    }

    fn args(&self, item: usize) -> Args<'_, T, 3> {
        Args { x: self.slices(), k: [], sizes: &self.sizes, item }
    }

    fn give(self, scratch: &mut Scratch<T>) {
        scratch.reals.give(self.matrix);
        scratch.reals.give(self.ones);
    }
}

impl BirkhoffProjection {
    /// The point, or the costs.
    fn inputs<T: Real>(&self, at: Args<'_, T>, scratch: &mut Scratch<T>) -> Inputs<T> {
        let [n] = at.sizes();
        let (mut matrix, mut ones) = (scratch.reals.copy(at.x[0]), scratch.reals.zeros(n));
        ones.fill(T::one());
        let softness = T::of(self.softness);
        match self.regularization {
            Regularization::L2 => matrix.iter_mut().for_each(|x| *x /= softness),
            Regularization::Entropic => matrix.iter_mut().for_each(|x| *x = -*x),
        }
        Inputs { matrix, ones, sizes: [n, n] }
    }

    /// The entropic operator.
    fn beneath(&self) -> Sinkhorn {
        Sinkhorn { softness: self.softness, ..Sinkhorn::default() }
    }
}

impl Contract for BirkhoffProjection {
    const SUMMARY: &'static str = "nearest doubly stochastic matrix: a relaxed permutation";
    const PAPER: &'static str =
        "Blondel et al., AISTATS 2018, arXiv:1710.06276; Mena et al., ICLR 2018, arXiv:1802.08665";
    const COST: &'static str =
        "O(n³) for each of about ten Newton steps, O(n²) to O(n³) backward; O(n²) memory";

    fn cases() -> Vec<Self> {
        let case = |softness, regularization| Self { softness, regularization };
        vec![
            case(1.0, Regularization::L2),
            case(0.2, Regularization::L2),
            case(10.0, Regularization::L2),
            case(1.0, Regularization::Entropic),
            case(0.3, Regularization::Entropic),
            case(10.0, Regularization::Entropic),
        ]
    }

    fn laws(&self) -> Vec<Law> {
        let rows = |at: Evaluated<'_>| {
            let rows = at.y[0].chunks_exact(at.sizes[0]).map(|row| row.iter().sum::<f64>());
            rows.map(|sum| (sum - 1.0).abs()).fold(0.0, f64::max)
        };
        let columns = |at: Evaluated<'_>| {
            let n = at.sizes[0];
            let columns = (0..n).map(|j| at.y[0].iter().skip(j).step_by(n).sum::<f64>());
            columns.map(|sum| (sum - 1.0).abs()).fold(0.0, f64::max)
        };
        let mut laws = vec![
            Law::Vanishes("row_sums", Box::new(rows)),
            Law::Vanishes("column_sums", Box::new(columns)),
            Law::Within(Box::new(|_| (0.0, 1.0))),
            Law::ShiftInvariant,
        ];
        if self.regularization == Regularization::L2 && self.softness == 1.0 {
            laws.push(twice(self));
        }
        laws
    }

    /// L2: each row and each column in turn. Entropic: the same by scaling.
    fn oracle(&self, at: Args<'_, f64>) -> Option<[Vec<f64>; 1]> {
        let [n] = at.sizes();
        let x: Vec<f64> = at.x[0].iter().map(|x| x / self.softness).collect();
        if self.regularization == Regularization::L2 {
            let ones = vec![1.0; n];
            return Some([alternate([&x, &ones, &ones])]);
        }
        let mut p: Vec<f64> = x.iter().map(|x| x.exp()).collect();
        for _ in 0..100_000 {
            let before = p.clone();
            for row in p.chunks_exact_mut(n) {
                let sum: f64 = row.iter().sum();
                row.iter_mut().for_each(|p| *p /= sum);
            }
            for j in 0..n {
                let sum: f64 = p.iter().skip(j).step_by(n).sum();
                p.iter_mut().skip(j).step_by(n).for_each(|p| *p /= sum);
            }
            if p.iter().zip(&before).all(|(p, q)| (p - q).abs() < 1e-16) {
                break;
            }
        }
        Some([p])
    }

    fn test_sizes(&self) -> Vec<Vec<usize>> {
        [1, 2, 4, 7].map(|n| vec![n]).to_vec()
    }

    fn bench_sizes(&self) -> Vec<Vec<usize>> {
        [16, 64].map(|n| vec![n]).to_vec()
    }
}

/// The doubly stochastic matrix nearest to $X / \varepsilon$, on the last two axes of `x`: a relaxed
/// permutation, most entries of which are zero.
///
/// $$ P = \operatorname*{argmin}_{P \ge 0,\ P 1 = 1,\ P^\top 1 = 1} \lVert P - X / \varepsilon \rVert^2 $$
///
/// * Shapes: `(…, n, n)` to `(…, n, n)`, n ≥ 1.
/// * Softness: ε, in the unit of `x`; 1 is the projection of `x` itself. As it grows, all entries approach
///   1/n.
/// * Hard limit: the permutation matrix of the assignment of the largest sum, reached at some ε above zero.
/// * Gradient: on the support; zero where it is a permutation. Second derivatives are zero almost everywhere;
///   the [entropic form](super::Regularization::Entropic) of [`BirkhoffProjection`] (Sinkhorn's) has
///   curvature.
/// * −∞ forbids an entry. NaN and +∞ make the item NaN.
/// * Cost: about ten Newton steps of O(n³) at most, each.
/// * Errors: a softness that is not finite and above zero; a matrix that is not square; no permutation that
///   avoids what is forbidden.
///
/// For the entropic form or ragged batches, call [`evaluate`](supple_core::evaluate) with a
/// [`BirkhoffProjection`]; for gradients, [`linearize`](supple_core::linearize).
///
/// ```
/// use ndarray::array;
/// use supple_ops::project::birkhoff_projection;
/// let p = birkhoff_projection(&array![[1.0, 0.5], [0.0, 0.25]], 1.0)?;
/// assert!((p - array![[0.6875, 0.3125], [0.3125, 0.6875]]).iter().all(|gap: &f64| gap.abs() < 1e-15));
/// # Ok::<(), supple_core::Error>(())
/// ```
///
/// Blondel, Seguy, Rolet, *Smooth and sparse optimal transport*, AISTATS 2018,
/// <https://arxiv.org/abs/1710.06276>.
pub fn birkhoff_projection<'a, T: Float, D: Dimension>(
    x: impl Into<ArrayView<'a, T, D>>,
    softness: f64,
) -> Result<Array<T, D>, Error> {
    let operator = BirkhoffProjection { softness, ..BirkhoffProjection::default() };
    project(&operator, [x.into().into_dyn()])
}
