use super::Discrete;
use crate::elementary::exp_sum;
use crate::simplex::largest;
use supple_core::{Error, Real, Stream};

/// Independent choices among `classes` each, as one-hot blocks: $p(b_v) = \mathrm{softmax}(x_v)_{b_v}$ for
/// each block $x_v$ of logits.
///
/// A logit of −∞ masks its class. A block of −∞ only, or with NaN or +∞, has no distribution.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Categorical {
    /// Logits of one variable: n numbers are `n / classes` variables. 0 makes one variable of all numbers.
    pub classes: usize,
}

/// The place that a uniform number in (0, 1) falls to, where each has a length given by its weight. Weights
/// are at least 0 and `total` is their sum; what has no weight is not chosen.
pub fn choose<T: Real>(weights: &[T], total: f64, uniform: f64) -> usize {
    let (mut sum, mut last) = (0.0, 0);
    for (i, weight) in weights.iter().enumerate().filter(|(_, weight)| weight.as_f64() > 0.0) {
        sum += weight.as_f64();
        last = i;
        if uniform * total < sum {
            break;
        }
    }
    last
}

/// Writes `exp(x − max x)`; their sum, which is NaN where there is no distribution.
fn weigh(x: &[f64], weights: &mut [f64]) -> f64 {
    weights.copy_from_slice(x);
    let top = largest(x);
    if top.is_finite() { exp_sum(weights, top) } else { f64::NAN }
}

impl Categorical {
    fn block(&self, n: usize) -> usize {
        if self.classes == 0 { n.max(1) } else { self.classes }
    }
}

impl Discrete for Categorical {
    fn check(&self, operator: &str, n: usize) -> Result<(), Error> {
        if self.classes == 0 && n == 0 {
            return Err(Error::argument(operator, "n", "at least 1", n));
        }
        if !n.is_multiple_of(self.block(n)) {
            return Err(Error::argument(operator, "classes", format!("a divisor of {n}"), self.classes));
        }
        Ok(())
    }

    fn sample(&self, logits: &[f64], stream: &mut Stream, b: &mut [f64]) {
        let block = self.block(logits.len());
        for (x, b) in logits.chunks(block).zip(b.chunks_mut(block)) {
            let (total, uniform) = (weigh(x, b), stream.uniform());
            if total.is_nan() {
                b.fill(f64::NAN);
                continue;
            }
            let chosen = choose(b, total, uniform);
            b.fill(0.0);
            b[chosen] = 1.0;
        }
    }

    fn log_probability(&self, logits: &[f64], b: &[f64]) -> f64 {
        let block = self.block(logits.len());
        let mut weights = vec![0.0; block];
        let each = logits.chunks(block).zip(b.chunks(block)).map(|(x, b)| {
            let total = weigh(x, &mut weights[..x.len()]);
            let ones = b.iter().filter(|&&b| b == 1.0).count();
            let zeros = b.iter().filter(|&&b| b == 0.0).count();
            match b.iter().position(|&b| b == 1.0) {
                _ if total.is_nan() => f64::NAN,
                Some(chosen) if ones == 1 && zeros + 1 == b.len() => x[chosen] - largest(x) - total.ln(),
                _ => f64::NEG_INFINITY,
            }
        });
        each.sum()
    }

    fn score(&self, logits: &[f64], b: &[f64], score: &mut [f64]) {
        self.mean(logits, score);
        score.iter_mut().zip(b).for_each(|(score, b)| *score = b - *score);
    }

    fn mean(&self, logits: &[f64], mean: &mut [f64]) {
        let block = self.block(logits.len());
        for (x, mean) in logits.chunks(block).zip(mean.chunks_mut(block)) {
            let total = weigh(x, mean);
            mean.iter_mut().for_each(|mean| *mean /= total);
        }
    }

    fn mode(&self, logits: &[f64], b: &mut [f64]) {
        let block = self.block(logits.len());
        for (x, b) in logits.chunks(block).zip(b.chunks_mut(block)) {
            let top = largest(x);
            b.fill(if top.is_finite() { 0.0 } else { f64::NAN });
            if let Some(first) = x.iter().position(|&x| x == top) {
                b[first] += 1.0;
            }
        }
    }

    fn support(&self, n: usize, visit: &mut dyn FnMut(&[f64])) {
        let block = self.block(n);
        let mut chosen = vec![0; n / block];
        let mut b = vec![0.0; n];
        b.chunks_mut(block).for_each(|b| b[0] = 1.0);
        loop {
            visit(&b);
            // As a counter does: the first variable that has a next class takes it, those before begin again.
            let Some(variable) = chosen.iter().position(|&class| class + 1 < block) else { return };
            for (v, class) in chosen.iter_mut().enumerate().take(variable + 1) {
                b[v * block + *class] = 0.0;
                *class = if v == variable { *class + 1 } else { 0 };
                b[v * block + *class] = 1.0;
            }
        }
    }
}
