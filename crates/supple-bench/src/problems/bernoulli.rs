//! Yes-or-no answers.

use super::posed::{Posed, cost};
use super::quadratic::quadratic;
use crate::problem::Distribution;

/// The toy of REBAR: $(b - 0.45)^2$, of which the gradient is small against the values.
///
/// Tucker, Mnih, Maddison, Lawson and Sohl-Dickstein, *REBAR: low-variance, unbiased gradient estimates for
/// discrete latent variable models*, NeurIPS 2017.
pub fn one() -> Posed {
    let cost = cost(|b| (b[0] - 0.45).powi(2), |b, db| db[0] = 2.0 * (b[0] - 0.45));
    let text = ["bernoulli/one", "(b − 0.45)² of one yes or no, at logit 0: opposite samples are exact"];
    Posed::sampled(text, &[0.0], cost, Distribution::Bernoulli)
}

/// Four answers that interact.
pub fn four() -> Posed {
    let cost = quadratic(&[0.45, 0.8, 0.3, 0.5], &[1.0, -1.5, 0.7, 0.4], 0.5);
    let text = ["bernoulli/four", "a quadratic of four that interact"];
    Posed::sampled(text, &[0.3, -0.6, 1.0, 0.0], cost, Distribution::Bernoulli)
}
