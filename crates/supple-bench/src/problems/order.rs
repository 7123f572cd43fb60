//! An order of five documents, with a cost of 1 − NDCG.
//!
//! $$ c(r) = 1 - \frac1N \sum_i \frac{2^{g_i} - 1}{\log_2(1 + r_i)} $$
//!
//! for places $r$, 1 the first, grades $g$, and $N$ the largest such sum. Places between whole numbers have
//! discounts between theirs, and so a gradient.
//!
//! Järvelin and Kekäläinen, *Cumulated gain-based evaluation of IR techniques*, 2002.

use super::posed::{Posed, cost};
use crate::problem::Distribution;

const GAINS: [f64; 5] = [0.0, 7.0, 1.0, 3.0, 0.0];

/// The discount of a place.
fn discount(place: f64) -> f64 {
    1.0 / (1.0 + place).log2()
}

/// The problem.
pub fn order() -> Posed {
    let ideal: f64 = [7.0, 3.0, 1.0].iter().zip(1..).map(|(gain, place)| gain * discount(place as f64)).sum();
    let cost = cost(
        move |places| 1.0 - GAINS.iter().zip(places).map(|(g, r)| g * discount(*r)).sum::<f64>() / ideal,
        move |places, slopes| {
            for ((slope, gain), place) in slopes.iter_mut().zip(GAINS).zip(places) {
                *slope = gain / ideal * discount(*place).powi(2) / ((1.0 + place) * std::f64::consts::LN_2);
            }
        },
    );
    let text = ["order", "an order of five, 1 − NDCG"];
    Posed::sampled(text, &[0.8, 0.2, -0.3, 0.5, 0.0], cost, Distribution::PlackettLuce)
}
