//! What the projections share.

use ndarray::{Array, ArrayView, ArrayView1, ArrayViewD, Dimension, IxDyn, arr0};
use std::ops::Range;
use supple_core::{Error, Fault, Float, Law, Operator, Real, Signature, choices, evaluate};
use supple_numerics::pooling::Mean;

choices! {
    /// What a projection minimises.
    pub enum Regularization {
        /// Euclidean distance: piecewise linear in the point.
        L2 = "l2",
        /// Kullback-Leibler divergence of exponentials: smooth on each piece.
        Entropic = "entropic",
    }
}

impl Regularization {
    /// The mean that is nearest to what it is of.
    pub(super) fn mean(self) -> Mean {
        match self {
            Self::L2 => Mean::Arithmetic,
            Self::Entropic => Mean::Exponential,
        }
    }
}

/// The projection as an array of the rank of the first input: what the plain functions are made of.
pub(super) fn project<T: Float, P: Operator<I>, D: Dimension, const I: usize>(
    operator: &P,
    inputs: [ArrayViewD<'_, T>; I],
) -> Result<Array<T, D>, Error> {
    let [y] = evaluate(operator, inputs)?;
    let rank = |e| Error::unsupported(P::NAME, "an output of the rank of the first input", e);
    y.into_dimensionality().map_err(rank)
}

/// [`project`] for an operator with one number beside the point.
pub(super) fn project_with<'a, T: Float, P: Operator<2>, D: Dimension>(
    operator: &P,
    x: impl Into<ArrayView<'a, T, D>>,
    number: f64,
) -> Result<Array<T, D>, Error> {
    let number = arr0(T::of(number)).into_dyn();
    project(operator, [x.into().into_dyn(), number.view()])
}

/// Refuses a number below zero, and NaN.
pub(super) fn not_negative<T: Real>(argument: &'static str, x: T) -> Result<(), Fault> {
    match x.as_f64() {
        value if value >= 0.0 => Ok(()),
        value => Err(Fault::Domain { argument, requirement: ">= 0", value }),
    }
}

/// Refuses an infinite number, and NaN.
pub(super) fn finite<T: Real>(argument: &'static str, x: T) -> Result<(), Fault> {
    match x.as_f64() {
        value if value.is_finite() => Ok(()),
        value => Err(Fault::Domain { argument, requirement: "finite", value }),
    }
}

/// The tangent alone: a number whose value is zero.
pub(super) fn tangent<T: Real>(x: T) -> T::Acc {
    x.widen() - T::Acc::of(x.as_f64())
}

/// The law that a projected point stays where it is.
pub(super) fn twice<P: Operator<I> + Clone + 'static, const I: usize>(operator: &P) -> Law {
    let operator = operator.clone();
    let moved = move |at: supple_core::Evaluated<'_>| -> Result<f64, Error> {
        let signature = Signature::of(P::NAME, P::SIGNATURE)?;
        let mut inputs: Vec<ArrayViewD<'_, f64>> = vec![];
        for (i, (x, argument)) in at.x.iter().zip(&signature.inputs).enumerate() {
            let x = if i == 0 { at.y[0] } else { x };
            let view = ArrayView1::from(x).into_dyn();
            let shape: Vec<usize> = match signature.elementwise {
                true => vec![x.len()],
                false => argument.core.iter().map(|&symbol| at.sizes[symbol]).collect(),
            };
            let view = view.into_shape_with_order(IxDyn(&shape));
            inputs.push(view.map_err(|e| Error::argument(P::NAME, argument.name, "of its size", e))?);
        }
        let inputs: Result<[_; I], _> = inputs.try_into();
        let inputs = inputs.map_err(|_| Error::argument(P::NAME, "inputs", I, at.x.len()))?;
        let [again] = evaluate(&operator, inputs)?;
        Ok(again.iter().zip(at.y[0]).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max))
    };
    Law::Vanishes("projecting_twice_changes_nothing", Box::new(move |at| moved(at).unwrap_or(f64::NAN)))
}

/// The root of a function that does not increase. For oracles.
pub(super) fn bisect(mut low: f64, mut high: f64, f: impl Fn(f64) -> f64) -> f64 {
    for _ in 0..300 {
        let middle = 0.5 * (low + high);
        if f(middle) >= 0.0 { low = middle } else { high = middle }
    }
    low
}

/// The greatest of the least values of blocks that hold a position: increasing isotonic regression by its
/// definition. For oracles.
pub(super) fn minimax(n: usize, value: impl Fn(Range<usize>) -> f64) -> Vec<f64> {
    let least = |start, k| (k..n).map(|last| value(start..last + 1)).fold(f64::INFINITY, f64::min);
    (0..n).map(|k| (0..=k).map(|start| least(start, k)).fold(f64::NEG_INFINITY, f64::max)).collect()
}

/// The blocks of a partition.
pub(super) fn blocks(starts: &[u32]) -> impl Iterator<Item = Range<usize>> {
    starts.windows(2).map(|ends| ends[0] as usize..ends[1] as usize)
}

/// Positions are `u32`.
pub(super) fn check_length(operator: &str, sizes: &[usize]) -> Result<(), Error> {
    match sizes.iter().find(|&&n| u32::try_from(n).is_err()) {
        Some(&n) => Err(Error::argument(operator, "n", "at most 2³² − 1", n)),
        None => Ok(()),
    }
}
