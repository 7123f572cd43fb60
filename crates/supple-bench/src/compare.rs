//! `supple-bench compare`: two runs cell by cell.

use crate::row::{Role, Row, Schema};
use crate::store::Store;
use crate::table::{Table, short};
use std::collections::HashMap;

/// One result of one cell in two runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// The cell.
    pub key: String,
    /// The column.
    pub column: &'static str,
    /// Its two values.
    pub values: [f64; 2],
    /// How many standard errors they are apart; infinite for a difference of results without any, and where
    /// only one is a number; NaN where an error is not known.
    pub z: f64,
}

impl Difference {
    /// Whether it is more than 4 standard errors.
    ///
    /// If these are known well, 1 in 15 000 is so by chance. If they are estimated from few runs, many more
    /// are: with the 3 of `optimise`, about 1 in 60.
    pub fn is_real(&self) -> bool {
        self.z.abs() > 4.0
    }

    /// Whether it cannot be told: the values differ, and an error is not known.
    pub fn is_unknown(&self) -> bool {
        self.z.is_nan()
    }
}

/// What two runs have in common and what not.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Comparison {
    /// Results of the cells that are measured in both.
    pub differences: Vec<Difference>,
    /// Cells that are not measured in both, and why.
    pub others: Vec<String>,
    /// The median ratio of the times of the second run to those of the first.
    pub slower: f64,
}

/// Compares two runs of the same kind; their settings may differ.
///
/// # Errors
/// Runs of two kinds.
pub fn compare(a: &Store, b: &Store) -> Result<Comparison, String> {
    let schema = a.schema;
    if schema.kind != b.schema.kind {
        return Err(format!("one has results of {}, the other of {}", schema.kind, b.schema.kind));
    }
    let there: HashMap<String, &Row> = b.rows.iter().map(|row| (schema.key(row), row)).collect();
    let mut comparison = Comparison::default();
    let mut times = vec![];
    let rows = a.sorted();
    for row in &rows {
        let key = schema.key(row);
        match there.get(&key) {
            None => comparison.others.push(format!("{key}: in the first run only")),
            Some(other) if row.text("status") != other.text("status") => {
                comparison.others.push(format!(
                    "{key}: {}, then {}",
                    row.text("status"),
                    other.text("status")
                ));
            }
            Some(other) if row.is_measured() => {
                comparison.differences.extend(differences(schema, &key, row, other));
                let time = schema.columns.iter().find(|column| column.role == Role::Time);
                times.extend(time.map(|time| other.number(time.name) / row.number(time.name)));
            }
            Some(_) => {}
        }
    }
    let here: std::collections::HashSet<String> = rows.iter().map(|row| schema.key(row)).collect();
    let new = b.sorted().into_iter().map(|row| schema.key(&row)).filter(|key| !here.contains(key));
    comparison.others.extend(new.map(|key| format!("{key}: in the second run only")));
    times.retain(|time| time.is_finite());
    times.sort_by(f64::total_cmp);
    comparison.slower = crate::cell::median(&times);
    Ok(comparison)
}

fn differences(schema: &Schema, key: &str, a: &Row, b: &Row) -> Vec<Difference> {
    let difference = |column: &crate::row::Column| {
        let values = [a, b].map(|row| row.number(column.name));
        let [x, y] = values;
        let z = match column.role {
            // Runs of the same seeds have the same results.
            Role::Random(_) | Role::Exact if x == y || x.is_nan() && y.is_nan() => 0.0,
            Role::Random(_) if !x.is_finite() || !y.is_finite() => f64::INFINITY,
            Role::Random(error) => {
                let error = a.number(error).hypot(b.number(error));
                if error.is_finite() { (y - x) / error } else { f64::NAN }
            }
            Role::Exact if (x - y).abs() <= 1e-9 * x.abs().max(y.abs()) => 0.0,
            Role::Exact => f64::INFINITY,
            _ => return None,
        };
        Some(Difference { key: key.into(), column: column.name, values, z })
    };
    schema.columns.iter().filter_map(difference).collect()
}

