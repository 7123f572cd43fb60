//! Noise to perturb with.
//!
//! A perturbation is drawn from a [`Stream`] keyed by seed, item and sample, so that a backward pass
//! draws the same noise again, on whatever thread. Gradients by the score function need
//! $\nu'(z) = -\nabla \log p(z)$ beside it.
//!
//! Normals come from the ziggurat of Marsaglia and Tsang (*The ziggurat method for generating random
//! variables*, 2000) with 256 layers, one word of 64 bits for each but 1.2 % of them; sign and position
//! take the upper 53 bits, the layer the lower 8, which the 2000 paper had overlap. Gumbel noise is
//! $-\ln(-\ln u)$ of a uniform $u$.

use crate::elementary::{exp_slice, ln_slice};
use std::sync::LazyLock;
use supple_core::{Floats, Real, Stream, choices};

choices! {
    /// The distribution of a perturbation, at unit scale.
    pub enum Noise {
        /// Standard normal.
        Gaussian = "gaussian",
        /// Standard Gumbel: mean 0.5772 (Euler's constant), variance π²/6.
        Gumbel = "gumbel",
    }
}

impl Noise {
    /// Fills `z` with independent draws.
    pub fn fill(self, stream: &mut Stream, z: &mut [f64]) {
        match self {
            Noise::Gaussian => fill_normal(stream, z),
            Noise::Gumbel => fill_gumbel(stream, z),
        }
    }

    /// The same draws in any precision, without tangents.
    pub fn fill_any<T: Real>(self, stream: &mut Stream, z: &mut [T]) {
        if let Floats::F64(z) = T::floats(z) {
            return self.fill(stream, z);
        }
        let mut draws = vec![0.0; z.len()];
        self.fill(stream, &mut draws);
        z.iter_mut().zip(draws).for_each(|(z, draw)| *z = T::of(draw));
    }

    /// Replaces each draw by its score $\nu'(z) = -\frac{d}{dz} \log p(z)$, the mean of which is 0.
    pub fn score(self, z: &mut [f64]) {
        match self {
            Noise::Gaussian => {}
            Noise::Gumbel => {
                z.iter_mut().for_each(|z| *z = -*z);
                exp_slice(z);
                z.iter_mut().for_each(|z| *z = 1.0 - *z);
            }
        }
    }

    /// The mean of one coordinate.
    pub fn mean(self) -> f64 {
        match self {
            Noise::Gaussian => 0.0,
            Noise::Gumbel => 0.577_215_664_901_532_9,
        }
    }
}

fn fill_gumbel(stream: &mut Stream, z: &mut [f64]) {
    z.iter_mut().for_each(|z| *z = stream.uniform());
    ln_slice(z);
    z.iter_mut().for_each(|z| *z = -*z);
    ln_slice(z);
    z.iter_mut().for_each(|z| *z = -*z);
}

fn fill_normal(stream: &mut Stream, z: &mut [f64]) {
    let ziggurat = &*ZIGGURAT;
    z.iter_mut().for_each(|z| *z = ziggurat.draw(stream));
}

/// Number of layers.
const LAYERS: usize = 256;
/// Where the tail begins, and the area of each layer.
const TAIL: f64 = 3.654_152_885_361_009;
const AREA: f64 = 0.004_928_673_233_974_658;

/// Right edges of the layers and the density $e^{-x^2/2}$ there. Layer 0 is the base with the tail: its
/// edge is that of a rectangle of the same area.
struct Ziggurat {
    edge: [f64; LAYERS + 1],
    density: [f64; LAYERS + 1],
}

static ZIGGURAT: LazyLock<Ziggurat> = LazyLock::new(Ziggurat::new);

/// $e^{-x^2/2}$, from `libm` so that it is the same on every machine.
fn density(x: f64) -> f64 {
    libm::exp(-0.5 * x * x)
}

impl Ziggurat {
    fn new() -> Self {
        let mut edge = [0.0; LAYERS + 1];
        edge[0] = AREA / density(TAIL);
        edge[1] = TAIL;
        for i in 2..LAYERS {
            edge[i] = libm::sqrt(-2.0 * libm::log(AREA / edge[i - 1] + density(edge[i - 1])));
        }
        Self { edge, density: edge.map(density) }
    }

    #[inline]
    fn draw(&self, stream: &mut Stream) -> f64 {
        const UNIT: f64 = 1.0 / (1u64 << 52) as f64;
        loop {
            let bits = stream.bits();
            let layer = bits as usize % LAYERS;
            let x = (bits as i64 >> 11) as f64 * UNIT * self.edge[layer];
            if x.abs() < self.edge[layer + 1] {
                return x;
            }
            if let Some(x) = self.draw_at_the_edge(layer, x, stream) {
                return x;
            }
        }
    }

