use super::{Discrete, logistic, softplus};
use supple_core::{Error, Stream};

/// Independent yes-or-no answers: $b_i = 1$ with probability $\sigma(x_i) = 1 / (1 + e^{-x_i})$, else 0.
///
/// −∞ is always 0 and +∞ always 1; NaN has no distribution.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bernoulli;

impl Discrete for Bernoulli {
    fn check(&self, _: &str, _: usize) -> Result<(), Error> {
        Ok(())
    }

    fn sample(&self, logits: &[f64], stream: &mut Stream, b: &mut [f64]) {
        for (b, &x) in b.iter_mut().zip(logits) {
            let yes = stream.uniform() < logistic(x);
            *b = if x.is_nan() { f64::NAN } else { f64::from(u8::from(yes)) };
        }
    }

    fn log_probability(&self, logits: &[f64], b: &[f64]) -> f64 {
        let each = logits.iter().zip(b).map(|(&x, &b)| {
            if b == 1.0 || x.is_nan() {
                -softplus(-x)
            } else if b == 0.0 {
                -softplus(x)
            } else {
                f64::NEG_INFINITY
            }
        });
        each.sum()
    }

    fn score(&self, logits: &[f64], b: &[f64], score: &mut [f64]) {
        // Not b − σ(x): for b = 1 that has nothing left where σ(x) rounds to 1.
        for ((score, &x), &b) in score.iter_mut().zip(logits).zip(b) {
            *score = if b == 1.0 { logistic(-x) } else { b - logistic(x) };
        }
    }

    fn mean(&self, logits: &[f64], mean: &mut [f64]) {
        mean.iter_mut().zip(logits).for_each(|(mean, &x)| *mean = logistic(x));
    }

    fn mode(&self, logits: &[f64], b: &mut [f64]) {
        let yes = |x: f64| if x.is_nan() { x } else { f64::from(u8::from(x > 0.0)) };
        b.iter_mut().zip(logits).for_each(|(b, &x)| *b = yes(x));
    }

    fn support(&self, n: usize, visit: &mut dyn FnMut(&[f64])) {
        let mut b = vec![0.0; n];
        loop {
            visit(&b);
            let Some(first_zero) = b.iter().position(|&b| b == 0.0) else { return };
            b[..first_zero].fill(0.0);
            b[first_zero] = 1.0;
        }
    }
}
