//! A quantile of a weighted sample, by entropic optimal transport to three anchors.
//!
//! The sample is moved to anchors with the masses $b = (q - t/2, t, 1 - q - t/2)$. In the order of the
//! values, the middle one then holds those about the level $q$:
//!
//! $$ v = \frac1t \sum_i P_{i2} x_i, \qquad
//! P = \operatorname*{argmin}_{P 1 = w / \sum w, P^\top 1 = b} \sum_{ij} P_{ij} (x_i - y_j)^2 +
//! \varepsilon \sum_{ij} P_{ij} (\ln P_{ij} - 1) $$
//!
//! with the anchors $y = (0, \tfrac12, 1)$. Only their distance ½ has a meaning: what a squared distance says
//! of $x_i$ or $y_j$ alone is the same for all plans, so that $P$ depends on $x / \varepsilon$. The paper
//! squashes `x` into [0, 1] first; that is left to the caller.
//!
//! * Softness: the unit of `x`; ε. As it grows, $v$ tends to the weighted mean, whatever $q$.
//! * `width` is the paper's t, the share of the sample that is averaged, whatever the softness. $q$ must be at
//!   least half of it away from 0 and 1.
//! * Hard limit: the mean of the empirical quantiles of the levels from $q - t/2$ to $q + t/2$, which is a
//!   quantile in the usual sense where one value fills that band. That is the hard form too.
//! * Gradient: exact, by the implicit function theorem, to values, weights and level. Where the level's band
//!   ends in a gap between two values, far wider than ε, $v$ has a kink in level and weights; the gradient
//!   there is that between the sides, without a second derivative.
//! * Weight 0 leaves a value out. An item with NaN or ±∞ in `x` is NaN. Weights that are
//!   negative, infinite or all zero and levels that leave no room for the width are faults.
//! * Cost: O(n) and some ten passes with three exponentials each, O(n) backward; the hard form O(n log n). The
//!   plan of [`sinkhorn`](crate::transport::sinkhorn()) is the same; with three anchors there are but two
//!   unknowns, and Newton's method finds them for any softness.
//!
//! Paper: Cuturi, Teboul and Vert, *Differentiable ranks and sorting using optimal transport*, NeurIPS 2019,
//! <https://arxiv.org/abs/1905.11885>.

mod anchors;
#[cfg(test)]
mod tests;

use super::domain::{direction, sample};
use super::split::Split;
use anchors::{Cuts, Masses, Shares, solve};
use ndarray::{Array, ArrayView, Dimension, RemoveAxis};
use supple_core::{
    Args, Contract, Dual, Error, Fault, Float, Floats, Law, Operator, Params, Point, Real, Sample, Scaling,
    Scratch, Stream, evaluate, params,
};

params! {
    /// A quantile by optimal transport.
    pub struct TransportQuantile {
        /// Strength ε of the entropy; the unit of `x`.
        softness: f64 = 0.1, Positive;
        /// Share of the sample that goes to the middle anchor.
        width: f64 = 0.1, Between(0.0, 1.0);
    }
}

/// Where one anchor gives way to the next, unless the item is NaN.
#[derive(Debug, Default)]
pub struct Saved<T: Real>(Option<Cuts<T::Acc>>);

impl TransportQuantile {
    /// The cuts' values.
    fn cuts<T: Real>(
        &self,
        [x, weights, _]: [&[T]; 3],
        masses: &Masses<T::Acc>,
        scratch: &mut Scratch<T>,
    ) -> Result<Cuts<T::Acc>, Fault> {
        let b = masses.anchors.map(|b| b.as_f64());
        let mut cuts = Cuts::default();
        for (origin, level) in cuts.origin.iter_mut().zip([b[0], 1.0 - b[2]]) {
            let split = Split::new(x, weights, level, scratch)?;
            *origin = split.mirror(split.centre());
            split.give(scratch);
        }
        solve(x, &masses.sample, b, self.softness, cuts, self.resolution::<T>(), scratch)
    }

    /// The share of the sample that is as good as nothing: very little of the band.
    fn resolution<T: Real>(&self) -> f64 {
        40.0 * T::Value::EPSILON * self.width
    }

