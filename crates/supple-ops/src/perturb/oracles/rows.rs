//! What the solvers have in common: objectives row by row, and what is wrong with them.

use crate::perturb::Oracle;
use supple_core::{Error, Fault};

/// Calls `solve` on each row of `thetas`, rows of `n` numbers, and the row of `ys` for its solution. Rows of
/// a length that the oracle does not take are refused, and so is NaN. Of rows without numbers there is one.
///
/// An objective whose sums might overflow comes divided by a power of two, which leaves its solution as it is.
pub(super) fn each(
    oracle: &impl Oracle,
    n: usize,
    thetas: &[f64],
    ys: &mut [f64],
    mut solve: impl FnMut(&[f64], &mut [f64]) -> Result<(), Fault>,
) -> Result<(), Fault> {
    oracle.validate(n).map_err(|e| Fault::Oracle(e.to_string()))?;
    if ys.len() != thetas.len() {
        return Err(Fault::Oracle(format!(
            "`y` must be as long as `theta`, {}, got {}",
            thetas.len(),
            ys.len()
        )));
    }
    if n == 0 {
        return solve(&[], &mut []);
    }
    if !thetas.len().is_multiple_of(n) {
        return Err(Fault::Oracle(format!("`theta` must be rows of {n} numbers, got {}", thetas.len())));
    }
    let mut scaled = vec![];
    thetas.chunks_exact(n).zip(ys.chunks_exact_mut(n)).try_for_each(|(theta, y)| {
        // One pass without branches for what is usual.
        if theta.iter().map(|theta| (theta.abs() <= HUGE) as usize).sum::<usize>() == n {
            return solve(theta, y);
        }
        if let Some(&value) = theta.iter().find(|theta| theta.is_nan()) {
            return Err(Fault::Domain { argument: "theta", requirement: "a number", value });
        }
        if theta.iter().any(|theta| theta.is_finite() && theta.abs() > HUGE) {
            scaled.clear();
            scaled.extend(theta.iter().map(|theta| theta * DOWN));
            return solve(&scaled, y);
        }
        solve(theta, y)
    })
}

/// Numbers of this size may not be added up as they are; times [`DOWN`], they may.
const HUGE: f64 = 1e270;
/// 2⁻²⁰⁰.
const DOWN: f64 = 1.0 / (1u128 << 100) as f64 / (1u128 << 100) as f64;

/// Refuses objectives of another length than one number for each `what`.
pub(super) fn length(oracle: &str, n: usize, expected: usize, what: &str) -> Result<(), Error> {
    if n == expected {
        return Ok(());
    }
    Err(Error::argument(oracle, "theta", format!("of {expected} numbers, one for each {what}"), n))
}

/// Refuses +∞, for solvers that subtract costs.
pub(super) fn below_infinity(theta: &[f64]) -> Result<(), Fault> {
    match theta.contains(&f64::INFINITY) {
        true => Err(Fault::Domain { argument: "theta", requirement: "below +∞", value: f64::INFINITY }),
        false => Ok(()),
    }
}

#[cfg(test)]
pub(super) mod testing {
    use super::*;
    use supple_core::Stream;

    /// Small whole numbers with ties, or normal ones; in every third of either some are −∞.
    pub fn objective(random: &mut Stream, n: usize) -> Vec<f64> {
        let (whole, closed) = (random.below(2) == 0, random.below(3) == 0);
        let mut draw = || match (closed && random.below(4) == 0, whole) {
            (true, _) => f64::NEG_INFINITY,
            (_, true) => random.below(9) as f64 - 4.0,
            _ => random.normal(),
        };
        (0..n).map(|_| draw()).collect()
    }

    pub fn solved(oracle: &impl Oracle, theta: &[f64]) -> Result<Vec<f64>, Fault> {
        let mut y = vec![0.0; theta.len()];
        oracle.solve(theta, &mut y).map(|()| y)
    }

    /// `⟨theta, y⟩`, where 0 · ∞ is 0.
    pub fn value(theta: &[f64], y: &[f64]) -> f64 {
        theta.iter().zip(y).filter(|(_, y)| **y != 0.0).map(|(theta, y)| theta * y).sum()
    }

    /// Several rows in one call must come out as one by one, whatever an earlier row left in the buffers.
    pub fn check_solve_many(oracle: &impl Oracle, n: usize, random: &mut Stream) {
        let rows: Vec<_> = (0..12).map(|_| objective(random, n)).collect();
        let answers = rows.iter().filter_map(|theta| Some((theta.clone(), solved(oracle, theta).ok()?)));
        let (thetas, expected): (Vec<_>, Vec<_>) = answers.unzip();
        let (thetas, expected) = (thetas.concat(), expected.concat());
        let mut ys = vec![0.0; thetas.len()];
        oracle.solve_many(n, &thetas, &mut ys).unwrap();
        assert_eq!(ys, expected);
    }

    /// NaN, a wrong length and a short `y` are faults of the right kind, and nothing panics.
    pub fn check_refusals(oracle: &impl Oracle, n: usize) {
        let with_nan: Vec<f64> = (0..n).map(|i| if i == n / 2 { f64::NAN } else { 0.5 }).collect();
        assert!(matches!(solved(oracle, &with_nan), Err(Fault::Domain { argument: "theta", .. })));
        assert!(matches!(oracle.solve(&vec![0.5; n], &mut []), Err(Fault::Oracle(_))));
        if let Err(error) = oracle.validate(n + 1) {
            let Error::Argument { argument, value, .. } = &error else { panic!("{error}") };
            assert!(argument == "theta" && *value == (n + 1).to_string());
            assert_eq!(solved(oracle, &vec![0.5; n + 1]), Err(Fault::Oracle(error.to_string())));
        }
    }
}
