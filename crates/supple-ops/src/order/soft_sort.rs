//! Soft sort, by projection onto the permutahedron.
//!
//! With the permutahedron $\mathcal P(x)$, the convex hull of all permutations of $x$, and
//! $\rho = (1, \dots, n)$,
//!
//! $$ s(x) = \operatorname*{argmin}_{p \in \mathcal P(x)} \tfrac12 \lVert p - \rho / \varepsilon \rVert^2
//! \qquad\text{or}\qquad
//! e^{-s(x)} = \operatorname*{argmin}_{p \in \mathcal P(e^{-x})} \operatorname{KL}(p, e^{-\rho / \varepsilon}), $$
//!
//! `"l2"` and `"entropic"`, or with p = 3/2 or 4/3 (`"p3/2"`, `"p4/3"`)
//!
//! $$ s(x) = \operatorname*{argmax}_{y \in \mathcal P(x)} \langle y, \rho / \varepsilon \rangle -
//! \tfrac1p \sum_k |y_k|^p . $$
//!
//! The result ascends; the descending one is $-s(-x)$. That is the ascending one read backwards, but not in the
//! entropic form: there one keeps $\sum e^{-x_i}$ and the other $\sum e^{x_i}$.
//!
//! On the sorted values $x_{(k)}$, this is an isotonic regression, and its blocks $B$ of neighbouring
//! positions give
//!
//! $$ s_k = \bar x_B + \frac{k - \bar\rho_B}{\varepsilon}, \qquad
//! s_k = -\ln \sum_{j \in B} e^{-x_{(j)}} + \ln \sum_{j \in B} e^{-j / \varepsilon} + \frac{k}{\varepsilon}
//! \qquad\text{or}\qquad s_k = P(k / \varepsilon - v_B) $$
//!
//! with $P(t) = t |t|$ for p = 3/2 and $t^3$ for 4/3, and the $v_B$ at which outputs sum to
//! $\sum_{j \in B} x_{(j)}$.
//!
//! * Softness: **one over the unit of `x`** in the L2 form; the paper's ε. Neighbours less than 1/ε apart
//!   are sorted exactly: at 0.1, data in \[0, 1\] is. In the entropic form, `x` has no unit. In a p-norm,
//!   it is neighbours of which the roots $P^{-1}(x)$ are less than 1/ε apart, and zero is a special value: a shift
//!   of `x` changes more than a shift of the output.
//! * Hard limit: the sorted values.
//! * Gradient: that of the blocks. Equal values are told apart by their position (a kink); blocks that
//!   just touch count as one. The second derivative of the L2 form is zero almost everywhere.
//! * ±∞ comes first or last as itself and passes its gradient on; the finite values are sorted as if alone. A
//!   NaN makes its whole item NaN.
//! * Range: n times the distance between the largest and the smallest value must be a number in double precision.
//!   Mask by −∞, not by the least number of `f64`.
//! * Cost: O(n log n) for short items, O(n) for long ones by radix sort; backward O(n).
//!
//! Papers: Blondel, Teboul, Berthet, Djolonga, *Fast Differentiable Sorting and Ranking*, ICML 2020,
//! <https://arxiv.org/abs/2002.08871>; for p-norms Sander, Puigcerver, Djolonga, Peyré, Blondel, *Fast,
//! differentiable and sparse top-k: a convex analysis perspective*, ICML 2023,
//! <https://arxiv.org/abs/2302.01425>.

mod entropic;

use super::permutahedron::{
    Form, Regularization, blocks, check_length, finite, log_sum_exp, minimax, power_value, real, sort,
    sorted, spoilt,
};
use ndarray::{Array, ArrayView, Dimension};
use std::ops::Range;
use supple_core::{
    Args, Contract, Error, Fault, Float, Gradient, Law, Operator, Params, Point, Real, Scaling, Scratch, map,
    params,
};
use supple_numerics::elementary::dot;
use supple_numerics::isotonic::{self, Partition, Trend};

params! {
    /// Soft sort.
    pub struct SoftSort {
        /// One over the distance at which values start to mix.
        softness: f64 = 0.1, Positive;
        /// What the projection minimises.
        regularization: Regularization = Regularization::L2, Any;
        /// Whether the largest value comes first.
        descending: bool = false, Any;
    }
}

