//! Ranks by entropic optimal transport, with weights.
//!
//! The values $x_i$ of masses $a_i = w_i / \sum_k w_k$ are transported to n places of mass $1/n$, at
//! $y_j = (j - 1)/(n - 1)$, by the plan of [`sinkhorn_sort`](super::sinkhorn_sort()). A rank is the mean place
//! that a value goes to:
//!
//! $$ r_i = \frac{1}{a_i} \sum_j P_{ij} j, \qquad
//! P = \operatorname*{argmin}_{P 1 = a,\ P^\top 1 = 1/n} \sum_{ij} P_{ij} (x_i - y_j)^2
//! + \varepsilon \sum_{ij} P_{ij} (\ln P_{ij} - 1) . $$
//!
//! Ranks count from 1 and ascend; descending ranks are $r(-x) = n + 1 - r(x)$.
//!
//! * Softness: the unit of `x`; ε. As it grows, all ranks approach $(n + 1)/2$. See
//!   [`sinkhorn_sort`](super::sinkhorn_sort()) for what it blurs.
//! * Weights: not negative, not all zero; only their ratios count. A value of weight zero has a rank among
//!   the others and no influence on theirs.
//! * Hard limit: with equal weights, ranks in which equal values share the mean of their places. With others,
//!   a value fills the places between the weights before and after it, and its rank is their mean.
//! * Gradient: exact, to `x` and to the weights, by the implicit function theorem. Smooth to any order.
//! * ±∞ ranks first or last; equal infinities share. A NaN makes its whole item NaN.
//! * Cost: about O(n log n): as for [`sinkhorn_sort`](super::sinkhorn_sort()).
//!
//! Paper: Cuturi, Teboul, Vert, *Differentiable ranks and sorting using optimal transport*, NeurIPS 2019,
//! <https://arxiv.org/abs/1905.11885>. Its reference code counts ranks from 0.

use super::permutahedron::{check_length, sorted, spoilt};
use super::sinkhorn::{check, naive, places, sample, scatter, scatter_masses, work};
use ndarray::{Array, ArrayView, Dimension};
use supple_core::{
    Args, Contract, Dual, Error, Evaluated, Fault, Float, Law, Operator, Params, Point, Real, Sample,
    Scaling, Scratch, Stream, evaluate, params,
};
use supple_numerics::line_transport::{Line, Saved};

params! {
    /// Ranks by entropic transport.
    pub struct SinkhornRank {
        /// Strength ε of the entropy; the unit of `x`.
        softness: f64 = 0.1, Positive;
        /// Whether the largest value gets rank 1.
        descending: bool = false, Any;
    }
}

impl Operator<2> for SinkhornRank {
    const NAME: &'static str = "sinkhorn_rank";
    const SIGNATURE: &'static str = "x(n>=1), weights(n) -> ranks(n)";
    type Saved<T: Real> = Saved<T>;

    fn validate(&self, sizes: &[usize]) -> Result<(), Error> {
        self.check(Self::NAME)?;
        check_length(Self::NAME, sizes)
    }

    fn work(&self, sizes: &[usize]) -> usize {
        work(sizes)
    }

    fn scaling(&self) -> Option<Scaling<2>> {
        Some(Scaling { softness: self.softness, power: 1, inputs: [1, 0], outputs: [0] })
    }

    fn forward<T: Real>(
        &self,
        at: Args<'_, T, 2>,
        [ranks]: [&mut [T]; 1],
        saved: &mut Saved<T>,
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let [x, weights] = at.x;
        check(weights)?;
        let line = places(x.len(), self.softness, self.descending).solve(x, Some(weights), saved, scratch)?;
        write(line, &saved.order, ranks);
        Ok(())
    }

    fn lift<F: Float>(
        &self,
        at: Args<'_, Dual<F>, 2>,
        values: Point<'_, F, Saved<F>, 2>,
        [ranks]: [&mut [Dual<F>]; 1],
        saved: &mut Saved<Dual<F>>,
        _: &mut Scratch<Dual<F>>,
    ) -> Result<(), Fault> {
        let [x, weights] = at.x;
        let line =
            places(x.len(), self.softness, self.descending).lift(x, Some(weights), values.saved, saved);
        write(line, &saved.order, ranks);
        Ok(())
    }

