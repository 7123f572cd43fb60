//! Sahoo, Paulus, Vlastelica, Musil, Kuleshov and Martius, *Backpropagation through combinatorial algorithms:
//! identity with projection works*, ICLR 2023.

use super::maps::{Method, figures, said, score};
use super::{Claim, Outcome, Verdict, lead};
use supple_core::Error;

/// These claims.
pub fn claims() -> Vec<Claim> {
    vec![Claim {
        paper: "Sahoo et al. 2023",
        statement: "the identity in the place of a solver's gradient keeps up with black-box interpolation",
        run: identity,
    }]
}

fn identity(seed: u64) -> Result<Outcome, Error> {
    let (identity, blackbox) = (score(Method::Identity, seed)?, score(Method::Blackbox, seed)?);
    let ahead = lead(&identity.optimal, &blackbox.optimal);
    let mut figures = [figures(Method::Identity, &identity), figures(Method::Blackbox, &blackbox)].concat();
    figures.push(("lead of the identity in standard errors".into(), ahead));
    let rule = "the identity is not behind by more than 2 standard errors";
    Ok(Outcome { figures, verdict: Verdict::of(&[ahead > -2.0]), said: said(rule) })
}