    /// The value from the cuts' values, with all tangents if `T` has them; they are given to the cuts too.
    fn value<T: Real>(
        &self,
        at: Args<'_, T, 3>,
        masses: &Masses<T::Acc>,
        cuts: &mut Cuts<T::Acc>,
        scratch: &mut Scratch<T>,
    ) -> T {
        let [x, ..] = at.x;
        let shares = Shares::new(x, self.softness, cuts, scratch);
        let centre = T::Acc::of(cuts.centre());
        let rows = shares.iter().zip(&masses.sample).zip(x);
        let (mut sum, mut mass) = (T::Acc::zero(), T::Acc::zero());
        for (([_, middle, _], &a), x) in rows {
            sum += a * middle * (x.widen() - centre);
            mass += a * middle;
        }
        let mut value = centre + sum / mass;
        if let Floats::Dual = T::floats(&mut []) {
            let mut gradients = at.x.map(|x| scratch.reals.zeros(x.len()));
            self.pull(at, masses, cuts, T::one(), gradients.each_mut().map(|g| &mut g[..]), scratch);
            value = T::Acc::of(value.as_f64());
            for (x, gradient) in at.x.iter().zip(&gradients) {
                let motions = x.iter().map(|&x| x - T::constant(x.value()));
                value += motions.zip(gradient).map(|(dx, g)| (dx * *g).widen()).sum::<T::Acc>();
            }
            gradients.into_iter().for_each(|g| scratch.reals.give(g));
            let sums = shares.sums(&masses.sample);
            let gap = [0, 1, 2].map(|j| masses.anchors[j] - sums.mass[j]);
            let moves = sums.solve(gap, sums.flat(self.resolution::<T>()));
            cuts.shift.iter_mut().zip(moves).for_each(|(shift, by)| *shift += by);
        }
        shares.give(scratch);
        T::narrow(value)
    }

    /// Writes `dvalue` times the gradient. The anchors' masses stay as they are when the sum that gives the value
    /// is extended by multiples of them, their prices, such that it does not change with the cuts.
    fn pull<T: Real>(
        &self,
        at: Args<'_, T, 3>,
        masses: &Masses<T::Acc>,
        cuts: &Cuts<T::Acc>,
        dvalue: T,
        [dx, dweights, dq]: [&mut [T]; 3],
        scratch: &mut Scratch<T>,
    ) {
        let [x, ..] = at.x;
        let shares = Shares::new(x, self.softness, cuts, scratch);
        let unit = T::Acc::of(self.softness);
        let rate = dvalue.widen() / T::Acc::of(self.width);
        let origin = cuts.origin.map(T::Acc::of);
        let sums = shares.sums(&masses.sample);
        // What mass is worth at the two cuts, counted from the cuts' origins so that small differences keep
        // their digits.
        let beyond = |x: T, j: usize| rate * (x.widen() - origin[j]);
        let between = rate * (origin[1] - origin[0]);
        let mut pulled = [T::Acc::zero(); 3];
        for (([first, middle, last], &a), &x) in shares.iter().zip(&masses.sample).zip(x) {
            let (low, high) = (a * middle * first * beyond(x, 0), a * middle * last * beyond(x, 1));
            pulled[0] += low;
            pulled[1] += -(low + high);
            pulled[2] += high;
        }
        pulled[0] += sums.common[1] * between;
        pulled[2] += -sums.common[1] * between;
        let flat = sums.flat(self.resolution::<T>());
        let mut prices = sums.solve(pulled, flat);
        for j in (0..2).filter(|&j| flat[j]) {
            // In a gap, all that is near the cut is taken to be at it.
            prices[j] = rate * cuts.moved(j, self.softness);
        }
        let span = between + prices[1] - prices[0];
        dq[0] = T::narrow(span);
        let mut mean = T::Acc::zero();
        let mut worths = scratch.wide.empty();
        let rows = shares.iter().zip(&masses.sample).zip(x);
        for (dx, (([first, middle, last], &a), &x)) in dx.iter_mut().zip(rows) {
            let (low, high) = (prices[0] - beyond(x, 0), prices[1] - beyond(x, 1));
            let traded = middle * (last * high - first * low) + T::Acc::of(2.0) * first * last * span;
            *dx = T::narrow(a * (rate * middle + traded / unit));
            let worth = middle * beyond(x, 0) + first * prices[0] + last * (prices[0] + span);
            mean += a * worth;
            worths.push(worth);
        }
        for (dw, &worth) in dweights.iter_mut().zip(&worths) {
            *dw = T::narrow((worth - mean) / masses.total);
        }
        scratch.wide.give(worths);
        shares.give(scratch);
    }
}

impl Operator<3> for TransportQuantile {
    const NAME: &'static str = "transport_quantile";
    const SIGNATURE: &'static str = "x(n>=1), weights(n), q() -> value()";
    type Saved<T: Real> = Saved<T>;

