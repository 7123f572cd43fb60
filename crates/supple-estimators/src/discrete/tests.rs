use super::*;
use crate::{Asked, Baseline, Differentiable, Estimator, Function, Supplies, Told};
use supple_core::Fault;

/// Costs with values and gradients between the values of b.
#[derive(Debug, Clone, Copy)]
enum Cost {
    Linear,
    Quadratic,
    /// A product of factors, most of which b changes the sign of: nearly exclusive or.
    Product,
}

const COSTS: [Cost; 3] = [Cost::Linear, Cost::Quadratic, Cost::Product];

/// Uneven coefficients.
fn coefficient(i: usize) -> f64 {
    [1.0, -0.4, 0.7, 0.2, -1.1][i % 5]
}

fn flip(i: usize) -> f64 {
    [1.8, 1.5, -0.5][i % 3]
}

impl Cost {
    fn of(self, b: &[f64]) -> (f64, Vec<f64>) {
        let sum: f64 = b.iter().enumerate().map(|(i, b)| coefficient(i) * b).sum();
        let slopes = |factor: f64| (0..b.len()).map(|i| factor * coefficient(i)).collect();
        match self {
            Self::Linear => (0.3 + sum, slopes(1.0)),
            Self::Quadratic => ((sum - 0.45).powi(2), slopes(2.0 * (sum - 0.45))),
            Self::Product => {
                let without = |i: usize| b.iter().enumerate().filter(move |(j, _)| *j != i);
                let product = |i: usize| without(i).map(|(j, b)| 1.0 - flip(j) * b).product::<f64>();
                (product(b.len()), (0..b.len()).map(|i| -flip(i) * product(i)).collect())
            }
        }
    }
}

impl Function for Cost {
    fn evaluate(&self, rows: usize, points: &[f64], values: &mut [f64]) -> Result<(), Fault> {
        let n = points.len() / rows;
        (0..rows).for_each(|i| values[i] = self.of(&points[i * n..][..n]).0);
        Ok(())
    }
}

impl Differentiable for Cost {
    fn gradients(&self, rows: usize, points: &[f64], dy: &[f64], slopes: &mut [f64]) -> Result<(), Fault> {
        let n = points.len() / rows;
        for i in 0..rows {
            let slope = self.of(&points[i * n..][..n]).1;
            slopes[i * n..][..n].iter_mut().zip(slope).for_each(|(to, slope)| *to = slope * dy[0]);
        }
        Ok(())
    }
}

/// Mean and its gradient, over all values.
fn exact(distribution: &impl Discrete, x: &[f64], cost: Cost) -> (f64, Vec<f64>) {
    let (mut mean, mut gradient) = (0.0, vec![0.0; x.len()]);
    let mut score = vec![0.0; x.len()];
    distribution.enumerate(x, &mut |b, p| {
        let value = cost.of(b).0;
        mean += p * value;
        distribution.score(x, b, &mut score);
        gradient.iter_mut().zip(&score).for_each(|(g, score)| *g += p * value * score);
    });
    (mean, gradient)
}

/// One draw: the estimated mean, then the gradient, and the next state.
fn once<E: Estimator>(
    estimator: &E,
    x: &[f64],
    cost: Cost,
    evaluations: usize,
    state: &E::State,
    seed: u64,
) -> (Vec<f64>, E::State)
where
    Cost: Supplies<E::Needs>,
{
    let draws = Draws { seed, item: 3 };
    let asked: Asked<E::Plan> = estimator.ask(x, evaluations, state, draws).unwrap();
    assert!(asked.rows() <= evaluations, "{}", E::NAME);
    assert!((asked.weights.iter().sum::<f64>() - 1.0).abs() < 1e-12, "{}", E::NAME);
    let mut costs = vec![0.0; asked.rows()];
    cost.evaluate(asked.rows(), &asked.points, &mut costs).unwrap();
    let slopes = cost.supply(asked.rows(), &asked.points, &[1.0]).unwrap();
    let mut found = vec![0.0; x.len() + 1];
    found[0] = crate::estimate::mean(&asked.weights, &costs);
    let told = Told { costs: &costs, slopes: &slopes };
    let state = estimator.tell(x, &asked, told, state, &mut found[1..]);
    (found, state)
}

/// Means and variances over replicates, each with the state that the one before it left, after as many to
/// learn.
fn moments<E: Estimator>(estimator: &E, x: &[f64], cost: Cost, evaluations: usize) -> (Vec<f64>, Vec<f64>)
where
    Cost: Supplies<E::Needs>,
{
    let replicates = REPLICATES as u64;
    let mut state = E::State::default();
    for seed in 0..replicates / 4 {
        state = once(estimator, x, cost, evaluations, &state, replicates + seed).1;
    }
    let (mut sum, mut squares) = (vec![0.0; x.len() + 1], vec![0.0; x.len() + 1]);
    for seed in 0..replicates {
        let (found, next) = once(estimator, x, cost, evaluations, &state, seed);
        state = next;
        for (i, found) in found.iter().enumerate() {
            sum[i] += found;
            squares[i] += found * found;
        }
    }
    let mean: Vec<f64> = sum.iter().map(|sum| sum / REPLICATES).collect();
    let variance =
        squares.iter().zip(&mean).map(|(s, mean)| (s / REPLICATES - mean * mean).max(0.0)).collect();
    (mean, variance)
}

