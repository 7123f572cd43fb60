//! An estimator and a function as an operator.
//!
//! $$ y = \mathrm{E} f, \qquad \frac{\partial}{\partial x} \langle \bar y, y \rangle \approx \text{what the
//! estimator makes of the costs } c = \langle \bar y, f \rangle $$
//!
//! for a function $f$ with $m$ values of the points that the estimator chooses for parameters $x$ `(n)`. Value
//! and gradient come from the same points. Second derivatives are refused.
//!
//! With several values, $c$ changes with $\bar y$. Estimators whose gradient is not linear in the cost (by ranks, or with
//! something learnt) are for functions with one value, which is told as it is.
//!
//! Cost: the estimator's; the values at all points are kept for the gradient, the points are drawn again.
//! Faults, for the item: $x$ with NaN, and whatever estimator and function report.

use crate::estimate::mean;
use crate::{Asked, Draws, Estimator, Supplies, Told};
use supple_core::{Args, Error, Fault, Float, Gradient, Operator, Point, Real, Scratch, Stream};

/// The mean of a function and the estimate of its gradient, for batches, threads and LibTorch.
///
/// ```
/// use supple_core::{Fault, linearize};
/// use supple_estimators::{Estimated, Smoothing};
///
/// let step = |x: &[f64], y: &mut [f64]| -> Result<(), Fault> {
///     y[0] = if x[0] > 0.0 { 1.0 } else { 0.0 };
///     Ok(())
/// };
/// let smooth = Estimated { evaluations: 10_000, seed: Some(1), ..Estimated::new(Smoothing::default(), step, 1) };
/// let x = ndarray::array![0.5].into_dyn();
/// let at = linearize(&smooth, [x.view()])?;
/// assert!((at.outputs()[0][0] - 0.6915_f64).abs() < 0.02); // the normal distribution function at 0.5
/// let [slope] = at.vjp([ndarray::array![1.0].into_dyn().view()])?;
/// assert!((slope[0] - 0.3521).abs() < 0.05); // and its density
/// # Ok::<(), supple_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Estimated<E: Estimator, F> {
    /// The estimator.
    pub estimator: E,
    /// The function: a closure `f(x, y)`, or anything that [`Supplies`] what the estimator needs.
    pub function: F,
    /// How many values it has.
    pub m: usize,
    /// Evaluations for each item.
    pub evaluations: usize,
    /// Seed of the random numbers; drawn at each call where there is none.
    pub seed: Option<u64>,
    /// Whether all items of a batch take the same random numbers.
    pub common: bool,
    /// What the estimator has learnt: see [`estimate`](crate::estimate()), which returns it.
    pub state: E::State,
}

impl<E: Estimator, F: Supplies<E::Needs>> Estimated<E, F> {
    /// 100 evaluations, a new seed at each call, numbers of its own for each item.
    pub fn new(estimator: E, function: F, m: usize) -> Self {
        let state = E::State::default();
        Self { estimator, function, m, evaluations: 100, seed: None, common: false, state }
    }

    fn ask(&self, x: &[f64], seed: u64, item: usize) -> Result<Asked<E::Plan>, Fault> {
        let item = if self.common { 0 } else { item };
        self.estimator.points(x, self.evaluations, &self.state, Draws { seed, item })
    }

    /// The gradient of one item.
    fn gradient(&self, x: &[f64], saved: &Saved, item: usize, dy: &[f64]) -> Result<Vec<f64>, Fault> {
        let asked = self.ask(x, saved.seed, item)?;
        // One value is told as it is, for what has been learnt is of its size, and ranks have none.
        let (weights, factor) = match *dy {
            [factor] => (&[1.0][..], factor),
            _ => (dy, 1.0),
        };
        let product = |value: &[f64]| value.iter().zip(weights).map(|(v, w)| v * w).sum();
        let costs: Vec<f64> = match self.m {
            0 => vec![0.0; asked.rows()],
            m => saved.values.chunks_exact(m).map(product).collect(),
        };
        let slopes = self.function.supply(asked.rows(), &asked.points, weights)?;
        let mut gradient = vec![0.0; x.len()];
        let told = Told { costs: &costs, slopes: &slopes };
        self.estimator.tell(x, &asked, told, &self.state, &mut gradient);
        gradient.iter_mut().for_each(|g| *g *= factor);
        Ok(gradient)
    }
}

