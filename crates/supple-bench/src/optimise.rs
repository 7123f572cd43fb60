//! `supple-bench optimise`: the loss that each estimator reaches with a number of evaluations.
//!
//! Adam ($\beta = 0.9, 0.999$) minimises the mean from where gradients are compared, a step for each estimate,
//! until the evaluations are spent. Each rate of a fixed grid is tried with the same seeds; the one whose runs
//! end with the least mean loss is reported, for every estimator alike. So the loss is a little optimistic, and
//! a best rate at the edge of the grid says that the grid is too narrow. Losses are exact, not estimated.

use crate::adam::Adam;
use crate::cell::{Arena, Mean, median};
use crate::entrant::{Entrant, Runner};
use crate::estimators::{distinct, pairs};
use crate::row::{Column, Role, Row, Schema};
use crate::run::Job;
use crate::table::{Table, best, short, time};
use serde_json::Value;
use std::time::Instant;
use supple_core::{Error, Stream};

/// What the rows of `supple-bench optimise` hold.
pub static SCHEMA: Schema = Schema {
    kind: "optimise",
    order: |column| (crate::cell::SCHEMA.order)(column),
    columns: &[
        Column { name: "problem", role: Role::Key, meaning: "the problem" },
        Column { name: "estimator", role: Role::Key, meaning: "the estimator" },
        Column { name: "budget", role: Role::Key, meaning: "evaluations that one step may take" },
        Column { name: "target", role: Role::Note, meaning: "what the mean is over" },
        Column { name: "status", role: Role::Note, meaning: "measured, needs more, or failed" },
        Column { name: "reason", role: Role::Note, meaning: "why it is not measured" },
        Column {
            name: "loss",
            role: Role::Random("loss_error"),
            meaning: "the exact loss reached, mean of runs",
        },
        Column { name: "loss_error", role: Role::About, meaning: "its standard error" },
        Column { name: "start", role: Role::Exact, meaning: "the exact loss at the start" },
        Column { name: "rate", role: Role::About, meaning: "the step size whose runs ended best" },
        Column { name: "rate_at_edge", role: Role::About, meaning: "whether it is the least or the largest" },
        Column { name: "curve", role: Role::About, meaning: "evaluations and mean losses on the way" },
        Column { name: "seconds", role: Role::Time, meaning: "median time of one run" },
    ],
};

/// How runs go.
#[derive(Debug, Clone, PartialEq)]
pub struct Course {
    /// Seed of the run.
    pub seed: u64,
    /// Evaluations of each run.
    pub evaluations: usize,
    /// Runs of each rate.
    pub runs: usize,
    /// Step sizes.
    pub rates: Vec<f64>,
}

/// The cells of a run.
///
/// # Errors
/// None: no estimator applies to any of the problems.
pub fn plan<'a>(
    arenas: &'a [Arena],
    entrants: &'a [Entrant],
    budgets: &[usize],
    course: &'a Course,
) -> Result<Vec<Job<'a>>, String> {
    let mut jobs: Vec<Job<'a>> = vec![];
    for &budget in budgets {
        for (arena, entrant) in pairs(arenas, entrants) {
            let work = Box::new(move || measure(arena, entrant, budget, course));
            jobs.push(Job { keys: arena.keys(entrant, budget), work });
        }
    }
    if jobs.is_empty() {
        return Err("none of these estimators applies to any of these problems".into());
    }
    Ok(jobs)
}

fn measure(arena: &Arena, entrant: &Entrant, budget: usize, course: &Course) -> Row {
    let row = arena.keys(entrant, budget);
    let failed = |row: Row, reason: String| row.with("status", "failed").with("reason", reason);
    let runner = || (entrant.enter)(&arena.target);
    let Some(first) = runner() else { return failed(row, "does not apply to the problem".into()) };
    if let Err(error) = first.validate(arena.x.len(), budget) {
        return crate::cell::refused(row, &error);
    }
    if budget > course.evaluations {
        let reason = format!("a step may take {budget} evaluations, and all steps {}", course.evaluations);
        return row.with("status", "needs more").with("reason", reason);
    }
    let mut best: Option<(f64, f64, Vec<f64>, Vec<Path>)> = None;
    let mut seconds = vec![];
    for &rate in &course.rates {
        let mut paths = vec![];
        for run in 0..course.runs {
            let Some(mut runner) = runner() else { continue };
            match descend(arena, &mut *runner, budget, rate, run, course) {
                Ok((path, time)) => {
                    paths.push(path);
                    seconds.push(time);
                }
                Err(error) => return crate::cell::refused(row, &error),
            }
        }
        let ends = paths.iter().filter_map(|path| path.last());
        let losses: Vec<f64> = ends.map(|(_, x)| arena.problem.exact(x).value).collect();
        // A run that went to infinity has no loss, and no rate is worse.
        let loss = Some(mean(&losses)).filter(|loss| !loss.is_nan()).unwrap_or(f64::INFINITY);
        if best.as_ref().is_none_or(|best| loss < best.0) {
            best = Some((loss, rate, losses, paths));
        }
    }
    let Some((loss, rate, losses, paths)) = best else { return failed(row, "no step sizes".into()) };
    // Exact losses are dear: on the way, only those of the best rate are computed.
    let stops = paths.iter().map(Vec::len).min().unwrap_or(0);
    let mut curve = vec![point(0.0, arena.exact().value)];
    curve.extend((0..stops.saturating_sub(1)).map(|i| {
        let losses: Vec<f64> = paths.iter().map(|path| arena.problem.exact(&path[i].1).value).collect();
        point(paths[0][i].0, mean(&losses))
    }));
    curve.extend(paths.first().and_then(|path| path.last()).map(|(spent, _)| point(*spent, loss)));
    let extremes = (course.rates.iter().copied().fold(f64::INFINITY, f64::min), maximum(&course.rates));
    seconds.sort_by(f64::total_cmp);
    let row = row.with("status", "measured").with_number("loss", loss);
    let row = row.with_number("loss_error", Mean::of(&losses).error).with("curve", curve);
    let row = row.with_number("start", arena.exact().value).with_number("rate", rate);
    row.with("rate_at_edge", rate == extremes.0 || rate == extremes.1)
        .with_number("seconds", median(&seconds))
}

