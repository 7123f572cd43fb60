//! Euclidean projection onto a hyperplane.
//!
//! $$ y = \operatorname*{argmin}_{\langle a, y \rangle = b} \tfrac12 \lVert y - x \rVert^2 = x - t a, \qquad
//! t = \frac{\langle a, x \rangle - b}{\lVert a \rVert^2} $$
//!
//! * Gradient: exact, to the point, the normal and the offset. With
//!   $q = \langle a, \bar y \rangle / \lVert a \rVert^2$, $\bar x = \bar y - q a$, $\bar b = q$ and
//!   $\bar a = -t \bar x - q y$.
//! * A normal of zero and an offset that is not finite are faults of their item. Any other item with NaN or
//!   ±∞ is NaN.
//! * Cost: O(n).

use super::affine::Step;
use super::common::{finite, project, twice};
use ndarray::{Array, ArrayView, Dimension, arr0};
use supple_core::{Args, Contract, Error, Fault, Float, Law, Operator, Params, Point, Real, Scratch, params};
use supple_numerics::elementary::dot;

params! {
    /// Projection onto a hyperplane.
    pub struct HyperplaneProjection {}
}

impl Operator<3> for HyperplaneProjection {
    const NAME: &'static str = "hyperplane_projection";
    const SIGNATURE: &'static str = "x(n>=1), normal(n), offset() -> y(n)";
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
        finite("offset", offset)?;
        Step::new(x, normal, offset)?.take(x, normal, y);
        Ok(())
    }

    fn vjp<T: Real>(&self, at: Point<'_, T, (), 3>, [dy]: [&[T]; 1], dx: [&mut [T]; 3], _: &mut Scratch<T>) {
        let [x, normal, offset] = at.x;
        if let Ok(step) = Step::new(x, normal, offset[0]) {
            step.pull_back([normal, at.y[0], dy], dx);
        }
    }
}

impl Contract<3> for HyperplaneProjection {
    const SUMMARY: &'static str = "nearest point of a hyperplane";
    const PAPER: &'static str = "Boyd and Vandenberghe, Convex Optimization, 2004, section 8.1";
    const COST: &'static str = "O(n) forward and backward";
    const ARGUMENTS: &'static [&'static str] = &[];

    fn cases() -> Vec<Self> {
        vec![Self {}]
    }

    fn laws(&self) -> Vec<Law> {
        let excess = |y: &[f64], a: &[f64], b: f64| dot(a, y) - b;
        vec![
            Law::Vanishes("off_the_plane", Box::new(move |at| excess(at.y[0], at.x[1], at.x[2][0]))),
            twice(self),
        ]
    }

    /// The formula.
    fn oracle(&self, at: Args<'_, f64, 3>) -> Option<[Vec<f64>; 1]> {
        let [x, a, b] = at.x;
        let inner = |p: &[f64], q: &[f64]| p.iter().zip(q).map(|(p, q)| p * q).sum::<f64>();
        let t = (inner(a, x) - b[0]) / inner(a, a);
        Some([x.iter().zip(a).map(|(x, a)| x - t * a).collect()])
    }

    fn free(&self) -> [bool; 3] {
        [true, false, false]
    }
}

/// The nearest point to `x` of the hyperplane $\langle a, y \rangle = b$, along the last axis, with the
/// `normal` a and the `offset` b.
///
/// $$ y = x - \frac{\langle a, x \rangle - b}{\lVert a \rVert^2} a $$
///
/// * Shapes: `(…, n)` to `(…, n)`, n ≥ 1; `normal` is `(…, n)` too, with leading axes that broadcast to those
///   of `x`.
/// * Gradient: exact; what lies along the plane to `x`, and the rest to normal and offset.
/// * NaN or ±∞ makes its item NaN.
/// * Cost: O(n).
/// * Errors: n = 0; a normal of zero; an offset that is not finite.
///
/// For gradients call [`linearize`](supple_core::linearize) with a [`HyperplaneProjection`]; for one offset
/// each item, another axis or ragged batches, [`evaluate`](supple_core::evaluate).
///
/// ```
/// use ndarray::array;
/// use supple_ops::project::hyperplane_projection;
/// assert_eq!(hyperplane_projection(&array![0.0, 1.0], &array![3.0, 4.0], 29.0)?, array![3.0, 5.0]);
/// # Ok::<(), supple_core::Error>(())
/// ```
///
/// Boyd and Vandenberghe, *Convex Optimization*, 2004.
pub fn hyperplane_projection<'a, T: Float, D: Dimension, E: Dimension>(
    x: impl Into<ArrayView<'a, T, D>>,
    normal: impl Into<ArrayView<'a, T, E>>,
    offset: f64,
) -> Result<Array<T, D>, Error> {
    let offset = arr0(T::of(offset)).into_dyn();
    project(&HyperplaneProjection {}, [x.into().into_dyn(), normal.into().into_dyn(), offset.view()])
}
