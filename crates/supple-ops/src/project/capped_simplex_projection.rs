//! Euclidean projection onto the capped simplex, for a real total.
//!
//! $$ y = \operatorname*{argmin}_{0 \le y \le 1,\ \sum_i y_i = s} \tfrac12 \lVert y - x \rVert^2, \qquad
//! y_i = \min(\max(x_i - \tau, 0), 1) $$
//!
//! with the threshold τ that makes $y$ sum to the total $s$, $0 \le s \le n$, which is an input. For a whole
//! $s = k$ and with a softness this is the mask of the k largest:
//! [`soft_top_k`](crate::select::soft_top_k()) at softness ε projects $x / \varepsilon$. Other bounds and
//! weights: [`box_section_projection`](super::box_section_projection()).
//!
//! * Gradient: on the free entries $F$, strictly between 0 and 1, $\bar x_i = \bar y_i - \bar s$ with
//!   $\bar s = \sum_{j \in F} \bar y_j / |F|$; zero elsewhere. An entry that has just reached 0 or 1 (a kink)
//!   counts as fixed. The second derivative is zero almost everywhere.
//! * Where no entry is free, the mask is hard and `x` gets nothing. $\bar s$ is then the mean of what one
//!   side and the other give: the largest entries at 0, which a larger total raises, and the smallest at 1.
//! * −∞ is never chosen, +∞ for certain; where they leave no room for the total, or it is not in
//!   $[0, n]$, the item is infeasible. NaN makes its item NaN.
//! * Cost: O(n) expected on any data, forward; O(n) backward.
//!
//! Paper: Wang and Lu, *Projection onto the capped simplex*, 2015, <https://arxiv.org/abs/1503.01002>.

use super::common::{bisect, finite, project_with, tangent, twice};
use super::corner::{Corner, Leaves};
use ndarray::{Array, ArrayView, Dimension};
use supple_core::{
    Args, Contract, Error, Fault, Float, Floats, Gradient, Law, Operator, Params, Point, Real, Sample,
    Scratch, Stream, params,
};
use supple_numerics::box_section::{Unit, multiplier};
use supple_numerics::elementary::sum_by;

params! {
    /// Projection onto the capped simplex of a total.
    pub struct CappedSimplexProjection {}
}

impl Operator<2> for CappedSimplexProjection {
    const NAME: &'static str = "capped_simplex_projection";
    const SIGNATURE: &'static str = "x(n), total() -> y(n)";
    const GRADIENT: Gradient = Gradient::AlmostEverywhere;
    /// What moves where nothing is free.
    type Saved<T: Real> = Corner;

    fn validate(&self, _: &[usize]) -> Result<(), Error> {
        self.check(Self::NAME)
    }

    fn forward<T: Real>(
        &self,
        at: Args<'_, T, 2>,
        [y]: [&mut [T]; 1],
        corner: &mut Corner,
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let [x, &[total]] = at.x else { return Ok(()) };
        finite("total", total)?;
        if x.iter().any(|x| x.is_nan()) {
            y.fill(T::nan());
            return Ok(());
        }
        let count = |wanted: f64| x.iter().filter(|x| x.as_f64() == wanted).count() as f64;
        let (low, high) = (count(f64::INFINITY), x.len() as f64 - count(f64::NEG_INFINITY));
        let slack = 8.0 * T::Value::EPSILON * x.len() as f64;
        let sum = total.as_f64().max(low).min(high);
        if (sum - total.as_f64()).abs() > slack {
            return Err(Fault::Infeasible);
        }
        let first = multiplier(&Unit(x), sum);
        // Centred, so that a large offset costs no digits.
        let mut z = scratch.wide.empty();
        z.extend(x.iter().map(|x| x.widen() + T::Acc::of(first)));
        let rest = multiplier(&Unit(&z), sum);
        for (y, z) in y.iter_mut().zip(&z) {
            *y = T::of((z.as_f64() + rest).clamp(0.0, 1.0));
        }
        let free = y.iter().filter(|y| is_free(**y)).count();
        let more = tangent(total);
        if free == 0 {
            *corner = Corner::of(z.iter().zip(&*y).map(|(z, y)| match z.as_f64() {
                z if !z.is_finite() => Leaves::Never,
                z if *y == T::zero() => Leaves::Above((-z).max(rest)),
                z => Leaves::Below((1.0 - z).min(rest)),
            }));
            corner.for_each(|_| T::Acc::one(), |i, rate| y[i] += T::narrow(more * rate));
        } else if matches!(T::floats(&mut []), Floats::Dual) {
            let moved = x.iter().zip(&*y).filter(|(_, y)| is_free(**y)).map(|(x, _)| tangent(*x));
            let shift = (more - moved.sum::<T::Acc>()) / T::Acc::of(free as f64);
            let moves = x.iter().zip(y).filter(|(_, y)| is_free(**y));
            moves.for_each(|(x, y)| *y += T::narrow(tangent(*x) + shift));
        }
        scratch.wide.give(z);
        Ok(())
    }

