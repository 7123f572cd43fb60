//! Quadratic programs with a known active set, and a measure of how optimal a point is.

use supple_core::{Evaluated, Stream};

/// Q, q, G, h, A, b of a strictly convex problem with a solution in general position: slacks of inactive
/// inequalities and multipliers of active ones are at least ½. At most n − p inequalities are active, and
/// their rows and those of A are far from dependent.
pub fn away_from_kinks([n, m, p]: [usize; 3], random: &mut Stream) -> [Vec<f64>; 6] {
    let root = random.normals(n * n);
    let mut quadratic = vec![0.0; n * n];
    for i in 0..n {
        for j in 0..n {
            let gram: f64 = (0..n).map(|k| root[i * n + k] * root[j * n + k]).sum();
            quadratic[i * n + j] = gram / n as f64 + if i == j { 1.0 } else { 0.0 };
        }
    }
    // Row i leans towards the i-th unit vector, for G counted from the first and for A from the last.
    let mut rows = |count: usize, place: fn(usize, usize) -> usize| -> Vec<f64> {
        let mut rows = random.normals(count * n);
        rows.iter_mut().for_each(|x| *x *= 0.25 / (n as f64).sqrt());
        (0..count).for_each(|i| rows[i * n + place(i % n, n)] += 1.0);
        rows
    };
    let (g, a) = (rows(m, |i, _| i), rows(p, |i, n| n - 1 - i));
    let (z, nu) = (random.normals(n), random.normals(p));
    let active = random.below(n.saturating_sub(p).min(m) + 1);
    let mut away = |yes: bool| if yes { 0.5 + random.uniform() } else { 0.0 };
    let lambda: Vec<f64> = (0..m).map(|i| away(i < active)).collect();
    let slack: Vec<f64> = (0..m).map(|i| away(i >= active)).collect();
    let product = |m: &[f64], i: usize| (0..n).map(|j| m[i * n + j] * z[j]).sum::<f64>();
    let h = (0..m).map(|i| product(&g, i) + slack[i]).collect();
    let b = (0..p).map(|i| product(&a, i)).collect();
    let linear = (0..n)
        .map(|j| {
            let inequalities: f64 = (0..m).map(|i| g[i * n + j] * lambda[i]).sum();
            let equalities: f64 = (0..p).map(|i| a[i * n + j] * nu[i]).sum();
            -(product(&quadratic, j) + inequalities + equalities)
        })
        .collect();
    // An antisymmetric part, which must not count.
    for i in 0..n {
        for j in 0..i {
            let skew = random.normal();
            quadratic[i * n + j] += skew;
            quadratic[j * n + i] -= skew;
        }
    }
    [quadratic, linear, g, h, a, b]
}

/// The largest violation of the optimality conditions.
pub fn residual(at: Evaluated<'_>) -> f64 {
    let (&[n, ..], &[q_matrix, q, g, h, a, b], &[z, lambda, nu]) = (at.sizes, at.x, at.y) else {
        return f64::NAN;
    };
    let sum = |m: &[f64], i: usize| (0..n).map(|j| m[i * n + j] * z[j]).sum::<f64>();
    let stationary = (0..n).map(|j| {
        let quadratic: f64 = (0..n).map(|i| 0.5 * (q_matrix[i * n + j] + q_matrix[j * n + i]) * z[i]).sum();
        let inequalities: f64 = (0..h.len()).map(|i| g[i * n + j] * lambda[i]).sum();
        let equalities: f64 = (0..b.len()).map(|i| a[i * n + j] * nu[i]).sum();
        quadratic + q[j] + inequalities + equalities
    });
    let excess = |i: usize| if h[i] < f64::INFINITY { sum(g, i) - h[i] } else { 0.0 };
    let inequalities = (0..h.len()).map(|i| excess(i).max(-lambda[i]).max((excess(i) * lambda[i]).abs()));
    let equalities = (0..b.len()).map(|i| sum(a, i) - b[i]);
    // Not `f64::max`, which would lose NaN.
    let worst = |worst: f64, x: f64| if worst.is_nan() || x.abs() <= worst { worst } else { x.abs() };
    stationary.chain(inequalities.map(|x| x.max(0.0))).chain(equalities).fold(0.0, worst)
}
