use super::{Discrete, next_order, softplus};
use crate::simplex::{kth_largest, largest};
use crate::subsets::{Answers, marginals, sample};
use supple_core::{Error, Pool, Stream};

/// A random subset of size k as a mask: $p(S) \propto \exp \sum_{i \in S} x_i$ over all S with $|S| = k$.
///
/// −∞ is never in it. With fewer than k other entries, or with NaN or +∞, there is no distribution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subset {
    /// Size of the subset; at most n.
    pub k: usize,
}

impl Subset {
    /// Logits with the k-th largest at zero, and the answers of which subsets are made. `None` where there
    /// is no distribution.
    fn answers(&self, logits: &[f64], pool: &mut Pool<f64>) -> Option<(Vec<f64>, Answers<f64>)> {
        let (kth, _) = kth_largest(logits, self.k, &mut vec![]);
        if !kth.is_finite() || !largest(logits).is_finite() {
            return None;
        }
        let z: Vec<f64> = logits.iter().map(|x| x - kth).collect();
        let answers = Answers::new(&z, self.k, pool);
        Some((z, answers))
    }
}

/// Whether the mask without an entry, which alone has size 0, is a value: not where there is NaN or +∞.
fn of_none(logits: &[f64]) -> f64 {
    if logits.iter().all(|&x| x < f64::INFINITY) { 0.0 } else { f64::NAN }
}

impl Discrete for Subset {
    fn check(&self, operator: &str, n: usize) -> Result<(), Error> {
        if self.k > n {
            return Err(Error::argument(operator, "k", format!("in 0..={n}"), self.k));
        }
        Ok(())
    }

    fn sample(&self, logits: &[f64], stream: &mut Stream, b: &mut [f64]) {
        if self.k == 0 {
            return b.fill(of_none(logits));
        }
        let mut pool = Pool::default();
        let Some((_, answers)) = self.answers(logits, &mut pool) else { return b.fill(f64::NAN) };
        let uniform: Vec<f64> = logits.iter().map(|_| stream.uniform()).collect();
        b.fill(0.0);
        sample(&answers, self.k, |i| uniform[i], &mut pool, |i| b[i] = 1.0);
    }

    /// The probability of the answers of `b`, given that k of them are yes.
    fn log_probability(&self, logits: &[f64], b: &[f64]) -> f64 {
        let ones = b.iter().filter(|&&b| b == 1.0).count();
        let zeros = b.iter().filter(|&&b| b == 0.0).count();
        let possible = ones == self.k && zeros + ones == b.len();
        let mut pool = Pool::default();
        if self.k == 0 {
            return if possible { of_none(logits) } else { f64::NEG_INFINITY };
        }
        let Some((z, answers)) = self.answers(logits, &mut pool) else { return f64::NAN };
        if !possible {
            return f64::NEG_INFINITY;
        }
        let each = z.iter().zip(b).map(|(z, &b)| {
            let t = z - answers.tilt;
            if b == 1.0 { -softplus(-t) } else { -softplus(t) }
        });
        each.sum::<f64>() - answers.counts(self.k, &mut pool)[self.k].ln()
    }

    fn score(&self, logits: &[f64], b: &[f64], score: &mut [f64]) {
        self.mean(logits, score);
        score.iter_mut().zip(b).for_each(|(score, b)| *score = b - *score);
    }

    fn mean(&self, logits: &[f64], mean: &mut [f64]) {
        if self.k == 0 {
            return mean.fill(of_none(logits));
        }
        let mut pool = Pool::default();
        let Some((_, answers)) = self.answers(logits, &mut pool) else { return mean.fill(f64::NAN) };
        marginals(&answers, self.k, false, &mut pool, |i, p| mean[i] = p);
    }

    fn mode(&self, logits: &[f64], b: &mut [f64]) {
        if self.k == 0 {
            return b.fill(of_none(logits));
        }
        let (kth, _) = kth_largest(logits, self.k, &mut vec![]);
        if !kth.is_finite() || !largest(logits).is_finite() {
            return b.fill(f64::NAN);
        }
        b.iter_mut().zip(logits).for_each(|(b, &x)| *b = f64::from(u8::from(x > kth)));
        let left = self.k - b.iter().filter(|&&b| b == 1.0).count();
        let ties = b.iter_mut().zip(logits).filter(|(_, x)| **x == kth);
        ties.take(left).for_each(|(b, _)| *b = 1.0);
    }

    fn support(&self, n: usize, visit: &mut dyn FnMut(&[f64])) {
        let mut b = vec![0.0; n];
        b[n - self.k..].fill(1.0);
        loop {
            visit(&b);
            if !next_order(&mut b) {
                return;
            }
        }
    }
}
