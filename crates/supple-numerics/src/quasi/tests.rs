use super::*;
use supple_core::{Kind, Parameter};

/// All of them, by their names.
fn all() -> Vec<Design> {
    let Kind::Choice(names) = Design::KIND else { panic!("a choice") };
    names.iter().map(|name| name.parse().unwrap()).collect()
}

fn random() -> Vec<Design> {
    all().into_iter().filter(|design| design.is_random()).collect()
}

fn fill(design: Design, seed: u64, item: usize, count: usize, n: usize) -> Vec<f64> {
    let mut u = vec![f64::NAN; design.rows(count, n) * n];
    design.fill(seed, item, count, n, &mut u);
    u
}

/// The mean of a function over a design.
fn mean(design: Design, item: usize, count: usize, n: usize, f: impl Fn(&[f64]) -> f64) -> f64 {
    let u = fill(design, 11, item, count, n);
    u.chunks_exact(n).map(f).sum::<f64>() / design.rows(count, n) as f64
}

/// $\prod_j (1 + c_j (e^{u_j} - e + 1))$, the integral of which is 1: smooth, with interactions.
fn smooth(u: &[f64]) -> f64 {
    let mean = std::f64::consts::E - 1.0;
    u.iter().enumerate().map(|(j, u)| 1.0 + (u.exp() - mean) / (j + 1) as f64).product()
}

/// Mean and variance of the error of 400 replicates.
fn errors(design: Design, count: usize, n: usize, f: impl Fn(&[f64]) -> f64) -> (f64, f64) {
    let means: Vec<f64> = (0..400).map(|item| mean(design, item, count, n, &f)).collect();
    let centre = means.iter().sum::<f64>() / 400.0;
    (centre - 1.0, means.iter().map(|m| (m - centre).powi(2)).sum::<f64>() / 399.0)
}

/// Whether the points of two coordinates lie evenly, `2^t` in each cell, in boxes of every shape.
fn is_net(u: &[f64], n: usize, [i, j]: [usize; 2], t: u32) -> bool {
    let rows = u.len() / n;
    let bits = rows.ilog2() - t;
    (0..=bits).all(|first| {
        let mut cells = vec![0; 1 << bits];
        for u in u.chunks_exact(n) {
            let cell = |u: f64, bits: u32| (u * (1u32 << bits) as f64) as usize;
            cells[cell(u[i], first) << (bits - first) | cell(u[j], bits - first)] += 1;
        }
        cells.iter().all(|count| *count == 1 << t)
    })
}

#[test]
fn budgets_are_spent_as_stated() {
    let rows = |count, n| all().iter().map(|design| design.rows(count, n)).collect::<Vec<_>>();
    assert_eq!(rows(0, 3), [0; 7]);
    assert_eq!(rows(1, 3), [1; 7]);
    assert_eq!(rows(27, 3), [27, 26, 27, 27, 27, 27, 27]);
    assert_eq!(rows(100, 2), [100; 7]);
    assert_eq!(rows(63, 3), [63, 62, 63, 63, 63, 27, 27]);
    assert_eq!(rows(1000, 3)[5..], [1000; 2]);
    assert_eq!(rows(1000, 100_000)[5..], [1; 2]);
    assert_eq!(rows(5, 0), [5, 4, 5, 5, 5, 1, 1]);
    assert_eq!(rows(5, 1)[5..], [5; 2]);
    for count in 0..200 {
        for n in 1..6 {
            let k = (0..).take_while(|k: &usize| k.pow(n as u32) <= count).last().unwrap();
            assert_eq!(Design::Cartesian.rows(count, n), k.pow(n as u32), "{count}, {n}");
        }
    }
}