    fn vjp<T: Real>(
        &self,
        at: Point<'_, T, Corner, 2>,
        [dy]: [&[T]; 1],
        [dx, dtotal]: [&mut [T]; 2],
        _: &mut Scratch<T>,
    ) {
        let y = at.y[0];
        if y.first().is_some_and(|y| y.is_nan()) {
            dx.fill(T::nan());
            return dtotal.fill(T::nan());
        }
        let free = |y: T, term: T::Acc| if is_free(y) { term } else { T::Acc::zero() };
        let count = sum_by(y, y, |y, _| free(y, T::Acc::one()));
        let mut mean = T::Acc::zero();
        if count == mean {
            at.saved.for_each(|_| T::Acc::one(), |i, rate| mean += rate * dy[i].widen());
        } else {
            mean = sum_by(y, dy, |y, dy| free(y, dy.widen())) / count;
        }
        let mean = T::narrow(mean);
        dtotal.fill(mean);
        for ((dx, &y), &dy) in dx.iter_mut().zip(y).zip(dy) {
            *dx = if is_free(y) { dy - mean } else { T::zero() };
        }
    }
}

#[inline(always)]
fn is_free<T: Real>(y: T) -> bool {
    (y > T::zero()) & (y < T::one())
}

impl Contract<2> for CappedSimplexProjection {
    const SUMMARY: &'static str = "nearest point of the capped simplex of a real total";
    const PAPER: &'static str = "Wang and Lu, 2015, arXiv:1503.01002";
    const COST: &'static str = "O(n) expected forward, O(n) backward, O(n) memory";
    const ARGUMENTS: &'static [&'static str] = &[];

    fn cases() -> Vec<Self> {
        vec![Self {}]
    }

    fn laws(&self) -> Vec<Law> {
        vec![
            Law::Vanishes("sums_to_the_total", Box::new(|at| at.y[0].iter().sum::<f64>() - at.x[1][0])),
            Law::Within(Box::new(|_| (0.0, 1.0))),
            Law::PermutationEquivariant,
            Law::ShiftInvariant,
            twice(self),
        ]
    }

    /// The threshold by bisection.
    fn oracle(&self, at: Args<'_, f64, 2>) -> Option<[Vec<f64>; 1]> {
        let (x, total) = (at.x[0], at.x[1][0]);
        let entries = |threshold: f64| x.iter().map(move |x| (x - threshold).clamp(0.0, 1.0));
        let reach = 2.0 + x.iter().fold(0.0, |most: f64, x| most.max(x.abs()));
        let threshold = bisect(-reach, reach, |threshold| entries(threshold).sum::<f64>() - total);
        Some([entries(threshold).collect()])
    }

    /// A total that is no whole number.
    fn sample(&self, _: &[usize], [n, _]: [usize; 2], random: &mut Stream) -> Sample<2> {
        let total = random.below(n.max(1)) as f64 + 0.2 + 0.6 * random.uniform();
        Sample { x: [random.normals(n), vec![total]], k: [] }
    }

    fn free(&self) -> [bool; 2] {
        [true, false]
    }
}

