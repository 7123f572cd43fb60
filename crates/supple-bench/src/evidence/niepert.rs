//! Niepert, Minervini and Franceschi, *Implicit MLE: backpropagating through discrete exponential family
//! distributions*, NeurIPS 2021.

use super::maps::{Method, figures, said, score};
use super::{Claim, Outcome, Verdict, lead};
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
    let ahead = lead(&imle.optimal, &blackbox.optimal);
    let mut figures = [figures(Method::Imle, &imle), figures(Method::Blackbox, &blackbox)].concat();
    figures.push(("lead of I-MLE in standard errors".into(), ahead));
    let rule = "I-MLE is not behind by more than 2 standard errors";
    Ok(Outcome { figures, verdict: Verdict::of(&[ahead > -2.0]), said: said(rule) })
}
