//! Gumbel-softmax: a relaxed sample of a choice, also known as the Concrete distribution.
//!
//! $$ p_i = \frac{e^{(x_i + g_i) / \varepsilon}}{\sum_j e^{(x_j + g_j) / \varepsilon}}, \qquad
//! g_i = -\ln(-\ln u_i), \quad u_i \text{ uniform in } (0, 1) $$
//!
//! * `x` are logits: the largest of $x + g$ is option $i$ with probability $\mathrm{softmax}(x)_i$ at
//!   temperature 1, whatever ε. To sample at another temperature, divide `x` by it.
//! * Softness: the unit of `x` and of the noise, whose scale is 1; ε, the papers' τ or λ. The smaller, the
//!   nearer a sample is to one-hot and the larger the variance of its gradient.
//! * Hard limit: one-hot at the largest of $x + g$, which is an exact sample of softmax. As ε grows, a sample
//!   tends to equal shares.
//! * Gradient: exact for the noise that was drawn (pathwise), everywhere, as are second derivatives. Its mean
//!   is the gradient of the mean relaxed sample, not that of softmax. There is no gradient to the softness,
//!   because the noise does not scale.
//! * The noise is a function of seed, number of the item and option: the same seed gives the same noise, in
//!   the hard form too. Straight-through is the straight-through Gumbel-softmax: value and gradient are those
//!   of one draw, which without a seed is another at each call.
//! * −∞ masks an option. An item of −∞ only, or with NaN or +∞, is NaN.
//! * Cost: O(n) forward and backward; the backward pass needs no noise.
//!
//! Papers: Jang, Gu and Poole, *Categorical reparameterization with Gumbel-softmax*, ICLR 2017,
//! <https://arxiv.org/abs/1611.01144>; Maddison, Mnih and Teh, *The Concrete distribution*, ICLR 2017,
//! <https://arxiv.org/abs/1611.00712>.

use super::softmax::{Softmax, one_hot};
use ndarray::{Array, ArrayView, Dimension};
use supple_core::{
    Args, Contract, Dual, Error, Fault, Float, Law, Operator, Params, Point, Real, Scratch, Stream, map,
    params,
};
use supple_numerics::elementary::exp_sum;
use supple_numerics::noise::Noise;
use supple_numerics::simplex::largest;

params! {
    /// A relaxed sample of a choice.
    pub struct GumbelSoftmax {
        /// Temperature of the relaxation; the unit of `x`.
        softness: f64 = 1.0, Positive;
        /// Seed of the noise; drawn at each call where there is none.
        seed: Option<u64> = None, Any;
    }
}

impl GumbelSoftmax {
    fn new_seed(&self) -> u64 {
        self.seed.unwrap_or_else(Stream::fresh_seed)
    }

    fn sample<T: Real>(&self, at: Args<'_, T>, seed: u64, p: &mut [T], scratch: &mut Scratch<T>) {
        let z = perturbed(at, seed, scratch);
        let top = T::Acc::constant(largest(&z));
        if top.is_finite() {
            let softness = T::Acc::of(self.softness);
            p.iter_mut().zip(&z).for_each(|(p, &z)| *p = T::narrow((z - top) / softness));
            let factor = T::narrow(T::Acc::one() / exp_sum(p, T::zero()));
            p.iter_mut().for_each(|p| *p *= factor);
        } else {
            p.fill(T::nan());
        }
        scratch.wide.give(z);
    }
}

/// `x + g`, in a buffer to be given back.
fn perturbed<T: Real>(at: Args<'_, T>, seed: u64, scratch: &mut Scratch<T>) -> Vec<T::Acc> {
    let [x] = at.x;
    let mut stream = Stream::new(seed, at.item, 0);
    let mut z = scratch.wide.zeros(x.len());
    Noise::Gumbel.fill_any(&mut stream, &mut z);
    z.iter_mut().zip(x).for_each(|(z, x)| *z += x.widen());
    z
}

impl Operator for GumbelSoftmax {
    const NAME: &'static str = "gumbel_softmax";
    const SIGNATURE: &'static str = "x(n>=1) -> p(n)";
    /// The seed in use.
    type Saved<T: Real> = u64;

