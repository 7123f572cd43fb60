//! What order, selection and choice cost beside LibTorch's own functions: `cargo bench -p supple-benches --bench
//! order`.
//!
//! Everything is f32, forward and backward through `supple_tch`, on one thread; what stands beside it runs in
//! turn with it, in the same process. Times are tenth percentiles, because what else a machine does only ever adds. Each
//! answer is checked before it is timed.

use std::cell::Cell;
use std::time::Instant;
use supple_benches::{OPTIONS, alone, close, compare, interleaved, one_thread};
use supple_ops::order::{Distribution, Network, Regularization, SoftRank, SoftSort, SortingNetwork};
use supple_tch::apply;
use tch::{Kind, Tensor};

/// Rows and elements: of few elements, each row fits into registers.
const SHAPES: [[i64; 2]; 5] = [[128, 100], [32, 1000], [4, 10_000], [1, 100_000], [1, 1_000_000]];

/// Name, and softness for rows of n elements about one apart: of their neighbours pool none, about every
/// second pair, all.
const REGIMES: [(&str, fn(f64) -> f64); 3] = [("none", |_| 1e-3), ("some", |_| 0.9), ("all", |n| 4.0 * n)];

fn main() {
    // `cargo bench` passes `--bench`, and a test run of this target only checks that it starts.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    one_thread("f32, forward and backward");
    permutahedron();
    ten_million();
    choice();
    networks();
    top_k();
    neural_sort();
    sinkhorn_sort();
}

fn permutahedron() {
    for [rows, n] in SHAPES {
        // Not the same array again and again: what fits into a branch predictor would be sorted from memory.
        let count = if rows * n < 20_000 { 33 } else { 1 };
        let inputs: Vec<Tensor> = (0..count).map(|_| spaced(rows, n)).collect();
        let turn = Cell::new(0);
        let x = || &inputs[turn.replace(turn.get() + 1) % inputs.len()];
        for (regularization, name) in [(Regularization::L2, "l2"), (Regularization::Entropic, "entropic")] {
            for (regime, softness) in REGIMES {
                let softness = softness(n as f64);
                let rank = SoftRank { softness, regularization, ..SoftRank::default() };
                // In the entropic form of sort, softness is not measured in data.
                let sort = SoftSort { softness, regularization, ..SoftSort::default() };
                if regime == "none" {
                    check_sorted(&inputs[0], &ranks_and_values(&rank, &sort, &inputs[0]));
                }
                let form = format!("{name}, {rows}×{n}, {regime} pooled");
                let hard = || drop(x().sort(-1, false));
                let ranks = |x: &Tensor| one(apply(&rank, [x]));
                let values = |x: &Tensor| one(apply(&sort, [x]));
                compare(&format!("soft_rank {form}"), &|| both_ways(x(), &ranks), "sort", &hard);
                compare(&format!("soft_sort {form}"), &|| both_ways(x(), &values), "sort", &hard);
            }
        }
    }
}

fn ranks_and_values(rank: &SoftRank, sort: &SoftSort, x: &Tensor) -> [Tensor; 2] {
    [one(apply(rank, [x])), one(apply(sort, [x]))]
}

/// Where nothing pools, ranks and values are the hard ones.
fn check_sorted(x: &Tensor, [ranks, sorted]: &[Tensor; 2]) {
    let (values, order) = x.sort(-1, false);
    let places = Tensor::arange_start(1.0, x.size()[1] as f64 + 1.0, OPTIONS).expand_as(x);
    let expected = Tensor::zeros_like(x).scatter(-1, &order, &places);
    close("hard ranks", ranks, &expected, 1e-3);
    close("hard values", sorted, &values, 1e-3);
}

/// Ten million elements, and the memory that they take.
fn ten_million() {
    let x = Tensor::randn([10_000_000], OPTIONS);
    let before = memory("VmRSS");
    let start = Instant::now();
    both_ways(&x, &|x| supple_tch::soft_rank(x, -1, 1e-6));
    let seconds = start.elapsed().as_secs_f64();
    let after = memory("VmHWM");
    let memory = match before.zip(after) {
        Some((before, after)) => format!("{:.1} × the input", (after - before) / 40e3),
        None => "memory unknown".into(),
    };
    println!("{:>44} {:>10.3} {memory:>22}", "soft_rank l2, 1×10000000", seconds * 1e3);
}

/// A figure of `/proc/self/status` in kB, where there is one.
fn memory(name: &str) -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with(name))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

fn choice() {
    for scale in [1.0, 0.1] {
        let x = Tensor::randn([32, 32_000], OPTIONS) * scale;
        let ones = Tensor::ones([32], OPTIONS);
        close("sparsemax", &supple_tch::sparsemax(&x, -1, 1.0).sum_dim_intlist(-1, false, None), &ones, 1e-5);
        close("entmax15", &supple_tch::entmax15(&x, -1, 1.0).sum_dim_intlist(-1, false, None), &ones, 1e-5);
        let softmax = || both_ways(&x, &|x| x.softmax(-1, None));
        let name = |operator: &str| format!("{operator}, 32×32000, data of scale {scale}");
        compare(
            &name("sparsemax"),
            &|| both_ways(&x, &|x| supple_tch::sparsemax(x, -1, 1.0)),
            "softmax",
            &softmax,
        );
        compare(
            &name("entmax15"),
            &|| both_ways(&x, &|x| supple_tch::entmax15(x, -1, 1.0)),
            "softmax",
            &softmax,
        );
    }
}

