//! What perturbed solvers cost beside LibTorch and beside a loop in Python: `cargo bench -p supple-benches --bench
//! perturb`.
//!
//! One thread, but for the last lines; what stands beside ours runs in turn with it, in the same process, except
//! for Python, which runs after. Each answer is checked before it is timed.

use ndarray::Array2;
use std::process::Command;
use supple_benches::{OPTIONS, alone, close, compare, interleaved, one_thread};
use supple_core::{Stream, evaluate};
use supple_ops::perturb::oracles::GridPath;
use supple_ops::perturb::{Noise, Oracle, PerturbedArgmax, PerturbedTopK};
use supple_tch::apply;
use tch::{Kind, Tensor};

fn main() {
    // `cargo bench` passes `--bench`, and a test run of this target only checks that it starts.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    one_thread("forward");
    top_k();
    grid_paths();
}

/// 16 rows of 1000 scores, 500 samples.
fn top_k() {
    let (rows, n, samples, k) = (16, 1000, 500, 10);
    let x = Tensor::randn([rows, n], OPTIONS);
    let operator = PerturbedTopK {
        k: k as usize,
        softness: 0.5,
        samples: samples as usize,
        noise: Noise::Gaussian,
        seed: None,
    };
    let ours = || apply(&operator, [&x]).expect("an answer for each row")[0].shallow_clone();
    let noise = || Tensor::randn([samples, rows, n], OPTIONS);
    let vectorised = || {
        let (_, chosen) = (&x + noise() * operator.softness).topk(k, -1, true, false);
        chosen.one_hot(n).to_kind(Kind::Float).sum_dim_intlist(-2, false, None).mean_dim(
            0,
            false,
            Kind::Float,
        )
    };
    // Six standard errors of a probability from each.
    close("perturbed_top_k", &ours(), &vectorised(), 6.0 * (0.5 / samples as f64).sqrt());
    compare("perturbed_top_k 16×1000, 500 samples", &|| drop(ours()), "the same", &|| drop(vectorised()));
    let alone = || drop(noise().topk(k, -1, true, false));
    compare("perturbed_top_k 16×1000, 500 samples", &|| drop(ours()), "randn and topk", &alone);
}

/// 16 maps of 32 × 32, 100 perturbations of each.
fn grid_paths() {
    let (side, maps, samples) = (32, 16, 100);
    let oracle = GridPath::new(side, side, 8).expect("a grid");
    let costs = Array2::from_shape_fn((maps, side * side), |(map, cell)| {
        -(0.5 + Stream::new(7, map, cell).uniform())
    });
    let perturbed =
        PerturbedArgmax { softness: 0.05, samples, seed: Some(1), ..PerturbedArgmax::new(oracle.clone()) };
    let costs = costs.into_dyn();
    let run = || drop(evaluate(&perturbed, [costs.view()]).expect("a path for each map"));
    alone("GridPath, 16 maps 32×32 × 100", &run);
    python(&oracle, side);
    let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
    let pool = rayon::ThreadPoolBuilder::new().num_threads(cores).build().expect("threads");
    let [one, all] = interleaved([&run, &|| pool.install(run)]);
    println!(
        "{:>44} {all:>10.3} {:>22} {one:>10.3} {:>7.2}",
        format!("{cores} threads"),
        "1 thread",
        all / one
    );
}

/// A loop around Python's `heapq`, for one map.
fn python(oracle: &GridPath, side: usize) {
    let theta: Vec<f64> = (0..side * side).map(|cell| -(0.5 + Stream::new(7, 0, cell).uniform())).collect();
    let text = theta.iter().map(f64::to_string).collect::<Vec<_>>().join(" ");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/src/grid_path.py");
    let output = Command::new("python3").arg(script).arg(side.to_string()).arg(text).output();
    let Some(output) = output.ok().filter(|output| output.status.success()) else {
        return println!("{:>44}", "no python3 to run beside");
    };
    let output = String::from_utf8_lossy(&output.stdout).into_owned();
    let numbers: Vec<f64> = output.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let [cost, milliseconds] = numbers[..] else { panic!("grid_path.py printed {output}") };
    let mut path = vec![0.0; theta.len()];
    oracle.solve(&theta, &mut path).expect("a path");
    let ours: f64 = path.iter().zip(&theta).map(|(y, theta)| -y * theta).sum();
    assert!((ours - cost).abs() < 1e-9, "paths cost {ours} and {cost}");
    let [once] = interleaved([&|| drop(oracle.solve(&theta, &mut vec![0.0; theta.len()]))]);
    println!(
        "{:>44} {once:>10.3} {:>22} {milliseconds:>10.3} {:>7.3}",
        "GridPath, one map",
        "heapq in Python",
        once / milliseconds
    );
}
