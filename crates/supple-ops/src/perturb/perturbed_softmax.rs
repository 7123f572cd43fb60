//! Perturb-softmax: the mean of softmax under noise.
//!
//! $$p = \mathrm{E}\, \mathrm{softmax}\Bigl(\frac{\theta + \sigma Z}{\varepsilon}\Bigr)$$
//!
//! for logits $\theta$ `(n)`, as a mean over `samples` draws. It is the gradient of the convex function
//! $\mathrm{E}\, \varepsilon\, \mathrm{logsumexp}((\theta + \sigma Z) / \varepsilon)$; one draw of Gumbel
//! noise is [`gumbel_softmax`](crate::choice::gumbel_softmax()).
//!
//! * Softness: ε, the temperature of softmax, in the unit of the logits. The scale of the noise, σ, is in
//!   that unit too and a parameter of its own.
//! * Hard limit: perturb-argmax, the shares of the draws in which each option is largest. For Gumbel noise
//!   these are an estimate of $\mathrm{softmax}(\theta / \sigma)$.
//! * Gradient: exact for the noise that was drawn (pathwise), everywhere, as are second derivatives. Its mean
//!   is the gradient of the mean above, without bias. There is none to the softness or the scale.
//! * The noise is a function of seed, number of the item, sample and option: the same seed gives the same
//!   noise, in the hard form and the gradients too. Without a seed, each call draws anew.
//! * −∞ masks an option. An item of −∞ only, or with NaN or +∞, is NaN.
//! * Cost: O(samples · n) forward and backward; the backward pass draws the noise again.
//!
//! Indelman and Hazan, *On the statistical representation properties of the perturb-softmax and the
//! perturb-argmax probability distributions*, 2024, <https://arxiv.org/abs/2406.02180>.

use ndarray::{Array, ArrayView, Dimension};
use supple_core::{
    Args, Contract, Dual, Error, Fault, Float, Law, Operator, Params, Point, Real, Scratch, Stream, map,
    params,
};
use supple_numerics::noise::Noise;
use supple_numerics::simplex::largest;
use supple_numerics::softmax::{pull_back, soften};

params! {
    /// Mean of softmax under noise.
    pub struct PerturbedSoftmax {
        /// Temperature of softmax, in the unit of the logits.
        softness: f64 = 1.0, Positive;
        /// Scale σ of the noise, in the unit of the logits.
        scale: f64 = 1.0, Positive;
        /// Monte-Carlo samples.
        samples: usize = 100, AtLeast(1.0);
        /// Distribution of the noise.
        noise: Noise = Noise::Gaussian, Any;
        /// Seed of the noise; drawn at each call where there is none.
        seed: Option<u64> = None, Any;
    }
}

impl PerturbedSoftmax {
    fn new_seed(&self) -> u64 {
        self.seed.unwrap_or_else(Stream::fresh_seed)
    }

    /// Calls `visit` with `θ + σZ` of each sample and the largest entry, unless that is not finite: `false`.
    fn each<T: Real>(
        &self,
        theta: &[T],
        seed: u64,
        item: usize,
        scratch: &mut Scratch<T>,
        mut visit: impl FnMut(&[T::Acc], f64),
    ) -> bool {
        let mut z = scratch.wide.zeros(theta.len());
        let scale = T::Acc::of(self.scale);
        let finite = (0..self.samples).all(|sample| {
            self.noise.fill_any(&mut Stream::new(seed, item, sample), &mut z);
            z.iter_mut().zip(theta).for_each(|(z, theta)| *z = theta.widen() + scale * *z);
            let top = largest(&z);
            if top.is_finite() {
                visit(&z, top);
            }
            top.is_finite()
        });
        scratch.wide.give(z);
        finite
    }

    /// As [`each`](Self::each) with the shares of each sample.
    fn shares<T: Real>(
        &self,
        theta: &[T],
        seed: u64,
        item: usize,
        scratch: &mut Scratch<T>,
        mut visit: impl FnMut(&[T::Acc]),
    ) -> bool {
        let mut p = scratch.wide.zeros(theta.len());
        let finite = self.each(theta, seed, item, scratch, |z, _| {
            p.copy_from_slice(z);
            soften(&mut p, self.softness);
            visit(&p);
        });
        scratch.wide.give(p);
        finite
    }

    fn mean<T: Real>(&self, at: Args<'_, T>, seed: u64, p: &mut [T], scratch: &mut Scratch<T>) {
        let mut sum = scratch.wide.zeros(p.len());
        let finite = self.shares(at.x[0], seed, at.item, scratch, |share| {
            sum.iter_mut().zip(share).for_each(|(sum, &share)| *sum += share);
        });
        let count = T::Acc::of(self.samples as f64);
        let mean = |sum: T::Acc| if finite { T::narrow(sum / count) } else { T::nan() };
        p.iter_mut().zip(&sum).for_each(|(p, &sum)| *p = mean(sum));
        scratch.wide.give(sum);
    }
}

