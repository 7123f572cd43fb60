//! Every operator × size × pass, each beside its hard operator: `cargo bench -p supple-benches --bench catalogue`.
//!
//! A batch of 64 items in single precision on one thread. The ratio of `forward` and `backward` to `hard` is
//! what a relaxation costs over the discrete function.

use criterion::{BenchmarkId, Criterion, Throughput};
use ndarray::{ArrayD, ArrayViewD, IxDyn};
use supple_core::{AnyContract, AnyInputs, Argument, Entry, Erased, Mode, Options, Stream};

const ITEMS: usize = 64;

fn main() {
    let one_thread = rayon::ThreadPoolBuilder::new().num_threads(1).build_global();
    one_thread.expect("nobody has made a pool before");
    let mut criterion = Criterion::default().configure_from_args();
    let families = supple_ops::CATALOGUE.iter().copied().chain([&supple_convex::FAMILY]);
    for entry in families.flat_map(|family| family.entries) {
        bench(&mut criterion, entry);
    }
    criterion.final_summary();
}

fn bench(criterion: &mut Criterion, entry: &Entry) {
    let operator = (entry.make)();
    let operator: &dyn AnyContract = &*operator;
    let mut group = criterion.benchmark_group(entry.name);
    group.throughput(Throughput::Elements(ITEMS as u64));
    for sizes in operator.bench_sizes() {
        let (x, k) = sample(operator, &sizes);
        let in_mode = |mode| AnyInputs {
            x: x.iter().map(|a| a.view()).collect(),
            k: k.iter().map(|a| a.view()).collect(),
            options: Options { mode, ..Options::default() },
        };
        let id = |pass: &str| BenchmarkId::new(pass, format!("{sizes:?}"));
        if Erased::<f32>::evaluate(operator, in_mode(Mode::Hard)).is_ok() {
            group.bench_function(id("hard"), |b| {
                b.iter(|| Erased::<f32>::evaluate(operator, in_mode(Mode::Hard)).expect("as before"));
            });
        }
        group.bench_function(id("forward"), |b| {
            b.iter(|| Erased::<f32>::evaluate(operator, in_mode(Mode::Soft)).expect("a legal sample"));
        });
        let (y, pullback) = Erased::<f32>::linearize(operator, in_mode(Mode::Soft)).expect("a legal sample");
        let x: Vec<ArrayViewD<'_, f32>> = x.iter().map(|a| a.view()).collect();
        let y: Vec<ArrayViewD<'_, f32>> = y.iter().map(|a| a.view()).collect();
        group.bench_function(id("backward"), |b| {
            b.iter(|| pullback.vjp(&x, &y, &y).expect("cotangents of the outputs' shapes"));
        });
    }
    group.finish();
}

/// A batch of the operator's own samples.
fn sample(operator: &dyn AnyContract, sizes: &[usize]) -> (Vec<ArrayD<f32>>, Vec<ArrayD<i64>>) {
    let signature = operator.signature().expect("a catalogue entry has one");
    let samples: Vec<_> =
        (0..ITEMS).map(|item| operator.sample(sizes, &mut Stream::new(0, item, 0))).collect();
    let shape = |argument: &Argument| -> IxDyn {
        IxDyn(&[&[ITEMS], &argument.core.iter().map(|&s| sizes[s]).collect::<Vec<_>>()[..]].concat())
    };
    let real = |(i, argument): (usize, &Argument)| {
        let flat = samples.iter().flat_map(|(x, _)| x[i].iter().map(|&x| x as f32)).collect();
        ArrayD::from_shape_vec(shape(argument), flat).expect("samples of these sizes")
    };
    let index = |(i, argument): (usize, &Argument)| {
        let flat = samples.iter().flat_map(|(_, k)| k[i].iter().copied()).collect();
        ArrayD::from_shape_vec(shape(argument), flat).expect("samples of these sizes")
    };
    let x = signature.inputs.iter().enumerate().map(real).collect();
    (x, signature.indices.iter().enumerate().map(index).collect())
}
