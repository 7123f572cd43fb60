//! Prints what is generated from the catalogue: `table` for the documents, `functions` for `supple-tch`.

use std::process::ExitCode;
use supple_core::{Entry, Family};

#[path = "../torch_functions.rs"]
mod torch_functions;

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some("table") => {
            let all: Vec<&Family> =
                supple_ops::CATALOGUE.iter().copied().chain([&supple_convex::FAMILY]).collect();
            print!("{}", table(&all));
        }
        Some("functions") => print!("{}", torch_functions::torch_functions(supple_ops::CATALOGUE)),
        _ => {
            eprintln!("usage: catalogue table | functions");
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}

/// A Markdown table of all operators, one row each.
fn table(families: &[&Family]) -> String {
    let mut text = String::from(
        "| operator | what it does | parameters | which gradient do I get | second order | cost | paper |\n\
         |---|---|---|---|---|---|---|\n",
    );
    for family in families {
        text += &format!("| **{}** | | | | | | |\n", family.name);
        family.entries.iter().for_each(|entry| text += &row(entry));
    }
    text
}

fn row(entry: &Entry) -> String {
    let parameters: Vec<_> =
        entry.fields.iter().map(|field| format!("`{}` = {}", field.name, (field.default)())).collect();
    let second = if entry.gradient.is_derivative() { "yes" } else { "refused" };
    let cells = [
        format!("`{}`", entry.name),
        entry.summary.into(),
        parameters.join(", "),
        entry.gradient.name().into(),
        second.into(),
        entry.cost.into(),
        entry.paper.into(),
    ];
    // A bar inside a cell would end it.
    format!("| {} |\n", cells.map(|cell| cell.replace('|', "\\|")).join(" | "))
}
