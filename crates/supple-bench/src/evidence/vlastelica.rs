//! Vlastelica, Paulus, Musil, Martius and Rolínek, *Differentiation of blackbox combinatorial solvers*, ICLR
//! 2020.

use super::maps::{Method, figures, said, score};
use super::{Claim, Outcome, Verdict, lead};
use supple_core::Error;

/// These claims.
pub fn claims() -> Vec<Claim> {
    vec![Claim {
        paper: "Vlastelica et al. 2020",
        statement: "with a solver inside and its black-box gradient, a model finds cheapest paths on unseen \
                    maps far more often than a model without a solver",
        run: solver,
    }]
}

fn solver(seed: u64) -> Result<Outcome, Error> {
    let methods = [Method::Blackbox, Method::Cells, Method::Direct];
    let [own, cells, direct] = methods.map(|method| score(method, seed));
    let (own, others) = (own?, [cells?, direct?]);
    let ahead = others.each_ref().map(|other| lead(&own.optimal, &other.optimal));
    let mut figures = figures(methods[0], &own);
    for ((method, other), ahead) in methods[1..].iter().zip(&others).zip(ahead) {
        figures.extend(super::maps::figures(*method, other));
        figures.push((format!("{}: lead over it in standard errors", method.name()), ahead));
    }
    let rule = "the lead over both models without a solver is more than 5 standard errors";
    Ok(Outcome { figures, verdict: Verdict::of(&ahead.map(|ahead| ahead > 5.0)), said: said(rule) })
}
