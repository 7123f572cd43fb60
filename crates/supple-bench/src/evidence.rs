//! `supple-bench evidence`: what papers say of these estimators, tried again with those of this library.
//!
//! A [`Claim`] is a statement of a paper, in other words and for smaller problems than the paper's; it runs
//! in seconds, prints its figures beside the statement and says whether they bear it out. Each file is a
//! paper:
//!
//! | paper | claims | tried on |
//! |---|---|---|
//! | Petersen et al. 2024 | [`petersen`] | permutation matrices, shortest paths on a grid |
//! | Berthet et al. 2020 | [`berthet`] | choices, the [`maps`] |
//! | Vlastelica et al. 2020 | [`vlastelica`] | the maps |
//! | Niepert et al. 2021 | [`niepert`] | the maps |
//! | Sahoo et al. 2023 | [`sahoo`] | the maps |
//! | Liu et al. 2023 | [`liu`] | the digits of the suite |
//!
//! A statement that does not come out is reported as such: it may depend on what is smaller here.

pub mod berthet;
pub mod liu;
pub mod maps;
pub mod niepert;
pub mod petersen;
pub mod sahoo;
pub mod vlastelica;

use crate::cell::Mean;
use crate::cli;
use crate::page::{escape, page, table};
use crate::row::Row;
use crate::table::short;
use rayon::prelude::*;
use serde_json::Value;
use std::fmt::Write;
use supple_core::Error;

/// A statement of a paper, and how it is tried.
#[derive(Debug, Clone, Copy)]
pub struct Claim {
    /// Authors and year.
    pub paper: &'static str,
    /// What it says.
    pub statement: &'static str,
    /// Tries it: a function of the seed alone.
    pub run: fn(seed: u64) -> Result<Outcome, Error>,
}

/// What came out.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Labels and numbers.
    pub figures: Vec<(String, f64)>,
    /// Whether they bear the statement out.
    pub verdict: Verdict,
    /// What was tried, and by what rule.
    pub said: String,
}

/// Whether figures bear a statement out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// They do.
    Reproduced,
    /// Some do and others do not.
    Mixed,
    /// Errors are too large to tell.
    Undecided,
    /// They do not.
    NotReproduced,
}

impl Verdict {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Reproduced, Self::Mixed, Self::Undecided, Self::NotReproduced];

    /// From whether a difference is above a bound, by so many standard errors.
    pub fn above(bound: f64, [difference, error]: [f64; 2], errors: f64) -> Self {
        let margin = errors * error;
        match difference - bound {
            above if above > margin => Self::Reproduced,
            above if above < -margin => Self::NotReproduced,
            _ => Self::Undecided,
        }
    }

    /// From those of the parts of a statement.
    pub fn all(parts: &[Self]) -> Self {
        let has = |verdict| parts.contains(&verdict);
        match parts.first() {
            Some(first) if parts.iter().all(|part| part == first) => *first,
            _ if has(Self::Mixed) || has(Self::Reproduced) && has(Self::NotReproduced) => Self::Mixed,
            _ => Self::Undecided,
        }
    }

    /// From the parts of a statement.
    pub fn of(parts: &[bool]) -> Self {
        match parts.iter().filter(|part| **part).count() {
            0 => Self::NotReproduced,
            n if n == parts.len() => Self::Reproduced,
            _ => Self::Mixed,
        }
    }

    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Reproduced => "reproduced",
            Self::Mixed => "mixed",
            Self::Undecided => "undecided",
            Self::NotReproduced => "not reproduced",
        }
    }
}

/// All claims.
pub fn all() -> Vec<Claim> {
    [
        petersen::claims(),
        berthet::claims(),
        vlastelica::claims(),
        niepert::claims(),
        sahoo::claims(),
        liu::claims(),
    ]
    .concat()
}

impl cli::Evidence {
    /// Does what the command line says, and returns what to print.
    pub(crate) fn run(&self) -> Result<String, String> {
        self.choose(all())
    }

    fn choose(&self, all: Vec<Claim>) -> Result<String, String> {
        let asked = |claim: &Claim| {
            let named = |name: &String| claim.paper.to_lowercase().contains(&name.to_lowercase());
            self.paper.is_empty() || self.paper.iter().any(named)
        };
        let claims: Vec<_> = all.iter().copied().filter(asked).collect();
        if claims.is_empty() {
            let mut papers: Vec<_> = all.iter().map(|claim| claim.paper).collect();
            papers.dedup();
            return Err(format!("no such paper; there are {}", papers.join(", ")));
        }
        let evidence = Evidence::gather(claims, self.seed, self.threads)?;
        let mut text = evidence.text();
        let Some(dir) = &self.out else { return Ok(text) };
        std::fs::create_dir_all(dir).map_err(|e| format!("{}: {e}", dir.display()))?;
        for (name, content) in [("evidence.json", evidence.json()), ("evidence.html", evidence.html())] {
            let path = dir.join(name);
            std::fs::write(&path, content).map_err(|e| format!("{}: {e}", path.display()))?;
            writeln!(text, "\n{}", path.display()).ok();
        }
        Ok(text)
    }
}

