//! One estimate, with what it cost and how far it may be off.

use crate::{Draws, Estimator, Supplies, Told};
use supple_core::{Error, Fault};

/// How much to spend on an estimate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Evaluations of the function, shared by the replicates.
    pub evaluations: usize,
    /// Independent estimates to take the mean of; with two or more, their spread gives a standard error.
    pub replicates: usize,
    /// Seed of all random numbers.
    pub seed: u64,
}

impl Budget {
    /// One replicate.
    pub fn new(evaluations: usize, seed: u64) -> Self {
        Self { evaluations, replicates: 1, seed }
    }
}

/// A mean and its gradient, estimated.
#[derive(Debug, Clone, PartialEq)]
pub struct Estimate {
    /// The mean cost.
    pub value: f64,
    /// Its gradient in the parameters.
    pub gradient: Vec<f64>,
    /// The standard error of each entry of the gradient, from the spread of independent replicates. `None` with
    /// fewer than two of them, and where the spread says nothing: nothing is random, or the variance is
    /// infinite. It does not show a bias.
    pub standard_error: Option<Vec<f64>>,
    /// Points at which the function was evaluated.
    pub evaluations: usize,
}

/// Estimates $\mathrm{E} c$ and its gradient at `x` for a function with one value, and returns what the
/// estimator has learnt.
///
/// The budget is shared equally by the replicates (what is left over is not spent), each of which draws numbers of its own and starts with the
/// state that the one before it left. The result is a function of the arguments alone.
///
/// # Errors
/// Parameters, lengths or budgets that the estimator refuses; no replicate; NaN in `x`; what the function reports. NaN
/// that the function returns is NaN in the estimate.
///
/// ```
/// use supple_core::Fault;
/// use supple_estimators::{Budget, Smoothing, estimate};
///
/// let step = |x: &[f64], y: &mut [f64]| -> Result<(), Fault> {
///     y[0] = if x[0] > 0.0 { 1.0 } else { 0.0 };
///     Ok(())
/// };
/// let budget = Budget { evaluations: 10_000, replicates: 10, seed: 1 };
/// let (estimate, ()) = estimate(&Smoothing::default(), &step, &[0.5], budget, &())?;
/// let density = 0.3521; // of the normal distribution at 0.5
/// let error = estimate.standard_error.unwrap()[0];
/// assert!(error < 0.02 && (estimate.gradient[0] - density).abs() < 4.0 * error);
/// # Ok::<(), supple_core::Error>(())
/// ```
pub fn estimate<E: Estimator, F: Supplies<E::Needs>>(
    estimator: &E,
    function: &F,
    x: &[f64],
    budget: Budget,
    state: &E::State,
) -> Result<(Estimate, E::State), Error> {
    let Budget { evaluations, replicates, seed } = budget;
    if replicates == 0 {
        return Err(Error::argument(E::NAME, "replicates", "at least 1", replicates));
    }
    let fault = |fault: Fault| Error::Fault { operator: E::NAME.into(), item: 0, fault };
    if evaluations < replicates {
        let requirement = format!("at least one for each of {replicates} replicates");
        return Err(Error::argument(E::NAME, "evaluations", requirement, evaluations));
    }
    estimator.validate(x.len(), evaluations / replicates)?;
    let mut state = state.clone();
    let mut sum = Estimate { value: 0.0, gradient: vec![], standard_error: None, evaluations: 0 };
    let mut gradients: Vec<f64> = vec![];
    for replicate in 0..replicates {
        let draws = Draws { seed, item: 0 }.part(replicate);
        let asked = estimator.points(x, evaluations / replicates, &state, draws).map_err(fault)?;
        let rows = asked.rows();
        let mut costs = vec![0.0; rows];
        function.evaluate(rows, &asked.points, &mut costs).map_err(fault)?;
        let slopes = function.supply(rows, &asked.points, &[1.0]).map_err(fault)?;
        let told = Told { costs: &costs, slopes: &slopes };
        let first = gradients.len();
        gradients.resize(first + x.len(), 0.0);
        state = estimator.tell(x, &asked, told, &state, &mut gradients[first..]);
        sum.value += mean(&asked.weights, &costs) / replicates as f64;
        sum.evaluations += rows;
    }
    let r = replicates as f64;
    let column = |i: usize| gradients.iter().skip(i).step_by(x.len());
    sum.gradient = (0..x.len()).map(|i| column(i).sum::<f64>() / r).collect();
    let error = |(i, mean): (usize, &f64)| {
        (column(i).map(|g| (g - mean).powi(2)).sum::<f64>() / (r * (r - 1.0))).sqrt()
    };
    if replicates > 1 && estimator.has_standard_error() {
        sum.standard_error = Some(sum.gradient.iter().enumerate().map(error).collect());
    }
    Ok((sum, state))
}

