//! The margin by which the right label misses the first k, smoothed over all sets of k labels.
//!
//! $$ L = \varepsilon \ln \sum_{|S| = k} \exp \frac{1}{\varepsilon} \Bigl( m [j \notin S] +
//! \frac1k \sum_{i \in S} s_i \Bigr) - \varepsilon \ln \sum_{|S| = k, j \in S} \exp
//! \frac{1}{k \varepsilon} \sum_{i \in S} s_i $$
//!
//! for scores $s$, the right label $j$ and the margin $m$. With the weights $w_i = e^{s_i / (k \varepsilon)}$
//! of the other labels and elementary symmetric polynomials $e_k$ of these, that is
//!
//! $$ L = \varepsilon \ln \left( 1 + e^{m / \varepsilon} \frac{e_k(w)}{w_j e_{k-1}(w)} \right) . $$
//!
//! * Softness: the unit of the scores; the paper's τ.
//! * Hard limit: $\max(0, m + (s_{[k]} - s_j) / k)$ with the k-th largest score $s_{[k]}$ of the others.
//! * At k = 1 it is the smooth multi-class margin loss, with m = 0 and ε = 1 cross entropy. At k = n it is 0.
//! * Gradient: exact everywhere. All of it, over labels, sums to zero.
//! * Scores of −∞ are labels that are out of the game; with fewer than k others left, the loss is 0. The
//!   right label must not be one of them: then, with NaN or +∞, the loss is NaN. A label outside `0..n` is a
//!   fault.
//! * Cost: O(n k) time, forward and backward, without overflow and as exact for n = 1000 as for 10.
//!
//! Paper: Berrada, Zisserman, Kumar, *Smooth Loss Functions for Deep Top-k Classification*, ICLR 2018,
//! <https://arxiv.org/abs/1802.07595>.

use ndarray::{Array, ArrayView, RemoveAxis};
use supple_core::{
    Args, Contract, Error, Fault, Float, Inputs, Law, Operator, Params, Point, Real, Sample, Scaling,
    Scratch, Stream, evaluate, params,
};
use supple_numerics::simplex::kth_largest;
use supple_numerics::subsets::{Answers, marginals};

params! {
    /// Smooth margin loss of the first k.
    pub struct SmoothTopKSvmLoss {
        /// How many labels one may name; at most n.
        k: usize = 5, AtLeast(1.0);
        /// Temperature; the unit of the scores.
        softness: f64 = 1.0, Positive;
        /// By how much the right label, in k-th parts, is to lead; the unit of the scores.
        margin: f64 = 1.0, AtLeast(0.0);
    }
}

/// The sums over sets of other labels, where there are enough for one.
struct Rivals<T: Real> {
    answers: Answers<T::Acc>,
    /// $\ln$ of what is beside 1 in the loss.
    excess: T::Acc,
}

impl SmoothTopKSvmLoss {
    fn rivals<T: Real>(&self, scores: &[T], label: usize, scratch: &mut Scratch<T>) -> Option<Rivals<T>> {
        if self.k >= scores.len() {
            return None;
        }
        let mut z = scratch.reals.copy(&scores[..label]);
        z.extend_from_slice(&scores[label + 1..]);
        let mut keys = scratch.keys.empty();
        let (kth, _) = kth_largest(&z, self.k, &mut keys);
        scratch.keys.give(keys);
        let found = T::constant(kth).is_finite().then(|| {
            let rate = T::of(1.0 / (self.k as f64 * self.softness));
            let unit = |score: T| (score - T::constant(kth)) * rate;
            z.iter_mut().for_each(|z| *z = unit(*z));
            let answers = Answers::new(&z, self.k, &mut scratch.wide);
            let counts = answers.counts(self.k, &mut scratch.wide);
            let ratio = counts[self.k].ln() - counts[self.k - 1].ln();
            scratch.wide.give(counts);
            let base = T::Acc::of(answers.tilt + self.margin / self.softness);
            let excess = base + ratio - unit(scores[label]).widen();
            Rivals { answers, excess }
        });
        scratch.reals.give(z);
        found
    }
}

impl Operator<1, 1, 1> for SmoothTopKSvmLoss {
    const NAME: &'static str = "smooth_top_k_svm_loss";
    const SIGNATURE: &'static str = "scores(n>=1), label: index() -> loss()";
    type Saved<T: Real> = ();

    fn validate(&self, sizes: &[usize]) -> Result<(), Error> {
        self.check(Self::NAME)?;
        super::cut::check_k(Self::NAME, self.k, sizes)
    }

    fn work(&self, sizes: &[usize]) -> usize {
        sizes.iter().product::<usize>().saturating_mul(4 * self.k + 10)
    }

    /// Without a margin: it has the unit of the scores, but is not an input.
    fn scaling(&self) -> Option<Scaling> {
        let scaling = Scaling { softness: self.softness, power: 1, inputs: [1], outputs: [1] };
        (self.margin == 0.0).then_some(scaling)
    }