impl Operator for PerturbedSoftmax {
    const NAME: &'static str = "perturbed_softmax";
    const SIGNATURE: &'static str = "theta(n>=1) -> p(n)";
    /// The seed in use.
    type Saved<T: Real> = u64;

    fn validate(&self, _: &[usize]) -> Result<(), Error> {
        self.check(Self::NAME)
    }

    /// A number of the noise costs as much as some tens of others.
    fn work(&self, sizes: &[usize]) -> usize {
        self.samples.saturating_mul(16 * sizes.iter().product::<usize>())
    }

    fn forward<T: Real>(
        &self,
        at: Args<'_, T>,
        [p]: [&mut [T]; 1],
        seed: &mut u64,
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        *seed = self.new_seed();
        self.mean(at, *seed, p, scratch);
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
        self.mean(at, *seed, p, scratch);
        Ok(())
    }

    fn vjp<T: Real>(
        &self,
        at: Point<'_, T, u64>,
        [dp]: [&[T]; 1],
        [dx]: [&mut [T]; 1],
        scratch: &mut Scratch<T>,
    ) {
        let mut sum = scratch.wide.zeros(dx.len());
        let rate = 1.0 / (self.samples as f64 * self.softness);
        let finite = self.shares(at.x[0], *at.saved, at.item, scratch, |p| pull_back(p, rate, dp, &mut sum));
        let gradient = |sum: T::Acc| if finite { T::narrow(sum) } else { T::nan() };
        dx.iter_mut().zip(&sum).for_each(|(dx, &sum)| *dx = gradient(sum));
        scratch.wide.give(sum);
    }

    fn hard<T: Float>(
        &self,
        at: Args<'_, T>,
        p: [&mut [T]; 1],
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        self.hard_at(at, &self.new_seed(), p, scratch)
    }

    /// With the noise of the relaxation.
    fn hard_at<T: Float>(
        &self,
        at: Args<'_, T>,
        seed: &u64,
        [p]: [&mut [T]; 1],
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let mut counts = scratch.indices.zeros(p.len());
        let finite = self.each(at.x[0], *seed, at.item, scratch, |z, top| {
            z.iter().position(|&z| z == top).into_iter().for_each(|first| counts[first] += 1);
        });
        let share = |count: u32| if finite { f64::from(count) / self.samples as f64 } else { f64::NAN };
        p.iter_mut().zip(&counts).for_each(|(p, &count)| *p = T::of(share(count)));
        scratch.indices.give(counts);
        Ok(())
    }
}

impl Contract for PerturbedSoftmax {
    const SUMMARY: &'static str = "mean of softmax under noise (perturb-softmax)";
    const PAPER: &'static str = "Indelman and Hazan, 2024, arXiv:2406.02180";
    const COST: &'static str = "O(samples · n) forward and backward, O(n) memory";
    const ARGUMENTS: &'static [&'static str] = &["scale", "softness"];

    fn cases() -> Vec<Self> {
        let default = Self::default();
        vec![
            Self { samples: 10, ..default.clone() },
            Self { softness: 0.1, scale: 0.3, samples: 3, noise: Noise::Gumbel, ..default.clone() },
            Self { softness: 20.0, scale: 5.0, samples: 1, ..default },
        ]
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
        let mut mean = vec![0.0; at.x[0].len()];
        for sample in 0..self.samples {
            let mut weights = vec![0.0; mean.len()];
            self.noise.fill(&mut Stream::new(self.seed?, at.item, sample), &mut weights);
            let logits = weights.iter_mut().zip(at.x[0]);
            logits.for_each(|(z, x)| *z = ((x + self.scale * *z) / self.softness).exp());
            let total = weights.iter().sum::<f64>() * self.samples as f64;
            mean.iter_mut().zip(weights).for_each(|(mean, weight)| *mean += weight / total);
        }
        Some([mean])
    }
}

