//! What is written from the catalogue is what the catalogue says.
//!
//! As a test it compares; `cargo xtask gen` gives it the argument `--write`. It is a test and not a program of
//! its own so that cargo builds it with the same features as all other tests, and the solvers not twice.

mod blur;
mod doc;
mod plain;
mod python_docs;
mod python_functions;
mod scaling;
mod splice;
mod torch_functions;

use splice::splice;
use std::path::Path;
use std::process::ExitCode;
use std::{env, fs};
use supple_core::{Entry, Family};

/// Documents with the names of the marker lines that a table stands between, and what writes it.
const TABLES: [(&str, &str, fn(&[&Family]) -> String); 5] = [
    ("README.md", "catalogue", table),
    ("docs/src/catalogue.md", "catalogue", table),
    ("docs/src/softness.md", "scaling", scaling::table),
    ("docs/src/blur.md", "blur", |_| blur::tables()),
    ("docs/src/pictures.md", "pictures", supple_tests::pictures::page),
];

fn main() -> ExitCode {
    let write = env::args().any(|argument| argument == "--write");
    match generate(write) {
        Ok(stale) if write => {
            stale.iter().for_each(|file| println!("written: {file}"));
            ExitCode::SUCCESS
        }
        Ok(stale) if stale.is_empty() => ExitCode::SUCCESS,
        Ok(stale) => {
            let stale = stale.join(" and ");
            eprintln!("{stale}: not what the code says. To bring it up to date:\n\n    cargo xtask gen\n");
            ExitCode::FAILURE
        }
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

/// The files whose generated parts are out of date, which it writes if told.
fn generate(write: bool) -> Result<Vec<String>, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let all: Vec<&Family> = supple_ops::CATALOGUE.iter().copied().chain([&supple_convex::FAMILY]).collect();
    let mut current = torch_functions::torch_functions(supple_ops::CATALOGUE);
    current.extend(python_functions::python_functions(&all));
    for (file, name, table) in TABLES {
        let old = fs::read_to_string(root.join(file)).map_err(|e| format!("{file}: {e}"))?;
        let new = splice(&old, name, &table(&all)).map_err(|e| format!("{file}: {e}"))?;
        current.push((file.into(), new));
    }
    let mut stale = vec![];
    for (file, new) in current {
        let path = root.join(&file);
        if fs::read_to_string(&path).is_ok_and(|old| old == new) {
            continue;
        }
        if write {
            fs::write(&path, new).map_err(|e| format!("{file}: {e}"))?;
        }
        stale.push(file);
    }
    Ok(stale)
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
