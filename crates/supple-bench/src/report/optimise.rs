//! The page of `supple-bench optimise`.

use super::named;
use crate::estimators::distinct;
use crate::page::{anchor, escape, figure, table};
use crate::plot::{Axis, Mark, Plot, Scale, Series};
use crate::row::Row;
use crate::table::{short, time};
use serde_json::Value;

const LEAD: &str = "The exact loss that Adam reaches with each estimator, for the same number of evaluations. \
                    Each estimator has the best step size of the same grid.";

/// The title, what it is, and the rest.
pub fn body(rows: &[Row]) -> (&'static str, &'static str, String) {
    let rows: Vec<&Row> = rows.iter().collect();
    let mut html = String::from("<ul class=\"index\">");
    let problems = distinct(&rows, "problem");
    for problem in &problems {
        html += &format!("<li><a href=\"#{}\">{}</a></li>", anchor(problem), escape(problem));
    }
    html += "</ul>";
    for problem in problems {
        let mut mine: Vec<&Row> = rows.iter().copied().filter(|row| row.text("problem") == problem).collect();
        // What was not measured has no loss, and comes last.
        let loss = |row: &Row| if row.is_measured() { row.number("loss") } else { f64::NAN };
        mine.sort_by(|a, b| loss(a).total_cmp(&loss(b)));
        html += &of_problem(problem, &mine);
    }
    ("Optimisation with gradient estimators", LEAD, html)
}

fn name(row: &Row) -> String {
    format!("{} @{}", row.text("estimator"), row.number("budget"))
}

/// `rows` with the best first.
fn of_problem(problem: &str, rows: &[&Row]) -> String {
    let colour = |place: usize| (place < 8).then_some(place);
    let series = |(place, row): (usize, &&Row)| {
        let points = row.0.get("curve").and_then(Value::as_array).map_or(&[][..], |curve| curve);
        let mark = |point: &Value| {
            let at = [0, 1].map(|i| point.get(i).and_then(Value::as_f64).unwrap_or(f64::NAN));
            let title = format!("{}: {} after {} evaluations", name(row), short(at[1]), short(at[0]));
            Mark { at, title, hollow: false }
        };
        let (colour, points) = (colour(place), points.iter().map(mark).collect());
        Series { name: name(row), colour, label: colour.is_some(), line: true, points }
    };
    let measured = || rows.iter().filter(|row| row.is_measured());
    let mut series: Vec<Series> = measured().enumerate().map(series).collect();
    series.reverse();
    let best = rows.first().map_or(String::new(), |row| format!("{} ends lowest.", name(row)));
    let plot = Plot {
        title: format!("Loss against evaluations on {problem}"),
        description: best,
        x: Axis { label: "evaluations", scale: Scale::Linear },
        y: Axis { label: "exact loss", scale: Scale::Linear },
        series,
        guide: None,
        size: [1000.0, 400.0],
    };
    let caption = "Lower is better. The eight that end lowest are coloured; in grey are the others: point at one \
                   to see its name. Mean of the runs with the best step size.";
    let line = |(place, row): (usize, &&Row)| {
        let named = named(&name(row), colour(place));
        if !row.is_measured() {
            let reason = format!("<span class=\"quiet\">– {}</span>", escape(row.text("reason")));
            return vec![named, reason, String::new(), String::new()];
        }
        let edge = row.0.get("rate_at_edge") == Some(&Value::Bool(true));
        let edge = if edge { " <span class=\"quiet\">edge of the grid</span>" } else { "" };
        let error = short(row.number("loss_error"));
        let loss = format!("{:.4} <span class=\"quiet\">± {error}</span>", row.number("loss"));
        vec![named, loss, format!("{}{edge}", row.number("rate")), time(row.number("seconds"))]
    };
    let lines: Vec<_> = rows.iter().enumerate().map(line).collect();
    let start = measured().map(|row| row.number("start")).next().unwrap_or(f64::NAN);
    format!(
        "<section id=\"{}\"><h2>{}</h2><p class=\"quiet\">Loss at the start: {start:.4}</p>\
         <div class=\"figures\">{}</div>{}</section>",
        anchor(problem),
        escape(problem),
        figure("main", "Loss against evaluations", &plot.svg(), caption),
        table(&["estimator @ evaluations a step", "loss reached", "step size", "time of a run"], &lines)
    )
}
