//! A problem: a mean whose gradient is known.

use std::sync::Arc;
use supple_core::{Error, Fault};
use supple_estimators::discrete::Discrete;
use supple_estimators::smoothing::Noise;
use supple_estimators::{Differentiable, Function};
use supple_ops::perturb::Oracle;

/// A mean over something random, its exact gradient, and what estimators are given to find it.
pub trait Problem: Send + Sync {
    /// Name in the tables and on the command line.
    fn name(&self) -> &'static str;
    /// What it is, in one line.
    fn summary(&self) -> &'static str;
    /// The parameters at which gradients are compared, and where `optimise` starts.
    fn x(&self) -> Vec<f64>;
    /// What the mean is over.
    fn target(&self) -> Target;
    /// The mean and its gradient at `x`, exactly, or to many more digits than any estimator has.
    fn exact(&self, x: &[f64]) -> Exact;
}

/// What a mean is over.
#[derive(Clone)]
pub enum Target {
    /// $\mathrm{E} f(x + \sigma Z)$.
    Perturbed {
        /// The function.
        cost: Cost,
        /// Scale of the noise.
        softness: f64,
        /// Its distribution.
        noise: Noise,
    },
    /// $\mathrm{E} f(b)$ for $b$ drawn with logits $x$.
    Sampled {
        /// The function of the sample.
        cost: Cost,
        /// What is drawn.
        distribution: Distribution,
    },
    /// $\mathrm{E} c(y(x + \sigma Z))$ for the solution $y$ of a solver.
    Solved {
        /// The function of the solution.
        cost: Cost,
        /// The solver.
        solver: Solver,
        /// Scale of the noise.
        softness: f64,
        /// Its distribution.
        noise: Noise,
    },
}

/// The mean at a point, and its gradient.
#[derive(Debug, Clone, PartialEq)]
pub struct Exact {
    /// The mean.
    pub value: f64,
    /// Its gradient.
    pub gradient: Vec<f64>,
}

/// A shared function with one value and a gradient.
#[derive(Clone)]
pub struct Cost(pub Arc<dyn Differentiable>);

impl Function for Cost {
    fn evaluate(&self, rows: usize, points: &[f64], values: &mut [f64]) -> Result<(), Fault> {
        self.0.evaluate(rows, points, values)
    }
}

impl Differentiable for Cost {
    fn gradients(&self, rows: usize, points: &[f64], dy: &[f64], slopes: &mut [f64]) -> Result<(), Fault> {
        self.0.gradients(rows, points, dy, slopes)
    }
}

/// A shared solver.
#[derive(Clone)]
pub struct Solver(pub Arc<dyn Oracle>);

impl Oracle for Solver {
    fn solve(&self, theta: &[f64], y: &mut [f64]) -> Result<(), Fault> {
        self.0.solve(theta, y)
    }

    fn solve_many(&self, n: usize, thetas: &[f64], ys: &mut [f64]) -> Result<(), Fault> {
        self.0.solve_many(n, thetas, ys)
    }

    fn batch(&self, n: usize) -> Option<usize> {
        self.0.batch(n)
    }

    fn validate(&self, n: usize) -> Result<(), Error> {
        self.0.validate(n)
    }

    fn work(&self, n: usize) -> usize {
        self.0.work(n)
    }
}

/// The cost of a solution, as a function of the objective: it jumps, and has no gradient worth having.
#[derive(Clone)]
pub struct CostOfSolution {
    /// The function of the solution.
    pub cost: Cost,
    /// The solver.
    pub solver: Solver,
}

impl Function for CostOfSolution {
    fn evaluate(&self, rows: usize, points: &[f64], values: &mut [f64]) -> Result<(), Fault> {
        let mut solutions = vec![0.0; points.len()];
        self.solver.solve_many(points.len() / rows, points, &mut solutions)?;
        self.cost.evaluate(rows, &solutions, values)
    }
}

/// Zero almost everywhere.
impl Differentiable for CostOfSolution {
    fn gradients(&self, _: usize, _: &[f64], _: &[f64], _: &mut [f64]) -> Result<(), Fault> {
        Ok(())
    }
}

/// A shared distribution; which one it is decides which estimators can take part.
#[derive(Clone)]
pub enum Distribution {
    /// Independent yes-or-no answers.
    Bernoulli,
    /// Choices among `classes` each.
    Categorical {
        /// Logits of one choice.
        classes: usize,
    },
    /// A subset of size k.
    Subset {
        /// Its size.
        k: usize,
    },
    /// An order.
    PlackettLuce,
}

impl Distribution {
    /// The distribution itself.
    pub fn discrete(&self) -> Box<dyn Discrete> {
        use supple_estimators::discrete::{Bernoulli, Categorical, PlackettLuce, Subset};
        match *self {
            Self::Bernoulli => Box::new(Bernoulli),
            Self::Categorical { classes } => Box::new(Categorical { classes }),
            Self::Subset { k } => Box::new(Subset { k }),
            Self::PlackettLuce => Box::new(PlackettLuce),
        }
    }

    /// The mean and its gradient by going through all values.
    pub fn exact(&self, cost: &Cost, x: &[f64]) -> Exact {
        let distribution = self.discrete();
        let mut exact = Exact { value: 0.0, gradient: vec![0.0; x.len()] };
        let mut score = vec![0.0; x.len()];
        distribution.enumerate(x, &mut |b, p| {
            let mut value = [0.0];
            // A cost that cannot be had shows as NaN.
            if cost.evaluate(1, b, &mut value).is_err() {
                value[0] = f64::NAN;
            }
            distribution.score(x, b, &mut score);
            exact.value += p * value[0];
            exact.gradient.iter_mut().zip(&score).for_each(|(g, s)| *g += p * value[0] * s);
        });
        exact
    }
}