#[test]
fn points_are_inside_the_cube_and_their_number_is_right() {
    for design in all() {
        for (count, n) in [(0, 3), (1, 1), (1, 4), (2, 2), (7, 3), (64, 60), (1000, 2), (5, 0)] {
            let u = fill(design, 1, 2, count, n);
            assert!(u.iter().all(|u| *u > 0.0 && *u < 1.0), "{design:?} {count} {n}");
        }
        // What is beyond the rows is left alone.
        let mut u = vec![f64::NAN; 60];
        design.fill(1, 2, 19, 3, &mut u);
        let rows = design.rows(19, 3);
        assert!(u[..3 * rows].iter().all(|u| u.is_finite()) && u[3 * rows..].iter().all(|u| u.is_nan()));
    }
    // Where rounding would reach the next cell of the last one.
    assert!(point(2, 3, 1.0 - 0.5 * f64::EPSILON) < 1.0);
}

#[test]
fn points_depend_on_seed_and_item_and_nothing_else() {
    for design in all() {
        let u = fill(design, 1, 2, 32, 3);
        assert_eq!(u, fill(design, 1, 2, 32, 3));
        for other in [fill(design, 2, 2, 32, 3), fill(design, 1, 3, 32, 3)] {
            assert_eq!(u == other, !design.is_random(), "{design:?}");
            // Neither is any number repeated.
            assert!(!design.is_random() || u.iter().all(|u| !other.contains(u)), "{design:?}");
        }
    }
}

#[test]
fn every_coordinate_is_stratified() {
    let strata = |u: &[f64], n: usize, i: usize| {
        let rows = u.len() / n;
        let mut cells: Vec<_> = u[i..].iter().step_by(n).map(|u| (u * rows as f64) as usize).collect();
        cells.sort_unstable();
        cells.into_iter().eq(0..rows)
    };
    for design in [Design::LatinHypercube, Design::Sobol, Design::RandomizedSobol] {
        for (count, n) in [(1, 3), (64, 1200), (1024, 60)] {
            let u = fill(design, 5, 0, count, n);
            assert!((0..n).all(|i| strata(&u, n, i)), "{design:?} {count} {n}");
        }
    }
    assert!((0..40).all(|i| strata(&fill(Design::LatinHypercube, 5, 0, 77, 40), 40, i)));
    // All prefixes of a scrambled sequence: no two in a cell of the next power of two.
    let u = fill(Design::RandomizedSobol, 5, 0, 77, 40);
    for i in 0..40 {
        let mut cells: Vec<_> = u[i..].iter().step_by(40).map(|u| (u * 128.0) as usize).collect();
        cells.sort_unstable();
        cells.dedup();
        assert_eq!(cells.len(), 77);
    }
    // Grids: every cell once.
    let middles = fill(Design::Cartesian, 5, 0, 64, 3);
    let mut cells: Vec<_> = fill(Design::RandomizedCartesian, 5, 0, 64, 3)
        .chunks_exact(3)
        .zip(middles.chunks_exact(3))
        .map(|(u, middle)| {
            let cell = [0, 1, 2].map(|i| (u[i] * 4.0) as usize);
            assert_eq!(middle, cell.map(|cell| (cell as f64 + 0.5) / 4.0));
            cell
        })
        .collect();
    cells.sort_unstable();
    cells.dedup();
    assert_eq!(cells.len(), 64);
}

#[test]
fn mirror_images_sum_to_one() {
    let u = fill(Design::Antithetic, 5, 0, 11, 3);
    assert_eq!(u.len(), 30);
    assert!(u.chunks_exact(6).all(|pair| (0..3).all(|i| pair[i] + pair[3 + i] == 1.0)));
}

#[test]
fn sobol_points_are_the_published_ones() {
    // The first points in three dimensions as usually printed: in the order of the Gray code.
    let published = [
        [0.0, 0.0, 0.0],
        [0.5, 0.5, 0.5],
        [0.75, 0.25, 0.25],
        [0.25, 0.75, 0.75],
        [0.375, 0.375, 0.625],
        [0.875, 0.875, 0.125],
        [0.625, 0.125, 0.875],
        [0.125, 0.625, 0.375],
    ];
    let u = fill(Design::Sobol, 0, 0, 8, 3);
    for (i, published) in published.iter().enumerate() {
        let row = i ^ i >> 1;
        assert_eq!(u[3 * row..][..3], published.map(|u| u + 0.0625), "{i}");
    }
}

