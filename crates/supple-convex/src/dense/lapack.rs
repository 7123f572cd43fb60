//! Large matrices by LAPACK.

use super::NotPositive;
use ndarray_linalg::{Diag, Lapack, MatrixLayout, UPLO};
use std::sync::Once;

/// Replaces the upper triangle of A by U with A = UᵀU.
pub fn cholesky(a: &mut [f64], n: usize) -> Result<(), NotPositive> {
    prepare();
    // Row-major U is column-major L.
    let layout = MatrixLayout::F { col: n as i32, lda: n as i32 };
    <f64 as Lapack>::cholesky(layout, UPLO::Lower, a).map_err(|_| NotPositive)
}

/// Replaces each row w of W by the solution x of Uᵀ x = w; `false` if it has not.
pub fn whiten_rows(u: &[f64], w: &mut [f64], n: usize) -> bool {
    prepare();
    let (u_layout, w_layout) = (
        MatrixLayout::F { col: n as i32, lda: n as i32 },
        MatrixLayout::F { col: (w.len() / n) as i32, lda: n as i32 },
    );
    <f64 as Lapack>::solve_triangular(u_layout, w_layout, UPLO::Lower, Diag::NonUnit, u, w).is_ok()
}

/// Keeps OpenBLAS to the calling thread. The engine runs items in parallel; a second level of threads
/// costs time at these sizes and makes sums depend on the machine.
pub fn prepare() {
    unsafe extern "C" {
        fn openblas_set_num_threads(threads: std::ffi::c_int);
    }
    static ONCE: Once = Once::new();
    // SAFETY: a function of OpenBLAS's public C interface, which this crate links, with its declared
    // signature. `Once` keeps two threads from calling it at the same time, and every LAPACK call of
    // this crate comes after it.
    ONCE.call_once(|| unsafe { openblas_set_num_threads(1) });
}
