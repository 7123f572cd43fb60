//! Quadratic programs as a function of all their data:
//!
//! $$\min_z \ \tfrac12 z^\top Q z + q^\top z \quad \text{subject to} \quad G z \le h, \ A z = b.$$
//!
//! Outputs are the minimiser $z$ and the multipliers $\lambda \ge 0$ of $Gz \le h$ and $\nu$ of $Az = b$:
//! $Qz + q + G^\top\lambda + A^\top\nu = 0$ and $\lambda_i (Gz - h)_i = 0$. Q enters as
//! $\tfrac12(Q + Q^\top)$ and must be positive semidefinite. A block with no rows is absent; an entry
//! $\infty$ of h means no constraint. There is no softness and no hard form: the answer is exact.
//!
//! **Method.** Mehrotra's interior point method runs until the set of active inequalities stands still.
//! The equality-constrained problem on that set is then solved directly, corrected where multipliers or
//! slacks have the wrong sign, and taken when all optimality conditions hold to `tolerance`. All of it is
//! done in `f64`, for `f32` too.
//!
//! **Gradient.** On the active set the optimality conditions are linear in $(z, \lambda, \nu)$, and the
//! gradients to all six inputs are those of that system. It is exact where the set does not change under
//! small changes of the data. Where it does, the gradient is that of one side: an inequality that holds
//! with equality and multiplier zero counts as inactive. Where the active rows are dependent, so that
//! multipliers are not unique, an independent subset with non-negative multipliers is used and the others
//! get multiplier and gradient zero.
//!
//! **Cost.** About ten Cholesky factorisations of order n and as many products $G^\top D G$; the
//! derivatives take $O(n (n + m + p))$ with the factor of the forward pass.
//!
//! **Faults.** Each item has its own status: infeasible; unbounded; rank deficient, where A has dependent
//! rows or the minimiser is not unique; a Q with a negative eigenvalue; data that are not finite; not
//! converged.
//!
//! Paper: Amos and Kolter, *OptNet: differentiable optimization as a layer in neural networks*, ICML
//! 2017.

use crate::active::{Active, Pair};
use crate::brute_force;
use crate::problem::Problem;
use crate::sample;
use crate::solve::solve;
use ndarray::{Array, ArrayD, ArrayView, Dimension, IxDyn};
use supple_core::{
    Args, Contract, Dual, Error, Fault, Float, Gradient, Law, Operator, Params, Point, Real, Sample, Scratch,
    Stream, evaluate, params,
};

params! {
    /// A convex quadratic program as a function of all its data.
    pub struct QuadraticProgram {
        /// Steps of the interior point method before an item counts as not converged.
        max_iterations: usize = 50, AtLeast(1.0);
        /// How far constraints and signs of multipliers may be off, relative to the size of the data.
        tolerance: f64 = 1e-9, Between(0.0, 1e-3);
    }
}

impl Operator<6, 3> for QuadraticProgram {
    const NAME: &'static str = "quadratic_program";
    const SIGNATURE: &'static str = "Q(n,n), q(n), G(m,n), h(m), A(p,n), b(p) -> z(n), lambda(m), nu(p)";
    const GRADIENT: Gradient = Gradient::AlmostEverywhere;
    /// Plain numbers: whatever depends on the data is computed again from the data.
    type Saved<T: Real> = Active;

    fn validate(&self, _sizes: &[usize]) -> Result<(), Error> {
        self.check(Self::NAME)
    }

    fn work(&self, sizes: &[usize]) -> usize {
        let &[n, m, p] = sizes else { return 0 };
        2000 + 10 * n * n * (n + m + p)
    }

    fn forward<T: Real>(
        &self,
        at: Args<'_, T, 6>,
        y: [&mut [T]; 3],
        saved: &mut Active,
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let problem = Problem::new(at.x.map(|x| x.iter().map(|x| x.as_f64()).collect()))?;
        let solution = solve(&problem, self.max_iterations, self.tolerance)?;
        let values = Active::unscale(&problem, &solution);
        *saved = Active::new(&problem, solution);
        let mut x = values.map(T::Acc::of);
        step(saved, at, &mut x, scratch);
        saved.scatter(&x, y);
        Ok(())
    }

