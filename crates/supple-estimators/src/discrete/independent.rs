//! Independent variables that are drawn as the largest of perturbed logits, and the relaxation of such a
//! draw.
//!
//! A draw $b$ is what is largest in $z$, logits with noise: logistic, against 0, or Gumbel. Its relaxation is
//! $\zeta = \sigma(z / \lambda)$ or $\mathrm{softmax}(z / \lambda)$. The same $z$ can be written in two ways
//! as a function of the logits and of noise: as $z = x + g$, or, with $b$ given, as $\tilde z$ from noise
//! that is independent of $b$. Numbers are equal, derivatives are not. With
//!
//! $$ J = \frac{\partial \zeta}{\partial z} \Bigl( \frac{\partial z}{\partial x} -
//! \frac{\partial \tilde z}{\partial x} \Bigr), \qquad
//! \mathrm{E}\bigl[ c(\zeta) \nabla_x \ln p_x(b) \bigr] = \mathrm{E}\bigl[ J^\top \nabla c(\zeta) \bigr] $$
//!
//! for any function $c$ with a gradient: both are
//! $\nabla \mathrm{E} c(\zeta) - \mathrm{E} \nabla_x \mathrm{E}[c(\tilde\zeta) \mid b]$. What is in brackets
//! is diagonal, the *share* of each entry: for Bernoulli $\sigma(-x) + \sigma(x) e^{-z}$ where $z > 0$ and
//! its mirror image elsewhere, for categories $e^{z_i - \max z}$, behind the Jacobian of the log
//! probabilities.

use super::{Bernoulli, Categorical, Discrete, mean};
use supple_core::Stream;
use supple_numerics::noise::Noise;
use supple_numerics::simplex::largest;

/// Independent variables: each is drawn as the largest of its perturbed logits.
///
/// What the methods do beyond [`Discrete`] is what estimators by relaxed samples need.
pub trait Independent: Discrete {
    /// The log probabilities of the classes of each variable.
    fn log_probabilities(&self, x: &[f64]) -> Vec<Vec<f64>>;

    /// Gives a variable of `b`, which is zero there, one of its classes.
    fn assign(&self, variable: usize, class: usize, b: &mut [f64]);

    /// Draws `b`, its relaxation and the shares.
    fn draw(&self, x: &[f64], softness: f64, stream: &mut Stream, b: &mut [f64], relaxed: &mut Relaxed);

    /// $J^\top d$.
    fn pull(&self, x: &[f64], softness: f64, relaxed: &Relaxed, d: &[f64]) -> Vec<f64>;

    /// $J d$.
    fn push(&self, x: &[f64], softness: f64, relaxed: &Relaxed, d: &[f64]) -> Vec<f64>;

    /// The squared length of each row of $J$.
    fn row_squares(&self, x: &[f64], softness: f64, relaxed: &Relaxed) -> Vec<f64>;

    /// The covariance of `b`, times `d`: the gradient of $\langle d, \mathrm{E} b \rangle$.
    fn covariance(&self, x: &[f64], d: &[f64]) -> Vec<f64>;
}

/// The relaxation of a draw.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Relaxed {
    /// ζ.
    pub zeta: Vec<f64>,
    /// The share of each derivative that remains once that with the outcome given is taken away.
    pub share: Vec<f64>,
}

impl Relaxed {
    /// Draws rows of values, each with its relaxation.
    pub(super) fn rows(
        distribution: &impl Independent,
        x: &[f64],
        softness: f64,
        draws: crate::Draws,
        count: usize,
    ) -> (Vec<f64>, Vec<Self>) {
        let n = x.len();
        let mut points = vec![0.0; count * n];
        let draw = |s: usize| {
            let mut relaxed = Self { zeta: vec![0.0; n], share: vec![0.0; n] };
            distribution.draw(x, softness, &mut draws.stream(s), &mut points[s * n..][..n], &mut relaxed);
            relaxed
        };
        let rows = (0..count).map(draw).collect();
        (points, rows)
    }
}

fn logistic(t: f64) -> f64 {
    1.0 / (1.0 + (-t).exp())
}

impl Independent for Bernoulli {
    fn log_probabilities(&self, x: &[f64]) -> Vec<Vec<f64>> {
        let ln_logistic = |t: f64| t.min(0.0) - (-t.abs()).exp().ln_1p();
        x.iter().map(|&x| vec![ln_logistic(-x), ln_logistic(x)]).collect()
    }

    fn assign(&self, variable: usize, class: usize, b: &mut [f64]) {
        b[variable] = class as f64;
    }

    fn draw(&self, x: &[f64], softness: f64, stream: &mut Stream, b: &mut [f64], relaxed: &mut Relaxed) {
        Noise::Logistic.fill(stream, b);
        for (i, &x) in x.iter().enumerate() {
            let z = x + b[i];
            b[i] = if z.is_nan() { z } else { f64::from(u8::from(z > 0.0)) };
            relaxed.zeta[i] = logistic(z / softness);
            let away = if z > 0.0 { x } else { -x };
            relaxed.share[i] = logistic(-away) + logistic(away) * (-z.abs()).exp();
        }
    }

