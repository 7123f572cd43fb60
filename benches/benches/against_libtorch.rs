//! What soft sorting costs beside hard sorting: `cargo bench -p supple-benches --bench against_libtorch`.
//!
//! `soft_rank` and `soft_sort` (L2, f32, forward and backward) through `supple_tch`, beside LibTorch's own
//! `sort` of the same array, forward only, in one process on one thread. Data is a shuffled 0, 1, …, n − 1
//! with jitter, so that neighbours are about one apart; the softness then decides how many of them pool. Each
//! answer is checked before it is timed.

use std::time::Instant;
use tch::{Device, Kind, Tensor};

const SHAPES: [[i64; 2]; 5] = [[128, 100], [32, 1000], [4, 10_000], [1, 100_000], [1, 1_000_000]];

/// Name, and softness for rows of n elements about one apart: both operators pool nothing, about every second
/// pair of neighbours, everything.
const REGIMES: [(&str, fn(f64) -> f64); 3] =
    [("hard", |_| 1e-3), ("many blocks", |_| 0.9), ("one block", |n| 4.0 * n)];

fn main() {
    // `cargo bench` passes `--bench`, and a test run of this target only checks that it starts.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    tch::set_num_threads(1);
    let one_thread = rayon::ThreadPoolBuilder::new().num_threads(1).build_global();
    one_thread.expect("nobody has made a pool before");
    tch::manual_seed(0);
    println!(
        "f32, one thread: milliseconds (tenth percentile), and in brackets the multiple of LibTorch's sort"
    );
    println!("{:>11} {:>8} {:>12} {:>16} {:>16}", "shape", "sort", "regime", "soft_rank", "soft_sort");
    for [rows, n] in SHAPES {
        let x = data(rows, n);
        for (regime, softness) in REGIMES {
            let softness = softness(n as f64);
            check(&x, regime, softness);
            let [hard, rank, sort] = interleaved([
                &|| drop(x.sort(-1, false)),
                &|| forward_and_backward(&x, |x| supple_tch::soft_rank(x, -1, softness)),
                &|| forward_and_backward(&x, |x| supple_tch::soft_sort(x, -1, softness)),
            ]);
            let cell = |time: f64| format!("{time:.3} ({:.2})", time / hard);
            println!(
                "{:>11} {hard:>8.3} {regime:>12} {:>16} {:>16}",
                format!("{rows}x{n}"),
                cell(rank),
                cell(sort)
            );
        }
    }
}

fn data(rows: i64, n: i64) -> Tensor {
    let order = Tensor::rand([rows, n], (Kind::Float, Device::Cpu)).argsort(-1, false);
    order.to_kind(Kind::Float) + Tensor::rand([rows, n], (Kind::Float, Device::Cpu)) * 0.5
}

/// Ranks and sorted values are right where they are known: sums always, values in the hard regime.
fn check(x: &Tensor, regime: &str, softness: f64) {
    let n = x.size()[1] as f64;
    let ranks = supple_tch::soft_rank(x, -1, softness);
    let sorted = supple_tch::soft_sort(x, -1, softness);
    let mean = ranks.mean_dim(-1, false, Kind::Double) - (n + 1.0) / 2.0;
    assert!(mean.abs().max().double_value(&[]) < 1e-3 * n.max(1000.0) / 1000.0, "{regime}: mean rank");
    if regime == "hard" {
        let (values, order) = x.sort(-1, false);
        let places = Tensor::arange_start(1.0, n + 1.0, (Kind::Float, Device::Cpu)).expand_as(x);
        let expected = Tensor::zeros_like(x).scatter(-1, &order, &places);
        assert!((ranks - expected).abs().max().double_value(&[]) < 1e-3, "hard ranks");
        assert!((sorted - values).abs().max().double_value(&[]) < 1e-3, "hard values");
    }
}

fn forward_and_backward(x: &Tensor, operator: impl Fn(&Tensor) -> Tensor) {
    let x = x.detach().set_requires_grad(true);
    let y = operator(&x);
    // The cotangent is the input: any fixed tensor that costs nothing to make.
    let gradient = Tensor::run_backward(&[(&y * x.detach()).sum(Kind::Float)], &[&x], false, false);
    drop(gradient);
}

/// Times in milliseconds of several functions run in turn, so that the machine's moods meet all of them: the
/// tenth percentile, because what else a machine does only ever adds.
fn interleaved<const N: usize>(functions: [&dyn Fn(); N]) -> [f64; N] {
    let start = Instant::now();
    let mut times = [const { vec![] }; N];
    while times[0].len() < 5 || start.elapsed().as_secs_f64() < 2.0 {
        for (times, function) in times.iter_mut().zip(functions) {
            let start = Instant::now();
            function();
            times.push(start.elapsed().as_secs_f64() * 1e3);
        }
    }
    times.map(|mut times| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 10]
    })
}