/// The weighted sum of what was found, where points without weight count for nothing, whatever they cost.
pub(crate) fn mean<'a>(weights: &[f64], costs: impl IntoIterator<Item = &'a f64>) -> f64 {
    weights.iter().zip(costs).filter(|(w, _)| **w != 0.0).map(|(w, c)| w * c).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::smoothing::{Design, Noise, Smoothing};

    fn step(x: &[f64], y: &mut [f64]) -> Result<(), Fault> {
        y[0] = if x[0] > 0.0 { 1.0 } else { 0.0 };
        Ok(())
    }

    #[test]
    fn the_standard_error_is_that_of_many_estimates() {
        let run = |seed| {
            let budget = Budget { evaluations: 400, replicates: 20, seed };
            estimate(&Smoothing::default(), &step, &[0.5], budget, &()).unwrap().0
        };
        let runs: Vec<Estimate> = (0..400).map(run).collect();
        assert!(runs.iter().all(|run| run.evaluations == 400));
        assert_eq!(runs[3], run(3));
        let count = runs.len() as f64;
        let mean = runs.iter().map(|run| run.gradient[0]).sum::<f64>() / count;
        let variance = runs.iter().map(|run| (run.gradient[0] - mean).powi(2)).sum::<f64>() / (count - 1.0);
        let claimed = runs.iter().map(|run| run.standard_error.as_ref().unwrap()[0].powi(2));
        let ratio = claimed.sum::<f64>() / count / variance;
        // The variance of a variance is 2 / (count − 1) of its square; twice, for both.
        assert!((ratio - 1.0).abs() < 4.0 * (4.0 / count).sqrt(), "{ratio}");
    }

    #[test]
    fn there_is_no_standard_error_where_it_would_say_nothing() {
        let budget = Budget { evaluations: 64, replicates: 4, seed: 1 };
        let fixed = Smoothing { design: Design::Sobol, ..Smoothing::default() };
        let infinite = Smoothing { noise: Noise::Triangular, ..Smoothing::default() };
        for (smoothing, budget) in
            [(fixed, budget), (infinite, budget), (Smoothing::default(), Budget { replicates: 1, ..budget })]
        {
            let (estimate, ()) = estimate(&smoothing, &step, &[0.5], budget, &()).unwrap();
            assert_eq!(estimate.standard_error, None, "{smoothing:?}");
        }
    }

    #[test]
    fn what_cannot_be_estimated_is_an_error() {
        let message = |fails: bool, replicates| {
            let function = move |_: &[f64], _: &mut [f64]| match fails {
                true => Err(Fault::Oracle("the simulator crashed".into())),
                false => Ok(()),
            };
            let budget = Budget { evaluations: 10, replicates, seed: 1 };
            estimate(&Smoothing::default(), &function, &[0.5], budget, &()).unwrap_err().to_string()
        };
        assert_eq!(message(false, 0), "smoothing: `replicates` must be at least 1, got 0");
        let few = "smoothing: `evaluations` must be at least one for each of 20 replicates, got 10";
        assert_eq!(message(false, 20), few);
        assert_eq!(message(true, 1), "smoothing: item 0: the simulator crashed");
    }
}
