//! Gumbel-Rao: a sample of a choice, with the gradient of Gumbel-softmax averaged over the noise that gives
//! it.
//!
//! $$ y \sim \mathrm{softmax}(x), \qquad
//! \bar x = \frac1K \sum_{k=1}^{K} \frac1\varepsilon
//! \left( \operatorname{diag}(q_k) - q_k q_k^\top \right) \bar y, \quad
//! q_k = \mathrm{softmax}(z_k / \varepsilon), \quad
//! z_k \sim x + G \;\Big|\; \operatorname{argmax}(x + G) = y $$
//!
//! with independent Gumbel noise $G$. The straight-through Gumbel-softmax has K = 1. Averaging over the
//! noise that leaves y as it is keeps the mean gradient and takes away variance (Rao and Blackwell), more
//! of it the larger K, without another evaluation of what comes after y.
//!
//! * The conditional noise is exact: for the chosen option $z$ is the maximum, $\ln \sum_j e^{x_j} + G$,
//!   and each other one is a Gumbel cut off there, $-\ln(e^{-(x_i + G_i)} + e^{-\max})$.
//! * Softness: the unit of `x`; ε, the papers' τ. It is in the gradient only: the sample is that of softmax
//!   at temperature 1. The smaller, the less bias and the more variance; K makes small ones usable.
//! * Hard form: the same sample, with a zero gradient.
//! * Gradient: a surrogate. Its mean is that of the straight-through Gumbel-softmax for any K, which is
//!   biased. Second derivatives are refused.
//! * Sample and noise are functions of seed, number of the item, and logits; the sample is that of
//!   [`StraightThrough`](super::StraightThrough). Without a seed, each call draws anew. The backward pass
//!   draws the noise; going back twice gives the same gradient.
//! * −∞ masks an option. An item of −∞ only, or with NaN or +∞, is NaN.
//! * Cost: O(n) forward, O(K n) backward; O(n) memory.
//!
//! Paper: Paulus, Maddison, Krause, *Rao-Blackwellizing the straight-through Gumbel-softmax gradient
//! estimator*, ICLR 2021, <https://arxiv.org/abs/2010.04838>.

use super::one_hot::{chosen, draw, laws, narrow, seed_of, wide};
use ndarray::{Array, ArrayView, Dimension};
use supple_core::{
    Args, Contract, Error, Fault, Float, Gradient, Law, Operator, Params, Point, Real, Scratch, Stream, map,
    params,
};
use supple_numerics::elementary::exp_sum;
use supple_numerics::noise::Noise;
use supple_numerics::simplex::largest;
use supple_numerics::softmax::{pull_back, soften};

params! {
    /// A sample of a choice, with an averaged gradient of Gumbel-softmax.
    pub struct GumbelRao {
        /// Temperature of the gradient; the unit of `x`.
        softness: f64 = 1.0, Positive;
        /// Number of draws of the noise in the gradient.
        samples: usize = 10, AtLeast(1.0);
        /// Seed of sample and noise; drawn at each call where there is none.
        seed: Option<u64> = None, Any;
    }
}

/// Turns Gumbel noise into perturbed logits of which the chosen one is the largest. `log_total` is
/// `ln Σ exp(x)`.
fn condition<A: Real>(x: &[A], log_total: A, chosen: usize, z: &mut [A]) {
    let top = log_total + z[chosen];
    for (z, &x) in z.iter_mut().zip(x) {
        let free = x + *z;
        *z = free.min(top) - (-(free - top).abs()).exp().ln_1p();
    }
    z[chosen] = top;
}

impl Operator for GumbelRao {
    const NAME: &'static str = "gumbel_rao";
    const SIGNATURE: &'static str = "x(n>=1) -> sample(n)";
    const GRADIENT: Gradient = Gradient::Surrogate;
    /// The seed in use.
    type Saved<T: Real> = u64;

    fn validate(&self, _: &[usize]) -> Result<(), Error> {
        self.check(Self::NAME)
    }

    /// A number of the noise costs as much as some tens of others.
    fn work(&self, sizes: &[usize]) -> usize {
        sizes.iter().product::<usize>().saturating_mul(self.samples).saturating_mul(32)
    }

    fn forward<T: Real>(
        &self,
        at: Args<'_, T>,
        [y]: [&mut [T]; 1],
        seed: &mut u64,
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        *seed = seed_of(self.seed);
        draw(at, *seed, y, scratch);
        Ok(())
    }

