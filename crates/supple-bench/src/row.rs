//! A measured cell as a row of named values, and what the rows of a run have in common.

use serde_json::{Map, Value};
use std::cmp::Ordering;

/// Named values of one cell.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Row(pub Map<String, Value>);

impl Row {
    /// The same with one more value.
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.insert(name.into(), value.into());
        self
    }

    /// The same with one more number. JSON has no infinity and no NaN: they become text and nothing.
    pub fn with_number(self, name: &str, value: f64) -> Self {
        if value.is_infinite() {
            return self.with(name, if value > 0.0 { "inf" } else { "-inf" });
        }
        self.with(name, Value::from(value))
    }

    /// A number; NaN where there is none.
    pub fn number(&self, name: &str) -> f64 {
        match self.0.get(name) {
            Some(Value::Number(x)) => x.as_f64().unwrap_or(f64::NAN),
            Some(Value::String(x)) if x == "inf" => f64::INFINITY,
            Some(Value::String(x)) if x == "-inf" => f64::NEG_INFINITY,
            _ => f64::NAN,
        }
    }

    /// A text; empty where there is none.
    pub fn text(&self, name: &str) -> &str {
        self.0.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// Whether the cell has been measured.
    pub fn is_measured(&self) -> bool {
        self.text("status") == "measured"
    }

    /// Whether it has been measured and no estimate was left out for not being finite: only then may it win.
    pub fn is_whole(&self) -> bool {
        self.is_measured() && self.0.get("non_finite").is_none_or(|_| self.number("non_finite") == 0.0)
    }
}

/// What the rows of one kind of run have in common.
pub struct Schema {
    /// The subcommand that makes them.
    pub kind: &'static str,
    /// What each holds, in the order of the CSV file.
    pub columns: &'static [Column],
    /// The order of the names in a key column, as in the list of what can be run.
    pub order: fn(&str) -> Vec<&'static str>,
}

/// A named value.
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// What it tells.
    pub role: Role,
    /// What it is, in one line.
    pub meaning: &'static str,
}

/// What a value tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Which cell it is.
    Key,
    /// What is said about it.
    Note,
    /// A result with a random error, whose size is in the column of this name.
    Random(&'static str),
    /// A result without one.
    Exact,
    /// About a result; not compared.
    About,
    /// A time; differs from run to run.
    Time,
}

impl Schema {
    /// The columns that say which cell it is.
    pub fn keys(&self) -> impl Iterator<Item = &'static str> {
        self.columns.iter().filter(|c| c.role == Role::Key).map(|c| c.name)
    }

    /// What a row is called.
    pub fn key(&self, row: &Row) -> String {
        let part = |name| match row.0.get(name) {
            Some(Value::String(text)) => text.clone(),
            Some(value) => value.to_string(),
            None => "?".into(),
        };
        self.keys().map(part).collect::<Vec<_>>().join(" × ")
    }

    /// Puts rows in the order of the keys: names as they are listed, numbers by size.
    pub fn sort(&self, rows: &mut [Row]) {
        let keys: Vec<_> = self.keys().map(|key| (key, (self.order)(key))).collect();
        let place = |names: &[&str], name: &str| names.iter().position(|n| *n == name).unwrap_or(usize::MAX);
        rows.sort_by(|a, b| {
            let compare = |(key, names): &(&str, Vec<&str>)| {
                let (a_text, b_text) = (a.text(key), b.text(key));
                let by_name = place(names, a_text).cmp(&place(names, b_text)).then(a_text.cmp(b_text));
                by_name.then(a.number(key).total_cmp(&b.number(key)))
            };
            keys.iter().map(compare).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
        });
    }

    /// A row without what differs from run to run.
    pub fn without_times(&self, row: &Row) -> Row {
        let mut row = row.clone();
        for column in self.columns.iter().filter(|c| c.role == Role::Time) {
            row.0.remove(column.name);
        }
        row
    }

    /// All rows as comma-separated values, after a line of names.
    pub fn csv(&self, rows: &[Row]) -> String {
        let names: Vec<_> = self.columns.iter().map(|c| c.name).collect();
        let mut csv = names.join(",") + "\n";
        for row in rows {
            let fields: Vec<_> = names.iter().map(|name| field(row.0.get(*name))).collect();
            csv += &(fields.join(",") + "\n");
        }
        csv
    }
}

fn field(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => quoted(text),
        Some(value) => quoted(&value.to_string()),
    }
}

fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        return format!("\"{}\"", text.replace('"', "\"\""));
    }
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cell::SCHEMA;

    #[test]
    fn numbers_that_json_has_not_come_back() {
        let row =
            Row::default().with_number("a", f64::INFINITY).with_number("b", f64::NAN).with_number("c", 0.1);
        let text = Value::Object(row.0.clone()).to_string();
        let Ok(Value::Object(map)) = serde_json::from_str(&text) else { panic!("an object") };
        let back = Row(map);
        assert_eq!(back, row);
        assert_eq!(back.number("a"), f64::INFINITY);
        assert!(back.number("b").is_nan() && back.number("missing").is_nan());
        assert_eq!(back.number("c"), 0.1);
    }

    #[test]
    fn fields_with_commas_are_quoted() {
        assert_eq!(field(Some(&"a \"b\", c".into())), "\"a \"\"b\"\", c\"");
        assert_eq!(field(Some(&"plain".into())), "plain");
        assert_eq!(field(Some(&0.5.into())), "0.5");
        assert_eq!(field(None), "");
    }

    #[test]
    fn budgets_are_ordered_by_size_and_unknown_names_come_last() {
        let row = |problem: &str, budget: u64| {
            Row::default().with("problem", problem).with("estimator", "e").with("budget", budget)
        };
        let known = (SCHEMA.order)("problem")[0];
        let mut rows = vec![row("zzz", 1), row(known, 64), row(known, 4), row("aaa", 1)];
        SCHEMA.sort(&mut rows);
        let keys: Vec<_> = rows.iter().map(|row| SCHEMA.key(row)).collect();
        let expected = [format!("{known} × e × 4"), format!("{known} × e × 64")];
        assert_eq!(keys[..2], expected);
        assert_eq!(keys[2..], ["aaa × e × 1", "zzz × e × 1"]);
    }
}
