//! One cell: an estimator on a problem with a budget, many times over, against the exact gradient.
//!
//! With $R$ estimates $g_r$, their mean $\bar g$ and the exact gradient $g$ of length $n$:
//!
//! $$ \text{bias} = \frac{\|\bar g - g\|}{\|g\|}, \qquad
//! \text{variance} = \frac{\sum_r \|g_r - \bar g\|^2}{(R - 1) \|g\|^2}, \qquad
//! \text{mse} = \frac{\sum_r \|g_r - g\|^2}{R \|g\|^2}, \qquad
//! \text{cosine} = \frac1R \sum_r \frac{\langle g_r, g\rangle}{\|g_r\| \|g\|} $$
//!
//! The bias of an estimator without one is not 0 but about $\sqrt{\text{variance} / R}$, its noise. The largest
//! $|z|$ of the coordinates says whether there is more to it. Where the exact gradient is 0, it is not divided by.
//!
//! A cell that takes longer than the time limit ends early: with the first of its replicates, two at least. How
//! many there are depends on the machine and on what else it does; the row says that the cell was cut.
//!
//! Replicates have seeds that depend on their number and the seed of the run alone, so that all estimators of a
//! problem that draw the same noise see the same.

use crate::entrant::{Entrant, Runner};
use crate::problem::{Exact, Problem, Target};
use crate::row::{Column, Role, Row, Schema};
use std::sync::OnceLock;
use std::time::Instant;
use supple_core::{Error, Stream};
use supple_estimators::Estimate;

/// What the rows of `supple-bench estimators` hold.
pub static SCHEMA: Schema = Schema {
    kind: "estimators",
    order,
    columns: &[
        Column { name: "problem", role: Role::Key, meaning: "the problem" },
        Column { name: "estimator", role: Role::Key, meaning: "the estimator" },
        Column { name: "budget", role: Role::Key, meaning: "evaluations that one estimate may take" },
        Column { name: "target", role: Role::Note, meaning: "what the mean is over" },
        Column { name: "status", role: Role::Note, meaning: "measured, needs more, or failed" },
        Column { name: "reason", role: Role::Note, meaning: "why it is not measured" },
        Column { name: "mse", role: Role::Random("mse_error"), meaning: "mean squared error / |exact|²" },
        Column { name: "mse_error", role: Role::About, meaning: "standard error of the mse" },
        Column { name: "bias", role: Role::Random("bias_error"), meaning: "|mean − exact| / |exact|" },
        Column { name: "bias_error", role: Role::About, meaning: "the bias that noise alone would show" },
        Column { name: "bias_z", role: Role::About, meaning: "largest |z| of the mean over coordinates" },
        Column {
            name: "bias_bound",
            role: Role::About,
            meaning: "largest |z| that 1 in 10 000 estimators without a bias would pass",
        },
        Column { name: "bias_said", role: Role::Note, meaning: "what the estimator says its bias is" },
        Column {
            name: "variance",
            role: Role::Random("variance_error"),
            meaning: "trace of the covariance / |exact|²",
        },
        Column { name: "variance_error", role: Role::About, meaning: "standard error of the variance" },
        Column {
            name: "cosine",
            role: Role::Random("cosine_error"),
            meaning: "mean cosine of the angle to the exact gradient",
        },
        Column { name: "cosine_error", role: Role::About, meaning: "standard error of the cosine" },
        Column {
            name: "value_error",
            role: Role::About,
            meaning: "root mean squared error of the mean cost, in its unit",
        },
        Column { name: "evaluations", role: Role::About, meaning: "evaluations taken, on average" },
        Column { name: "replicates", role: Role::About, meaning: "estimates that are counted" },
        Column { name: "warm_up", role: Role::About, meaning: "estimates before those, not counted" },
        Column { name: "cut", role: Role::About, meaning: "whether the time limit ended the cell early" },
        Column { name: "random", role: Role::About, meaning: "whether estimates depend on the seed" },
        Column { name: "non_finite", role: Role::Exact, meaning: "estimates left out for not being finite" },
        Column { name: "seconds", role: Role::Time, meaning: "median time of one estimate" },
        Column { name: "dimension", role: Role::Exact, meaning: "number of parameters" },
        Column { name: "exact_value", role: Role::Exact, meaning: "the exact mean" },
        Column { name: "exact_norm", role: Role::Exact, meaning: "norm of its gradient" },
    ],
};

