//! The ways in which noise moves an objective.
//!
//! | | objective $\eta$ | gradient of $\mathrm{E}\, c(\eta)$ |
//! |---|---|---|
//! | additive | $\theta + \sigma Z$ | $\mathrm{E}\, c(\eta)\, \nu'(Z) / \sigma$ |
//! | multiplicative | $\theta \odot e^{\sigma Z - \sigma^2 / 2}$ | $\mathrm{E}\, c(\eta)\, Z / (\sigma \theta)$ |
//!
//! The noise that multiplies is normal. Both have mean $\theta$ where the noise has mean 0. A multiplied
//! entry keeps its sign, so that costs stay costs and a solver of shortest paths never sees a negative
//! length. On the scale of $\ln |\theta_i|$ the noise is additive, which gives the gradient. An entry that is
//! 0 stays 0 whatever the noise: the samples say nothing of what a change of it would do, and its gradient is
//! 0. Near 0 the variance of its gradient grows as $1 / \theta_i^2$.
//!
//! Dalle, Baty, Bouvier and Parmentier, *Learning with combinatorial optimization layers: a probabilistic
//! approach*, 2022, <https://arxiv.org/abs/2207.13513>.

use supple_core::{Error, Parameter, choices};
use supple_numerics::elementary::exp_slice;
use supple_numerics::noise::Noise;

choices! {
    /// How noise $Z$ of scale σ moves an objective θ.
    pub enum Perturbation {
        /// θ + σZ; σ is in the unit of θ.
        Additive = "additive",
        /// θ exp(σZ − σ²/2) entry by entry; σ has no unit. Signs are kept. For Gaussian noise.
        Multiplicative = "multiplicative",
    }
}

impl Perturbation {
    /// Replaces noise by the perturbed objective.
    pub(super) fn apply(self, theta: &[f64], softness: f64, z: &mut [f64]) {
        match self {
            Self::Additive => z.iter_mut().zip(theta).for_each(|(z, theta)| *z = theta + softness * *z),
            Self::Multiplicative => {
                z.iter_mut().for_each(|z| *z = softness * (*z - 0.5 * softness));
                exp_slice(z);
                // The factor may be zero by underflow; an infinite entry stays what it is.
                let times = |theta: f64, z: f64| if theta.is_infinite() { theta } else { theta * z };
                z.iter_mut().zip(theta).for_each(|(z, &theta)| *z = times(theta, *z));
            }
        }
    }

    /// The derivative of an entry of the perturbed objective to that of θ. Of an entry that does not move,
    /// its mean.
    pub(super) fn slope(self, theta: f64, perturbed: f64) -> f64 {
        match self {
            Self::Multiplicative if theta != 0.0 && theta.is_finite() => perturbed / theta,
            _ => 1.0,
        }
    }

    /// What turns the score of the noise into that of an entry of the perturbed objective.
    pub(super) fn score_factor(self, theta: f64, softness: f64) -> f64 {
        match self {
            Self::Additive => 1.0 / softness,
            Self::Multiplicative if theta == 0.0 => 0.0,
            Self::Multiplicative => 1.0 / (softness * theta),
        }
    }

