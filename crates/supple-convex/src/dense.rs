//! Dense linear algebra on row-major slices: hand-written for small sizes, blocked products and LAPACK, where
//! there is one, above.

#[cfg(any(test, not(feature = "system")))]
mod blocked;
#[cfg(feature = "system")]
mod lapack;

#[cfg(not(feature = "system"))]
use self::blocked as large;
#[cfg(feature = "system")]
use self::lapack as large;
use ndarray::linalg::general_mat_mul;
use ndarray::{ArrayView2, ArrayViewMut2, s};
use supple_core::Real;
use supple_numerics::factor::{self, add, dot};

/// From this size on, LAPACK and blocked products win over plain loops.
const BLOCKED: usize = 32;

/// `y += M x`, where `lift` takes the entries of M to the type of the vectors.
pub fn add_product<F: Real, T: Real>(y: &mut [T], m: &[F], x: &[T], lift: impl Fn(F) -> T + Copy) {
    y.iter_mut().zip(rows(m, x.len())).for_each(|(y, row)| *y += dot(row, x, lift));
}

/// `y += Mᵀ x`.
pub fn add_transposed<F: Real, T: Real>(y: &mut [T], m: &[F], x: &[T], lift: impl Fn(F) -> T + Copy) {
    let n = y.len();
    x.iter().zip(rows(m, n)).for_each(|(&x, row)| add(y, x, row, lift));
}

/// The rows of a matrix with `n` columns; none where there are no columns.
pub fn rows<T>(m: &[T], n: usize) -> std::slice::ChunksExact<'_, T> {
    m.chunks_exact(n.max(1))
}

/// The largest absolute value, 0 for none.
pub fn largest(x: &[f64]) -> f64 {
    x.iter().fold(0.0, |largest, x| x.abs().max(largest))
}

/// Adds Gᵀ diag(w) G to the upper triangle of `h`. `weighted` is room for a copy of G.
pub fn add_gram(h: &mut [f64], g: &[f64], w: &[f64], n: usize, weighted: &mut [f64]) {
    for ((weighted, g), &w) in weighted.chunks_exact_mut(n.max(1)).zip(rows(g, n)).zip(w) {
        weighted.iter_mut().zip(g).for_each(|(x, &g)| *x = w * g);
    }
    let m = w.len();
    if n >= BLOCKED {
        return add_products_of_columns(h, weighted, g, [m, n]);
    }
    for i in 0..n {
        let row = &mut h[i * n + i..(i + 1) * n];
        let pairs = weighted.chunks(4 * n).zip(g.chunks(4 * n));
        for (w, g) in pairs {
            if let (Some(w3), Some(g3)) = (w.get(3 * n + i), g.get(3 * n + i..4 * n)) {
                let (g0, g1, g2) = (&g[i..n], &g[n + i..2 * n], &g[2 * n + i..3 * n]);
                let (w0, w1, w2) = (w[i], w[n + i], w[2 * n + i]);
                for (j, h) in row.iter_mut().enumerate() {
                    *h += w0 * g0[j] + w1 * g1[j] + (w2 * g2[j] + w3 * g3[j]);
                }
            } else {
                rows(w, n).zip(rows(g, n)).for_each(|(w, g)| add(row, w[i], &g[i..n], |x| x));
            }
        }
    }
}

/// Adds the upper triangle of Aᵀ B, for A and B of `m` rows and `n` columns, in bands of rows.
fn add_products_of_columns(h: &mut [f64], a: &[f64], b: &[f64], [m, n]: [usize; 2]) {
    let shapes = (
        ArrayViewMut2::from_shape((n, n), h),
        ArrayView2::from_shape((m, n), a),
        ArrayView2::from_shape((m, n), b),
    );
    large::prepare();
    if let (Ok(mut h), Ok(a), Ok(b)) = shapes {
        for start in (0..n).step_by(BLOCKED) {
            let end = (start + BLOCKED).min(n);
            let band = &mut h.slice_mut(s![start..end, start..]);
            general_mat_mul(1.0, &a.slice(s![.., start..end]).t(), &b.slice(s![.., start..]), 1.0, band);
        }
    }
}

/// Writes the upper triangle of W Wᵀ, for W of `k` rows of `n`.
pub fn gram_of_rows(s: &mut [f64], w: &[f64], [k, n]: [usize; 2]) {
    if k >= BLOCKED {
        large::prepare();
        let shapes = (ArrayViewMut2::from_shape((k, k), s), ArrayView2::from_shape((k, n), w));
        if let (Ok(mut s), Ok(w)) = shapes {
            for start in (0..k).step_by(BLOCKED) {
                let end = (start + BLOCKED).min(k);
                let band = &mut s.slice_mut(s![start..end, start..]);
                general_mat_mul(1.0, &w.slice(s![start..end, ..]), &w.slice(s![start.., ..]).t(), 0.0, band);
            }
        }
        return;
    }
    for (i, x) in rows(w, n).enumerate() {
        for (j, y) in rows(w, n).enumerate().skip(i) {
            s[i * k + j] = dot(x, y, |x| x);
        }
    }
}

/// Replaces the upper triangle of a positive definite A by U with A = UᵀU, or says that a pivot was not
/// above `least` times its diagonal entry; then A is lost.
pub fn cholesky(a: &mut [f64], n: usize, least: f64) -> Result<(), NotPositive> {
    if n < BLOCKED {
        return factor::cholesky(a, n, least).map_err(|_| NotPositive);
    }
    let diagonal: Vec<f64> = (0..n).map(|i| a[i * n + i]).collect();
    large::cholesky(a, n)?;
    let sound = |(i, &diagonal): (usize, &f64)| {
        let pivot = a[i * n + i] * a[i * n + i];
        pivot > least * diagonal && pivot.is_finite()
    };
    if diagonal.iter().enumerate().all(sound) { Ok(()) } else { Err(NotPositive) }
}

/// A matrix was not positive definite.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NotPositive;

/// Replaces each row w of W by the solution x of Uᵀ x = w.
pub fn whiten_rows(u: &[f64], w: &mut [f64], n: usize) {
    if n >= BLOCKED && !w.is_empty() && large::whiten_rows(u, w, n) {
        return;
    }
    w.chunks_exact_mut(n.max(1)).for_each(|row| factor::forward_substitute(u, row));
}