/// Claims with what came out.
pub struct Evidence {
    seed: u64,
    rows: Vec<(Claim, Result<Outcome, Error>)>,
}

impl Evidence {
    /// Tries claims, `threads` at a time; 0 for one to each core.
    ///
    /// # Errors
    /// There are no threads to be had.
    pub fn gather(claims: Vec<Claim>, seed: u64, threads: usize) -> Result<Self, String> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().map_err(|e| e.to_string())?;
        let rows = pool.install(|| claims.into_par_iter().map(|claim| (claim, (claim.run)(seed))).collect());
        Ok(Self { seed, rows })
    }

    /// For the terminal.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (number, (claim, outcome)) in self.rows.iter().enumerate() {
            let (verdict, said) = match outcome {
                Ok(outcome) => (outcome.verdict.name().to_uppercase(), outcome.said.clone()),
                Err(error) => ("FAILED".into(), error.to_string()),
            };
            let head = format!("{}. {} — {verdict}", number + 1, claim.paper);
            let said = wrapped(&format!("claim: {}", claim.statement)) + &wrapped(&format!("tried: {said}"));
            // Writing to a string does not fail.
            write!(text, "\n{head}\n{said}").ok();
            let figures = outcome.as_ref().map_or(&[][..], |outcome| &outcome.figures);
            let width = figures.iter().map(|(label, _)| label.chars().count()).max().unwrap_or(0);
            for (label, figure) in figures {
                writeln!(text, "     {label:<width$}  {:>8}", short(*figure)).ok();
            }
        }
        text
    }

    /// As JSON.
    pub fn json(&self) -> String {
        let claim = |(claim, outcome): &(Claim, Result<Outcome, Error>)| {
            let row = Row::default().with("paper", claim.paper).with("statement", claim.statement);
            let row = match outcome {
                Err(error) => row.with("verdict", "failed").with("reason", error.to_string()),
                Ok(Outcome { figures, verdict, said }) => {
                    let figure = |(label, figure): &(String, f64)| {
                        Value::Object(
                            Row::default().with("label", label.clone()).with_number("figure", *figure).0,
                        )
                    };
                    let figures: Vec<Value> = figures.iter().map(figure).collect();
                    row.with("verdict", verdict.name()).with("said", said.clone()).with("figures", figures)
                }
            };
            Value::Object(row.0)
        };
        let claims: Vec<Value> = self.rows.iter().map(claim).collect();
        let whole = Row::default().with("version", env!("CARGO_PKG_VERSION")).with("seed", self.seed);
        format!("{:#}\n", Value::Object(whole.with("claims", claims).0))
    }

    /// As a page.
    pub fn html(&self) -> String {
        let mut body = String::new();
        for (claim, outcome) in &self.rows {
            let verdict = outcome.as_ref().map_or("failed", |outcome| outcome.verdict.name());
            let class = if verdict == "reproduced" { "callout fine" } else { "callout" };
            let said = outcome.as_ref().map_or_else(Error::to_string, |outcome| outcome.said.clone());
            let figures = outcome.as_ref().map_or(&[][..], |outcome| &outcome.figures);
            let lines: Vec<_> =
                figures.iter().map(|(label, figure)| vec![escape(label), short(*figure)]).collect();
            let [paper, statement, said] = [claim.paper, claim.statement, &said].map(escape);
            write!(body, "<h2>{paper}</h2><p>{statement}</p>").ok();
            write!(body, "<div class=\"{class}\"><b>{verdict}</b></div><p class=\"note\">{said}</p>").ok();
            body += &table(&["what", "figure"], &lines);
        }
        let lead = "What papers say of these estimators, tried again on small problems.";
        let count = |verdict| {
            let found = self.rows.iter().filter(|(_, o)| o.as_ref().is_ok_and(|o| o.verdict == verdict));
            (verdict.name().to_string(), found.count().to_string())
        };
        let verdicts = Verdict::ALL.map(count);
        let chips: Vec<_> = [("seed".into(), self.seed.to_string())].into_iter().chain(verdicts).collect();
        page("Evidence", lead, &chips, &body, "evidence.json")
    }
}

/// Indented lines of at most 100 letters.
fn wrapped(text: &str) -> String {
    let (mut lines, mut length) = (String::from("  "), 0);
    for word in text.split_whitespace() {
        let letters = word.chars().count();
        if length > 0 && length + 1 + letters > 98 {
            lines += "\n    ";
            length = 2;
        } else if length > 0 {
            lines.push(' ');
            length += 1;
        }
        lines += word;
        length += letters;
    }
    lines + "\n"
}

