//! Cholesky and LDLᵀ factorisations of small dense symmetric matrices, over any [`Real`].
//!
//! Matrices are square, row-major, and only their upper triangle is read or written. The factor replaces
//! the matrix, so nothing is allocated. The loops run along rows, so the compiler can vectorise them; up
//! to n of about 32 this keeps up with LAPACK, beyond it blocked code is needed.
//!
//! At [`Dual`](supple_core::Dual)s the same code gives the derivative of the factor and of the solution.
//! Where only the right-hand side carries tangents, the functions with `constant` in their name take a
//! factor in `f64`.

use supple_core::Real;

/// Why a factorisation stopped. The rows before `row` of the factor are complete.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Breakdown {
    /// The row whose pivot was too small.
    pub row: usize,
    /// The pivot, as a fraction of the diagonal entry it came from.
    pub pivot: f64,
}

/// Replaces the upper triangle of a positive definite A by U with A = UᵀU.
///
/// It stops at the first pivot that is not above `least` times its diagonal entry. For a Gram matrix that
/// fraction is the squared sine of the angle between a vector and those before it.
pub fn cholesky<T: Real>(a: &mut [T], n: usize, least: f64) -> Result<(), Breakdown> {
    for i in 0..n {
        let (done, rest) = a.split_at_mut(i * n);
        let row = &mut rest[i..n];
        let diagonal = row[0].as_f64();
        let mut above = done.chunks_exact(n).map(|u| &u[i..]);
        while let Some(u0) = above.next() {
            match (above.next(), above.next(), above.next()) {
                (Some(u1), Some(u2), Some(u3)) => add_four(row, [u0, u1, u2, u3].map(|u| (-u[0], u))),
                (u1, u2, _) => {
                    [Some(u0), u1, u2].into_iter().flatten().for_each(|u| add(row, -u[0], u, |u| u))
                }
            }
        }
        let pivot = row[0].as_f64();
        // Written so that NaN is refused too.
        if !(pivot > least * diagonal && pivot.is_finite()) {
            return Err(Breakdown { row: i, pivot: pivot / diagonal });
        }
        row[0] = row[0].sqrt();
        let inverse = T::one() / row[0];
        row[1..].iter_mut().for_each(|x| *x *= inverse);
    }
    Ok(())
}

/// Solves A x = b in place, given the [`cholesky`] factor of A.
pub fn cholesky_solve<T: Real>(u: &[T], b: &mut [T]) {
    forward_substitute(u, b);
    back_substitute(u, b);
}

/// Solves Uᵀ x = b in place for an upper triangular U.
pub fn forward_substitute<T: Real>(u: &[T], b: &mut [T]) {
    forward(u, b, |x| x);
}

/// Solves U x = b in place for an upper triangular U.
pub fn back_substitute<T: Real>(u: &[T], b: &mut [T]) {
    back(u, b, |x| x);
}

/// [`forward_substitute`] with a factor that carries no tangent.
pub fn forward_substitute_constant<T: Real>(u: &[f64], b: &mut [T]) {
    forward(u, b, T::of);
}

/// [`back_substitute`] with a factor that carries no tangent.
pub fn back_substitute_constant<T: Real>(u: &[f64], b: &mut [T]) {
    back(u, b, T::of);
}

/// The combination of the first `row + 1` rows and columns of A that vanishes, with last coefficient 1,
/// where [`cholesky`] broke down at `row` because A is only positive semidefinite.
pub fn null_vector<T: Real>(u: &[T], n: usize, row: usize) -> Vec<T> {
    let mut v = vec![T::zero(); row + 1];
    v[row] = T::one();
    for i in (0..row).rev() {
        v[i] = -dot(&u[i * n + i + 1..=i * n + row], &v[i + 1..], |u| u) / u[i * n + i];
    }
    v
}

/// Replaces the upper triangle of a symmetric A by D on the diagonal and a unit upper triangular U above
/// it, with A = UᵀDU.
///
/// There is no pivoting: it is meant for quasi-definite matrices, such as the KKT matrix of a regularised
/// quadratic program, for which every order of elimination is stable enough. It stops at the first pivot
/// whose size is not above `least` times the largest entry of A's upper triangle.
pub fn ldl<T: Real>(a: &mut [T], n: usize, least: f64) -> Result<(), Breakdown> {
    let upper = (0..n).flat_map(|i| &a[i * n + i..(i + 1) * n]);
    let largest = upper.map(|x| x.as_f64().abs()).fold(0.0, f64::max);
    for i in 0..n {
        let (done, rest) = a.split_at_mut(i * n);
        let row = &mut rest[i..n];
        for (k, u) in done.chunks_exact(n).enumerate() {
            add(row, -(u[k] * u[i]), &u[i..], |u| u);
        }
        let pivot = row[0].as_f64();
        if !(pivot.abs() > least * largest && pivot.is_finite()) {
            return Err(Breakdown { row: i, pivot: pivot / largest });
        }
        let inverse = T::one() / row[0];
        row[1..].iter_mut().for_each(|x| *x *= inverse);
    }
    Ok(())
}