    fn validate(&self, _: &[usize]) -> Result<(), Error> {
        self.check(Self::NAME)
    }

    /// A number of the noise costs as much as some tens of others.
    fn work(&self, sizes: &[usize]) -> usize {
        16 * sizes.iter().product::<usize>()
    }

    fn forward<T: Real>(
        &self,
        at: Args<'_, T>,
        [p]: [&mut [T]; 1],
        seed: &mut u64,
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        *seed = self.new_seed();
        self.sample(at, *seed, p, scratch);
        Ok(())
    }

    fn lift<F: Float>(
        &self,
        at: Args<'_, Dual<F>>,
        values: Point<'_, F, u64>,
        [p]: [&mut [Dual<F>]; 1],
        seed: &mut u64,
        scratch: &mut Scratch<Dual<F>>,
    ) -> Result<(), Fault> {
        *seed = *values.saved;
        self.sample(at, *seed, p, scratch);
        Ok(())
    }

    fn vjp<T: Real>(
        &self,
        at: Point<'_, T, u64>,
        dp: [&[T]; 1],
        dx: [&mut [T]; 1],
        scratch: &mut Scratch<T>,
    ) {
        let Point { x, k, sizes, item, y, .. } = at;
        let at = Point { x, k, sizes, item, y, saved: &() };
        Softmax { softness: self.softness }.vjp(at, dp, dx, scratch);
    }

    fn hard<T: Float>(
        &self,
        at: Args<'_, T>,
        p: [&mut [T]; 1],
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        self.hard_at(at, &self.new_seed(), p, scratch)
    }

    /// With the noise of the relaxed sample.
    fn hard_at<T: Float>(
        &self,
        at: Args<'_, T>,
        seed: &u64,
        [p]: [&mut [T]; 1],
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let z = perturbed(at, *seed, scratch);
        one_hot(&z, p);
        scratch.wide.give(z);
        Ok(())
    }
}

impl Contract for GumbelSoftmax {
    const SUMMARY: &'static str = "relaxed sample of a choice (Concrete distribution)";
    const PAPER: &'static str = "Jang et al., ICLR 2017, arXiv:1611.01144; Maddison et al., ICLR 2017";
    const COST: &'static str = "O(n) forward and backward, O(n) memory";

    fn cases() -> Vec<Self> {
        [1.0, 0.1, 20.0].map(|softness| Self { softness, seed: None }).to_vec()
    }

    fn laws(&self) -> Vec<Law> {
        vec![
            Law::SumsTo(Box::new(|_| 1.0)),
            Law::Within(Box::new(|_| (0.0, 1.0))),
            Law::ShiftInvariant,
            Law::Masks,
        ]
    }

    fn oracle(&self, at: Args<'_, f64>) -> Option<[Vec<f64>; 1]> {
        let mut stream = Stream::new(self.seed?, at.item, 0);
        let weights = at.x[0].iter().map(|x| {
            let noise = -(-stream.uniform().ln()).ln();
            ((x + noise) / self.softness).exp()
        });
        let weights: Vec<f64> = weights.collect();
        let total: f64 = weights.iter().sum();
        Some([weights.into_iter().map(|w| w / total).collect()])
    }
}

