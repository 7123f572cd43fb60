//! Relaxed and straight-through samples, for costs of samples that have gradients.
//!
//! Their operators make one choice; several choices are a batch of them, and a yes or no with logit $x$ is a
//! choice between two with logits $(x, 0)$.

use super::entrant;
use crate::entrant::{Entrant, Runner};
use crate::problem::{Cost, Distribution, Target};
use ndarray::{ArrayD, IxDyn};
use supple_core::{Error, Inputs, Mode, Operator, Options, linearize};
use supple_estimators::{Differentiable, Estimate, Function};
use supple_ops::choice::{GumbelSoftmax, Softmax};
use supple_ops::sample::{GappedStraightThrough, GumbelRao, ReinMax, StraightThrough};
use supple_ops::select::{SubsetMarginals, SubsetSample};

/// These entrants.
pub fn all() -> Vec<Entrant> {
    vec![
        entrant("mean", "the gradient of the cost at the mean; no samples", |t| match t {
            Target::Sampled { distribution: Distribution::Subset { k }, .. } => {
                let k = *k;
                subset(t, Mean, move |_| SubsetMarginals { k, softness: 1.0 })
            }
            _ => choices(t, Mean, |_| Softmax { softness: 1.0 }),
        }),
        entrant(
            "gumbel_softmax",
            "the cost of a relaxed sample, softness ½ (Jang et al. 2017; Maddison et al. 2017)",
            |t| choices(t, RelaxedCost, |seed| GumbelSoftmax { softness: 0.5, seed: Some(seed) }),
        ),
        entrant(
            "gumbel_softmax_st",
            "a sample with the gradient of a relaxed one, softness ½ (Jang et al. 2017)",
            |t| {
                choices(t, StandIn(Mode::StraightThrough), |seed| GumbelSoftmax {
                    softness: 0.5,
                    seed: Some(seed),
                })
            },
        ),
        entrant("straight_through", "a sample with the gradient of the mean (Bengio et al. 2013)", |t| {
            choices(t, StandIn(Mode::Soft), |seed| StraightThrough { seed: Some(seed), ..Default::default() })
        }),
        entrant("rein_max", "a sample with a gradient of second order (Liu et al. 2023)", |t| {
            choices(t, StandIn(Mode::Soft), |seed| ReinMax { seed: Some(seed), ..Default::default() })
        }),
        entrant(
            "gumbel_rao",
            "a sample with the gradient of ten relaxed ones, softness ½ (Paulus et al. 2021)",
            |t| {
                choices(t, StandIn(Mode::Soft), |seed| GumbelRao {
                    softness: 0.5,
                    samples: 10,
                    seed: Some(seed),
                })
            },
        ),
        entrant(
            "gapped_straight_through",
            "a sample with the gradient of a softmax that agrees (Fan et al. 2022)",
            |t| {
                let make = |seed| GappedStraightThrough { seed: Some(seed), ..Default::default() };
                choices(t, StandIn(Mode::Soft), make)
            },
        ),
        entrant("subset_sample", "a subset with the gradient of its marginals (Ahmed et al. 2023)", |t| {
            let Target::Sampled { distribution: Distribution::Subset { k }, .. } = t else { return None };
            let k = *k;
            subset(t, StandIn(Mode::Soft), move |seed| SubsetSample { k, softness: 1.0, seed: Some(seed) })
        }),
    ]
}

/// What is put in the place of a gradient.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    /// The operator gives the mean.
    Mean,
    /// It gives a relaxed sample.
    RelaxedCost,
    /// It gives a sample, with a gradient of its own, in this mode.
    StandIn(Mode),
}
use Kind::{Mean, RelaxedCost, StandIn};

/// How the logits of a problem become those of choices.
#[derive(Debug, Clone, Copy)]
enum Form {
    /// One with all logits.
    Whole,
    /// Of so many each.
    Blocks(usize),
    /// Of two each, the second with logit 0.
    Pairs,
}

impl Form {
    /// Choices, and logits of each, of `n` parameters.
    fn shape(self, n: usize) -> [usize; 2] {
        match self {
            Self::Whole => [1, n],
            Self::Blocks(classes) => [n / classes, classes],
            Self::Pairs => [n, 2],
        }
    }