/// Solves A x = b in place, given the [`ldl`] factor of A.
pub fn ldl_solve<T: Real>(factor: &[T], b: &mut [T]) {
    let n = b.len();
    for i in 0..n {
        let x = b[i];
        add(&mut b[i + 1..], -x, &factor[i * n + i + 1..(i + 1) * n], |u| u);
    }
    for i in (0..n).rev() {
        let row = &factor[i * n + i..(i + 1) * n];
        b[i] = b[i] / row[0] - dot(&row[1..], &b[i + 1..], |x| x);
    }
}

fn forward<F: Real, T: Real>(u: &[F], b: &mut [T], lift: impl Fn(F) -> T + Copy) {
    let n = b.len();
    for i in 0..n {
        let row = &u[i * n + i..(i + 1) * n];
        b[i] /= lift(row[0]);
        let x = b[i];
        add(&mut b[i + 1..], -x, &row[1..], lift);
    }
}

fn back<F: Real, T: Real>(u: &[F], b: &mut [T], lift: impl Fn(F) -> T + Copy) {
    let n = b.len();
    for i in (0..n).rev() {
        let row = &u[i * n + i..(i + 1) * n];
        b[i] = (b[i] - dot(&row[1..], &b[i + 1..], lift)) / lift(row[0]);
    }
}

/// `y += c x`, where `lift` takes the entries of `x` to the type of `y`.
#[inline]
pub fn add<F: Real, T: Real>(y: &mut [T], c: T, x: &[F], lift: impl Fn(F) -> T) {
    y.iter_mut().zip(x).for_each(|(y, &x)| *y += c * lift(x));
}

/// `y += Σ c x` over four rows: `y` is loaded and stored once.
#[inline]
fn add_four<T: Real>(y: &mut [T], terms: [(T, &[T]); 4]) {
    let n = y.len();
    let [(c0, x0), (c1, x1), (c2, x2), (c3, x3)] = terms.map(|(c, x)| (c, &x[..n]));
    for (j, y) in y.iter_mut().enumerate() {
        *y += c0 * x0[j] + c1 * x1[j] + (c2 * x2[j] + c3 * x3[j]);
    }
}

/// `⟨x, y⟩` in four partial sums, which the compiler can keep in vector registers; `lift` takes the
/// entries of `x` to the type of `y`.
#[inline]
pub fn dot<F: Real, T: Real>(x: &[F], y: &[T], lift: impl Fn(F) -> T) -> T {
    let mut sums = [T::zero(); 4];
    let (x_four, y_four) = (x.chunks_exact(4), y.chunks_exact(4));
    let tail = x_four.remainder().iter().zip(y_four.remainder()).map(|(&x, &y)| lift(x) * y).sum::<T>();
    for (x, y) in x_four.zip(y_four) {
        for (sum, (&x, &y)) in sums.iter_mut().zip(x.iter().zip(y)) {
            *sum += lift(x) * y;
        }
    }
    (sums[0] + sums[1]) + (sums[2] + sums[3]) + tail
}

#[cfg(test)]
mod tests {
    use super::*;
    use supple_core::{Dual, Stream};

    /// A positive definite matrix and a vector.
    fn example(n: usize, random: &mut Stream) -> (Vec<f64>, Vec<f64>) {
        let m = random.normals(n * n);
        let mut a = vec![0.0; n * n];
        for i in 0..n {
            for j in 0..n {
                a[i * n + j] = (0..n).map(|k| m[i * n + k] * m[j * n + k]).sum::<f64>();
            }
            a[i * n + i] += 1.0;
        }
        (a, random.normals(n))
    }

    fn residual(a: &[f64], x: &[f64], b: &[f64]) -> f64 {
        let rows = a.chunks(b.len().max(1));
        rows.zip(b)
            .map(|(row, b)| (row.iter().zip(x).map(|(a, x)| a * x).sum::<f64>() - b).abs())
            .fold(0.0, f64::max)
    }

