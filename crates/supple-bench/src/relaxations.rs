//! `supple-bench relaxations`: how far relaxations are from their hard operators, over softness.
//!
//! For soft outputs $y$ and hard ones $h$ of a batch of the operator's own samples, and a random cotangent of
//! length 1 for each item:
//!
//! $$ \text{distance} = \frac{\|y - h\|}{\|h\|}, \qquad \text{gradient} = \sqrt{\mathrm{mean} \|J^\top \bar y\|^2} $$
//!
//! All outputs count. Entries that are not finite are counted and left out; where all of $h$ is 0, it is not
//! divided by. Operators that draw are not here: their gradients are random, as those of estimators are.

use crate::cell::median;
use crate::row::{Column, Role, Row, Schema};
use crate::run::Job;
use crate::table::{Table, short, time};
use ndarray::{ArrayD, ArrayViewD, IxDyn};
use std::time::Instant;
use supple_core::{AnyContract, AnyInputs, Argument, Entry, Erased, Error, Mode, Options, Stream, Value};

/// What the rows of `supple-bench relaxations` hold.
pub static SCHEMA: Schema = Schema {
    kind: "relaxations",
    order: |column| {
        if column == "operator" { operators().iter().map(|(_, e)| e.name).collect() } else { vec![] }
    },
    columns: &[
        Column { name: "operator", role: Role::Key, meaning: "the relaxation" },
        Column { name: "softness", role: Role::Key, meaning: "its softness, in its own unit" },
        Column { name: "family", role: Role::Note, meaning: "its family" },
        Column { name: "status", role: Role::Note, meaning: "measured or failed" },
        Column { name: "reason", role: Role::Note, meaning: "why it is not measured" },
        Column { name: "sizes", role: Role::Note, meaning: "sizes of one item" },
        Column { name: "distance", role: Role::Exact, meaning: "|soft − hard| / |hard|" },
        Column {
            name: "gradient",
            role: Role::Exact,
            meaning: "size of the gradient for a random cotangent of length 1, root mean square over items",
        },
        Column { name: "non_finite", role: Role::Exact, meaning: "numbers left out for not being finite" },
        Column {
            name: "hard_seconds",
            role: Role::Time,
            meaning: "median time of the hard operator, one item",
        },
        Column { name: "forward_seconds", role: Role::Time, meaning: "median time forward, one item" },
        Column { name: "backward_seconds", role: Role::Time, meaning: "median time backward, one item" },
    ],
};

/// The relaxations: operators with a softness and a hard form that do not draw, each with its family.
pub fn operators() -> Vec<(&'static str, &'static Entry)> {
    let all = supple_ops::CATALOGUE.iter().flat_map(|f| f.entries.iter().map(|e| (f.name, e)));
    let named = |entry: &Entry, name: &str| entry.fields.iter().any(|field| field.name == name);
    all.filter(|(_, entry)| named(entry, "softness") && !named(entry, "seed") && has_hard_form(entry))
        .collect()
}

/// Seen by trying it on small inputs.
fn has_hard_form(entry: &Entry) -> bool {
    let operator = (entry.make)();
    let Some(sizes) = smallest(operator.bench_sizes()) else { return false };
    let batch = sample(&*operator, &sizes, 1, 0);
    batch.is_ok_and(|batch| Erased::<f64>::evaluate(&*operator, batch.inputs(Mode::Hard)).is_ok())
}

fn smallest(sizes: Vec<Vec<usize>>) -> Option<Vec<usize>> {
    sizes.into_iter().min_by_key(|sizes| sizes.iter().product::<usize>())
}

/// The cells of a run.
pub fn plan(
    operators: &[(&'static str, &'static Entry)],
    softness: &[f64],
    items: usize,
    seed: u64,
) -> Vec<Job<'static>> {
    let cell = |(&(family, entry), &softness): (&(&'static str, &'static Entry), &f64)| {
        let keys = Row::default().with("operator", entry.name).with("softness", softness);
        let keys = keys.with("family", family);
        let named = keys.clone();
        let work = move || match measure(entry, softness, items, seed) {
            Ok(row) => Row(named.0.clone().into_iter().chain(row.0).collect()),
            Err(error) => named.clone().with("status", "failed").with("reason", error.to_string()),
        };
        Job { keys, work: Box::new(work) }
    };
    operators.iter().flat_map(|operator| softness.iter().map(move |s| cell((operator, s)))).collect()
}

