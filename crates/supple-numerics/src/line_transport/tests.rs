//! Rows and plans against their definitions.

use super::*;
use supple_core::Stream;

/// Values that are hard in one way each.
fn data(n: usize) -> Vec<(&'static str, Vec<f64>)> {
    let mut random = Stream::new(1, 0, 0);
    let normals = random.normals(n);
    let uniforms: Vec<f64> = (0..n).map(|_| random.uniform()).collect();
    let heavy = uniforms.iter().map(|u| (std::f64::consts::PI * (u - 0.5)).tan()).collect();
    let clusters = normals.iter().enumerate().map(|(i, x)| if i % 2 == 0 { 1e-3 * x } else { 5.0 + x });
    let far = normals.iter().enumerate().map(|(i, x)| x + if i % 3 == 0 { 300.0 } else { 0.0 });
    let mut all = vec![
        ("clusters", clusters.collect()),
        ("far", far.collect()),
        ("heavy tails", heavy),
        ("ties", normals.iter().map(|x| (2.0 * x).round() / 2.0).collect()),
        ("one value", vec![1.0; n]),
        ("normal", normals),
        ("uniform", uniforms),
    ];
    all.iter_mut().for_each(|(_, x): &mut (_, Vec<f64>)| x.sort_by(f64::total_cmp));
    all
}

fn uniform(values: Vec<f64>, m: usize, softness: f64) -> Problem<f64> {
    let n = values.len();
    let rate = 2.0 / (m as f64 - 1.0).max(1.0) / softness;
    Problem { values, weights: vec![1.0 / n as f64; n], masses: vec![1.0 / m as f64; m], rate }
}

/// The plan's rows with all of their shares, from the thresholds.
fn naive_row(x: f64, thresholds: &[f64], rate: f64) -> Vec<f64> {
    let home = thresholds.iter().filter(|&&t| t < x).count();
    let share = |j: usize| {
        let log: f64 = if j < home {
            thresholds[j..home].iter().rev().map(|t| rate * (t - x)).sum()
        } else {
            thresholds[home..j].iter().map(|t| rate * (x - t)).sum()
        };
        log.exp()
    };
    let shares: Vec<f64> = (0..=thresholds.len()).map(share).collect();
    let sum: f64 = shares.iter().sum();
    shares.into_iter().map(|p| p / sum).collect()
}

#[test]
fn interpolated_rows_have_all_digits() {
    for (name, x) in data(300) {
        for softness in [100.0, 1.0, 0.1, 1e-2, 1e-3, 1e-4] {
            let plan = uniform(x.clone(), x.len(), softness).solve().unwrap();
            let n = x.len();
            let thresholds: Vec<f64> = plan.quantiles.iter().zip(&plan.shifts).map(|(q, s)| q + s).collect();
            let f: Vec<f64> = (0..n).map(|j| ((j * j) as f64).sin()).collect();
            let g: Vec<f64> = (0..n).map(|i| 1.0 + ((7 * i * i) as f64).sin()).collect();
            let ((means, slopes), totals, places) = (plan.means(&f), plan.totals(&g), plan.places());
            let mut expected_totals = vec![0.0; n];
            let mut worst: [f64; 4] = [0.0; 4];
            for (i, &x) in x.iter().enumerate() {
                let p = naive_row(x, &thresholds, plan.problem.rate);
                let mean =
                    |f: &dyn Fn(usize) -> f64| p.iter().enumerate().map(|(j, p)| p * f(j)).sum::<f64>();
                let place = mean(&|j| j as f64);
                let average = mean(&|j| f[j]);
                let slope = mean(&|j| (j as f64 - place) * (f[j] - average));
                let spread = mean(&|j| (j as f64 - place).powi(2)).sqrt();
                worst[0] = worst[0].max((means[i] - average).abs());
                worst[1] = worst[1].max((slopes[i] - slope).abs() / (1.0 + spread));
                worst[2] = worst[2].max((places[i] - place).abs() / (1.0 + spread));
                expected_totals.iter_mut().zip(&p).for_each(|(t, p)| *t += p * g[i]);
            }
            for (t, e) in totals.iter().zip(&expected_totals) {
                worst[3] = worst[3].max((t - e).abs());
            }
            assert!(worst.iter().all(|w| *w < 2e-12), "{name}, softness {softness}: {worst:?}");
        }
    }
}

#[test]
fn marginals_at_every_softness_and_size() {
    for n in [1, 2, 3, 8, 60, 250] {
        for (name, x) in data(n) {
            for softness in [1e6, 100.0, 1.0, 0.1, 1e-2, 1e-3, 1e-4, 1e-6, 1e-14] {
                for (kind, weights) in weights(n) {
                    let problem = Problem { weights, ..uniform(x.clone(), n, softness) };
                    let case = format!("{name}, n {n}, {kind}, softness {softness}");
                    let plan = problem.clone().solve().unwrap_or_else(|e| panic!("{case}: {e}"));
                    let columns = plan.totals(&problem.weights);
                    let error: f64 = columns.iter().zip(&problem.masses).map(|(c, b)| (c - b).abs()).sum();
                    assert!(error < 1e-12, "{case}: {error:e}");
                }
            }
        }
    }
}

