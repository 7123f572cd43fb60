//! What an estimator evaluates.

use supple_core::Fault;
use supple_ops::perturb::Batched;

/// A function $f: \mathbb{R}^n \to \mathbb{R}^m$ of which values can be had and nothing else.
///
/// A closure that writes one value is one. [`Batched`] makes one of a closure that takes all points at once.
///
/// ```
/// use supple_core::Fault;
/// use supple_estimators::Function;
///
/// let step = |x: &[f64], y: &mut [f64]| -> Result<(), Fault> {
///     y[0] = if x[0] > 0.0 { 1.0 } else { 0.0 };
///     Ok(())
/// };
/// let mut values = [0.0; 2];
/// step.evaluate(2, &[0.5, -0.5], &mut values)?;
/// assert_eq!(values, [1.0, 0.0]);
/// # Ok::<(), Fault>(())
/// ```
pub trait Function: Send + Sync {
    /// Writes the value at each of `rows` points. `rows` is at least 1; `values` is zero on entry.
    fn evaluate(&self, rows: usize, points: &[f64], values: &mut [f64]) -> Result<(), Fault>;
}

/// A function that has a gradient too, almost everywhere.
pub trait Differentiable: Function {
    /// Writes $\partial \langle \bar y, f \rangle / \partial x$ at each of `rows` points. `slopes` is zero on
    /// entry.
    fn gradients(&self, rows: usize, points: &[f64], dy: &[f64], slopes: &mut [f64]) -> Result<(), Fault>;
}

impl<F: Fn(&[f64], &mut [f64]) -> Result<(), Fault> + Send + Sync> Function for F {
    fn evaluate(&self, rows: usize, points: &[f64], values: &mut [f64]) -> Result<(), Fault> {
        let (n, m) = (points.len() / rows, values.len() / rows);
        (0..rows).try_for_each(|i| self(&points[i * n..][..n], &mut values[i * m..][..m]))
    }
}

impl<F: Fn(usize, &[f64], &mut [f64]) -> Result<(), Fault> + Send + Sync> Function for Batched<F> {
    fn evaluate(&self, rows: usize, points: &[f64], values: &mut [f64]) -> Result<(), Fault> {
        (self.0)(points.len() / rows, points, values)
    }
}

/// A function with its gradient: `value(x, y)` and `gradient(x, dy, dx)`, both one point at a time.
///
/// ```
/// use supple_core::Fault;
/// use supple_estimators::WithGradient;
///
/// let square = WithGradient {
///     value: |x: &[f64], y: &mut [f64]| -> Result<(), Fault> { y[0] = x[0] * x[0]; Ok(()) },
///     gradient: |x: &[f64], dy: &[f64], dx: &mut [f64]| -> Result<(), Fault> { dx[0] = 2.0 * x[0] * dy[0]; Ok(()) },
/// };
/// # let _ = square;
/// ```
#[derive(Debug, Clone, Copy)]
pub struct WithGradient<F, G> {
    /// Writes the value at `x` to `y`.
    pub value: F,
    /// Writes the gradient of `⟨dy, f⟩` at `x` to `dx`.
    pub gradient: G,
}

impl<F: Function, G: Send + Sync> Function for WithGradient<F, G> {
    fn evaluate(&self, rows: usize, points: &[f64], values: &mut [f64]) -> Result<(), Fault> {
        self.value.evaluate(rows, points, values)
    }
}

impl<F, G> Differentiable for WithGradient<F, G>
where
    F: Function,
    G: Fn(&[f64], &[f64], &mut [f64]) -> Result<(), Fault> + Send + Sync,
{
    fn gradients(&self, rows: usize, points: &[f64], dy: &[f64], slopes: &mut [f64]) -> Result<(), Fault> {
        let n = points.len() / rows;
        (0..rows).try_for_each(|i| (self.gradient)(&points[i * n..][..n], dy, &mut slopes[i * n..][..n]))
    }
}

/// What an estimator needs of a function: its values.
#[derive(Debug, Clone, Copy)]
pub enum Values {}

/// What an estimator needs of a function: values and gradients.
#[derive(Debug, Clone, Copy)]
pub enum Gradients {}

/// A function that has what an estimator with these needs asks for: any [`Function`] has [`Values`], a
/// [`Differentiable`] one has [`Gradients`] too.
pub trait Supplies<Needs>: Function {
    /// The gradients of `⟨dy, f⟩` at the points; empty where they are not needed.
    fn supply(&self, rows: usize, points: &[f64], dy: &[f64]) -> Result<Vec<f64>, Fault>;
}

impl<F: Function> Supplies<Values> for F {
    fn supply(&self, _: usize, _: &[f64], _: &[f64]) -> Result<Vec<f64>, Fault> {
        Ok(vec![])
    }
}

impl<F: Differentiable> Supplies<Gradients> for F {
    fn supply(&self, rows: usize, points: &[f64], dy: &[f64]) -> Result<Vec<f64>, Fault> {
        let mut slopes = vec![0.0; points.len()];
        self.gradients(rows, points, dy, &mut slopes)?;
        Ok(slopes)
    }
}
