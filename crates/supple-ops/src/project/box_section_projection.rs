//! Euclidean projection onto the section of a box by a hyperplane.
//!
//! $$ y = \operatorname*{argmin}_{l \le y \le u,\ \langle c, y \rangle = s} \tfrac12 \lVert y - x \rVert^2, \qquad
//! y_i = \min(\max(x_i + \lambda c_i, l_i), u_i) $$
//!
//! with the one multiplier λ at which $\langle c, y \rangle = s$. Weights $c$ may have any sign, bounds may
//! be infinite. With $c = 1$, $l = 0$, $u = \infty$ this is the simplex, with $u = 1$ the [capped
//! simplex](super::capped_simplex_projection()); with any $u$, a budget.
//!
//! * Gradient: on the free entries $F$, which are strictly between their bounds, with
//!   $\mu = \langle c_F, \bar y_F \rangle / \lVert c_F \rVert^2$,
//!   $$ \bar x_i = \bar y_i - \mu c_i, \quad \bar c_i = \lambda \bar x_i - \mu y_i, \quad \bar s = \mu. $$
//!   The others are at a bound, which gets $\bar y_i - \mu c_i$; their $\bar c_i$ is $-\mu y_i$. An entry
//!   that has just reached a bound (a kink) counts as fixed.
//! * Where no entry is free, the point is a vertex, which follows neither `x` nor λ but still the total: to
//!   one side the entries move that are the next to leave a bound, and to the other others. $\mu$ is the mean
//!   of the two, or that of the one side that there is.
//! * Faults, for the item: a total out of reach (infeasible) or not finite, bounds that cross or have no
//!   number between them. An infinite entry of `x` is at its bound, and the item NaN if it has none. NaN
//!   anywhere but in the total makes its item NaN, and so does an infinite weight.
//! * Cost: O(n) expected on any data, forward; O(n) backward.
//!
//! Paper: Helgason, Kennington, Lall, *A polynomially bounded algorithm for a singly constrained quadratic
//! program*, Mathematical Programming 1980.

use super::common::{bisect, finite, project, tangent, twice};
use super::corner::{Corner, Leaves};
use ndarray::{Array, ArrayView, Dimension, arr0};
use supple_core::{
    Args, Contract, Error, Fault, Float, Floats, Gradient, Law, Operator, Params, Point, Real, Sample,
    Scratch, Stream, params,
};
use supple_numerics::box_section::{Section, Weighted, multiplier};

params! {
    /// Projection onto a box cut by a hyperplane.
    pub struct BoxSectionProjection {}
}

/// The multiplier, NaN for an item with a NaN, and what moves where nothing is free.
#[derive(Debug, Default)]
pub struct Saved<T: Real> {
    multiplier: T::Acc,
    corner: Corner,
}

impl Operator<5> for BoxSectionProjection {
    const NAME: &'static str = "box_section_projection";
    const SIGNATURE: &'static str = "x(n), weights(n), lower(n), upper(n), total() -> y(n)";
    const GRADIENT: Gradient = Gradient::AlmostEverywhere;
    type Saved<T: Real> = Saved<T>;

    fn validate(&self, _: &[usize]) -> Result<(), Error> {
        self.check(Self::NAME)
    }

    fn forward<T: Real>(
        &self,
        at: Args<'_, T, 5>,
        [y]: [&mut [T]; 1],
        saved: &mut Saved<T>,
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let [x, weights, lower, upper, _] = at.x;
        let Some(sum) = within_reach(at)? else {
            y.fill(T::nan());
            saved.multiplier = T::Acc::nan();
            return Ok(());
        };
        let first = multiplier(&Weighted { x, weights, lower, upper }, sum);
        // Centred, so that a large offset costs no digits.
        let mut z = scratch.wide.empty();
        z.extend(x.iter().zip(weights).map(|(x, c)| x.widen() + T::Acc::of(first) * c.widen()));
        let centred = Weighted { x: &z, weights, lower, upper };
        let rest = multiplier(&centred, sum);
        if !(first + rest).is_finite() {
            y.fill(T::nan());
            saved.multiplier = T::Acc::nan();
            scratch.wide.give(z);
            return Ok(());
        }
        y.iter_mut().zip(centred.entries()).for_each(|(y, entry)| *y = T::of(entry.at(rest)));
        saved.multiplier = T::Acc::of(first + rest);
        let square = free_square(at.x, y);
        if square == T::Acc::zero() {
            saved.corner = Corner::of(centred.entries().zip(&*y).map(|(entry, y)| {
                let y = y.as_f64();
                let first_end = if entry.weight > 0.0 { y <= entry.lower } else { y >= entry.upper };
                match entry.free() {
                    Some((enter, _)) if first_end => Leaves::Above(enter.max(rest)),
                    Some((_, leave)) => Leaves::Below(leave.min(rest)),
                    None => Leaves::Never,
                }
            }));
        }
        scratch.wide.give(z);
        if matches!(T::floats(&mut []), Floats::Dual) {
            saved.follow(at, square, y);
        }
        Ok(())
    }

