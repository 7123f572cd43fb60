//! Euclidean projection onto a simplex of any size.
//!
//! $$ y = \operatorname*{argmin}_{y \ge 0,\ \sum_i y_i = s} \tfrac12 \lVert y - x \rVert^2, \qquad
//! y_i = \max(x_i - \tau, 0) $$
//!
//! with the threshold τ that makes $y$ sum to the total $s \ge 0$, which is an input. At $s = 1$ and with a
//! softness this is [`sparsemax`](crate::choice::sparsemax()): $x / \varepsilon$ projected.
//!
//! * Gradient: on the support $S$, where $y > 0$, $\bar x_i = \bar y_i - \bar s$ and
//!   $\bar s = \sum_{j \in S} \bar y_j / |S|$; zero elsewhere. An entry that has just reached zero (a kink)
//!   counts as outside. The second derivative is zero almost everywhere.
//! * At $s = 0$ the point is 0 whatever `x` is; $\bar s$ is the derivative to the right, the mean of
//!   $\bar y$ over the largest entries.
//! * −∞ masks an entry. An item of −∞ only, or with NaN or +∞, is NaN. A total that is negative or not
//!   finite is a fault of its item.
//! * Cost: O(n) expected on any data, forward; O(n) backward.
//!
//! Papers: Held, Wolfe, Crowder, *Validation of subgradient optimization*, Mathematical Programming 1974;
//! Duchi, Shalev-Shwartz, Singer, Chandra, *Efficient projections onto the l1-ball for learning in high
//! dimensions*, ICML 2008.

use super::common::{bisect, finite, not_negative, project_with, tangent, twice};
use ndarray::{Array, ArrayView, Dimension};
use supple_core::{
    Args, Contract, Error, Fault, Float, Gradient, Law, Operator, Params, Point, Real, Sample, Scratch,
    Stream, params,
};
use supple_numerics::elementary::sum_by;
use supple_numerics::simplex::{largest, simplex};

params! {
    /// Projection onto the simplex of a total.
    pub struct SimplexProjection {}
}

impl Operator<2> for SimplexProjection {
    const NAME: &'static str = "simplex_projection";
    const SIGNATURE: &'static str = "x(n>=1), total() -> y(n)";
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
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let [x, &[total]] = at.x else { return Ok(()) };
        not_negative("total", total)?;
        finite("total", total)?;
        let top = largest(x);
        if !top.is_finite() {
            y.fill(T::nan());
            return Ok(());
        }
        // Centred, so that a large offset costs no digits.
        y.iter_mut().zip(x).for_each(|(y, &x)| *y = x - T::constant(top));
        if total.as_f64() == 0.0 {
            let share = total / T::of(y.iter().filter(|y| **y == T::zero()).count() as f64);
            y.iter_mut().for_each(|y| *y = if *y == T::zero() { share } else { T::zero() });
            return Ok(());
        }
        let mut candidates = scratch.wide.empty();
        let mut threshold = simplex(y, T::Value::zero(), total.as_f64(), &mut candidates);
        scratch.wide.give(candidates);
        let more = tangent(total);
        if !more.is_zero() {
            threshold -= more / T::Acc::of(y.iter().filter(|y| y.widen() > threshold).count() as f64);
        }
        for y in y {
            let excess = y.widen() - threshold;
            *y = if excess > T::Acc::zero() { T::narrow(excess) } else { T::zero() };
        }
        Ok(())
    }

    fn vjp<T: Real>(
        &self,
        at: Point<'_, T, (), 2>,
        [dy]: [&[T]; 1],
        [dx, dtotal]: [&mut [T]; 2],
        _: &mut Scratch<T>,
    ) {
        let (x, y) = (at.x[0], at.y[0]);
        if y[0].is_nan() {
            dx.fill(T::nan());
            return dtotal.fill(T::nan());
        }
        if at.x[1][0].as_f64() == 0.0 {
            let top = largest(x);
            let largest = || x.iter().zip(dy).filter(|(x, _)| x.value() == top).map(|(_, &dy)| dy);
            return dtotal.fill(T::sum_wide(largest()) / T::of(largest().count() as f64));
        }
        let support = |y: T, term: T::Acc| if y > T::zero() { term } else { T::Acc::zero() };
        let count = sum_by(y, y, |y, _| support(y, T::Acc::one()));
        let mean = T::narrow(sum_by(y, dy, |y, dy| support(y, dy.widen())) / count);
        dtotal.fill(mean);
        for ((dx, &y), &dy) in dx.iter_mut().zip(y).zip(dy) {
            *dx = if y > T::zero() { dy - mean } else { T::zero() };
        }
    }
}

