//! The table of how operators scale.

use std::fmt::Write;
use supple_core::{AnyScaling, Entry, Family};

/// A row for each operator that scales, or two where that depends on its parameters, and a last one for those that do not.
pub fn table(families: &[&Family]) -> String {
    let mut text = String::from("| operator | $s$ | $p$ | $q$ |\n|---|---|---|---|\n");
    let mut without = vec![];
    // Front operators scale as their methods do.
    let families = families.iter().filter(|family| family.name != "front");
    for entry in families.flat_map(|family| family.entries) {
        let cases = (entry.cases)();
        let scalings: Vec<_> = cases.iter().map(|case| case.scaling()).collect();
        match scalings.iter().flatten().next() {
            Some(scaling) => {
                let some = if scalings.contains(&None) { " (some forms)" } else { "" };
                writeln!(text, "{}", row(entry, some, scaling)).expect("a string grows");
            }
            None => without.push(format!("`{}`", entry.name)),
        }
    }
    text + &format!("| {} | | | none |\n", without.join(", "))
}

fn row(entry: &Entry, some: &str, scaling: &AnyScaling) -> String {
    let signature = supple_core::Signature::of(entry.name, entry.signature).expect("a signature");
    let inputs = signature.inputs.iter().map(|argument| argument.name).zip(&scaling.inputs);
    let outputs = signature.outputs.iter().map(|argument| argument.name).zip(&scaling.outputs);
    let (inputs, outputs) = (exponents(inputs), exponents(outputs));
    format!("| `{}`{some} | {} | {inputs} | {outputs} |", entry.name, signed(scaling.power))
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
