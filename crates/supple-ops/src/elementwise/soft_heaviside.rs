//! The unit step, smoothed by a distribution function.
//!
//! $$ y = H(x / \varepsilon), \qquad H(t) = \tfrac12 + S(t) $$
//!
//! | shape | $S(t)$, odd | density $H'(t)$ | tails |
//! |---|---|---|---|
//! | `"logistic"` | $\tfrac12 \tanh \tfrac t2$ | $H (1 - H)$ | $e^{-\lvert t \rvert}$ |
//! | `"gaussian"` | $\tfrac12 \operatorname{erf} \tfrac{t}{\sqrt 2}$ | $e^{-t^2 / 2} / \sqrt{2 \pi}$ | $e^{-t^2 / 2}$ |
//! | `"cauchy"` | $\tfrac1\pi \arctan t$ | $1 / (\pi (1 + t^2))$ | $1 / (\pi \lvert t \rvert)$ |
//! | `"polynomial"` | $(15 t - 10 t^3 + 3 t^5) / 16$ for $\lvert t \rvert \le 1$ | $\tfrac{15}{16} (1 - t^2)^2$ | none |
//!
//! The polynomial (smoothstep of degree 5) is twice continuously differentiable and exactly 0 or 1 from
//! a distance of ε on; the other shapes are smooth.
//!
//! * Softness: the unit of `x`; ε. A steepness β is 1 / ε.
//! * Hard limit: 0 below zero, 1/2 at zero, 1 above (`numpy.heaviside(x, 0.5)`).
//! * Gradient: the density over ε; exact everywhere.
//! * Values near 0 keep their relative precision, however small they are. ±∞ gives 0 or 1; NaN gives NaN.
//! * Cost: about one exponential (logistic), error function, arctangent or nothing per element.
//!
//! Paper: the shapes are those surveyed by Petersen et al., *GenDR: a generalized differentiable renderer*,
//! CVPR 2022, <https://arxiv.org/abs/2204.13845>.

pub use super::shape::Shape;
use super::shape::naive_step;
use ndarray::{Array, ArrayView, Dimension};
use supple_core::{
    Args, Contract, Error, Fault, Float, Law, Operator, Params, Point, Real, Scaling, Scratch, map, params,
};

params! {
    /// Smooth unit step.
    pub struct SoftHeaviside {
        /// Width of the step; the unit of `x`.
        softness: f64 = 0.1, Positive;
        /// Distribution function.
        shape: Shape = Shape::Logistic, Any;
    }
}

impl Operator for SoftHeaviside {
    const NAME: &'static str = "soft_heaviside";
    const SIGNATURE: &'static str = "x(...) -> y(...)";
    type Saved<T: Real> = ();

    fn validate(&self, _: &[usize]) -> Result<(), Error> {
        self.check(Self::NAME)
    }

    fn scaling(&self) -> Option<Scaling> {
        Some(Scaling { softness: self.softness, power: 1, inputs: [1], outputs: [0] })
    }

    fn forward<T: Real>(
        &self,
        at: Args<'_, T>,
        [y]: [&mut [T]; 1],
        _: &mut (),
        _: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let softness = T::of(self.softness);
        y.iter_mut().zip(at.x[0]).for_each(|(y, &x)| *y = within_reach(x / softness));
        self.shape.step(y);
        Ok(())
    }

    fn vjp<T: Real>(&self, at: Point<'_, T, ()>, [dy]: [&[T]; 1], [dx]: [&mut [T]; 1], _: &mut Scratch<T>) {
        let softness = T::of(self.softness);
        dx.iter_mut().zip(at.x[0]).for_each(|(dx, &x)| *dx = within_reach(x / softness));
        self.shape.density(dx);
        dx.iter_mut().zip(dy).for_each(|(dx, &dy)| *dx *= dy / softness);
    }

    fn hard<T: Float>(&self, at: Args<'_, T>, [y]: [&mut [T]; 1], _: &mut Scratch<T>) -> Result<(), Fault> {
        for (y, &x) in y.iter_mut().zip(at.x[0]) {
            let sign = if x > T::zero() { 1.0 } else { -1.0 };
            *y = if x.is_nan() { x } else { T::of(if x == T::zero() { 0.5 } else { 0.5 + 0.5 * sign }) };
        }
        Ok(())
    }
}

/// Keeps squares and products of tangents finite: every shape is constant to round-off from here on.
#[inline]
fn within_reach<T: Real>(t: T) -> T {
    const REACH: f64 = 1e18;
    if t > T::of(REACH) {
        T::of(REACH)
    } else if t < T::of(-REACH) {
        T::of(-REACH)
    } else {
        t
    }
}

impl Contract for SoftHeaviside {
    const SUMMARY: &'static str = "unit step";
    const PAPER: &'static str = "Petersen et al., CVPR 2022, arXiv:2204.13845 (survey of shapes)";
    const COST: &'static str = "O(1) per element";

    fn cases() -> Vec<Self> {
        let case = |softness, shape| Self { softness, shape };
        vec![
            case(0.1, Shape::Logistic),
            case(2.0, Shape::Gaussian),
            case(0.5, Shape::Cauchy),
            case(1.5, Shape::Polynomial),
        ]
    }

    fn laws(&self) -> Vec<Law> {
        vec![Law::Within(Box::new(|_| (0.0, 1.0))), Law::Reversal(Box::new(|y, _| 1.0 - y))]
    }

    fn oracle(&self, at: Args<'_, f64>) -> Option<[Vec<f64>; 1]> {
        Some([at.x[0].iter().map(|x| naive_step(self.shape, x / self.softness)).collect()])
    }
}

/// Smooth unit step of each element: the logistic function of $x / \varepsilon$.
///
/// $$ y = \frac{1}{1 + e^{-x / \varepsilon}} $$
///
/// * Shapes: any, to the same.
/// * Softness: ε, in the unit of `x`.
/// * Hard limit: 0 below zero, 1/2 at zero, 1 above.
/// * Gradient: exact everywhere, as are second derivatives.
/// * ±∞ gives 0 or 1; NaN gives NaN. Values near 0 keep their relative precision.
/// * Cost: about one exponential per element.
/// * Errors: a softness that is not finite and above zero.
///
/// For the Gaussian, Cauchy and polynomial [shapes](Shape), call [`evaluate`](supple_core::evaluate) with
/// a [`SoftHeaviside`]; for gradients, [`linearize`](supple_core::linearize).
///
/// ```
/// use supple_ops::elementwise::soft_heaviside;
/// let y = soft_heaviside(&[-1.0f64, 0.0, 1.0], 0.5)?;
/// assert!((y[0] - 0.1192).abs() < 1e-4 && y[1] == 0.5 && (y[2] - 0.8808).abs() < 1e-4);
/// # Ok::<(), supple_core::Error>(())
/// ```
///
/// Petersen, Goldluecke, Borgelt, Deussen, *GenDR: a generalized differentiable renderer*, CVPR 2022,
/// <https://arxiv.org/abs/2204.13845>.
pub fn soft_heaviside<'a, T: Float, D: Dimension>(
    x: impl Into<ArrayView<'a, T, D>>,
    softness: f64,
) -> Result<Array<T, D>, Error> {
    map(&SoftHeaviside { softness, ..SoftHeaviside::default() }, x)
}
