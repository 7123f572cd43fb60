//! Differentiable relaxations as LibTorch autograd operators.
//!
//! Every operator of Supple, and every operator that you write, becomes an autograd operator of
//! [`tch`]: forward, backward, and double backward where the mathematics has it.
//!
//! ```no_run
//! let x = tch::Tensor::from_slice(&[2.9, 0.1, 1.2]).set_requires_grad(true);
//! let ranks = supple_tch::soft_rank(&x, -1, 0.5);
//! (ranks - 2.0).square().sum(None).backward();
//! x.grad().print();
//! ```
//!
//! The operators of the catalogue that need no system library have a function each, with a twin `f_…` that
//! returns errors. [`apply`] takes any other operator, with all its parameters.
//!
//! # What to know
//! * **dtypes.** f32 and f64 are computed as they are; of a mixture, the wider one. f16 and bf16 inputs
//!   compute and return f32, and only their gradients are cast back: half precision cannot tell the ranks of
//!   a thousand values apart.
//! * **Devices.** Operators run on the host. CUDA tensors are copied there and the outputs copied back,
//!   and so are gradients; this costs two transfers and a synchronisation for each pass.
//! * **Memory.** Dense tensors are read without a copy, in any order of the axes, and outputs are handed
//!   over without one. The graph keeps the inputs, the outputs and what the kernel saved.
//! * **In-place changes.** Between forward and backward neither inputs nor outputs may be modified in
//!   place; LibTorch notices and reports it.
//! * **Higher derivatives.** Double backward is right for operators whose gradient is a derivative and
//!   refused for the others; third derivatives are refused.
//! * **Estimators.** [`estimate`] takes any estimator of `supple-estimators` with a function of tensors, which
//!   gets the points of a whole batch at once; [`TensorOracle`] is a solver made of such a function.
//! * **Faults.** [`apply`] returns the first item without an answer as an error, [`apply_each`] returns all
//!   of them beside the outputs.
//!
//! # Linking
//! Needs LibTorch 2.11: `LIBTORCH_USE_PYTORCH=1` takes that of the Python package `torch`, `LIBTORCH` names
//! a folder. A binary finds LibTorch when it runs if its package has this `build.rs`:
//!
//! ```no_run
//! fn main() {
//!     println!("cargo::rustc-link-arg={}", std::env::var("DEP_SUPPLE_TCH_LINK_ARG").unwrap_or_default());
//! }
//! ```

mod apply;
mod bridge;
mod error;
mod estimate;
mod functions;
mod inputs;
mod oracle;

pub use apply::{apply, apply_any, apply_any_each, apply_each};
pub use error::Error;
pub use estimate::{Needs, Sampling, estimate};
pub use functions::*;
pub use inputs::Inputs;
pub use oracle::TensorOracle;
pub use supple_core::Mode;
