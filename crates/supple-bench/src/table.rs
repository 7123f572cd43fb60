//! Tables and numbers for the terminal.

use std::fmt;

/// Columns of text: the first to the left, the others to the right.
#[derive(Debug, Clone, Default)]
pub struct Table {
    /// Names of the columns.
    pub head: Vec<String>,
    /// Rows as long as the head.
    pub rows: Vec<Vec<String>>,
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = || std::iter::once(&self.head).chain(&self.rows);
        let width = |i: usize| lines().filter_map(|l| l.get(i)).map(|t| t.chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..self.head.len()).map(width).collect();
        for (number, line) in lines().enumerate() {
            let cell = |(i, text): (usize, &String)| {
                let width = widths.get(i).copied().unwrap_or(0);
                if i == 0 { format!("{text:<width$}") } else { format!("{text:>width$}") }
            };
            let cells: Vec<String> = line.iter().enumerate().map(cell).collect();
            writeln!(f, "  {}", cells.join("  ").trim_end())?;
            if number == 0 {
                writeln!(f, "  {}", "─".repeat(widths.iter().sum::<usize>() + 2 * widths.len().max(1) - 2))?;
            }
        }
        Ok(())
    }
}

/// Three digits.
pub fn short(x: f64) -> String {
    let size = x.abs();
    match size {
        _ if x.is_nan() => "–".into(),
        _ if x.is_infinite() => if x > 0.0 { "∞" } else { "−∞" }.into(),
        0.0 => "0".into(),
        _ if !(1e-3..1e4).contains(&size) => format!("{x:.1e}"),
        _ if size >= 99.95 => format!("{x:.0}"),
        _ if size >= 9.995 => format!("{x:.1}"),
        _ if size >= 0.9995 => format!("{x:.2}"),
        _ => format!("{x:.3}"),
    }
}

/// A time with its unit.
pub fn time(seconds: f64) -> String {
    match seconds {
        _ if !seconds.is_finite() => "–".into(),
        _ if seconds < 1e-6 => format!("{:.0} ns", seconds * 1e9),
        _ if seconds < 1e-3 => format!("{} µs", short(seconds * 1e6)),
        _ if seconds < 1.0 => format!("{} ms", short(seconds * 1e3)),
        _ => format!("{} s", short(seconds)),
    }
}

/// The least of the numbers.
pub fn best(numbers: &[f64]) -> Option<f64> {
    numbers.iter().copied().filter(|x| !x.is_nan()).min_by(f64::total_cmp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits() {
        let cases = [0.0, 0.01234, 0.99999, 3.24159, 32.4159, 99.99, 324.159, 12345.6, 1.5e-5, -0.5];
        let texts = ["0", "0.012", "1.00", "3.24", "32.4", "100", "324", "1.2e4", "1.5e-5", "-0.500"];
        assert_eq!(cases.map(short), texts);
        assert_eq!(short(f64::NAN), "–");
        assert_eq!([2.5e-7, 2.5e-5, 0.25, 12.0].map(time), ["250 ns", "25.0 µs", "250 ms", "12.0 s"]);
    }

    #[test]
    fn columns_are_aligned() {
        let text = |cells: [&str; 2]| cells.map(String::from).to_vec();
        let table =
            Table { head: text(["name", "µs"]), rows: vec![text(["a", "10.0"]), text(["longer", "–"])] };
        let expected = "  name      µs\n  ────────────\n  a       10.0\n  longer     –\n";
        assert_eq!(table.to_string(), expected);
    }
}
