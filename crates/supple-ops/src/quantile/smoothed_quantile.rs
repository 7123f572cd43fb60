//! A quantile of a weighted sample, by inversion of its smoothed cumulative distribution.
//!
//! $$ \sum_i w_i F\left(\frac{v - x_i}{\varepsilon}\right) = q \sum_i w_i $$
//!
//! for a distribution function $F$: each value is blurred to a distribution of scale ε about it, and $v$ is the
//! quantile of their mixture. All of `x`, `weights` and the level `q` get a gradient.
//!
//! * Softness: the unit of `x`; ε. As it grows, $v$ tends to the weighted mean plus $\varepsilon F^{-1}(q)$: at
//!   q = ½ it goes from the median to the mean.
//! * Hard limit: the empirical quantile that inverts the cumulative distribution, the mean of two neighbours
//!   where the level falls between them: NumPy's `averaged_inverted_cdf`, type 2 of Hyndman and Fan, with
//!   weights. That is the hard form too. It is not NumPy's default, which interpolates.
//! * Gradient: exact, by the implicit function theorem; $v$ moves by an average of the motions of `x`. The
//!   second derivative of the Laplace form jumps where $v$ meets a value.
//! * In a gap between two values that no tail crosses to the precision of `q` (about 70 ε wide in double, 30 ε
//!   in single precision; for the Gaussian 16 ε and 11 ε), at the level that falls into it, $v$ is where the tails
//!   would balance, near the middle; as a function of `q` and the weights it is a jump there, and their gradients,
//!   beyond bounds before, are zero.
//! * Weight 0 leaves a value out; ±∞ is a value like any other, with its mass at that end, and where the mass
//!   demands, $v$ is infinite with a zero gradient. NaN makes its item NaN. Weights that are negative, infinite
//!   or all zero and levels outside (0, 1) are faults.
//! * Cost: O(n) and some eight passes with an exponential each; O(n) backward. Nothing is sorted.
//!
//! Papers: Azzalini, *A note on the estimation of a distribution function and quantiles by a kernel method*,
//! Biometrika 1981; for the Laplace form, Struski et al., *LapSum*, ICML 2025, <https://arxiv.org/abs/2503.06242>.

mod distribution;
mod invert;
#[cfg(test)]
mod tests;

use super::domain::{direction, level, sample};
use super::split::Split;
pub use distribution::Distribution;
use invert::{Root, invert};
use ndarray::{Array, ArrayView, Dimension, RemoveAxis};
use supple_core::{
    Args, Contract, Dual, Error, Fault, Float, Floats, Law, Operator, Params, Point, Real, Sample, Scaling,
    Scratch, Stream, evaluate, params,
};
use supple_numerics::simplex::largest;

params! {
    /// A quantile of a smoothed sample.
    pub struct SmoothedQuantile {
        /// Scale of the distribution about each value; the unit of `x`.
        softness: f64 = 0.1, Positive;
        /// The distribution about each value.
        distribution: Distribution = Distribution::Logistic, Any;
    }
}

/// The quantile.
#[derive(Debug, Default)]
pub struct Saved<A> {
    value: A,
    /// The largest weight.
    heaviest: f64,
    /// Whether it lies in a gap that no tail crosses.
    in_gap: bool,
}

impl Operator<3> for SmoothedQuantile {
    const NAME: &'static str = "smoothed_quantile";
    const SIGNATURE: &'static str = "x(n>=1), weights(n), q() -> value()";
    type Saved<T: Real> = Saved<T::Acc>;

    fn validate(&self, _: &[usize]) -> Result<(), Error> {
        self.check(Self::NAME)
    }

    fn work(&self, sizes: &[usize]) -> usize {
        30 * sizes.iter().product::<usize>()
    }

    fn scaling(&self) -> Option<Scaling<3>> {
        Some(Scaling { softness: self.softness, power: 1, inputs: [1, 0, 0], outputs: [1] })
    }