    /// The part of a layer that is not all under the density.
    #[cold]
    fn draw_at_the_edge(&self, layer: usize, x: f64, stream: &mut Stream) -> Option<f64> {
        if layer == 0 {
            return Some(draw_tail(stream).copysign(x));
        }
        let (low, high) = (self.density[layer], self.density[layer + 1]);
        (low + (high - low) * stream.uniform() < density(x)).then_some(x)
    }
}

/// A normal beyond [`TAIL`], by Marsaglia's rejection from an exponential.
fn draw_tail(stream: &mut Stream) -> f64 {
    loop {
        let beyond = -libm::log(stream.uniform()) / TAIL;
        if -2.0 * libm::log(stream.uniform()) > beyond * beyond {
            return TAIL + beyond;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use supple_core::Dual;

    fn draw(noise: Noise, n: usize) -> Vec<f64> {
        let mut z = vec![0.0; n];
        z.chunks_mut(1000).enumerate().for_each(|(i, z)| noise.fill(&mut Stream::new(3, i, 0), z));
        z
    }

    /// Largest distance between the empirical distribution and the true one, times √n; above 1.95 with
    /// probability 0.001.
    fn kolmogorov(z: &mut [f64], cdf: impl Fn(f64) -> f64) -> f64 {
        z.sort_by(f64::total_cmp);
        let n = z.len() as f64;
        let gap = |(i, &z): (usize, &f64)| {
            let c = cdf(z);
            (c - i as f64 / n).abs().max(((i + 1) as f64 / n - c).abs())
        };
        z.iter().enumerate().map(gap).fold(0.0, f64::max) * n.sqrt()
    }

    #[test]
    fn draws_follow_their_distribution() {
        let normal = |z: f64| 0.5 * libm::erfc(-z / std::f64::consts::SQRT_2);
        assert!(kolmogorov(&mut draw(Noise::Gaussian, 1_000_000), normal) < 1.95);
        let gumbel = |z: f64| (-(-z).exp()).exp();
        assert!(kolmogorov(&mut draw(Noise::Gumbel, 1_000_000), gumbel) < 1.95);
    }

    #[test]
    fn the_tail_of_the_normal_is_there() {
        let n = 4_000_000;
        let z = draw(Noise::Gaussian, n);
        for from in [3.0, TAIL, 4.0, 4.5] {
            let expected = n as f64 * libm::erfc(from / std::f64::consts::SQRT_2);
            let count = z.iter().filter(|z| z.abs() > from).count() as f64;
            assert!((count - expected).abs() < 4.0 * expected.sqrt(), "{count} of {expected} beyond {from}");
        }
    }

    #[test]
    fn the_score_has_mean_zero_and_is_one_unit_against_the_noise() {
        // E[ν'(Z)] = 0 and, by integration by parts, E[Z ν'(Z)] = 1.
        for noise in [Noise::Gaussian, Noise::Gumbel] {
            let z = draw(noise, 1_000_000);
            let mut scores = z.clone();
            noise.score(&mut scores);
            let mean = |x: &mut dyn Iterator<Item = f64>| x.sum::<f64>() / z.len() as f64;
            let products = mean(&mut scores.iter().zip(&z).map(|(s, z)| s * z));
            let scores = mean(&mut scores.iter().copied());
            let first = mean(&mut z.iter().copied()) - noise.mean();
            assert!(scores.abs() < 5e-3 && (products - 1.0).abs() < 2e-2 && first.abs() < 6e-3, "{noise:?}");
        }
    }

    #[test]
    fn the_same_stream_gives_the_same_noise() {
        for noise in [Noise::Gaussian, Noise::Gumbel] {
            let mut z = [[0.0; 50]; 3];
            let streams = [Stream::new(1, 2, 3), Stream::new(1, 2, 3), Stream::new(1, 2, 4)];
            z.iter_mut().zip(streams).for_each(|(z, mut stream)| noise.fill(&mut stream, z));
            assert_eq!(z[0], z[1]);
            assert_ne!(z[0], z[2]);
            let mut duals = [Dual::new(0.0, 1.0); 50];
            noise.fill_any(&mut Stream::new(1, 2, 3), &mut duals);
            assert!(duals.iter().zip(z[0]).all(|(dual, z)| (dual.v, dual.d) == (z, 0.0)));
        }
    }
}
