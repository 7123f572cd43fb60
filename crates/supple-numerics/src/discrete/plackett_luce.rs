use super::{Discrete, logistic, next_order, softplus};
use crate::noise::Noise;
use crate::simplex::largest;
use supple_core::{Error, Stream};

/// A random order, drawn one after the other by softmax of what is left (Plackett and Luce):
///
/// $$ p(\pi) = \prod_{s=1}^{n} \frac{e^{x_{\pi_s}}}{\sum_{t \ge s} e^{x_{\pi_t}}} $$
///
/// `b` holds the place of each entry: 1 for the first, which is the likeliest to have the largest logit, to
/// n. Sorting logits with Gumbel noise from the largest to the least draws such an order.
///
/// One logit of −∞ always comes last. Two, NaN or +∞ have no distribution.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PlackettLuce;

/// Whether there is a distribution.
fn defined(logits: &[f64]) -> bool {
    let masked = logits.iter().filter(|&&x| x == f64::NEG_INFINITY).count();
    masked <= 1 && (masked == 0 || logits.len() > 1) && logits.iter().all(|&x| x < f64::INFINITY)
}

/// Entries in the order that places give; `None` where these are not 1 to n.
fn order_of(b: &[f64]) -> Option<Vec<usize>> {
    let mut order = vec![usize::MAX; b.len()];
    for (i, &place) in b.iter().enumerate() {
        // As an integer it saturates, and NaN is 0.
        let slot = order.get_mut((place as usize).checked_sub(1)?)?;
        if *slot != usize::MAX || place.fract() != 0.0 {
            return None;
        }
        *slot = i;
    }
    Some(order)
}

/// `ln(eᵃ + eᵇ)`, where not both are −∞.
fn log_add(a: f64, b: f64) -> f64 {
    a.max(b) + (-(a - b).abs()).exp().ln_1p()
}

/// Logits in order, with the largest at zero; for each, `ln Σ exp` of it and all after it.
fn chain(logits: &[f64], order: &[usize]) -> (Vec<f64>, Vec<f64>) {
    let top = largest(logits);
    let z: Vec<f64> = order.iter().map(|&i| logits[i] - top).collect();
    let mut left = z.clone();
    for s in (1..z.len()).rev() {
        left[s - 1] = log_add(z[s - 1], left[s]);
    }
    (z, left)
}

impl Discrete for PlackettLuce {
    fn check(&self, _: &str, _: usize) -> Result<(), Error> {
        Ok(())
    }

    fn sample(&self, logits: &[f64], stream: &mut Stream, b: &mut [f64]) {
        if !defined(logits) {
            return b.fill(f64::NAN);
        }
        let top = largest(logits);
        let mut z = vec![0.0; logits.len()];
        Noise::Gumbel.fill(stream, &mut z);
        z.iter_mut().zip(logits).for_each(|(z, x)| *z += x - top);
        let mut order: Vec<usize> = (0..z.len()).collect();
        order.sort_unstable_by(|&i, &j| z[j].total_cmp(&z[i]));
        order.iter().enumerate().for_each(|(s, &i)| b[i] = (s + 1) as f64);
    }

    fn log_probability(&self, logits: &[f64], b: &[f64]) -> f64 {
        if !defined(logits) {
            return f64::NAN;
        }
        let Some(order) = order_of(b) else { return f64::NEG_INFINITY };
        let (z, left) = chain(logits, &order);
        // The share of one, against all after it. The last is alone.
        -z.iter().zip(left.iter().skip(1)).map(|(z, after)| softplus(after - z)).sum::<f64>()
    }

    /// For the entry at place r: $1 - \sum_{s \le r} e^{x_{\pi_r} - L_s}$ with
    /// $L_s = \ln \sum_{t \ge s} e^{x_{\pi_t}}$.
    fn score(&self, logits: &[f64], b: &[f64], score: &mut [f64]) {
        let Some(order) = order_of(b).filter(|_| defined(logits)) else { return score.fill(f64::NAN) };
        let (z, left) = chain(logits, &order);
        let mut sum = f64::NEG_INFINITY;
        for (s, &i) in order.iter().enumerate() {
            let others_left = s + 1 < order.len();
            if others_left {
                sum = log_add(sum, -left[s]);
            }
            // The last is not chosen: it is what remains.
            let chosen = if others_left { 1.0 } else { 0.0 };
            score[i] = chosen - (z[s] + sum).exp();
        }
    }

    /// Of two, i is before j with probability $\sigma(x_i - x_j)$, whatever the others.
    fn mean(&self, logits: &[f64], mean: &mut [f64]) {
        if !defined(logits) {
            return mean.fill(f64::NAN);
        }
        for (i, mean) in mean.iter_mut().enumerate() {
            let before = logits.iter().enumerate().filter(|&(j, _)| j != i);
            *mean = 1.0 + before.map(|(_, x)| logistic(x - logits[i])).sum::<f64>();
        }
    }

    fn mode(&self, logits: &[f64], b: &mut [f64]) {
        if !defined(logits) {
            return b.fill(f64::NAN);
        }
        let mut order: Vec<usize> = (0..logits.len()).collect();
        order.sort_by(|&i, &j| logits[j].total_cmp(&logits[i]));
        order.iter().enumerate().for_each(|(s, &i)| b[i] = (s + 1) as f64);
    }

    fn support(&self, n: usize, visit: &mut dyn FnMut(&[f64])) {
        let mut b: Vec<f64> = (1..=n).map(|place| place as f64).collect();
        loop {
            visit(&b);
            if !next_order(&mut b) {
                return;
            }
        }
    }
}
