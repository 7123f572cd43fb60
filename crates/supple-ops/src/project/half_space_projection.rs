//! Euclidean projection onto a half-space.
//!
//! $$ y = \operatorname*{argmin}_{\langle a, y \rangle \le b} \tfrac12 \lVert y - x \rVert^2
//! = x - \frac{\max(\langle a, x \rangle - b, 0)}{\lVert a \rVert^2} a $$
//!
//! * Gradient: inside, and on the plane (a kink), that of the identity. Outside, that of
//!   [`hyperplane_projection`](super::hyperplane_projection()), to the point, the normal and the offset.
//! * An offset of ∞ is no constraint; −∞ and NaN are faults of their item, and so is a normal of zero. A
//!   point outside with an infinite entry, or any with NaN, is NaN.
//! * Cost: O(n).

use super::affine::Step;
use super::common::{project, twice};
use ndarray::{Array, ArrayView, Dimension, arr0};
use supple_core::{
    Args, Contract, Error, Fault, Float, Gradient, Law, Operator, Params, Point, Real, Scratch, params,
};
use supple_numerics::elementary::dot;

params! {
    /// Projection onto a half-space.
    pub struct HalfSpaceProjection {}
}

impl Operator<3> for HalfSpaceProjection {
    const NAME: &'static str = "half_space_projection";
    const SIGNATURE: &'static str = "x(n>=1), normal(n), offset() -> y(n)";
    const GRADIENT: Gradient = Gradient::AlmostEverywhere;
    type Saved<T: Real> = ();

    fn validate(&self, _: &[usize]) -> Result<(), Error> {
        self.check(Self::NAME)
    }

    fn forward<T: Real>(
        &self,
        at: Args<'_, T, 3>,
        [y]: [&mut [T]; 1],
        _: &mut (),
        _: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let [x, normal, &[offset]] = at.x else { return Ok(()) };
        let value = offset.as_f64();
        if value.is_nan() || value == f64::NEG_INFINITY {
            return Err(Fault::Domain { argument: "offset", requirement: "a number above -inf", value });
        }
        let step = Step::new(x, normal, offset)?;
        if step.is_inside() {
            y.copy_from_slice(x);
        } else {
            step.take(x, normal, y);
        }
        Ok(())
    }

    fn vjp<T: Real>(
        &self,
        at: Point<'_, T, (), 3>,
        [dy]: [&[T]; 1],
        [dx, dnormal, doffset]: [&mut [T]; 3],
        _: &mut Scratch<T>,
    ) {
        let [x, normal, offset] = at.x;
        match Step::new(x, normal, offset[0]) {
            Ok(step) if step.is_inside() => dx.copy_from_slice(dy),
            Ok(step) => step.pull_back([normal, at.y[0], dy], [dx, dnormal, doffset]),
            Err(_) => {}
        }
    }
}

impl Contract<3> for HalfSpaceProjection {
    const SUMMARY: &'static str = "nearest point of a half-space";
    const PAPER: &'static str = "Boyd and Vandenberghe, Convex Optimization, 2004, section 8.1";
    const COST: &'static str = "O(n) forward and backward";
    const ARGUMENTS: &'static [&'static str] = &[];

    fn cases() -> Vec<Self> {
        vec![Self {}]
    }

    fn laws(&self) -> Vec<Law> {
        let excess = |y: &[f64], a: &[f64], b: f64| (dot(a, y) - b).max(0.0);
        vec![
            Law::Vanishes("above_the_plane", Box::new(move |at| excess(at.y[0], at.x[1], at.x[2][0]))),
            twice(self),
        ]
    }

    /// The formula.
    fn oracle(&self, at: Args<'_, f64, 3>) -> Option<[Vec<f64>; 1]> {
        let [x, a, b] = at.x;
        let inner = |p: &[f64], q: &[f64]| p.iter().zip(q).map(|(p, q)| p * q).sum::<f64>();
        let t = (inner(a, x) - b[0]).max(0.0) / inner(a, a);
        Some([x.iter().zip(a).map(|(x, a)| x - t * a).collect()])
    }

    fn free(&self) -> [bool; 3] {
        [true, false, true]
    }
}

/// The nearest point to `x` of the half-space $\langle a, y \rangle \le b$, along the last axis, with the
/// `normal` a and the `offset` b.
///
/// $$ y = x - \frac{\max(\langle a, x \rangle - b, 0)}{\lVert a \rVert^2} a $$
///
/// * Shapes: `(…, n)` to `(…, n)`, n ≥ 1; `normal` is `(…, n)` too, with leading axes that broadcast to those
///   of `x`.
/// * Gradient: inside and on the plane that of the identity; outside, what lies along the plane to `x`, and
///   the rest to normal and offset. Second derivatives are right.
/// * An offset of ∞ is no constraint. NaN makes its item NaN.
/// * Cost: O(n).
/// * Errors: n = 0; a normal of zero; an offset of −∞ or NaN.
///
/// For gradients call [`linearize`](supple_core::linearize) with a [`HalfSpaceProjection`]; for one offset
/// each item, another axis or ragged batches, [`evaluate`](supple_core::evaluate).
///
/// ```
/// use ndarray::array;
/// use supple_ops::project::half_space_projection;
/// let normal = array![3.0, 4.0];
/// assert_eq!(half_space_projection(&array![3.0, 9.0], &normal, 20.0)?, array![0.0, 5.0]);
/// assert_eq!(half_space_projection(&array![3.0, 1.0], &normal, 20.0)?, array![3.0, 1.0]);
/// # Ok::<(), supple_core::Error>(())
/// ```
///
/// Boyd and Vandenberghe, *Convex Optimization*, 2004.
pub fn half_space_projection<'a, T: Float, D: Dimension, E: Dimension>(
    x: impl Into<ArrayView<'a, T, D>>,
    normal: impl Into<ArrayView<'a, T, E>>,
    offset: f64,
) -> Result<Array<T, D>, Error> {
    let offset = arr0(T::of(offset)).into_dyn();
    project(&HalfSpaceProjection {}, [x.into().into_dyn(), normal.into().into_dyn(), offset.view()])
}
