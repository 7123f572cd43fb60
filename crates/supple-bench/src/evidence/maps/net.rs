//! The network that predicts costs.

use super::{FEATURES, HIDDEN};
use supple_core::Stream;

/// ln(1 + eˣ).
pub(super) fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// 1 / (1 + e⁻ˣ).
pub(super) fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// The network of a cell: weights and biases of the hidden units, then those of the output.
pub(super) struct Net {
    pub weights: Vec<f64>,
}

impl Net {
    const UNIT: usize = FEATURES + 1;
    const OUTPUT: usize = HIDDEN * Self::UNIT;
    pub(super) const SIZE: usize = Self::OUTPUT + HIDDEN + 1;

    pub(super) fn new(seed: u64) -> Self {
        let normals = Stream::new(seed, 0, 2).normals(Self::SIZE);
        let scale = |i| if i < Self::OUTPUT { FEATURES } else { HIDDEN } as f64;
        Self { weights: normals.iter().enumerate().map(|(i, z)| z / f64::sqrt(scale(i))).collect() }
    }

    fn hidden(&self, cell: &[f64]) -> [f64; HIDDEN] {
        std::array::from_fn(|unit| {
            let (weights, bias) = self.weights[unit * Self::UNIT..][..Self::UNIT].split_at(FEATURES);
            (bias[0] + weights.iter().zip(cell).map(|(w, x)| w * x).sum::<f64>()).tanh()
        })
    }

    /// Outputs for cells.
    pub(super) fn outputs(&self, features: &[f64]) -> Vec<f64> {
        let (weights, bias) = self.weights[Self::OUTPUT..].split_at(HIDDEN);
        let output =
            |cell: &[f64]| bias[0] + weights.iter().zip(self.hidden(cell)).map(|(w, h)| w * h).sum::<f64>();
        features.chunks_exact(FEATURES).map(output).collect()
    }

    /// Adds the gradient of cells, of whose outputs the gradient is `slopes`.
    pub(super) fn pull(&self, features: &[f64], slopes: &[f64], gradient: &mut [f64]) {
        let weights = &self.weights[Self::OUTPUT..];
        for (cell, slope) in features.chunks_exact(FEATURES).zip(slopes) {
            let (units, output) = gradient.split_at_mut(Self::OUTPUT);
            output[HIDDEN] += slope;
            for (i, h) in self.hidden(cell).into_iter().enumerate() {
                output[i] += slope * h;
                let inner = slope * weights[i] * (1.0 - h * h);
                let unit = &mut units[i * Self::UNIT..][..Self::UNIT];
                unit.iter_mut().zip(cell).for_each(|(g, x)| *g += inner * x);
                unit[FEATURES] += inner;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gradient_of_the_network_is_that_of_differences() {
        let mut net = Net::new(5);
        let mut random = Stream::new(6, 0, 0);
        let (features, slopes) = (random.normals(3 * FEATURES), random.normals(3));
        let value = |net: &Net| net.outputs(&features).iter().zip(&slopes).map(|(x, s)| x * s).sum::<f64>();
        let mut gradient = vec![0.0; Net::SIZE];
        net.pull(&features, &slopes, &mut gradient);
        for (i, g) in gradient.iter().enumerate() {
            let here = net.weights[i];
            let [up, down] = [1e-6, -1e-6].map(|step| {
                net.weights[i] = here + step;
                value(&net)
            });
            net.weights[i] = here;
            assert!((g - (up - down) / 2e-6).abs() < 1e-8, "{i}");
        }
    }
}
