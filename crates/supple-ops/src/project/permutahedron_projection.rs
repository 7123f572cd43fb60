//! Projection onto the permutahedron of any weights, the convex hull of their permutations.
//!
//! $$ y = \operatorname*{argmin}_{y \in \mathcal P(w)} \tfrac12 \lVert y - x \rVert^2
//! \qquad\text{or}\qquad
//! e^y = \operatorname*{argmin}_{p \in \mathcal P(e^w)} \operatorname{KL}(p, e^x), $$
//!
//! `"l2"` and `"entropic"`. The entropic form is the paper's $P_E$: what it returns are logarithms, and it
//! has no bound on `x` or `w`. For weights $\rho > 0$ and the projection itself, ask for $w = \ln \rho$ and
//! take the exponential.
//!
//! With the k-th smallest $z_k$ of `x` and $u_k$ of the weights, this is an isotonic regression of $z - u$,
//! and its blocks $B$ of neighbouring positions give
//!
//! $$ y_{(k)} = z_k - \bar z_B + \bar u_B \qquad\text{or}\qquad
//! y_{(k)} = z_k - \ln \sum_{j \in B} e^{z_j} + \ln \sum_{j \in B} e^{u_j}. $$
//!
//! At $x = z / \varepsilon$ and $w = (1, \dots, n)$ this is [`soft_rank`](crate::order::soft_rank()) of z; at
//! $x = (1, \dots, n) / \varepsilon$ and $w = z$ it is [`soft_sort`](crate::order::soft_sort()).
//!
//! * Gradient: in each block, L2 centres $\bar y$ for `x` and shares its sum equally among the weights of the
//!   block; the entropic form does both by softmax. Equal values are told apart by their positions, and
//!   blocks that just touch count as one (kinks). The second derivative of L2 is zero almost everywhere.
//! * −∞ in `x` gets the least weights and +∞ the largest; equal infinities share, and get no gradient. NaN
//!   makes its item NaN. A weight that is not finite is a fault of its item.
//! * Cost: O(n log n) for short items, O(n) for long ones by radix sort; backward O(n).
//!
//! Paper: Blondel, Teboul, Berthet, Djolonga, *Fast Differentiable Sorting and Ranking*, ICML 2020,
//! <https://arxiv.org/abs/2002.08871>; Negrinho and Martins, *Orbit regularization*, NIPS 2014.

use super::common::{Regularization, blocks, check_length, minimax, project, twice};
use ndarray::{Array, ArrayView, Dimension};
use std::ops::Range;
use supple_core::{
    Args, Contract, Error, Fault, Float, Gradient, Law, Operator, Params, Point, Real, Scratch, params,
};
use supple_numerics::argsort::argsort;
use supple_numerics::elementary::exp_slice;
use supple_numerics::pooling::difference;

params! {
    /// Projection onto a permutahedron.
    pub struct PermutahedronProjection {
        /// What it minimises.
        regularization: Regularization = Regularization::L2, Any;
    }
}

/// Two sorting permutations and the blocks of sorted positions. Empty for an item with a NaN.
#[derive(Debug, Default)]
pub struct Saved {
    of_x: Vec<u32>,
    of_weights: Vec<u32>,
    starts: Vec<u32>,
}

impl Operator<2> for PermutahedronProjection {
    const NAME: &'static str = "permutahedron_projection";
    const SIGNATURE: &'static str = "x(n), weights(n) -> y(n)";
    const GRADIENT: Gradient = Gradient::AlmostEverywhere;
    type Saved<T: Real> = Saved;

    fn validate(&self, sizes: &[usize]) -> Result<(), Error> {
        self.check(Self::NAME)?;
        check_length(Self::NAME, sizes)
    }

