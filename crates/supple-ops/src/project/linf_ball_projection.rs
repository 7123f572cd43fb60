//! Euclidean projection onto the ball of the maximum norm: each entry is clipped to $[-r, r]$.
//!
//! $$ y = \operatorname*{argmin}_{\max_i |y_i| \le r} \tfrac12 \lVert y - x \rVert^2, \qquad
//! y_i = \operatorname{sign}(x_i) \min(|x_i|, r) $$
//!
//! * Gradient: to an entry with $|x_i| \le r$ its own; the others give theirs, by sign, to the radius. At
//!   $r = 0$ the point is 0 whatever `x` is: then `x` gets nothing, and the radius gets the derivative to the
//!   right. The second derivative is zero almost everywhere.
//! * ±∞ is clipped, and a radius of ∞ leaves everything. A NaN stays one. A radius that is negative or
//!   NaN is a fault of its item.
//! * Cost: O(n).

use super::common::{not_negative, project_with, twice};
use ndarray::{Array, ArrayView, Dimension};
use supple_core::{
    Args, Contract, Error, Fault, Float, Gradient, Law, Operator, Params, Point, Real, Sample, Scratch,
    Stream, params,
};
use supple_numerics::elementary::sum_by;

params! {
    /// Projection onto the ball of the maximum norm.
    pub struct LinfBallProjection {}
}

impl Operator<2> for LinfBallProjection {
    const NAME: &'static str = "linf_ball_projection";
    const SIGNATURE: &'static str = "x(n), radius() -> y(n)";
    const GRADIENT: Gradient = Gradient::AlmostEverywhere;
    type Saved<T: Real> = ();

    fn validate(&self, _: &[usize]) -> Result<(), Error> {
        self.check(Self::NAME)
    }

    fn forward<T: Real>(
        &self,
        at: Args<'_, T, 2>,
        [y]: [&mut [T]; 1],
        _: &mut (),
        _: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let [x, &[radius]] = at.x else { return Ok(()) };
        not_negative("radius", radius)?;
        for (y, &x) in y.iter_mut().zip(x) {
            let sign = sign_outside(x, radius);
            let inside = if radius > T::zero() || x.is_nan() { x } else { T::zero() };
            *y = if sign == T::zero() { inside } else { sign * radius };
        }
        Ok(())
    }

    fn vjp<T: Real>(
        &self,
        at: Point<'_, T, (), 2>,
        [dy]: [&[T]; 1],
        [dx, dradius]: [&mut [T]; 2],
        _: &mut Scratch<T>,
    ) {
        let (x, radius) = (at.x[0], at.x[1][0]);
        let moved = sum_by(x, dy, |x, dy| (sign_outside(x, radius) * dy).widen());
        dradius.fill(T::narrow(moved));
        if radius > T::zero() {
            for ((dx, &x), &dy) in dx.iter_mut().zip(x).zip(dy) {
                *dx = if sign_outside(x, radius) == T::zero() { dy } else { T::zero() };
            }
        }
    }
}

/// The sign of an entry outside of `[−radius, radius]`, 0 inside.
#[inline(always)]
fn sign_outside<T: Real>(x: T, radius: T) -> T {
    let above = if x > radius { T::one() } else { T::zero() };
    if x < -radius { -T::one() } else { above }
}