    fn validate(&self, _: &[usize]) -> Result<(), Error> {
        self.check(Self::NAME)
    }

    fn work(&self, sizes: &[usize]) -> usize {
        100 * sizes.iter().product::<usize>()
    }

    fn scaling(&self) -> Option<Scaling<3>> {
        Some(Scaling { softness: self.softness, power: 1, inputs: [1, 0, 0], outputs: [1] })
    }

    fn forward<T: Real>(
        &self,
        at: Args<'_, T, 3>,
        [value]: [&mut [T]; 1],
        Saved(saved): &mut Saved<T>,
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let [x, weights, q] = at.x;
        let masses = Masses::new(weights, q[0], self.width, scratch)?;
        value[0] = T::nan();
        if x.iter().all(|x| x.is_finite()) {
            let mut cuts = self.cuts(at.x, &masses, scratch)?;
            value[0] = self.value(at, &masses, &mut cuts, scratch);
            *saved = Some(cuts);
        }
        scratch.wide.give(masses.sample);
        Ok(())
    }

    fn lift<F: Float>(
        &self,
        at: Args<'_, Dual<F>, 3>,
        values: Point<'_, F, Saved<F>, 3>,
        [value]: [&mut [Dual<F>]; 1],
        Saved(saved): &mut Saved<Dual<F>>,
        scratch: &mut Scratch<Dual<F>>,
    ) -> Result<(), Fault> {
        value[0] = Real::nan();
        if let Saved(Some(Cuts { origin, shift })) = *values.saved {
            let masses = Masses::new(at.x[1], at.x[2][0], self.width, scratch)?;
            let mut cuts = Cuts { origin, shift: shift.map(|s| Real::of(s.as_f64())) };
            value[0] = self.value(at, &masses, &mut cuts, scratch);
            *saved = Some(cuts);
            scratch.wide.give(masses.sample);
        }
        Ok(())
    }

    fn vjp<T: Real>(
        &self,
        at: Point<'_, T, Saved<T>, 3>,
        [dvalue]: [&[T]; 1],
        dx: [&mut [T]; 3],
        scratch: &mut Scratch<T>,
    ) {
        let [_, weights, q] = at.x;
        match (&at.saved.0, Masses::new(weights, q[0], self.width, scratch)) {
            (Some(cuts), Ok(masses)) => {
                self.pull(at.args(), &masses, cuts, dvalue[0], dx, scratch);
                scratch.wide.give(masses.sample);
            }
            _ => dx.into_iter().for_each(|dx| dx.fill(T::nan())),
        }
    }

    fn hard<T: Float>(
        &self,
        at: Args<'_, T, 3>,
        [value]: [&mut [T]; 1],
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let [x, weights, q] = at.x;
        if x.iter().any(|x| !x.is_finite()) {
            value[0] = T::nan();
            return Ok(());
        }
        let masses = Masses::new(weights, q[0], self.width, scratch)?;
        let mut order = scratch.indices.empty();
        order.extend(0..x.len() as u32);
        order.sort_unstable_by_key(|&i| x[i as usize].key());
        let low = masses.anchors[0].as_f64();
        let high = low + self.width;
        let (mut reached, mut sum, mut mass) = (0.0f64, 0.0, 0.0);
        for i in order.iter().map(|&i| i as usize) {
            let next = reached + masses.sample[i].as_f64();
            let share = (next.min(high) - reached.max(low)).max(0.0);
            sum += share * (x[i].to_f64() - x[0].to_f64());
            mass += share;
            reached = next;
        }
        value[0] = T::of(x[0].to_f64() + sum / mass);
        scratch.indices.give(order);
        scratch.wide.give(masses.sample);
        Ok(())
    }
}

impl Contract<3> for TransportQuantile {
    const SUMMARY: &'static str = "quantile of a weighted sample, by optimal transport to three anchors";
    const PAPER: &'static str = "Cuturi, Teboul and Vert, NeurIPS 2019, arXiv:1905.11885";
    const COST: &'static str = "O(n) and some ten passes forward, O(n) backward, O(n) memory";

    fn cases() -> Vec<Self> {
        [(0.1, 0.1), (1.0, 0.3), (20.0, 0.02)].map(|(softness, width)| Self { softness, width }).to_vec()
    }

    fn laws(&self) -> Vec<Law> {
        vec![Law::ShiftEquivariant]
    }

