//! `cargo xtask gen`: what is written from the catalogue.

use crate::Result;
use crate::setup::setup;
use crate::step::Step;
use std::fs;

/// Documents that hold the catalogue's table between two marker lines.
const TABLES: [&str; 2] = ["README.md", "docs/src/catalogue.md"];
const BEGIN: &str = "<!-- catalogue:begin -->";
const END: &str = "<!-- catalogue:end -->";
/// The plain functions on tensors: a file that is generated whole.
const FUNCTIONS: &str = "crates/supple-tch/src/functions.rs";

/// Brings the generated text up to date; with `check` it only compares.
pub fn generate(check: bool) -> Result {
    let env = setup()?;
    let print = |what: &str| {
        let line = format!("cargo run --quiet -p supple-tests --bin catalogue {what}");
        Step::new("the catalogue", &line).envs(&env).output()
    };
    let (table, functions) = (print("table")?, print("functions")?);
    let mut stale = Vec::new();
    for file in TABLES.into_iter().chain([FUNCTIONS]) {
        let old = fs::read_to_string(file).map_err(|e| format!("{file}: {e}"))?;
        let new = match file {
            FUNCTIONS => functions.clone(),
            _ => splice(&old, &table).map_err(|e| format!("{file}: {e}"))?,
        };
        if old == new {
            continue;
        }
        if check {
            stale.push(file);
        } else {
            fs::write(file, new).map_err(|e| format!("{file}: {e}"))?;
            println!("written: {file}");
        }
    }
    if stale.is_empty() {
        return Ok(());
    }
    let stale = stale.join(" and ");
    Err(format!("{stale}: not what the code says. To bring it up to date:\n\n    cargo xtask gen\n"))
}

/// `text` with `table` between the two marker lines, in place of what stood there.
fn splice(text: &str, table: &str) -> Result<String> {
    let missing = |marker: &str| format!("there is no line `{marker}`");
    let (before, rest) = split_at_line(text, BEGIN).ok_or_else(|| missing(BEGIN))?;
    let (_, after) = split_at_line(rest, END).ok_or_else(|| missing(END))?;
    // The blank lines keep Markdown from taking the table for a part of the HTML comment.
    Ok(format!("{before}{BEGIN}\n\n{}\n\n{END}\n{after}", table.trim()))
}

/// What stands before and after the first line that is `marker`.
fn split_at_line<'a>(text: &'a str, marker: &str) -> Option<(&'a str, &'a str)> {
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        if line.trim_end() == marker {
            return Some((&text[..start], &text[start + line.len()..]));
        }
        start += line.len();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# Title\n<!-- catalogue:begin -->\nold\n<!-- catalogue:end -->\nrest\n";

    #[test]
    fn replaces_what_stands_between() {
        let new = splice(PAGE, "| a |\n|---|\n").unwrap();
        let want = "# Title\n<!-- catalogue:begin -->\n\n| a |\n|---|\n\n<!-- catalogue:end -->\nrest\n";
        assert_eq!(new, want);
    }

    #[test]
    fn a_second_time_changes_nothing() {
        let once = splice(PAGE, "| a |").unwrap();
        assert_eq!(splice(&once, "| a |").unwrap(), once);
    }

    #[test]
    fn works_on_an_empty_section_at_the_end() {
        let page = "<!-- catalogue:begin -->\n<!-- catalogue:end -->";
        let want = "<!-- catalogue:begin -->\n\nx\n\n<!-- catalogue:end -->\n";
        assert_eq!(splice(page, "x").unwrap(), want);
    }

    #[test]
    fn markers_must_be_there_in_order() {
        let no_begin = splice("text", "x").unwrap_err();
        assert!(no_begin.contains(BEGIN));
        let swapped = splice("<!-- catalogue:end -->\n<!-- catalogue:begin -->\n", "x");
        assert!(swapped.unwrap_err().contains(END));
        // A mention inside a line is no marker.
        assert!(splice("see <!-- catalogue:begin -->\n<!-- catalogue:end -->\n", "x").is_err());
    }
}
