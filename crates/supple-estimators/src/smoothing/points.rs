//! Perturbed points.

use crate::Draws;
use supple_core::Error;
use supple_numerics::noise::Noise;
use supple_numerics::quasi::Design;

/// Refuses noise without a score, for gradients that are made of scores.
pub(super) fn check_score(name: &str, noise: Noise) -> Result<(), Error> {
    if noise.has_score() {
        return Ok(());
    }
    Err(Error::argument(name, "noise", "one that has a score", "uniform"))
}

/// Rows of noise, arranged by a design.
pub(super) fn noise(noise: Noise, design: Design, draws: Draws, rows: usize, n: usize) -> Vec<f64> {
    let mut z = vec![0.0; rows * n];
    if n == 0 {
        return z;
    }
    if design == Design::MonteCarlo {
        z.chunks_exact_mut(n).enumerate().for_each(|(s, z)| noise.fill(&mut draws.stream(s), z));
    } else {
        design.fill(draws.seed, draws.item, rows, n, &mut z);
        noise.quantiles(&mut z);
    }
    z
}

/// `x + σ z` for each row of `z`.
pub(super) fn shifted(x: &[f64], softness: f64, z: &[f64]) -> Vec<f64> {
    let row = |z: &[f64]| x.iter().zip(z).map(|(x, z)| x + softness * z).collect::<Vec<_>>();
    z.chunks_exact(x.len().max(1)).flat_map(row).collect()
}
