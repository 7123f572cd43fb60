//! Petersen, Borgelt, Mishra and Ermon, *Generalizing stochastic smoothing for differentiation and gradient
//! estimation*, 2024.
//!
//! The paper smooths the permutation matrix of a sort of 3 and 5 numbers and the shortest path on grids by
//! six kinds of noise, and compares estimates of the Jacobian from about 1024 samples. Here a random linear
//! cost is put behind the 0/1 answer, which makes of a Jacobian $J$ the gradient $J^\top w$: for normal $w$,
//! its squared error is in expectation that of the whole Jacobian. Baselines are linear in the cost, so they
//! are the paper's.
//!
//! An estimator is measured by its mean distance from the gradient, squared, in relation to that of
//! independent samples without a baseline. That is a ratio of variances where variances are finite; they are
//! not for triangular noise. The gradient is that of 2¹⁶ scrambled Sobol points. All take the same number of
//! samples; the baseline *value* takes one evaluation more.
//!
//! The claims are worded after summaries of what the paper recommends, not in its own words. Scrambled Sobol points,
//! which it does not have, are shown beside the others and not judged.

use super::{Claim, Outcome, Verdict};
use rayon::prelude::*;
use supple_core::{Error, Fault, Parameter, Stream};
use supple_estimators::smoothing::{Baseline, Design, Noise, Smoothing};
use supple_estimators::{Budget, estimate};
use supple_ops::perturb::Oracle;
use supple_ops::perturb::oracles::GridPath;

use Baseline::{LeaveOneOut, None as Nothing, Value};
use Design::{Antithetic, LatinHypercube, MonteCarlo, RandomizedCartesian, RandomizedSobol};

/// These claims.
pub fn claims() -> Vec<Claim> {
    vec![
        Claim {
            paper: "Petersen et al. 2024",
            statement: "covariates (the value without noise, leave-one-out) and mirrored pairs lower the \
                        variance for all noises, and leave-one-out is the covariate to take",
            run: reductions,
        },
        Claim {
            paper: "Petersen et al. 2024",
            statement: "where a grid of points is feasible, as in sorting few numbers, a randomised grid \
                        with leave-one-out has the least variance; for triangular noise a Latin hypercube \
                        with it",
            run: grids,
        },
        Claim {
            paper: "Petersen et al. 2024",
            statement: "for paths on a map, where no grid is feasible, a Latin hypercube with leave-one-out \
                        has the least variance",
            run: hypercubes,
        },
    ]
}

/// The paper's.
const NOISES: [Noise; 6] =
    [Noise::Gaussian, Noise::Logistic, Noise::Gumbel, Noise::Cauchy, Noise::Laplace, Noise::Triangular];

const BASELINES: [Baseline; 3] = [Nothing, Value, LeaveOneOut];

/// As good as the best: two of equal merit are that far apart for the noise of the comparison.
const TIE: f64 = 1.1;

/// A 0/1 answer that jumps.
enum Task {
    /// The permutation matrix that sorts n numbers.
    Sorting(usize),
    /// The cheapest path on a map of n × n cells, steps to all 8 neighbours.
    Path(usize),
}

impl Task {
    fn name(&self) -> String {
        match self {
            Self::Sorting(n) => format!("sorting {n}"),
            Self::Path(n) => format!("path {n} × {n}"),
        }
    }

    /// Where the gradient is taken.
    fn x(&self, seed: u64) -> Vec<f64> {
        match *self {
            Self::Sorting(n) => Stream::new(seed, n, 0).normals(n),
            Self::Path(n) => {
                let mut random = Stream::new(seed, n, 0);
                (0..n * n).map(|_| -1.0 - 4.0 * random.uniform()).collect()
            }
        }
    }

    fn answers(&self) -> usize {
        match self {
            Self::Sorting(n) | Self::Path(n) => n * n,
        }
    }

    /// Samples of an estimate: the paper's 1024, and 10³ for a grid in three dimensions.
    fn samples(&self) -> usize {
        if let Self::Sorting(3) = self { 1000 } else { 1024 }
    }

    fn softness(&self) -> f64 {
        if let Self::Sorting(_) = self { 1.0 } else { 0.5 }
    }

