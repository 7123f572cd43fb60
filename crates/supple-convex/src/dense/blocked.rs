//! Large matrices without LAPACK: factors of small blocks, and products of what lies beside them.

use super::{BLOCKED, NotPositive};
use ndarray::linalg::general_mat_mul;
use ndarray::{ArrayView2, ArrayViewMut2, s};
use supple_numerics::factor;

/// Replaces the upper triangle of A by U with A = UᵀU.
pub fn cholesky(a: &mut [f64], n: usize) -> Result<(), NotPositive> {
    let (mut corner, mut panel) = (vec![], vec![]);
    for start in (0..n).step_by(BLOCKED) {
        let end = (start + BLOCKED).min(n);
        let (size, width) = (end - start, n - end);
        let (head, tail) = a[start * n..].split_at_mut(size * n);
        corner.clear();
        head.chunks_exact(n).for_each(|row| corner.extend_from_slice(&row[start..end]));
        // What is too small is for the caller to say, who has seen the diagonal before.
        factor::cholesky(&mut corner, size, 0.0).map_err(|_| NotPositive)?;
        panel.clear();
        for (row, u) in head.chunks_exact_mut(n).zip(corner.chunks_exact(size)) {
            row[start..end].copy_from_slice(u);
            panel.extend_from_slice(&row[end..]);
        }
        if width == 0 {
            break;
        }
        divide(&corner, &mut panel, [size, width]);
        for (row, u) in head.chunks_exact_mut(n).zip(panel.chunks_exact(width)) {
            row[end..].copy_from_slice(u);
        }
        subtract_products(tail, &panel, [end, n]);
    }
    Ok(())
}

/// Replaces P, of as many rows as U, by the solution X of Uᵀ X = P.
fn divide(u: &[f64], panel: &mut [f64], [size, width]: [usize; 2]) {
    for i in 0..size {
        let (done, rest) = panel.split_at_mut(i * width);
        let row = &mut rest[..width];
        done.chunks_exact(width).enumerate().for_each(|(k, x)| factor::add(row, -u[k * size + i], x, |x| x));
        let inverse = 1.0 / u[i * size + i];
        row.iter_mut().for_each(|x| *x *= inverse);
    }
}

/// Subtracts PᵀP from the upper triangle of what is left of A: the rows from `first` on, of which `tail` is made.
fn subtract_products(tail: &mut [f64], panel: &[f64], [first, n]: [usize; 2]) {
    let width = n - first;
    let shapes = (
        ArrayViewMut2::from_shape((width, n), tail),
        ArrayView2::from_shape((panel.len() / width, width), panel),
    );
    if let (Ok(mut tail), Ok(panel)) = shapes {
        for start in (0..width).step_by(BLOCKED) {
            let end = (start + BLOCKED).min(width);
            let band = &mut tail.slice_mut(s![start..end, first + start..]);
            let (left, right) = (panel.slice(s![.., start..end]), panel.slice(s![.., start..]));
            general_mat_mul(-1.0, &left.t(), &right, 1.0, band);
        }
    }
}

/// Replaces each row w of W by the solution x of Uᵀ x = w: not here, where plain loops do as well.
#[cfg(not(feature = "system"))]
pub fn whiten_rows(_: &[f64], _: &mut [f64], _: usize) -> bool {
    false
}

/// Nothing to prepare.
#[cfg(not(feature = "system"))]
pub fn prepare() {}

#[cfg(test)]
mod tests {
    use super::*;
    use supple_core::Stream;

    #[test]
    fn the_factor_is_that_of_plain_loops() {
        for n in [1, 31, 32, 33, 64, 100, 150] {
            let root = Stream::new(1, n, 0).normals(n * n);
            let entry = |i: usize, j: usize| (0..n).map(|k| root[k * n + i] * root[k * n + j]).sum::<f64>();
            let mut a: Vec<f64> =
                (0..n * n).map(|p| entry(p / n, p % n) + if p / n == p % n { 1.0 } else { 0.0 }).collect();
            let mut plain = a.clone();
            factor::cholesky(&mut plain, n, 0.0).unwrap();
            cholesky(&mut a, n).unwrap();
            for i in 0..n {
                for j in i..n {
                    assert!((a[i * n + j] - plain[i * n + j]).abs() < 1e-10, "{n}: {i}, {j}");
                }
            }
        }
    }

    #[test]
    fn what_is_not_positive_is_refused() {
        let n = 70;
        let mut a = vec![0.0; n * n];
        (0..n).for_each(|i| a[i * n + i] = if i == 50 { -1.0 } else { 1.0 });
        assert_eq!(cholesky(&mut a, n), Err(NotPositive));
    }
}