    fn pull(&self, _: &[f64], softness: f64, relaxed: &Relaxed, d: &[f64]) -> Vec<f64> {
        let each = relaxed.zeta.iter().zip(&relaxed.share).zip(d);
        each.map(|((zeta, share), d)| d * share * zeta * (1.0 - zeta) / softness).collect()
    }

    fn push(&self, x: &[f64], softness: f64, relaxed: &Relaxed, d: &[f64]) -> Vec<f64> {
        self.pull(x, softness, relaxed, d)
    }

    fn row_squares(&self, x: &[f64], softness: f64, relaxed: &Relaxed) -> Vec<f64> {
        let diagonal = self.pull(x, softness, relaxed, &vec![1.0; x.len()]);
        diagonal.iter().map(|j| j * j).collect()
    }

    fn covariance(&self, x: &[f64], d: &[f64]) -> Vec<f64> {
        x.iter().zip(d).map(|(&x, d)| d * logistic(x) * logistic(-x)).collect()
    }
}

/// Logits of one variable.
fn width(categorical: &Categorical, n: usize) -> usize {
    if categorical.classes == 0 { n.max(1) } else { categorical.classes }
}

/// `(diag p − p pᵀ) d`.
fn centred(p: &[f64], d: &[f64]) -> impl Iterator<Item = f64> {
    let mean = dot(p, d);
    p.iter().zip(d).map(move |(p, d)| p * (d - mean))
}

pub(super) fn dot(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(x, y)| x * y).sum()
}

impl Independent for Categorical {
    fn log_probabilities(&self, x: &[f64]) -> Vec<Vec<f64>> {
        let each = |x: &[f64]| {
            let top = largest(x);
            let total: f64 = x.iter().map(|x| (x - top).exp()).sum();
            x.iter().map(|x| x - top - total.ln()).collect()
        };
        x.chunks(width(self, x.len())).map(each).collect()
    }

    fn assign(&self, variable: usize, class: usize, b: &mut [f64]) {
        b[variable * width(self, b.len()) + class] = 1.0;
    }

    fn draw(&self, x: &[f64], softness: f64, stream: &mut Stream, b: &mut [f64], relaxed: &mut Relaxed) {
        let width = width(self, x.len());
        Noise::Gumbel.fill(stream, b);
        b.iter_mut().zip(x).for_each(|(z, x)| *z += x);
        let blocks = b.chunks_mut(width).zip(relaxed.zeta.chunks_mut(width));
        for ((z, zeta), share) in blocks.zip(relaxed.share.chunks_mut(width)) {
            let top = largest(z);
            for i in 0..z.len() {
                // NaN where there is no distribution.
                share[i] = (z[i] - top).exp();
                zeta[i] = ((z[i] - top) / softness).exp();
            }
            let total: f64 = zeta.iter().sum();
            zeta.iter_mut().for_each(|zeta| *zeta /= total);
            let chosen = z.iter().position(|&z| z == top);
            z.fill(if total.is_nan() { f64::NAN } else { 0.0 });
            if let Some(chosen) = chosen.filter(|_| total > 0.0) {
                z[chosen] = 1.0;
            }
        }
    }

    fn pull(&self, x: &[f64], softness: f64, relaxed: &Relaxed, d: &[f64]) -> Vec<f64> {
        let (width, p) = (width(self, x.len()), mean(self, x));
        let mut out = Vec::with_capacity(x.len());
        for first in (0..x.len()).step_by(width) {
            let block = first..first + width;
            let (zeta, share) = (&relaxed.zeta[block.clone()], &relaxed.share[block.clone()]);
            let m: Vec<f64> =
                centred(zeta, &d[block.clone()]).zip(share).map(|(d, share)| d * share / softness).collect();
            let total: f64 = m.iter().sum();
            out.extend(m.iter().zip(&p[block]).map(|(m, p)| m - p * total));
        }
        out
    }

    fn push(&self, x: &[f64], softness: f64, relaxed: &Relaxed, d: &[f64]) -> Vec<f64> {
        let (width, p) = (width(self, x.len()), mean(self, x));
        let mut out = Vec::with_capacity(x.len());
        for first in (0..x.len()).step_by(width) {
            let block = first..first + width;
            let centre = dot(&p[block.clone()], &d[block.clone()]);
            let shares = relaxed.share[block.clone()].iter().zip(&d[block.clone()]);
            let m: Vec<f64> = shares.map(|(share, d)| share * (d - centre) / softness).collect();
            out.extend(centred(&relaxed.zeta[block], &m));
        }
        out
    }