/// The seed in use, and the function's value at each point.
#[derive(Debug, Default)]
pub struct Saved {
    seed: u64,
    values: Vec<f64>,
}

impl<E: Estimator, F: Supplies<E::Needs>> Operator for Estimated<E, F> {
    const NAME: &'static str = E::NAME;
    const SIGNATURE: &'static str = "x(n) -> y(m)";
    const GRADIENT: Gradient = E::GRADIENT;
    type Saved<T: Real> = Saved;

    fn validate(&self, sizes: &[usize]) -> Result<(), Error> {
        // The size of the output is the second.
        sizes.first().map_or(Ok(()), |&n| self.estimator.validate(n, self.evaluations))
    }

    fn size(&self, symbol: &str) -> Option<usize> {
        (symbol == "m").then_some(self.m)
    }

    fn work(&self, sizes: &[usize]) -> usize {
        self.evaluations.saturating_mul(10 * sizes.iter().sum::<usize>())
    }

    fn forward<T: Real>(
        &self,
        at: Args<'_, T>,
        [y]: [&mut [T]; 1],
        saved: &mut Saved,
        _: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let x = numbers(at.x[0]);
        saved.seed = self.seed.unwrap_or_else(Stream::fresh_seed);
        let asked = self.ask(&x, saved.seed, at.item)?;
        saved.values = vec![0.0; asked.rows() * self.m];
        self.function.evaluate(asked.rows(), &asked.points, &mut saved.values)?;
        for (j, y) in y.iter_mut().enumerate() {
            *y = T::of(mean(&asked.weights, saved.values.iter().skip(j).step_by(self.m)));
        }
        Ok(())
    }

    /// A gradient that the function refuses is NaN.
    fn vjp<T: Real>(
        &self,
        at: Point<'_, T, Saved>,
        [dy]: [&[T]; 1],
        [dx]: [&mut [T]; 1],
        _: &mut Scratch<T>,
    ) {
        match self.gradient(&numbers(at.x[0]), at.saved, at.item, &numbers(dy)) {
            Ok(gradient) => dx.iter_mut().zip(gradient).for_each(|(dx, g)| *dx = T::of(g)),
            Err(_) => dx.fill(T::nan()),
        }
    }

    /// The function where nothing is random.
    fn hard<T: Float>(&self, at: Args<'_, T>, [y]: [&mut [T]; 1], _: &mut Scratch<T>) -> Result<(), Fault> {
        let point = self.estimator.limit(&numbers(at.x[0])).ok_or(Fault::NoHardForm)?;
        let mut value = vec![0.0; self.m];
        self.function.evaluate(1, &point, &mut value)?;
        y.iter_mut().zip(value).for_each(|(y, value)| *y = T::of(value));
        Ok(())
    }
}