fn networks() {
    for (network, name, n) in [(Network::Bitonic, "bitonic", 1024), (Network::OddEven, "odd-even", 256)] {
        let x = spaced(16, n);
        let (values, _) = x.sort(-1, false);
        for (distribution, shape) in [(Distribution::Cauchy, "cauchy"), (Distribution::Logistic, "logistic")]
        {
            let operator =
                |softness| SortingNetwork { softness, network, distribution, ..SortingNetwork::default() };
            close(name, &one(apply(&operator(1e-6), [&x])), &values, 0.05);
            let network = operator(0.5);
            let ours = || both_ways(&x, &|x| one(apply(&network, [x])));
            compare(&format!("sorting_network {name}, {shape}, 16×{n}"), &ours, "sort", &|| {
                drop(x.sort(-1, false))
            });
        }
    }
}

fn top_k() {
    let (x, k) = (spaced(16, 1000), 10);
    let (_, largest) = x.topk(k, -1, true, true);
    let mask = Tensor::zeros_like(&x).scatter_value(-1, &largest, 1.0);
    close("mask", &supple_tch::soft_top_k(&x, -1, k as usize, 1e-3), &mask, 1e-6);
    for softness in [1e-3, 1.0, 100.0] {
        let ours = || both_ways(&x, &|x| supple_tch::soft_top_k(x, -1, k as usize, softness));
        let theirs = || drop(x.topk(k, -1, true, true));
        compare(&format!("soft_top_k l2, 16×1000, k = {k}, softness {softness}"), &ours, "topk", &theirs);
    }
}

fn neural_sort() {
    for softness in [0.1, 10.0, 1000.0] {
        let x = spaced(1, 1000);
        let dense = |x: &Tensor| {
            let n = x.size()[1];
            let distances = (x.unsqueeze(-1) - x.unsqueeze(-2)).abs().sum_dim_intlist(-1, false, None);
            let slopes = Tensor::arange_start_step(1 - n, n + 1, 2, OPTIONS);
            let scores = x.unsqueeze(-2) * slopes.unsqueeze(-1) - distances.unsqueeze(-2);
            (scores / softness).softmax(-1, None).matmul(&x.unsqueeze(-1)).squeeze_dim(-1)
        };
        close("NeuralSort", &supple_tch::neural_sort(&x, -1, softness), &dense(&x), 2e-2);
        let ours = || both_ways(&x, &|x| supple_tch::neural_sort(x, -1, softness));
        compare(&format!("neural_sort, 1×1000, softness {softness}"), &ours, "dense matrix", &|| {
            both_ways(&x, &dense)
        });
    }
    let x = spaced(1, 10_000);
    alone("neural_sort, 1×10000, softness 1", &|| both_ways(&x, &|x| supple_tch::neural_sort(x, -1, 1.0)));
}

fn sinkhorn_sort() {
    let (x, softness) = (Tensor::rand([32, 1000], OPTIONS), 0.01);
    let ours = |x: &Tensor| supple_tch::sort(x, -1, "sinkhorn", softness, supple_tch::Mode::Soft);
    close("Sinkhorn", &ours(&x), &dense_sinkhorn(&x, softness), 1e-4);
    let [once] = interleaved([&|| both_ways(&x, &ours)]);
    let start = Instant::now();
    drop(dense_sinkhorn(&x, softness));
    let dense = start.elapsed().as_secs_f64() * 1e3;
    let what = format!("sort by sinkhorn, 32×1000, softness {softness}");
    println!("{what:>44} {once:>10.3} {:>22} {dense:>10.3} {:>7.4}", "dense, forward only", once / dense);
}

/// Sinkhorn's iteration with dense kernels, one item at a time, until the marginals are right to 1e-6: what POT's
/// `ot.sinkhorn` does with tensors.
fn dense_sinkhorn(x: &Tensor, softness: f64) -> Tensor {
    let _no_graph = tch::no_grad_guard();
    let n = x.size()[1];
    let places = Tensor::linspace(0.0, 1.0, n, OPTIONS);
    let sorted = |x: Tensor| {
        let kernel = (-(x.unsqueeze(-1) - &places).square() / softness).exp();
        let mass = Tensor::full([n], 1.0 / n as f64, OPTIONS);
        let mut u = mass.shallow_clone();
        loop {
            let mut v = mass.shallow_clone();
            for _ in 0..10 {
                v = &mass / u.matmul(&kernel);
                u = &mass / kernel.matmul(&v);
            }
            let off = (&v * u.matmul(&kernel) - &mass).norm().double_value(&[]);
            if off < 1e-6 {
                return v * (u * x).matmul(&kernel) * n as f64;
            }
        }
    };
    Tensor::stack(&x.unbind(0).into_iter().map(sorted).collect::<Vec<_>>(), 0)
}

/// A shuffled 0, 1, …, n − 1 with jitter: neighbours are about one apart.
fn spaced(rows: i64, n: i64) -> Tensor {
    let order = Tensor::rand([rows, n], OPTIONS).argsort(-1, false);
    order.to_kind(Kind::Float) + Tensor::rand([rows, n], OPTIONS) * 0.5
}

fn one(outputs: Result<[Tensor; 1], supple_tch::Error>) -> Tensor {
    let [y] = outputs.expect("an answer for each row");
    y
}

/// Forward and backward; the cotangent is the input: any fixed tensor that costs nothing to make.
fn both_ways(x: &Tensor, operator: &dyn Fn(&Tensor) -> Tensor) {
    let x = x.detach().set_requires_grad(true);
    let y = operator(&x);
    let gradient = Tensor::run_backward(&[(&y * x.detach()).sum(Kind::Float)], &[&x], false, false);
    drop(gradient);
}