    fn vjp<T: Real>(
        &self,
        at: Point<'_, T, Saved<T>, 2>,
        [dr]: [&[T]; 1],
        [dx, dweights]: [&mut [T]; 2],
        _: &mut Scratch<T>,
    ) {
        let [x, weights] = at.x;
        let line = places(x.len(), self.softness, self.descending).at(x, Some(weights), at.saved);
        let Some(line) = line else {
            dx.fill(T::nan());
            return dweights.fill(T::nan());
        };
        let (plan, order) = (&line.plan, &at.saved.order);
        let place: Vec<T::Acc> = (0..dr.len()).map(|j| T::Acc::of(j as f64)).collect();
        let bars: Vec<T::Acc> = order.iter().map(|&i| dr[i as usize].widen()).collect();
        let (means, variances) = plan.means(&place);
        let pulled: Vec<T::Acc> = bars.iter().zip(&means).map(|(&bar, &mean)| bar * mean).collect();
        let (ahead, back) = (plan.totals(&bars), plan.totals(&pulled));
        let load: Vec<T::Acc> =
            place.iter().zip(ahead.iter().zip(&back)).map(|(&j, (&ahead, &back))| j * ahead - back).collect();
        let (held, slopes) = plan.means(&plan.potentials(&load));
        let rate = T::Acc::of(if self.descending { -plan.problem().rate } else { plan.problem().rate });
        let masses = &plan.problem().weights;
        let to_value = |i: usize| rate * (bars[i] * variances[i] - masses[i] * slopes[i]);
        scatter(order, &line, (0..bars.len()).map(to_value), dx);
        let to_mass: Vec<T::Acc> = held.into_iter().map(|held| -held).collect();
        scatter_masses(order, &line, &to_mass, dweights);
    }

    fn hard<T: Float>(
        &self,
        at: Args<'_, T, 2>,
        [ranks]: [&mut [T]; 1],
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let [x, weights] = at.x;
        check(weights)?;
        let (order, z) = sorted(x, self.descending, scratch);
        if spoilt(&z) {
            ranks.fill(T::nan());
        } else {
            let mass = |i: &u32| weights[*i as usize].to_f64();
            let part = order.iter().map(mass).sum::<f64>() / x.len() as f64;
            let (mut start, mut before) = (0, 0.0);
            for ties in z.chunk_by(|a, b| a == b) {
                let tied = &order[start..start + ties.len()];
                let after = before + tied.iter().map(mass).sum::<f64>();
                let rank = mean_place(before / part, after / part).clamp(1.0, x.len() as f64);
                tied.iter().for_each(|&i| ranks[i as usize] = T::of(rank));
                (start, before) = (start + ties.len(), after);
            }
        }
        scratch.indices.give(order);
        scratch.reals.give(z);
        Ok(())
    }
}

fn write<T: Real>(line: Option<Line<T::Acc>>, order: &[u32], ranks: &mut [T]) {
    let Some(line) = line else { return ranks.fill(T::nan()) };
    for (&i, place) in order.iter().zip(line.plan.places()) {
        ranks[i as usize] = T::narrow(T::Acc::one() + place);
    }
}

/// The mean of ⌈t⌉ for t between two ends, in units of the mass of a place.
fn mean_place(start: f64, end: f64) -> f64 {
    // An end that is at a border but for rounding is there.
    let [start, end] = [start, end].map(|t| if (t - t.round()).abs() < 1e-9 { t.round() } else { t });
    if end - start < 1e-9 {
        return 0.5 * (start.ceil() + start.floor() + 1.0);
    }
    let integral = |t: f64| 0.5 * t.floor() * (t.floor() + 1.0) + (t - t.floor()) * (t.floor() + 1.0);
    (integral(end) - integral(start)) / (end - start)
}