fn order(column: &str) -> Vec<&'static str> {
    match column {
        "problem" => crate::problems::all().iter().map(|problem| problem.name()).collect(),
        "estimator" => crate::entrants::all().iter().map(|entrant| entrant.name).collect(),
        _ => vec![],
    }
}

/// How cells are measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// Seed of the run.
    pub seed: u64,
    /// Estimates of each cell.
    pub replicates: usize,
    /// Estimates before them that are not counted: what learns has learnt, and what is lazy is loaded.
    pub warm_up: usize,
    /// Seconds after which a cell ends with the replicates that it has; half as many for those before.
    pub time_limit: f64,
}

/// A problem with its parameters and, once it has been needed, the exact gradient there.
pub struct Arena {
    /// The problem.
    pub problem: Box<dyn Problem>,
    /// What its mean is over.
    pub target: Target,
    /// The parameters.
    pub x: Vec<f64>,
    exact: OnceLock<Exact>,
}

impl Arena {
    /// Opens it for a problem.
    pub fn new(problem: Box<dyn Problem>) -> Self {
        let (target, x) = (problem.target(), problem.x());
        Self { problem, target, x, exact: OnceLock::new() }
    }

    /// The mean and its gradient at the parameters.
    pub fn exact(&self) -> &Exact {
        self.exact.get_or_init(|| self.problem.exact(&self.x))
    }

    /// The columns that name a cell.
    pub fn keys(&self, entrant: &Entrant, budget: usize) -> Row {
        let row = Row::default().with("problem", self.problem.name()).with("estimator", entrant.name);
        row.with("budget", budget).with("target", self.target.name())
    }
}

impl Target {
    /// The word that tables use.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Perturbed { .. } => "perturbed",
            Self::Sampled { .. } => "sampled",
            Self::Solved { .. } => "solved",
        }
    }
}

/// Measures a cell. An estimator that does not apply, refuses or fails is a result too.
pub fn measure(arena: &Arena, entrant: &Entrant, budget: usize, sampling: Sampling) -> Row {
    let row = arena.keys(entrant, budget);
    let Some(mut runner) = (entrant.enter)(&arena.target) else {
        return row.with("status", "failed").with("reason", "does not apply to the problem");
    };
    if let Err(error) = runner.validate(arena.x.len(), budget) {
        return refused(row, &error);
    }
    match replicates(&mut *runner, &arena.x, budget, sampling) {
        Err(error) => refused(row, &error),
        Ok((estimates, mut seconds, warm_up)) => {
            let cut = estimates.len() < sampling.replicates || warm_up < sampling.warm_up;
            let row = row.with("warm_up", warm_up).with("cut", cut).with("random", runner.is_random());
            seconds.sort_by(f64::total_cmp);
            let row = row.with("status", "measured").with("bias_said", runner.bias().unwrap_or_default());
            let row = row.with_number("seconds", median(&seconds));
            summarise(arena.exact(), &estimates).write(row)
        }
    }
}

/// A budget that is too small is no failure.
pub(crate) fn refused(row: Row, error: &Error) -> Row {
    match error {
        Error::Argument { argument, requirement, .. } if argument == "evaluations" => {
            row.with("status", "needs more").with("reason", format!("needs {requirement} evaluations"))
        }
        error => row.with("status", "failed").with("reason", error.to_string()),
    }
}

fn replicates(
    runner: &mut dyn Runner,
    x: &[f64],
    budget: usize,
    sampling: Sampling,
) -> Result<(Vec<Estimate>, Vec<f64>, usize), Error> {
    let seed = |kind, replicate| Stream::new(sampling.seed, replicate, kind).bits();
    let begin = Instant::now();
    let late = |share: f64| begin.elapsed().as_secs_f64() > share * sampling.time_limit;
    let mut warm_up = 0;
    while warm_up < sampling.warm_up && !late(0.5) {
        runner.estimate(x, budget, seed(1, warm_up))?;
        warm_up += 1;
    }
    let (mut estimates, mut seconds) = (vec![], vec![]);
    while estimates.len() < sampling.replicates && (estimates.len() < 2 || !late(1.0)) {
        let start = Instant::now();
        estimates.push(runner.estimate(x, budget, seed(0, estimates.len()))?);
        seconds.push(start.elapsed().as_secs_f64());
    }
    Ok((estimates, seconds, warm_up))
}

/// The middle of sorted numbers; NaN of none.
pub fn median(sorted: &[f64]) -> f64 {
    match sorted.len() {
        0 => f64::NAN,
        n => (sorted[(n - 1) / 2] + sorted[n / 2]) / 2.0,
    }
}