    /// Rows of parameters to rows of logits.
    fn spread(self, rows: &[f64]) -> Vec<f64> {
        match self {
            Self::Pairs => rows.iter().flat_map(|x| [*x, 0.0]).collect(),
            _ => rows.to_vec(),
        }
    }

    /// Of rows of choices, what belongs to the parameters.
    fn gather(self, rows: ArrayD<f64>) -> Vec<f64> {
        match self {
            Self::Pairs => rows.into_iter().step_by(2).collect(),
            _ => rows.into_iter().collect(),
        }
    }
}

struct Relaxed<M> {
    operator: M,
    kind: Kind,
    form: Form,
    cost: Cost,
}

impl<P: Operator, M: Fn(u64) -> P + Send> Runner for Relaxed<M> {
    fn estimate(&mut self, x: &[f64], evaluations: usize, seed: u64) -> Result<Estimate, Error> {
        let rows = if self.kind == Mean { 1 } else { evaluations };
        let operator = (self.operator)(seed);
        let [choices, width] = self.form.shape(x.len());
        let array = |rows_of_parameters: &[f64]| {
            let flat = self.form.spread(rows_of_parameters);
            ArrayD::from_shape_fn(IxDyn(&[rows, choices, width]), |i| {
                flat[(i[0] * choices + i[1]) * width + i[2]]
            })
        };
        let logits = array(&x.repeat(rows));
        let mode = if let StandIn(mode) = self.kind { mode } else { Mode::Soft };
        let options = Options { mode, ..Options::default() };
        let at = linearize(&operator, Inputs { x: [logits.view()], k: [], options })?;
        let [y] = at.outputs();
        let points = self.form.gather(y.to_owned());
        let fault = |fault| Error::Fault { operator: P::NAME.into(), item: 0, fault };
        let mut costs = vec![0.0; rows];
        self.cost.evaluate(rows, &points, &mut costs).map_err(fault)?;
        let mut slopes = vec![0.0; points.len()];
        self.cost.gradients(rows, &points, &[1.0], &mut slopes).map_err(fault)?;
        let [pulled] = at.vjp([array(&slopes).view()])?;
        let mut gradient = vec![0.0; x.len()];
        for row in self.form.gather(pulled).chunks_exact(x.len()) {
            gradient.iter_mut().zip(row).for_each(|(sum, g)| *sum += g / rows as f64);
        }
        let value = costs.iter().sum::<f64>() / rows as f64;
        Ok(Estimate { value, gradient, standard_error: None, evaluations: rows })
    }

    fn bias(&self) -> Option<&'static str> {
        Some(match self.kind {
            Mean => "the cost at the mean, not the mean of the cost",
            RelaxedCost => "the cost of relaxed samples",
            StandIn(_) => "a gradient of its own in the place of the sample's",
        })
    }

    fn validate(&self, n: usize, evaluations: usize) -> Result<(), Error> {
        if evaluations == 0 {
            return Err(Error::argument(P::NAME, "evaluations", "at least 1", evaluations));
        }
        (self.operator)(0).validate(&[self.form.shape(n)[1]])
    }
}

fn start<P: Operator + 'static>(
    cost: &Cost,
    kind: Kind,
    form: Form,
    operator: impl Fn(u64) -> P + Send + 'static,
) -> Option<Box<dyn Runner>> {
    Some(Box::new(Relaxed { operator, kind, form, cost: cost.clone() }))
}

/// A runner for choices.
fn choices<P: Operator + 'static>(
    target: &Target,
    kind: Kind,
    operator: fn(u64) -> P,
) -> Option<Box<dyn Runner>> {
    let Target::Sampled { cost, distribution } = target else { return None };
    match distribution {
        Distribution::Bernoulli => start(cost, kind, Form::Pairs, operator),
        Distribution::Categorical { classes } => start(cost, kind, Form::Blocks(*classes), operator),
        _ => None,
    }
}

/// A runner for a subset.
fn subset<P: Operator + 'static>(
    target: &Target,
    kind: Kind,
    operator: impl Fn(u64) -> P + Send + 'static,
) -> Option<Box<dyn Runner>> {
    let Target::Sampled { cost, .. } = target else { return None };
    start(cost, kind, Form::Whole, operator)
}