/// Newton's steps meet stretches where no value is.
#[test]
fn small_softness_needs_no_luck() {
    let of_sum_one = |x: Vec<f64>| {
        let sum: f64 = x.iter().sum();
        x.into_iter().map(|x| x / sum).collect::<Vec<_>>()
    };
    for (seed, softness) in (0..100).flat_map(|seed| [1e-7, 1e-8, 1e-10].map(|s| (seed, s))) {
        let mut random = Stream::new(seed, 0, 0);
        let mut x: Vec<f64> = (0..500).map(|_| random.uniform()).collect();
        x.sort_by(f64::total_cmp);
        let weights = of_sum_one((0..500).map(|_| 0.2 + random.uniform()).collect());
        let problem = Problem { weights, ..uniform(x, 500, softness) };
        if let Err(fault) = problem.solve() {
            panic!("seed {seed}, softness {softness}: {fault}");
        }
    }
    // One over their number is not exact.
    let mut x: Vec<f64> = Stream::new(0, 0, 0).normals(100_000);
    x.sort_by(f64::total_cmp);
    assert!(uniform(x, 100_000, 1e-12).solve().is_ok());
}

fn weights(n: usize) -> Vec<(&'static str, Vec<f64>)> {
    let mut random = Stream::new(2, 0, 0);
    let of_sum_one = |x: Vec<f64>| {
        let sum: f64 = x.iter().sum();
        x.into_iter().map(|x| x / sum).collect::<Vec<_>>()
    };
    let noise: Vec<f64> = (0..n).map(|_| random.uniform()).collect();
    vec![
        ("equal", of_sum_one(vec![1.0; n])),
        ("uniform", of_sum_one(noise.iter().map(|u| 0.2 + u).collect())),
        ("wild", of_sum_one(random.normals(n).iter().map(|x| (5.0 * x).exp()).collect())),
        (
            "some zero",
            of_sum_one(
                noise.iter().map(|u| (3.0 * u).round() + if *u == noise[0] { 1.0 } else { 0.0 }).collect(),
            ),
        ),
    ]
}

/// Everything that a plan gives, one after the other.
fn all_of<A: Real<Acc = A>>(plan: &LineTransport<A>) -> Vec<A> {
    let n = plan.problem().values.len();
    let wave = |factor: f64| (0..n).map(|j| A::of((factor * j as f64).sin())).collect::<Vec<A>>();
    let load: Vec<A> = wave(0.3).iter().zip(&wave(0.3)[1..]).map(|(&a, &b)| a - b).collect();
    let load: Vec<A> = load.iter().copied().chain([-load.iter().copied().sum::<A>()]).collect();
    let (means, slopes) = plan.means(&wave(0.1));
    let mut all = [plan.places(), plan.totals(&plan.problem().values), means, slopes].concat();
    // Potentials are known up to a constant.
    let potentials = plan.potentials(&load);
    all.extend(potentials.windows(2).map(|pair| (pair[1] - pair[0]) * A::of(1.0 / n as f64)));
    let mut weighted = vec![A::zero(); n];
    plan.for_each_row(DEEP, |i, columns, row| {
        columns.zip(row).for_each(|(j, &p)| weighted[i] += p * A::of((i * j) as f64).square());
    });
    all.extend(weighted.iter().map(|&w| w / A::of((n as f64).powi(4))));
    all.extend(plan.pull(DEEP, |i, j| A::of((i + 3 * j) as f64 / n as f64).square() * A::of(1.0 / n as f64)));
    all
}

const DEEP: f64 = 100.0;

#[test]
fn tangents_are_differences() {
    let n = 150;
    for (name, x) in data(n) {
        if ["ties", "one value"].contains(&name) {
            // Values that are moved apart would not be sorted.
            continue;
        }
        for softness in [20.0, 0.5, 0.05] {
            let (_, weights) = weights(n).swap_remove(1);
            let problem = Problem { weights, ..uniform(x.clone(), n, softness) };
            let mut random = Stream::new(4, 0, 0);
            let mut moves = [random.normals(n), random.normals(n)];
            // Neighbours move alike, so that they stay in order; masses keep their sum.
            moves[0].iter_mut().zip(&x).for_each(|(v, x)| *v = 1.0 + x.sin());
            let mean = moves[1].iter().sum::<f64>() / n as f64;
            moves[1].iter_mut().zip(&problem.weights).for_each(|(v, w)| *v = (*v - mean) * w);
            let excess: f64 = moves[1].iter().sum();
            moves[1].iter_mut().for_each(|v| *v -= excess / n as f64);

            let dual = |x: &[f64], v: &[f64]| x.iter().zip(v).map(|(&x, &v)| Dual::new(x, v)).collect();
            let duals = Problem {
                values: dual(&problem.values, &moves[0]),
                weights: dual(&problem.weights, &moves[1]),
                masses: problem.masses.clone(),
                rate: problem.rate,
            };
            let plan = duals.clone().solve().unwrap();
            let got = all_of(&plan);
            assert!(all_of(&duals.at(plan.shifts())).iter().zip(&got).all(|(a, b)| (a.d - b.d).abs() < 1e-9));
            let at = |step: f64| {
                let moved = |x: &[f64], v: &[f64]| x.iter().zip(v).map(|(x, v)| x + step * v).collect();
                let problem = Problem {
                    values: moved(&problem.values, &moves[0]),
                    weights: moved(&problem.weights, &moves[1]),
                    ..problem.clone()
                };
                all_of(&problem.solve().unwrap())
            };
            let step = 1e-5;
            let (here, ahead, behind) = (at(0.0), at(step), at(-step));
            let largest = got.iter().fold(1.0, |most: f64, g| most.max(g.d.abs()));
            for i in 0..got.len() {
                let slope = (ahead[i] - behind[i]) / (2.0 * step);
                assert!((got[i].v - here[i]).abs() < 1e-9 * (1.0 + here[i].abs()), "{name} {softness} {i}");
                let gap = (got[i].d - slope).abs();
                assert!(gap < 1e-6 * largest, "{name} {softness} {i}: {} for {slope}", got[i].d);
            }
        }
    }
}