/// The mean of softmax at temperature `softness` of logits `theta` under Gaussian noise of scale `scale`,
/// along the last axis, estimated from 100 draws; shaped as `theta`.
///
/// $$p = \mathrm{E}\, \mathrm{softmax}\Bigl(\frac{\theta + \sigma Z}{\varepsilon}\Bigr)$$
///
/// * Softness: ε, in the unit of the logits, as is the scale σ.
/// * Hard limit: the shares of the draws in which each option is largest.
/// * Gradient: exact for the noise drawn, as are second derivatives. None to the softness.
/// * −∞ masks an option. An item of −∞ only, or with NaN or +∞, is NaN.
/// * Cost: O(n) for each draw, forward and backward.
/// * Errors: a softness or scale that is not finite and above zero; n = 0.
///
/// Each call draws anew: set [`PerturbedSoftmax::seed`] for the same noise, `samples` for less of it, `noise`
/// for another. For gradients, call [`linearize`](supple_core::linearize) with a [`PerturbedSoftmax`].
///
/// ```
/// use supple_ops::perturb::perturbed_softmax;
///
/// let p = perturbed_softmax(&[0.1, 5.0, f64::NEG_INFINITY], 0.5, 0.1)?;
/// assert!((p.sum() - 1.0).abs() < 1e-14 && p[1] > 0.99 && p[2] == 0.0);
/// # Ok::<(), supple_core::Error>(())
/// ```
///
/// Indelman and Hazan, *On the statistical representation properties of the perturb-softmax and the
/// perturb-argmax probability distributions*, 2024, <https://arxiv.org/abs/2406.02180>.
pub fn perturbed_softmax<'a, T: Float, D: Dimension>(
    theta: impl Into<ArrayView<'a, T, D>>,
    scale: f64,
    softness: f64,
) -> Result<Array<T, D>, Error> {
    map(&PerturbedSoftmax { softness, scale, ..PerturbedSoftmax::default() }, theta)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::choice::GumbelSoftmax;
    use ndarray::{ArrayD, array};
    use supple_core::{Inputs, Mode, Options, evaluate, linearize};

    /// `(mean − exact)` in standard errors.
    fn z(samples: &[f64], exact: f64) -> f64 {
        let n = samples.len() as f64;
        let mean = samples.iter().sum::<f64>() / n;
        let variance = samples.iter().map(|s| (s - mean).powi(2)).sum::<f64>() / (n - 1.0);
        (mean - exact) / (variance / n).sqrt()
    }

    fn logits() -> ArrayD<f64> {
        array![[0.3, -1.0, 0.4, 1.2], [2.0, f64::NEG_INFINITY, 0.0, 1.9]].into_dyn()
    }

    #[test]
    fn one_draw_of_gumbel_noise_is_gumbel_softmax() {
        for mode in [Mode::Soft, Mode::Hard] {
            let x = logits();
            let options = Options { mode, ..Options::default() };
            let inputs = || Inputs { x: [x.view()], k: [], options: options.clone() };
            let (softness, seed) = (0.7, Some(4));
            let noise = Noise::Gumbel;
            let ours = PerturbedSoftmax { softness, samples: 1, noise, seed, ..PerturbedSoftmax::default() };
            let [ours] = evaluate(&ours, inputs()).unwrap();
            let [theirs] = evaluate(&GumbelSoftmax { softness, seed }, inputs()).unwrap();
            assert!((ours - theirs).iter().all(|gap| gap.abs() < 1e-15));
        }
    }

    #[test]
    fn value_and_gradient_of_two_options_are_integrals() {
        // softmax of two is the logistic function of their difference, the noise of which is normal of
        // variance 2σ².
        let (softness, scale, apart) = (0.4, 0.9, 0.7);
        let (mut value, mut slope) = (0.0, 0.0);
        for step in -800..=800 {
            let t = f64::from(step) * 0.01;
            let mass = 0.01 * (-0.5 * t * t).exp() / std::f64::consts::TAU.sqrt();
            let share = 1.0 / (1.0 + (-(apart + std::f64::consts::SQRT_2 * scale * t) / softness).exp());
            value += mass * share;
            slope += mass * share * (1.0 - share) / softness;
        }
        let theta = array![apart, 0.0].into_dyn();
        let one = array![1.0, 0.0].into_dyn();
        let runs = (0..400).map(|seed| {
            let default = PerturbedSoftmax::default();
            let operator = PerturbedSoftmax { softness, scale, samples: 20, seed: Some(seed), ..default };
            let at = linearize(&operator, [theta.view()]).unwrap();
            let [gradient] = at.vjp([one.view()]).unwrap();
            (at.outputs()[0][0], gradient[0])
        });
        let (values, slopes): (Vec<f64>, Vec<f64>) = runs.unzip();
        assert!(z(&values, value).abs() < 4.5 && z(&slopes, slope).abs() < 4.5);
    }

    #[test]
    fn hard_shares_under_gumbel_noise_are_those_of_softmax() {
        let theta = array![0.3, -1.0, 0.4, 1.2].into_dyn();
        let (scale, samples) = (0.8, 100_000);
        let default = PerturbedSoftmax::default();
        let operator = PerturbedSoftmax { scale, samples, noise: Noise::Gumbel, seed: Some(2), ..default };
        let options = Options { mode: Mode::Hard, ..Options::default() };
        let [shares] = evaluate(&operator, Inputs { x: [theta.view()], k: [], options }).unwrap();
        let expected = crate::choice::softmax(&theta, scale).unwrap();
        for (share, p) in shares.iter().zip(&expected) {
            let error = (p * (1.0 - p) / samples as f64).sqrt();
            assert!((share - p).abs() < 4.5 * error, "{share} for {p}");
        }
    }
}
