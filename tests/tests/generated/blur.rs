//! Which softness of each method blurs as much as which of another, measured.

use ndarray::{ArrayD, Axis, IxDyn};
use std::fmt::Write;
use supple_core::{AnyContract, AnyInputs, Entry, Kind, Mode, Options, Stream, Value};

/// Rows of standard normal numbers.
const SHAPE: [usize; 2] = [32, 16];

/// Shares of the distance from the hard output to its mean.
const LEVELS: [f64; 3] = [0.1, 0.3, 0.6];

/// The front functions whose output tends to its mean, with their parameters.
const FUNCTIONS: [(&str, &[(&str, u64)]); 5] =
    [("sort", &[]), ("rank", &[]), ("argsort", &[]), ("top_k", &[("k", 4)]), ("argmax", &[("seed", 1)])];

/// A table for each function.
pub fn tables() -> String {
    let x = ArrayD::from_shape_vec(IxDyn(&SHAPE), Stream::new(0, 0, 0).normals(SHAPE.iter().product()));
    let x = x.expect("one for each entry");
    let mut text = String::new();
    for (name, parameters) in FUNCTIONS {
        let entry = supple_ops::front::FAMILY.entries.iter().find(|entry| entry.name == name);
        let entry = entry.expect("a front function");
        let given: String = parameters.iter().map(|(name, value)| format!(", {name} = {value}")).collect();
        let heads = LEVELS.map(|level| format!("{:.0} %", 100.0 * level)).join(" | ");
        writeln!(text, "\n**`{name}`**{given}\n\n| method | {heads} |\n|---|---|---|---|")
            .expect("a string grows");
        for method in methods(entry) {
            let cells = row(entry, method, parameters, &x).map(|cell| cell.map_or("none".into(), two_digits));
            writeln!(text, "| `{method}` | {} |", cells.join(" | ")).expect("a string grows");
        }
    }
    text
}

fn methods(entry: &Entry) -> &'static [&'static str] {
    let field = entry.fields.iter().find(|field| field.name == "method");
    match field.expect("a front operator has methods").kind {
        Kind::Choice(names) => names,
        _ => unreachable!("methods are names"),
    }
}

/// The least softness that blurs as much as each level, where there is one; zero where the least tried does.
fn row(entry: &Entry, method: &'static str, parameters: &[(&str, u64)], x: &ArrayD<f64>) -> [Option<f64>; 3] {
    let mut operator = (entry.make)();
    operator.set("method", Value::Choice(method.into())).expect("a method");
    for &(name, value) in parameters {
        operator.set(name, Value::Int(value)).expect("a parameter");
    }
    let hard = values(&*operator, x, Mode::Hard).expect("a hard form");
    let mean = hard.mean_axis(Axis(1)).expect("values").insert_axis(Axis(1));
    let distance = |a: &ArrayD<f64>| (a - &hard).mapv(|d| d * d).sum().sqrt();
    let whole = distance(&(&mean + &ArrayD::<f64>::zeros(hard.raw_dim())));
    let mut blur = |exponent: f64| {
        operator.set("softness", Value::Float(10.0f64.powf(exponent))).expect("a softness");
        values(&*operator, x, Mode::Soft).map(|soft| distance(&soft) / whole)
    };
    let grid: Vec<_> = (-24..=32).map(|step| f64::from(step) / 8.0).collect();
    let seen: Vec<_> = grid.iter().map(|&exponent| blur(exponent)).collect();
    LEVELS.map(|level| {
        let above = seen.iter().position(|blur| blur.is_some_and(|blur| blur >= level))?;
        let Some(below) = above.checked_sub(1) else { return Some(0.0) };
        let (mut low, mut high) = (grid[below], grid[above]);
        for _ in 0..40 {
            let middle = 0.5 * (low + high);
            if blur(middle).is_some_and(|blur| blur >= level) { high = middle } else { low = middle }
        }
        Some(10.0f64.powf(high))
    })
}

/// The output, unless an item has none.
fn values(operator: &dyn AnyContract, x: &ArrayD<f64>, mode: Mode) -> Option<ArrayD<f64>> {
    let options = Options { mode, ..Options::default() };
    let inputs = AnyInputs { x: vec![x.view()], k: vec![], options };
    let (mut outputs, faults) = operator.evaluate(inputs).expect("a call that is right");
    faults.is_empty().then(|| outputs.swap_remove(0))
}

/// `0.043`, `1.2`, `120`; zero is what lies below all that was tried.
fn two_digits(x: f64) -> String {
    if x == 0.0 {
        return "< 0.001".into();
    }
    let places = (1.0 - x.log10().floor()).max(0.0) as usize;
    let unit = 10.0f64.powf(x.log10().floor() - 1.0);
    format!("{:.places$}", (x / unit).round() * unit)
}