    fn vjp<T: Real>(
        &self,
        at: Point<'_, T, Active, 6, 3>,
        dy: [&[T]; 3],
        dx: [&mut [T]; 6],
        scratch: &mut Scratch<T>,
    ) {
        let active = at.saved;
        let mut u = active.gather(dy, scratch);
        active.solve(&mut u);
        active.refine(at.x, dy, &mut u, scratch);
        let x = active.gather(at.y, scratch);
        active.pull(&x, &u, dx);
        x.give(scratch);
        u.give(scratch);
    }

    fn lift<F: Float>(
        &self,
        at: Args<'_, Dual<F>, 6>,
        values: Point<'_, F, Active, 6, 3>,
        y: [&mut [Dual<F>]; 3],
        saved: &mut Active,
        scratch: &mut Scratch<Dual<F>>,
    ) -> Result<(), Fault> {
        saved.clone_from(values.saved);
        let mut x = saved.gather(values.y, &mut Scratch::default()).map(|x| Dual::<f64>::of(x.as_f64()));
        step(saved, at, &mut x, scratch);
        saved.scatter(&x, y);
        Ok(())
    }
}

/// Newton's step on the optimality conditions with the data in `T`: they are linear, so values become
/// exact, and tangents right.
fn step<T: Real>(active: &Active, at: Args<'_, T, 6>, x: &mut Pair<T::Acc>, scratch: &mut Scratch<T>) {
    let [_, q, _, h, _, b] = at.x;
    let mut minus_q = scratch.reals.copy(q);
    minus_q.iter_mut().for_each(|q| *q = -*q);
    active.refine(at.x, [&minus_q, h, b], x, scratch);
    scratch.reals.give(minus_q);
}

impl Contract<6, 3> for QuadraticProgram {
    const SUMMARY: &'static str = "The minimiser of a convex quadratic program and its multipliers.";
    const PAPER: &'static str = "Amos and Kolter, OptNet, ICML 2017";
    const COST: &'static str =
        "about ten Cholesky factorisations of order n forward, O(n (n + m + p)) backward";
    const ARGUMENTS: &'static [&'static str] = &[];

    fn cases() -> Vec<Self> {
        vec![Self::default(), Self { max_iterations: 30, tolerance: 1e-7 }]
    }

    fn laws(&self) -> Vec<Law> {
        vec![Law::Vanishes("optimality", Box::new(sample::residual))]
    }

    fn oracle(&self, at: Args<'_, f64, 6>) -> Option<[Vec<f64>; 3]> {
        brute_force::minimize(at.x)
    }

    fn test_sizes(&self) -> Vec<Vec<usize>> {
        let small = [[1, 0, 0], [1, 2, 0], [1, 1, 1], [3, 0, 2], [4, 6, 0], [5, 7, 2], [8, 5, 3]];
        small.into_iter().chain([[40, 45, 6]]).map(Vec::from).collect()
    }

    fn bench_sizes(&self) -> Vec<Vec<usize>> {
        [[10, 10, 3], [30, 30, 5], [100, 100, 10]].map(Vec::from).to_vec()
    }

    fn sample(&self, sizes: &[usize], _: [usize; 6], random: &mut Stream) -> Sample<6, 0> {
        let &[n, m, p] = sizes else { return Sample { x: Default::default(), k: [] } };
        Sample { x: sample::away_from_kinks([n, m, p], random), k: [] }
    }

    /// Only q may be anything: the others decide whether there is an answer.
    fn free(&self) -> [bool; 6] {
        [false, true, false, false, false, false]
    }
}

/// The matrix and the right-hand side of a block of constraints.
pub type Constraints<'a, T, D> = (ArrayView<'a, T, <D as Dimension>::Larger>, ArrayView<'a, T, D>);