    fn vjp<T: Real>(
        &self,
        at: Point<'_, T, Saved<T>, 5>,
        [dy]: [&[T]; 1],
        [dx, dweights, dlower, dupper, dtotal]: [&mut [T]; 5],
        _: &mut Scratch<T>,
    ) {
        let ([_, weights, lower, upper, _], y, saved) = (at.x, at.y[0], at.saved);
        if saved.multiplier.is_nan() {
            return [dx, dweights, dlower, dupper, dtotal].into_iter().for_each(|d| d.fill(T::nan()));
        }
        let square = free_square(at.x, y);
        let mut mean = T::Acc::zero();
        if square == T::Acc::zero() {
            saved.corner.for_each(|i| weights[i].widen(), |i, rate| mean += rate * dy[i].widen());
        } else {
            let free = (0..y.len()).filter(|&i| y[i] > lower[i] && y[i] < upper[i]);
            mean = free.map(|i| weights[i].widen() * dy[i].widen()).sum::<T::Acc>() / square;
        }
        dtotal.fill(T::narrow(mean));
        for i in 0..y.len() {
            let rest = dy[i].widen() - mean * weights[i].widen();
            let through_sum = -mean * y[i].widen();
            if y[i] > lower[i] && y[i] < upper[i] {
                dx[i] = T::narrow(rest);
                dweights[i] = T::narrow(through_sum + saved.multiplier * rest);
            } else {
                dweights[i] = T::narrow(through_sum);
                *(if y[i] > lower[i] { &mut dupper[i] } else { &mut dlower[i] }) = T::narrow(rest);
            }
        }
    }
}

/// The squared norm of the weights of the free entries.
fn free_square<T: Real>([_, weights, lower, upper, _]: [&[T]; 5], y: &[T]) -> T::Acc {
    let mut lanes = [T::Acc::zero(); 4];
    let places = weights.iter().zip(y).zip(lower.iter().zip(upper)).enumerate();
    for (i, ((c, y), (l, u))) in places {
        let square = c.widen().square();
        lanes[i % 4] += if (y > l) & (y < u) { square } else { T::Acc::zero() };
    }
    lanes.into_iter().sum()
}

impl<T: Real> Saved<T> {
    /// Gives the point, and the multiplier, their tangents.
    fn follow(&mut self, at: Args<'_, T, 5>, square: T::Acc, y: &mut [T]) {
        let [x, weights, lower, upper, total] = at.x;
        let is_free = |i: usize, y: T| y > lower[i] && y < upper[i];
        let along = |i: usize, y: T| match is_free(i, y) {
            true => tangent(x[i]) + self.multiplier * tangent(weights[i]),
            false => tangent(if y > lower[i] { upper[i] } else { lower[i] }),
        };
        let mut missing = tangent(total[0]);
        for (i, y) in y.iter().enumerate() {
            missing -= y.widen() * tangent(weights[i]) + weights[i].widen() * along(i, *y);
        }
        let mut moved: Vec<T::Acc> = y.iter().enumerate().map(|(i, &y)| along(i, y)).collect();
        if square == T::Acc::zero() {
            self.corner.for_each(|i| weights[i].widen(), |i, rate| moved[i] += missing * rate);
        } else {
            let step = missing / square;
            for (i, (moved, &y)) in moved.iter_mut().zip(&*y).enumerate() {
                *moved += if is_free(i, y) { weights[i].widen() * step } else { T::Acc::zero() };
            }
            self.multiplier += step;
        }
        y.iter_mut().zip(moved).for_each(|(y, moved)| *y += T::narrow(moved));
    }
}

