//! Benches of all operators (see `benches/`), and how they are timed.
//!
//! What stands beside ours runs in turn with it, in the same process. Times are tenth percentiles, because what
//! else a machine does only ever adds.

use std::time::Instant;
use tch::{Device, Kind, Tensor};

/// What benches compute in.
pub const OPTIONS: (Kind, Device) = (Kind::Float, Device::Cpu);

/// Sets both libraries to one thread and prints the head of the table.
pub fn one_thread(title: &str) {
    tch::set_num_threads(1);
    let one_thread = rayon::ThreadPoolBuilder::new().num_threads(1).build_global();
    one_thread.expect("nobody has made a pool before");
    tch::manual_seed(0);
    println!("{title:>44} {:>10} {:>22} {:>10} {:>7}", "ms", "beside", "ms", "ratio");
}

/// Times one of ours beside one of LibTorch's and prints the line.
pub fn compare(what: &str, ours: &dyn Fn(), beside: &str, theirs: &dyn Fn()) {
    let [ours, theirs] = interleaved([ours, theirs]);
    println!("{what:>44} {ours:>10.3} {beside:>22} {theirs:>10.3} {:>7.2}", ours / theirs);
}

/// A line with nothing beside it.
pub fn alone(what: &str, ours: &dyn Fn()) {
    let [ours] = interleaved([ours]);
    println!("{what:>44} {ours:>10.3}");
}

/// Stops where an answer is not the expected one, relative to its size.
pub fn close(what: &str, got: &Tensor, expected: &Tensor, tolerance: f64) {
    let error = (got - expected).abs().max().double_value(&[]);
    let scale = expected.abs().max().double_value(&[]).max(1.0);
    assert!(error <= tolerance * scale, "{what}: off by {error} of {scale}");
}

/// Times in milliseconds of several functions run in turn, so that the machine's moods meet all of them.
pub fn interleaved<const N: usize>(functions: [&dyn Fn(); N]) -> [f64; N] {
    let start = Instant::now();
    let mut times = [const { vec![] }; N];
    while times[0].len() < 5 || start.elapsed().as_secs_f64() < 1.0 {
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