    fn forward<T: Real>(
        &self,
        at: Args<'_, T, 1, 1>,
        [loss]: [&mut [T]; 1],
        _: &mut (),
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let [scores] = at.x;
        Fault::check_indices("label", at.k[0], scores.len())?;
        let label = at.k[0][0] as usize;
        let spoilt = |s: T| s.is_nan() || s == T::infinity();
        if !scores[label].is_finite() || scores.iter().any(|&s| spoilt(s)) {
            loss[0] = T::nan();
        } else if let Some(Rivals { answers, excess }) = self.rivals(scores, label, scratch) {
            answers.give(&mut scratch.wide);
            let soft_plus = excess.max(T::Acc::zero()) + (-excess.abs()).exp().ln_1p();
            loss[0] = T::narrow(T::Acc::of(self.softness) * soft_plus);
        }
        Ok(())
    }

    fn vjp<T: Real>(
        &self,
        at: Point<'_, T, (), 1, 1, 1>,
        [dloss]: [&[T]; 1],
        [dscores]: [&mut [T]; 1],
        scratch: &mut Scratch<T>,
    ) {
        if at.y[0][0].is_nan() {
            return dscores.fill(T::nan());
        }
        let label = at.k[0][0] as usize;
        let Some(Rivals { answers, excess }) = self.rivals(at.x[0], label, scratch) else { return };
        let e = (-excess.abs()).exp();
        let missed = if excess > T::Acc::zero() { T::Acc::one() } else { e } / (T::Acc::one() + e);
        let rate = dloss[0].widen() * missed / T::Acc::of(self.k as f64);
        dscores[label] = T::narrow(-rate);
        marginals(&answers, self.k, true, &mut scratch.wide, |i, p| {
            dscores[i + usize::from(i >= label)] = T::narrow(rate * p);
        });
        answers.give(&mut scratch.wide);
    }

    fn hard<T: Float>(
        &self,
        at: Args<'_, T, 1, 1>,
        [loss]: [&mut [T]; 1],
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let [scores] = at.x;
        Fault::check_indices("label", at.k[0], scores.len())?;
        let right = scores[at.k[0][0] as usize];
        if !right.is_finite() || scores.iter().any(|s| s.is_nan() || *s == T::infinity()) {
            loss[0] = T::nan();
            return Ok(());
        }
        let mut keys = scratch.keys.empty();
        // With the right label's own score among them, the k-th of the others is the next where it is one of
        // the k.
        let (kth, next) = kth_largest(scores, self.k, &mut keys);
        scratch.keys.give(keys);
        let rival = if right >= kth { next } else { kth };
        loss[0] = (T::of(self.margin) + (rival - right) / T::of(self.k as f64)).max(T::zero());
        Ok(())
    }
}

impl Contract<1, 1, 1> for SmoothTopKSvmLoss {
    const SUMMARY: &'static str = "margin by which the right label misses the first k, smooth";
    const PAPER: &'static str = "Berrada et al., ICLR 2018, arXiv:1802.07595";
    const COST: &'static str = "O(n k) time, memory O(n k) or O(k √n)";
    const ARGUMENTS: &'static [&'static str] = &["k", "softness"];

    fn cases() -> Vec<Self> {
        let case = |k, softness, margin| Self { k, softness, margin };
        vec![case(1, 1.0, 1.0), case(3, 0.2, 1.0), case(5, 1.0, 1.0), case(2, 5.0, 0.3), case(2, 0.5, 0.0)]
    }

    fn laws(&self) -> Vec<Law> {
        vec![Law::Within(Box::new(|_| (0.0, f64::INFINITY))), Law::ShiftInvariant]
    }

    fn test_sizes(&self) -> Vec<Vec<usize>> {
        [0, 1, 2, 6].map(|more| vec![self.k + more]).to_vec()
    }

    /// Both sums by going through all sets.
    fn oracle(&self, at: Args<'_, f64, 1, 1>) -> Option<[Vec<f64>; 1]> {
        let ([scores], label, k) = (at.x, at.k[0][0] as usize, self.k as f64);
        let is_in = |set: usize, i: usize| set >> i & 1 == 1;
        let (mut all, mut right) = (0.0, 0.0);
        for set in (0..1usize << scores.len()).filter(|s| s.count_ones() as usize == self.k) {
            let sum: f64 = (0..scores.len()).filter(|&i| is_in(set, i)).map(|i| scores[i]).sum();
            let term = |missed: f64| ((missed + sum / k) / self.softness).exp();
            all += term(if is_in(set, label) { 0.0 } else { self.margin });
            right += if is_in(set, label) { term(0.0) } else { 0.0 };
        }
        Some([vec![self.softness * (all.ln() - right.ln())]])
    }

    fn sample(&self, _: &[usize], [n]: [usize; 1], random: &mut Stream) -> Sample<1, 1> {
        Sample { x: [random.normals(n)], k: [vec![random.below(n) as i64]] }
    }
}