    fn forward<T: Real>(
        &self,
        at: Args<'_, T, 3>,
        [value]: [&mut [T]; 1],
        saved: &mut Saved<T::Acc>,
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        *saved = self.solve(at, scratch)?;
        if let Floats::Dual = T::floats(&mut []) {
            saved.value += self.tangent(at, saved, scratch);
        }
        value[0] = T::narrow(saved.value);
        Ok(())
    }

    fn lift<F: Float>(
        &self,
        at: Args<'_, Dual<F>, 3>,
        values: Point<'_, F, Saved<F::Acc>, 3>,
        [value]: [&mut [Dual<F>]; 1],
        saved: &mut Saved<Dual<f64>>,
        scratch: &mut Scratch<Dual<F>>,
    ) -> Result<(), Fault> {
        let Saved { value: solution, heaviest, in_gap } = *values.saved;
        *saved = Saved { value: Real::of(solution.as_f64()), heaviest, in_gap };
        saved.value += self.tangent(at, saved, scratch);
        value[0] = Dual::narrow(saved.value);
        Ok(())
    }

    fn vjp<T: Real>(
        &self,
        at: Point<'_, T, Saved<T::Acc>, 3>,
        [dvalue]: [&[T]; 1],
        [dx, dweights, dq]: [&mut [T]; 3],
        scratch: &mut Scratch<T>,
    ) {
        let saved = at.saved;
        if saved.value.is_nan() {
            [dx, dweights, dq].into_iter().for_each(|d| d.fill(T::nan()));
        } else if saved.in_gap {
            self.pull_in_gap(at.args(), saved, dvalue[0], dx);
        } else if saved.value.is_finite() {
            self.pull(at.args(), saved, dvalue[0], [dx, dweights, dq], scratch);
        }
    }

    fn hard<T: Float>(
        &self,
        at: Args<'_, T, 3>,
        [value]: [&mut [T]; 1],
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let [x, weights, q] = at.x;
        if largest(x).is_nan() {
            value[0] = T::nan();
            return Ok(());
        }
        let split = Split::new(x, weights, level(q[0])?, scratch)?;
        value[0] = T::of(split.mirror(split.centre()));
        split.give(scratch);
        Ok(())
    }
}

impl SmoothedQuantile {
    /// The quantile, without tangents.
    fn solve<T: Real>(&self, at: Args<'_, T, 3>, scratch: &mut Scratch<T>) -> Result<Saved<T::Acc>, Fault> {
        let [x, weights, q] = at.x;
        if largest(x).is_nan() {
            return Ok(Saved { value: T::Acc::nan(), heaviest: 1.0, in_gap: false });
        }
        let mut split = Split::new(x, weights, level(q[0])?, scratch)?;
        let Root { value, in_gap } = invert(self.distribution, self.softness, &mut split, scratch);
        let saved = Saved { value: T::Acc::of(split.mirror(value)), heaviest: split.heaviest, in_gap };
        split.give(scratch);
        Ok(saved)
    }

    /// What the value moves when the inputs do.
    fn tangent<T: Real>(
        &self,
        at: Args<'_, T, 3>,
        saved: &Saved<T::Acc>,
        scratch: &mut Scratch<T>,
    ) -> T::Acc {
        let mut gradients = at.x.map(|x| scratch.reals.zeros(x.len()));
        if saved.in_gap {
            self.pull_in_gap(at, saved, T::one(), &mut gradients[0]);
        } else if saved.value.is_finite() {
            self.pull(at, saved, T::one(), gradients.each_mut().map(|g| &mut g[..]), scratch);
        }
        let mut sum = T::Acc::zero();
        for (x, gradient) in at.x.iter().zip(&gradients) {
            // The tangent alone: infinite values have one too.
            let motions = x.iter().map(|x| x.chain(T::zero().value(), T::one().value()));
            sum += motions.zip(gradient).map(|(dx, g)| (dx * *g).widen()).sum::<T::Acc>();
        }
        gradients.into_iter().for_each(|g| scratch.reals.give(g));
        sum
    }

