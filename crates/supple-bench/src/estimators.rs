//! `supple-bench estimators`: every estimator on every problem that it applies to, for each budget.

use crate::cell::{Arena, Sampling, is_biased, measure};
use crate::entrant::Entrant;
use crate::row::Row;
use crate::run::Job;
use crate::table::{Table, best, short, time};

/// The cells of a run, dear ones first.
///
/// # Errors
/// None: no estimator applies to any of the problems.
pub fn plan<'a>(
    arenas: &'a [Arena],
    entrants: &'a [Entrant],
    budgets: &[usize],
    sampling: Sampling,
) -> Result<Vec<Job<'a>>, String> {
    let mut budgets = budgets.to_vec();
    budgets.sort_by(|a, b| b.cmp(a));
    budgets.dedup();
    let mut jobs: Vec<Job<'a>> = vec![];
    for budget in budgets {
        for (arena, entrant) in pairs(arenas, entrants) {
            let work = Box::new(move || measure(arena, entrant, budget, sampling));
            jobs.push(Job { keys: arena.keys(entrant, budget), work });
        }
    }
    if jobs.is_empty() {
        return Err("none of these estimators applies to any of these problems".into());
    }
    Ok(jobs)
}

/// Problems with the estimators that apply to them.
pub fn pairs<'a>(arenas: &'a [Arena], entrants: &'a [Entrant]) -> Vec<(&'a Arena, &'a Entrant)> {
    let of = |arena: &'a Arena| {
        let enter = entrants.iter().filter(|entrant| (entrant.enter)(&arena.target).is_some());
        enter.map(|entrant| (arena, entrant)).collect::<Vec<_>>()
    };
    arenas.iter().flat_map(of).collect()
}

/// The distinct values of a column, in the order of the rows.
pub fn distinct<'a>(rows: &[&'a Row], column: &str) -> Vec<&'a str> {
    let mut names = vec![];
    for row in rows {
        if !names.contains(&row.text(column)) {
            names.push(row.text(column));
        }
    }
    names
}

/// The distinct budgets, ascending.
pub fn budgets(rows: &[&Row]) -> Vec<f64> {
    let mut budgets: Vec<f64> = rows.iter().map(|row| row.number("budget")).collect();
    budgets.sort_by(f64::total_cmp);
    budgets.dedup();
    budgets
}

/// The results as tables, one for each problem, from sorted rows.
pub fn tables(rows: &[Row]) -> String {
    let rows: Vec<&Row> = rows.iter().collect();
    let mut text = String::new();
    for problem in distinct(&rows, "problem") {
        let mine: Vec<&Row> = rows.iter().copied().filter(|row| row.text("problem") == problem).collect();
        text += &format!("\n{problem}\n{}", table(&mine));
    }
    text + LEGEND
}

const LEGEND: &str = "
mse, bias² and variance are relative to |exact|², and so without a unit; * best of its column,
of those without estimates that are not finite; ! more bias than
noise explains; (bias) what noise alone would show; – the budget is too small; ✗ failed. All but the mse are
those of the largest budget.
";

fn table(rows: &[&Row]) -> String {
    let budgets = budgets(rows);
    let mut head = vec!["estimator".to_string()];
    head.extend(budgets.iter().map(|b| format!("mse @{b}")));
    head.extend(["bias", "variance", "cosine", "evaluations", "time"].map(String::from));
    let estimators = distinct(rows, "estimator");
    let find = |estimator: &str, budget: f64| {
        rows.iter().copied().find(|r| r.text("estimator") == estimator && r.number("budget") == budget)
    };
    let column = |name: &'static str, budget: f64| -> Vec<f64> {
        let number = |e: &&str| find(e, budget).filter(|r| r.is_whole()).map_or(f64::NAN, |r| r.number(name));
        estimators.iter().map(number).collect()
    };
    let last = budgets.last().copied().unwrap_or(f64::NAN);
    let bests: Vec<Option<f64>> = budgets.iter().map(|&b| best(&column("mse", b))).collect();
    let body = |estimator: &&str| {
        let mut cells = vec![estimator.to_string()];
        for (&budget, best) in budgets.iter().zip(&bests) {
            cells.push(find(estimator, budget).map_or(String::new(), |row| mse(row, *best)));
        }
        let row = find(estimator, last).filter(|row| row.is_measured());
        cells.extend(row.map_or_else(|| vec![String::new(); 5], details));
        cells
    };
    Table { head, rows: estimators.iter().map(body).collect() }.to_string()
}

fn mse(row: &Row, best: Option<f64>) -> String {
    match row.text("status") {
        "measured" => {
            let mse = row.number("mse");
            format!("{}{}", short(mse), if row.is_whole() && Some(mse) == best { "*" } else { " " })
        }
        "needs more" => "– ".into(),
        _ => "✗ ".into(),
    }
}

fn details(row: &Row) -> Vec<String> {
    let bias = match is_biased(row) {
        true => format!("{}!", short(row.number("bias"))),
        false => format!("({})", short(row.number("bias_error"))),
    };
    let lost = row.number("non_finite");
    let cosine = format!("{:.3}", row.number("cosine"));
    let evaluations = short(row.number("evaluations"));
    let evaluations = if lost > 0.0 { format!("{evaluations}, {lost} not finite") } else { evaluations };
    vec![bias, short(row.number("variance")), cosine, evaluations, time(row.number("seconds"))]
}