/// The mean of numbers and its standard error.
fn mean(numbers: &[f64]) -> [f64; 2] {
    let Mean { mean, error } = Mean::of(numbers);
    [mean, error]
}

/// The mean difference of pairs and its standard error: positive where the first is larger.
fn ahead(first: &[f64], second: &[f64]) -> [f64; 2] {
    mean(&first.iter().zip(second).map(|(a, b)| a - b).collect::<Vec<_>>())
}

/// The mean difference of pairs in standard errors.
fn lead(first: &[f64], second: &[f64]) -> f64 {
    let [mean, error] = ahead(first, second);
    if mean == 0.0 { 0.0 } else { mean / error }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(run: fn(u64) -> Result<Outcome, Error>) -> Claim {
        Claim { paper: "A & B 2020", statement: "more is more", run }
    }

    #[test]
    fn verdicts_and_differences() {
        assert_eq!(Verdict::of(&[true, true]), Verdict::Reproduced);
        assert_eq!(Verdict::of(&[true, false]), Verdict::Mixed);
        assert_eq!(Verdict::of(&[false]), Verdict::NotReproduced);
        let cases = [[0.0, 0.02], [0.0, 0.03], [-0.2, 0.03], [-0.2, 0.08], [0.0, f64::NAN]];
        let (yes, no, open) = (Verdict::Reproduced, Verdict::NotReproduced, Verdict::Undecided);
        assert_eq!(cases.map(|case| Verdict::above(-0.05, case, 2.0)), [yes, open, no, open, open]);
        let cases = [[yes, yes], [open, open], [yes, open], [no, open], [yes, no]];
        assert_eq!(cases.map(|case| Verdict::all(&case)), [yes, open, open, open, Verdict::Mixed]);
        assert_eq!(lead(&[1.0, 2.0], &[1.0, 2.0]), 0.0);
        // Differences 1 and 3: mean 2, standard error 1.
        assert_eq!(lead(&[2.0, 4.0], &[1.0, 1.0]), 2.0);
        assert_eq!(lead(&[1.0, 1.0], &[2.0, 4.0]), -2.0);
    }

    #[test]
    fn what_came_out_is_in_all_forms_and_failures_too() {
        let fine = |_| {
            let figures = vec![("x < y".to_string(), 1.5)];
            Ok(Outcome { figures, verdict: Verdict::Mixed, said: "by counting".into() })
        };
        let broken = |_| Err(Error::argument("op", "a", "b", "c"));
        let evidence = Evidence::gather(vec![claim(fine), claim(broken)], 3, 1).unwrap();
        let text = evidence.text();
        for part in ["1. A & B 2020 — MIXED", "x < y      1.50", "FAILED", "tried: op: `a` must be b, got c"]
        {
            assert!(text.contains(part), "{part} in {text}");
        }
        let json: Value = serde_json::from_str(&evidence.json()).unwrap();
        assert_eq!(json["seed"], 3);
        assert_eq!(json["claims"][0]["figures"][0]["figure"], 1.5);
        assert_eq!(json["claims"][1]["verdict"], "failed");
        let html = evidence.html();
        assert!(html.contains("A &amp; B 2020") && html.contains("x &lt; y") && html.contains("op: `a`"));
    }

    #[test]
    fn what_is_asked_for_is_written_and_an_unknown_paper_refused() {
        let dir = std::env::temp_dir().join(format!("supple-bench-{}-evidence", std::process::id()));
        let args = |paper: &str| {
            let (paper, out) = (vec![paper.to_string()], Some(dir.clone()));
            cli::Evidence { paper, out, threads: 1, seed: 7 }
        };
        let seeded =
            |seed: u64| Ok(Outcome { figures: vec![], verdict: Verdict::Mixed, said: seed.to_string() });
        let other = Claim { paper: "C 2021", ..claim(seeded) };
        let error = args("nobody").choose(vec![claim(seeded), claim(seeded), other]).unwrap_err();
        assert!(error.ends_with("there are A & B 2020, C 2021") && !dir.exists(), "{error}");
        let text = args("c 2").choose(vec![claim(seeded), other]).unwrap();
        let written = ["evidence.json", "evidence.html"].map(|name| std::fs::read_to_string(dir.join(name)));
        std::fs::remove_dir_all(&dir).unwrap();
        assert!(text.contains("1. C 2021") && text.contains("tried: 7") && !text.contains("A & B"));
        assert!(written.iter().all(|text| text.as_ref().is_ok_and(|text| text.contains("C 2021"))));
    }

    #[test]
    fn lines_are_short() {
        let text = wrapped(&"a word ".repeat(100));
        assert!(text.lines().count() > 5 && text.lines().all(|line| line.len() <= 102));
        assert_eq!(text.split_whitespace().count(), 200);
    }
}