impl Contract<2> for SimplexProjection {
    const SUMMARY: &'static str = "nearest point of the simplex of a total";
    const PAPER: &'static str = "Held et al., 1974; Duchi et al., ICML 2008";
    const COST: &'static str = "O(n) expected forward, O(n) backward, O(n) memory";
    const ARGUMENTS: &'static [&'static str] = &[];

    fn cases() -> Vec<Self> {
        vec![Self {}]
    }

    fn laws(&self) -> Vec<Law> {
        vec![
            Law::Vanishes("sums_to_the_total", Box::new(|at| at.y[0].iter().sum::<f64>() - at.x[1][0])),
            Law::Within(Box::new(|_| (0.0, f64::INFINITY))),
            Law::PermutationEquivariant,
            Law::ShiftInvariant,
            twice(self),
        ]
    }

    /// The threshold by bisection.
    fn oracle(&self, at: Args<'_, f64, 2>) -> Option<[Vec<f64>; 1]> {
        let (x, total) = (at.x[0], at.x[1][0]);
        let entries = |threshold: f64| x.iter().map(move |x| (x - threshold).max(0.0));
        let reach = total + x.iter().fold(0.0, |a: f64, x| a.max(x.abs()));
        let threshold = bisect(-reach, reach, |threshold| entries(threshold).sum::<f64>() - total);
        Some([entries(threshold).collect()])
    }

    /// Totals from a tenth to ten or so.
    fn sample(&self, _: &[usize], [n, _]: [usize; 2], random: &mut Stream) -> Sample<2> {
        Sample { x: [random.normals(n), vec![random.normal().exp()]], k: [] }
    }

    fn free(&self) -> [bool; 2] {
        [true, false]
    }
}

/// The nearest point to `x` of the simplex $\lbrace y \ge 0, \sum_i y_i = s\rbrace$, along the last axis.
///
/// $$ y_i = \max(x_i - \tau, 0), \qquad \sum_i y_i = s $$
///
/// * Shapes: `(…, n)` to `(…, n)`, n ≥ 1.
/// * Gradient: to `x`, centred on the support and zero elsewhere; to the total, the mean over the support.
///   An entry that has just reached zero counts as outside. Second derivatives are zero almost everywhere.
/// * −∞ masks an entry. An item of −∞ only, or with NaN or +∞, is NaN.
/// * Cost: O(n) expected forward, O(n) backward.
/// * Errors: n = 0; a total that is negative or not finite.
///
/// For the gradient, also to the total, call [`linearize`](supple_core::linearize) with a
/// [`SimplexProjection`]; for one total each item, another axis or ragged batches,
/// [`evaluate`](supple_core::evaluate).
///
/// ```
/// use ndarray::array;
/// use supple_ops::project::simplex_projection;
/// assert_eq!(simplex_projection(&array![1.0, 0.5, -1.0], 2.0)?, array![1.25, 0.75, 0.0]);
/// # Ok::<(), supple_core::Error>(())
/// ```
///
/// Held, Wolfe, Crowder, *Validation of subgradient optimization*, Mathematical Programming 1974; Duchi,
/// Shalev-Shwartz, Singer, Chandra, *Efficient projections onto the l1-ball for learning in high dimensions*,
/// ICML 2008.
pub fn simplex_projection<'a, T: Float, D: Dimension>(
    x: impl Into<ArrayView<'a, T, D>>,
    total: f64,
) -> Result<Array<T, D>, Error> {
    project_with(&SimplexProjection {}, x, total)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{arr0, array};
    use supple_core::linearize;

    #[test]
    fn at_a_total_of_zero_the_largest_entries_grow() {
        let (x, total) = (array![2.0, 1.0, 2.0].into_dyn(), arr0(0.0).into_dyn());
        let at = linearize(&SimplexProjection {}, [x.view(), total.view()]).unwrap();
        assert_eq!(at.outputs()[0], array![0.0, 0.0, 0.0].into_dyn());
        let [dx, dtotal] = at.vjp([array![1.0, 10.0, 5.0].into_dyn().view()]).unwrap();
        assert_eq!((dx, dtotal), (array![0.0, 0.0, 0.0].into_dyn(), arr0(3.0).into_dyn()));
        let [dy] = at.jvp([x.view(), arr0(1.0).into_dyn().view()]).unwrap();
        assert_eq!(dy, array![0.5, 0.0, 0.5].into_dyn());
    }

    #[test]
    fn totals_of_any_size_are_met_at_any_offset() {
        for total in [1e-10, 1.0, 1e9] {
            for offset in [0.0, 1e9] {
                let x = array![0.5, -0.25, 0.0, 2.0, -1e6] * total + offset;
                let y = simplex_projection(&x, total).unwrap();
                assert!((y.sum() - total).abs() <= 1e-15 * total, "{total} at {offset}: {y}");
            }
        }
    }

    #[test]
    fn what_is_not_finite() {
        let y = |x: [f64; 3], total| simplex_projection(&x[..], total);
        assert_eq!(y([f64::NEG_INFINITY, 1.0, 1.0], 3.0).unwrap(), array![0.0, 1.5, 1.5]);
        assert!(y([f64::NEG_INFINITY; 3], 1.0).unwrap().iter().all(|y| y.is_nan()));
        assert!(y([f64::INFINITY, 0.0, 0.0], 1.0).unwrap().iter().all(|y| y.is_nan()));
        for total in [-1.0, f64::NAN, f64::INFINITY] {
            assert!(y([0.0; 3], total).unwrap_err().to_string().contains("`total`"), "{total}");
        }
    }
}
