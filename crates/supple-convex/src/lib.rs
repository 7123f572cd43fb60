//! Differentiable convex programs, and linear programs as oracles.
//!
//! [`QuadraticProgram`] is an operator like any other of Supple: it runs on batches, gives gradients to all
//! of its data, and second derivatives. [`LinearProgram`] is an
//! [`Oracle`](supple_ops::perturb::Oracle), a solver that perturbation makes differentiable. They live
//! apart from the other operators because they need LAPACK (OpenBLAS) and HiGHS.
//!
//! OpenBLAS is told to use one thread for the whole process at the first call that needs it: the engine
//! runs the items of a batch in parallel, and at these sizes threads inside one item cost time and make
//! results depend on the machine.

mod active;
mod brute_force;
mod dense;
mod interior_point;
mod kkt;
#[cfg(feature = "system")]
mod linear_program;
mod polish;
mod problem;
mod quadratic_program;
mod sample;
mod solve;

#[cfg(feature = "system")]
pub use linear_program::LinearProgram;

supple_core::family! { "convex":
    quadratic_program::{QuadraticProgram, Constraints, quadratic_program};
}