/// How estimates compare with the exact gradient. See the module.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    dimension: usize,
    exact: [f64; 2],
    mse: Mean,
    bias: Mean,
    bias_z: f64,
    variance: Mean,
    cosine: Mean,
    value_error: f64,
    evaluations: f64,
    replicates: usize,
    non_finite: usize,
}

/// A mean and its standard error.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Mean {
    pub mean: f64,
    pub error: f64,
}

impl Mean {
    pub(crate) fn of(numbers: &[f64]) -> Self {
        let n = numbers.len() as f64;
        let mean = numbers.iter().sum::<f64>() / n;
        let squares: f64 = numbers.iter().map(|x| (x - mean).powi(2)).sum();
        Self { mean, error: (squares / (n * (n - 1.0))).sqrt() }
    }
}

fn norm(x: impl Iterator<Item = f64>) -> f64 {
    x.map(|x| x * x).sum::<f64>().sqrt()
}

/// Compares estimates with what is exact. Those that are not finite are counted and left out.
pub fn summarise(exact: &Exact, estimates: &[Estimate]) -> Summary {
    let truth = &exact.gradient;
    let n = truth.len();
    let length = norm(truth.iter().copied());
    let unit = if length > 0.0 { length } else { 1.0 };
    let finite: Vec<&Estimate> =
        estimates.iter().filter(|estimate| estimate.gradient.iter().all(|g| g.is_finite())).collect();
    let count = finite.len() as f64;
    let mean_of = |f: &dyn Fn(&Estimate) -> f64| finite.iter().map(|e| f(e)).sum::<f64>() / count;
    let centre: Vec<f64> = (0..n).map(|i| mean_of(&|e| e.gradient[i])).collect();
    let off = |from: &[f64], e: &Estimate| {
        e.gradient.iter().zip(from).map(|(g, x)| ((g - x) / unit).powi(2)).sum::<f64>()
    };
    let mse: Vec<f64> = finite.iter().map(|e| off(truth, e)).collect();
    // Each about the mean of all, and so by a factor too near to it.
    let spread: Vec<f64> = finite.iter().map(|e| off(&centre, e) * count / (count - 1.0)).collect();
    let cosine = |e: &&Estimate| {
        let product: f64 = e.gradient.iter().zip(truth).map(|(g, x)| g * x).sum();
        let lengths = norm(e.gradient.iter().copied()) * length;
        if lengths > 0.0 { product / lengths } else { 0.0 }
    };
    let z = |i: usize| {
        let error = Mean::of(&finite.iter().map(|e| e.gradient[i]).collect::<Vec<_>>()).error;
        let off = (centre[i] - truth[i]).abs();
        // What is exact is so up to rounding.
        if off <= 1e-9 * unit { 0.0 } else { off / error }
    };
    let variance = Mean::of(&spread);
    let bias = norm(centre.iter().zip(truth).map(|(c, g)| c - g)) / unit;
    Summary {
        dimension: n,
        exact: [exact.value, length],
        mse: Mean::of(&mse),
        bias: Mean { mean: bias, error: (variance.mean / count).sqrt() },
        bias_z: (0..n).map(z).fold(0.0, |a, z| if z.is_nan() { z } else { z.max(a) }),
        variance,
        cosine: Mean::of(&finite.iter().map(cosine).collect::<Vec<_>>()),
        value_error: mean_of(&|e| (e.value - exact.value).powi(2)).sqrt(),
        evaluations: mean_of(&|e| e.evaluations as f64),
        replicates: finite.len(),
        non_finite: estimates.len() - finite.len(),
    }
}

impl Summary {
    fn write(&self, row: Row) -> Row {
        let with = |row: Row, name: &str, mean: Mean| {
            row.with_number(name, mean.mean).with_number(&format!("{name}_error"), mean.error)
        };
        let row = with(with(row, "mse", self.mse), "bias", self.bias);
        let row = with(with(row, "variance", self.variance), "cosine", self.cosine);
        // P(|Z| > z) ≤ exp(−z² / 2), for each of n.
        let bound = (2.0 * (self.dimension as f64 * 1e4).ln()).sqrt();
        let row = row.with_number("bias_z", self.bias_z).with_number("bias_bound", bound);
        let row =
            row.with_number("value_error", self.value_error).with_number("evaluations", self.evaluations);
        let row = row.with("replicates", self.replicates).with("non_finite", self.non_finite);
        let row = row.with("dimension", self.dimension).with_number("exact_value", self.exact[0]);
        row.with_number("exact_norm", self.exact[1])
    }
}