/// The sorting permutation and the partition of the sorted positions. Empty for an item with a NaN.
#[derive(Debug, Default)]
pub struct Saved<T> {
    order: Vec<u32>,
    starts: Vec<u32>,
    /// Weights that sum to one on each block: of its inputs in the entropic form, of its outputs in a p-norm.
    /// Empty in the L2 form, where all are equal.
    weights: Vec<T>,
}

/// Blocks of so many positions on average are worth a loop each.
const LONG: usize = 16;

impl Operator for SoftSort {
    const NAME: &'static str = "soft_sort";
    const SIGNATURE: &'static str = "x(n) -> sorted(n)";
    const GRADIENT: Gradient = Gradient::AlmostEverywhere;
    type Saved<T: Real> = Saved<T>;

    fn validate(&self, sizes: &[usize]) -> Result<(), Error> {
        self.check(Self::NAME)?;
        check_length(Self::NAME, sizes)
    }

    fn scaling(&self) -> Option<Scaling> {
        let power = match self.regularization {
            Regularization::L2 => 1,
            Regularization::ThreeHalves => 2,
            Regularization::FourThirds => 3,
            Regularization::Entropic => return None,
        };
        Some(Scaling { softness: self.softness, power: -1, inputs: [power], outputs: [power] })
    }

    fn forward<T: Real>(
        &self,
        at: Args<'_, T>,
        [y]: [&mut [T]; 1],
        saved: &mut Saved<T>,
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let (order, z) = sorted(at.x[0], self.descending, scratch);
        if spoilt(&z) {
            y.fill(T::nan());
            scratch.indices.give(order);
        } else {
            let Range { start, end } = finite(&z);
            for k in (0..start).chain(end..z.len()) {
                y[k] = self.signed(z[k]);
            }
            let mut starts = self.project(&z[start..end], &mut y[start..end], &mut saved.weights, scratch);
            if end - start < z.len() {
                self.surround(&mut starts, &mut saved.weights, start, z.len());
            }
            (saved.order, saved.starts) = (order, starts);
        }
        scratch.reals.give(z);
        Ok(())
    }

    fn vjp<T: Real>(
        &self,
        at: Point<'_, T, Saved<T>>,
        [dy]: [&[T]; 1],
        [dx]: [&mut [T]; 1],
        _: &mut Scratch<T>,
    ) {
        let Saved { order, starts, weights } = at.saved;
        if order.len() < dx.len() {
            return dx.fill(T::nan());
        }
        if starts.len() > order.len() {
            return order.iter().zip(dy).for_each(|(&place, &dy)| dx[place as usize] = dy);
        }
        let form = self.regularization.form();
        if form == Form::Entropic {
            dx.fill(T::zero());
        }
        for block in blocks(starts) {
            let places = &order[block.clone()];
            if let &[place] = places {
                dx[place as usize] = dy[block.start];
                continue;
            }
            let sum = || -> T::Acc { dy[block.clone()].iter().map(|dy| dy.widen()).sum() };
            let mean = match form {
                Form::L2 => sum() / T::Acc::of(real(places.len())),
                Form::Norm(_) => dot(&weights[block.clone()], &dy[block.clone()]),
                Form::Entropic => {
                    let sum = sum();
                    for (&place, w) in places.iter().zip(&weights[block.clone()]) {
                        // Weights fall; what is left has none.
                        if w.is_zero() {
                            break;
                        }
                        dx[place as usize] = T::narrow(sum * w.widen());
                    }
                    continue;
                }
            };
            places.iter().for_each(|&place| dx[place as usize] = T::narrow(mean));
        }
    }

    fn hard<T: Float>(
        &self,
        at: Args<'_, T>,
        [y]: [&mut [T]; 1],
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        sort(at.x[0], self.descending, y, scratch);
        Ok(())
    }
}

impl SoftSort {
    fn signed<T: Real>(&self, x: T) -> T {
        if self.descending { -x } else { x }
    }

