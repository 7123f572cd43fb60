//! The page of `supple-bench estimators`.

use super::rank::{Ranked, rank};
use super::{named, summaries};
use crate::cell::is_biased;
use crate::estimators::{budgets, distinct};
use crate::page::{anchor, escape, figure, folded, table};
use crate::plot::{Axis, Guide, Mark, Plot, Scale, Series};
use crate::row::Row;
use crate::table::{best, short, time};
use std::collections::HashMap;

const LEAD: &str =
    "Each estimator on each problem against the exact gradient, for the same number of evaluations.";

/// What is less is drawn as this: it is rounding.
const EXACT: f64 = 1e-12;

/// Estimators that keep a colour on the whole page.
type Colours<'a> = HashMap<&'a str, usize>;

/// The title, what it is, and the rest.
pub fn body(rows: &[Row]) -> (&'static str, &'static str, String) {
    let rows: Vec<&Row> = rows.iter().collect();
    let kinds = [
        ("perturbed", "Functions of perturbed parameters", "E f(x + σZ)"),
        ("solved", "Costs of a solver's solution", "E c(y(x + σZ))"),
        ("sampled", "Costs of discrete samples", "E f(b), b drawn with logits x"),
    ];
    let of = |kind: &str| rows.iter().copied().filter(|row| row.text("target") == kind).collect::<Vec<_>>();
    let parts: Vec<_> =
        kinds.iter().map(|kind| (kind, of(kind.0))).filter(|(_, rows)| !rows.is_empty()).collect();
    let mut html = surprises(&rows);
    html += "<h2>Contents</h2><ul class=\"index\">";
    for problem in distinct(&rows, "problem") {
        html += &format!("<li><a href=\"#{}\">{}</a></li>", anchor(problem), escape(problem));
    }
    html += "</ul>";
    for ((_, title, formula), rows) in &parts {
        html += &format!("<h2>{title} <span class=\"quiet\">{formula}</span></h2>");
        html += &part(rows);
    }
    ("Gradient estimators compared", LEAD, html)
}

/// Cells with a bias that the estimator does not own up to.
fn surprises(rows: &[&Row]) -> String {
    let mut names = vec![];
    for row in rows.iter().filter(|row| is_biased(row) && row.text("bias_said").is_empty()) {
        let name = format!("{} on {}", row.text("estimator"), row.text("problem"));
        if !names.contains(&name) {
            names.push(name);
        }
    }
    if names.is_empty() {
        return "<p class=\"callout fine\">Every estimator that says that it is right in expectation is so here: \
                no bias beyond noise.</p>"
            .into();
    }
    let names: String = names.iter().map(|name| format!("<li>{}</li>", escape(name))).collect();
    format!(
        "<div class=\"callout\">These say that they are right in expectation, and show a bias beyond noise \
         (a chance of 1 in 10 000 for each cell):<ul>{names}</ul></div>"
    )
}

/// A ranking, and each problem.
fn part(rows: &[&Row]) -> String {
    let budgets = budgets(rows);
    let at =
        |budget: f64| rows.iter().copied().filter(|row| row.number("budget") == budget).collect::<Vec<_>>();
    let Some((&last, others)) = budgets.split_last() else { return String::new() };
    let last_rows = at(last);
    let ranked = rank(&last_rows);
    let colours: Colours<'_> = ranked.iter().take(8).enumerate().map(|(i, r)| (r.estimator, i)).collect();
    let mut html = format!(
        "<p>The mean squared error of one estimate with {last} evaluations, as a multiple of the best on each \
         problem, and the geometric mean of these. Cells with estimates that were not finite are left out. 1 \
         is the best; the stronger the colour, the better. The \
         first eight keep their colours in all plots; the others are grey: point at one to see its \
         name.</p>{}",
        heat(&ranked, &last_rows, &colours)
    );
    for &budget in others.iter().rev() {
        let rows = at(budget);
        let ranked = rank(&rows);
        if !ranked.is_empty() {
            let plural = if budget == 1.0 { "" } else { "s" };
            html += &folded(&format!("With {budget} evaluation{plural}"), &heat(&ranked, &rows, &colours));
        }
    }
    let summaries = summaries();
    for problem in distinct(rows, "problem") {
        let mine: Vec<&Row> = rows.iter().copied().filter(|row| row.text("problem") == problem).collect();
        html += &of_problem(problem, summaries.get(problem), &mine, last, &colours);
    }
    html
}

