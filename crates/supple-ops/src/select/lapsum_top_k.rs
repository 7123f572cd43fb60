//! The mask of the k largest by the Laplace distribution (LapSum), for a real k that may be learnt.
//!
//! $$ p_i = F\left(\frac{x_i - b}{\varepsilon}\right), \quad \sum_i p_i = k, \qquad
//! F(t) = \begin{cases} \tfrac12 e^{t} & t < 0 \cr 1 - \tfrac12 e^{-t} & t \ge 0 \end{cases} $$
//!
//! with the one threshold $b$ that makes the mask sum to k, $0 < k \le n$. k is an input, not a parameter.
//!
//! * Softness: the unit of `x`; the paper's α.
//! * Hard limit: 1 at the largest ⌊k⌋ values and the rest of k at the next, which for a whole k is the mask of
//!   the k largest. Where values are tied there, they share in the limit; in the hard form the first
//!   positions win.
//! * Gradient: exact everywhere, to `x` and to k, by the implicit function theorem. The second derivative
//!   jumps where a value is at the threshold; it is then that of one side. For a whole k and a k-th value
//!   that leads the next by more than about 1400 ε, the mask is hard to the last digit, and the gradient zero.
//! * At k = n, the threshold is at −∞: all are chosen, the gradient to `x` is zero, and so is that to k, which
//!   can only become less.
//! * −∞ is never chosen; an item with fewer than k other values has no answer. +∞ is chosen for certain; an
//!   item with more than k of them is NaN, and the hard form takes the first. NaN makes its item NaN. A k outside
//!   is a fault of its item.
//! * Cost: O(n log n) forward, for the sort: between neighbouring values the equation is quadratic in
//!   $e^{b/\varepsilon}$, and its coefficients are running sums. Backward O(n).
//!
//! Paper: Struski, Bednarczyk, Podolak, Tabor, *LapSum: One Method to Differentiate Them All: Ranking,
//! Sorting and Top-k Selection*, ICML 2025, <https://arxiv.org/abs/2503.06242>.

use ndarray::{Array, ArrayView, Dimension, arr0};
use supple_core::{
    Args, Contract, Error, Fault, Float, Floats, Law, Operator, Params, Point, Real, Sample, Scaling,
    Scratch, Stream, evaluate, params,
};
use supple_numerics::elementary::exp_slice;
use supple_numerics::laplace::Line;
use supple_numerics::simplex::{kth_largest, largest};

params! {
    /// Mask of the k largest by the Laplace distribution.
    pub struct LapsumTopK {
        /// Scale of the distribution about the threshold; the unit of `x`.
        softness: f64 = 0.1, Positive;
    }
}

/// The threshold: NaN for an item with a NaN, infinite where infinities alone decide.
#[derive(Debug, Default)]
pub struct Saved<T: Real> {
    threshold: T::Acc,
}

impl Operator<2> for LapsumTopK {
    const NAME: &'static str = "lapsum_top_k";
    const SIGNATURE: &'static str = "x(n>=1), k() -> mask(n)";
    type Saved<T: Real> = Saved<T>;

    fn validate(&self, _: &[usize]) -> Result<(), Error> {
        self.check(Self::NAME)
    }

    fn scaling(&self) -> Option<Scaling<2>> {
        Some(Scaling { softness: self.softness, power: 1, inputs: [1, 0], outputs: [0] })
    }

    fn forward<T: Real>(
        &self,
        at: Args<'_, T, 2>,
        [y]: [&mut [T]; 1],
        saved: &mut Saved<T>,
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let [x, &[k]] = at.x else { return Ok(()) };
        if let Some(value) = decided(x, k)? {
            y.iter_mut().zip(x).for_each(|(y, &x)| *y = value(x));
            saved.threshold = if y[0].is_nan() { T::Acc::nan() } else { T::Acc::infinity() };
            return Ok(());
        }
        let mut threshold = self.threshold(x, k.as_f64(), scratch);
        let mut kernel = scratch.wide.empty();
        let mut height = self.kernel(x, threshold, &mut kernel);
        if matches!(T::floats(y), Floats::Dual) {
            // One Newton step: x and k less their values are zero, but for the tangents.
            let moved = x
                .iter()
                .map(|x| if x.is_finite() { x.widen() - T::Acc::of(x.as_f64()) } else { T::Acc::zero() });
            let moved: T::Acc = kernel.iter().zip(moved).map(|(&e, moved)| e * moved).sum();
            let total: T::Acc = kernel.iter().copied().sum();
            threshold += moved / total;
            if height > LEAST {
                let more = k.widen() - T::Acc::of(k.as_f64());
                threshold -= more / (T::Acc::of(0.5 * height / self.softness) * total);
            }
            height = self.kernel(x, threshold, &mut kernel);
        }
        for ((y, x), &e) in y.iter_mut().zip(x).zip(&kernel) {
            let tail = T::Acc::of(0.5 * height) * e;
            let above = x.widen() >= threshold;
            *y = T::narrow(if above { T::Acc::one() - tail } else { tail });
        }
        scratch.wide.give(kernel);
        saved.threshold = threshold;
        Ok(())
    }

