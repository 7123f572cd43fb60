//! The HTML page of a run.

mod estimators;
mod optimise;
mod rank;
mod relaxations;

use crate::page::{escape, page};
use crate::row::{Role, Row, Schema};
use crate::store::Store;
use std::collections::HashMap;

/// The page of a run, with nothing loaded from elsewhere.
pub fn page_of(store: &Store) -> String {
    let rows = store.sorted();
    let (title, lead, body) = match store.schema.kind {
        "optimise" => optimise::body(&rows),
        "relaxations" => relaxations::body(&rows),
        _ => estimators::body(&rows),
    };
    let shown = |value: &serde_json::Value| match value {
        serde_json::Value::String(text) => text.clone(),
        value => value.to_string().replace(',', ", "),
    };
    let mut chips: Vec<_> =
        store.settings.iter().map(|(name, value)| (name.replace('_', " "), shown(value))).collect();
    let measured = rows.iter().filter(|row| row.is_measured()).count();
    chips.push(("cells".into(), format!("{measured} measured of {}", rows.len())));
    let body = body + &failures(store.schema, &rows) + &glossary(store.schema);
    page(title, lead, &chips, &body, "cells.csv and cells.jsonl")
}

/// What could not be measured, and why; budgets that are too small are no failure.
fn failures(schema: &Schema, rows: &[Row]) -> String {
    let failed = rows.iter().filter(|row| row.text("status") == "failed");
    let line = |row: &Row| format!("<li>{}: {}</li>", escape(&schema.key(row)), escape(row.text("reason")));
    let lines: String = failed.map(line).collect();
    if lines.is_empty() { lines } else { format!("<h2>Failed</h2><ul>{lines}</ul>") }
}

/// What each column means.
fn glossary(schema: &Schema) -> String {
    let described = schema.columns.iter().filter(|column| column.role != Role::Key);
    let line = |column: &crate::row::Column| vec![column.name.to_string(), escape(column.meaning)];
    let lines: Vec<_> = described.map(line).collect();
    let table = crate::page::table(&["column of cells.csv", "what it is"], &lines);
    format!("<h2>Columns</h2>{}", crate::page::folded("What each column means", &table))
}

/// Summaries of problems and estimators, as far as they are known here.
fn summaries() -> HashMap<&'static str, &'static str> {
    let problems = crate::problems::all();
    let problems = problems.iter().map(|problem| (problem.name(), problem.summary()));
    problems.chain(crate::entrants::all().iter().map(|e| (e.name, e.summary))).collect()
}

/// A name with the colour that it has on the page.
fn named(name: &str, colour: Option<usize>) -> String {
    let class = colour.map_or("s".into(), |colour| format!("s s{colour}"));
    format!("<span class=\"dot {class}\"></span>{}", escape(name))
}
