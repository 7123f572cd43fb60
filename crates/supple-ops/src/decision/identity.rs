//! A solver with the gradient of the identity, after a projection of the scores.
//!
//! $$y(\theta) = \arg\max_{y \in Y} \langle P(\theta), y\rangle, \qquad
//! \bar\theta = P'(\theta)^\top \bar y$$
//!
//! for an [`Oracle`] on $\theta$ `(n)` and the cotangent $\bar y$ of its answer: the solver is passed
//! straight through, its projection is differentiated. In terms of the costs $-\theta$, which the paper
//! minimises, it is the *negative* identity.
//!
//! | [`Projection`] | $P(\theta)$ | leaves the answer as it is where |
//! |---|---|---|
//! | `None` | $\theta$ | always |
//! | `Mean` | $\theta - \mathrm{mean}(\theta)$ | all $y \in Y$ have one sum |
//! | `Norm` | $\theta / \lVert\theta\rVert$ | always |
//! | `Std` | `Norm` after `Mean` | all $y \in Y$ have one sum |
//!
//! * The projection takes out of the gradient what the solver does not see: a common shift of the scores,
//!   their common scale. Without it that part accumulates, and scores may collapse or grow without end. Do
//!   not take `Mean` or `Std` for a solver that is not invariant to a shift: it changes the answer.
//! * Gradient: a surrogate; exact where $y$ is replaced by $P(\theta)$. It does not look at the solver at
//!   all. Second derivatives are refused. Where there is nothing to normalise, all scores being 0 or, for
//!   `Std`, equal, $P(\theta)$ is 0 and so is the gradient.
//! * Cost: one solve forward, none backward.
//!
//! Faults, for the item: $\theta$ with NaN or, where it is projected, infinite; whatever the oracle reports.
//!
//! Sahoo, Paulus, Vlastelica, Musil, Kuleshov and Martius, *Backpropagation through combinatorial algorithms:
//! identity with projection works*, ICLR 2023, <https://arxiv.org/abs/2205.15213>.

use super::solving::{finite, values};
use crate::perturb::Oracle;
use crate::perturb::sampling::{numbers, solution};
use supple_core::{Args, Error, Fault, Float, Gradient, Operator, Point, Real, Scratch};

/// What is taken out of the scores before they are solved for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Projection {
    /// Nothing.
    None,
    /// The mean.
    Mean,
    /// The length.
    Norm,
    /// The mean, then the length.
    #[default]
    Std,
}

impl Projection {
    fn centres(self) -> bool {
        matches!(self, Self::Mean | Self::Std)
    }

    /// Projects scores; what they have been divided by.
    fn apply(self, theta: &mut [f64]) -> f64 {
        let largest = |x: &[f64]| x.iter().fold(0.0, |largest: f64, x| largest.max(x.abs()));
        let before = largest(theta);
        if self.centres() {
            centre(theta);
        }
        if !matches!(self, Self::Norm | Self::Std) {
            return 1.0;
        }
        // Of equal scores, nothing but the rounding of their mean is left.
        let largest = largest(theta);
        if largest <= 4.0 * f64::EPSILON * before {
            theta.fill(0.0);
            return 0.0;
        }
        // Scaled first, so that no square is out of range.
        theta.iter_mut().for_each(|x| *x /= largest);
        let norm = theta.iter().map(|x| x * x).sum::<f64>().sqrt();
        theta.iter_mut().for_each(|x| *x /= norm);
        largest * norm
    }
}

/// Takes the mean away: of equal scores exactly, for the first is taken away before.
fn centre(x: &mut [f64]) {
    let (count, first) = (x.len() as f64, x.first().copied().unwrap_or(0.0));
    x.iter_mut().for_each(|x| *x -= first);
    let mean: f64 = x.iter().map(|x| x / count).sum();
    x.iter_mut().for_each(|x| *x -= mean);
}

/// A solver with the gradient of the identity, for any [`Oracle`].
///
/// ```
/// use supple_core::linearize;
/// use supple_ops::decision::{IdentityGradient, Projection};
/// use supple_ops::perturb::oracles::TopK;
///
/// let layer = IdentityGradient { oracle: TopK { k: 1 }, projection: Projection::Mean };
/// let theta = ndarray::array![0.3, 0.1, 2.0].into_dyn();
/// let at = linearize(&layer, [theta.view()])?;
/// assert_eq!(at.outputs()[0], ndarray::array![0.0, 0.0, 1.0].into_dyn());
/// let [gradient] = at.vjp([ndarray::array![3.0, 0.0, 0.0].into_dyn().view()])?;
/// assert_eq!(gradient, ndarray::array![2.0, -1.0, -1.0].into_dyn());
/// # Ok::<(), supple_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct IdentityGradient<S> {
    /// The solver.
    pub oracle: S,
    /// What is taken out of the scores.
    pub projection: Projection,
}

impl<S: Oracle> Operator for IdentityGradient<S> {
    const NAME: &'static str = "identity_gradient";
    const SIGNATURE: &'static str = "theta(n) -> y(n)";
    const GRADIENT: Gradient = Gradient::Surrogate;
    type Saved<T: Real> = ();

    fn validate(&self, sizes: &[usize]) -> Result<(), Error> {
        sizes.iter().try_for_each(|&n| self.oracle.validate(n))
    }

    fn work(&self, sizes: &[usize]) -> usize {
        self.oracle.work(sizes.iter().product())
    }

