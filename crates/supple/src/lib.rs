#![doc = include_str!("../README.md")]

pub use supple_core::{
    Args, Contract, Domain, Dual, Entry, Error, Evaluated, Family, Fault, Field, Float, Floats, Gradient,
    Inputs, Kind, Law, Linearized, Mode, OfSizes, Operator, Options, Params, Point, Pool, Real, Residual,
    Reversed, Sample, Scaling, Scratch, Segmented, Signature, Standardized, Stream, Value, choices, evaluate,
    evaluate_each, family, linearize, linearize_each, map, params, reduce,
};
pub use supple_ops::*;

/// Gradient estimators for black boxes and discrete samples.
pub use supple_estimators as estimators;

/// What a program that calls operators needs: the calls of the engine, every operator and every plain
/// function. `Regularization`, `Distribution` and `Projection` are had through their family, as in
/// [`order::Regularization`], because several families have one.
///
/// ```
/// use supple::prelude::*;
///
/// let ranks = soft_rank(&[2.9, 0.1, 1.2], 0.1)?;
/// assert_eq!(ranks.to_vec(), [3.0, 1.0, 2.0]);
/// # Ok::<(), Error>(())
/// ```
pub mod prelude {
    pub use crate::{
        Error, Fault, Inputs, Mode, Segmented, Standardized, evaluate, evaluate_each, linearize,
        linearize_each,
    };

    // Names that several families have are had through the family's module: imports that stay private take them
    // out of what the globs below bring.
    #[allow(unused_imports, hidden_glob_reexports)]
    use supple_ops::order::{Distribution, FAMILY, Projection, Regularization};

    // A new operator is here without a line of its own.
    pub use supple_ops::{
        choice::*, decision::*, elementwise::*, front::*, order::*, path::*, perturb::*, project::*,
        quantile::*, ranking::*, sample::*, select::*, sequence::*, transport::*,
    };
}
