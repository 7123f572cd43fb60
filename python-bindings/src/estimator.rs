//! Estimators of the gradient of a mean, around a function of Python's.

use crate::callable::{Callable, Held};
use crate::engine;
use crate::error::raise;
use crate::named::Named;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use supple_core::{AnyOperator, Error, erase};
use supple_estimators::discrete::{
    Arm, Bernoulli, Categorical, DisArm, PlackettLuce, Reinforce, Subset, WithoutReplacement,
};
use supple_estimators::smoothing::{EvolutionStrategy, Spsa};
use supple_estimators::{Budget, Estimated, Estimator, Smoothing, Values, estimate};

/// What is done with an estimator, whichever it is.
trait Use {
    type Output;
    fn with<E>(self, estimator: E) -> PyResult<Self::Output>
    where
        E: Estimator<Needs = Values> + Clone + 'static,
        E::State: 'static;
}

/// Picks the estimator by name.
fn pick<U: Use>(name: &str, given: &Named<'_, '_>, then: U) -> PyResult<U::Output> {
    match name {
        "smoothing" => then.with(Smoothing {
            softness: given.get("softness")?,
            noise: given.get("noise")?,
            baseline: given.get("baseline")?,
            design: given.get("design")?,
        }),
        "spsa" => then.with(Spsa { softness: given.get("softness")? }),
        "evolution_strategy" => then
            .with(EvolutionStrategy { softness: given.get("softness")?, utilities: given.get("utilities")? }),
        "reinforce" => reinforce(given, then),
        "without_replacement" => match distribution(given)?.as_str() {
            "bernoulli" => then.with(WithoutReplacement { distribution: Bernoulli }),
            "categorical" => then.with(WithoutReplacement { distribution: categorical(given)? }),
            other => Err(no_distribution(name, "bernoulli, categorical", other)),
        },
        "arm" => then.with(Arm),
        "disarm" => then.with(DisArm),
        _ => {
            let names =
                "one of smoothing, spsa, evolution_strategy, reinforce, without_replacement, arm, disarm";
            Err(raise(Error::argument("estimate", "estimator", names, format!("\"{name}\""))))
        }
    }
}

fn reinforce<U: Use>(given: &Named<'_, '_>, then: U) -> PyResult<U::Output> {
    let baseline = given.get("baseline")?;
    match distribution(given)?.as_str() {
        "bernoulli" => then.with(Reinforce { distribution: Bernoulli, baseline }),
        "categorical" => then.with(Reinforce { distribution: categorical(given)?, baseline }),
        "subset" => then.with(Reinforce { distribution: Subset { k: given.get("k")? }, baseline }),
        "plackett_luce" => then.with(Reinforce { distribution: PlackettLuce, baseline }),
        other => Err(no_distribution("reinforce", "bernoulli, categorical, subset, plackett_luce", other)),
    }
}

fn categorical(given: &Named<'_, '_>) -> PyResult<Categorical> {
    Ok(Categorical { classes: given.get("classes")? })
}

fn distribution(given: &Named<'_, '_>) -> PyResult<String> {
    given.text("distribution")
}

fn no_distribution(estimator: &str, names: &str, got: &str) -> PyErr {
    raise(Error::argument(estimator, "distribution", format!("one of {names}"), format!("\"{got}\"")))
}

/// The mean of a function with `m` values as an operator.
pub fn make(
    name: &str,
    function: Callable,
    m: usize,
    given: &Named<'_, '_>,
) -> PyResult<Box<dyn AnyOperator>> {
    let (evaluations, seed, common) = (given.get("evaluations")?, given.get("seed")?, given.get("common")?);
    pick(name, given, Operate { function, m, evaluations, seed, common })
}

struct Operate {
    function: Callable,
    m: usize,
    evaluations: usize,
    seed: Option<u64>,
    common: bool,
}

impl Use for Operate {
    type Output = Box<dyn AnyOperator>;

    fn with<E>(self, estimator: E) -> PyResult<Self::Output>
    where
        E: Estimator<Needs = Values> + Clone + 'static,
        E::State: 'static,
    {
        let Self { function, m, evaluations, seed, common } = self;
        Ok(Box::new(erase(Estimated { evaluations, seed, common, ..Estimated::new(estimator, function, m) })))
    }
}

/// Value, gradient, standard error and evaluations at one point, of a function with one value.
#[pyfunction]
pub fn estimate_at(
    py: Python<'_>,
    name: &str,
    function: Py<PyAny>,
    x: Vec<f64>,
    replicates: usize,
    parameters: &Bound<'_, PyDict>,
) -> PyResult<Report> {
    let given = Named { operator: name, parameters };
    let budget = Budget {
        evaluations: given.get("evaluations")?,
        replicates,
        seed: given.get::<usize>("seed")? as u64,
    };
    pick(name, &given, At { py, held: Held::new(function, true), x, budget })
}

type Report = (f64, Vec<f64>, Option<Vec<f64>>, usize);

struct At<'py> {
    py: Python<'py>,
    held: Held,
    x: Vec<f64>,
    budget: Budget,
}

impl Use for At<'_> {
    type Output = Report;

    fn with<E>(self, estimator: E) -> PyResult<Report>
    where
        E: Estimator<Needs = Values> + Clone + 'static,
        E::State: 'static,
    {
        let Self { py, held, x, budget } = self;
        let function = held.callable.clone();
        let run =
            || estimate(&estimator, &function, &x, budget, &E::State::default()).map(|(found, _)| found);
        let found = engine::run(py, Some(&held), run)?;
        Ok((found.value, found.gradient, found.standard_error, found.evaluations))
    }
}
