//! Niepert, Minervini and Franceschi, *Implicit MLE: backpropagating through discrete exponential family
//! distributions*, NeurIPS 2021.

use super::maps::{Method, figures, keeps_up, score};
use super::{Claim, Outcome};
use supple_core::Error;

/// These claims.
pub fn claims() -> Vec<Claim> {
    vec![Claim {
        paper: "Niepert et al. 2021",
        statement: "on shortest paths I-MLE is at least as good as black-box interpolation",
        run: imle,
    }]
}

fn imle(seed: u64) -> Result<Outcome, Error> {
    let (imle, blackbox) = (score(Method::Imle, seed)?, score(Method::Blackbox, seed)?);
    let figures = [figures(Method::Imle, &imle), figures(Method::Blackbox, &blackbox)].concat();
    Ok(keeps_up("I-MLE", figures, &imle, &blackbox))
}
