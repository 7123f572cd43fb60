//! The entrants.
//!
//! | problems | entrants |
//! |---|---|
//! | functions of perturbed parameters, costs of solutions | [`smoothing`] |
//! | costs of samples | [`scores`], [`relaxed`] |
//! | costs of solutions | [`solvers`] |
//!
//! Softness and noise are those of the problem. Other parameters are the defaults of the estimators, or
//! named in the summaries.

mod paced;
pub mod relaxed;
pub mod scores;
pub mod smoothing;
pub mod solvers;
#[cfg(test)]
mod tests;

use crate::entrant::{Entrant, Runner};
use crate::problem::Target;

/// All entrants, in the order of the tables.
pub fn all() -> Vec<Entrant> {
    [smoothing::all(), scores::all(), relaxed::all(), solvers::all()].into_iter().flatten().collect()
}

fn entrant(
    name: &'static str,
    summary: &'static str,
    enter: fn(&Target) -> Option<Box<dyn Runner>>,
) -> Entrant {
    Entrant { name, summary, enter }
}