fn measure(entry: &Entry, softness: f64, items: usize, seed: u64) -> Result<Row, Error> {
    let mut operator = (entry.make)();
    operator.set("softness", Value::Float(softness))?;
    let operator = &*operator;
    let sizes = smallest(operator.bench_sizes()).unwrap_or_default();
    let batch = sample(operator, &sizes, items, seed)?;
    let evaluate = |mode| Erased::<f64>::evaluate(operator, batch.inputs(mode));
    let ((hard, _), hard_seconds) = timed(|| evaluate(Mode::Hard))?;
    let (_, forward_seconds) = timed(|| evaluate(Mode::Soft))?;
    let (soft, pullback) = Erased::<f64>::linearize(operator, batch.inputs(Mode::Soft))?;
    let cotangents = cotangents(&soft, items, seed);
    let (x, y, dy) = (views(&batch.x), views(&soft), views(&cotangents));
    let (dx, backward_seconds) = timed(|| pullback.vjp(&x, &y, &dy))?;
    let pairs = soft.iter().flatten().zip(hard.iter().flatten());
    let (mut off, mut size, mut lost) = (0.0, 0.0, 0);
    for (y, h) in pairs {
        if y.is_finite() && h.is_finite() {
            off += (y - h) * (y - h);
            size += h * h;
        } else {
            // The same infinity, as in a mask, is no distance.
            lost += (y != h) as usize;
        }
    }
    let slopes = dx.iter().flatten();
    lost += slopes.clone().filter(|dx| !dx.is_finite()).count();
    let slope: f64 = slopes.filter(|dx| dx.is_finite()).map(|dx| dx * dx).sum();
    let distance = f64::sqrt(if size > 0.0 { off / size } else { off });
    let names = operator.signature()?.symbols.iter().map(|symbol| symbol.name);
    let sizes: Vec<String> = names.zip(&sizes).map(|(name, size)| format!("{name} = {size}")).collect();
    let row = Row::default().with("status", "measured").with("sizes", sizes.join(", "));
    let row = row.with_number("distance", distance).with_number("gradient", (slope / items as f64).sqrt());
    let row = row.with("non_finite", lost).with_number("hard_seconds", hard_seconds / items as f64);
    let row = row.with_number("forward_seconds", forward_seconds / items as f64);
    Ok(row.with_number("backward_seconds", backward_seconds / items as f64))
}

/// A result and the median time of some runs, which together take little.
fn timed<R>(run: impl Fn() -> Result<R, Error>) -> Result<(R, f64), Error> {
    let begin = Instant::now();
    let mut result = run()?;
    let mut seconds = vec![];
    while seconds.len() < 25 && (seconds.len() < 3 || begin.elapsed().as_secs_f64() < 0.02) {
        let start = Instant::now();
        result = run()?;
        seconds.push(start.elapsed().as_secs_f64());
    }
    seconds.sort_by(f64::total_cmp);
    Ok((result, median(&seconds)))
}

/// Inputs of several items.
struct Batch {
    x: Vec<ArrayD<f64>>,
    k: Vec<ArrayD<i64>>,
}

impl Batch {
    fn inputs(&self, mode: Mode) -> AnyInputs<'_, f64> {
        let options = Options { mode, ..Options::default() };
        AnyInputs { x: views(&self.x), k: self.k.iter().map(|k| k.view()).collect(), options }
    }
}

fn views(arrays: &[ArrayD<f64>]) -> Vec<ArrayViewD<'_, f64>> {
    arrays.iter().map(|array| array.view()).collect()
}

/// The operator's own samples.
fn sample(operator: &dyn AnyContract, sizes: &[usize], items: usize, seed: u64) -> Result<Batch, Error> {
    let signature = operator.signature()?;
    let samples: Vec<_> =
        (0..items).map(|item| operator.sample(sizes, &mut Stream::new(seed, item, 0))).collect();
    let shape = |argument: &Argument| {
        IxDyn(&[&[items], &argument.core.iter().map(|&s| sizes[s]).collect::<Vec<_>>()[..]].concat())
    };
    let wrong = |e: ndarray::ShapeError| Error::argument(operator.name(), "sample", "of its sizes", e);
    let real = |(i, argument): (usize, &Argument)| {
        let flat = samples.iter().flat_map(|(x, _)| x[i].iter().copied()).collect();
        ArrayD::from_shape_vec(shape(argument), flat).map_err(wrong)
    };
    let index = |(i, argument): (usize, &Argument)| {
        let flat = samples.iter().flat_map(|(_, k)| k[i].iter().copied()).collect();
        ArrayD::from_shape_vec(shape(argument), flat).map_err(wrong)
    };
    let x = signature.inputs.iter().enumerate().map(real).collect::<Result<_, _>>()?;
    Ok(Batch { x, k: signature.indices.iter().enumerate().map(index).collect::<Result<_, _>>()? })
}

