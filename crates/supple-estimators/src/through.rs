//! An estimator made of an operator with a gradient of its own.
//!
//! $$ \mathrm{E} f(\phi(x)), \qquad g = \frac1S \sum_s J_\phi^\top \nabla f(\phi_s(x)) $$
//!
//! for an operator $\phi$ with as many outputs as inputs, which may draw: a relaxed or a straight-through sample, a solver with a stand-in for
//! its gradient, a relaxation. What the result is biased towards is the operator's affair; its name says it.
//!
//! Cost: one evaluation and one gradient of $f$ for each sample; the operator twice forward and once backward.

use crate::estimator::{add_rows, check_budget};
use crate::{Asked, Draws, Estimator, Gradients, Told};
use ndarray::{ArrayD, ArrayViewD, IxDyn};
use supple_core::{Error, Fault, Gradient, Inputs, Mode, Operator, Options, Signature, evaluate, linearize};

/// The gradient through an operator, for functions that have gradients. With an operator that draws nothing, all
/// samples are the same: one evaluation will do.
///
/// ```
/// use supple_core::{Fault, Mode};
/// use supple_estimators::{Budget, Through, WithGradient, estimate};
/// use supple_ops::choice::GumbelSoftmax;
///
/// let cost = WithGradient {
///     value: |b: &[f64], y: &mut [f64]| -> Result<(), Fault> { y[0] = 2.0 * b[0] - b[1]; Ok(()) },
///     gradient: |_: &[f64], dy: &[f64], db: &mut [f64]| -> Result<(), Fault> {
///         (db[0], db[1]) = (2.0 * dy[0], -dy[0]);
///         Ok(())
///     },
/// };
/// let estimator = Through::new(|seed| GumbelSoftmax { softness: 0.5, seed: Some(seed) }, Mode::StraightThrough);
/// let (estimate, ()) = estimate(&estimator, &cost, &[0.0, 0.0], Budget::new(1000, 1), &())?;
/// assert!((estimate.value - 0.5).abs() < 0.2 && estimate.gradient[0] > 0.0);
/// # Ok::<(), supple_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Through<M> {
    /// Makes the operator for a seed; each sample is an item of a batch.
    pub operator: M,
    /// Relaxed, or hard with the relaxed gradient.
    pub mode: Mode,
}

impl<M> Through<M> {
    /// `operator` makes the operator for a seed.
    pub fn new(operator: M, mode: Mode) -> Self {
        Self { operator, mode }
    }
}

impl<P: Operator, M: Fn(u64) -> P + Send + Sync> Estimator for Through<M> {
    const NAME: &'static str = P::NAME;
    const GRADIENT: Gradient = Gradient::Surrogate;
    type Needs = Gradients;
    type State = ();
    /// The seed.
    type Plan = u64;

    fn validate(&self, n: usize, evaluations: usize) -> Result<(), Error> {
        check_budget(Self::NAME, evaluations, 1)?;
        let signature = Signature::of(P::NAME, P::SIGNATURE)?;
        let [input, output] = [&signature.inputs[0].core, &signature.outputs[0].core];
        if !signature.elementwise && (input.len() != 1 || input != output) {
            let requirement = "one with as many outputs as inputs, such as x(n) -> y(n)";
            return Err(Error::argument(Self::NAME, "operator", requirement, P::SIGNATURE));
        }
        (self.operator)(0).validate(&[n])
    }

    fn bias(&self) -> Option<&'static str> {
        Some("what the operator puts in the place of a gradient")
    }

    fn ask(&self, x: &[f64], evaluations: usize, _: &(), draws: Draws) -> Result<Asked<u64>, Fault> {
        let seed = draws.part(draws.item).seed;
        let x = repeated(x, evaluations);
        let [y] = evaluate(&(self.operator)(seed), self.inputs(&x)).map_err(fault)?;
        let points = y.into_iter().collect();
        Ok(Asked { points, weights: vec![1.0 / evaluations as f64; evaluations], plan: seed })
    }

    fn tell(&self, x: &[f64], asked: &Asked<u64>, told: Told<'_>, _: &(), gradient: &mut [f64]) {
        let rows = asked.rows();
        let (operator, x) = ((self.operator)(asked.plan), repeated(x, rows));
        let width = told.slopes.len() / rows;
        let slopes = ArrayViewD::from_shape(IxDyn(&[rows, width]), told.slopes);
        let pulled = slopes.ok().and_then(|slopes| {
            let [pulled] = linearize(&operator, self.inputs(&x)).ok()?.vjp([slopes]).ok()?;
            Some(pulled)
        });
        match pulled {
            Some(pulled) => {
                let rows: Vec<f64> = pulled.into_iter().collect();
                add_rows(gradient, &rows, |s| asked.weights[s]);
            }
            // `ask` has refused the same call.
            None => gradient.fill(f64::NAN),
        }
    }
}

impl<M> Through<M> {
    fn inputs<'a>(&self, x: &'a ArrayD<f64>) -> Inputs<'a, f64> {
        Inputs { x: [x.view()], k: [], options: Options { mode: self.mode, ..Options::default() } }
    }
}

fn repeated(x: &[f64], rows: usize) -> ArrayD<f64> {
    ArrayD::from_shape_fn(IxDyn(&[rows, x.len()]), |i| x[i[1]])
}

/// Why an item has no answer; of an error about parameters, its text.
fn fault(error: Error) -> Fault {
    match error {
        Error::Fault { fault, .. } => fault,
        other => Fault::Oracle(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use supple_ops::order::{NeuralSortPermutation, SoftRank};

    #[test]
    fn operators_of_other_shapes_are_refused() {
        let matrix = Through::new(|_| NeuralSortPermutation::default(), Mode::Soft);
        let error = matrix.validate(3, 1).unwrap_err().to_string();
        assert!(error.contains("`operator` must be one with as many outputs as inputs"), "{error}");
        let ranks = Through::new(|_| SoftRank { softness: -1.0, ..SoftRank::default() }, Mode::Soft);
        assert!(ranks.validate(3, 1).unwrap_err().to_string().contains("softness"));
        assert!(Through::new(|_| SoftRank::default(), Mode::Soft).validate(3, 1).is_ok());
    }
}
