//! What an estimator is.

use supple_core::{Error, Fault, Gradient, Stream};

/// A way to estimate $\mathrm{E} c$ and its gradient in parameters $x$ from values of a cost $c$ at points
/// that the estimator chooses.
///
/// It works in two halves, [`ask`](Self::ask) for the points and [`tell`](Self::tell) of the costs there, so
/// that anyone can evaluate between them: a closure here, a tensor function on all points of a batch, a
/// simulator elsewhere. Both are functions of their arguments alone. What the estimator learns goes in and
/// comes out as a [`State`](Self::State).
///
/// Estimators that need the gradient of the cost at the points say so in [`Needs`](Self::Needs).
pub trait Estimator: Send + Sync {
    /// Name in snake case.
    const NAME: &'static str;
    /// How far the gradient may be trusted: right in expectation, or a surrogate.
    const GRADIENT: Gradient = Gradient::Stochastic;
    /// [`Values`](crate::Values) or [`Gradients`](crate::Gradients).
    type Needs;
    /// What it learns from one call for the next; `()` for most.
    type State: Clone + Default + Send + Sync;
    /// What was drawn, beside the points.
    type Plan: Send + Sync;

    /// Refuses parameters that make no sense, lengths of `x` that do not fit, and budgets that are too small.
    fn validate(&self, n: usize, evaluations: usize) -> Result<(), Error>;

    /// The length of a point for `n` parameters.
    fn width(&self, n: usize) -> usize {
        n
    }

    /// What the gradient is biased towards; `None` if it is right in expectation.
    fn bias(&self) -> Option<&'static str> {
        None
    }

    /// The point that is left where nothing is random; `None` if there is none.
    fn limit(&self, _x: &[f64]) -> Option<Vec<f64>> {
        None
    }

    /// Whether the spread of independent replicates says how far the mean may be off: not where nothing is
    /// random, nor where the variance is infinite.
    fn has_standard_error(&self) -> bool {
        true
    }

    /// Chooses at most `evaluations` points.
    fn ask(
        &self,
        x: &[f64],
        evaluations: usize,
        state: &Self::State,
        draws: Draws,
    ) -> Result<Asked<Self::Plan>, Fault>;

    /// [`ask`](Self::ask), after NaN among the parameters has been refused: for whoever evaluates.
    fn points(
        &self,
        x: &[f64],
        evaluations: usize,
        state: &Self::State,
        draws: Draws,
    ) -> Result<Asked<Self::Plan>, Fault> {
        match x.iter().find(|x| x.is_nan()) {
            Some(&value) => Err(Fault::Domain { argument: "x", requirement: "a number", value }),
            None => self.ask(x, evaluations, state, draws),
        }
    }

    /// Writes the gradient from the costs at the points, and their gradients where it needs them, one row a
    /// point. `gradient` is zero on entry.
    fn tell(
        &self,
        x: &[f64],
        asked: &Asked<Self::Plan>,
        told: Told<'_>,
        state: &Self::State,
        gradient: &mut [f64],
    ) -> Self::State;
}

/// Points to evaluate.
#[derive(Debug, Clone)]
pub struct Asked<P> {
    /// One row a point.
    pub points: Vec<f64>,
    /// The weight of each point's cost in the estimate of the mean; 0 for points that serve the gradient only.
    pub weights: Vec<f64>,
    /// What was drawn.
    pub plan: P,
}

impl<P> Asked<P> {
    /// Number of points.
    pub fn rows(&self) -> usize {
        self.weights.len()
    }
}

/// What was found at the points.
#[derive(Debug, Clone, Copy)]
pub struct Told<'a> {
    /// The cost of each point.
    pub costs: &'a [f64],
    /// Its gradient at each point, one row a point; empty if the estimator does not need it.
    pub slopes: &'a [f64],
}

/// Where an estimator's random numbers come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Draws {
    /// The seed.
    pub seed: u64,
    /// Number of the item in a batch: each has numbers of its own.
    pub item: usize,
}

impl Draws {
    /// The stream of one sample.
    pub fn stream(self, sample: usize) -> Stream {
        Stream::new(self.seed, self.item, sample)
    }

    /// Numbers for a part that must be independent of the others.
    pub fn part(self, part: usize) -> Self {
        Self { seed: Stream::new(self.seed, part, u32::MAX as usize).bits(), ..self }
    }
}

/// Refuses budgets below what one draw takes.
pub(crate) fn check_budget(name: &str, evaluations: usize, least: usize) -> Result<(), Error> {
    if evaluations < least {
        return Err(Error::argument(name, "evaluations", format!("at least {least}"), evaluations));
    }
    Ok(())
}

/// Refuses parameters that are not finite and above zero.
pub(crate) fn check_positive(name: &str, argument: &str, value: f64) -> Result<(), Error> {
    if !(value > 0.0 && value.is_finite()) {
        return Err(Error::argument(name, argument, "finite and > 0", value));
    }
    Ok(())
}

/// The sum of rows, each times its factor, added to `sum`.
pub(crate) fn add_rows(sum: &mut [f64], rows: &[f64], factor: impl Fn(usize) -> f64) {
    for (i, row) in rows.chunks_exact(sum.len().max(1)).enumerate() {
        let factor = factor(i);
        if factor != 0.0 {
            sum.iter_mut().zip(row).for_each(|(sum, x)| *sum += factor * x);
        }
    }
}
