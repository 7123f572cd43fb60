//! Sorted values as quantiles of Laplace distributions (LapSum).
//!
//! With a Laplace distribution of scale ε about each value, the $k$-th output is where $k - \tfrac12$ of
//! them, in expectation, lie below:
//!
//! $$ \sum_j F\left(\frac{y_k - x_j}{\varepsilon}\right) = k - \tfrac12, \qquad
//! F(t) = \begin{cases} \tfrac12 e^{t} & t < 0 \cr 1 - \tfrac12 e^{-t} & t \ge 0 \end{cases} $$
//!
//! The result ascends; the descending one is $-y(-x)$.
//!
//! * Softness: the unit of `x`; the paper's α. As it grows, the outputs spread, as the quantiles of one wide
//!   distribution about the mean do: the first and the last leave the range of the data.
//! * Hard limit: the sorted values.
//! * Gradient: exact everywhere, by the implicit function theorem. Each output moves by an average of the
//!   inputs' motions: the rows of the Jacobian are probabilities. The second derivative jumps where an output
//!   meets an input; it is then that of one side.
//! * ±∞ comes out first or last, as itself. A NaN makes its whole item NaN.
//! * Cost: O(n log n) forward, for the sort: between neighbouring values the equation is quadratic in
//!   $e^{y/\varepsilon}$, and its coefficients are running sums. Backward O(n).
//!
//! Paper: Struski, Bednarczyk, Podolak, Tabor, *LapSum: One Method to Differentiate Them All: Ranking,
//! Sorting and Top-k Selection*, ICML 2025, <https://arxiv.org/abs/2503.06242>.

use super::permutahedron::{arranged, check_length, sorted, spoilt};
use super::soft_sort::SoftSort;
use ndarray::{Array, ArrayView, Dimension};
use supple_core::{
    Args, Contract, Error, Fault, Float, Law, Operator, Params, Point, Real, Scaling, Scratch, map, params,
};
use supple_numerics::laplace::{Line, Quantile, Side};

params! {
    /// Sorted values as quantiles of Laplace distributions.
    pub struct LapsumSort {
        /// Scale of the distribution about each value; the unit of `x`.
        softness: f64 = 0.1, Positive;
        /// Whether the largest value comes first.
        descending: bool = false, Any;
    }
}

/// The sorting permutation and the outputs' derivatives. Empty for an item with a NaN.
#[derive(Debug, Default)]
pub struct Saved<T: Real> {
    order: Vec<u32>,
    quantiles: Vec<Quantile<T::Acc>>,
}

impl Operator for LapsumSort {
    const NAME: &'static str = "lapsum_sort";
    const SIGNATURE: &'static str = "x(n) -> sorted(n)";
    type Saved<T: Real> = Saved<T>;

    fn validate(&self, sizes: &[usize]) -> Result<(), Error> {
        self.check(Self::NAME)?;
        check_length(Self::NAME, sizes)
    }

    fn scaling(&self) -> Option<Scaling> {
        Some(Scaling { softness: self.softness, power: 1, inputs: [1], outputs: [1] })
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
            let line = Line::new(&z, self.softness, scratch);
            let levels = (0..z.len()).map(|k| k as f64 + 0.5);
            saved.quantiles.reserve_exact(z.len());
            line.quantiles(&z, self.softness, levels, scratch, |quantile| saved.quantiles.push(quantile));
            for (y, quantile) in y.iter_mut().zip(&saved.quantiles) {
                *y = T::narrow(if self.descending { -quantile.value } else { quantile.value });
            }
            line.give(scratch);
            saved.order = order;
        }
        scratch.reals.give(z);
        Ok(())
    }

    fn vjp<T: Real>(
        &self,
        at: Point<'_, T, Saved<T>>,
        [dy]: [&[T]; 1],
        [dx]: [&mut [T]; 1],
        scratch: &mut Scratch<T>,
    ) {
        let Saved { order, quantiles } = at.saved;
        if order.len() < dx.len() {
            return dx.fill(T::nan());
        }
        let z = arranged(at.x[0], self.descending, order, scratch);
        let line = Line::new(&z, self.softness, scratch);
        // A cotangent reaches the points below its output from the last of them, those above from the first.
        let (mut first, mut second) = (scratch.wide.zeros(2 * z.len()), scratch.wide.zeros(z.len()));
        let (starts, _) = first.as_chunks_mut();
        for (quantile, dy) in quantiles.iter().zip(dy) {
            let Quantile { place, from_below, from_above, .. } = *quantile;
            if place > 0 {
                let [down, _] = &mut starts[place - 1];
                *down += from_below * dy.widen();
            }
            if place < z.len() {
                let [_, up] = &mut starts[place];
                *up += from_above * dy.widen();
            }
        }
        let starts = &*starts;
        line.shares(
            |j| starts[j],
            |j, side, [down, up]| second[j] += if side == Side::Above { down.sum } else { up.sum },
        );
        for ((&i, &[down, up]), &far) in order.iter().zip(starts).zip(&second) {
            dx[i as usize] = T::narrow(down + up + far);
        }
        scratch.wide.give(first);
        scratch.wide.give(second);
        scratch.reals.give(z);
        line.give(scratch);
    }

    fn hard<T: Float>(
        &self,
        at: Args<'_, T>,
        y: [&mut [T]; 1],
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        SoftSort { descending: self.descending, ..SoftSort::default() }.hard(at, y, scratch)
    }
}

