//! Soft ranks by comparing each pair.
//!
//! $$ r_i = \tfrac12 + \sum_j F\left(\frac{x_i - x_j}{\varepsilon}\right) = 1 + \sum_{j \ne i}
//! F\left(\frac{x_i - x_j}{\varepsilon}\right) $$
//!
//! with a symmetric distribution function $F$: the logistic one in ApproxNDCG, from which this comes. A rank is 1
//! and the wins against the others. Ranks count from 1 and ascend; descending ranks are $r(-x)$.
//!
//! * Softness: the unit of `x`; one over the paper's α.
//! * Hard limit: ranks in which equal values share the mean of their places.
//! * Gradient: exact everywhere; every pair contributes, for the polynomial shape those less than ε apart.
//! * ±∞ ranks first or last; equal infinities share. A NaN makes its whole item NaN.
//! * Cost: O(n²) time, O(n) memory, forward and backward. [`LapsumRank`](super::LapsumRank) is the same with
//!   Laplace's distribution, in O(n log n).
//!
//! Paper: Qin, Liu and Li, *A general approximation framework for direct optimization of information retrieval
//! measures*, Information Retrieval 2010.

use super::permutahedron::average_ranks;
use crate::elementwise::Shape;
use crate::elementwise::shape::naive_step;
use ndarray::{Array, ArrayView, Dimension};
use supple_core::{
    Args, Contract, Error, Fault, Float, Law, Operator, Params, Point, Real, Scaling, Scratch, map, params,
};

params! {
    /// Soft ranks by comparing each pair.
    pub struct PairwiseRank {
        /// Distance at which two values share their ranks; the unit of `x`.
        softness: f64 = 0.1, Positive;
        /// The distribution function that compares.
        shape: Shape = Shape::Logistic, Any;
        /// Whether the largest value gets rank 1.
        descending: bool = false, Any;
    }
}

/// Beyond this, in units of the softness, all shapes are at their limits.
const FAR: f64 = 1e30;

impl PairwiseRank {
    fn rate(&self) -> f64 {
        if self.descending { -1.0 / self.softness } else { 1.0 / self.softness }
    }

    /// Writes `(x_i − x_j) / ε` for all j.
    fn distances<T: Real>(&self, x: &[T], i: usize, t: &mut [T]) {
        let (own, rate, far) = (x[i], T::of(self.rate()), T::of(FAR));
        for (t, &other) in t.iter_mut().zip(x) {
            let distance = (own - other) * rate;
            let near = distance < far && distance > -far;
            *t = if near {
                distance
            } else if distance >= far {
                far
            } else if distance <= -far {
                -far
            } else {
                // Equal infinities.
                T::zero()
            };
        }
    }
}

impl Operator for PairwiseRank {
    const NAME: &'static str = "pairwise_rank";
    const SIGNATURE: &'static str = "x(n) -> ranks(n)";
    type Saved<T: Real> = ();

    fn validate(&self, _: &[usize]) -> Result<(), Error> {
        self.check(Self::NAME)
    }

    fn work(&self, sizes: &[usize]) -> usize {
        sizes[0].saturating_mul(sizes[0])
    }

    fn scaling(&self) -> Option<Scaling> {
        Some(Scaling { softness: self.softness, power: 1, inputs: [1], outputs: [0] })
    }

    fn forward<T: Real>(
        &self,
        at: Args<'_, T>,
        [y]: [&mut [T]; 1],
        _: &mut (),
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let [x] = at.x;
        if x.iter().any(|x| x.is_nan()) {
            y.fill(T::nan());
            return Ok(());
        }
        let mut wins = scratch.reals.zeros(x.len());
        for (i, y) in y.iter_mut().enumerate() {
            self.distances(x, i, &mut wins);
            self.shape.step(&mut wins);
            *y = T::narrow(T::Acc::of(0.5) + wins.iter().map(|win| win.widen()).sum());
        }
        scratch.reals.give(wins);
        Ok(())
    }