const REPLICATES: f64 = 2500.0;

/// Compares mean and gradient with the exact ones, for each cost and budget.
fn is_right<E: Estimator>(estimator: &E, distribution: &impl Discrete, x: &[f64], budgets: [usize; 2])
where
    Cost: Supplies<E::Needs>,
{
    estimator.validate(x.len(), budgets[0]).unwrap();
    assert!(estimator.validate(x.len(), 0).is_err());
    assert_eq!(estimator.bias(), None);
    assert!(distribution.log_probability(x, &estimator.limit(x).unwrap()).is_finite());
    let again = || once(estimator, x, Cost::Quadratic, budgets[1], &E::State::default(), 7).0;
    assert_eq!(again(), again());
    for (cost, evaluations) in COSTS.into_iter().flat_map(|cost| budgets.map(|budget| (cost, budget))) {
        let (value, gradient) = exact(distribution, x, cost);
        let expected: Vec<f64> = std::iter::once(value).chain(gradient).collect();
        let (mean, variance) = moments(estimator, x, cost, evaluations);
        for i in 0..expected.len() {
            // Beside rounding of means and squares.
            let error = (variance[i] / REPLICATES).sqrt() + 1e-9;
            let z = (mean[i] - expected[i]) / error;
            assert!(z.abs() < 4.5, "{} {cost:?} {x:?} {evaluations}: entry {i}, {z}", E::NAME);
        }
    }
}

const ONE: [f64; 1] = [0.4];
const FOUR: [f64; 4] = [-3.0, 0.7, 3.0, -0.2];
const CERTAIN: [f64; 3] = [0.3, f64::NEG_INFINITY, f64::INFINITY];
const CHOICE: [f64; 3] = [0.5, -1.0, 0.2];
const MASKED: [f64; 3] = [0.5, f64::NEG_INFINITY, 0.2];
const CHOICES: [f64; 12] = [0.5, -1.0, 0.2, 3.0, 0.0, 0.5, -0.3, 0.1, 1.0, 0.0, 2.0, -0.5];
const THREE: Categorical = Categorical { classes: 3 };

/// All cases of independent variables, for an estimator made with each distribution.
macro_rules! is_right_for_independent {
    ($make:expr, $budgets:expr) => {{
        is_right(&$make(Bernoulli), &Bernoulli, &ONE, $budgets);
        is_right(&$make(Bernoulli), &Bernoulli, &FOUR, $budgets);
        is_right(&$make(Bernoulli), &Bernoulli, &CERTAIN, $budgets);
        is_right(&$make(Bernoulli), &Bernoulli, &[], $budgets);
        is_right(&$make(THREE), &THREE, &CHOICE, $budgets);
        is_right(&$make(THREE), &THREE, &MASKED, $budgets);
        is_right(&$make(THREE), &THREE, &CHOICES, $budgets);
    }};
}

#[test]
fn reinforce_is_right_with_each_baseline() {
    for baseline in [Baseline::LeaveOneOut, Baseline::Value, Baseline::None] {
        fn with<D>(baseline: Baseline) -> impl Fn(D) -> Reinforce<D> {
            move |distribution| Reinforce { distribution, baseline }
        }
        is_right_for_independent!(with(baseline), [2, 5]);
        let subset = Subset { k: 2 };
        is_right(&with(baseline)(subset), &subset, &FOUR, [2, 5]);
        is_right(&with(baseline)(PlackettLuce), &PlackettLuce, &FOUR, [2, 5]);
    }
    let alone = Reinforce { distribution: Bernoulli, baseline: Baseline::LeaveOneOut };
    is_right(&alone, &Bernoulli, &FOUR, [1, 3]);
}

#[test]
fn nvil_is_right() {
    is_right_for_independent!(Nvil::new, [1, 4]);
    is_right(&Nvil::new(PlackettLuce), &PlackettLuce, &FOUR, [1, 4]);
}

#[test]
fn nvil_divides_by_the_deviation_of_earlier_costs() {
    let plain = Nvil::new(Bernoulli);
    let scaled = Nvil { normalise: true, ..plain };
    assert!(plain.bias().is_none() && scaled.bias().is_some());
    for (variance, scale) in [(9.0, 3.0), (0.01, 1.0)] {
        let state = NvilState { weight: 1.0, mean: 0.5, variance };
        let (expected, _) = once(&plain, &FOUR, Cost::Linear, 4, &state, 1);
        let (found, _) = once(&scaled, &FOUR, Cost::Linear, 4, &state, 1);
        (1..5).for_each(|i| assert!((found[i] * scale - expected[i]).abs() < 1e-15));
    }
}