/// The total, within the sums that the box allows; nothing for an item with a NaN or an infinite weight.
fn within_reach<T: Real>(at: Args<'_, T, 5>) -> Result<Option<f64>, Fault> {
    let [x, weights, lower, upper, total] = at.x;
    finite("total", total[0])?;
    let (mut low, mut high, mut size, mut spoilt) = (0.0, 0.0, 0.0, false);
    for entry in (Weighted { x, weights, lower, upper }).entries() {
        let refuse = |argument, requirement, value| Err(Fault::Domain { argument, requirement, value });
        if entry.lower > entry.upper {
            return refuse("lower", "<= upper", entry.lower);
        }
        if entry.lower == f64::INFINITY {
            return refuse("lower", "below inf", entry.lower);
        }
        if entry.upper == f64::NEG_INFINITY {
            return refuse("upper", "above -inf", entry.upper);
        }
        spoilt |=
            !entry.weight.is_finite() || entry.lower.is_nan() || entry.upper.is_nan() || entry.point.is_nan();
        let (least, most) = entry.reach();
        low += least;
        high += most;
        size += if least.is_finite() { least.abs() } else { 0.0 }
            + if most.is_finite() { most.abs() } else { 0.0 };
    }
    let total = total[0].as_f64();
    let slack = 8.0 * T::Value::EPSILON * (size + total.abs());
    match total >= low - slack && total <= high + slack {
        _ if spoilt => Ok(None),
        true => Ok(Some(f64::min(f64::max(total, low), high))),
        false => Err(Fault::Infeasible),
    }
}

impl Contract<5> for BoxSectionProjection {
    const SUMMARY: &'static str = "nearest point of a box cut by a hyperplane";
    const PAPER: &'static str = "Helgason et al., Mathematical Programming 1980";
    const COST: &'static str = "O(n) expected forward, O(n) backward, O(n) memory";
    const ARGUMENTS: &'static [&'static str] = &[];

    fn cases() -> Vec<Self> {
        vec![Self {}]
    }

    fn laws(&self) -> Vec<Law> {
        let sum = |y: &[f64], c: &[f64]| y.iter().zip(c).map(|(y, c)| y * c).sum::<f64>();
        let outside = |y: &[f64], l: &[f64], u: &[f64]| {
            (0..y.len()).map(|i| (l[i] - y[i]).max(y[i] - u[i])).fold(0.0, f64::max)
        };
        vec![
            Law::Vanishes("sums_to_the_total", Box::new(move |at| sum(at.y[0], at.x[1]) - at.x[4][0])),
            Law::Vanishes("outside_of_the_box", Box::new(move |at| outside(at.y[0], at.x[2], at.x[3]))),
            twice(self),
        ]
    }

    /// The multiplier by bisection.
    fn oracle(&self, at: Args<'_, f64, 5>) -> Option<[Vec<f64>; 1]> {
        let [x, weights, lower, upper, total] = at.x;
        let entry = |i: usize, multiplier: f64| (x[i] + multiplier * weights[i]).max(lower[i]).min(upper[i]);
        let sum = |multiplier| (0..x.len()).map(|i| weights[i] * entry(i, multiplier)).sum::<f64>();
        let multiplier = -bisect(-1e6, 1e6, |minus| sum(-minus) - total[0]);
        Some([(0..x.len()).map(|i| entry(i, multiplier)).collect()])
    }

    fn test_sizes(&self) -> Vec<Vec<usize>> {
        [1, 2, 5, 8, 21].map(|n| vec![n]).to_vec()
    }

    /// Weights of either sign, some bounds infinite, and the total of a point inside of the box, one entry of
    /// it at a bound.
    fn sample(&self, _: &[usize], [n, ..]: [usize; 5], random: &mut Stream) -> Sample<5> {
        let weights: Vec<f64> =
            (0..n).map(|i| (0.3 + random.uniform()) * if i % 4 == 1 { -1.0 } else { 1.0 }).collect();
        let lower: Vec<f64> = (0..n).map(|_| 0.5 * random.normal() - 0.5).collect();
        let upper: Vec<f64> = lower.iter().map(|lower| lower + 0.2 + 2.0 * random.uniform()).collect();
        let inside = |i: usize, part: f64| weights[i] * (lower[i] + part * (upper[i] - lower[i]));
        let total: f64 = (0..n).map(|i| inside(i, 0.2 + 0.6 * random.uniform())).sum();
        let open = |x: Vec<f64>, wanted: usize, to: f64| -> Vec<f64> {
            x.into_iter().enumerate().map(|(i, x)| if i % 5 == wanted { to } else { x }).collect()
        };
        let (lower, upper) = (open(lower, 2, f64::NEG_INFINITY), open(upper, 3, f64::INFINITY));
        Sample { x: [random.normals(n), weights, lower, upper, vec![total]], k: [] }
    }

    fn free(&self) -> [bool; 5] {
        [true, false, false, false, false]
    }

    /// Infinite bounds stay.
    fn direction(&self, x: [&[f64]; 5], random: &mut Stream) -> [Vec<f64>; 5] {
        x.map(|x| x.iter().map(|x| if x.is_finite() { random.normal() } else { 0.0 }).collect())
    }
}

