//! Distributions of discrete variables, given by logits: what estimators by the score function draw from.
//!
//! | distribution | b | probability |
//! |---|---|---|
//! | [`Categorical`] | one-hot, one block for each variable | $\prod_v \mathrm{softmax}(x_v)_{b_v}$ |
//! | [`Bernoulli`] | zeros and ones | $\prod_i \sigma(x_i)^{b_i} \sigma(-x_i)^{1 - b_i}$ |
//! | [`Subset`] | the mask of k of n | $\propto e^{\langle b, x \rangle}$ |
//! | [`PlackettLuce`] | places in an order, 1 for the first | of the next: softmax of what is left |
//!
//! A value `b` has as many numbers as there are logits `x`. All of it is in double precision: the numbers
//! are few beside what is computed from them.

mod bernoulli;
mod categorical;
mod plackett_luce;
mod subset;
#[cfg(test)]
mod tests;

pub use bernoulli::Bernoulli;
pub use categorical::{Categorical, choose};
pub use plackett_luce::PlackettLuce;
pub use subset::Subset;

use supple_core::{Error, Stream};

/// A distribution over finitely many values `b`, each of as many numbers as there are logits.
///
/// The number of logits is to be one that [`check`](Self::check) allows, and `b` as long. Logits without a
/// distribution (NaN, or what the implementation names) make everything NaN.
pub trait Discrete: Send + Sync {
    /// Refuses a number of logits that cannot be, in the name of an operator.
    fn check(&self, operator: &str, n: usize) -> Result<(), Error>;

    /// Draws `b`: a function of the logits and the stream.
    fn sample(&self, logits: &[f64], stream: &mut Stream, b: &mut [f64]);

    /// $\ln p(b)$; −∞ for what cannot be drawn.
    fn log_probability(&self, logits: &[f64], b: &[f64]) -> f64;

    /// Writes $\nabla_x \ln p(b)$, the mean of which is zero, for a `b` that can be drawn.
    fn score(&self, logits: &[f64], b: &[f64], score: &mut [f64]);

    /// Writes the mean of `b`.
    fn mean(&self, logits: &[f64], mean: &mut [f64]);

    /// Writes a most probable value.
    fn mode(&self, logits: &[f64], b: &mut [f64]);

    /// Goes through all values with n numbers, each of them once. There are exponentially many.
    fn support(&self, n: usize, visit: &mut dyn FnMut(&[f64]));

    /// Goes through all values that can be drawn, with their probabilities: exact expectations, for few
    /// variables.
    fn enumerate(&self, logits: &[f64], visit: &mut dyn FnMut(&[f64], f64)) {
        self.support(logits.len(), &mut |b| {
            let p = self.log_probability(logits, b).exp();
            if p != 0.0 {
                visit(b, p);
            }
        });
    }
}

/// $\ln(1 + e^t)$.
fn softplus(t: f64) -> f64 {
    t.max(0.0) + (-t.abs()).exp().ln_1p()
}

/// $1 / (1 + e^{-t})$.
fn logistic(t: f64) -> f64 {
    1.0 / (1.0 + (-t).exp())
}

/// The next order of the same numbers, as words are ordered; `false` after the last.
fn next_order(b: &mut [f64]) -> bool {
    let Some(i) = b.windows(2).rposition(|pair| pair[0] < pair[1]) else { return false };
    if let Some(j) = b.iter().rposition(|&later| later > b[i]) {
        b.swap(i, j);
    }
    b[i + 1..].reverse();
    true
}
