//! Soft ranks, by projection onto the permutahedron.
//!
//! With the permutahedron $\mathcal P(\rho)$, the convex hull of all permutations of $\rho = (1, \dots, n)$,
//!
//! $$ r(x) = \operatorname*{argmin}_{p \in \mathcal P(\rho)} \tfrac12 \lVert p - x / \varepsilon \rVert^2
//! \qquad\text{or}\qquad
//! r(x) = \operatorname*{argmin}_{p \in \mathcal P(\rho)} \operatorname{KL}(p, e^{x / \varepsilon}), $$
//!
//! `"l2"` and `"entropic"`, or with p = 3/2 or 4/3 (`"p3/2"`, `"p4/3"`)
//!
//! $$ r(x) = \operatorname*{argmax}_{y \in \mathcal P(\rho)} \langle y, x / \varepsilon \rangle -
//! \tfrac1p \sum_i |y_i|^p . $$
//!
//! Ranks count from 1 and ascend; descending ranks are $r(-x)$.
//!
//! On the sorted values, this is an isotonic regression, and its blocks $B$ of neighbouring positions give
//!
//! $$ r_i = \frac{x_i - \bar x_B}{\varepsilon} + \bar \rho_B, \qquad
//! r_i = \frac{e^{x_i / \varepsilon}}{\sum_{j \in B} e^{x_j / \varepsilon}} \sum_{j \in B} \rho_j
//! \qquad\text{or}\qquad r_i = (x_i / \varepsilon - v_B)^{q - 1} $$
//!
//! with $1/p + 1/q = 1$ (a square and a cube) and the $v_B$ at which ranks sum to $\sum_{j \in B} \rho_j$.
//!
//! * Softness: the unit of `x`; the paper's ε. Ranks of values that are ε or more apart are hard.
//! * Hard limit: ranks in which equal values share the mean of their places (`average` in SciPy).
//! * Gradient: that of the blocks. Where two blocks just touch (a kink), they count as one. The second
//!   derivative of the L2 form is zero almost everywhere.
//! * ±∞ ranks first or last; equal infinities share, and their gradient is zero. Finite values have the ranks
//!   between. A NaN makes its whole item NaN.
//! * Cost: O(n log n) for short items, O(n) for long ones by radix sort; backward O(n), without random
//!   access but for one sum for each block.
//! * Precision: ranks are right to the last place of the type at any scale and length; an `f32` near 10⁶
//!   has steps of 0.06.
//!
//! Papers: Blondel, Teboul, Berthet, Djolonga, *Fast Differentiable Sorting and Ranking*, ICML 2020,
//! <https://arxiv.org/abs/2002.08871>; for p-norms Sander, Puigcerver, Djolonga, Peyré, Blondel, *Fast,
//! differentiable and sparse top-k: a convex analysis perspective*, ICML 2023,
//! <https://arxiv.org/abs/2302.01425>.

mod division;
mod entropic;

use self::division::Division;
use super::p_norm;
pub use super::permutahedron::Regularization;
use super::permutahedron::{
    Form, average_ranks, block_means, blocks, check_length, finite, log_sum_exp, middle, minimax,
    power_value, real, sorted, spoilt,
};
use ndarray::{Array, ArrayView, Dimension};
use std::ops::Range;
use supple_core::{
    Args, Contract, Error, Fault, Float, Gradient, Law, Operator, Params, Point, Real, Scaling, Scratch, map,
    params,
};
use supple_numerics::isotonic::{self, Partition, Trend};

params! {
    /// Soft ranks.
    pub struct SoftRank {
        /// Distance at which values stop to share ranks; the unit of `x`.
        softness: f64 = 0.1, Positive;
        /// What the projection minimises.
        regularization: Regularization = Regularization::L2, Any;
        /// Whether the largest value gets rank 1.
        descending: bool = false, Any;
    }
}

/// The partition, told from the side of `x`: what lets the backward pass read in order.
#[derive(Debug, Default)]
pub struct Saved<A> {
    /// For each element, the number of its block; 0 for elements that are alone, whose rank is constant.
    pub(super) block: Vec<u32>,
    /// The weight of each block: its length, the sum of its ranks, or 1 in a p-norm. Empty for an item with a
    /// NaN.
    pub(super) weights: Vec<f64>,
    /// In a p-norm, the first value of each block, and its distance from that of the block over ε.
    pub(super) anchors: Vec<[A; 2]>,
}