    fn forward<T: Real>(
        &self,
        at: Args<'_, T, 2>,
        [y]: [&mut [T]; 1],
        saved: &mut Saved,
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let [x, weights] = at.x;
        if let Some(w) = weights.iter().find(|w| !w.is_finite()) {
            let requirement = "finite";
            return Err(Fault::Domain { argument: "weights", requirement, value: w.as_f64() });
        }
        if x.iter().any(|x| x.is_nan()) {
            y.fill(T::nan());
            return Ok(());
        }
        let (of_x, mut z) = argsort(x, false, scratch);
        let (of_weights, u) = argsort(weights, false, scratch);
        let finite = finite(&z);
        let mut starts = scratch.indices.empty();
        let inner = difference(&z[finite.clone()], &u[finite.clone()], self.regularization.mean(), scratch);
        let first = if finite.start > 0 { Some(0) } else { None };
        starts.extend(first.into_iter().chain(inner.iter().map(|&start| start + finite.start as u32)));
        if finite.end < z.len() {
            starts.push(z.len() as u32);
        }
        scratch.indices.give(inner);
        // Equal infinities lie at equal places.
        z[..finite.start].fill(T::zero());
        z[finite.end..].fill(T::zero());
        for block in blocks(&starts) {
            let mut spread = scratch.wide.empty();
            let level =
                self.level(&u[block.clone()], &mut spread) - self.level(&z[block.clone()], &mut spread);
            scratch.wide.give(spread);
            let (z_last, u_last) = (z[block.end - 1].widen(), u[block.end - 1].widen());
            for k in block {
                y[of_x[k] as usize] = T::narrow((z[k].widen() - z_last) + level + u_last);
            }
        }
        scratch.reals.give(z);
        scratch.reals.give(u);
        *saved = Saved { of_x, of_weights, starts };
        Ok(())
    }

    fn vjp<T: Real>(
        &self,
        at: Point<'_, T, Saved, 2>,
        [dy]: [&[T]; 1],
        [dx, dweights]: [&mut [T]; 2],
        scratch: &mut Scratch<T>,
    ) {
        let ([x, weights], Saved { of_x, of_weights, starts }) = (at.x, at.saved);
        if starts.is_empty() {
            dx.fill(T::nan());
            return dweights.fill(T::nan());
        }
        for block in blocks(starts) {
            let (of_x, of_weights) = (&of_x[block.clone()], &of_weights[block]);
            let sum: T::Acc = of_x.iter().map(|&i| dy[i as usize].widen()).sum();
            if x[of_x[0] as usize].is_finite() {
                let shares = self.shares(x, of_x, scratch);
                for (&i, &share) in of_x.iter().zip(&shares) {
                    dx[i as usize] = dy[i as usize] - T::narrow(share * sum);
                }
                scratch.wide.give(shares);
            }
            let shares = self.shares(weights, of_weights, scratch);
            of_weights
                .iter()
                .zip(&shares)
                .for_each(|(&i, &share)| dweights[i as usize] = T::narrow(share * sum));
            scratch.wide.give(shares);
        }
    }
}

impl PermutahedronProjection {
    /// What a sorted block has in common, relative to its last element: its mean, or the logarithm of its sum
    /// of exponentials.
    fn level<T: Real>(&self, sorted: &[T], spread: &mut Vec<T::Acc>) -> T::Acc {
        let &[.., last] = sorted else { return T::Acc::zero() };
        if sorted.len() == 1 {
            return T::Acc::zero();
        }
        spread.clear();
        spread.extend(sorted.iter().map(|x| x.widen() - last.widen()));
        match self.regularization {
            Regularization::L2 => spread.iter().copied().sum::<T::Acc>() / T::Acc::of(sorted.len() as f64),
            Regularization::Entropic => {
                exp_slice(spread);
                spread.iter().copied().sum::<T::Acc>().ln()
            }
        }
    }

    /// How much each of these elements counts in their block.
    fn shares<T: Real>(&self, x: &[T], places: &[u32], scratch: &mut Scratch<T>) -> Vec<T::Acc> {
        let mut shares = scratch.wide.empty();
        match self.regularization {
            Regularization::L2 => shares.resize(places.len(), T::Acc::of(1.0 / places.len() as f64)),
            Regularization::Entropic => {
                let last = places.last().map_or(T::Acc::zero(), |&i| x[i as usize].widen());
                shares.extend(places.iter().map(|&i| x[i as usize].widen() - last));
                exp_slice(&mut shares);
                let sum: T::Acc = shares.iter().copied().sum();
                shares.iter_mut().for_each(|share| *share /= sum);
            }
        }
        shares
    }
}

/// Where the finite ones of sorted values lie.
fn finite<T: Real>(sorted: &[T]) -> Range<usize> {
    let start = sorted.iter().take_while(|x| x.as_f64() == f64::NEG_INFINITY).count();
    let above = sorted.iter().rev().take_while(|x| x.as_f64() == f64::INFINITY).count();
    start..sorted.len() - above
}