/// A relaxed sample of the choice among logits `x` along the last axis: softmax of `x` with Gumbel noise.
///
/// $$ p_i = \frac{e^{(x_i + g_i) / \varepsilon}}{\sum_j e^{(x_j + g_j) / \varepsilon}}, \qquad
/// g_i = -\ln(-\ln u_i) $$
///
/// * Shapes: `(…, n)` to `(…, n)`, n ≥ 1. Each item has noise of its own.
/// * Softness: ε, in the unit of the logits; the temperature of the relaxation, not of the choice, which is
///   that of $\mathrm{softmax}(x)$ for every ε.
/// * Hard limit: an exact sample, one-hot.
/// * Gradient: exact for the noise drawn, as are second derivatives. None to the softness.
/// * −∞ masks an option. An item of −∞ only, or with NaN or +∞, is NaN.
/// * Cost: O(n) forward and backward.
/// * Errors: a softness that is not finite and above zero; n = 0.
///
/// Each call draws anew. For a fixed [`seed`](GumbelSoftmax::seed), one-hot samples, straight-through
/// gradients or another axis, call [`evaluate`](supple_core::evaluate) with a [`GumbelSoftmax`]; for
/// gradients, [`linearize`](supple_core::linearize).
///
/// ```
/// use ndarray::array;
/// use supple_ops::choice::gumbel_softmax;
/// let p = gumbel_softmax(&array![0.5_f64, 1.0, f64::NEG_INFINITY], 0.3)?;
/// assert!((p.sum() - 1.0).abs() < 1e-15 && p[2] == 0.0);
/// # Ok::<(), supple_core::Error>(())
/// ```
///
/// Jang, Gu and Poole, *Categorical reparameterization with Gumbel-softmax*, ICLR 2017,
/// <https://arxiv.org/abs/1611.01144>; Maddison, Mnih and Teh, *The Concrete distribution*, ICLR 2017,
/// <https://arxiv.org/abs/1611.00712>.
pub fn gumbel_softmax<'a, T: Float, D: Dimension>(
    x: impl Into<ArrayView<'a, T, D>>,
    softness: f64,
) -> Result<Array<T, D>, Error> {
    map(&GumbelSoftmax { softness, ..GumbelSoftmax::default() }, x)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::choice::softmax;
    use ndarray::{Array2, Axis, array};
    use supple_core::{Inputs, Mode, Options, evaluate, linearize};

    fn samples(x: [f32; 4], softness: f64, mode: Mode) -> Array2<f32> {
        let x = Array2::from_shape_fn((100_000, 4), |(_, i)| x[i]).into_dyn();
        let options = Options { mode, ..Options::default() };
        let operator = GumbelSoftmax { softness, seed: Some(5) };
        let [p] = evaluate(&operator, Inputs { x: [x.view()], k: [], options }).unwrap();
        p.into_dimensionality().unwrap()
    }

    #[test]
    fn hard_samples_have_the_frequencies_of_softmax() {
        // In single precision the noise would be lost beside the offset of the second.
        for x in [[0.3, -1.0, f32::NEG_INFINITY, 1.2], [16_777_216.0, 16_777_215.0, 16_777_214.0, 0.0]] {
            let expected = softmax(&x.map(f64::from), 1.0).unwrap();
            let hard = samples(x, 0.1, Mode::Hard);
            let n = hard.nrows() as f64;
            for (mean, p) in hard.mapv(f64::from).mean_axis(Axis(0)).unwrap().iter().zip(&expected) {
                let error = (p * (1.0 - p) / n).sqrt();
                assert!((mean - p).abs() <= 4.0 * error, "{mean} for {p}");
            }
            assert_eq!(hard, samples(x, 7.0, Mode::Hard));
            // The relaxed sample has its largest entry at the hard one.
            for (soft, hard) in samples(x, 0.7, Mode::Soft).rows().into_iter().zip(hard.rows()) {
                let top = largest(soft.as_slice().unwrap());
                assert!(soft.iter().zip(hard).all(|(&p, &h)| h == 0.0 || p == top));
            }
        }
    }

    #[test]
    fn derivatives_are_at_the_noise_that_was_drawn() {
        let x = array![0.3, -1.0, 0.4, 1.2].into_dyn();
        let operator = GumbelSoftmax::default();
        let draws = [(); 2].map(|()| {
            let at = linearize(&operator, [x.view()]).unwrap();
            let v = array![1.0, 0.0, -2.0, 0.5].into_dyn();
            let [p] = at.outputs();
            let expected = p * &(&v - (p * &v).sum());
            for [got] in [at.vjp([v.view()]).unwrap(), at.jvp([v.view()]).unwrap()] {
                assert!((got - &expected).iter().all(|gap| gap.abs() < 1e-15));
            }
            p.clone()
        });
        assert_ne!(draws[0], draws[1]);
    }
}