#[test]
fn without_replacement_is_right() {
    is_right_for_independent!(|distribution| WithoutReplacement { distribution }, [2, 6]);
}

#[test]
fn without_replacement_is_exact_with_all_values() {
    fn check<D: Independent + Copy>(distribution: D, x: &[f64], values: usize) {
        let estimator = WithoutReplacement { distribution };
        for cost in COSTS {
            let (value, gradient) = exact(&distribution, x, cost);
            for evaluations in [values, values + 5] {
                let (found, ()) = once(&estimator, x, cost, evaluations, &(), 1);
                assert!((found[0] - value).abs() < 1e-13, "{x:?}");
                found[1..].iter().zip(&gradient).for_each(|(g, e)| assert!((g - e).abs() < 1e-13, "{x:?}"));
            }
        }
    }
    check(Bernoulli, &FOUR, 16);
    check(THREE, &CHOICE, 3);
    check(THREE, &CHOICES, 81);
    // With a mask there are two.
    check(THREE, &MASKED, 2);
    let estimator = WithoutReplacement { distribution: THREE };
    let asked = estimator.ask(&[f64::NAN, 0.0, 0.0], 2, &(), Draws { seed: 1, item: 0 });
    assert!(matches!(asked, Err(Fault::Domain { argument: "x", .. })));
}

#[test]
fn arm_and_disarm_are_right() {
    for x in [&ONE[..], &FOUR, &CERTAIN, &[]] {
        is_right(&Arm, &Bernoulli, x, [2, 6]);
        is_right(&DisArm, &Bernoulli, x, [2, 6]);
    }
}

#[test]
fn rebar_is_right_whatever_it_knows() {
    is_right_for_independent!(Rebar::new, [2, 6]);
    is_right_for_independent!(|distribution| Rebar { distribution, softness: 2.0, memory: 0.9 }, [2, 6]);
}

#[test]
fn relax_is_right_whatever_it_knows() {
    is_right_for_independent!(Relax::new, [1, 4]);
    is_right_for_independent!(|distribution| Relax { distribution, softness: 0.2, rate: 1.0 }, [1, 4]);
    let estimator = Relax::new(Bernoulli);
    let asked = estimator.ask(&FOUR, 2, &vec![0.0; 3], Draws { seed: 1, item: 0 });
    assert!(matches!(asked, Err(Fault::Domain { argument: "state", .. })));
}

#[test]
fn mu_prop_is_right_and_certain_where_costs_are_linear() {
    is_right_for_independent!(|distribution| MuProp { distribution }, [2, 5]);
    let (_, variance) = moments(&MuProp { distribution: THREE }, &CHOICES, Cost::Linear, 2);
    assert!(variance[1..].iter().all(|v| *v < 1e-12), "{variance:?}");
}

/// The variance of the gradient, summed over its entries.
fn variance<E: Estimator>(estimator: &E, x: &[f64], cost: Cost, evaluations: usize) -> f64
where
    Cost: Supplies<E::Needs>,
{
    moments(estimator, x, cost, evaluations).1[1..].iter().sum()
}

/// Each of the same number of samples, with a tenth to spare.
#[test]
fn controls_take_variance_away() {
    fn check<D: Independent + Copy>(distribution: D, x: &[f64]) {
        let reinforce = |baseline| Reinforce { distribution, baseline };
        for cost in [Cost::Linear, Cost::Quadratic] {
            let none = variance(&reinforce(Baseline::None), x, cost, 4);
            let others = variance(&reinforce(Baseline::LeaveOneOut), x, cost, 4);
            let different = variance(&WithoutReplacement { distribution }, x, cost, 4);
            let running = variance(&Nvil::new(distribution), x, cost, 4);
            let rebar = variance(&Rebar::new(distribution), x, cost, 8);
            let relax = variance(&Relax::new(distribution), x, cost, 4);
            let figures = [none, others, different, running, rebar, relax];
            assert!(others < 0.9 * none && different < 0.9 * others, "{cost:?} {figures:?}");
            assert!(
                running < 0.9 * none && rebar < 0.9 * none && relax < 0.9 * running,
                "{cost:?} {figures:?}"
            );
        }
    }
    check(Bernoulli, &[-1.0, 0.7, 1.5, -0.2]);
    check(THREE, &CHOICES);
}

#[test]
fn disarm_has_less_variance_than_arm() {
    for cost in COSTS {
        let x = [-1.0, 0.7, 1.5, -0.2];
        let (arm, disarm) = (variance(&Arm, &x, cost, 2), variance(&DisArm, &x, cost, 2));
        assert!(disarm < 0.95 * arm, "{cost:?}: {disarm} {arm}");
    }
}