impl Contract<2> for PermutahedronProjection {
    const SUMMARY: &'static str = "nearest point of the hull of all permutations of weights";
    const PAPER: &'static str = "Blondel et al., ICML 2020, arXiv:2002.08871";
    const COST: &'static str = "O(n log n) forward, O(n) backward, O(n) memory";
    const ARGUMENTS: &'static [&'static str] = &[];

    fn cases() -> Vec<Self> {
        [Regularization::L2, Regularization::Entropic].map(|regularization| Self { regularization }).to_vec()
    }

    fn laws(&self) -> Vec<Law> {
        let entropic = self.regularization == Regularization::Entropic;
        let sorted = move |x: &[f64]| {
            let mut x: Vec<f64> = x.iter().map(|&x| if entropic { x.exp() } else { x }).collect();
            x.sort_by(f64::total_cmp);
            x
        };
        // No k of the entries may be smaller than the k least weights, and all together are as large.
        let outside = move |y: &[f64], w: &[f64]| {
            let (mut short, mut worst) = (0.0, 0.0);
            for (y, w) in sorted(y).iter().zip(sorted(w)) {
                short += w - y;
                worst = f64::max(worst, short);
            }
            f64::max(worst, short.abs())
        };
        vec![
            Law::Vanishes("majorized_by_the_weights", Box::new(move |at| outside(at.y[0], at.x[1]))),
            Law::PermutationEquivariant,
            Law::ShiftInvariant,
            twice(self),
        ]
    }

    /// The minimax formula.
    fn oracle(&self, at: Args<'_, f64, 2>) -> Option<[Vec<f64>; 1]> {
        let [x, weights] = at.x;
        let mut order: Vec<usize> = (0..x.len()).collect();
        order.sort_by(|&i, &j| x[i].total_cmp(&x[j]));
        let mut u = weights.to_vec();
        u.sort_by(f64::total_cmp);
        let mean = |of: &mut dyn Iterator<Item = f64>| {
            let of: Vec<f64> = of.collect();
            match self.regularization {
                Regularization::L2 => of.iter().sum::<f64>() / of.len() as f64,
                Regularization::Entropic => of.iter().map(|x| x.exp()).sum::<f64>().ln(),
            }
        };
        let value = |block: Range<usize>| {
            mean(&mut order[block.clone()].iter().map(|&i| x[i])) - mean(&mut u[block].iter().copied())
        };
        let mut y = vec![0.0; x.len()];
        for (v, &i) in minimax(x.len(), value).into_iter().zip(&order) {
            y[i] = x[i] - v;
        }
        Some([y])
    }

    fn test_sizes(&self) -> Vec<Vec<usize>> {
        [0, 1, 2, 5, 8, 20].map(|n| vec![n]).to_vec()
    }

    fn free(&self) -> [bool; 2] {
        [true, false]
    }
}