    /// Adds `dvalue` times the gradient into zeros.
    fn pull<T: Real>(
        &self,
        at: Args<'_, T, 3>,
        saved: &Saved<T::Acc>,
        dvalue: T,
        [dx, dweights, dq]: [&mut [T]; 3],
        scratch: &mut Scratch<T>,
    ) {
        let [x, weights, q] = at.x;
        let softness = T::Acc::of(self.softness);
        let mut reached = scratch.wide.empty();
        reached.extend(x.iter().map(|x| (saved.value - x.widen()) / softness));
        let mut density = scratch.wide.zeros(x.len());
        self.distribution.evaluate(&mut reached, &mut density);
        let mass = |w: T| w.widen() / T::Acc::of(saved.heaviest);
        let masses = || weights.iter().map(|&w| mass(w));
        let total: T::Acc = masses().zip(&density).map(|(mass, &density)| mass * density).sum();
        let rate = dvalue.widen() / total;
        let level_rate = rate * softness / T::Acc::of(saved.heaviest);
        for ((dx, &w), &density) in dx.iter_mut().zip(weights).zip(&density) {
            *dx = T::narrow(rate * mass(w) * density);
        }
        for (dw, &reached) in dweights.iter_mut().zip(&reached) {
            *dw = T::narrow(level_rate * (q[0].widen() - reached));
        }
        dq[0] = T::narrow(rate * softness * masses().sum());
        scratch.wide.give(reached);
        scratch.wide.give(density);
    }

    /// The same in a gap, where the values on either side have the pure tails' shares.
    fn pull_in_gap<T: Real>(&self, at: Args<'_, T, 3>, saved: &Saved<T::Acc>, dvalue: T, dx: &mut [T]) {
        let [x, weights, _] = at.x;
        let (v, softness) = (saved.value, T::Acc::of(self.softness));
        let away = |x: T| (v - x.widen()).abs() / softness;
        let side = |x: T| (x.widen() > v) as usize;
        let mut nearest = [T::Acc::infinity(); 2];
        for (&x, _) in x.iter().zip(weights).filter(|(_, w)| w.as_f64() > 0.0) {
            nearest[side(x)] = nearest[side(x)].min(away(x));
        }
        let mut totals = [T::Acc::zero(); 2];
        for ((dx, &x), &w) in dx.iter_mut().zip(x).zip(weights) {
            let nearest = nearest[side(x)];
            let decay = self.distribution.decay(nearest, away(x) - nearest);
            if w.as_f64() > 0.0 && decay.is_finite() {
                let share = (-decay).exp() * (w.widen() / T::Acc::of(saved.heaviest));
                totals[side(x)] += share;
                *dx = T::narrow(share);
            }
        }
        let steep = nearest.map(|t| self.distribution.steepness(t));
        let rates = [0, 1].map(|i| dvalue.widen() * steep[i] / ((steep[0] + steep[1]) * totals[i]));
        dx.iter_mut().zip(x).for_each(|(dx, &x)| *dx *= T::narrow(rates[side(x)]));
    }
}

impl Contract<3> for SmoothedQuantile {
    const SUMMARY: &'static str = "quantile of a weighted sample, by its smoothed cumulative distribution";
    const PAPER: &'static str =
        "Azzalini, Biometrika 1981; Struski et al., ICML 2025, arXiv:2503.06242 (Laplace)";
    const COST: &'static str = "O(n) and some eight passes forward, O(n) backward, O(n) memory";

    fn cases() -> Vec<Self> {
        let case = |(softness, distribution)| Self { softness, distribution };
        [
            (0.1, Distribution::Logistic),
            (20.0, Distribution::Logistic),
            (0.3, Distribution::Laplace),
            (5.0, Distribution::Laplace),
            (0.5, Distribution::Gaussian),
            (20.0, Distribution::Gaussian),
        ]
        .map(case)
        .to_vec()
    }

    fn laws(&self) -> Vec<Law> {
        vec![Law::ShiftEquivariant]
    }