/// The nearest point to `x` of the set $\lbrace l \le y \le u, \langle c, y \rangle = s\rbrace$, along the last axis,
/// with `weights` c, bounds `lower` l and `upper` u, and the `total` s.
///
/// $$ y_i = \min(\max(x_i + \lambda c_i, l_i), u_i) $$
///
/// * Shapes: `(…, n)` to `(…, n)`; weights and bounds are `(…, n)` too, with leading axes that broadcast.
/// * Gradient: to all five. An entry that has just reached a bound counts as fixed. Second derivatives are
///   right.
/// * Weights may have any sign, bounds may be infinite. NaN makes its item NaN.
/// * Cost: O(n) expected forward, O(n) backward.
/// * Errors: bounds that cross; a total that no point of the box has.
///
/// For gradients call [`linearize`](supple_core::linearize) with a [`BoxSectionProjection`]; for one total
/// each item, another axis or ragged batches, [`evaluate`](supple_core::evaluate).
///
/// ```
/// use ndarray::array;
/// use supple_ops::project::box_section_projection;
/// // A budget of 4 at prices 1, 2 and 1, with at most one and a half of each.
/// let (x, prices) = (array![3.0, 1.0, 0.5], array![1.0, 2.0, 1.0]);
/// let y = box_section_projection(&x, &prices, &array![0.0, 0.0, 0.0], &array![1.5, 1.5, 1.5], 4.0)?;
/// assert!((y - array![1.5, 1.0, 0.5]).iter().all(|gap: &f64| gap.abs() < 1e-15));
/// # Ok::<(), supple_core::Error>(())
/// ```
///
/// Helgason, Kennington, Lall, *A polynomially bounded algorithm for a singly constrained quadratic program*,
/// Mathematical Programming 1980.
pub fn box_section_projection<'a, T: Float, D: Dimension, E: Dimension>(
    x: impl Into<ArrayView<'a, T, D>>,
    weights: impl Into<ArrayView<'a, T, E>>,
    lower: impl Into<ArrayView<'a, T, E>>,
    upper: impl Into<ArrayView<'a, T, E>>,
    total: f64,
) -> Result<Array<T, D>, Error> {
    let total = arr0(T::of(total)).into_dyn();
    let [weights, lower, upper] = [weights.into(), lower.into(), upper.into()].map(ArrayView::into_dyn);
    project(&BoxSectionProjection {}, [x.into().into_dyn(), weights, lower, upper, total.view()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;
    use supple_core::linearize;

    /// Gradients at a point with bounds 0 and 1 and these weights, and the adjoint identity.
    fn gradients(x: &[f64], weights: &[f64], total: f64, dy: &[f64]) -> [Vec<f64>; 5] {
        let vector = |x: &[f64]| Array::from(x.to_vec()).into_dyn();
        let (lower, upper) = (vec![0.0; x.len()], vec![1.0; x.len()]);
        let inputs = [x, weights, &lower, &upper].map(vector);
        let total = arr0(total).into_dyn();
        let [x, weights, lower, upper] = &inputs;
        let at = [x.view(), weights.view(), lower.view(), upper.view(), total.view()];
        let at = linearize(&BoxSectionProjection {}, at).unwrap();
        let dx = at.vjp([vector(dy).view()]).unwrap();
        let v = dx.clone();
        let [jv] = at.jvp(v.each_ref().map(|v| v.view())).unwrap();
        let norm: f64 = dx.iter().flatten().map(|d| d * d).sum();
        assert!(((&jv * &vector(dy)).sum() - norm).abs() < 1e-12 * norm);
        dx.map(|d| d.into_raw_vec_and_offset().0)
    }

    #[test]
    fn a_vertex_follows_the_total_to_both_sides() {
        let (x, dy) = ([5.0, 3.0, 1.0, -4.0], [1.0, 10.0, 100.0, 1000.0]);
        // Next to leave: the second downwards, the third upwards.
        let [dx, dweights, dlower, dupper, dtotal] = gradients(&x, &[1.0; 4], 2.0, &dy);
        assert_eq!((dx, dtotal), (vec![0.0; 4], vec![55.0]));
        assert_eq!(dweights, [-55.0, -55.0, 0.0, 0.0]);
        assert_eq!((dlower, dupper), (vec![0.0, 0.0, 45.0, 945.0], vec![-54.0, -45.0, 0.0, 0.0]));
        // With all at their upper bound, there is one side only.
        assert_eq!(gradients(&x, &[1.0; 4], 4.0, &dy)[4], [1000.0]);
        assert_eq!(gradients(&x, &[1.0; 4], 0.0, &dy)[4], [1.0]);
        // Weights set how much an entry moves.
        assert_eq!(gradients(&x, &[1.0, 1.0, 4.0, 1.0], 2.0, &dy)[4], [0.5 * (10.0 + 100.0 / 4.0)]);
    }

    #[test]
    fn offsets_and_scales_keep_the_total() {
        let mut random = Stream::new(3, 0, 0);
        let x = Array::from(random.normals(100));
        let ones = Array::<f64, _>::ones(100);
        for scale in [1e-10, 1.0, 1e9] {
            for offset in [0.0, 1e9, -1e9] {
                let (x, zeros) = (&x * scale + offset * scale, &ones * 0.0);
                let total = 30.0 * scale;
                let y = box_section_projection(&x, &ones, &zeros, &(&ones * scale), total).unwrap();
                assert!((y.sum() - total).abs() <= 1e-14 * total, "{scale} {offset}: {}", y.sum() / total);
            }
        }
    }

    #[test]
    fn what_has_no_answer() {
        let (inf, nan) = (f64::INFINITY, f64::NAN);
        let y = |x: f64, weight: f64, lower: f64, upper: f64, total: f64| {
            let [x, weight, lower, upper] =
                [[x, 0.5], [weight, 1.0], [lower, 0.0], [upper, 1.0]].map(|x| array![x[0], x[1]]);
            box_section_projection(&x, &weight, &lower, &upper, total).map(|y| y.to_vec())
        };
        assert_eq!(y(0.0, 1.0, 0.0, 1.0, 2.5).unwrap_err().to_string().matches("no point").count(), 1);
        assert!(y(0.0, 1.0, 0.0, 1.0, inf).unwrap_err().to_string().contains("`total`"));
        assert!(y(0.0, 1.0, 2.0, 1.0, 1.0).unwrap_err().to_string().contains("`lower`"));
        assert!(y(0.0, 1.0, -inf, -inf, 1.0).unwrap_err().to_string().contains("`upper`"));
        // What is past an end by its rounding only is at the end.
        assert_eq!(y(0.0, 1.0, 0.0, 1.0, 2.0 + 1e-15).unwrap(), [1.0, 1.0]);
        // An infinite entry is at its bound, and a weight of zero leaves an entry to its box.
        assert_eq!(y(-inf, 1.0, 0.0, 1.0, 0.75).unwrap(), [0.0, 0.75]);
        assert_eq!(y(0.25, 0.0, 0.0, 1.0, 0.75).unwrap(), [0.25, 0.75]);
        for [x, weight, upper] in
            [[nan, 1.0, 1.0], [0.0, nan, 1.0], [0.0, inf, 1.0], [0.0, 1.0, nan], [inf, 1.0, inf]]
        {
            assert!(
                y(x, weight, 0.0, upper, 1.0).unwrap().iter().all(|y| y.is_nan()),
                "{x} {weight} {upper}"
            );
        }
    }
}
