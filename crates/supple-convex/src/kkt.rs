//! Symmetric systems with a zero block, `[H Cᵀ; C 0]`, by two Cholesky factorisations.

use crate::dense::{self, add_product, add_transposed};
use supple_core::Real;
use supple_numerics::factor::{self, back_substitute_constant, forward_substitute_constant};

/// The factors of $\begin{pmatrix} H & C^\top \cr C & 0 \end{pmatrix}$ for a positive definite H of order
/// n and k independent rows C: $H = U^\top U$, $W = C U^{-1}$, and the factor of $S = W W^\top$.
///
/// H may stand for $Q + \rho C^\top C$, which has the same solutions as Q and is positive definite
/// whenever the system with Q has a unique solution and Q is positive semidefinite.
#[derive(Debug, Clone, Default)]
pub struct Kkt {
    n: usize,
    /// ρ.
    pub rho: f64,
    /// H on entry, U after factoring; row-major, upper triangle.
    pub h: Vec<f64>,
    /// C on entry, W after factoring.
    pub w: Vec<f64>,
    s: Vec<f64>,
}

/// Why a system could not be factored.
#[derive(Debug, Clone, PartialEq)]
pub enum Singular {
    /// H is not positive definite.
    Hessian,
    /// The first rows of C add up to zero with these coefficients, the last of which is 1.
    Rows(Vec<f64>),
}

/// Least pivot of S as a fraction of its diagonal: rows at a smaller squared sine from those before them
/// count as dependent.
const INDEPENDENT: f64 = 1e-12;

impl Kkt {
    /// Room for systems of order n.
    pub fn new(n: usize) -> Self {
        Self { n, ..Self::default() }
    }

    /// Factors H and C in place. `least` is the smallest pivot of H as a fraction of its diagonal.
    pub fn factor(&mut self, least: f64) -> Result<(), Singular> {
        dense::cholesky(&mut self.h, self.n, least).map_err(|_| Singular::Hessian)?;
        self.factor_rows()
    }

    /// The second half of [`factor`](Self::factor), where `h` holds U already.
    pub fn factor_rows(&mut self) -> Result<(), Singular> {
        dense::whiten_rows(&self.h, &mut self.w, self.n);
        let k = self.w.len() / self.n.max(1);
        self.s.clear();
        self.s.resize(k * k, 0.0);
        dense::gram_of_rows(&mut self.s, &self.w, [k, self.n]);
        if dense::cholesky(&mut self.s, k, INDEPENDENT).is_ok() {
            return Ok(());
        }
        dense::gram_of_rows(&mut self.s, &self.w, [k, self.n]);
        match factor::cholesky(&mut self.s, k, INDEPENDENT) {
            Ok(()) => Ok(()),
            Err(breakdown) => Err(Singular::Rows(factor::null_vector(&self.s, k, breakdown.row))),
        }
    }

    /// Replaces the right-hand side by the solution.
    pub fn solve<T: Real>(&self, top: &mut [T], bottom: &mut [T]) {
        let product = |y: &mut [T], x: &[T]| add_product(y, &self.w, x, T::of);
        let transposed = |y: &mut [T], x: &[T]| add_transposed(y, &self.w, x, T::of);
        forward_substitute_constant(&self.h, top);
        if !bottom.is_empty() {
            if self.rho != 0.0 {
                let rho = T::of(self.rho);
                bottom.iter_mut().for_each(|x| *x *= rho);
                transposed(top, bottom);
                bottom.iter_mut().for_each(|x| *x /= rho);
            }
            bottom.iter_mut().for_each(|x| *x = -*x);
            product(bottom, top);
            forward_substitute_constant(&self.s, bottom);
            back_substitute_constant(&self.s, bottom);
            top.iter_mut().for_each(|x| *x = -*x);
            transposed(top, bottom);
            top.iter_mut().for_each(|x| *x = -*x);
        }
        back_substitute_constant(&self.h, top);
    }
}