    fn designs(&self) -> &'static [Design] {
        match self {
            Self::Sorting(_) => &[MonteCarlo, Antithetic, LatinHypercube, RandomizedCartesian],
            Self::Path(_) => &[MonteCarlo, Antithetic, LatinHypercube, RandomizedSobol],
        }
    }

    /// Costs to compare for, and estimates for each.
    fn runs(&self) -> [usize; 2] {
        if let Self::Sorting(_) = self { [6, 40] } else { [4, 10] }
    }

    /// ⟨w, answer⟩.
    fn cost(
        &self,
        w: &[f64],
    ) -> Result<Box<dyn Fn(&[f64], &mut [f64]) -> Result<(), Fault> + Send + Sync>, Error> {
        let w = w.to_vec();
        match *self {
            Self::Sorting(n) => Ok(Box::new(move |x, y| {
                y[0] = order(x).iter().enumerate().map(|(rank, i)| w[rank * n + i]).sum();
                Ok(())
            })),
            Self::Path(n) => {
                let solver = GridPath::new(n, n, 8)?;
                Ok(Box::new(move |x, y| {
                    let mut path = vec![0.0; x.len()];
                    solver.solve(x, &mut path)?;
                    y[0] = path.iter().zip(&w).map(|(y, w)| y * w).sum();
                    Ok(())
                }))
            }
        }
    }
}

/// Where the numbers are, from the least to the largest.
fn order(x: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..x.len()).collect();
    order.sort_by(|i, j| x[*i].total_cmp(&x[*j]));
    order
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
}

/// How far estimators are off for one noise, in relation to independent samples without a baseline.
struct Comparison {
    noise: Noise,
    /// Design, baseline, squared relative distance.
    entries: Vec<(Design, Baseline, f64)>,
}

impl Comparison {
    fn new(task: &Task, noise: Noise, designs: &[Design], seed: u64) -> Result<Self, Error> {
        let x = task.x(seed);
        let softness = task.softness();
        let [costs, estimates] = task.runs();
        let kinds: Vec<_> =
            designs.iter().flat_map(|design| BASELINES.map(|baseline| (*design, baseline))).collect();
        let mut distances = vec![0.0; kinds.len()];
        for number in 0..costs {
            let w = Stream::new(seed, number, 1).normals(task.answers());
            let cost = task.cost(&w)?;
            let gradient = |design, baseline, samples: usize, seed| {
                let smoothing = Smoothing { softness, noise, baseline, design };
                let budget = Budget::new(samples + (baseline == Value) as usize, seed);
                Ok::<_, Error>(estimate(&smoothing, &cost, &x, budget, &())?.0.gradient)
            };
            let exact = gradient(RandomizedSobol, Value, 1 << 16, Stream::new(seed, number, 2).bits())?;
            for (distances, (design, baseline)) in distances.iter_mut().zip(&kinds) {
                for run in 0..estimates {
                    let seed = Stream::new(seed, number * estimates + run, 3).bits();
                    *distances += distance(&gradient(*design, *baseline, task.samples(), seed)?, &exact);
                }
            }
        }
        let plain = distances[0];
        let entries = kinds
            .iter()
            .zip(&distances)
            .map(|((design, baseline), sum)| (*design, *baseline, (sum / plain).powi(2)));
        Ok(Self { noise, entries: entries.collect() })
    }

    /// Of an estimator that takes part.
    fn of(&self, design: Design, baseline: Baseline) -> f64 {
        let found = self.entries.iter().find(|entry| (entry.0, entry.1) == (design, baseline));
        found.map_or(f64::NAN, |entry| entry.2)
    }

    /// The one that is off least, of those that the paper compares: Sobol points are not among them.
    fn best(&self) -> (Design, Baseline, f64) {
        let least =
            self.entries.iter().filter(|entry| entry.0 != RandomizedSobol).min_by(|a, b| a.2.total_cmp(&b.2));
        least.copied().unwrap_or((MonteCarlo, Nothing, f64::NAN))
    }
}

fn compare(task: &Task, designs: &[Design], seed: u64) -> Result<Vec<Comparison>, Error> {
    NOISES.into_par_iter().map(|noise| Comparison::new(task, noise, designs, seed)).collect()
}

/// A choice in words.
fn word(choice: impl Parameter) -> String {
    choice.into_value().to_string().trim_matches('"').replace('_', " ")
}

fn named(design: Design, baseline: Baseline) -> String {
    match baseline {
        Nothing => word(design),
        baseline => format!("{} with {}", word(design), word(baseline)),
    }
}

const MEASURE: &str = "Figures are variances in relation to independent samples without a covariate \
                       (squares of mean distances from the gradient)";

