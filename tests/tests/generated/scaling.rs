//! The table of how operators scale.

use std::fmt::Write;
use supple_core::{AnyContract, AnyScaling, Entry, Family, Value};

/// A row for each way in which an operator scales, which may depend on its parameters, and a last one for what
/// does not.
pub fn table(families: &[&Family]) -> String {
    let mut text = String::from("| operator | $s$ | $p$ | $q$ |\n|---|---|---|---|\n");
    let mut without = vec![];
    // Front operators scale as their methods do.
    let families = families.iter().filter(|family| family.name != "front");
    for entry in families.flat_map(|family| family.entries) {
        let cases = (entry.cases)();
        // At which softness does not matter.
        let exponents = |scaling| AnyScaling { softness: 0.0, ..scaling };
        let scalings: Vec<_> = cases.iter().map(|case| case.scaling().map(exponents)).collect();
        let mut distinct: Vec<&AnyScaling> = vec![];
        for scaling in scalings.iter().flatten() {
            if !distinct.contains(&scaling) {
                distinct.push(scaling);
            }
        }
        for &scaling in &distinct {
            let own: Vec<_> = scalings.iter().map(|other| other.as_ref() == Some(scaling)).collect();
            writeln!(text, "{}", row(entry, &forms(entry, &cases, &own), scaling)).expect("a string grows");
        }
        let none: Vec<_> = scalings.iter().map(Option::is_none).collect();
        if none.contains(&true) {
            without.push(format!("`{}`{}", entry.name, forms(entry, &cases, &none)));
        }
    }
    text + &format!("| {} | | | none |\n", without.join(", "))
}

/// What names some of the cases: the words of a parameter that no other case has; nothing if they are all.
fn forms(entry: &Entry, cases: &[Box<dyn AnyContract>], own: &[bool]) -> String {
    if own.iter().all(|&own| own) {
        return String::new();
    }
    for field in 0..entry.fields.len() {
        let words = |wanted: bool| {
            let these = cases.iter().zip(own).filter(|(_, own)| **own == wanted);
            let mut words: Vec<_> = these.map(|(case, _)| word(&case.get(field))).collect();
            words.dedup();
            words
        };
        let (these, others) = (words(true), words(false));
        if these.iter().all(|word| word.is_some() && !others.contains(word)) {
            let words: Vec<_> = these.into_iter().flatten().collect();
            return format!(" ({})", words.join(", "));
        }
    }
    " (some forms)".into()
}

fn word(value: &Value) -> Option<String> {
    match value {
        Value::Choice(name) => Some(format!("`{name}`")),
        _ => None,
    }
}

fn row(entry: &Entry, forms: &str, scaling: &AnyScaling) -> String {
    let signature = supple_core::Signature::of(entry.name, entry.signature).expect("a signature");
    let inputs = signature.inputs.iter().map(|argument| argument.name).zip(&scaling.inputs);
    let outputs = signature.outputs.iter().map(|argument| argument.name).zip(&scaling.outputs);
    let (inputs, outputs) = (exponents(inputs), exponents(outputs));
    format!("| `{}`{forms} | {} | {inputs} | {outputs} |", entry.name, signed(scaling.power))
}

/// One number where there is one argument, else a list with names.
fn exponents<'a>(arguments: impl ExactSizeIterator<Item = (&'a str, &'a i8)>) -> String {
    if arguments.len() == 1 {
        return arguments.map(|(_, &power)| signed(power)).collect();
    }
    let list: Vec<_> = arguments.map(|(name, &power)| format!("{name} {}", signed(power))).collect();
    list.join(", ")
}

fn signed(power: i8) -> String {
    power.to_string().replace('-', "−")
}