    /// Projects sorted values and returns the starts of the blocks.
    fn project<T: Real>(
        &self,
        z: &[T],
        y: &mut [T],
        weights: &mut Vec<T>,
        scratch: &mut Scratch<T>,
    ) -> Vec<u32> {
        let (form, step) = (self.regularization.form(), 1.0 / self.softness);
        let Partition { starts, sums: mut levels } = match form {
            Form::L2 => isotonic::l2(z, step, Trend::Decreasing, scratch),
            Form::Entropic => {
                Partition { starts: isotonic::entropic_line(z, step, scratch), sums: scratch.wide.empty() }
            }
            Form::Norm(power) => isotonic::power_line(z, step, power, scratch),
        };
        if starts.len() > z.len() {
            y.iter_mut().zip(z).for_each(|(y, &z)| *y = self.signed(z));
            weights.resize(if form == Form::L2 { 0 } else { z.len() }, T::one());
            scratch.wide.give(levels);
            return starts;
        }
        // To the value of each block's first position, or what it is a power of.
        let first_of = |middle: T::Acc, len: f64| middle - T::Acc::of(0.5 * step * (len - 1.0));
        let from_first = |k: usize, start: usize| T::Acc::of(real(k - start) * step);
        // A loop for each form: the choice between them is not made at every position.
        match form {
            Form::L2 => {
                for (level, block) in levels.iter_mut().zip(blocks(&starts)) {
                    let len = real(block.len());
                    *level = first_of(z[block.start].widen() + *level / T::Acc::of(len), len);
                }
                self.write(&starts, y, scratch, |k, b, block| levels[b] + from_first(k, block.start));
            }
            Form::Entropic => self.write_entropic(z, &starts, y, weights, scratch),
            Form::Norm(power) => {
                for (level, block) in levels.iter_mut().zip(blocks(&starts)) {
                    *level = first_of(*level, real(block.len()));
                    let weight = |k: usize| power.weight(*level + T::Acc::of(real(k) * step));
                    let sum: T::Acc = (0..block.len()).map(weight).sum();
                    weights.extend((0..block.len()).map(|k| T::narrow(weight(k) / sum)));
                }
                self.write(&starts, y, scratch, |k, b, block| match block.len() {
                    1 => z[k].widen(),
                    _ => power.of(levels[b] + from_first(k, block.start)),
                });
            }
        }
        scratch.wide.give(levels);
        starts
    }

    /// Writes the `value` of each position of a block, but for the sign.
    #[inline(always)]
    fn write<T: Real>(
        &self,
        starts: &[u32],
        y: &mut [T],
        scratch: &mut Scratch<T>,
        value: impl Fn(usize, usize, Range<usize>) -> T::Acc,
    ) {
        if starts.len() * LONG < y.len() {
            for (b, block) in blocks(starts).enumerate() {
                block.clone().for_each(|k| y[k] = self.signed(T::narrow(value(k, b, block.clone()))));
            }
        } else {
            let numbers = isotonic::numbers(starts, scratch);
            for ((k, &b), y) in numbers.iter().enumerate().zip(y) {
                let block = starts[b as usize] as usize..starts[b as usize + 1] as usize;
                *y = self.signed(T::narrow(value(k, b as usize, block)));
            }
            scratch.indices.give(numbers);
        }
    }

    /// Makes the partition of the finite positions, which start at `before`, one of all `n`: infinities are
    /// alone.
    fn surround<T: Real>(&self, starts: &mut Vec<u32>, weights: &mut Vec<T>, before: usize, n: usize) {
        let first = before as u32;
        starts.iter_mut().for_each(|start| *start += first);
        let end = starts.last().map_or(first, |&end| end);
        starts.splice(0..0, 0..first);
        starts.extend(end + 1..=n as u32);
        if self.regularization != Regularization::L2 {
            weights.splice(0..0, std::iter::repeat_n(T::one(), before));
            weights.resize(n, T::one());
        }
    }
}

impl Contract for SoftSort {
    const SUMMARY: &'static str = "sorted values, by projection onto the permutahedron";
    const PAPER: &'static str =
        "Blondel et al., ICML 2020, arXiv:2002.08871; p-norms: Sander et al., ICML 2023, arXiv:2302.01425";
    const COST: &'static str = "O(n log n) forward, O(n) backward, O(n) memory";

    fn cases() -> Vec<Self> {
        let l2 = |softness, descending| Self { softness, descending, ..Self::default() };
        let with = |regularization, softness, descending| Self { softness, regularization, descending };
        vec![
            l2(0.1, true),
            l2(2.0, false),
            l2(30.0, true),
            with(Regularization::Entropic, 0.5, false),
            with(Regularization::Entropic, 5.0, true),
            with(Regularization::ThreeHalves, 1.0, true),
            with(Regularization::ThreeHalves, 10.0, false),
            with(Regularization::FourThirds, 2.0, false),
            with(Regularization::FourThirds, 20.0, true),
        ]
    }

