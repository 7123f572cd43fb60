//! Euclidean projection onto the ball of the sum norm.
//!
//! $$ y = \operatorname*{argmin}_{\sum_i |y_i| \le r} \tfrac12 \lVert y - x \rVert^2, \qquad
//! y_i = \operatorname{sign}(x_i) \max(|x_i| - \tau, 0) $$
//!
//! where τ is 0 inside of the ball, and outside the threshold at which $\sum_i |y_i| = r$: there, $|y|$ is
//! the [projection onto the simplex](super::simplex_projection()) of $|x|$.
//!
//! * Gradient: inside of the ball and on it (a kink) that of the identity. Outside, with the support $S$
//!   where $y \ne 0$ and the signs $\sigma$, $\bar r = \sum_{j \in S} \sigma_j \bar y_j / |S|$ and
//!   $\bar x_i = \bar y_i - \sigma_i \bar r$ on $S$, zero elsewhere. An entry that has just reached zero
//!   counts as outside of the support. The second derivative is zero almost everywhere.
//! * At $r = 0$ the point is 0 whatever `x` is: then `x` gets nothing, and the radius gets the derivative to
//!   the right, by the entries of the largest size; 0 at $x = 0$.
//! * A radius of ∞ leaves everything; otherwise an item with NaN or ±∞ is NaN. A radius that is negative or
//!   NaN is a fault of its item.
//! * Cost: O(n) expected on any data, forward; O(n) backward.
//!
//! Paper: Duchi, Shalev-Shwartz, Singer, Chandra, *Efficient projections onto the l1-ball for learning in
//! high dimensions*, ICML 2008.

use super::common::{bisect, not_negative, project_with, tangent, twice};
use ndarray::{Array, ArrayView, Dimension};
use supple_core::{
    Args, Contract, Error, Fault, Float, Gradient, Law, Operator, Params, Point, Real, Sample, Scratch,
    Stream, params,
};
use supple_numerics::elementary::sum_by;
use supple_numerics::simplex::{largest, simplex};

params! {
    /// Projection onto the ball of the sum norm.
    pub struct L1BallProjection {}
}

/// Where the point was.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum Place {
    /// Within the ball, which has an inside.
    #[default]
    Inside,
    /// Outside of it.
    Outside,
    /// Anywhere, but the ball is a point.
    OfRadiusZero,
    /// There is a NaN, or a distance that is infinite.
    Nowhere,
}

impl Operator<2> for L1BallProjection {
    const NAME: &'static str = "l1_ball_projection";
    const SIGNATURE: &'static str = "x(n), radius() -> y(n)";
    const GRADIENT: Gradient = Gradient::AlmostEverywhere;
    type Saved<T: Real> = Place;

    fn validate(&self, _: &[usize]) -> Result<(), Error> {
        self.check(Self::NAME)
    }

    fn forward<T: Real>(
        &self,
        at: Args<'_, T, 2>,
        [y]: [&mut [T]; 1],
        place: &mut Place,
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let [x, &[radius]] = at.x else { return Ok(()) };
        not_negative("radius", radius)?;
        let norm: f64 = sum_by(x, x, |x, _| x.as_f64().abs());
        *place = match radius.as_f64() {
            r if r > 0.0 && norm <= r || r == f64::INFINITY => Place::Inside,
            r if !norm.is_finite() && !largest_size(x).is_finite() || r.is_nan() => Place::Nowhere,
            0.0 => Place::OfRadiusZero,
            _ => Place::Outside,
        };
        match place {
            Place::Inside => y.copy_from_slice(x),
            Place::Nowhere => y.fill(T::nan()),
            Place::OfRadiusZero => {
                let top = largest_size(x);
                let share =
                    radius / T::of(signs_at(x, top).filter(|s| *s != T::zero()).count().max(1) as f64);
                y.iter_mut().zip(signs_at(x, top)).for_each(|(y, sign)| *y = sign * share);
            }
            Place::Outside => {
                y.iter_mut().zip(x).for_each(|(y, x)| *y = x.abs());
                let top = largest(y);
                y.iter_mut().for_each(|y| *y -= T::constant(top));
                let mut candidates = scratch.wide.empty();
                let mut threshold = simplex(y, T::Value::zero(), radius.as_f64(), &mut candidates);
                scratch.wide.give(candidates);
                let more = tangent(radius);
                if !more.is_zero() {
                    let support = y.iter().filter(|y| y.widen() > threshold);
                    threshold -= more / T::Acc::of(support.count() as f64);
                }
                for (y, &x) in y.iter_mut().zip(x) {
                    let excess = y.widen() - threshold;
                    let size = if excess > T::Acc::zero() { T::narrow(excess) } else { T::zero() };
                    *y = if x < T::zero() { -size } else { size };
                }
            }
        }
        Ok(())
    }