    /// The paper's cost; the two free potentials of the anchors by bisection, one within the other.
    fn oracle(&self, at: Args<'_, f64, 3>) -> Option<[Vec<f64>; 1]> {
        let [x, weights, q] = at.x;
        let total: f64 = weights.iter().sum();
        let targets = [q[0] - 0.5 * self.width, self.width, 1.0 - q[0] - 0.5 * self.width];
        // The share of each anchor in one value, for potentials of which the middle one is 0.
        let shares = |x: f64, g: [f64; 3]| {
            let u = [0, 1, 2].map(|j| (g[j] - (x - 0.5 * j as f64).powi(2)) / self.softness);
            let top = u.into_iter().fold(f64::NEG_INFINITY, f64::max);
            let e = u.map(|u| (u - top).exp());
            let total: f64 = e.iter().sum();
            e.map(|e| e / total)
        };
        let mass = |g: [f64; 3], j: usize| -> f64 {
            x.iter().zip(weights).map(|(&x, w)| w / total * shares(x, g)[j]).sum()
        };
        let reach = 100.0 * self.softness + 4.0 * x.iter().fold(1.0, |a: f64, x| a.max(x.abs()));
        let bisect = |above: &dyn Fn(f64) -> bool| {
            let (mut low, mut high) = (-reach, reach);
            for _ in 0..70 {
                let middle = 0.5 * (low + high);
                if above(middle) { high = middle } else { low = middle }
            }
            0.5 * (low + high)
        };
        let last = |first: f64| bisect(&|last| mass([first, 0.0, last], 2) > targets[2]);
        let first = bisect(&|first| mass([first, 0.0, last(first)], 0) > targets[0]);
        let g = [first, 0.0, last(first)];
        let value = x.iter().zip(weights).map(|(&x, w)| w / total * shares(x, g)[1] * x / self.width);
        Some([vec![value.sum()]])
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

/// The quantile at level `q` `(…)` of `x` `(…, n)` with `weights` `(…, n)`, by entropic optimal transport to
/// three anchors, of which the middle one holds a tenth of the sample about the level: the mean of what goes
/// there,
///
/// $$ v = \frac1t \sum_i P_{i2} x_i, \qquad b = (q - t/2, t, 1 - q - t/2), \quad t = 0.1 $$
///
/// * Shapes: `(…, n)`, `(…, n)` and `(…)`, where leading axes of 1 are repeated, to `(…)`; n ≥ 1.
/// * Softness: ε, in the unit of `x`. As it grows, $v$ tends to the weighted mean, whatever the level.
/// * Hard limit: the mean of the empirical quantiles of the levels from $q - t/2$ to $q + t/2$.
/// * Gradient: exact, to values, weights and level.
/// * A weight of 0 leaves a value out. An item with NaN or ±∞ in `x` gives NaN.
/// * Cost: O(n) and some ten passes forward, O(n) backward.
/// * Errors: a softness that is not finite and above zero; weights that are negative, not finite or all zero; a
///   level within 0.05 of 0 or 1; n = 0.
///
/// For another width, the hard form, another axis or ragged batches, call
/// [`evaluate`](supple_core::evaluate()) with a [`TransportQuantile`]; for gradients,
/// [`linearize`](supple_core::linearize).
///
/// ```
/// use ndarray::{Array1, arr0, array};
/// use supple_ops::quantile::transport_quantile;
/// let x = array![0.0, 1.0, 5.0];
/// let median = transport_quantile(&x, &Array1::ones(3), &arr0(0.5), 0.01)?;
/// assert!((median.into_scalar() - 1.0_f64).abs() < 1e-12);
/// # Ok::<(), supple_core::Error>(())
/// ```
///
/// Cuturi, Teboul and Vert, *Differentiable ranks and sorting using optimal transport*, NeurIPS 2019,
/// <https://arxiv.org/abs/1905.11885>.
pub fn transport_quantile<'a, T: Float, D: RemoveAxis, E: Dimension, F: Dimension>(
    x: impl Into<ArrayView<'a, T, D>>,
    weights: impl Into<ArrayView<'a, T, E>>,
    q: impl Into<ArrayView<'a, T, F>>,
    softness: f64,
) -> Result<Array<T, D::Smaller>, Error> {
    let operator = TransportQuantile { softness, ..TransportQuantile::default() };
    let inputs = [x.into().into_dyn(), weights.into().into_dyn(), q.into().into_dyn()];
    let [value] = evaluate(&operator, inputs)?;
    let narrower = |e| Error::unsupported(TransportQuantile::NAME, "an output of one axis less than `x`", e);
    value.into_dimensionality().map_err(narrower)
}
