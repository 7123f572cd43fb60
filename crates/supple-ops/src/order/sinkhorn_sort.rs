//! Sorted values by entropic optimal transport, with weights.
//!
//! The values $x_i$ of masses $a_i = w_i / \sum_k w_k$ are transported to n places of mass
//! $1/n$, at $y_j = (j - 1)/(n - 1)$:
//!
//! $$ P = \operatorname*{argmin}_{P 1 = a,\ P^\top 1 = 1/n} \sum_{ij} P_{ij} (x_i - y_j)^2
//! + \varepsilon \sum_{ij} P_{ij} (\ln P_{ij} - 1), \qquad s_j = n \sum_i P_{ij} x_i $$
//!
//! A sorted value is the mean of what arrives at its place. The result ascends; the descending one is its
//! reverse.
//!
//! * Softness: the unit of `x`; ε. Of the squared distance only the product $-2 x_i y_j$ matters for the
//!   plan, so shifts do not. A value spreads over about the fraction $\sqrt{\varepsilon / 2 R}$ of the places,
//!   where R is the range of `x`. As ε grows, all outputs approach the mean. The paper squashes `x` into
//!   [0, 1] first; here that is left to the caller.
//! * Weights: not negative, not all zero; only their ratios count. A value of weight zero is not there. With
//!   unequal weights, $s_j$ approximates the mean of the weighted quantile function between the levels
//!   $(j - 1)/n$ and $j/n$: the hard limit. With equal ones, that is the sorted values.
//! * Gradient: exact, to `x` and to the weights, by the implicit function theorem. Smooth to any order.
//! * ±∞ goes first or last, and a place that it has a part of is infinite. A NaN makes its whole item NaN.
//! * Cost: about O(n log n): a few Newton steps, whose linear systems take some ten products with a
//!   compressed plan each. The plan is not formed, and exact to round-off.
//!
//! Paper: Cuturi, Teboul, Vert, *Differentiable ranks and sorting using optimal transport*, NeurIPS 2019,
//! <https://arxiv.org/abs/1905.11885>.

use super::permutahedron::{check_length, sorted, spoilt};
use super::sinkhorn::{check, naive, places, sample, scatter, scatter_masses, work};
use ndarray::{Array, ArrayView, Dimension};
use supple_core::{
    Args, Contract, Dual, Error, Evaluated, Fault, Float, Law, Operator, Params, Point, Real, Sample,
    Scaling, Scratch, Stream, evaluate, params,
};
use supple_numerics::line_transport::{Line, Saved};

params! {
    /// Sorted values by entropic transport.
    pub struct SinkhornSort {
        /// Strength ε of the entropy; the unit of `x`.
        softness: f64 = 0.1, Positive;
        /// Whether the largest value comes first.
        descending: bool = false, Any;
    }
}

impl Operator<2> for SinkhornSort {
    const NAME: &'static str = "sinkhorn_sort";
    const SIGNATURE: &'static str = "x(n>=1), weights(n) -> sorted(n)";
    type Saved<T: Real> = Saved<T>;

    fn validate(&self, sizes: &[usize]) -> Result<(), Error> {
        self.check(Self::NAME)?;
        check_length(Self::NAME, sizes)
    }

    fn work(&self, sizes: &[usize]) -> usize {
        work(sizes)
    }

    fn scaling(&self) -> Option<Scaling<2>> {
        Some(Scaling { softness: self.softness, power: 1, inputs: [1, 0], outputs: [1] })
    }

    fn forward<T: Real>(
        &self,
        at: Args<'_, T, 2>,
        [y]: [&mut [T]; 1],
        saved: &mut Saved<T>,
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let [x, weights] = at.x;
        check(weights)?;
        let line = places(x.len(), self.softness, self.descending).solve(x, Some(weights), saved, scratch)?;
        self.write(line, y);
        Ok(())
    }

    fn lift<F: Float>(
        &self,
        at: Args<'_, Dual<F>, 2>,
        values: Point<'_, F, Saved<F>, 2>,
        [y]: [&mut [Dual<F>]; 1],
        saved: &mut Saved<Dual<F>>,
        _: &mut Scratch<Dual<F>>,
    ) -> Result<(), Fault> {
        let [x, weights] = at.x;
        let line =
            places(x.len(), self.softness, self.descending).lift(x, Some(weights), values.saved, saved);
        self.write(line, y);
        Ok(())
    }