    #[test]
    fn cholesky_and_ldl_solve() {
        let random = &mut Stream::new(1, 0, 0);
        for n in [0, 1, 2, 3, 4, 5, 8, 13, 32] {
            let (a, b) = example(n, random);
            let (mut u, mut x) = (a.clone(), b.clone());
            cholesky(&mut u, n, 0.0).unwrap();
            cholesky_solve(&u, &mut x);
            assert!(residual(&a, &x, &b) < 1e-10, "cholesky, n = {n}");
            let (mut u, mut x) = (a.clone(), b.clone());
            ldl(&mut u, n, 0.0).unwrap();
            ldl_solve(&u, &mut x);
            assert!(residual(&a, &x, &b) < 1e-10, "ldl, n = {n}");
        }
    }

    #[test]
    fn ldl_takes_quasi_definite_matrices() {
        // The KKT matrix of two variables and one constraint.
        let a = [2.0, 0.5, 1.0, 0.5, 1.0, -1.0, 1.0, -1.0, -1e-3];
        let b = [1.0, 2.0, 3.0];
        let (mut factor, mut x) = (a, b);
        ldl(&mut factor, 3, 1e-12).unwrap();
        ldl_solve(&factor, &mut x);
        assert!(residual(&a, &x, &b) < 1e-12);
        assert_eq!([factor[0] > 0.0, factor[4] > 0.0, factor[8] > 0.0], [true, true, false]);
    }

    #[test]
    fn only_the_upper_triangle_is_touched() {
        let random = &mut Stream::new(2, 0, 0);
        let n = 6;
        let (mut a, _) = example(n, random);
        let below = |i: usize| i / n > i % n;
        (0..n * n).filter(|&i| below(i)).for_each(|i| a[i] = f64::NAN);
        let mut u = a.clone();
        cholesky(&mut u, n, 0.0).unwrap();
        assert!((0..n * n).all(|i| u[i].is_nan() == below(i)));
        ldl(&mut a, n, 0.0).unwrap();
        assert!((0..n * n).all(|i| a[i].is_nan() == below(i)));
    }

    #[test]
    fn breakdowns_name_the_row() {
        // The third row is the sum of the first two.
        let mut a = [1.0, 0.0, 1.0, 0.0, 1.0, 1.0, 1.0, 1.0, 2.0];
        let mut u = a;
        assert_eq!(cholesky(&mut u, 3, 1e-12).unwrap_err().row, 2);
        assert_eq!(null_vector(&u, 3, 2), [-1.0, -1.0, 1.0]);
        assert_eq!(ldl(&mut a, 3, 1e-12).unwrap_err().row, 2);
        assert_eq!(cholesky(&mut [-1.0], 1, 0.0).unwrap_err(), Breakdown { row: 0, pivot: 1.0 });
        assert_eq!(cholesky(&mut [f64::NAN], 1, 0.0).unwrap_err().row, 0);
        assert_eq!(cholesky(&mut [f64::INFINITY], 1, 0.0).unwrap_err().row, 0);
        assert_eq!(ldl(&mut [0.0], 1, 0.0).unwrap_err().row, 0);
    }

    #[test]
    fn tangents_are_those_of_the_solution() {
        let random = &mut Stream::new(3, 0, 0);
        let n = 7;
        let (a, b) = example(n, random);
        let (da, db) = example(n, random);
        let dual = |x: &[f64], d: &[f64]| x.iter().zip(d).map(|(&x, &d)| Dual::new(x, d)).collect::<Vec<_>>();
        let expected = {
            // dx = A⁻¹ (db − dA x)
            let (mut u, mut x) = (a.clone(), b.clone());
            cholesky(&mut u, n, 0.0).unwrap();
            cholesky_solve(&u, &mut x);
            let mut dx: Vec<f64> = da
                .chunks(n)
                .zip(&db)
                .map(|(row, db)| db - row.iter().zip(&x).map(|(a, x)| a * x).sum::<f64>())
                .collect();
            cholesky_solve(&u, &mut dx);
            dx
        };
        let close = |x: &[Dual<f64>]| x.iter().zip(&expected).all(|(x, e)| (x.d - e).abs() < 1e-10);
        let (mut u, mut x) = (dual(&a, &da), dual(&b, &db));
        cholesky(&mut u, n, 0.0).unwrap();
        cholesky_solve(&u, &mut x);
        assert!(close(&x), "cholesky");
        let (mut u, mut x) = (dual(&a, &da), dual(&b, &db));
        ldl(&mut u, n, 0.0).unwrap();
        ldl_solve(&u, &mut x);
        assert!(close(&x), "ldl");

        let (mut u, mut x) = (a.clone(), dual(&b, &db));
        cholesky(&mut u, n, 0.0).unwrap();
        forward_substitute_constant(&u, &mut x);
        back_substitute_constant(&u, &mut x);
        let mut d = db.clone();
        cholesky_solve(&u, &mut d);
        assert!(x.iter().zip(&d).all(|(x, d)| (x.d - d).abs() < 1e-12), "constant factor");
    }
}