impl Contract for LapsumSort {
    const SUMMARY: &'static str = "sorted values, as quantiles of Laplace distributions";
    const PAPER: &'static str = "Struski et al., ICML 2025, arXiv:2503.06242";
    const COST: &'static str = "O(n log n) forward, O(n) backward, O(n) memory";

    fn cases() -> Vec<Self> {
        [(0.1, false), (1.0, true), (20.0, false)]
            .map(|(softness, descending)| Self { softness, descending })
            .to_vec()
    }

    fn laws(&self) -> Vec<Law> {
        vec![
            if self.descending { Law::Descending } else { Law::Ascending },
            Law::PermutationInvariant,
            Law::ShiftEquivariant,
        ]
    }

    /// The roots by bisection.
    fn oracle(&self, at: Args<'_, f64>) -> Option<[Vec<f64>; 1]> {
        let [x] = at.x;
        let below = |t: f64| if t < 0.0 { 0.5 * t.exp() } else { 1.0 - 0.5 * (-t).exp() };
        let reach = 50.0 * self.softness + x.iter().fold(0.0, |a: f64, x| a.max(x.abs()));
        let root = |level: f64| {
            let (mut low, mut high) = (-reach, reach);
            for _ in 0..200 {
                let middle = 0.5 * (low + high);
                let reached: f64 = x.iter().map(|x| below((middle - x) / self.softness)).sum();
                if reached < level { low = middle } else { high = middle }
            }
            low
        };
        let mut y: Vec<f64> = (0..x.len()).map(|k| root(k as f64 + 0.5)).collect();
        if self.descending {
            y.reverse();
        }
        Some([y])
    }
}

/// Sorted values along the last axis, ascending: quantiles of the Laplace distributions of scale ε about the
/// values (LapSum).
///
/// $$ \sum_j F\left(\frac{y_k - x_j}{\varepsilon}\right) = k - \tfrac12 $$
///
/// * Shapes: `(…, n)` to `(…, n)`.
/// * Softness: ε, in the unit of `x`. Values many ε apart come out sorted; as it grows, the outputs spread
///   beyond the data, in proportion to ε.
/// * Hard limit: the sorted values.
/// * Gradient: exact everywhere; each output moves by an average of the inputs' motions. The second
///   derivative jumps where an output meets an input.
/// * ±∞ comes out first or last. NaN makes its item NaN.
/// * Cost: O(n log n) forward, O(n) backward, O(n) memory.
/// * Errors: a softness that is not finite and above zero.
///
/// For descending order, another axis or ragged batches, call [`evaluate`](supple_core::evaluate) with a
/// [`LapsumSort`]; for gradients, [`linearize`](supple_core::linearize).
///
/// ```
/// use ndarray::array;
/// use supple_ops::order::lapsum_sort;
/// // Both distributions have their quartiles at ±ln 2.
/// let y = lapsum_sort(&array![0.0, 0.0], 1.0)? / f64::ln(2.0);
/// assert!((y - array![-1.0, 1.0]).iter().all(|gap: &f64| gap.abs() < 1e-12));
/// # Ok::<(), supple_core::Error>(())
/// ```
///
/// Struski, Bednarczyk, Podolak, Tabor, *LapSum: One Method to Differentiate Them All: Ranking, Sorting and
/// Top-k Selection*, ICML 2025, <https://arxiv.org/abs/2503.06242>.
pub fn lapsum_sort<'a, T: Float, D: Dimension>(
    x: impl Into<ArrayView<'a, T, D>>,
    softness: f64,
) -> Result<Array<T, D>, Error> {
    map(&LapsumSort { softness, ..LapsumSort::default() }, x)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;
    use supple_core::linearize;

    #[test]
    fn infinities_stay_and_nan_spoils() {
        let inf = f64::INFINITY;
        let x = array![[inf, 3.0, inf, -inf, 7.0], [1.0, f64::NAN, 0.0, 2.0, inf]].into_dyn();
        let op = LapsumSort::default();
        let at = linearize(&op, [x.view()]).unwrap();
        let dy = array![[1.0, 2.0, 3.0, 4.0, 5.0], [1.0, 2.0, 3.0, 4.0, 5.0]].into_dyn();
        let [dx] = at.vjp([dy.view()]).unwrap();
        let y: Vec<f64> = at.outputs()[0].iter().copied().collect();
        assert_eq!((y[0], y[3], y[4]), (-inf, inf, inf));
        assert!((y[1] - 3.0).abs() < 1e-12 && (y[2] - 7.0).abs() < 1e-12, "{y:?}");
        let expected = [4.5, 2.0, 4.5, 1.0, 3.0];
        assert!(dx.iter().zip(expected).all(|(dx, expected)| (dx - expected).abs() < 1e-12), "{dx}");
        assert!(y.iter().chain(&dx).enumerate().all(|(i, v)| v.is_nan() == (i % 10 >= 5)));
    }
}
