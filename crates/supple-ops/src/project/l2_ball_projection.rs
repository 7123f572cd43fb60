//! Euclidean projection onto a ball.
//!
//! $$ y = \operatorname*{argmin}_{\lVert y \rVert \le r} \tfrac12 \lVert y - x \rVert^2, \qquad
//! y = x \min\left(1, \frac{r}{\lVert x \rVert}\right) $$
//!
//! * Gradient: inside of the ball and on it (a kink) that of the identity. Outside, with
//!   $u = x / \lVert x \rVert$, $\bar x = \frac{r}{\lVert x \rVert} (\bar y - \langle u, \bar y \rangle u)$
//!   and $\bar r = \langle u, \bar y \rangle$, with curvature. At $r = 0$ the point is 0 whatever `x` is:
//!   then `x` gets nothing, and the radius gets the derivative to the right, which is 0 at $x = 0$.
//! * The norm neither overflows nor underflows. A radius of ∞ leaves everything; otherwise an item with NaN
//!   or ±∞ is NaN. A radius that is negative or NaN is a fault of its item.
//! * Cost: O(n).

use super::common::{bisect, not_negative, project_with, twice};
use ndarray::{Array, ArrayView, Dimension};
use supple_core::{
    Args, Contract, Error, Fault, Float, Gradient, Law, Operator, Params, Point, Real, Sample, Scratch,
    Stream, params,
};
use supple_numerics::elementary::{dot, sum_by};

params! {
    /// Projection onto a Euclidean ball.
    pub struct L2BallProjection {}
}

impl Operator<2> for L2BallProjection {
    const NAME: &'static str = "l2_ball_projection";
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
        match outside(x, radius) {
            None if radius == T::zero() => y.fill(T::zero()),
            None => y.copy_from_slice(x),
            Some(norm) => {
                let factor = radius.widen() / norm.of_scaled;
                y.iter_mut().zip(x).for_each(|(y, x)| *y = T::narrow(norm.scaled(*x) * factor));
            }
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
        let Some(norm) = outside(x, radius) else {
            if radius > T::zero() {
                dx.copy_from_slice(dy);
            }
            return;
        };
        let along = sum_by(x, dy, |x, dy| norm.scaled(x) * dy.widen()) / norm.of_scaled;
        dradius.fill(T::narrow(along));
        let rate = radius.widen() / norm.of_scaled / T::Acc::of(norm.largest);
        let slope = along / norm.of_scaled;
        for ((dx, &x), &dy) in dx.iter_mut().zip(x).zip(dy) {
            *dx = T::narrow(rate * (dy.widen() - slope * norm.scaled(x)));
        }
    }
}

/// A norm as the product of the largest entry and the norm of what is scaled by it.
struct Norm<A> {
    largest: f64,
    of_scaled: A,
}

impl<A: Real<Acc = A>> Norm<A> {
    #[inline(always)]
    fn scaled<T: Real<Acc = A>>(&self, x: T) -> A {
        x.widen() / A::of(self.largest)
    }
}

/// The norm of `x`, where it is not within the radius.
fn outside<T: Real>(x: &[T], radius: T) -> Option<Norm<T::Acc>> {
    let largest = x.iter().fold(0.0, |most: f64, x| {
        let size = x.as_f64().abs();
        if size > most || size.is_nan() { size } else { most }
    });
    if largest == 0.0 || radius.as_f64() == f64::INFINITY {
        return None;
    }
    if !largest.is_finite() {
        return Some(Norm { largest: f64::NAN, of_scaled: T::Acc::nan() });
    }
    let mut norm = Norm { largest, of_scaled: T::Acc::one() };
    norm.of_scaled = sum_by(x, x, |x, _| norm.scaled(x).square()).sqrt();
    let inside = norm.of_scaled.as_f64() * largest <= radius.as_f64();
    (!inside).then_some(norm)
}