    fn vjp<T: Real>(
        &self,
        at: Point<'_, T, Place, 2>,
        [dy]: [&[T]; 1],
        [dx, dradius]: [&mut [T]; 2],
        _: &mut Scratch<T>,
    ) {
        let (x, y) = (at.x[0], at.y[0]);
        match at.saved {
            Place::Inside => dx.copy_from_slice(dy),
            Place::Nowhere => {
                dx.fill(T::nan());
                dradius.fill(T::nan());
            }
            Place::OfRadiusZero => {
                let (mut sum, mut count) = (T::Acc::zero(), 0.0);
                for (sign, dy) in signs_at(x, largest_size(x)).zip(dy) {
                    sum += (sign * *dy).widen();
                    count += sign.as_f64().abs();
                }
                dradius.fill(T::narrow(sum / T::Acc::of(f64::max(count, 1.0))));
            }
            Place::Outside => {
                let count = sum_by(y, y, |y, _| T::Acc::of(sign(y).as_f64().abs()));
                let mean = T::narrow(sum_by(y, dy, |y, dy| (sign(y) * dy).widen()) / count);
                dradius.fill(mean);
                for ((dx, &y), &dy) in dx.iter_mut().zip(y).zip(dy) {
                    let sign = sign(y);
                    *dx = if sign == T::zero() { sign } else { dy - sign * mean };
                }
            }
        }
    }
}

#[inline(always)]
fn sign<T: Real>(x: T) -> T {
    let positive = if x > T::zero() { T::one() } else { T::zero() };
    if x < T::zero() { -T::one() } else { positive }
}

/// The signs of the entries of this size, and 0 for the others.
fn signs_at<T: Real>(x: &[T], size: T::Value) -> impl Iterator<Item = T> {
    x.iter().map(move |&x| if x.abs().value() == size { sign(x) } else { T::zero() })
}

/// The largest absolute value; NaN if there is one.
fn largest_size<T: Real>(x: &[T]) -> T::Value {
    let larger = |most: T::Value, size: T::Value| if size > most || size.is_nan() { size } else { most };
    x.iter()
        .fold(T::Value::zero(), |most, x| if most.is_nan() { most } else { larger(most, x.abs().value()) })
}

impl Contract<2> for L1BallProjection {
    const SUMMARY: &'static str = "nearest point of the ball of the sum norm";
    const PAPER: &'static str = "Duchi et al., ICML 2008";
    const COST: &'static str = "O(n) expected forward, O(n) backward, O(n) memory";
    const ARGUMENTS: &'static [&'static str] = &[];

    fn cases() -> Vec<Self> {
        vec![Self {}]
    }

    fn laws(&self) -> Vec<Law> {
        let norm = |y: &[f64]| y.iter().map(|y| y.abs()).sum::<f64>();
        vec![
            Law::Vanishes("outside_of_the_ball", Box::new(move |at| (norm(at.y[0]) - at.x[1][0]).max(0.0))),
            Law::PermutationEquivariant,
            Law::Reversal(Box::new(|y, _| -y)),
            twice(self),
        ]
    }

    /// The threshold by bisection.
    fn oracle(&self, at: Args<'_, f64, 2>) -> Option<[Vec<f64>; 1]> {
        let (x, radius) = (at.x[0], at.x[1][0]);
        let shrunk = |threshold: f64| x.iter().map(move |x| x.signum() * (x.abs() - threshold).max(0.0));
        let excess = |threshold: f64| shrunk(threshold).map(f64::abs).sum::<f64>() - radius;
        let reach = 1.0 + x.iter().fold(0.0, |most: f64, x| most.max(x.abs()));
        let threshold = if excess(0.0) <= 0.0 { 0.0 } else { bisect(0.0, reach, excess) };
        Some([shrunk(threshold).collect()])
    }

    /// Radii around half the norm, so that the point is inside or outside.
    fn sample(&self, _: &[usize], [n, _]: [usize; 2], random: &mut Stream) -> Sample<2> {
        Sample { x: [random.normals(n), vec![0.4 * n as f64 * random.normal().exp()]], k: [] }
    }

    fn free(&self) -> [bool; 2] {
        [true, false]
    }
}

