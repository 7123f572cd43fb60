//! The documentation of an operator's file, as Python's tools read it.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use supple_core::Entry;

/// What stands at the head of the operator's file, in reStructuredText.
pub fn of(entry: &Entry) -> String {
    let path = (entry.rust_type)();
    let path = path.split('<').next().unwrap_or(path);
    let mut parts: Vec<&str> = path.split("::").collect();
    parts.pop();
    let krate = parts.remove(0).replace('_', "-");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates").join(krate).join("src");
    let file = source.join(parts.join("/")).with_extension("rs");
    let text = fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    let lines = text.lines().map_while(|line| line.strip_prefix("//!"));
    let text: Vec<&str> = lines.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect();
    restructured(&text.join("\n"))
}

/// Markdown with formulas between dollars, as reStructuredText. Code fences, which hold Rust, are left out.
fn restructured(markdown: &str) -> String {
    let mut text = String::new();
    for (i, part) in without_fences(markdown).split("$$").enumerate() {
        if i % 2 == 1 {
            let lines: Vec<&str> = part.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
            write!(text, "\n\n.. math::\n\n    {}\n\n", lines.join("\n    ")).expect("a string grows");
        } else {
            let trimmed = if i == 0 { part } else { part.trim_start() };
            text += &plain(trimmed);
        }
    }
    while text.contains("\n\n\n") {
        text = text.replace("\n\n\n", "\n\n");
    }
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n").trim().to_owned()
}

fn without_fences(markdown: &str) -> String {
    let parts: Vec<&str> = markdown.split("```").collect();
    parts.into_iter().step_by(2).collect::<Vec<_>>().join("")
}

/// Text without display formulas: inline formulas, code and links in the notation of reStructuredText.
pub fn plain(markdown: &str) -> String {
    let mut text = String::new();
    // Code first, for a dollar in it is no formula.
    for (i, part) in markdown.split('`').enumerate() {
        if i % 2 == 1 {
            write!(text, "``{part}``").expect("a string grows");
            continue;
        }
        for (j, part) in part.split('$').enumerate() {
            if j % 2 == 1 {
                write!(text, ":math:`{}`", part.replace('\n', " ")).expect("a string grows")
            } else {
                text += part
            }
        }
    }
    unlinked(&text)
}

/// Links within the Rust documentation as the words that they stand under, and what else is Rust's in Python's
/// words.
fn unlinked(text: &str) -> String {
    let mut rest = text;
    let mut out = String::new();
    while let Some(start) = rest.find('[') {
        let (before, link) = rest.split_at(start);
        out += before;
        let words = link[1..].split_once(']').filter(|_| !before.ends_with('\\'));
        match words {
            Some((words, after)) if target(after).is_some_and(|target| !target.starts_with("http")) => {
                out += words;
                rest = after[1..].split_once(')').map_or("", |(_, rest)| rest);
            }
            Some((words, after)) if words.starts_with("``") && words.ends_with("``") => {
                out += words;
                rest = after;
            }
            _ => {
                out.push('[');
                rest = &link[1..];
            }
        }
    }
    out += rest;
    let words = [
        ("\\[", "["),
        ("\\]", "]"),
        ("``Mode::StraightThrough``", "``mode=\"straight_through\"``"),
        ("``Mode::Hard``", "``mode=\"hard\"``"),
        ("``f64``", "``float64``"),
        ("``f32``", "``float32``"),
    ];
    words.iter().fold(out, |text, (rust, python)| text.replace(rust, python))
}

/// What stands in parentheses at the start: where a link leads.
fn target(text: &str) -> Option<&str> {
    text.strip_prefix('(')?.split_once(')').map(|(target, _)| target)
}