impl Contract<2> for L2BallProjection {
    const SUMMARY: &'static str = "nearest point of a Euclidean ball";
    const PAPER: &'static str = "Parikh and Boyd, Proximal Algorithms, 2014, section 6.5";
    const COST: &'static str = "O(n) forward and backward";
    const ARGUMENTS: &'static [&'static str] = &[];

    fn cases() -> Vec<Self> {
        vec![Self {}]
    }

    fn laws(&self) -> Vec<Law> {
        let norm = |y: &[f64]| dot(y, y).sqrt();
        vec![
            Law::Vanishes("outside_of_the_ball", Box::new(move |at| (norm(at.y[0]) - at.x[1][0]).max(0.0))),
            Law::PermutationEquivariant,
            Law::Reversal(Box::new(|y, _| -y)),
            twice(self),
        ]
    }

    /// The multiplier of the constraint by bisection: `y = x / (1 + multiplier)`.
    fn oracle(&self, at: Args<'_, f64, 2>) -> Option<[Vec<f64>; 1]> {
        let (x, radius) = (at.x[0], at.x[1][0]);
        let shrunk = |multiplier: f64| x.iter().map(move |x| x / (1.0 + multiplier));
        let excess = |multiplier: f64| shrunk(multiplier).map(|y| y * y).sum::<f64>().sqrt() - radius;
        let reach = 1.0 + x.iter().map(|x| x.abs()).sum::<f64>() / radius;
        let multiplier = if excess(0.0) <= 0.0 { 0.0 } else { bisect(0.0, reach, excess) };
        Some([shrunk(multiplier).collect()])
    }

    /// Radii around the norm, so that the point is inside or outside.
    fn sample(&self, _: &[usize], [n, _]: [usize; 2], random: &mut Stream) -> Sample<2> {
        Sample { x: [random.normals(n), vec![(n as f64).sqrt() * (0.5 * random.normal()).exp()]], k: [] }
    }

    fn free(&self) -> [bool; 2] {
        [true, false]
    }
}

/// The nearest point to `x` of the ball $\lVert y \rVert \le r$, along the last axis.
///
/// $$ y = x \min\left(1, \frac{r}{\lVert x \rVert}\right) $$
///
/// * Shapes: `(…, n)` to `(…, n)`.
/// * Gradient: that of the identity inside of the ball and on it; outside, what is across `x` shrinks as `x`
///   does, and what is along it goes to the radius. Second derivatives are right.
/// * A radius of ∞ leaves everything; otherwise an item with NaN or ±∞ is NaN.
/// * Cost: O(n).
/// * Errors: a radius that is negative or NaN.
///
/// For the gradient, also to the radius, call [`linearize`](supple_core::linearize) with a
/// [`L2BallProjection`]; for one radius each item, another axis or ragged batches,
/// [`evaluate`](supple_core::evaluate).
///
/// ```
/// use ndarray::array;
/// use supple_ops::project::l2_ball_projection;
/// assert_eq!(l2_ball_projection(&array![3.0, -4.0], 2.5)?, array![1.5, -2.0]);
/// # Ok::<(), supple_core::Error>(())
/// ```
///
/// Parikh and Boyd, *Proximal Algorithms*, Foundations and Trends in Optimization 2014.
pub fn l2_ball_projection<'a, T: Float, D: Dimension>(
    x: impl Into<ArrayView<'a, T, D>>,
    radius: f64,
) -> Result<Array<T, D>, Error> {
    project_with(&L2BallProjection {}, x, radius)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{arr0, array};
    use supple_core::linearize;

    #[test]
    fn scales_and_special_radii() {
        for scale in [1e-200, 1e-10, 1e9, 1e200] {
            let y = l2_ball_projection(&(array![3.0, -4.0] * scale), 2.5 * scale).unwrap() / scale;
            assert!((y - array![1.5, -2.0]).iter().all(|gap: &f64| gap.abs() < 1e-15), "{scale:e}");
        }
        let (inf, nan) = (f64::INFINITY, f64::NAN);
        assert_eq!(l2_ball_projection(&[inf, 1.0], inf).unwrap(), array![inf, 1.0]);
        assert!(l2_ball_projection(&[inf, 1.0], 1.0).unwrap().iter().all(|y: &f64| y.is_nan()));
        assert!(l2_ball_projection(&[1.0, nan], 1.0).unwrap().iter().all(|y: &f64| y.is_nan()));
        assert!(l2_ball_projection(&[1.0], -1.0).is_err());
        let gradients = |x: [f64; 2], radius: f64| {
            let (x, radius) = (array![x[0], x[1]].into_dyn(), arr0(radius).into_dyn());
            let at = linearize(&L2BallProjection {}, [x.view(), radius.view()]).unwrap();
            let [dx, dradius] = at.vjp([array![1.0, 10.0].into_dyn().view()]).unwrap();
            (dx.into_raw_vec_and_offset().0, dradius[[]])
        };
        assert_eq!(gradients([3.0, 4.0], 0.0), (vec![0.0, 0.0], 8.6));
        assert_eq!(gradients([0.0, 0.0], 0.0), (vec![0.0, 0.0], 0.0));
        assert_eq!(gradients([0.0, 0.0], 1.0), (vec![1.0, 10.0], 0.0));
        assert_eq!(gradients([3.0, 4.0], 5.0), (vec![1.0, 10.0], 0.0));
    }
}