impl Comparison {
    /// As a table of the differences that are real or may be, or of all.
    pub fn table(&self, all: bool) -> String {
        let shown = self.differences.iter().filter(|d| all || d.is_real() || d.is_unknown());
        let line = |d: &Difference| {
            let [a, b] = d.values;
            let mark = match d {
                d if d.is_real() => "!",
                d if d.is_unknown() => "?",
                _ => " ",
            };
            let cells = [format!("{} {}", d.column, d.key), short(a), short(b), short(b / a)];
            cells.into_iter().chain([format!("{}{mark}", short(d.z))]).collect()
        };
        let head = ["result", "first", "second", "ratio", "z"].map(String::from).to_vec();
        let table = Table { head, rows: shown.map(line).collect() };
        let real = self.differences.iter().filter(|d| d.is_real()).count();
        let mut text = if table.rows.is_empty() { String::new() } else { format!("\n{table}\n") };
        text += &self.others.iter().map(|other| other.clone() + "\n").collect::<String>();
        let total = self.differences.len();
        let times = if self.slower.is_nan() {
            String::new()
        } else {
            format!("; median ratio of times {}", short(self.slower))
        };
        let unknown = match self.differences.iter().filter(|d| d.is_unknown()).count() {
            0 => String::new(),
            count => format!("; {count} differ, by unknown errors (?)"),
        };
        text + &format!("{real} of {total} results differ by more than 4 standard errors{unknown}{times}\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cell::SCHEMA;

    fn store(cells: &[(u64, f64, f64)]) -> Store {
        let mut store = Store::open(&SCHEMA, Default::default(), None).unwrap();
        for &(budget, mse, error) in cells {
            let keys = Row::default().with("problem", "p").with("estimator", "e").with("budget", budget);
            let row = keys.with("status", "measured").with_number("mse", mse).with_number("mse_error", error);
            store.append(row.with_number("seconds", 1.0)).unwrap();
        }
        store
    }

    #[test]
    fn differences_beyond_noise_are_real() {
        let a = store(&[(1, 1.0, 0.3), (4, 1.0, 0.03), (16, 1.0, 0.0)]);
        let b = store(&[(1, 2.0, 0.4), (4, 1.3, 0.04), (64, 1.0, 0.0)]);
        let comparison = compare(&a, &b).unwrap();
        let mse: Vec<_> = comparison.differences.iter().filter(|d| d.column == "mse").collect();
        assert!((mse[0].z - 2.0).abs() < 1e-12 && !mse[0].is_real());
        assert!((mse[1].z - 6.0).abs() < 1e-12 && mse[1].is_real());
        assert_eq!(comparison.others.len(), 2);
        assert_eq!(comparison.slower, 1.0);
        assert!(comparison.table(false).contains("1 of "));
    }

    #[test]
    fn what_cannot_be_told_is_not_called_equal() {
        let (nan, inf) = (f64::NAN, f64::INFINITY);
        let a = store(&[(1, 1.0, nan), (2, 1.0, 0.1), (3, inf, 0.1), (4, inf, nan), (5, 1.0, inf)]);
        let b = store(&[(1, 2.0, 0.1), (2, nan, nan), (3, 1.0, 0.1), (4, inf, nan), (5, 2.0, nan)]);
        let comparison = compare(&a, &b).unwrap();
        let mse: Vec<_> = comparison.differences.iter().filter(|d| d.column == "mse").collect();
        let told: Vec<_> = mse.iter().map(|d| (d.is_real(), d.is_unknown())).collect();
        assert_eq!(told, [(false, true), (true, false), (true, false), (false, false), (false, true)]);
        let table = comparison.table(false);
        assert!(table.contains("2 of ") && table.contains("; 2 differ, by unknown errors"), "{table}");
    }

    #[test]
    fn a_run_equals_itself() {
        let a = store(&[(1, 1.0, 0.0), (4, f64::NAN, f64::NAN)]);
        let comparison = compare(&a, &a).unwrap();
        assert!(comparison.differences.iter().all(|d| d.z == 0.0) && comparison.others.is_empty());
    }
}
