//! Index distributions of the k largest values, in order, by entropic optimal transport (sorted SOFT top-k).
//!
//! The values, each of mass $1/n$, are transported to $k + 1$ places at $0, 1, \dots, k$: place 0 takes
//! $(n - k)/n$, the rest of the values, and each of the others $1/n$. With the plan
//!
//! $$ P = \operatorname*{argmin}_{P 1 = 1/n,\ P^\top 1 = b} \sum_{ij} P_{ij} (x_i - j)^2
//! + \varepsilon \sum_{ij} P_{ij} (\ln P_{ij} - 1) $$
//!
//! row r of the result, for $r = 1, \dots, k$, is $n P_{\cdot, k + 1 - r}$: how likely each value is the
//! r-th largest. Rows sum to one, and columns to at most one: together the rows are a mask. At k = 1 the one
//! row is the entropic [`soft_top_k`](super::soft_top_k()) at softness $\varepsilon / 2$. For any k, that is
//! the paper's unsorted form, which has two places only, with the masses $(n - k)/n$ at 0 and $k/n$ at 1.
//!
//! * Softness: the unit of `x`; ε. The authors' code divides the costs by the largest of the batch, so that its
//!   ε is a share of that.
//! * Hard limit: one-hot rows. Equal values share in the limit; the hard form takes them in order of their
//!   position.
//! * Gradient: exact, by the implicit function theorem. Smooth to any order. At k = n there is no place 0.
//! * −∞ is never chosen; an item with fewer than k other values has no answer. +∞ comes first; equal
//!   infinities share. A NaN makes its whole item NaN.
//! * Cost: O(n log n) for the sort and O(n k): a few Newton steps, whose linear systems take some
//!   ten products with a compressed plan each. The plan is exact to round-off.
//!
//! Paper: Xie, Dai, Chen, Dai, Zhao, Zha, Wei, Pfister, *Differentiable top-k with optimal transport*,
//! NeurIPS 2020, <https://arxiv.org/abs/2002.06504>.

use super::cut::check_k;
use crate::order::check_length;
use ndarray::{Array, ArrayView, Dimension};
use supple_core::{
    Args, Contract, Dual, Error, Evaluated, Fault, Float, Law, Operator, Params, Point, Real, Scaling,
    Scratch, evaluate, params,
};
use supple_numerics::argsort::argsort;
use supple_numerics::line_transport::{Line, Places, Saved, naive_plan};

params! {
    /// Index distributions of the k largest by entropic transport.
    pub struct TransportTopK {
        /// How many places; at most n.
        k: usize = 1, AtLeast(0.0);
        /// Strength ε of the entropy; the unit of `x`.
        softness: f64 = 0.1, Positive;
    }
}

/// Shares below `exp(−700)` of a value's largest are left out.
const DEPTH: f64 = 700.0;

impl Operator for TransportTopK {
    const NAME: &'static str = "transport_top_k";
    const SIGNATURE: &'static str = "x(n>=1) -> rows(k,n)";
    type Saved<T: Real> = Saved<T>;

    fn validate(&self, sizes: &[usize]) -> Result<(), Error> {
        self.check(Self::NAME)?;
        check_length(Self::NAME, sizes)?;
        check_k(Self::NAME, self.k, sizes)
    }

    fn size(&self, symbol: &str) -> Option<usize> {
        (symbol == "k").then_some(self.k)
    }

    fn work(&self, sizes: &[usize]) -> usize {
        sizes.first().map_or(0, |n| n * (300 + 10 * self.k))
    }

    fn scaling(&self) -> Option<Scaling> {
        Some(Scaling { softness: self.softness, power: 1, inputs: [1], outputs: [0] })
    }

    fn forward<T: Real>(
        &self,
        at: Args<'_, T>,
        [rows]: [&mut [T]; 1],
        saved: &mut Saved<T>,
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let [x] = at.x;
        let candidates = x.iter().filter(|&&x| !(x == -T::infinity())).count();
        if candidates < self.k {
            return Err(Fault::Infeasible);
        }
        if self.k > 0 {
            let line = self.places(x.len()).solve(x, None, saved, scratch)?;
            self.write(line, &saved.order, rows);
        }
        Ok(())
    }