    fn vjp<T: Real>(
        &self,
        at: Point<'_, T, u64>,
        [dy]: [&[T]; 1],
        [dx]: [&mut [T]; 1],
        scratch: &mut Scratch<T>,
    ) {
        let Some(chosen) = chosen(at.y[0]) else { return dx.fill(T::nan()) };
        let mut x = wide(at.x[0], scratch);
        let top = T::Acc::constant(largest(&x));
        x.iter_mut().for_each(|x| *x -= top);
        let (mut z, mut sum) = (scratch.wide.copy(&x), scratch.wide.zeros(x.len()));
        let log_total = exp_sum(&mut z, T::Acc::zero()).ln();
        let rate = 1.0 / (self.softness * self.samples as f64);
        for sample in 0..self.samples {
            Noise::Gumbel.fill_any(&mut Stream::new(*at.saved, at.item, sample + 1), &mut z);
            condition(&x, log_total, chosen, &mut z);
            soften(&mut z, self.softness);
            pull_back(&z, rate, dy, &mut sum);
        }
        narrow(&sum, dx);
        for buffer in [x, z, sum] {
            scratch.wide.give(buffer);
        }
    }

    fn hard<T: Float>(
        &self,
        at: Args<'_, T>,
        y: [&mut [T]; 1],
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        self.hard_at(at, &seed_of(self.seed), y, scratch)
    }

    /// The sample of the forward pass.
    fn hard_at<T: Float>(
        &self,
        at: Args<'_, T>,
        seed: &u64,
        [y]: [&mut [T]; 1],
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        draw(at, *seed, y, scratch);
        Ok(())
    }
}

impl Contract for GumbelRao {
    const SUMMARY: &'static str = "sample of a choice, with an averaged gradient of Gumbel-softmax";
    const PAPER: &'static str = "Paulus et al., ICLR 2021, arXiv:2010.04838";
    const COST: &'static str = "O(n) forward, O(samples · n) backward, O(n) memory";

    fn cases() -> Vec<Self> {
        let case = |softness, samples| Self { softness, samples, seed: None };
        vec![case(1.0, 1), case(0.1, 5), case(20.0, 3)]
    }

    fn laws(&self) -> Vec<Law> {
        laws()
    }
}

/// A one-hot sample of the choice among logits `x` along the last axis, with the gradient of Gumbel-softmax
/// averaged over ten draws of the noise that gives the sample.
///
/// $$ y \sim \mathrm{softmax}(x), \qquad
/// \bar x = \frac1K \sum_{k=1}^{K} \frac1\varepsilon
/// \left( \operatorname{diag}(q_k) - q_k q_k^\top \right) \bar y, \quad
/// q_k = \mathrm{softmax}(z_k / \varepsilon), \quad
/// z_k \sim x + G \;\Big|\; \operatorname{argmax}(x + G) = y $$
///
/// * Shapes: `(…, n)` to `(…, n)`, n ≥ 1. Each item is drawn for itself.
/// * Softness: ε, in the unit of the logits; the temperature of the gradient. That of the sample is 1.
/// * Gradient: a surrogate, of the same mean as that of the straight-through Gumbel-softmax and less
///   variance. Second derivatives are refused.
/// * −∞ masks an option. An item of −∞ only, or with NaN or +∞, is NaN.
/// * Cost: O(n) forward, O(K n) backward.
/// * Errors: a softness that is not finite and above zero; n = 0.
///
/// Each call draws anew: set [`GumbelRao::seed`] for the same samples. For a seed, another number of
/// [`samples`](GumbelRao::samples) than 10, another axis or ragged batches, call
/// [`evaluate`](supple_core::evaluate) with a [`GumbelRao`]; for gradients,
/// [`linearize`](supple_core::linearize).
///
/// ```
/// use ndarray::array;
/// use supple_ops::sample::gumbel_rao;
/// let y = gumbel_rao(&array![0.5_f64, 1.0, f64::NEG_INFINITY], 0.5)?;
/// assert!(y.sum() == 1.0 && y.iter().all(|&y| y == 0.0 || y == 1.0) && y[2] == 0.0);
/// # Ok::<(), supple_core::Error>(())
/// ```
///
/// Paulus, Maddison, Krause, *Rao-Blackwellizing the straight-through Gumbel-softmax gradient estimator*,
/// ICLR 2021, <https://arxiv.org/abs/2010.04838>.
pub fn gumbel_rao<'a, T: Float, D: Dimension>(
    x: impl Into<ArrayView<'a, T, D>>,
    softness: f64,
) -> Result<Array<T, D>, Error> {
    map(&GumbelRao { softness, ..GumbelRao::default() }, x)
}