    /// The equation as it is written, by bisection.
    fn oracle(&self, at: Args<'_, f64, 3>) -> Option<[Vec<f64>; 1]> {
        let [x, weights, q] = at.x;
        let total: f64 = weights.iter().sum();
        let share = |v: f64| -> f64 {
            let term = |(x, w): (&f64, &f64)| w * self.distribution.naive((v - x) / self.softness);
            x.iter().zip(weights).map(term).sum::<f64>() / total
        };
        let reach = 50.0 * self.softness + x.iter().fold(0.0, |a: f64, x| a.max(x.abs()));
        let (mut low, mut high) = (-reach, reach);
        for _ in 0..200 {
            let middle = 0.5 * (low + high);
            if share(middle) < q[0] { low = middle } else { high = middle }
        }
        Some([vec![low]])
    }

    fn sample(&self, _: &[usize], [n, ..]: [usize; 3], random: &mut Stream) -> Sample<3> {
        sample(n, random)
    }

    fn free(&self) -> [bool; 3] {
        [true, false, false]
    }

    fn direction(&self, at: [&[f64]; 3], random: &mut Stream) -> [Vec<f64>; 3] {
        direction(at, random)
    }
}

/// The quantile at level `q` `(…)` of `x` `(…, n)` with `weights` `(…, n)`, smoothed by a logistic distribution
/// about each value: the $v$ that solves
///
/// $$ \sum_i w_i F\left(\frac{v - x_i}{\varepsilon}\right) = q \sum_i w_i,
/// \qquad F(t) = \frac{1}{1 + e^{-t}} $$
///
/// * Shapes: `(…, n)`, `(…, n)` and `(…)`, where leading axes of 1 are repeated, to `(…)`; n ≥ 1.
/// * Softness: ε, in the unit of `x`. As it grows, $v$ tends to the weighted mean plus
///   $\varepsilon \ln \frac{q}{1 - q}$.
/// * Hard limit: the empirical quantile, the mean of two neighbours where the level falls between them (NumPy's
///   `averaged_inverted_cdf`).
/// * Gradient: exact, to values, weights and level. In a gap of `x` that no tail crosses, those to weights and
///   level are zero.
/// * A weight of 0 leaves a value out. ±∞ in `x` counts with its weight at that end. NaN in `x` gives NaN.
/// * Cost: O(n) and some eight passes forward, O(n) backward.
/// * Errors: a softness that is not finite and above zero; weights that are negative, not finite or all zero; a
///   level that is not between 0 and 1; n = 0.
///
/// For a Laplace or Gaussian distribution, the hard form, another axis or ragged batches, call
/// [`evaluate`](supple_core::evaluate()) with a [`SmoothedQuantile`]; for gradients,
/// [`linearize`](supple_core::linearize).
///
/// ```
/// use ndarray::{arr0, array};
/// use supple_ops::quantile::smoothed_quantile;
/// let (x, weights) = (array![0.0, 1.0, 5.0], array![1.0, 1.0, 1.0]);
/// let median = smoothed_quantile(&x, &weights, &arr0(0.5), 0.01)?;
/// assert!((median.into_scalar() - 1.0_f64).abs() < 1e-12);
/// let mean = smoothed_quantile(&x, &weights, &arr0(0.5), 1e4)?;
/// assert!((mean.into_scalar() - 2.0_f64).abs() < 1e-3);
/// # Ok::<(), supple_core::Error>(())
/// ```
///
/// Azzalini, *A note on the estimation of a distribution function and quantiles by a kernel method*, Biometrika
/// 1981.
pub fn smoothed_quantile<'a, T: Float, D: RemoveAxis, E: Dimension, F: Dimension>(
    x: impl Into<ArrayView<'a, T, D>>,
    weights: impl Into<ArrayView<'a, T, E>>,
    q: impl Into<ArrayView<'a, T, F>>,
    softness: f64,
) -> Result<Array<T, D::Smaller>, Error> {
    let operator = SmoothedQuantile { softness, ..SmoothedQuantile::default() };
    let inputs = [x.into().into_dyn(), weights.into().into_dyn(), q.into().into_dyn()];
    let [value] = evaluate(&operator, inputs)?;
    let narrower = |e| Error::unsupported(SmoothedQuantile::NAME, "an output of one axis less than `x`", e);
    value.into_dimensionality().map_err(narrower)
}