/// Solves quadratic programs: [`QuadraticProgram`] on arrays of one item, or of a batch along the first
/// axis.
///
/// $$\min_z \ \tfrac12 z^\top Q z + q^\top z \quad \text{subject to} \quad G z \le h, \ A z = b.$$
///
/// `quadratic` is Q (n × n), of which only $\tfrac12(Q + Q^\top)$ counts and which must be positive
/// semidefinite; `linear` is q (n); `inequalities` are G (m × n) and h (m), `equalities` are A (p × n) and
/// b (p); `None` leaves a block out. Returns z (n) and the multipliers λ (m) of the inequalities and ν (p)
/// of the equalities, with $Qz + q + G^\top\lambda + A^\top\nu = 0$ and $\lambda \ge 0$.
///
/// There is no softness and no hard form. An entry ∞ of h is no constraint.
///
/// **Cost.** About ten Cholesky factorisations of order n forward, $O(n (n + m + p))$ backward, for each
/// item.
///
/// **Gradient.** To all inputs and from all outputs. At a kink, where an inequality holds with equality
/// and multiplier zero, it is that of the side on which the inequality is inactive.
///
/// **Errors.** An item without an answer: infeasible, unbounded, dependent rows of A, a minimiser that is
/// not unique, a Q that is not positive semidefinite, data that are not finite, or no convergence. For one
/// status an item, call [`evaluate_each`](supple_core::evaluate_each) with the operator.
///
/// ```
/// use ndarray::{Array1, Array2, array};
/// use supple_convex::quadratic_program;
///
/// // The point of the probability simplex closest to c.
/// let c = array![0.5, 0.1, -1.0];
/// let (g, h) = (-Array2::eye(3), Array1::zeros(3));
/// let (a, b) = (Array2::ones((1, 3)), Array1::ones(1));
/// let [z, lambda, nu] = quadratic_program(
///     &Array2::eye(3),
///     &(-&c),
///     Some((g.view(), h.view())),
///     Some((a.view(), b.view())),
/// )?;
/// assert!((z - array![0.7, 0.3, 0.0]).iter().all(|x: &f64| x.abs() < 1e-12));
/// assert!((lambda - array![0.0, 0.0, 0.8]).iter().all(|x: &f64| x.abs() < 1e-12));
/// assert!((nu[0] + 0.2).abs() < 1e-12);
/// # Ok::<(), supple_core::Error>(())
/// ```
///
/// Paper: Amos and Kolter, *OptNet: differentiable optimization as a layer in neural networks*, ICML
/// 2017.
pub fn quadratic_program<'a, T: Float, D: Dimension>(
    quadratic: impl Into<ArrayView<'a, T, D::Larger>>,
    linear: impl Into<ArrayView<'a, T, D>>,
    inequalities: Option<Constraints<'a, T, D>>,
    equalities: Option<Constraints<'a, T, D>>,
) -> Result<[Array<T, D>; 3], Error> {
    let operator = QuadraticProgram::default();
    let (quadratic, linear) = (quadratic.into().into_dyn(), linear.into().into_dyn());
    let n = linear.shape().last().copied().unwrap_or(0);
    let (matrix, vector) = (ArrayD::default(IxDyn(&[0, n])), ArrayD::default(IxDyn(&[0])));
    let absent = || (matrix.view(), vector.view());
    let block = |block: Option<Constraints<'a, T, D>>| {
        block.map(|(matrix, vector)| (matrix.into_dyn(), vector.into_dyn()))
    };
    let (g, h) = block(inequalities).unwrap_or_else(absent);
    let (a, b) = block(equalities).unwrap_or_else(absent);
    let [z, lambda, nu] = evaluate(&operator, [quadratic, linear, g, h, a, b])?;
    let shape = |y: ArrayD<T>| {
        y.into_dimensionality()
            .map_err(|e| Error::unsupported(QuadraticProgram::NAME, "an output of the input's rank", e))
    };
    Ok([shape(z)?, shape(lambda)?, shape(nu)?])
}