    /// Row i of J is $\zeta_i / \lambda$ times $e_i \delta_{ij} - \zeta_j e_j - p_j (e_i - \langle \zeta, e
    /// \rangle)$ with shares e.
    fn row_squares(&self, x: &[f64], softness: f64, relaxed: &Relaxed) -> Vec<f64> {
        let (width, p) = (width(self, x.len()), mean(self, x));
        let mut out = Vec::with_capacity(x.len());
        for first in (0..x.len()).step_by(width) {
            let block = first..first + width;
            let (zeta, share, p) = (&relaxed.zeta[block.clone()], &relaxed.share[block.clone()], &p[block]);
            let weighted: Vec<f64> = zeta.iter().zip(share).map(|(zeta, share)| zeta * share).collect();
            let total: f64 = weighted.iter().sum();
            let (ww, wp, pp) = (dot(&weighted, &weighted), dot(&weighted, p), dot(p, p));
            out.extend((0..width).map(|i| {
                let above = share[i] - total;
                let off = ww + above * (2.0 * wp + above * pp);
                let own = share[i] * (share[i] - 2.0 * (weighted[i] + p[i] * above));
                (zeta[i] / softness).powi(2) * (off + own).max(0.0)
            }));
        }
        out
    }

    fn covariance(&self, x: &[f64], d: &[f64]) -> Vec<f64> {
        let (width, p) = (width(self, x.len()), mean(self, x));
        p.chunks(width).zip(d.chunks(width)).flat_map(|(p, d)| centred(p, d)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(distribution: impl Independent, x: &[f64]) {
        let n = x.len();
        for (sample, softness) in [0.3, 1.0, 2.0].into_iter().enumerate() {
            let mut relaxed = Relaxed { zeta: vec![0.0; n], share: vec![0.0; n] };
            let mut b = vec![0.0; n];
            let stream = &mut Stream::new(3, 0, sample);
            distribution.draw(x, softness, stream, &mut b, &mut relaxed);
            assert!(distribution.log_probability(x, &b).is_finite(), "{b:?}");
            let unit = |i: usize| (0..n).map(|j| f64::from(u8::from(i == j))).collect::<Vec<_>>();
            let rows: Vec<_> = (0..n).map(|i| distribution.pull(x, softness, &relaxed, &unit(i))).collect();
            let squares = distribution.row_squares(x, softness, &relaxed);
            for j in 0..n {
                assert!((squares[j] - dot(&rows[j], &rows[j])).abs() < 1e-14, "{j}");
                let column = distribution.push(x, softness, &relaxed, &unit(j));
                (0..n).for_each(|i| assert!((column[i] - rows[i][j]).abs() < 1e-15, "{i}, {j}"));
                // Derivatives of the mean.
                let mean = |step: f64| {
                    let (mut x, mut mean) = (x.to_vec(), vec![0.0; n]);
                    x[j] += step;
                    distribution.mean(&x, &mut mean);
                    mean
                };
                let (above, below) = (mean(1e-5), mean(-1e-5));
                let covariance = distribution.covariance(x, &unit(j));
                for i in 0..n {
                    assert!((covariance[i] - (above[i] - below[i]) / 2e-5).abs() < 1e-9, "{i}, {j}");
                }
            }
        }
    }

    #[test]
    fn products_with_the_jacobian_agree() {
        check(Bernoulli, &[0.3, -2.0, 1.5]);
        check(Categorical { classes: 0 }, &[0.3, -2.0, 1.5, 0.0]);
        check(Categorical { classes: 3 }, &[0.3, -2.0, 1.5, 0.0, f64::NEG_INFINITY, 1.0]);
    }

    #[test]
    fn the_relaxation_hardens_to_the_draw() {
        let categorical = Categorical { classes: 3 };
        for sample in 0..100 {
            let mut relaxed = Relaxed { zeta: vec![0.0; 6], share: vec![0.0; 6] };
            let mut b = vec![0.0; 6];
            let x = [0.3, -2.0, 1.5, 0.0, 0.5, 1.0];
            Bernoulli.draw(&x, 1e-9, &mut Stream::new(1, 0, sample), &mut b, &mut relaxed);
            assert_eq!(b, relaxed.zeta);
            categorical.draw(&x, 1e-9, &mut Stream::new(1, 0, sample), &mut b, &mut relaxed);
            assert_eq!(b, relaxed.zeta);
        }
    }

    #[test]
    fn without_a_distribution_all_is_nan() {
        let mut relaxed = Relaxed { zeta: vec![0.0; 2], share: vec![0.0; 2] };
        let mut b = vec![0.0; 2];
        Bernoulli.draw(&[f64::NAN; 2], 1.0, &mut Stream::new(1, 0, 0), &mut b, &mut relaxed);
        assert!(b.iter().chain(&relaxed.zeta).all(|x| x.is_nan()));
        for bad in [f64::NAN, f64::NEG_INFINITY, f64::INFINITY] {
            let one = Categorical::default();
            one.draw(&[bad; 2], 1.0, &mut Stream::new(1, 0, 0), &mut b, &mut relaxed);
            assert!(b.iter().chain(&relaxed.zeta).all(|x| x.is_nan()), "{bad}");
        }
    }
}
