//! Quadratic programs by trying every active set: slow, and obviously right.

/// The first point of all active sets that satisfies the optimality conditions, for Q, q, G, h, A, b; NaN
/// if there is none. `None` where there are too many sets to try.
pub fn minimize(x: [&[f64]; 6]) -> Option<[Vec<f64>; 3]> {
    let [_, q, _, h, _, b] = x;
    let nothing = || [q.len(), h.len(), b.len()].map(|n| vec![f64::NAN; n]);
    let optimal = || (0..1 << h.len()).find_map(|set: u32| stationary_point(x, set));
    (h.len() <= 8).then(|| optimal().unwrap_or_else(nothing))
}

/// The solution of the equality-constrained problem on a set of inequalities, if it is optimal.
fn stationary_point([q_matrix, q, g, h, a, b]: [&[f64]; 6], set: u32) -> Option<[Vec<f64>; 3]> {
    let n = q.len();
    let active: Vec<usize> = (0..h.len()).filter(|i| set >> i & 1 == 1).collect();
    let constraints: Vec<(&[f64], f64)> = (0..b.len())
        .map(|i| (&a[i * n..(i + 1) * n], b[i]))
        .chain(active.iter().map(|&i| (&g[i * n..(i + 1) * n], h[i])))
        .collect();
    let size = n + constraints.len();
    let mut system = vec![vec![0.0; size + 1]; size];
    for i in 0..n {
        for j in 0..n {
            system[i][j] = 0.5 * (q_matrix[i * n + j] + q_matrix[j * n + i]);
        }
        system[i][size] = -q[i];
    }
    for (k, (row, right)) in constraints.iter().enumerate() {
        for j in 0..n {
            system[n + k][j] = row[j];
            system[j][n + k] = row[j];
        }
        system[n + k][size] = *right;
    }
    let x = eliminate(system)?;
    let z = x[..n].to_vec();
    let mut lambda = vec![0.0; h.len()];
    active.iter().zip(&x[n + b.len()..]).for_each(|(&i, &x)| lambda[i] = x);
    let feasible = (0..h.len()).all(|i| (0..n).map(|j| g[i * n + j] * z[j]).sum::<f64>() <= h[i] + 1e-9);
    (feasible && lambda.iter().all(|&l| l >= -1e-9)).then(|| [z, lambda, x[n..n + b.len()].to_vec()])
}

/// Gauss's elimination with partial pivoting on a matrix with the right-hand side as last column.
fn eliminate(mut m: Vec<Vec<f64>>) -> Option<Vec<f64>> {
    let n = m.len();
    for k in 0..n {
        let pivot = (k..n).max_by(|&i, &j| m[i][k].abs().total_cmp(&m[j][k].abs()))?;
        m.swap(k, pivot);
        if m[k][k].abs() < 1e-12 {
            return None;
        }
        let (done, below) = m.split_at_mut(k + 1);
        for row in below {
            let factor = row[k] / done[k][k];
            row.iter_mut().zip(&done[k]).for_each(|(x, y)| *x -= factor * y);
        }
    }
    let mut x = vec![0.0; n];
    for i in (0..n).rev() {
        x[i] = (m[i][n] - (i + 1..n).map(|j| m[i][j] * x[j]).sum::<f64>()) / m[i][i];
    }
    Some(x)
}