impl Contract<2> for SinkhornRank {
    const SUMMARY: &'static str = "ranks with weights, by entropic transport to places";
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
            let mean: f64 = at.y[0].iter().zip(at.x[1]).map(|(r, w)| r * w / total).sum();
            mean - 0.5 * (at.sizes[0] + 1) as f64
        };
        vec![
            Law::Within(Box::new(|sizes| (1.0, sizes[0] as f64))),
            Law::ShiftInvariant,
            Law::Reversal(Box::new(|rank, sizes| (sizes[0] + 1) as f64 - rank)),
            Law::Vanishes("mean_rank_is_the_middle", Box::new(mean)),
        ]
    }

    fn oracle(&self, at: Args<'_, f64, 2>) -> Option<[Vec<f64>; 1]> {
        let ([x, weights], n) = (at.x, at.x[0].len());
        let plan = naive(x, weights, self.softness);
        let rank = |row: &[f64]| {
            let mean = (1..).zip(row).map(|(j, p)| f64::from(j) * p).sum::<f64>() / row.iter().sum::<f64>();
            if self.descending { (n + 1) as f64 - mean } else { mean }
        };
        Some([plan.chunks(n).map(rank).collect()])
    }

    fn sample(&self, _: &[usize], lengths: [usize; 2], random: &mut Stream) -> Sample<2> {
        sample(lengths, random)
    }

    fn free(&self) -> [bool; 2] {
        [true, false]
    }
}

/// Ranks along the last axis, from 1 for the smallest to n for the largest, by entropic optimal transport of
/// the values to n places, with `weights`.
///
/// $$ r_i = \frac{1}{a_i} \sum_j P_{ij} j, \qquad P = \operatorname*{argmin}_{P 1 = a,\ P^\top 1 = 1/n}
/// \sum_{ij} P_{ij} \Bigl(x_i - \frac{j - 1}{n - 1}\Bigr)^2
/// + \varepsilon \sum_{ij} P_{ij} (\ln P_{ij} - 1), \qquad a_i = \frac{w_i}{\sum_k w_k} $$
///
/// * Shapes: `(…, n)` and `(…, n)` to `(…, n)`, n ≥ 1. Weights of all ones give the usual ranks.
/// * Softness: ε, in the unit of `x`. As it grows, all ranks approach (n + 1) / 2.
/// * Hard limit: ranks in which equal values share the mean of their places; with unequal weights, the mean
///   of the places that the value's weight fills.
/// * Gradient: exact, to `x` and to the weights, by the implicit function theorem.
/// * ±∞ ranks first or last. NaN makes its item NaN.
/// * Cost: about O(n log n) forward and backward, O(n) memory.
/// * Errors: a softness that is not finite and above zero; weights that are negative, not finite or all zero.
///
/// For descending ranks, another axis or ragged batches, call [`evaluate`] with a [`SinkhornRank`]; for
/// gradients, [`linearize`](supple_core::linearize).
///
/// ```
/// use ndarray::array;
/// use supple_ops::order::sinkhorn_rank;
/// let x = array![3.0, 1.0, 2.0];
/// let ranks = sinkhorn_rank(&x, &array![1.0, 1.0, 1.0], 1e-3)?;
/// assert!((ranks - array![3.0, 1.0, 2.0]).iter().all(|gap: &f64| gap.abs() < 1e-12));
/// // Of two values the plan is a 2×2 matrix, with the odds e^{gap / ε} of the right place.
/// let ranks = sinkhorn_rank(&array![0.0, f64::ln(2.0)], &array![1.0, 1.0], 1.0)?;
/// assert!((ranks - array![4.0 / 3.0, 5.0 / 3.0]).iter().all(|gap| gap.abs() < 1e-12));
/// # Ok::<(), supple_core::Error>(())
/// ```
///
/// Cuturi, Teboul, Vert, *Differentiable ranks and sorting using optimal transport*, NeurIPS 2019,
/// <https://arxiv.org/abs/1905.11885>.
pub fn sinkhorn_rank<'a, T: Float, D: Dimension>(
    x: impl Into<ArrayView<'a, T, D>>,
    weights: impl Into<ArrayView<'a, T, D>>,
    softness: f64,
) -> Result<Array<T, D>, Error> {
    let operator = SinkhornRank { softness, ..SinkhornRank::default() };
    let [ranks] = evaluate(&operator, [x.into().into_dyn(), weights.into().into_dyn()])?;
    let narrower = |e| Error::unsupported(SinkhornRank::NAME, "an output of the rank of `x`", e);
    ranks.into_dimensionality().map_err(narrower)
}