impl Operator for SoftRank {
    const NAME: &'static str = "soft_rank";
    const SIGNATURE: &'static str = "x(n) -> ranks(n)";
    const GRADIENT: Gradient = Gradient::AlmostEverywhere;
    type Saved<T: Real> = Saved<T::Acc>;

    fn validate(&self, sizes: &[usize]) -> Result<(), Error> {
        self.check(Self::NAME)?;
        check_length(Self::NAME, sizes)
    }

    fn scaling(&self) -> Option<Scaling> {
        Some(Scaling { softness: self.softness, power: 1, inputs: [1], outputs: [0] })
    }

    fn forward<T: Real>(
        &self,
        at: Args<'_, T>,
        [y]: [&mut [T]; 1],
        saved: &mut Saved<T::Acc>,
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let (order, z) = sorted(at.x[0], self.descending, scratch);
        if spoilt(&z) {
            y.fill(T::nan());
        } else {
            saved.weights.push(1.0);
            let finite = finite(&z);
            for infinite in [0..finite.start, finite.end..z.len()] {
                let rank = T::of(middle(infinite.start, infinite.end));
                order[infinite].iter().for_each(|&i| y[i as usize] = rank);
            }
            let line = Line { before: finite.start, z: &z[finite.clone()], order: &order[finite] };
            self.project(line, at.x[0], y, saved, scratch);
        }
        scratch.indices.give(order);
        scratch.reals.give(z);
        Ok(())
    }

    fn vjp<T: Real>(
        &self,
        at: Point<'_, T, Saved<T::Acc>>,
        [dy]: [&[T]; 1],
        [dx]: [&mut [T]; 1],
        scratch: &mut Scratch<T>,
    ) {
        let Saved { block, weights, .. } = at.saved;
        match weights.len() {
            0 => return dx.fill(T::nan()),
            // All are alone.
            1 => return dx.fill(T::zero()),
            _ => {}
        }
        let rate = if self.descending { -1.0 } else { 1.0 } / self.softness;
        if let Form::Norm(power) = self.regularization.form() {
            return p_norm::ranks_vjp(power, rate, at.x[0], at.saved, dy, dx, scratch);
        }
        let entropic = self.regularization == Regularization::Entropic;
        let weight = |y: T| if entropic { y } else { T::one() };
        let weighted = dy.iter().zip(at.y[0]).map(|(&dy, &y)| (weight(y) * dy).widen());
        let means = block_means(block, weights, weighted, scratch);
        // One rate for each block, because a choice between two would become a branch.
        let mut rates = scratch.reals.empty();
        rates.resize(means.len(), T::of(rate));
        rates[0] = T::zero();
        for (((dx, &b), &dy), &y) in dx.iter_mut().zip(block).zip(dy).zip(at.y[0]) {
            *dx = rates[b as usize] * (weight(y) * (dy - T::narrow(means[b as usize])));
        }
        scratch.wide.give(means);
        scratch.reals.give(rates);
    }

    fn hard<T: Float>(
        &self,
        at: Args<'_, T>,
        [y]: [&mut [T]; 1],
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        average_ranks(at.x[0], self.descending, y, scratch);
        Ok(())
    }
}

/// The finite values in order, after so many smaller infinities.
#[derive(Clone, Copy)]
struct Line<'a, T> {
    before: usize,
    z: &'a [T],
    order: &'a [u32],
}

impl<T: Real> Line<'_, T> {
    /// The ranks of values that are all alone.
    fn write_places(self, y: &mut [T]) {
        for (k, &i) in self.order.iter().enumerate() {
            y[i as usize] = T::of(real(self.before + k + 1));
        }
    }
}

impl SoftRank {
    fn project<T: Real>(
        &self,
        line: Line<'_, T>,
        x: &[T],
        y: &mut [T],
        saved: &mut Saved<T::Acc>,
        scratch: &mut Scratch<T>,
    ) {
        let (Line { before, z, .. }, softness) = (line, self.softness);
        let partition = match self.regularization.form() {
            Form::L2 => isotonic::l2(z, softness, Trend::Increasing, scratch),
            Form::Entropic => {
                let starts = isotonic::entropic_ranks(z, before, softness, scratch);
                Partition { starts, sums: scratch.wide.empty() }
            }
            Form::Norm(power) => isotonic::power_ranks(z, before, softness, power, scratch),
        };
        let (count, whole) = (partition.starts.len() - 1, z.len() == y.len());
        match self.regularization {
            _ if count == z.len() => line.write_places(y),
            Regularization::L2 if count == 1 && whole => {
                self.write_block(x, z[0], partition.sums[0], y, saved);
            }
            Regularization::Entropic if count == 1 && whole => {
                self.write_entropic_block(x, z[z.len() - 1], y, saved, scratch);
            }
            _ => return self.write_blocks(line, partition, y, saved, scratch),
        }
        partition.give(scratch);
    }