    fn vjp<T: Real>(
        &self,
        at: Point<'_, T, Saved<T>, 2>,
        [dy]: [&[T]; 1],
        [dx, dk]: [&mut [T]; 2],
        scratch: &mut Scratch<T>,
    ) {
        let (x, threshold) = (at.x[0], at.saved.threshold);
        if threshold.is_nan() {
            dx.fill(T::nan());
            return dk.fill(T::nan());
        }
        if !threshold.is_finite() {
            return;
        }
        let mut kernel = scratch.wide.empty();
        let height = self.kernel(x, threshold, &mut kernel);
        let total: T::Acc = kernel.iter().copied().sum();
        let moved: T::Acc = kernel.iter().zip(dy).map(|(&e, dy)| e * dy.widen()).sum();
        let mean = moved / total;
        let rate = T::Acc::of(0.5 * height / self.softness);
        for ((dx, &e), dy) in dx.iter_mut().zip(&kernel).zip(dy) {
            *dx = T::narrow(rate * e * (dy.widen() - mean));
        }
        if height > LEAST {
            dk.fill(T::narrow(mean));
        }
        scratch.wide.give(kernel);
    }

    fn hard<T: Float>(
        &self,
        at: Args<'_, T, 2>,
        [y]: [&mut [T]; 1],
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let [x, &[k]] = at.x else { return Ok(()) };
        if spoilt(x, k)? {
            y.fill(T::nan());
            return Ok(());
        }
        let mut keys = scratch.keys.empty();
        let (next, _) = kth_largest(x, x.len().min(k.to_f64() as usize + 1), &mut keys);
        scratch.keys.give(keys);
        let mut left = k - T::of(x.iter().filter(|&&x| x > next).count() as f64);
        for (y, &x) in y.iter_mut().zip(x) {
            let tied = if x == next { left.min(T::one()) } else { T::zero() };
            left -= tied;
            *y = if x > next { T::one() } else { tied };
        }
        Ok(())
    }
}

/// A kernel that is lower everywhere is taken for zero where it would be divided by.
const LEAST: f64 = 1e-300;

/// Whether a NaN makes all of an item NaN; if not, k is one that it has room for.
fn spoilt<T: Real>(x: &[T], k: T) -> Result<bool, Fault> {
    let value = k.as_f64();
    if value.is_nan() || largest(x).is_nan() {
        return Ok(true);
    }
    if !(value > 0.0 && value <= x.len() as f64) {
        return Err(Fault::Domain { argument: "k", requirement: "above 0 and at most n", value });
    }
    if value > possible(x) { Err(Fault::Infeasible) } else { Ok(false) }
}

/// How many may be chosen.
fn possible<T: Real>(x: &[T]) -> f64 {
    x.iter().filter(|&&x| x != -T::infinity()).count() as f64
}

/// What an item is by its infinities and NaN alone, as a function of the entry; `None` where there is a
/// threshold to find.
fn decided<T: Real>(x: &[T], k: T) -> Result<Option<fn(T) -> T>, Fault> {
    if spoilt(x, k)? {
        return Ok(Some(|_| T::nan()));
    }
    let certain = x.iter().filter(|&&x| x == T::infinity()).count() as f64;
    Ok(match k.as_f64() {
        value if value < certain => Some(|_| T::nan()),
        value if value == certain => Some(|x| T::of((x == T::infinity()).into())),
        value if value == possible(x) => Some(|x| T::of((x != -T::infinity()).into())),
        _ => None,
    })
}

impl LapsumTopK {
    /// The threshold, without a tangent.
    fn threshold<T: Real>(&self, x: &[T], k: f64, scratch: &mut Scratch<T>) -> T::Acc {
        let mut z = scratch.reals.empty();
        z.extend(x.iter().map(|&x| -x));
        z.sort_unstable_by(Real::order);
        let line = Line::new(&z, self.softness, scratch);
        let mut threshold = f64::NAN;
        line.quantiles(&z, self.softness, [k], scratch, |quantile| threshold = -quantile.value.as_f64());
        line.give(scratch);
        scratch.reals.give(z);
        T::Acc::of(threshold)
    }