/// The values of an input.
fn numbers<T: Real>(x: &[T]) -> Vec<f64> {
    x.iter().map(|x| x.as_f64()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Smoothing, WithGradient, smoothing::Pathwise};
    use ndarray::{Array, ArrayD, Axis, Dimension};
    use supple_core::{evaluate_each, linearize};

    /// Two values, one of which jumps.
    fn function(x: &[f64], y: &mut [f64]) -> Result<(), Fault> {
        if x[0] > 100.0 {
            return Err(Fault::Oracle("out of range".into()));
        }
        y[0] = if x[0] + x[1] > 0.0 { 1.0 } else { 0.0 };
        y[1] = x[0] * x[1];
        Ok(())
    }

    fn operator() -> Estimated<Smoothing, fn(&[f64], &mut [f64]) -> Result<(), Fault>> {
        Estimated { evaluations: 50, seed: Some(3), ..Estimated::new(Smoothing::default(), function, 2) }
    }

    fn batch() -> ArrayD<f64> {
        Array::from_shape_fn((300, 2), |(i, j)| 0.01 * i as f64 - j as f64).into_dyn()
    }

    fn gradient(operator: &impl Operator, x: &ArrayD<f64>, dy: [f64; 2]) -> ArrayD<f64> {
        let at = linearize(operator, [x.view()]).unwrap();
        let dy = Array::from_shape_fn(at.outputs()[0].raw_dim(), |i| dy[i[i.ndim() - 1]]);
        let [dx] = at.vjp([dy.view()]).unwrap();
        dx
    }

    #[test]
    fn the_gradient_is_linear_in_the_cotangent() {
        let [first, second, both] =
            [[1.0, 0.0], [0.0, 1.0], [2.0, -3.0]].map(|dy| gradient(&operator(), &batch(), dy));
        let gap = (2.0 * first - 3.0 * second - both).iter().fold(0.0, |a: f64, b| a.max(b.abs()));
        assert!(gap < 1e-12, "{gap}");
    }

    #[test]
    fn one_value_has_a_gradient_linear_in_its_cotangent_for_every_estimator() {
        let cost = |x: &[f64], y: &mut [f64]| -> Result<(), Fault> {
            y[0] = x[0] * x[0] - x[1];
            Ok(())
        };
        let strategy = crate::smoothing::EvolutionStrategy::default();
        let operator = Estimated { seed: Some(3), ..Estimated::new(strategy, cost, 1) };
        let x = ndarray::arr1(&[0.3, 0.5]).into_dyn();
        let slope = |dy: f64| {
            let at = linearize(&operator, [x.view()]).unwrap();
            let [dx] = at.vjp([ndarray::arr1(&[dy]).into_dyn().view()]).unwrap();
            dx
        };
        assert!((slope(1e-6) * 1e6 - slope(1.0)).iter().all(|gap| gap.abs() < 1e-9));
        assert!((slope(-1.0) + slope(1.0)).iter().all(|gap| gap.abs() < 1e-12));
    }

    #[test]
    fn items_have_numbers_of_their_own_unless_asked_otherwise() {
        let same = Array::from_elem((3, 2), 0.1).into_dyn();
        let own = gradient(&operator(), &same, [1.0, 1.0]);
        assert_ne!(own.index_axis(Axis(0), 0), own.index_axis(Axis(0), 1));
        let common = gradient(&Estimated { common: true, ..operator() }, &same, [1.0, 1.0]);
        assert_eq!(common.index_axis(Axis(0), 0), common.index_axis(Axis(0), 2));
        let fresh = Estimated { seed: None, ..operator() };
        assert_ne!(gradient(&fresh, &same, [1.0, 1.0]), gradient(&fresh, &same, [1.0, 1.0]));
    }

    #[test]
    fn a_function_that_fails_spoils_its_item() {
        let mut x = batch();
        x[[7, 0]] = 1e3;
        x[[9, 1]] = f64::NAN;
        let ([y], faults) = evaluate_each(&operator(), [x.view()]).unwrap();
        let failed: Vec<usize> = (0..300).filter(|&item| faults[item].is_some()).collect();
        assert_eq!(failed, [7, 9]);
        assert!(y[[7, 0]].is_nan() && y[[8, 0]].is_finite());
    }

    #[test]
    fn gradients_of_the_function_are_asked_for_where_they_are_needed() {
        let smooth = WithGradient {
            value: |x: &[f64], y: &mut [f64]| -> Result<(), Fault> {
                (y[0], y[1]) = (x[0] * x[1], x[0]);
                Ok(())
            },
            gradient: |x: &[f64], dy: &[f64], dx: &mut [f64]| -> Result<(), Fault> {
                (dx[0], dx[1]) = (dy[0] * x[1] + dy[1], dy[0] * x[0]);
                Ok(())
            },
        };
        let pathwise = Pathwise { softness: 1e-9, ..Pathwise::default() };
        let dx = gradient(
            &Estimated::new(pathwise, smooth, 2),
            &ndarray::arr1(&[2.0, 5.0]).into_dyn(),
            [1.0, 10.0],
        );
        assert!((dx[0] - 15.0).abs() < 1e-6 && (dx[1] - 2.0).abs() < 1e-6, "{dx}");
    }
}
