//! The contract of Supple's operators, and the engine that runs them.
//!
//! An [`Operator`] is written once, for one item, on slices, generic over a scalar [`Real`]. Everything
//! else is derived: at `f32` and `f64` its methods give values and gradients; at [`Dual`]s the same two
//! methods give `jvp` and second derivatives; and the engine adds batches, strides, axes, broadcasting,
//! ragged items, threads and erased forms for the bindings.

mod batch;
mod dual;
mod engine;
mod erased;
mod error;
mod inputs;
mod linearize;
mod operator;
mod params;
mod plan;
mod pullback;
mod real;
mod rng;
mod scratch;
mod segmented;
mod shapes;
mod signature;
mod standardized;

pub use batch::{evaluate, evaluate_each, map, reduce};
pub use dual::Dual;
pub use erased::{AnyContract, AnyInputs, AnyOperator, AnyScaling, Entry, Erased, Family, Pullback, erase};
pub use error::{Error, Fault};
pub use inputs::{Inputs, Mode, Options};
pub use linearize::{Linearized, linearize, linearize_each};
pub use operator::{
    Args, Contract, Evaluated, Gradient, Law, OfSizes, Operator, Point, Residual, Reversed, Sample, Scaling,
};
pub use params::{Domain, Field, Kind, Parameter, Params, Value};
pub use real::{Float, Floats, Real};
pub use rng::Stream;
pub use scratch::{Pool, Scratch};
pub use segmented::{Segmented, Segments};
pub use signature::{Argument, Signature, Symbol};
pub use standardized::Standardized;