    /// `exp(−|x − threshold| / ε)` over its largest value, which is returned.
    fn kernel<T: Real>(&self, x: &[T], threshold: T::Acc, kernel: &mut Vec<T::Acc>) -> f64 {
        let rate = T::Acc::of(1.0 / self.softness);
        kernel.clear();
        kernel.extend(x.iter().map(|x| -((x.widen() - threshold) * rate).abs()));
        let nearest = kernel.iter().map(|t| t.as_f64()).fold(f64::NEG_INFINITY, f64::max);
        kernel.iter_mut().for_each(|t| *t -= T::Acc::of(nearest));
        exp_slice(kernel);
        nearest.exp()
    }
}

impl Contract<2> for LapsumTopK {
    const SUMMARY: &'static str = "mask of the k largest, for a real k with a gradient";
    const PAPER: &'static str = "Struski et al., ICML 2025, arXiv:2503.06242";
    const COST: &'static str = "O(n log n) forward, O(n) backward, O(n) memory";

    fn cases() -> Vec<Self> {
        [0.1, 1.0, 20.0].map(|softness| Self { softness }).to_vec()
    }

    fn laws(&self) -> Vec<Law> {
        let missing = |at: supple_core::Evaluated<'_>| at.y[0].iter().sum::<f64>() - at.x[1][0];
        vec![
            Law::Vanishes("sums_to_k", Box::new(missing)),
            Law::Within(Box::new(|_| (0.0, 1.0))),
            Law::PermutationEquivariant,
            Law::ShiftInvariant,
            Law::Masks,
        ]
    }

    /// The threshold by bisection.
    fn oracle(&self, at: Args<'_, f64, 2>) -> Option<[Vec<f64>; 1]> {
        let [x, k] = at.x;
        let mask = |threshold: f64| -> Vec<f64> {
            let entry = |t: f64| if t < 0.0 { 0.5 * t.exp() } else { 1.0 - 0.5 * (-t).exp() };
            x.iter().map(|x| entry((x - threshold) / self.softness)).collect()
        };
        let reach = 50.0 * self.softness + x.iter().fold(0.0, |a: f64, x| a.max(x.abs()));
        let (mut low, mut high) = (-reach, reach);
        for _ in 0..200 {
            let middle = 0.5 * (low + high);
            if mask(middle).iter().sum::<f64>() >= k[0] { low = middle } else { high = middle }
        }
        Some([mask(low)])
    }

    /// k away from whole numbers, where it has kinks in the limit.
    fn sample(&self, sizes: &[usize], [n, _]: [usize; 2], random: &mut Stream) -> Sample<2> {
        let k = random.below(sizes[0]) as f64 + 0.2 + 0.6 * random.uniform();
        Sample { x: [random.normals(n), vec![k]], k: [] }
    }

    fn free(&self) -> [bool; 2] {
        [true, false]
    }
}

