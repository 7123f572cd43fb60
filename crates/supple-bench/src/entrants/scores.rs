//! Estimators for costs of samples that are right in expectation.

use super::entrant;
use crate::entrant::{Entrant, Run, Runner};
use crate::problem::{Distribution, Target};
use supple_estimators::Baseline;
use supple_estimators::discrete::{
    Arm, Bernoulli, Categorical, DisArm, MuProp, Nvil, PlackettLuce, Rebar, Reinforce, Relax, Subset,
    WithoutReplacement,
};

/// A runner for `$estimator`, made of the distribution `$d`, where the variables are independent.
macro_rules! independent {
    ($target:expr, $d:ident => $estimator:expr) => {
        match $target {
            Target::Sampled { cost, distribution: Distribution::Bernoulli } => {
                let $d = Bernoulli;
                Run::start($estimator, cost.clone())
            }
            Target::Sampled { cost, distribution: Distribution::Categorical { classes } } => {
                let $d = Categorical { classes: *classes };
                Run::start($estimator, cost.clone())
            }
            _ => None,
        }
    };
}

/// As `independent`, for all distributions.
macro_rules! any {
    ($target:expr, $d:ident => $estimator:expr) => {
        match $target {
            Target::Sampled { cost, distribution: Distribution::Subset { k } } => {
                let $d = Subset { k: *k };
                Run::start($estimator, cost.clone())
            }
            Target::Sampled { cost, distribution: Distribution::PlackettLuce } => {
                let $d = PlackettLuce;
                Run::start($estimator, cost.clone())
            }
            target => independent!(target, $d => $estimator),
        }
    };
}

/// These entrants.
pub fn all() -> Vec<Entrant> {
    vec![
        entrant("reinforce", "score function, no baseline (Williams 1992)", |t| reinforce(t, Baseline::None)),
        entrant("rloo", "score function, the mean of other costs as baseline (Kool et al. 2019)", |t| {
            reinforce(t, Baseline::LeaveOneOut)
        }),
        entrant(
            "self_critical",
            "score function, the cost of the mode as baseline (Rennie et al. 2017)",
            |t| reinforce(t, Baseline::Value),
        ),
        entrant(
            "nvil",
            "score function, a running mean as baseline (Mnih and Gregor 2014)",
            |t| any!(t, distribution => Nvil::new(distribution)),
        ),
        entrant(
            "without_replacement",
            "score function, no value twice (Kool et al. 2020)",
            |t| independent!(t, distribution => WithoutReplacement { distribution }),
        ),
        entrant("arm", "opposite samples of yes and no (Yin and Zhou 2019)", |t| bernoulli(t, || Arm)),
        entrant("disarm", "opposite samples, their noise averaged out (Dong, Mnih and Tucker 2020)", |t| {
            bernoulli(t, || DisArm)
        }),
        entrant(
            "rebar",
            "the cost of a relaxed sample as control (Tucker et al. 2017)",
            |t| independent!(t, distribution => Rebar::new(distribution)),
        ),
        entrant(
            "relax",
            "a learned function of a relaxed sample as control (Grathwohl et al. 2018)",
            |t| independent!(t, distribution => Relax::new(distribution)),
        ),
        entrant(
            "mu_prop",
            "an expansion about the mean as control (Gu et al. 2016)",
            |t| independent!(t, distribution => MuProp { distribution }),
        ),
    ]
}

fn reinforce(target: &Target, baseline: Baseline) -> Option<Box<dyn Runner>> {
    any!(target, distribution => Reinforce { distribution, baseline })
}

fn bernoulli<E>(target: &Target, make: fn() -> E) -> Option<Box<dyn Runner>>
where
    E: supple_estimators::Estimator<Needs = supple_estimators::Values> + 'static,
{
    let Target::Sampled { cost, distribution: Distribution::Bernoulli } = target else { return None };
    Run::start(make(), cost.clone())
}