    fn forward<T: Real>(
        &self,
        at: Args<'_, T>,
        [y]: [&mut [T]; 1],
        _: &mut (),
        _: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let mut theta = match self.projection {
            Projection::None => numbers("theta", at.x[0])?,
            _ => finite("theta", at.x[0])?,
        };
        self.projection.apply(&mut theta);
        let solution = solution(&self.oracle, &theta)?;
        y.iter_mut().zip(solution).for_each(|(y, solution)| *y = T::of(solution));
        Ok(())
    }

    fn vjp<T: Real>(&self, at: Point<'_, T, ()>, [dy]: [&[T]; 1], [dx]: [&mut [T]; 1], _: &mut Scratch<T>) {
        let (mut unit, mut dy) = (values(at.x[0]), values(dy));
        let divisor = self.projection.apply(&mut unit);
        if divisor == 0.0 {
            return;
        }
        if matches!(self.projection, Projection::Norm | Projection::Std) {
            let along: f64 = unit.iter().zip(&dy).map(|(u, dy)| u * dy).sum();
            dy.iter_mut().zip(&unit).for_each(|(dy, u)| *dy = (*dy - along * u) / divisor);
        }
        if self.projection.centres() {
            centre(&mut dy);
        }
        dx.iter_mut().zip(dy).for_each(|(dx, dy)| *dx = T::of(dy));
    }

    fn hard<T: Float>(
        &self,
        at: Args<'_, T>,
        y: [&mut [T]; 1],
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        self.forward(at, y, &mut (), scratch)
    }
}

#[cfg(test)]
mod tests {
    use super::super::solving::testing::{BruteForce, both, dot, plus};
    use super::*;
    use crate::perturb::oracles::TopK;
    use supple_core::{Stream, linearize};

    const ALL: [Projection; 4] = [Projection::None, Projection::Mean, Projection::Norm, Projection::Std];

    /// The projection by its definition.
    fn projected(projection: Projection, theta: &[f64]) -> Vec<f64> {
        let mean = theta.iter().sum::<f64>() / theta.len() as f64;
        let centred: Vec<f64> = theta.iter().map(|x| x - mean).collect();
        let unit = |x: &[f64]| x.iter().map(|x_i| x_i / dot(x, x).sqrt()).collect();
        match projection {
            Projection::None => theta.to_vec(),
            Projection::Mean => centred,
            Projection::Norm => unit(theta),
            Projection::Std => unit(&centred),
        }
    }

    #[test]
    fn the_gradient_is_that_of_the_projection_and_the_answer_the_solvers() {
        let mut random = Stream::new(3, 0, 0);
        let oracle = BruteForce::masks(5, 2);
        for case in 0..100 {
            let projection = ALL[case % 4];
            let scale = [1.0, 1e-160, 1e160][case % 3];
            let theta: Vec<f64> = random.normals(5).iter().map(|x| x * scale).collect();
            let (dy, v) = (random.normals(5), random.normals(5));
            let operator = IdentityGradient { oracle: oracle.clone(), projection };
            let (y, [dx]) = both(&operator, [&theta], &dy).unwrap();
            assert_eq!(y, oracle.best(&theta));
            if scale == 1.0 {
                let value = |step| dot(&dy, &projected(projection, &plus(&theta, step, &v)));
                let slope = (value(1e-6) - value(-1e-6)) / 2e-6;
                assert!((dot(&dx, &v) - slope).abs() < 1e-7, "{projection:?}");
            }
            assert!(dx.iter().all(|d| d.is_finite()));
            if projection == Projection::None {
                assert_eq!(dx, dy);
            }
            if projection.centres() {
                assert!(dx.iter().sum::<f64>().abs() < 1e-12 * (1.0 + 1.0 / scale));
            }
        }
    }

    #[test]
    fn nothing_to_normalise_and_infinite_scores() {
        let operator = |projection| IdentityGradient { oracle: BruteForce::masks(3, 1), projection };
        for (projection, theta) in [(Projection::Norm, [0.0; 3]), (Projection::Std, [0.1; 3])] {
            assert_eq!(both(&operator(projection), [&theta], &[1.0, 2.0, 3.0]).unwrap().1, [[0.0; 3]]);
        }
        let masked = [1.0, f64::NEG_INFINITY, 0.0];
        assert!(both(&operator(Projection::Mean), [&masked], &[1.0; 3]).is_err());
        let oracle = crate::perturb::oracles::TopK { k: 1 };
        let (y, [dx]) =
            both(&IdentityGradient { oracle, projection: Projection::None }, [&masked], &[1.0; 3]).unwrap();
        assert_eq!((y, dx), (vec![1.0, 0.0, 0.0], vec![1.0; 3]));
    }

    #[test]
    fn equal_scores_have_no_gradient_however_many() {
        for (n, score) in [(300, 1.0), (100, 3.3), (1000, -0.1)] {
            let layer = IdentityGradient { oracle: TopK { k: 1 }, projection: Projection::Std };
            let theta = ndarray::Array1::from_elem(n, score).into_dyn();
            let dy = ndarray::Array1::from_shape_fn(n, |i| (i == 0) as u8 as f64).into_dyn();
            let [gradient] = linearize(&layer, [theta.view()]).unwrap().vjp([dy.view()]).unwrap();
            assert!(gradient.iter().all(|g| *g == 0.0), "{n}, {score}: {}", gradient[0]);
        }
    }
}
