//! Which estimators do well over several problems.

use crate::row::Row;
use std::collections::HashMap;

/// Errors below this part of the squared gradient are as good as none.
const EXACT: f64 = 1e-6;

/// An estimator over the problems of one kind, at one budget.
pub struct Ranked<'a> {
    /// The estimator.
    pub estimator: &'a str,
    /// Geometric mean of the ratios of its mean squared error to the best on each problem.
    pub score: f64,
    /// On how many problems it was measured.
    pub problems: usize,
    /// The ratio on each, by problem.
    pub ratios: HashMap<&'a str, f64>,
}

/// Ranks the estimators in rows of one budget: those that took part in at least half of the problems first.
/// Cells with estimates that were not finite do not count.
pub fn rank<'a>(rows: &[&'a Row]) -> Vec<Ranked<'a>> {
    let error = |row: &Row| row.number("mse").max(EXACT);
    let mut least: HashMap<&str, f64> = HashMap::new();
    let measured = || rows.iter().copied().filter(|row| row.is_whole() && !row.number("mse").is_nan());
    for row in measured() {
        let least = least.entry(row.text("problem")).or_insert(f64::INFINITY);
        *least = least.min(error(row));
    }
    let mut ranked: Vec<Ranked<'a>> = vec![];
    for row in measured() {
        let estimator = row.text("estimator");
        let place = ranked.iter().position(|r| r.estimator == estimator).unwrap_or(ranked.len());
        if place == ranked.len() {
            ranked.push(Ranked { estimator, score: f64::NAN, problems: 0, ratios: HashMap::new() });
        }
        ranked[place].ratios.insert(row.text("problem"), error(row) / least[row.text("problem")]);
    }
    for ranked in &mut ranked {
        ranked.problems = ranked.ratios.len();
        let logs: f64 = ranked.ratios.values().map(|ratio| ratio.ln()).sum();
        ranked.score = (logs / ranked.problems as f64).exp();
    }
    let few = |r: &Ranked<'_>| 2 * r.problems < least.len();
    ranked.sort_by(|a, b| few(a).cmp(&few(b)).then(a.score.total_cmp(&b.score)));
    ranked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_geometric_means_of_ratios_to_the_best() {
        let cell = |problem: &str, estimator: &str, mse: f64| {
            let row = Row::default().with("problem", problem).with("estimator", estimator);
            row.with("status", "measured").with_number("mse", mse)
        };
        let rows = [
            cell("p", "a", 1.0),
            cell("p", "b", 4.0),
            cell("q", "a", 9.0),
            cell("q", "b", 1.0),
            cell("r", "a", 0.5),
            cell("r", "b", 0.5),
            cell("p", "rare", 1.0),
        ];
        let ranked = rank(&rows.iter().collect::<Vec<_>>());
        let shown: Vec<_> = ranked.iter().map(|r| (r.estimator, r.problems)).collect();
        assert_eq!(shown, [("b", 3), ("a", 3), ("rare", 1)]);
        assert!((ranked[0].score - 4f64.cbrt()).abs() < 1e-12);
        assert!((ranked[1].score - 9f64.cbrt()).abs() < 1e-12);
        assert_eq!(ranked[1].ratios["q"], 9.0);
    }

    #[test]
    fn estimates_left_out_do_not_win() {
        let cell = |estimator: &str, mse: f64, lost: u64| {
            let row = Row::default().with("problem", "p").with("estimator", estimator).with("mse", mse);
            row.with("status", "measured").with("non_finite", lost)
        };
        let rows = [cell("broken", 0.1, 1), cell("good", 1.0, 0)];
        let ranked = rank(&rows.iter().collect::<Vec<_>>());
        assert_eq!(ranked.iter().map(|r| (r.estimator, r.score)).collect::<Vec<_>>(), [("good", 1.0)]);
    }

    #[test]
    fn what_is_exact_to_rounding_does_not_dwarf_the_rest() {
        let cell = |estimator: &str, mse: f64| {
            Row::default().with("problem", "p").with("estimator", estimator).with("mse", mse)
        };
        let rows = [cell("exact", 1e-32), cell("good", 1e-4)].map(|row| row.with("status", "measured"));
        let ranked = rank(&rows.iter().collect::<Vec<_>>());
        assert!((ranked[1].score - 100.0).abs() < 1e-9);
    }
}