    fn vjp<T: Real>(
        &self,
        at: Point<'_, T, ()>,
        [dy]: [&[T]; 1],
        [dx]: [&mut [T]; 1],
        scratch: &mut Scratch<T>,
    ) {
        let [x] = at.x;
        if at.y[0].iter().any(|y| y.is_nan()) {
            return dx.fill(T::nan());
        }
        let mut density = scratch.reals.zeros(x.len());
        for (i, dx) in dx.iter_mut().enumerate() {
            if !x[i].is_finite() {
                // Infinities do not move.
                *dx = T::zero();
                continue;
            }
            self.distances(x, i, &mut density);
            self.shape.density(&mut density);
            // The density is even: what moves one up moves the other down.
            let changes = density.iter().zip(dy).map(|(&density, &other)| density * (dy[i] - other));
            *dx = T::narrow(T::Acc::of(self.rate()) * changes.map(|change| change.widen()).sum());
        }
        scratch.reals.give(density);
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

impl Contract for PairwiseRank {
    const SUMMARY: &'static str = "ranks, each pair compared by a smooth step";
    const PAPER: &'static str = "Qin et al., Information Retrieval 2010";
    const COST: &'static str = "O(n²) time, O(n) memory";

    fn cases() -> Vec<Self> {
        let case = |(softness, shape, descending)| Self { softness, shape, descending };
        let cases = [
            (0.1, Shape::Logistic, false),
            (1.0, Shape::Logistic, true),
            (20.0, Shape::Gaussian, false),
            (0.5, Shape::Gaussian, true),
            (0.5, Shape::Cauchy, false),
            (2.0, Shape::Polynomial, true),
        ];
        cases.map(case).to_vec()
    }

    fn laws(&self) -> Vec<Law> {
        vec![
            Law::SumsTo(Box::new(|sizes| (sizes[0] * (sizes[0] + 1)) as f64 / 2.0)),
            Law::Within(Box::new(|sizes| (1.0, sizes[0] as f64))),
            Law::PermutationEquivariant,
            Law::ShiftInvariant,
            Law::Reversal(Box::new(|rank, sizes| (sizes[0] + 1) as f64 - rank)),
        ]
    }

    fn oracle(&self, at: Args<'_, f64>) -> Option<[Vec<f64>; 1]> {
        let [x] = at.x;
        let rank = |a: &f64| {
            let wins = x.iter().map(|b| naive_step(self.shape, (a - b) * self.rate()));
            0.5 + wins.sum::<f64>()
        };
        Some([x.iter().map(rank).collect()])
    }
}

/// Soft ranks along the last axis, from 1 for the smallest to n for the largest: each pair compares by the logistic
/// function $F$.
///
/// $$ r_i = 1 + \sum_{j \ne i} F\left(\frac{x_i - x_j}{\varepsilon}\right) $$
///
/// * Shapes: `(…, n)` to `(…, n)`.
/// * Softness: ε, in the unit of `x`. As it grows, all ranks approach (n + 1) / 2.
/// * Hard limit: ranks in which equal values share the mean of their places.
/// * Gradient: exact everywhere; every pair contributes.
/// * ±∞ ranks first or last. NaN makes its item NaN.
/// * Cost: O(n²) time, O(n) memory; [`lapsum_rank`](super::lapsum_rank()) takes O(n log n).
/// * Errors: a softness that is not finite and above zero.
///
/// For another shape, descending ranks, another axis or ragged batches, call
/// [`evaluate`](supple_core::evaluate) with a [`PairwiseRank`]; for gradients,
/// [`linearize`](supple_core::linearize).
///
/// ```
/// use supple_ops::order::pairwise_rank;
/// let ranks = pairwise_rank(&[0.0, 3.0f64.ln()], 1.0)?;
/// // The larger wins by 3/4.
/// assert!((ranks[0] - 1.25).abs() < 1e-12 && (ranks[1] - 1.75).abs() < 1e-12);
/// # Ok::<(), supple_core::Error>(())
/// ```
///
/// Qin, Liu and Li, *A general approximation framework for direct optimization of information retrieval
/// measures*, Information Retrieval 2010.
pub fn pairwise_rank<'a, T: Float, D: Dimension>(
    x: impl Into<ArrayView<'a, T, D>>,
    softness: f64,
) -> Result<Array<T, D>, Error> {
    map(&PairwiseRank { softness, ..PairwiseRank::default() }, x)
}

#[cfg(test)]
mod tests {
    use super::*;
    use supple_core::linearize;

    #[test]
    fn infinities_have_ranks_in_every_shape() {
        let inf = f64::INFINITY;
        let x = ndarray::array![-inf, 3.0, inf, -inf, 7.0].into_dyn();
        for shape in [Shape::Logistic, Shape::Gaussian, Shape::Cauchy, Shape::Polynomial] {
            let op = PairwiseRank { shape, softness: 1e-4, descending: false };
            let at = linearize(&op, [x.view()]).unwrap();
            for (rank, expected) in at.outputs()[0].iter().zip([1.5, 3.0, 5.0, 1.5, 4.0]) {
                assert!((rank - expected).abs() < 1e-4, "{shape:?}: {}", at.outputs()[0]);
            }
            let [dx] = at.vjp([ndarray::array![1.0, 2.0, 3.0, 4.0, 5.0].into_dyn().view()]).unwrap();
            assert!(dx.iter().all(|dx| dx.is_finite()), "{shape:?}: {dx}");
            assert!(dx.iter().zip(&x).all(|(&dx, x)| x.is_finite() || dx == 0.0), "{shape:?}: {dx}");
        }
    }
}
