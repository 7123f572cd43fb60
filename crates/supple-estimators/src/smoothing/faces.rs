//! The gradient of a mean over a box, by differences across its faces.
//!
//! $$ \partial_i \mathrm{E} f(x + \sigma U) = \mathrm{E}\,
//! \frac{f(\dots, x_i + \sigma, \dots) - f(\dots, x_i - \sigma, \dots)}{2 \sigma} $$
//!
//! Each coordinate has samples of its own, arranged by the design. With fewer samples than coordinates, some
//! coordinates in a row have one each, from a random first one, and count for the others.

use super::points::{noise, shifted};
use super::{Design, Noise};
use crate::Draws;

/// Evaluations of a sample: inside, and on two faces.
pub(super) const POINTS: usize = 3;

/// Samples inside the box, and the coordinate of each.
pub(super) struct Faces {
    pub z: Vec<f64>,
    pub coordinates: Vec<usize>,
}

impl Faces {
    pub fn new(design: Design, draws: Draws, samples: usize, n: usize) -> Self {
        let first = if samples < n { draws.part(0).stream(0).below(n) } else { 0 };
        let (mut z, mut coordinates) = (vec![], vec![]);
        for offset in 0..n.min(samples) {
            let share = samples / n + (offset < samples % n) as usize;
            let rows = design.rows(share, n);
            z.extend(noise(Noise::Uniform, design, draws.part(1 + offset), rows, n));
            coordinates.extend(std::iter::repeat_n((first + offset) % n, rows));
        }
        Self { z, coordinates }
    }

    /// The points inside, then the pairs on the faces.
    pub fn points(&self, x: &[f64], softness: f64) -> Vec<f64> {
        let n = x.len();
        let mut points = shifted(x, softness, &self.z);
        for (s, &i) in self.coordinates.iter().enumerate() {
            for face in [1.0, -1.0] {
                let start = points.len();
                points.extend_from_within(s * n..(s + 1) * n);
                points[start + i] = x[i] + face * softness;
            }
        }
        points
    }
}

/// The gradient from the costs at these points.
pub(super) fn gradient(coordinates: &[usize], costs: &[f64], softness: f64, gradient: &mut [f64]) {
    let samples = coordinates.len();
    let faces = costs[samples..].chunks_exact(2);
    let mut counts = vec![0.0; gradient.len()];
    for (faces, &i) in faces.zip(coordinates) {
        gradient[i] += (faces[0] - faces[1]) / (2.0 * softness);
        counts[i] += 1.0;
    }
    // A coordinate that has been drawn stands for those that have not.
    let drawn = counts.iter().filter(|&&count| count > 0.0).count();
    let stands_for = gradient.len() as f64 / drawn as f64;
    gradient.iter_mut().zip(counts).filter(|(_, count)| *count > 0.0).for_each(|(g, c)| *g *= stands_for / c);
}
