//! Sahoo, Paulus, Vlastelica, Musil, Kuleshov and Martius, *Backpropagation through combinatorial algorithms:
//! identity with projection works*, ICLR 2023.

use super::maps::{Method, figures, keeps_up, score};
use super::{Claim, Outcome};
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
    let figures = [figures(Method::Identity, &identity), figures(Method::Blackbox, &blackbox)].concat();
    Ok(keeps_up("the identity", figures, &identity, &blackbox))
}