/// A random direction for each item, of length 1 over all outputs.
fn cotangents(y: &[ArrayD<f64>], items: usize, seed: u64) -> Vec<ArrayD<f64>> {
    let mut dy: Vec<ArrayD<f64>> = y.iter().map(|y| ArrayD::zeros(y.raw_dim())).collect();
    for item in 0..items {
        let mut random = Stream::new(seed, item, 1);
        let mut squares = 0.0;
        let rows = |dy: &mut ArrayD<f64>, f: &mut dyn FnMut(&mut f64)| {
            let each = dy.len() / items;
            dy.iter_mut().skip(item * each).take(each).for_each(f);
        };
        for dy in &mut dy {
            rows(dy, &mut |dy| {
                *dy = random.normal();
                squares += *dy * *dy;
            });
        }
        for dy in &mut dy {
            rows(dy, &mut |dy| *dy /= squares.sqrt());
        }
    }
    dy
}

/// The results as a table from sorted rows: distances, then gradients, over softness.
pub fn tables(rows: &[Row]) -> String {
    let mut softness: Vec<f64> = rows.iter().map(|row| row.number("softness")).collect();
    softness.sort_by(f64::total_cmp);
    softness.dedup();
    let mut text = String::new();
    for (name, title) in [("distance", "|soft − hard| / |hard|"), ("gradient", "size of the gradient")] {
        let mut head = vec![title.to_string()];
        head.extend(softness.iter().map(|s| format!("@{s}")));
        head.push("forward / hard".into());
        head.push("backward".into());
        let of = |group: &[Row]| {
            let mut cells = vec![group[0].text("operator").to_string()];
            let at = |s: &f64| group.iter().find(|row| row.number("softness") == *s);
            let number = |row: &Row| if row.is_measured() { short(row.number(name)) } else { "✗".into() };
            cells.extend(softness.iter().map(|s| at(s).map_or(String::new(), number)));
            let middle = &group[group.len() / 2];
            let ratio = middle.number("forward_seconds") / middle.number("hard_seconds");
            cells.extend([short(ratio), time(middle.number("backward_seconds"))]);
            cells
        };
        let groups = rows.chunk_by(|a, b| a.text("operator") == b.text("operator"));
        text += &format!("\n{}", Table { head, rows: groups.map(of).collect() });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operator(name: &str) -> (&'static str, &'static Entry) {
        operators().into_iter().find(|(_, entry)| entry.name == name).expect("in the catalogue")
    }

    #[test]
    fn softmax_is_hard_when_cold_and_flat_when_hot() {
        let jobs = plan(&[operator("softmax")], &[1e-4, 1e6], 8, 1);
        let rows: Vec<Row> = jobs.iter().map(|job| (job.work)()).collect();
        assert!(rows.iter().all(Row::is_measured), "{rows:?}");
        assert!(rows[0].number("distance") < 1e-3);
        // 1 / n against one-hot, for n = 16.
        assert!((rows[1].number("distance") - (15.0_f64 / 16.0).sqrt()).abs() < 1e-4);
        assert!(rows[1].number("gradient") < 1e-5);
    }

    #[test]
    fn cotangents_have_length_1_in_each_item() {
        let y = [ArrayD::zeros(IxDyn(&[3, 4])), ArrayD::zeros(IxDyn(&[3]))];
        let dy = cotangents(&y, 3, 1);
        for item in 0..3 {
            let [matrix, vector] = &dy[..] else { panic!("two outputs") };
            let squares: f64 = matrix.iter().skip(4 * item).take(4).map(|x| x * x).sum();
            assert!((squares + vector[item] * vector[item] - 1.0).abs() < 1e-12);
        }
    }
}