#[test]
fn pairs_of_sobol_coordinates_are_nets() {
    for design in [Design::Sobol, Design::RandomizedSobol] {
        let n = 10;
        let u = fill(design, 3, 1, 1024, n);
        assert!(is_net(&u, n, [0, 1], 0));
        for j in 0..n {
            assert!((0..j).all(|i| is_net(&u, n, [i, j], 4)), "{design:?}");
        }
    }
    // As a check of the check: independent points are not.
    assert!(!is_net(&fill(Design::MonteCarlo, 3, 1, 1024, 2), 2, [0, 1], 4));
}

#[test]
fn points_are_uniform() {
    // Kolmogorov's distance of the second coordinate over many items, above 1.95 with probability 0.001
    // where they are independent, and less likely where they are spread.
    for design in random() {
        let points = |item| {
            let u = fill(design, 4, item, 9, 2);
            u.into_iter().skip(1).step_by(2).collect::<Vec<_>>()
        };
        let mut u: Vec<f64> = (0..20_000).flat_map(points).collect();
        u.sort_by(f64::total_cmp);
        let n = u.len() as f64;
        let gaps = u.iter().enumerate().map(|(i, u)| (u - (i as f64 + 0.5) / n).abs());
        let distance = gaps.fold(0.0, f64::max) * n.sqrt();
        assert!(distance < 1.95, "{design:?}: {distance}");
    }
}

#[test]
fn random_designs_are_unbiased() {
    for design in random() {
        for (count, n) in [(1, 2), (16, 2), (27, 3), (50, 3)] {
            let (bias, variance) = errors(design, count, n, smooth);
            let z = bias / (variance / 400.0).sqrt();
            assert!(z.abs() < 4.5, "{design:?}, {count} rows, {n} coordinates: {z}");
        }
    }
}

#[test]
fn items_are_independent() {
    for design in random() {
        let means: Vec<f64> = (0..2001).map(|item| mean(design, item, 9, 2, smooth) - 1.0).collect();
        let variance = means.iter().map(|m| m * m).sum::<f64>();
        let lag = means.windows(2).map(|m| m[0] * m[1]).sum::<f64>() / variance;
        assert!(lag.abs() < 4.5 / 2000f64.sqrt(), "{design:?}: {lag}");
    }
}

#[test]
fn spread_points_err_less() {
    let (count, n) = (256, 2);
    let (_, independent) = errors(Design::MonteCarlo, count, n, smooth);
    let ratios = [
        (Design::Antithetic, 3.0),
        (Design::LatinHypercube, 3.0),
        (Design::RandomizedSobol, 3000.0),
        (Design::RandomizedCartesian, 50.0),
    ];
    for (design, ratio) in ratios {
        let (_, variance) = errors(design, count, n, smooth);
        assert!(ratio * variance < independent, "{design:?}: {} times", independent / variance);
    }
    for design in [Design::Sobol, Design::Cartesian] {
        let error = mean(design, 0, count, n, smooth) - 1.0;
        assert!(50.0 * error * error < independent, "{design:?}: {error}");
    }
    // Sixteen times the points: 1/16 of the variance, or 16⁻³ of it.
    let (_, fewer) = errors(Design::RandomizedSobol, count / 16, n, smooth);
    let (_, more) = errors(Design::RandomizedSobol, count, n, smooth);
    assert!(fewer > 16f64.powf(2.3) * more, "{}", fewer / more);
    // Sums over coordinates in a Latin hypercube.
    let sum = |u: &[f64]| 1.0 + u.iter().map(|u| u * u - 1.0 / 3.0).sum::<f64>();
    let (_, independent) = errors(Design::MonteCarlo, count, n, sum);
    let (_, hypercube) = errors(Design::LatinHypercube, count, n, sum);
    assert!(1e4 * hypercube < independent, "{}", independent / hypercube);
}