/// The nearest point to `x` of the ball of the sum norm, $\sum_i |y_i| \le r$, along the last axis; outside
/// of it, most entries of the result are zero.
///
/// $$ y_i = \operatorname{sign}(x_i) \max(|x_i| - \tau, 0) $$
///
/// * Shapes: `(…, n)` to `(…, n)`.
/// * Gradient: that of the identity inside of the ball and on it; outside, to `x` on the support, and to the
///   radius the mean over the support, by sign. Second derivatives are zero almost everywhere.
/// * A radius of ∞ leaves everything; otherwise an item with NaN or ±∞ is NaN.
/// * Cost: O(n) expected forward, O(n) backward.
/// * Errors: a radius that is negative or NaN.
///
/// For the gradient, also to the radius, call [`linearize`](supple_core::linearize) with an
/// [`L1BallProjection`]; for one radius each item, another axis or ragged batches,
/// [`evaluate`](supple_core::evaluate).
///
/// ```
/// use ndarray::array;
/// use supple_ops::project::l1_ball_projection;
/// assert_eq!(l1_ball_projection(&array![3.0, -2.0, 0.5], 2.0)?, array![1.5, -0.5, 0.0]);
/// # Ok::<(), supple_core::Error>(())
/// ```
///
/// Duchi, Shalev-Shwartz, Singer, Chandra, *Efficient projections onto the l1-ball for learning in high
/// dimensions*, ICML 2008.
pub fn l1_ball_projection<'a, T: Float, D: Dimension>(
    x: impl Into<ArrayView<'a, T, D>>,
    radius: f64,
) -> Result<Array<T, D>, Error> {
    project_with(&L1BallProjection {}, x, radius)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{arr0, array};
    use supple_core::linearize;

    #[test]
    fn special_radii() {
        let (inf, nan) = (f64::INFINITY, f64::NAN);
        assert_eq!(l1_ball_projection(&[inf, 1.0], inf).unwrap(), array![inf, 1.0]);
        assert!(l1_ball_projection(&[inf, 1.0], 1.0).unwrap().iter().all(|y: &f64| y.is_nan()));
        assert!(l1_ball_projection(&[1.0, nan], 1.0).unwrap().iter().all(|y: &f64| y.is_nan()));
        assert!(l1_ball_projection(&[1.0], -1.0).is_err());
        let gradients = |x: [f64; 3], radius: f64| {
            let (x, radius) = (array![x[0], x[1], x[2]].into_dyn(), arr0(radius).into_dyn());
            let at = linearize(&L1BallProjection {}, [x.view(), radius.view()]).unwrap();
            let dy = array![1.0, 10.0, 100.0].into_dyn();
            let [dx, dradius] = at.vjp([dy.view()]).unwrap();
            let [jv] = at.jvp([dy.view(), arr0(1.0).into_dyn().view()]).unwrap();
            // The adjoint identity, at kinks too.
            let pair = |a: &ndarray::ArrayD<f64>| (a * &dy).sum();
            assert_eq!(pair(&jv), pair(&dx) + dradius[[]]);
            (dx.into_raw_vec_and_offset().0, dradius[[]])
        };
        assert_eq!(gradients([3.0, -3.0, 1.0], 0.0), (vec![0.0; 3], -4.5));
        assert_eq!(gradients([0.0; 3], 0.0), (vec![0.0; 3], 0.0));
        assert_eq!(gradients([0.0; 3], 1.0), (vec![1.0, 10.0, 100.0], 0.0));
        assert_eq!(gradients([3.0, -3.0, 1.0], 7.0), (vec![1.0, 10.0, 100.0], 0.0));
        assert_eq!(gradients([3.0, -3.0, 1.0], 2.0), (vec![5.5, 5.5, 0.0], -4.5));
    }
}