    fn laws(&self) -> Vec<Law> {
        let (form, sign) = (self.regularization.form(), if self.descending { -1.0 } else { 1.0 });
        let total = move |x: &[f64]| match form {
            Form::Entropic => x.iter().map(|x| (-sign * x).exp()).sum::<f64>().ln(),
            _ => x.iter().sum::<f64>(),
        };
        let preserved = match form {
            Form::Entropic => "preserves_the_sum_of_exponentials",
            _ => "preserves_the_sum",
        };
        let mut laws = vec![
            if self.descending { Law::Descending } else { Law::Ascending },
            Law::PermutationInvariant,
            Law::Vanishes(preserved, Box::new(move |at| total(at.x[0]) - total(at.y[0]))),
        ];
        if matches!(form, Form::L2 | Form::Entropic) {
            laws.push(Law::ShiftEquivariant);
        }
        laws
    }

    fn oracle(&self, at: Args<'_, f64>) -> Option<[Vec<f64>; 1]> {
        let mut z: Vec<f64> = at.x[0].iter().map(|&x| self.signed(x)).collect();
        z.sort_by(f64::total_cmp);
        let place = |k: usize| k as f64 / self.softness;
        let form = self.regularization.form();
        let value = |block: Range<usize>| {
            let places: Vec<f64> = block.clone().map(place).collect();
            match form {
                Form::L2 => (places.iter().sum::<f64>() - z[block].iter().sum::<f64>()) / places.len() as f64,
                Form::Entropic => {
                    let negative = |x: &[f64]| x.iter().map(|x| -x).collect::<Vec<_>>();
                    log_sum_exp(&negative(&z[block])) - log_sum_exp(&negative(&places))
                }
                Form::Norm(power) => power_value(power, &places, z[block].iter().sum()),
            }
        };
        let output = |(k, v): (usize, f64)| match form {
            Form::Norm(power) => self.signed(power.of(place(k) - v)),
            _ => self.signed(place(k) - v),
        };
        Some([minimax(z.len(), value).into_iter().enumerate().map(output).collect()])
    }
}

/// Soft sort along the last axis, ascending: the projection of $(1, \dots, n) / \varepsilon$ onto the
/// permutahedron of `x`, with L2 regularization.
///
/// $$ s_k = \bar x_B + \frac{k - \bar\rho_B}{\varepsilon} $$
///
/// on blocks $B$ of neighbouring positions, where $\rho = (1, \dots, n)$.
///
/// * Shapes: `(…, n)` to `(…, n)`.
/// * Softness: ε, **one over the unit of `x`**. Values less than 1/ε apart from their neighbours are sorted
///   exactly: at softness 0.1, data in \[0, 1\] comes out hard. As it grows, all outputs approach the mean.
/// * Hard limit: the sorted values.
/// * Gradient: that of the blocks. Equal values are told apart by their position; blocks that just
///   touch count as one. Second derivatives are zero almost everywhere; the other
///   [regularizations](Regularization) of [`SoftSort`] have curvature.
/// * ±∞ comes first or last as itself; the finite values are sorted as if alone.
/// * Cost: O(n log n) forward, O(n) backward, O(n) memory.
/// * Errors: a softness that is not finite and above zero.
///
/// For descending order, another regularization, another axis or ragged batches, call
/// [`evaluate`](supple_core::evaluate) with a [`SoftSort`]; for gradients,
/// [`linearize`](supple_core::linearize).
///
/// ```
/// use ndarray::array;
/// use supple_ops::order::soft_sort;
/// assert_eq!(soft_sort(&array![5.0, 1.0, 2.0], 0.1)?, array![1.0, 2.0, 5.0]);
/// assert_eq!(soft_sort(&array![5.0, 1.0, 2.0], 0.5)?, array![1.0, 2.5, 4.5]);
/// # Ok::<(), supple_core::Error>(())
/// ```
///
/// Blondel, Teboul, Berthet, Djolonga, *Fast Differentiable Sorting and Ranking*, ICML 2020,
/// <https://arxiv.org/abs/2002.08871>.
pub fn soft_sort<'a, T: Float, D: Dimension>(
    x: impl Into<ArrayView<'a, T, D>>,
    softness: f64,
) -> Result<Array<T, D>, Error> {
    map(&SoftSort { softness, ..SoftSort::default() }, x)
}

#[cfg(test)]
mod tests;