impl Contract<2> for LinfBallProjection {
    const SUMMARY: &'static str = "nearest point of the ball of the maximum norm";
    const PAPER: &'static str = "Parikh and Boyd, Proximal Algorithms, 2014, section 6.5";
    const COST: &'static str = "O(n) forward and backward";
    const ARGUMENTS: &'static [&'static str] = &[];

    fn cases() -> Vec<Self> {
        vec![Self {}]
    }

    fn laws(&self) -> Vec<Law> {
        let norm = |y: &[f64]| y.iter().fold(0.0, |most: f64, y| most.max(y.abs()));
        vec![
            Law::Vanishes("outside_of_the_ball", Box::new(move |at| (norm(at.y[0]) - at.x[1][0]).max(0.0))),
            Law::PermutationEquivariant,
            Law::Reversal(Box::new(|y, _| -y)),
            twice(self),
        ]
    }

    /// The middle of the entry and the two ends.
    fn oracle(&self, at: Args<'_, f64, 2>) -> Option<[Vec<f64>; 1]> {
        let (x, radius) = (at.x[0], at.x[1][0]);
        let middle = |&x: &f64| {
            let mut three = [-radius, x, radius];
            three.sort_by(f64::total_cmp);
            three[1]
        };
        Some([x.iter().map(middle).collect()])
    }

    fn sample(&self, _: &[usize], [n, _]: [usize; 2], random: &mut Stream) -> Sample<2> {
        Sample { x: [random.normals(n), vec![(0.5 * random.normal()).exp()]], k: [] }
    }

    fn free(&self) -> [bool; 2] {
        [true, false]
    }
}

/// The nearest point to `x` of the ball of the maximum norm, $\max_i |y_i| \le r$, along the last axis: each
/// entry clipped to $[-r, r]$.
///
/// * Shapes: `(…, n)` to `(…, n)`.
/// * Gradient: to entries with $|x_i| \le r$ their own; the others give theirs, by sign, to the radius.
///   Second derivatives are zero almost everywhere.
/// * ±∞ is clipped, and a radius of ∞ leaves everything; NaN gives NaN.
/// * Cost: O(n).
/// * Errors: a radius that is negative or NaN.
///
/// For the gradient, also to the radius, call [`linearize`](supple_core::linearize) with a
/// [`LinfBallProjection`]; for one radius each item, another axis or ragged batches,
/// [`evaluate`](supple_core::evaluate).
///
/// ```
/// use ndarray::array;
/// use supple_ops::project::linf_ball_projection;
/// assert_eq!(linf_ball_projection(&array![3.0, -0.5, -4.0], 2.0)?, array![2.0, -0.5, -2.0]);
/// # Ok::<(), supple_core::Error>(())
/// ```
///
/// Parikh and Boyd, *Proximal Algorithms*, Foundations and Trends in Optimization 2014.
pub fn linf_ball_projection<'a, T: Float, D: Dimension>(
    x: impl Into<ArrayView<'a, T, D>>,
    radius: f64,
) -> Result<Array<T, D>, Error> {
    project_with(&LinfBallProjection {}, x, radius)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{arr0, array};
    use supple_core::linearize;

    #[test]
    fn a_ball_of_radius_zero_and_one_without_end() {
        let x = array![2.0, 0.0, f64::NEG_INFINITY, 1.0].into_dyn();
        let dy = array![1.0, 10.0, 100.0, 1000.0].into_dyn();
        let at = |radius: f64| {
            let radius = arr0(radius).into_dyn();
            let at = linearize(&LinfBallProjection {}, [x.view(), radius.view()]).unwrap();
            let [dx, dradius] = at.vjp([dy.view()]).unwrap();
            let [jv] = at.jvp([dy.view(), arr0(1.0).into_dyn().view()]).unwrap();
            (at.outputs()[0].clone(), dx, dradius[[]], jv)
        };
        let (y, dx, dradius, jv) = at(0.0);
        assert_eq!((y, dx, dradius), (x.mapv(|_| 0.0), x.mapv(|_| 0.0), 901.0));
        assert_eq!(jv, array![1.0, 0.0, -1.0, 1.0].into_dyn());
        let (y, dx, dradius, jv) = at(f64::INFINITY);
        assert_eq!((y, dx, dradius, jv), (x.clone(), dy.clone(), 0.0, dy.clone()));
        // The ends count as inside.
        let (y, dx, dradius, _) = at(1.0);
        assert_eq!(y, array![1.0, 0.0, -1.0, 1.0].into_dyn());
        assert_eq!((dx, dradius), (array![0.0, 10.0, 0.0, 1000.0].into_dyn(), -99.0));
    }
}