/// The mask of the `k` largest entries along the last axis, for a real `k`: Laplace distribution functions $F$
/// about one threshold (LapSum).
///
/// $$ p_i = F\left(\frac{x_i - b}{\varepsilon}\right), \qquad \sum_i p_i = k $$
///
/// * Shapes: `(…, n)` to `(…, n)`, n ≥ 1.
/// * Softness: ε, in the unit of `x`.
/// * Hard limit: 1 at the largest ⌊k⌋ values, the rest of k at the next, 0 elsewhere; ties share.
/// * Gradient: exact everywhere, to `x` and to k. The second derivative jumps where a value is at the
///   threshold.
/// * At k = n all are chosen, and the gradient is zero.
/// * −∞ is never chosen; an item with fewer than k other values is an error. NaN makes its item NaN.
/// * Cost: O(n log n) forward, O(n) backward, O(n) memory.
/// * Errors: a softness that is not finite and above zero; k not above 0, or above n.
///
/// For the gradient, also to k, call [`linearize`](supple_core::linearize) with a [`LapsumTopK`]; for one k
/// each item, another axis, the hard mask or ragged batches, [`evaluate`](supple_core::evaluate).
///
/// ```
/// use ndarray::array;
/// use supple_ops::select::lapsum_top_k;
/// let mask = lapsum_top_k(&array![3.0, 1.0, 2.5, 2.0], 1.5, 0.01)?;
/// assert!((mask - array![1.0, 0.0, 0.5, 0.0]).iter().all(|gap: &f64| gap.abs() < 1e-12));
/// # Ok::<(), supple_core::Error>(())
/// ```
///
/// Struski, Bednarczyk, Podolak, Tabor, *LapSum: One Method to Differentiate Them All: Ranking, Sorting and
/// Top-k Selection*, ICML 2025, <https://arxiv.org/abs/2503.06242>.
pub fn lapsum_top_k<'a, T: Float, D: Dimension>(
    x: impl Into<ArrayView<'a, T, D>>,
    k: f64,
    softness: f64,
) -> Result<Array<T, D>, Error> {
    let k = arr0(T::of(k)).into_dyn();
    let [mask] = evaluate(&LapsumTopK { softness }, [x.into().into_dyn(), k.view()])?;
    let narrower = |e| Error::unsupported(LapsumTopK::NAME, "an output of the input's rank", e);
    mask.into_dimensionality().map_err(narrower)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;
    use supple_core::{Inputs, Mode, linearize};

    #[test]
    fn a_whole_k_is_a_mask_and_moves_the_two_at_the_threshold() {
        let (x, dy) = (array![0.0, 5.0, 2.0, 3.0].into_dyn(), array![1.0, 10.0, 100.0, 1000.0].into_dyn());
        let k = arr0(2.0).into_dyn();
        for (softness, expected) in [(0.01, 550.0), (0.001, 550.0), (0.0005, 0.0)] {
            let op = LapsumTopK { softness };
            let at = linearize(&op, [x.view(), k.view()]).unwrap();
            let away = &at.outputs()[0] - array![0.0, 1.0, 0.0, 1.0].into_dyn();
            assert!(away.iter().all(|away: &f64| away.abs() < 1e-12), "{away}");
            let [dx, dk] = at.vjp([dy.view()]).unwrap();
            assert!(dx.iter().all(|dx: &f64| dx.abs() < 1e-12), "{dx}");
            assert!((dk.sum() - expected).abs() < 1e-9, "softness {softness}: {dk}");
            let [mask] = at.jvp([x.mapv(|_| 0.0).view(), arr0(1.0).into_dyn().view()]).unwrap();
            assert!(((&mask * &dy).sum() - expected).abs() < 1e-9, "softness {softness}: {mask}");
        }
    }

    #[test]
    fn all_are_chosen_where_k_is_their_number() {
        for x in [&[3.0][..], &[1.0, 1.0], &[-2.0, 1e9, 0.5]] {
            let (x, k) = (ndarray::aview1(x).into_dyn(), arr0(x.len() as f64).into_dyn());
            for (softness, mode) in [(0.1, Mode::Soft), (1e9, Mode::Soft), (0.1, Mode::Hard)] {
                let operator = LapsumTopK { softness };
                let at = linearize(&operator, Inputs::from([x.view(), k.view()]).mode(mode)).unwrap();
                assert!(at.outputs()[0].iter().all(|&p| p == 1.0));
                let gradients = at.vjp([x.mapv(|x| x + 5.0).view()]).unwrap();
                assert!(gradients.iter().flatten().all(|&d: &f64| d == 0.0));
            }
            // From below, where the mask has no longer all.
            let [near] = evaluate(&LapsumTopK::default(), [x, (&k - 1e-12).view()]).unwrap();
            assert!(near.iter().all(|p| (p - 1.0).abs() < 1e-11), "{near}");
        }
    }

    #[test]
    fn infinities_are_chosen_first_and_last() {
        let inf = f64::INFINITY;
        let x = array![1.0, inf, -inf, 2.0].into_dyn();
        let mask = |k: f64, mode| {
            let k = arr0(k).into_dyn();
            let inputs = Inputs::from([x.view(), k.view()]).mode(mode);
            evaluate(&LapsumTopK { softness: 0.01 }, inputs).map(|[mask]| mask.into_raw_vec_and_offset().0)
        };
        for mode in [Mode::Soft, Mode::Hard] {
            assert_eq!(mask(1.0, mode).unwrap(), [0.0, 1.0, 0.0, 0.0]);
            assert_eq!(mask(3.0, mode).unwrap(), [1.0, 1.0, 0.0, 1.0]);
            let half = mask(1.5, mode).unwrap();
            assert!(half.iter().zip([0.0, 1.0, 0.0, 0.5]).all(|(p, q)| (p - q).abs() < 1e-12), "{half:?}");
            assert!(mask(3.5, mode).unwrap_err().to_string().contains("no point"));
            for k in [0.0, 4.5, -1.0, inf] {
                assert!(mask(k, mode).unwrap_err().to_string().contains("`k` must be above 0 and at most n"));
            }
            assert!(mask(f64::NAN, mode).unwrap().iter().all(|p| p.is_nan()));
        }
        // Of more than k infinities, the hard form takes the first.
        assert!(mask(0.5, Mode::Soft).unwrap().iter().all(|p| p.is_nan()));
        assert_eq!(mask(0.5, Mode::Hard).unwrap(), [0.0, 0.5, 0.0, 0.0]);
        let (x, k) = (array![inf, 0.0, inf, inf].into_dyn(), arr0(1.5).into_dyn());
        let inputs = Inputs::from([x.view(), k.view()]).mode(Mode::Hard);
        let [first] = evaluate(&LapsumTopK::default(), inputs).unwrap();
        assert_eq!(first, array![1.0, 0.0, 0.5, 0.0].into_dyn());
    }
}