    /// The L2 form where all values share one block, of which `first` is the smallest: their order does not
    /// matter.
    fn write_block<T: Real>(&self, x: &[T], first: T, sum: T::Acc, y: &mut [T], saved: &mut Saved<T::Acc>) {
        let (len, rate) = (real(x.len()), T::Acc::of(1.0 / self.softness));
        let level = T::Acc::of(middle(0, x.len())) - sum / T::Acc::of(len) * rate;
        for (y, &x) in y.iter_mut().zip(x) {
            *y = T::narrow(level + (self.signed(x).widen() - first.widen()) * rate);
        }
        saved.block.resize(x.len(), 1);
        saved.weights.push(len);
    }

    fn write_blocks<T: Real>(
        &self,
        line: Line<'_, T>,
        Partition { starts, sums }: Partition<T::Acc>,
        y: &mut [T],
        saved: &mut Saved<T::Acc>,
        scratch: &mut Scratch<T>,
    ) {
        let (z, rate) = (line.z, T::Acc::of(1.0 / self.softness));
        let numbers = isotonic::numbers(&starts, scratch);
        let apart = |k: usize, from: u32| (z[k].widen() - z[from as usize].widen()) * rate;
        let mut division = Division { line, starts: &starts, numbers: &numbers, levels: sums };
        // A loop for each form: the choice between them is not made at every position.
        match self.regularization.form() {
            Form::L2 => {
                let names = division.name(saved, scratch, |len, middle, sum| {
                    (len, T::Acc::of(middle) - sum / T::Acc::of(len) * rate)
                });
                division.write(names, y, saved, scratch, |k, b| division.levels[b] + apart(k, starts[b]));
            }
            Form::Entropic => {
                let from_last = |k: usize, block: Range<usize>| apart(k, block.end as u32 - 1);
                let (sums, terms) = isotonic::exponentials(&starts, &numbers, from_last, scratch);
                scratch.wide.give(std::mem::replace(&mut division.levels, sums));
                let names = division
                    .name(saved, scratch, |len, middle, sum| (len * middle, T::Acc::of(len * middle) / sum));
                division.write(names, y, saved, scratch, |k, b| division.levels[b] * terms[k]);
                scratch.wide.give(terms);
            }
            Form::Norm(power) => {
                let names = division.name(saved, scratch, |_, _, value| (1.0, value));
                saved.anchors.push(Default::default());
                let shared = blocks(&starts).zip(&division.levels).filter(|(block, _)| block.len() > 1);
                saved
                    .anchors
                    .extend(shared.map(|(block, &level)| [self.signed(z[block.start].widen()), level]));
                division.write(names, y, saved, scratch, |k, b| match starts[b + 1] - starts[b] {
                    1 => T::Acc::of(real(line.before + k + 1)),
                    _ => power.of(division.levels[b] + apart(k, starts[b])),
                });
            }
        }
        scratch.wide.give(division.levels);
        [starts, numbers].into_iter().for_each(|buffer| scratch.indices.give(buffer));
    }

    fn signed<T: Real>(&self, x: T) -> T {
        if self.descending { -x } else { x }
    }
}

impl Contract for SoftRank {
    const SUMMARY: &'static str = "ranks, by projection onto the permutahedron";
    const PAPER: &'static str =
        "Blondel et al., ICML 2020, arXiv:2002.08871; p-norms: Sander et al., ICML 2023, arXiv:2302.01425";
    const COST: &'static str = "O(n log n) forward, O(n) backward, O(n) memory";