    fn vjp<T: Real>(
        &self,
        at: Point<'_, T, Saved<T>, 2>,
        [dy]: [&[T]; 1],
        [dx, dweights]: [&mut [T]; 2],
        _: &mut Scratch<T>,
    ) {
        let ([x, weights], n) = (at.x, T::Acc::of(dy.len() as f64));
        let line = places(x.len(), self.softness, self.descending).at(x, Some(weights), at.saved);
        let Some(line) = line else {
            dx.fill(T::nan());
            return dweights.fill(T::nan());
        };
        // Infinite outputs do not move.
        let finite = |(dy, y): (&T, &T)| if y.is_finite() { n * dy.widen() } else { T::Acc::zero() };
        let bars: Vec<T::Acc> = dy.iter().zip(at.y[0]).map(finite).collect();
        let (problem, x) = (line.plan.problem(), finite_values(&line));
        let carried: Vec<T::Acc> = problem.weights.iter().zip(&x).map(|(&a, &x)| a * x).collect();
        let (means, slopes) = line.plan.means(&bars);
        let back: Vec<T::Acc> = carried.iter().zip(&means).map(|(&carried, &mean)| carried * mean).collect();
        let (carried, back) = (line.plan.totals(&carried), line.plan.totals(&back));
        let load: Vec<T::Acc> = bars
            .iter()
            .zip(&carried)
            .zip(&back)
            .map(|((&bar, &carried), &back)| bar * carried - back)
            .collect();
        let (held, held_slopes) = line.plan.means(&line.plan.potentials(&load));
        let rate = T::Acc::of(problem.rate);
        let to_value =
            |i: usize| problem.weights[i] * (means[i] + rate * (x[i] * slopes[i] - held_slopes[i]));
        scatter(&at.saved.order, &line, (0..x.len()).map(to_value), dx);
        let sign = if self.descending { -T::Acc::one() } else { T::Acc::one() };
        let to_mass: Vec<T::Acc> = (0..x.len()).map(|i| sign * (x[i] * means[i] - held[i])).collect();
        scatter_masses(&at.saved.order, &line, &to_mass, dweights);
    }

    fn hard<T: Float>(
        &self,
        at: Args<'_, T, 2>,
        [y]: [&mut [T]; 1],
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let [x, weights] = at.x;
        check(weights)?;
        let (order, z) = sorted(x, self.descending, scratch);
        if spoilt(&z) {
            y.fill(T::nan());
        } else {
            let masses: Vec<f64> = order.iter().map(|&i| weights[i as usize].to_f64()).collect();
            quantile_means(&z, &masses, y);
            if self.descending {
                y.iter_mut().for_each(|y| *y = -*y);
            }
        }
        scratch.indices.give(order);
        scratch.reals.give(z);
        Ok(())
    }
}

/// The means of equal parts of sorted values.
fn quantile_means<T: Float>(z: &[T], masses: &[f64], y: &mut [T]) {
    let part = masses.iter().sum::<f64>() / y.len() as f64;
    let mut values = z.iter().zip(masses);
    let (mut value, mut mass) = (0.0, 0.0);
    for y in y {
        let (mut sum, mut taken) = (0.0, 0.0);
        // What is less is rounding.
        while part - taken > 1e-9 * part {
            if mass <= 1e-9 * part {
                let Some((&x, &m)) = values.next() else { break };
                (value, mass) = (x.to_f64(), m);
                continue;
            }
            let take = f64::min(mass, part - taken);
            sum += take * value;
            taken += take;
            mass -= take;
        }
        *y = T::of(sum / taken);
    }
}

impl SinkhornSort {
    fn write<T: Real>(&self, line: Option<Line<T::Acc>>, y: &mut [T]) {
        let Some(line) = line else { return y.fill(T::nan()) };
        let n = T::Acc::of(y.len() as f64);
        let weights = &line.plan.problem().weights;
        let carried: Vec<T::Acc> = weights.iter().zip(finite_values(&line)).map(|(&a, x)| a * x).collect();
        let sign = if self.descending { -T::Acc::one() } else { T::Acc::one() };
        for (y, carried) in y.iter_mut().zip(line.plan.totals(&carried)) {
            *y = T::narrow(sign * (line.centre + n * carried));
        }
        for (infinite, value) in [
            (0..line.finite.start, -T::Acc::infinity()),
            (line.finite.end..weights.len(), T::Acc::infinity()),
        ] {
            if infinite.is_empty() {
                continue;
            }
            let inside = |i: usize| if infinite.contains(&i) { weights[i] } else { T::Acc::zero() };
            let parts = line.plan.totals(&(0..weights.len()).map(inside).collect::<Vec<_>>());
            for (y, part) in y.iter_mut().zip(parts) {
                // What is less is rounding.
                if (n * part).as_f64() > 1e-9 {
                    *y += T::narrow(sign * value);
                }
            }
        }
    }
}

/// The values less the centre, with 0 for infinities.
fn finite_values<A: Real<Acc = A>>(line: &Line<A>) -> Vec<A> {
    let values = line.plan.problem().values.iter().enumerate();
    values.map(|(i, &x)| if line.finite.contains(&i) { x } else { A::zero() }).collect()
}