/// The nearest point to `x` of the capped simplex $\lbrace 0 \le y \le 1, \sum_i y_i = s\rbrace$, along the last axis,
/// for a real total s.
///
/// $$ y_i = \min(\max(x_i - \tau, 0), 1), \qquad \sum_i y_i = s $$
///
/// * Shapes: `(…, n)` to `(…, n)`.
/// * Gradient: to `x`, centred on the entries strictly between 0 and 1 and zero elsewhere; to the total,
///   their mean. Second derivatives are zero almost everywhere.
/// * −∞ is never chosen, +∞ for certain. NaN makes its item NaN.
/// * Cost: O(n) expected forward, O(n) backward.
/// * Errors: a total that is not in $[0, n]$, or that infinite entries leave no room for.
///
/// For a mask with a softness and a whole total: [`soft_top_k`](crate::select::soft_top_k()). For the
/// gradient, also to the total, call [`linearize`](supple_core::linearize) with a
/// [`CappedSimplexProjection`]; for one total each item, another axis or ragged batches,
/// [`evaluate`](supple_core::evaluate).
///
/// ```
/// use ndarray::array;
/// use supple_ops::project::capped_simplex_projection;
/// let y = capped_simplex_projection(&array![3.0, 1.0, 0.5], 1.75)?;
/// assert_eq!(y, array![1.0, 0.625, 0.125]);
/// # Ok::<(), supple_core::Error>(())
/// ```
///
/// Wang and Lu, *Projection onto the capped simplex*, 2015, <https://arxiv.org/abs/1503.01002>.
pub fn capped_simplex_projection<'a, T: Float, D: Dimension>(
    x: impl Into<ArrayView<'a, T, D>>,
    total: f64,
) -> Result<Array<T, D>, Error> {
    project_with(&CappedSimplexProjection {}, x, total)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{arr0, array};
    use supple_core::linearize;

    #[test]
    fn a_whole_total_is_a_mask_that_follows_the_total() {
        let x = array![5.0, 3.0, 1.0, -4.0].into_dyn();
        let dy = array![1.0, 10.0, 100.0, 1000.0].into_dyn();
        for (total, slope) in [(0.0, 1.0), (1.0, 5.5), (2.0, 55.0), (4.0, 1000.0)] {
            let total = arr0(total).into_dyn();
            let at = linearize(&CappedSimplexProjection {}, [x.view(), total.view()]).unwrap();
            assert!(at.outputs()[0].iter().enumerate().all(|(i, y)| *y == f64::from((i as f64) < total[[]])));
            let [dx, dtotal] = at.vjp([dy.view()]).unwrap();
            assert_eq!((dx, dtotal[[]]), (x.mapv(|_| 0.0), slope));
            let [jv] = at.jvp([x.view(), arr0(1.0).into_dyn().view()]).unwrap();
            assert_eq!((jv * &dy).sum(), slope);
        }
    }

    #[test]
    fn agrees_with_the_mask_of_the_k_largest() {
        let x = Array::from(Stream::new(4, 0, 0).normals(50));
        let mask = crate::select::soft_top_k(&x, 7, 1.0).unwrap();
        let y = capped_simplex_projection(&x, 7.0).unwrap();
        assert!((mask - y).iter().all(|gap| gap.abs() < 1e-15));
    }

    #[test]
    fn infinities_and_what_has_no_answer() {
        let inf = f64::INFINITY;
        let y = |x: [f64; 3], total| capped_simplex_projection(&x[..], total).map(|y| y.to_vec());
        assert_eq!(y([inf, 0.0, -inf], 1.25).unwrap(), [1.0, 0.25, 0.0]);
        assert_eq!(y([0.0; 3], 3.0 + 1e-15).unwrap(), [1.0; 3]);
        for (x, total) in
            [([0.0; 3], 3.1), ([0.0; 3], -0.1), ([inf, inf, 0.0], 1.0), ([-inf, -inf, 0.0], 1.5)]
        {
            assert!(y(x, total).unwrap_err().to_string().contains("no point"), "{x:?} {total}");
        }
        assert!(y([0.0; 3], f64::NAN).unwrap_err().to_string().contains("`total`"));
        assert!(y([0.0, f64::NAN, 1.0], 1.0).unwrap().iter().all(|y| y.is_nan()));
    }
}