    fn cases() -> Vec<Self> {
        let l2 = |softness, descending| Self { softness, descending, ..Self::default() };
        let with = |regularization, softness, descending| Self { softness, regularization, descending };
        vec![
            l2(0.1, false),
            l2(1.0, true),
            l2(30.0, false),
            with(Regularization::Entropic, 0.1, true),
            with(Regularization::Entropic, 1.0, false),
            with(Regularization::ThreeHalves, 0.3, false),
            with(Regularization::ThreeHalves, 3.0, true),
            with(Regularization::FourThirds, 0.5, true),
            with(Regularization::FourThirds, 8.0, false),
        ]
    }

    fn laws(&self) -> Vec<Law> {
        let mut laws = vec![
            Law::SumsTo(Box::new(|sizes| (sizes[0] * (sizes[0] + 1)) as f64 / 2.0)),
            Law::Within(Box::new(|sizes| (1.0, sizes[0] as f64))),
            Law::PermutationEquivariant,
            Law::ShiftInvariant,
        ];
        if self.regularization == Regularization::L2 {
            laws.push(Law::Reversal(Box::new(|rank, sizes| (sizes[0] + 1) as f64 - rank)));
        }
        laws
    }

    fn oracle(&self, at: Args<'_, f64>) -> Option<[Vec<f64>; 1]> {
        let sign = if self.descending { -1.0 } else { 1.0 };
        let z: Vec<f64> = at.x[0].iter().map(|x| sign * x / self.softness).collect();
        let mut order: Vec<usize> = (0..z.len()).collect();
        order.sort_by(|&i, &j| z[i].total_cmp(&z[j]));
        let form = self.regularization.form();
        let value = |block: Range<usize>| {
            let z: Vec<f64> = order[block.clone()].iter().map(|&i| z[i]).collect();
            let places: f64 = block.map(|k| (k + 1) as f64).sum();
            match form {
                Form::L2 => (z.iter().sum::<f64>() - places) / z.len() as f64,
                Form::Entropic => log_sum_exp(&z) - places.ln(),
                Form::Norm(power) => power_value(power, &z, places),
            }
        };
        let mut y = vec![0.0; z.len()];
        for (v, &i) in minimax(z.len(), value).into_iter().zip(&order) {
            y[i] = match form {
                Form::L2 => z[i] - v,
                Form::Entropic => (z[i] - v).exp(),
                Form::Norm(power) => power.of(z[i] - v),
            };
        }
        Some([y])
    }
}

/// Soft ranks along the last axis, from 1 for the smallest to n for the largest: the projection of
/// $x / \varepsilon$ onto the permutahedron, with L2 regularization.
///
/// $$ r_i = \frac{x_i - \bar x_B}{\varepsilon} + \bar \rho_B $$
///
/// on blocks $B$ of neighbours that are close to each other, where $\rho$ are the hard ranks.
///
/// * Shapes: `(…, n)` to `(…, n)`.
/// * Softness: ε, in the unit of `x`. Values that are ε or more apart from their neighbours have hard ranks;
///   as it grows, all ranks approach (n + 1) / 2.
/// * Hard limit: ranks in which equal values share the mean of their places.
/// * Gradient: that of the blocks. Blocks that just touch count as one. Second derivatives are zero almost
///   everywhere; the other [regularizations](Regularization) of [`SoftRank`] have curvature.
/// * ±∞ ranks first or last, with a gradient of zero.
/// * Cost: O(n log n) forward, O(n) backward, O(n) memory.
/// * Errors: a softness that is not finite and above zero.
///
/// For descending ranks, another regularization, another axis or ragged batches, call
/// [`evaluate`](supple_core::evaluate) with a [`SoftRank`]; for gradients,
/// [`linearize`](supple_core::linearize).
///
/// ```
/// use ndarray::array;
/// use supple_ops::order::soft_rank;
/// let ranks = soft_rank(&array![[5.0, 1.0, 2.0], [2.0, 1.0, 5.0]], 2.0)?;
/// assert_eq!(ranks, array![[3.0, 1.25, 1.75], [1.75, 1.25, 3.0]]);
/// # Ok::<(), supple_core::Error>(())
/// ```
///
/// Blondel, Teboul, Berthet, Djolonga, *Fast Differentiable Sorting and Ranking*, ICML 2020,
/// <https://arxiv.org/abs/2002.08871>.
pub fn soft_rank<'a, T: Float, D: Dimension>(
    x: impl Into<ArrayView<'a, T, D>>,
    softness: f64,
) -> Result<Array<T, D>, Error> {
    map(&SoftRank { softness, ..SoftRank::default() }, x)
}

#[cfg(test)]
mod tests;