    fn lift<F: Float>(
        &self,
        at: Args<'_, Dual<F>>,
        values: Point<'_, F, Saved<F>>,
        [rows]: [&mut [Dual<F>]; 1],
        saved: &mut Saved<Dual<F>>,
        _: &mut Scratch<Dual<F>>,
    ) -> Result<(), Fault> {
        let [x] = at.x;
        if self.k > 0 {
            let line = self.places(x.len()).lift(x, None, values.saved, saved);
            self.write(line, &saved.order, rows);
        }
        Ok(())
    }

    fn vjp<T: Real>(
        &self,
        at: Point<'_, T, Saved<T>>,
        [drows]: [&[T]; 1],
        [dx]: [&mut [T]; 1],
        _: &mut Scratch<T>,
    ) {
        if self.k == 0 {
            return;
        }
        let (n, order) = (dx.len(), &at.saved.order);
        let Some(line) = self.places(n).at(at.x[0], None, at.saved) else { return dx.fill(T::nan()) };
        let changes = line.plan.pull(DEPTH, |i, j| match self.row(j, n) {
            Some(row) => drows[row * n + order[i] as usize].widen(),
            None => T::Acc::zero(),
        });
        for (i, (&place, change)) in order.iter().zip(changes).enumerate() {
            if line.finite.contains(&i) {
                dx[place as usize] = T::narrow(change);
            }
        }
    }

    fn hard<T: Float>(
        &self,
        at: Args<'_, T>,
        [rows]: [&mut [T]; 1],
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let [x] = at.x;
        if x.iter().any(|x| x.is_nan()) {
            rows.fill(T::nan());
            return Ok(());
        }
        let (order, z) = argsort(x, true, scratch);
        let feasible = self.k == 0 || z[self.k - 1] > -T::infinity();
        let ones = order.iter().zip(rows.chunks_exact_mut(x.len()));
        ones.for_each(|(&i, row)| row[i as usize] = T::one());
        scratch.indices.give(order);
        scratch.reals.give(z);
        if feasible { Ok(()) } else { Err(Fault::Infeasible) }
    }
}

impl TransportTopK {
    /// One place for each row, and before them one for the rest where there is a rest.
    fn places(&self, n: usize) -> Places {
        let mut masses = vec![1.0 / n as f64; self.k];
        if self.k < n {
            masses.insert(0, (n - self.k) as f64 / n as f64);
        }
        // A rate beyond is as good as infinite, or as zero, and could not be divided by.
        Places { negate: false, masses, rate: (2.0 / self.softness).clamp(1e-290, 1e290) }
    }

    /// The row that a place is for; the last place is that of the largest value.
    fn row(&self, place: usize, n: usize) -> Option<usize> {
        let places = if self.k < n { self.k + 1 } else { n };
        Some(places - 1 - place).filter(|&row| row < self.k)
    }

    fn write<T: Real>(&self, line: Option<Line<T::Acc>>, order: &[u32], rows: &mut [T]) {
        let Some(line) = line else { return rows.fill(T::nan()) };
        let n = order.len();
        line.plan.for_each_row(DEPTH, |i, places, shares| {
            for (place, &share) in places.zip(shares) {
                if let Some(row) = self.row(place, n) {
                    rows[row * n + order[i] as usize] = T::narrow(share);
                }
            }
        });
    }
}