/// The ranking as a table of ratios.
fn heat(ranked: &[Ranked<'_>], rows: &[&Row], colours: &Colours<'_>) -> String {
    let problems = distinct(rows, "problem");
    let head: String = problems
        .iter()
        .map(|p| {
            let name = escape(p).replace('/', "/<wbr>");
            format!("<th scope=\"col\" class=\"problem\"><a href=\"#{}\">{name}</a></th>", anchor(p))
        })
        .collect();
    let mut lines = String::new();
    for r in ranked {
        let cell = |problem: &&str| match r.ratios.get(problem) {
            None => "<td class=\"none\">·</td>".to_string(),
            Some(&ratio) => {
                let v = 62.0 * (1.0 - ratio.log10() / 3.0).clamp(0.0, 1.0);
                let class = if ratio <= 1.0 { "heat best" } else { "heat" };
                format!("<td class=\"{class}\" style=\"--v:{v:.0}\">{}</td>", short(ratio))
            }
        };
        let cells: String = problems.iter().map(cell).collect();
        let name = named(r.estimator, colours.get(r.estimator).copied());
        let estimator = escape(r.estimator);
        let of = if r.problems == problems.len() { String::new() } else { format!(" of {}", r.problems) };
        lines += &format!(
            "<tr data-e=\"{estimator}\"><th scope=\"row\">{name}</th><td class=\"best\">{}\
             <span class=\"quiet\">{of}</span></td>{cells}</tr>",
            short(r.score)
        );
    }
    format!(
        "<div class=\"wide\"><table class=\"heads\"><thead><tr><th scope=\"col\">estimator</th>\
         <th scope=\"col\">all</th>{head}</tr></thead><tbody>{lines}</tbody></table></div>"
    )
}

fn of_problem(
    problem: &str,
    summary: Option<&&str>,
    rows: &[&Row],
    last: f64,
    colours: &Colours<'_>,
) -> String {
    let at_last: Vec<&Row> =
        rows.iter().copied().filter(|row| row.number("budget") == last && row.is_measured()).collect();
    let measured = rows.iter().find(|row| row.is_measured());
    let facts = measured.map_or(String::new(), |row| {
        let [value, norm] = ["exact_value", "exact_norm"].map(|name| short(row.number(name)));
        let n = row.number("dimension");
        let plural = if n == 1.0 { "" } else { "s" };
        format!("{n} parameter{plural}; exact mean {value}, gradient of norm {norm}.")
    });
    let summary = escape(summary.copied().unwrap_or_default());
    let figures = [
        figure(
            "main",
            "Error against evaluations",
            &errors(problem, rows, &at_last, colours),
            "Lower is better. Lines that fall as the dotted one gain as much from more evaluations as a mean \
             does; those that level out have a bias that no number of evaluations removes.",
        ),
        figure(
            "",
            &format!("Bias against spread, {last} evaluations"),
            &parts_of_error(problem, &at_last, colours),
            "Down and to the left is better. Above the dotted line the bias is most of the error. Rings show no \
             bias beyond noise, which is where they are drawn; what is exact to rounding is drawn as 10⁻¹².",
        ),
        figure(
            "",
            "Direction against evaluations",
            &cosines(problem, rows, colours),
            "Higher is better: 1 points as the exact gradient does, 0 at a right angle to it.",
        ),
    ];
    format!(
        "<section id=\"{}\"><h3>{}</h3><p>{summary} <span class=\"quiet\">{facts}</span></p>\
         <div class=\"figures\">{}</div>{}</section>",
        anchor(problem),
        escape(problem),
        figures.concat(),
        folded(&format!("All numbers with {last} evaluations"), &numbers(rows, last, colours))
    )
}

/// One line for each estimator, grey ones at the back.
fn lines(rows: &[&Row], colours: &Colours<'_>, labelled: &dyn Fn(&str) -> bool, column: &str) -> Vec<Series> {
    let of = |estimator: &&str| {
        let mine = rows.iter().filter(|row| row.text("estimator") == *estimator && row.is_measured());
        let mark = |row: &&Row| {
            let (evaluations, y) = (row.number("evaluations"), row.number(column));
            // An estimator that evaluates nothing has a place all the same.
            let x = if evaluations > 0.0 { evaluations } else { row.number("budget") };
            let title = format!("{estimator}: {column} {} with {} evaluations", short(y), short(evaluations));
            Mark { at: [x, if column == "mse" { y.max(EXACT) } else { y }], title, hollow: false }
        };
        let colour = colours.get(estimator).copied();
        let label = labelled(estimator);
        Series { name: estimator.to_string(), colour, label, line: true, points: mine.map(mark).collect() }
    };
    let mut series: Vec<Series> = distinct(rows, "estimator").iter().map(of).collect();
    series.retain(|series| !series.points.is_empty());
    series.sort_by_key(|series| series.colour.map_or(0, |colour| 8 - colour.min(7)));
    series
}

fn errors(problem: &str, rows: &[&Row], at_last: &[&Row], colours: &Colours<'_>) -> String {
    let whole: Vec<&&Row> = at_last.iter().filter(|row| row.is_whole()).collect();
    let errors: Vec<f64> = whole.iter().map(|row| row.number("mse")).collect();
    let least = best(&errors);
    let champion = whole.iter().find(|row| Some(row.number("mse")) == least).map(|row| row.text("estimator"));
    let labelled = |estimator: &str| colours.contains_key(estimator) || Some(estimator) == champion;
    let description = match (champion, least) {
        (Some(name), Some(mse)) => format!("{name} has the least error of all: {}.", short(mse)),
        _ => "Nothing was measured.".into(),
    };
    let plot = Plot {
        title: format!("Mean squared error against evaluations on {problem}"),
        description,
        x: Axis { label: "evaluations", scale: Scale::Log },
        y: Axis { label: "mean squared error / |exact|²", scale: Scale::Log },
        series: lines(rows, colours, &labelled, "mse"),
        guide: Some(Guide::Falling),
        size: [1000.0, 400.0],
    };
    plot.svg()
}

fn parts_of_error(problem: &str, rows: &[&Row], colours: &Colours<'_>) -> String {
    let dot = |row: &&Row| {
        let biased = is_biased(row);
        let bias = row.number(if biased { "bias" } else { "bias_error" });
        let found = if biased { "bias" } else { "no bias beyond" };
        let (name, variance) = (row.text("estimator"), row.number("variance"));
        let title = format!("{name}: {found} {}, variance {}", short(bias), short(variance));
        let at = [variance, bias * bias].map(|part| part.max(EXACT));
        let mark = Mark { at, title, hollow: !biased };
        let colour = colours.get(name).copied();
        Series { name: name.into(), colour, label: false, line: false, points: vec![mark] }
    };
    let mut series: Vec<Series> = rows.iter().map(dot).collect();
    series.sort_by_key(|series| series.colour.map_or(0, |colour| 8 - colour.min(7)));
    let plot = Plot {
        title: format!("Squared bias against variance on {problem}"),
        description: "One dot for each estimator; the numbers are in the table below.".into(),
        x: Axis { label: "variance / |exact|²", scale: Scale::Log },
        y: Axis { label: "bias² / |exact|²", scale: Scale::Log },
        series,
        guide: Some(Guide::Equal),
        size: [560.0, 340.0],
    };
    plot.svg()
}

fn cosines(problem: &str, rows: &[&Row], colours: &Colours<'_>) -> String {
    let plot = Plot {
        title: format!("Cosine of the angle to the exact gradient on {problem}"),
        description: "One line for each estimator; the numbers are in the table below.".into(),
        x: Axis { label: "evaluations", scale: Scale::Log },
        y: Axis { label: "mean cosine", scale: Scale::Linear },
        series: lines(rows, colours, &|_| false, "cosine"),
        guide: None,
        size: [560.0, 340.0],
    };
    plot.svg()
}

fn numbers(rows: &[&Row], last: f64, colours: &Colours<'_>) -> String {
    let at_last: Vec<&&Row> = rows.iter().filter(|row| row.number("budget") == last).collect();
    let errors: Vec<f64> = at_last.iter().filter(|row| row.is_whole()).map(|r| r.number("mse")).collect();
    let least = best(&errors);
    let line = |row: &&&Row| {
        let estimator = row.text("estimator");
        let mut cells = vec![named(estimator, colours.get(estimator).copied())];
        if !row.is_measured() {
            cells.push(format!("<span class=\"quiet\">– {}</span>", escape(row.text("reason"))));
            cells.extend(vec![String::new(); 8]);
            return cells;
        }
        let with_error = |name: &str| {
            let error = short(row.number(&format!("{name}_error")));
            format!("{} <span class=\"quiet\">± {error}</span>", short(row.number(name)))
        };
        let mse = with_error("mse");
        cells.push(if row.is_whole() && Some(row.number("mse")) == least {
            format!("<b>{mse}</b>")
        } else {
            mse
        });
        cells.push(match is_biased(row) {
            true => format!("<span class=\"biased\">{}</span>", short(row.number("bias"))),
            false => format!("<span class=\"quiet\">none beyond {}</span>", short(row.number("bias_error"))),
        });
        cells.extend([short(row.number("bias_z")), with_error("variance"), with_error("cosine")]);
        let lost = row.number("non_finite");
        let lost =
            if lost > 0.0 { format!(" <b class=\"biased\">{lost} not finite</b>") } else { String::new() };
        cells.push(format!("{}{lost}", short(row.number("evaluations"))));
        cells.push(short(row.number("replicates")));
        cells.push(time(row.number("seconds")));
        cells.push(escape(row.text("bias_said")));
        cells
    };
    let head = [
        "estimator",
        "mse",
        "bias",
        "max |z|",
        "variance",
        "cosine",
        "evaluations",
        "replicates",
        "time",
        "bias by its own account",
    ];
    table(&head, &at_last.iter().map(line).collect::<Vec<_>>())
}