/// The margin by which the right one of `scores` `(…, n)`, the number `label` `(…)`, misses the first `k`,
/// smoothed over all sets of k labels; with the margin m = 1.
///
/// $$ L = \varepsilon \ln \left( 1 + e^{m / \varepsilon} \frac{e_k(w)}{w_j e_{k-1}(w)} \right), \qquad
/// w_i = e^{s_i / (k \varepsilon)} $$
///
/// with the elementary symmetric polynomials $e_k$ of the other labels' weights.
///
/// * Shapes: `(…, n)` and `(…)` to `(…)`, k ≤ n; labels count from 0.
/// * Softness: ε, in the unit of the scores; the paper's τ.
/// * Hard limit: $\max(0, m + (s_{\[k\]} - s_j) / k)$ with the k-th largest score $s_{\[k\]}$ of the others.
/// * Gradient: exact everywhere. At k = n the loss is 0.
/// * Scores of −∞ are out of the game. NaN, +∞ or −∞ for the right label make the loss NaN.
/// * Cost: O(n k) time, forward and backward.
/// * Errors: a softness that is not finite and above zero; k = 0 or k > n; a label outside `0..n`.
///
/// For another margin, call [`evaluate`](supple_core::evaluate) with a [`SmoothTopKSvmLoss`].
///
/// ```
/// use ndarray::{arr0, array};
/// use supple_ops::select::smooth_top_k_svm_loss;
/// let scores = array![9.0, 1.0, 5.0, 0.0];
/// let loss = |label| smooth_top_k_svm_loss(&scores, &arr0(label), 2, 0.1).map(|loss| loss.into_scalar());
/// assert!(loss(2)? < 1e-4 && loss(1)? > 2.9);
/// # Ok::<(), supple_core::Error>(())
/// ```
///
/// Berrada, Zisserman, Kumar, *Smooth Loss Functions for Deep Top-k Classification*, ICLR 2018,
/// <https://arxiv.org/abs/1802.07595>.
pub fn smooth_top_k_svm_loss<'a, T: Float, D: RemoveAxis>(
    scores: impl Into<ArrayView<'a, T, D>>,
    label: impl Into<ArrayView<'a, i64, D::Smaller>>,
    k: usize,
    softness: f64,
) -> Result<Array<T, D::Smaller>, Error> {
    let operator = SmoothTopKSvmLoss { k, softness, ..SmoothTopKSvmLoss::default() };
    let inputs = Inputs::from(([scores.into().into_dyn()], [label.into().into_dyn()]));
    let [loss] = evaluate(&operator, inputs)?;
    let narrower = |e| Error::unsupported(SmoothTopKSvmLoss::NAME, "a loss of the input's rank less one", e);
    loss.into_dimensionality().map_err(narrower)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array1, arr0};
    use supple_core::linearize;

    /// `ln e_0 … ln e_k`, each sum by its logarithm.
    fn log_polynomials(z: impl Iterator<Item = f64>, k: usize) -> Vec<f64> {
        let mut logs = vec![f64::NEG_INFINITY; k + 1];
        logs[0] = 0.0;
        for z in z {
            for j in (1..=k).rev() {
                let (a, b) = (logs[j], logs[j - 1] + z);
                let top = a.max(b);
                if top > f64::NEG_INFINITY {
                    logs[j] = top + ((a - top).exp() + (b - top).exp()).ln();
                }
            }
        }
        logs
    }

    #[test]
    fn a_thousand_labels() {
        let (n, k) = (1000, 5);
        let mut random = Stream::new(2, 0, 0);
        for (spread, softness) in [(1.0, 1.0), (30.0, 0.1), (1e4, 0.01), (0.0, 0.1)] {
            let scores: Array1<f64> = random.normals(n).into_iter().map(|s| 1e3 + spread * s).collect();
            let operator = SmoothTopKSvmLoss { k, softness, margin: 1.0 };
            let rate = 1.0 / (k as f64 * softness);
            for label in [0usize, 500, 999] {
                let others = (0..n).filter(|&i| i != label).map(|i| (scores[i] - scores[label]) * rate);
                let logs = log_polynomials(others, k);
                let excess = 1.0 / softness + logs[k] - logs[k - 1];
                let expected = softness * (excess.max(0.0) + (-excess.abs()).exp().ln_1p());
                let (x, label) = (scores.clone().into_dyn(), arr0(label as i64).into_dyn());
                let at = linearize(&operator, ([x.view()], [label.view()])).unwrap();
                let loss = at.outputs()[0].sum();
                assert!((loss - expected).abs() < 1e-9 * (1.0 + expected), "{loss} for {expected}");
                let [dx] = at.vjp([arr0(1.0).into_dyn().view()]).unwrap();
                assert!(dx.sum().abs() < 1e-12 && dx.iter().all(|d| d.is_finite()));
            }
        }
    }

    #[test]
    fn cross_entropy_at_k_1_without_a_margin() {
        let x = Array1::from(vec![0.3, -1.0, 2.0]).into_dyn();
        let operator = SmoothTopKSvmLoss { k: 1, softness: 1.0, margin: 0.0 };
        let label = arr0(1).into_dyn();
        let loss = linearize(&operator, ([x.view()], [label.view()])).unwrap().outputs()[0].sum();
        let expected = x.mapv(f64::exp).sum().ln() - x[1];
        assert!((loss - expected).abs() < 1e-14, "{loss} for {expected}");
    }
}