/// The nearest point to `x` of the permutahedron of `weights`, the convex hull of all their permutations,
/// along the last axis.
///
/// $$ y = \operatorname*{argmin}_{y \in \mathcal P(w)} \lVert y - x \rVert^2 $$
///
/// It has the order of `x`; where values of `x` are as far apart as those of the weights, it is the weights
/// in that order.
///
/// * Shapes: `(…, n)` to `(…, n)`; `weights` are `(…, n)` too, with leading axes that broadcast to those of
///   `x`.
/// * Gradient: centred on blocks of neighbours for `x`, and shared equally in each by the weights. Equal
///   values are told apart by their positions; blocks that just touch count as one.
/// * −∞ gets the least weights and +∞ the largest. NaN makes its item NaN.
/// * Cost: O(n log n) forward, O(n) backward, O(n) memory.
/// * Errors: a weight that is not finite.
///
/// For logarithms by the Kullback-Leibler divergence (the [entropic form](Regularization::Entropic)), another
/// axis or ragged batches, call [`evaluate`](supple_core::evaluate) with a [`PermutahedronProjection`]; for
/// gradients, [`linearize`](supple_core::linearize).
///
/// ```
/// use ndarray::array;
/// use supple_ops::project::permutahedron_projection;
/// let y = permutahedron_projection(&array![5.0, 1.0, 2.0], &array![0.0, 2.0, 6.0])?;
/// assert_eq!(y, array![5.0, 1.0, 2.0]);
/// let y = permutahedron_projection(&array![9.0, 1.0, 2.0], &array![0.0, 2.0, 6.0])?;
/// assert_eq!(y, array![6.0, 0.5, 1.5]);
/// # Ok::<(), supple_core::Error>(())
/// ```
///
/// Blondel, Teboul, Berthet, Djolonga, *Fast Differentiable Sorting and Ranking*, ICML 2020,
/// <https://arxiv.org/abs/2002.08871>.
pub fn permutahedron_projection<'a, T: Float, D: Dimension, E: Dimension>(
    x: impl Into<ArrayView<'a, T, D>>,
    weights: impl Into<ArrayView<'a, T, E>>,
) -> Result<Array<T, D>, Error> {
    project(&PermutahedronProjection::default(), [x.into().into_dyn(), weights.into().into_dyn()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;
    use supple_core::{Stream, evaluate, linearize};

    #[test]
    fn ranks_and_sorted_values() {
        let mut random = Stream::new(7, 0, 0);
        let x = Array::from(random.normals(60));
        let places = Array::from_iter((1..=60).map(f64::from));
        let close = |a: Array<f64, _>, b: Array<f64, _>| assert!((a - b).iter().all(|d| d.abs() < 1e-11));
        for softness in [0.01, 0.1, 3.0] {
            let ranks = permutahedron_projection(&(&x / softness), &places).unwrap();
            close(ranks, crate::order::soft_rank(&x, softness).unwrap());
            let sorted = permutahedron_projection(&(&places / softness), &x).unwrap();
            close(sorted, crate::order::soft_sort(&x, softness).unwrap());
        }
    }

    #[test]
    fn offsets_scales_and_long_items() {
        let mut random = Stream::new(8, 0, 0);
        let single: Vec<Vec<f32>> =
            (0..2).map(|_| (0..100_000).map(|_| random.normal() as f32).collect()).collect();
        let double: Vec<Vec<f64>> = single.iter().map(|x| x.iter().map(|&x| x.into()).collect()).collect();
        let a = permutahedron_projection(&single[0][..], &single[1][..]).unwrap();
        let b = permutahedron_projection(&double[0][..], &double[1][..]).unwrap();
        assert!(a.iter().zip(&b).all(|(&a, &b)| (a as f64 - b).abs() < 1e-5));
        let (x, w) = (Array::from(double[0][..300].to_vec()), Array::from(double[1][..300].to_vec()));
        let expected = permutahedron_projection(&x, &w).unwrap();
        for (scale, offset) in [(1e-10, 0.0), (1e9, 0.0), (1.0, 1e6)] {
            let y = permutahedron_projection(&(&x * scale + offset), &(&w * scale)).unwrap() / scale;
            assert!((y - &expected).iter().all(|d| d.abs() < 1e-8), "{scale} {offset}");
        }
    }

    #[test]
    fn infinities_take_the_ends_and_nan_spoils() {
        let inf = f64::INFINITY;
        let (x, w) =
            (array![inf, 3.0, -inf, 7.0, -inf].into_dyn(), array![1.0, 2.0, 4.0, 8.0, 6.0].into_dyn());
        for op in PermutahedronProjection::cases() {
            let at = linearize(&op, [x.view(), w.view()]).unwrap();
            let low = match op.regularization {
                Regularization::L2 => 1.5,
                Regularization::Entropic => f64::ln(0.5 * (f64::exp(1.0) + f64::exp(2.0))),
            };
            // The finite two are as far apart as their weights are, or further.
            let expected = array![8.0, 4.0, low, 6.0, low];
            assert!((&at.outputs()[0] - &expected.into_dyn()).iter().all(|d| d.abs() < 1e-12));
            let [dx, dw] = at.vjp([array![1.0, 2.0, 3.0, 4.0, 5.0].into_dyn().view()]).unwrap();
            assert_eq!((dx[0], dx[2], dx[4]), (0.0, 0.0, 0.0));
            assert!((dw.sum() - 15.0).abs() < 1e-12);
            let y = |x: [f64; 2]| {
                let (x, w) = (array![x[0], x[1]].into_dyn(), array![2.0, 1.0].into_dyn());
                evaluate(&op, [x.view(), w.view()]).unwrap()[0].clone()
            };
            assert_eq!(y([inf, -inf]), array![2.0, 1.0].into_dyn());
            assert!(y([1.0, f64::NAN]).iter().all(|y| y.is_nan()));
        }
        assert!(permutahedron_projection(&[1.0], &[inf]).unwrap_err().to_string().contains("`weights`"));
    }
}