fn reductions(seed: u64) -> Result<Outcome, Error> {
    let kinds = [
        ("leave-one-out", MonteCarlo, LeaveOneOut),
        ("value", MonteCarlo, Value),
        ("mirrored pairs", Antithetic, Nothing),
    ];
    // Which lower it; the last, whether leave-one-out is the better covariate.
    let (mut figures, mut parts) = (vec![], [vec![], vec![], vec![], vec![]]);
    for task in [Task::Sorting(5), Task::Path(8)] {
        for comparison in compare(&task, &[MonteCarlo, Antithetic], seed)? {
            for ((name, design, baseline), part) in kinds.iter().zip(&mut parts) {
                let ratio = comparison.of(*design, *baseline);
                let noise = word(comparison.noise);
                figures.push((format!("{}, {noise}: {name} / none", task.name()), ratio));
                part.push(ratio < 1.0);
            }
            let [own, other] = [LeaveOneOut, Value].map(|baseline| comparison.of(MonteCarlo, baseline));
            parts[3].push(own < other * TIE);
        }
    }
    let count = |part: &Vec<bool>| part.iter().filter(|part| **part).count();
    let [own, value, pairs, better] = parts.each_ref().map(count);
    let said = format!(
        "{MEASURE}. Of {} cases, leave-one-out lowers it in {own}, the value in {value}, mirrored pairs in \
         {pairs}; leave-one-out is better than the value or as good (within {:.0} %) in {better}. Rule: all \
         of all",
        parts[0].len(),
        100.0 * (TIE - 1.0),
    );
    Ok(Outcome { figures, verdict: Verdict::of(&parts.concat()), said })
}

fn grids(seed: u64) -> Result<Outcome, Error> {
    let expected = |noise| if noise == Noise::Triangular { LatinHypercube } else { RandomizedCartesian };
    winners(&[Task::Sorting(3), Task::Sorting(5)], expected, seed)
}

fn hypercubes(seed: u64) -> Result<Outcome, Error> {
    winners(&[Task::Path(8)], |_| LatinHypercube, seed)
}

/// Who wins for each noise, and whether what the paper recommends is as good as that.
fn winners(tasks: &[Task], expected: impl Fn(Noise) -> Design, seed: u64) -> Result<Outcome, Error> {
    let (mut figures, mut parts) = (vec![], vec![]);
    for task in tasks {
        for comparison in compare(task, task.designs(), seed)? {
            let (design, baseline, least) = comparison.best();
            let recommended = expected(comparison.noise);
            let own = comparison.of(recommended, LeaveOneOut);
            let name = format!("{}, {}", task.name(), word(comparison.noise));
            figures.push((format!("{name}: best is {}", named(design, baseline)), least));
            if (design, baseline) != (recommended, LeaveOneOut) {
                figures.push((format!("{name}: {}", named(recommended, LeaveOneOut)), own));
            }
            let beside = comparison.of(RandomizedSobol, LeaveOneOut);
            if !beside.is_nan() {
                let kind = named(RandomizedSobol, LeaveOneOut);
                figures.push((format!("{name}: {kind}, not in the paper"), beside));
            }
            parts.push(own < least * TIE);
        }
    }
    let said = format!(
        "{MEASURE}. What the paper recommends is the best or as good (within {:.0} %) in {} of {} cases. \
         Rule: all of them",
        100.0 * (TIE - 1.0),
        parts.iter().filter(|part| **part).count(),
        parts.len()
    );
    Ok(Outcome { figures, verdict: Verdict::of(&parts), said })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_are_products_with_the_answer() {
        let mut y = [0.0];
        // Rank by rank: from the least, they are at places 2, 0 and 1.
        let cost = Task::Sorting(3).cost(&[1.0, 2.0, 3.0, 10.0, 20.0, 30.0, 100.0, 200.0, 300.0]).unwrap();
        cost(&[2.0, 5.0, -1.0], &mut y).unwrap();
        assert_eq!(y[0], 3.0 + 10.0 + 200.0);
        let cost = Task::Path(2).cost(&[1.0, 10.0, 100.0, 1000.0]).unwrap();
        cost(&[-1.0; 4], &mut y).unwrap();
        assert_eq!(y[0], 1001.0);
    }

    #[test]
    fn a_comparison_is_deterministic_and_starts_at_1() {
        let once =
            || Comparison::new(&Task::Sorting(3), Noise::Gaussian, &[MonteCarlo, RandomizedCartesian], 5);
        let (first, again) = (once().unwrap(), once().unwrap());
        assert_eq!(first.entries, again.entries);
        assert_eq!(first.of(MonteCarlo, Nothing), 1.0);
        assert!(first.of(RandomizedCartesian, LeaveOneOut) < 0.5 && first.of(Antithetic, Value).is_nan());
    }
}