/// Whether the bias of a cell is more than its noise. A few estimates do not tell, unless nothing in them
/// is random.
pub fn is_biased(row: &Row) -> bool {
    let tells = row.number("replicates") >= 50.0 || row.0.get("random") == Some(&false.into());
    tells && row.number("bias_z") > row.number("bias_bound")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn estimate(gradient: [f64; 2], value: f64) -> Estimate {
        Estimate { value, gradient: gradient.into(), standard_error: None, evaluations: 3 }
    }

    #[test]
    fn metrics_are_those_computed_by_hand() {
        let exact = Exact { value: 1.0, gradient: vec![3.0, 4.0] };
        // Mean (4, 4): bias 1 / 5. Off the mean by (±2, ±1): squares 5, 5; off the truth by (3, 1), (−1, −1).
        let estimates = [estimate([6.0, 5.0], 2.0), estimate([2.0, 3.0], 1.0)];
        let s = summarise(&exact, &estimates);
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-14, "{a} for {b}");
        near(s.bias.mean, 0.2);
        near(s.variance.mean, (5.0 + 5.0) / 25.0);
        near(s.mse.mean, (10.0 + 2.0) / 2.0 / 25.0);
        near(s.mse.error, 4.0 / 25.0);
        near(s.mse.mean, s.bias.mean.powi(2) + s.variance.mean / 2.0);
        near(s.bias.error, (0.4_f64 / 2.0).sqrt());
        // First coordinate: 1 off, with standard error 2; second: not off.
        near(s.bias_z, 0.5);
        near(s.cosine.mean, (38.0 / 61f64.sqrt() + 18.0 / 13f64.sqrt()) / 10.0);
        near(s.value_error, 0.5f64.sqrt());
        near(s.evaluations, 3.0);
        assert_eq!((s.replicates, s.non_finite), (2, 0));
    }

    #[test]
    fn a_cell_that_is_cut_says_so() {
        let arenas: Vec<Arena> = crate::problems::all().into_iter().map(Arena::new).collect();
        let entrants = crate::entrants::all();
        let (arena, entrant) = crate::estimators::pairs(&arenas, &entrants)[0];
        let [whole, cut] = [f64::INFINITY, 0.0].map(|time_limit| {
            measure(arena, entrant, 8, Sampling { seed: 1, replicates: 9, warm_up: 3, time_limit })
        });
        let said = |row: &Row| {
            (row.number("replicates"), row.number("warm_up"), row.0.get("cut").and_then(|cut| cut.as_bool()))
        };
        assert_eq!(said(&whole), (9.0, 3.0, Some(false)));
        assert_eq!(said(&cut), (2.0, 0.0, Some(true)));
    }

    #[test]
    fn estimates_that_are_not_finite_are_counted_and_left_out() {
        let exact = Exact { value: 0.0, gradient: vec![1.0, 0.0] };
        let fine = [estimate([1.0, 0.5], 0.0), estimate([1.0, -0.5], 0.0)];
        let spoilt = [fine[0].clone(), estimate([f64::NAN, 0.0], 0.0), fine[1].clone()];
        let s = summarise(&exact, &spoilt);
        assert_eq!(s.non_finite, 1);
        assert_eq!(Summary { non_finite: 0, ..s }, summarise(&exact, &fine));
    }

    #[test]
    fn what_is_always_wrong_is_biased_and_what_is_always_right_is_not() {
        let exact = Exact { value: 0.0, gradient: vec![1.0, 0.0] };
        let rows = [[1.0, 0.0], [1.0, 1e-3]].map(|g| {
            let estimates = vec![estimate(g, 0.0); 3];
            summarise(&exact, &estimates).write(Row::default())
        });
        assert_eq!(rows[0].number("bias_z"), 0.0);
        // Three random estimates may be alike by chance.
        assert_eq!(rows[1].number("bias_z"), f64::INFINITY);
        assert!(rows.iter().all(|row| !is_biased(row)));
        let rows = rows.map(|row| row.with("random", false));
        assert!(!is_biased(&rows[0]) && is_biased(&rows[1]));
        // Nothing to divide by.
        let flat = Exact { value: 0.0, gradient: vec![0.0, 0.0] };
        let s = summarise(&flat, &vec![estimate([0.0, 2.0], 0.0); 2]);
        assert_eq!((s.mse.mean, s.cosine.mean), (4.0, 0.0));
    }
}