impl Contract<2> for SinkhornSort {
    const SUMMARY: &'static str = "sorted values with weights, by entropic transport to places";
    const PAPER: &'static str = "Cuturi, Teboul and Vert, NeurIPS 2019, arXiv:1905.11885";
    const COST: &'static str = "about O(n log n) forward and backward, O(n) memory";

    fn cases() -> Vec<Self> {
        [(0.1, false), (1.0, true), (20.0, false)]
            .map(|(softness, descending)| Self { softness, descending })
            .to_vec()
    }

    fn laws(&self) -> Vec<Law> {
        let mean = |at: Evaluated<'_>| {
            let total: f64 = at.x[1].iter().sum();
            let carried: f64 = at.x[0].iter().zip(at.x[1]).map(|(x, w)| x * w / total).sum();
            at.y[0].iter().sum::<f64>() / at.y[0].len() as f64 - carried
        };
        vec![
            if self.descending { Law::Descending } else { Law::Ascending },
            Law::ShiftEquivariant,
            Law::Vanishes("keeps_the_mean", Box::new(mean)),
        ]
    }

    fn oracle(&self, at: Args<'_, f64, 2>) -> Option<[Vec<f64>; 1]> {
        let ([x, weights], n) = (at.x, at.x[0].len());
        let plan = naive(x, weights, self.softness);
        let mut y: Vec<f64> =
            (0..n).map(|j| (0..n).map(|i| plan[i * n + j] * x[i]).sum::<f64>() * n as f64).collect();
        if self.descending {
            y.reverse();
        }
        Some([y])
    }

    fn sample(&self, _: &[usize], lengths: [usize; 2], random: &mut Stream) -> Sample<2> {
        sample(lengths, random)
    }

    fn free(&self) -> [bool; 2] {
        [true, false]
    }
}

/// Sorted values along the last axis, ascending, by entropic optimal transport of the values to n places,
/// with `weights`.
///
/// $$ s_j = n \sum_i P_{ij} x_i, \qquad P = \operatorname*{argmin}_{P 1 = a,\ P^\top 1 = 1/n}
/// \sum_{ij} P_{ij} \Bigl(x_i - \frac{j - 1}{n - 1}\Bigr)^2
/// + \varepsilon \sum_{ij} P_{ij} (\ln P_{ij} - 1), \qquad a_i = \frac{w_i}{\sum_k w_k} $$
///
/// * Shapes: `(…, n)` and `(…, n)` to `(…, n)`, n ≥ 1. Weights of all ones sort; others weigh.
/// * Softness: ε, in the unit of `x`. As it grows, all outputs approach the mean.
/// * Hard limit: the sorted values; with unequal weights the means of n equal parts of the weighted values.
/// * Gradient: exact, to `x` and to the weights, by the implicit function theorem.
/// * ±∞ comes out first or last. NaN makes its item NaN.
/// * Cost: about O(n log n) forward and backward, O(n) memory.
/// * Errors: a softness that is not finite and above zero; weights that are negative, not finite or all zero.
///
/// For descending order, another axis or ragged batches, call [`evaluate`] with a [`SinkhornSort`]; for
/// gradients, [`linearize`](supple_core::linearize).
///
/// ```
/// use ndarray::array;
/// use supple_ops::order::sinkhorn_sort;
/// let x = array![3.0, 1.0, 2.0];
/// let y = sinkhorn_sort(&x, &array![1.0, 1.0, 1.0], 1e-3)?;
/// assert!((y - array![1.0, 2.0, 3.0]).iter().all(|gap: &f64| gap.abs() < 1e-12));
/// // Half of the mass is at 3: the middle third of the mass holds half of it.
/// let y = sinkhorn_sort(&x, &array![2.0, 1.0, 1.0], 1e-3)?;
/// assert!((y - array![1.25, 2.5, 3.0]).iter().all(|gap: &f64| gap.abs() < 1e-9));
/// # Ok::<(), supple_core::Error>(())
/// ```
///
/// Cuturi, Teboul, Vert, *Differentiable ranks and sorting using optimal transport*, NeurIPS 2019,
/// <https://arxiv.org/abs/1905.11885>.
pub fn sinkhorn_sort<'a, T: Float, D: Dimension>(
    x: impl Into<ArrayView<'a, T, D>>,
    weights: impl Into<ArrayView<'a, T, D>>,
    softness: f64,
) -> Result<Array<T, D>, Error> {
    let operator = SinkhornSort { softness, ..SinkhornSort::default() };
    let [sorted] = evaluate(&operator, [x.into().into_dyn(), weights.into().into_dyn()])?;
    let narrower = |e| Error::unsupported(SinkhornSort::NAME, "an output of the rank of `x`", e);
    sorted.into_dimensionality().map_err(narrower)
}