#[cfg(test)]
mod tests {
    use super::super::one_hot::tests::{draws, quadratic};
    use super::*;
    use crate::choice::{GumbelSoftmax, softmax};
    use ndarray::{Array1, Array2, Axis};
    use supple_core::{Inputs, Mode, Options, linearize};

    /// Over samples and the noise given them, perturbed logits are logits with independent Gumbel noise.
    #[test]
    fn conditional_noise_is_gumbel_noise_again() {
        let x: [f64; 3] = [0.4, -0.9, 1.3];
        let log_total = x.map(f64::exp).iter().sum::<f64>().ln();
        let (p, rows) = (softmax(&x, 1.0).unwrap(), 200_000);
        let noise = Array2::from_shape_vec((rows, 3), {
            let each = (0..rows).flat_map(|row| {
                let mut stream = Stream::new(11, row, 0);
                let uniform = stream.uniform();
                let chosen = if uniform < p[0] { 0 } else { 1 + usize::from(uniform > p[0] + p[1]) };
                let mut z = [0.0; 3];
                Noise::Gumbel.fill(&mut stream, &mut z);
                condition(&x, log_total, chosen, &mut z);
                assert_eq!(z[chosen], largest(&z));
                [z[0] - x[0], z[1] - x[1], z[2] - x[2]]
            });
            each.collect()
        });
        // e^(−G) is exponential: mean and variance 1, and products of two have mean 1 and variance 3.
        let race = noise.unwrap().mapv(|g: f64| (-g).exp());
        let z = |values: Array1<f64>, variance: f64| {
            (values.mean().unwrap() - 1.0) * (rows as f64 / variance).sqrt()
        };
        for i in 0..3 {
            let own = race.column(i).to_owned();
            let halves = own.mapv(|e| if e < std::f64::consts::LN_2 { 2.0 } else { 0.0 });
            assert!(z(own.clone(), 1.0).abs() < 4.5 && z(halves, 1.0).abs() < 4.5);
            let with_next = &own * &race.column((i + 1) % 3);
            assert!(z(with_next, 3.0).abs() < 4.5);
        }
    }

    #[test]
    fn the_mean_is_that_of_straight_through_gumbel_softmax_and_the_variance_less() {
        let (x, rows, softness) = ([0.3, -0.5, 1.1, 0.2], 40_000, 0.5);
        let moments = |dx: &ndarray::ArrayD<f64>| {
            (dx.mean_axis(Axis(0)).unwrap(), dx.var_axis(Axis(0), 1.0) / rows as f64)
        };
        let items = Array2::from_shape_fn((rows, 4), |(_, i)| x[i]).into_dyn();
        let options = Options { mode: Mode::StraightThrough, ..Options::default() };
        let plain = GumbelSoftmax { softness, seed: Some(21) };
        let at = linearize(&plain, Inputs { x: [items.view()], k: [], options }).unwrap();
        let [y] = at.outputs();
        let mut dy = y.clone();
        for mut row in dy.rows_mut() {
            let slope = quadratic(&row.to_vec()).1;
            row.assign(&Array1::from(slope));
        }
        let [dx] = at.vjp([dy.view()]).unwrap();
        let (plain_mean, plain_variance) = moments(&dx);
        for samples in [1, 20] {
            let operator = GumbelRao { softness, samples, seed: Some(4) };
            let [_, dx] = draws(&operator, &x, rows, &|y| quadratic(y).1);
            let (mean, variance) = moments(&dx);
            for i in 0..4 {
                let z = (mean[i] - plain_mean[i]) / (variance[i] + plain_variance[i]).sqrt();
                assert!(z.abs() < 4.5, "{samples}, {i}: {} for {}, z {z}", mean[i], plain_mean[i]);
                let ratio = variance[i] / plain_variance[i];
                let least = if samples == 1 { 0.9 } else { 0.0 };
                let most = if samples == 1 { 1.1 } else { 0.8 };
                assert!(least < ratio && ratio < most, "{samples}, {i}: {ratio}");
            }
        }
    }
}