impl Contract for TransportTopK {
    const SUMMARY: &'static str = "index distributions of the k largest, by entropic transport";
    const PAPER: &'static str = "Xie et al., NeurIPS 2020, arXiv:2002.06504";
    const COST: &'static str = "O(n (k + log n)) forward and backward; O(n) memory beside the output";
    const ARGUMENTS: &'static [&'static str] = &["k", "softness"];

    fn cases() -> Vec<Self> {
        [(1, 0.3), (3, 1.0), (2, 20.0), (4, 0.6), (0, 1.0)].map(|(k, softness)| Self { k, softness }).to_vec()
    }

    fn laws(&self) -> Vec<Law> {
        let (k, total) = (self.k, self.k as f64);
        let rows = |at: Evaluated<'_>| {
            at.y[0].chunks(at.sizes[0]).map(|row| (row.iter().sum::<f64>() - 1.0).abs()).sum()
        };
        let columns = move |at: Evaluated<'_>| {
            let n = at.sizes[0];
            let excess = |i| (0..k).map(|row| at.y[0][row * n + i]).sum::<f64>() - 1.0;
            (0..n).map(excess).fold(0.0, f64::max)
        };
        vec![
            Law::SumsTo(Box::new(move |_| total)),
            Law::Within(Box::new(|_| (0.0, 1.0))),
            Law::ShiftInvariant,
            Law::Vanishes("rows_sum_to_one", Box::new(rows)),
            Law::Vanishes("columns_sum_to_at_most_one", Box::new(columns)),
        ]
    }

    fn test_sizes(&self) -> Vec<Vec<usize>> {
        [0, 1, 2, 5].map(|more| vec![(self.k + more).max(1), self.k]).to_vec()
    }

    fn oracle(&self, at: Args<'_, f64>) -> Option<[Vec<f64>; 1]> {
        let (x, n, k) = (at.x[0], at.x[0].len(), self.k);
        let masses: Vec<f64> = (0..=k).map(|j| if j == 0 { n - k } else { 1 } as f64 / n as f64).collect();
        let places: Vec<f64> = (0..=k).map(|j| j as f64).collect();
        // A place without mass cannot be scaled to it.
        let first = if k < n { 0 } else { 1 };
        let plan = naive_plan(x, &vec![1.0 / n as f64; n], &places[first..], &masses[first..], self.softness);
        let width = k + 1 - first;
        let entry = |r: usize, i: usize| n as f64 * plan[i * width + width - 1 - r];
        Some([(0..k * n).map(|at| entry(at / n, at % n)).collect()])
    }
}

/// For each of the `k` first places in descending order along the last axis, the probability of each value to
/// belong there, by entropic optimal transport (sorted SOFT top-k).
///
/// $$ \text{rows}_{ri} = n P_{i, k + 1 - r}, \qquad
/// P = \operatorname*{argmin}_{P 1 = 1/n,\ P^\top 1 = b} \sum_{ij} P_{ij} (x_i - j)^2
/// + \varepsilon \sum_{ij} P_{ij} (\ln P_{ij} - 1) $$
///
/// with places $j = 0, \dots, k$ of masses $b = ((n - k)/n, 1/n, \dots, 1/n)$.
///
/// * Shapes: `(…, n)` to `(…, k, n)`, k ≤ n. Row r is that of the r-th largest value.
/// * Softness: ε, in the unit of `x`. At k = 1 the row is the entropic mask of
///   [`soft_top_k`](super::soft_top_k()) at softness ε / 2.
/// * Hard limit: one-hot rows.
/// * Gradient: exact, by the implicit function theorem.
/// * −∞ is never chosen; an item with fewer than k other entries is an error. NaN makes its item NaN.
/// * Cost: O(n (k + log n)) forward and backward.
/// * Errors: a softness that is not finite and above zero; k > n.
///
/// For ragged batches or the hard rows, call [`evaluate`] with a [`TransportTopK`]; for gradients,
/// [`linearize`](supple_core::linearize).
///
/// ```
/// use supple_ops::select::transport_top_k;
/// // Of two values, the odds of the larger are e^{gap / ε}.
/// let rows = transport_top_k(&[0.0, f64::ln(3.0)], 1, 1.0)?;
/// assert_eq!(rows.shape(), [1, 2]);
/// assert!((rows[[0, 1]] - 0.75).abs() < 1e-12);
/// # Ok::<(), supple_core::Error>(())
/// ```
///
/// Xie, Dai, Chen, Dai, Zhao, Zha, Wei, Pfister, *Differentiable top-k with optimal transport*, NeurIPS 2020,
/// <https://arxiv.org/abs/2002.06504>.
pub fn transport_top_k<'a, T: Float, D: Dimension>(
    x: impl Into<ArrayView<'a, T, D>>,
    k: usize,
    softness: f64,
) -> Result<Array<T, D::Larger>, Error> {
    let [rows] = evaluate(&TransportTopK { k, softness }, [x.into().into_dyn()])?;
    let wider = |e| Error::unsupported(TransportTopK::NAME, "an output of one more axis", e);
    rows.into_dimensionality().map_err(wider)
}