fn maximum(numbers: &[f64]) -> f64 {
    numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max)
}

fn mean(numbers: &[f64]) -> f64 {
    Mean::of(numbers).mean
}

fn point(evaluations: f64, loss: f64) -> Value {
    Value::from(vec![evaluations, loss])
}

/// Evaluations spent, and the parameters then.
type Path = Vec<(f64, Vec<f64>)>;

/// One run, and the time that it took.
fn descend(
    arena: &Arena,
    runner: &mut dyn Runner,
    budget: usize,
    rate: f64,
    run: usize,
    course: &Course,
) -> Result<(Path, f64), Error> {
    const STOPS: usize = 6;
    let (mut x, mut adam) = (arena.x.clone(), Adam::new(rate, arena.x.len()));
    let (mut path, mut spent) = (vec![], 0);
    let start = Instant::now();
    for step in 1.. {
        let seed = Stream::new(course.seed, run, step).bits();
        let estimate = runner.estimate(&x, budget, seed)?;
        adam.descend(&mut x, &estimate.gradient);
        // An estimator that evaluates nothing must come to an end too.
        spent += estimate.evaluations.max(1);
        let done = spent + budget > course.evaluations || x.iter().any(|x| !x.is_finite());
        if done || path.len() + 1 < STOPS && spent >= course.evaluations * (path.len() + 1) / STOPS {
            path.push((spent as f64, x.clone()));
        }
        if done {
            break;
        }
    }
    Ok((path, start.elapsed().as_secs_f64()))
}

/// The results as tables, one for each problem, from sorted rows.
pub fn tables(rows: &[Row]) -> String {
    let rows: Vec<&Row> = rows.iter().collect();
    let mut text = String::new();
    for problem in distinct(&rows, "problem") {
        let mine: Vec<&Row> = rows.iter().copied().filter(|row| row.text("problem") == problem).collect();
        let losses: Vec<f64> = mine.iter().map(|row| row.number("loss")).collect();
        let least = best(&losses);
        let line = |row: &&Row| {
            let name = format!("{} @{}", row.text("estimator"), row.number("budget"));
            if !row.is_measured() {
                let mark = if row.text("status") == "failed" { "✗ " } else { "– " };
                return vec![name, mark.into(), String::new(), String::new(), String::new()];
            }
            let loss = row.number("loss");
            let edge = if row.0.get("rate_at_edge") == Some(&Value::Bool(true)) { "!" } else { " " };
            let mark = if Some(loss) == least { "*" } else { " " };
            let loss = format!("{loss:.4}{mark}");
            let rate = format!("{}{edge}", row.number("rate"));
            vec![name, loss, short(row.number("loss_error")), rate, time(row.number("seconds"))]
        };
        let start = mine.iter().map(|row| row.number("start")).find(|x| !x.is_nan()).unwrap_or(f64::NAN);
        let head = ["estimator @ evaluations a step", "loss", "±", "rate", "time"].map(String::from).to_vec();
        let table = Table { head, rows: mine.iter().map(line).collect() };
        text += &format!("\n{problem}, from {start:.4}\n{table}");
    }
    text + "\n* best; ! the best rate is at the edge of the grid; – the budget is too small; ✗ failed.\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_fall_and_evaluations_are_kept() {
        let problems = crate::problems::all().into_iter().map(Arena::new).collect::<Vec<_>>();
        let entrants = crate::entrants::all();
        let course = Course { seed: 1, evaluations: 600, runs: 2, rates: vec![0.03, 0.1] };
        let pair = pairs(&problems, &entrants)[0];
        let row = measure(pair.0, pair.1, 20, &course);
        assert!(row.is_measured(), "{row:?}");
        let curve = row.0["curve"].as_array().unwrap();
        let evaluations: Vec<f64> = curve.iter().map(|point| point[0].as_f64().unwrap()).collect();
        assert!(evaluations.is_sorted() && evaluations.last() <= Some(&600.0), "{evaluations:?}");
        let start = row.number("start");
        assert_eq!(curve[0][1].as_f64(), Some(start));
        assert_eq!(curve.last().and_then(|point| point[1].as_f64()), Some(row.number("loss")));
        let again = measure(pair.0, pair.1, 20, &course);
        assert_eq!(SCHEMA.without_times(&row), SCHEMA.without_times(&again));
        let dear = measure(pair.0, pair.1, 601, &course);
        assert_eq!(dear.text("status"), "needs more", "{dear:?}");
    }
}
