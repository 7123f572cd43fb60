//! The page of `supple-bench relaxations`.

use super::named;
use crate::estimators::distinct;
use crate::page::{anchor, escape, figure, table};
use crate::plot::{Axis, Mark, Plot, Scale, Series};
use crate::row::Row;
use crate::table::{short, time};

const LEAD: &str = "How far each relaxation is from its hard operator, and how much gradient it has, over softness. \
                    A good one is near and still has gradient.";

/// The title, what it is, and the rest.
pub fn body(rows: &[Row]) -> (&'static str, &'static str, String) {
    let rows: Vec<&Row> = rows.iter().collect();
    let mut html = String::from(
        "<p class=\"note\">Softness is in the unit of each operator, which may be one of its inputs or its \
         inverse, so curves compare in height and shape but not sideways. Inputs are the operators' own samples. \
         Times are of one item in a batch, in double precision.</p><ul class=\"index\">",
    );
    let families = distinct(&rows, "family");
    for family in &families {
        html += &format!("<li><a href=\"#{}\">{}</a></li>", anchor(family), escape(family));
    }
    html += "</ul>";
    for family in families {
        let mine: Vec<&Row> = rows.iter().copied().filter(|row| row.text("family") == family).collect();
        html += &of_family(family, &mine);
    }
    ("Relaxations compared with their hard operators", LEAD, html)
}

fn of_family(family: &str, rows: &[&Row]) -> String {
    let operators = distinct(rows, "operator");
    // Eight at a time keep colours apart.
    let sections: String = operators.chunks(8).map(|operators| plots(family, operators, rows)).collect();
    let lines: Vec<_> = operators.iter().enumerate().map(|(i, o)| line(o, i % 8, rows)).collect();
    let head = [
        "operator",
        "distance at least softness",
        "at largest",
        "gradient at least",
        "largest",
        "most",
        "hard",
        "forward",
        "forward / hard",
        "backward",
        "sizes",
    ];
    format!(
        "<section id=\"{}\"><h2>{}</h2>{sections}{}</section>",
        anchor(family),
        escape(family),
        table(&head, &lines)
    )
}

fn of<'a>(operator: &str, rows: &[&'a Row]) -> Vec<&'a Row> {
    rows.iter().copied().filter(|row| row.text("operator") == operator && row.is_measured()).collect()
}

fn plots(family: &str, operators: &[&str], rows: &[&Row]) -> String {
    let plot = |column: &'static str, label: &'static str| {
        let series = |(place, operator): (usize, &&str)| {
            let mark = |row: &Row| {
                let at = [row.number("softness"), row.number(column)];
                let title = format!("{operator}: {column} {} at softness {}", short(at[1]), at[0]);
                Mark { at, title, hollow: false }
            };
            let points = of(operator, rows).into_iter().map(mark).collect();
            Series { name: operator.to_string(), colour: Some(place), label: true, line: true, points }
        };
        let plot = Plot {
            title: format!("{label} over softness: {family}"),
            description: format!("One line each for {}.", operators.join(", ")),
            x: Axis { label: "softness", scale: Scale::Log },
            y: Axis { label, scale: Scale::Log },
            series: operators.iter().enumerate().map(series).collect(),
            guide: None,
            size: [640.0, 360.0],
        };
        plot.svg()
    };
    format!(
        "<div class=\"figures\">{}{}</div>",
        figure(
            "",
            "Distance to the hard operator",
            &plot("distance", "|soft − hard| / |hard|"),
            "Lower is nearer. What is 0 lies at the lower edge.",
        ),
        figure(
            "",
            "Size of the gradient",
            &plot("gradient", "|gradient|"),
            "For a random cotangent of length 1. Where it falls away there is nothing to learn from.",
        )
    )
}

fn line(operator: &str, colour: usize, rows: &[&Row]) -> Vec<String> {
    let mine = of(operator, rows);
    let mut cells = vec![named(operator, Some(colour))];
    let (Some(first), Some(last)) = (mine.first(), mine.last()) else {
        cells.resize(11, "–".into());
        return cells;
    };
    let middle = mine[mine.len() / 2];
    let most = mine.iter().map(|row| row.number("gradient")).fold(f64::NAN, f64::max);
    let [hard, forward, backward] =
        ["hard", "forward", "backward"].map(|pass| middle.number(&format!("{pass}_seconds")));
    cells.extend(["distance", "gradient"].iter().flat_map(|c| [first, last].map(|row| short(row.number(c)))));
    cells.extend([short(most), time(hard), time(forward), short(forward / hard), time(backward)]);
    cells.push(escape(middle.text("sizes")));
    cells
}