    /// Refuses noise of another distribution than the perturbation is defined for.
    pub(super) fn check(self, operator: &str, noise: Noise) -> Result<(), Error> {
        if self == Self::Multiplicative && noise != Noise::Gaussian {
            let requirement = "gaussian where the perturbation is multiplicative";
            return Err(Error::argument(operator, "noise", requirement, noise.into_value()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::perturb::oracles::TopK;
    use crate::perturb::{FenchelYoung, PerturbedArgmax, exact};
    use ndarray::{Array1, array};
    use supple_core::{evaluate, linearize};

    const SOFTNESS: f64 = 0.6;

    /// `(mean − exact)` in standard errors.
    fn z(samples: &[f64], exact: f64) -> f64 {
        let n = samples.len() as f64;
        let mean = samples.iter().sum::<f64>() / n;
        let variance = samples.iter().map(|s| (s - mean).powi(2)).sum::<f64>() / (n - 1.0);
        (mean - exact) / (variance / n).sqrt()
    }

    fn argmax(k: usize, samples: usize, seed: u64) -> PerturbedArgmax<TopK> {
        let (perturbation, softness, seed) = (Perturbation::Multiplicative, SOFTNESS, Some(seed));
        PerturbedArgmax { perturbation, softness, samples, seed, ..PerturbedArgmax::new(TopK { k }) }
    }

    /// The probability of each entry to be among the `k` largest, by quadrature on the logarithms, where the
    /// noise is added; with `tilt`, each as it is where its own noise has mean σ, for which
    /// $\mathrm{E}[e^{\sigma Z - \sigma^2 / 2} f(Z)] = \mathrm{E} f(Z + \sigma)$.
    fn shares(theta: &[f64], k: usize, tilt: bool) -> Vec<f64> {
        let places: Vec<usize> = (0..theta.len()).filter(|&i| theta[i] > 0.0).collect();
        let costs = places.is_empty();
        let places = if costs { (0..theta.len()).collect() } else { places };
        let sign = if costs { -1.0 } else { 1.0 };
        let logs: Vec<f64> = places.iter().map(|&i| sign * theta[i].abs().ln()).collect();
        let mut shares = vec![0.0; theta.len()];
        for (j, &i) in places.iter().enumerate() {
            let mut logs = logs.clone();
            logs[j] += if tilt { sign * SOFTNESS * SOFTNESS } else { 0.0 };
            shares[i] = exact::top_k(&logs, k, SOFTNESS, Noise::Gaussian).0[j];
        }
        shares
    }

    /// Costs, gains, and a gain that can only lose beside a cost.
    const CASES: [(&[f64], usize); 4] = [
        (&[-1.0, -0.7, -1.3], 1),
        (&[1.0, 0.7, 1.3, 0.2], 2),
        (&[0.5, -1.2, 0.8], 1),
        (&[-3.0, -1.0, -2.0], 2),
    ];

    #[test]
    fn solutions_and_gradients_are_right_in_expectation() {
        for (theta, k) in CASES {
            let x = Array1::from(theta.to_vec()).into_dyn();
            let dy: Vec<f64> = (0..theta.len()).map(|i| 1.0 - 0.8 * i as f64).collect();
            let against = |y: &[f64]| y.iter().zip(&dy).map(|(y, dy)| y * dy).sum::<f64>();
            let cotangent = Array1::from(dy.clone()).into_dyn();
            for samples in [1, 2, 30] {
                let runs = (0..600).map(|seed| {
                    let operator = argmax(k, samples, seed);
                    let at = linearize(&operator, [x.view()]).unwrap();
                    let [gradient] = at.vjp([cotangent.view()]).unwrap();
                    (against(at.outputs()[0].as_slice().unwrap()), gradient)
                });
                let (values, gradients): (Vec<f64>, Vec<_>) = runs.unzip();
                let value = z(&values, against(&shares(theta, k, false)));
                assert!(value.abs() < 4.5, "{theta:?}, {samples} samples: value, z = {value:.1}");
                for i in 0..theta.len() {
                    let moved = |step: f64| {
                        let mut theta = theta.to_vec();
                        theta[i] += step;
                        against(&shares(&theta, k, false))
                    };
                    let exact = (moved(1e-5) - moved(-1e-5)) / 2e-5;
                    let slopes: Vec<f64> = gradients.iter().map(|g| g[i]).collect();
                    let z = z(&slopes, exact);
                    assert!(z.abs() < 4.5, "{theta:?}, {samples} samples, entry {i}: {exact}, z = {z:.1}");
                }
            }
        }
    }

    #[test]
    fn the_gradient_of_the_loss_weighs_solutions_by_their_noise() {
        for (theta, k) in CASES {
            let x = Array1::from(theta.to_vec()).into_dyn();
            let target = Array1::from_shape_fn(theta.len(), |i| (i < k) as u8 as f64);
            let one = ndarray::arr0(1.0).into_dyn();
            let runs = (0..400).map(|seed| {
                let operator = FenchelYoung(argmax(k, 20, seed));
                let at = linearize(&operator, [x.view(), target.view().into_dyn()]).unwrap();
                let [gradient, _] = at.vjp([one.view()]).unwrap();
                (at.outputs()[0].sum(), gradient)
            });
            let (losses, gradients): (Vec<f64>, Vec<_>) = runs.unzip();
            let weighted = shares(theta, k, true);
            let exact: f64 = theta.iter().zip(&weighted).zip(&target).map(|((x, w), t)| x * (w - t)).sum();
            assert!(z(&losses, exact).abs() < 4.5, "{theta:?}: {exact}");
            // What is never taken has no variance.
            for (i, &w) in weighted.iter().enumerate().filter(|(_, w)| **w > 0.0) {
                let slopes: Vec<f64> = gradients.iter().map(|g| g[i]).collect();
                assert!(z(&slopes, w - target[i]).abs() < 4.5, "{theta:?}, entry {i}: {}", w - target[i]);
            }
        }
    }

    #[test]
    fn zeros_and_masks_stay_and_have_no_gradient() {
        let theta = array![-1.0, 0.0, f64::NEG_INFINITY, 0.5].into_dyn();
        let one = array![1.0, 2.0, 3.0, 4.0].into_dyn();
        let operator = PerturbedArgmax { softness: 40.0, ..argmax(2, 50, 3) };
        let at = linearize(&operator, [theta.view()]).unwrap();
        assert_eq!(at.outputs()[0], array![0.0, 1.0, 0.0, 1.0].into_dyn());
        let [gradient] = at.vjp([one.view()]).unwrap();
        assert!(gradient.iter().all(|d| d.is_finite()));
        assert_eq!([gradient[1], gradient[2]], [0.0, 0.0]);
    }

    #[test]
    fn only_normal_noise_multiplies() {
        let operator = PerturbedArgmax { noise: Noise::Gumbel, ..argmax(1, 1, 0) };
        let theta = array![1.0, 2.0].into_dyn();
        let message = evaluate(&operator, [theta.view()]).unwrap_err().to_string();
        let requirement = "must be gaussian where the perturbation is multiplicative";
        assert_eq!(message, format!("perturbed_argmax: `noise` {requirement}, got \"gumbel\""));
    }
}
