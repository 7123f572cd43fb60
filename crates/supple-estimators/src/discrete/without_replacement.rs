//! The score function estimator on samples that are all different.
//!
//! $$ \sum_{s \in S} p(s) R(S, s) \, \Bigl( f(s) - \sum_{s' \in S} p(s') R^{\setminus s}(S, s') f(s') \Bigr)
//! \nabla_x \ln p_x(s), \qquad R(S, s) = \frac{p^{\setminus s}(S \setminus \{s\})}{p(S)} $$
//!
//! S holds k values drawn one after the other without replacement: the k largest of log probabilities with
//! Gumbel noise. Its order is averaged out: $p(S)$ is the probability of the set, in whatever order,
//! $p^{\setminus s}$ the same where s is not to be had. The inner sum is the baseline, the mean of $f$ given
//! that s comes first; its own term has weight $p(s)$.
//!
//! Right in expectation, for any function. With as many evaluations as there are values, or more, it is
//! exact. Values that are likely are not paid for twice, so it does best where few values have most of the
//! probability.
//!
//! Several variables are drawn by a beam search: a prefix has the largest perturbed log probability of all
//! that begin with it, and only the k largest prefixes go on.
//!
//! Cost: one evaluation for each of k values, of which there are at most 512; beside them $O(k v)$ for each class of
//! each of v variables, and the probabilities of the sets, in $O(k^3)$: 0.2 s for k = 256.
//!
//! Fault: logits without a distribution.
//!
//! Kool, van Hoof and Welling, *Estimating gradients for discrete random variables by sampling without
//! replacement*, ICLR 2020, and *Stochastic beams and where to find them*, ICML 2019.

use super::{Independent, mode};
use crate::estimator::{add_rows, check_budget};
use crate::{Asked, Draws, Estimator, Told, Values};
use ndarray::Array2;
use supple_core::{Error, Fault, Stream};
use supple_numerics::noise::Noise;
use supple_numerics::simplex::largest;

/// As many values are drawn at most, whatever the budget: the probabilities of the sets would take too long.
const MOST: usize = 512;

/// The score function estimator on samples that are all different, with a baseline of its own.
///
/// ```
/// use supple_core::Fault;
/// use supple_estimators::discrete::{Categorical, WithoutReplacement};
/// use supple_estimators::{Budget, estimate};
///
/// let cost = |b: &[f64], y: &mut [f64]| -> Result<(), Fault> { y[0] = b[0]; Ok(()) };
/// let estimator = WithoutReplacement { distribution: Categorical::default() };
/// // Four values are all there are.
/// let (estimate, ()) = estimate(&estimator, &cost, &[0.0; 4], Budget::new(10, 1), &())?;
/// assert_eq!(estimate.evaluations, 4);
/// assert!((estimate.value - 0.25).abs() < 1e-15 && (estimate.gradient[0] - 0.1875).abs() < 1e-15);
/// # Ok::<(), supple_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WithoutReplacement<D> {
    /// What is drawn; its parameters are the logits.
    pub distribution: D,
}

impl<D: Independent> Estimator for WithoutReplacement<D> {
    const NAME: &'static str = "without_replacement";
    type Needs = Values;
    type State = ();
    /// For each two values, the weight of the second in the baseline of the first.
    type Plan = Vec<f64>;

    fn validate(&self, n: usize, evaluations: usize) -> Result<(), Error> {
        self.distribution.check(Self::NAME, n)?;
        check_budget(Self::NAME, evaluations, 2)
    }

    fn limit(&self, x: &[f64]) -> Option<Vec<f64>> {
        Some(mode(&self.distribution, x))
    }

    fn ask(&self, x: &[f64], evaluations: usize, _: &(), draws: Draws) -> Result<Asked<Vec<f64>>, Fault> {
        let variables = self.distribution.log_probabilities(x);
        if let Some(&value) = variables.iter().flatten().find(|p| p.is_nan()) {
            return Err(Fault::Domain { argument: "x", requirement: "logits with a distribution", value });
        }
        let (set, rest) = draw(&variables, evaluations.min(MOST), &mut draws.stream(0));
        let p: Vec<f64> = set.iter().map(|value| value.log_probability.exp()).collect();
        let (weights, plan) = ratios(&p, rest);
        let mut points = vec![0.0; set.len() * x.len()];
        for (value, b) in set.iter().zip(points.chunks_exact_mut(x.len().max(1))) {
            let classes = value.classes.iter().enumerate();
            classes.for_each(|(variable, &class)| self.distribution.assign(variable, class, b));
        }
        Ok(Asked { points, weights, plan })
    }

    fn tell(&self, x: &[f64], asked: &Asked<Vec<f64>>, told: Told<'_>, _: &(), gradient: &mut [f64]) {
        let costs = told.costs;
        let scores = super::scores(&self.distribution, x, &asked.points);
        add_rows(gradient, &scores, |s| {
            // The weights of a baseline sum to one.
            let row = &asked.plan[s * costs.len()..][..costs.len()];
            let advantage: f64 = row.iter().zip(costs).map(|(weight, cost)| weight * (costs[s] - cost)).sum();
            asked.weights[s] * advantage
        });
    }
}

/// The first variables of a value, and the largest perturbed log probability of all values that begin so.
#[derive(Debug, Clone)]
struct Prefix {
    classes: Vec<usize>,
    log_probability: f64,
    key: f64,
}

/// The `k` values with the largest perturbed log probabilities, fewer if there are not as many, and the
/// probability of all others.
fn draw(variables: &[Vec<f64>], k: usize, stream: &mut Stream) -> (Vec<Prefix>, f64) {
    let mut key = [0.0];
    Noise::Gumbel.fill(stream, &mut key);
    let mut beam = vec![Prefix { classes: vec![], log_probability: 0.0, key: key[0] }];
    let mut rest = 0.0;
    for variable in variables {
        let mut longer = Vec::with_capacity(beam.len() * variable.len());
        let mut keys = vec![0.0; variable.len()];
        for prefix in &beam {
            Noise::Gumbel.fill(stream, &mut keys);
            keys.iter_mut().zip(variable).for_each(|(key, p)| *key += prefix.log_probability + p);
            let top = largest(&keys);
            for (class, (&key, &p)) in
                keys.iter().zip(variable).enumerate().filter(|(_, (_, p))| p.is_finite())
            {
                let mut classes = prefix.classes.clone();
                classes.push(class);
                let log_probability = prefix.log_probability + p;
                longer.push(Prefix { classes, log_probability, key: below(key, top, prefix.key) });
            }
        }
        longer.sort_by(|a, b| b.key.total_cmp(&a.key));
        rest += longer.drain(k.min(longer.len())..).map(|prefix| prefix.log_probability.exp()).sum::<f64>();
        beam = longer;
    }
    (beam, rest)
}

/// A Gumbel of several, given that the largest of them is not `top` but `bound`.
fn below(key: f64, top: f64, bound: f64) -> f64 {
    let v = bound - key + (-(key - top).exp_m1()).ln();
    bound - v.max(0.0) - (-v.abs()).exp().ln_1p()
}

/// The weights $p(s) R(S, s)$, and those of the baselines, a row each, for a set with probabilities `p` and
/// `rest` outside.
///
/// Values come as if at the first ring of independent alarm clocks, of rates p. A set A is drawn before all
/// outside S if its clocks have rung at the time T of the first outside,
/// $T \sim \mathrm{Exp}(\mathit{rest})$, with probability
/// $I(A) = \mathrm{E} \prod_{a \in A} (1 - e^{-p_a T})$. Then $R(S, s) = I(S \setminus s) / I(S)$, and so on.
/// All terms are positive, and the sum over equal steps of $\ln T$ converges faster than any power of the
/// step.
fn ratios(p: &[f64], rest: f64) -> (Vec<f64>, Vec<f64>) {
    let k = p.len();
    // So that 1 / rest, a time, is a number.
    if rest < 1e-280 {
        return (p.to_vec(), p.iter().flat_map(|_| p).copied().collect());
    }
    let step = 1.0 / (8.0 + 0.25 * k as f64);
    let last = ((k as f64 + 10.0 * (k as f64).sqrt() + 50.0) / rest).ln();
    let times: Vec<f64> =
        (0..=((last + 40.0) / step) as usize).map(|m| (step * m as f64 - 40.0).exp()).collect();
    // Of (1 − e^(−p t)) / p.
    let rung = |p: f64, t: f64| if p * t < 1e-17 { t.ln() } else { (-(-p * t).exp_m1() / p).ln() };
    let each: Vec<Vec<f64>> = p.iter().map(|&p| times.iter().map(|&t| rung(p, t)).collect()).collect();
    let all = |(m, t): (usize, &f64)| t.ln() - rest * t + each.iter().map(|each| each[m]).sum::<f64>();
    let all: Vec<f64> = times.iter().enumerate().map(all).collect();
    let shape = (k, times.len());
    let per = Array2::from_shape_fn(shape, |(s, m)| (-each[s][m]).exp());
    let top = largest(&all);
    let of_all: f64 = all.iter().map(|l| (l - top).exp()).sum();
    // The same terms without one of the values, up to a factor for each.
    let mut without = Array2::from_shape_fn(shape, |(s, m)| all[m] - each[s][m]);
    let mut weights = Vec::with_capacity(k);
    let mut sums = Vec::with_capacity(k);
    for mut terms in without.rows_mut() {
        let top_without = terms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        terms.mapv_inplace(|l| (l - top_without).exp());
        sums.push(terms.sum());
        weights.push((top_without - top).exp() * terms.sum() / of_all);
    }
    let without_two = without.dot(&per.t());
    let baseline = |i: usize| {
        let (s, other) = (i / k, i % k);
        if s == other { p[s] } else { without_two[[s, other]] / sums[s] }
    };
    (weights, (0..k * k).map(baseline).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// I of the subset with these bits, by which of the clocks rings first.
    fn before(set: usize, p: &[f64], rest: f64) -> f64 {
        let members = || (0..p.len()).filter(|i| set >> i & 1 == 1);
        let total: f64 = rest + members().map(|i| p[i]).sum::<f64>();
        if set == 0 { 1.0 } else { members().map(|i| p[i] / total * before(set & !(1 << i), p, rest)).sum() }
    }

    #[test]
    fn ratios_are_those_of_the_orders() {
        for (p, rest) in [
            (vec![0.1, 0.2, 0.05, 0.3], 0.35),
            (vec![0.9, 0.05, 0.03], 0.02),
            (vec![1e-12, 0.4, 1e-3, 0.1, 0.2], 0.3 - 1e-3),
            (vec![0.25, 0.75], 1e-200),
            (vec![0.3], 0.7),
            (vec![1e-9, 1e-7, 2e-9], 1.0),
            (vec![0.4, 0.6], 0.0),
        ] {
            let (weights, baselines) = ratios(&p, rest);
            let (k, full) = (p.len(), (1 << p.len()) - 1);
            for s in 0..k {
                let others: usize = full & !(1 << s);
                let expected = p[s] * before(others, &p, rest) / before(full, &p, rest);
                assert!((weights[s] / expected - 1.0).abs() < 1e-12, "{p:?}: {weights:?}, {expected}");
                for t in 0..k {
                    let ratio = match t == s {
                        true => 1.0,
                        false => before(others & !(1 << t), &p, rest) / before(others, &p, rest),
                    };
                    let found = baselines[s * k + t];
                    assert!((found / (p[t] * ratio) - 1.0).abs() < 1e-12, "{p:?}: {s}, {t}, {found}");
                }
            }
        }
    }

    #[test]
    fn weights_of_large_sets_sum_to_one() {
        for k in [2, 10, 50] {
            // From halves down to numbers without digits.
            for base in [0.5, 0.9, 0.999, 1e-9] {
                let raw: Vec<f64> = (0..k).map(|i| f64::powi(base, i)).collect();
                let total = 1.25 * raw.iter().sum::<f64>();
                let p: Vec<f64> = raw.iter().map(|raw| raw / total).collect();
                let (weights, baselines) = ratios(&p, 0.2);
                let sum: f64 = weights.iter().sum();
                assert!((sum - 1.0).abs() < 1e-11, "{k}, {base}: {sum}");
                for row in baselines.chunks(k as usize) {
                    let sum: f64 = row.iter().sum();
                    assert!((sum - 1.0).abs() < 1e-11, "{k}, {base}: {sum}");
                }
            }
        }
    }

    #[test]
    fn sets_are_drawn_as_one_after_the_other() {
        // Two variables of two classes; sets of two of the four values.
        let variables = [vec![0.3f64.ln(), 0.7f64.ln()], vec![0.4f64.ln(), 0.6f64.ln()]];
        let p = [0.12, 0.18, 0.28, 0.42];
        let draws = 40_000;
        let mut counts = [[0.0; 4]; 4];
        for sample in 0..draws {
            let (set, rest) = draw(&variables, 2, &mut Stream::new(2, 0, sample));
            let place = |value: &Prefix| 2 * value.classes[0] + value.classes[1];
            let (first, second) = (place(&set[0]), place(&set[1]));
            assert!((rest - (1.0 - p[first] - p[second])).abs() < 1e-14);
            counts[first][second] += 1.0;
        }
        for first in 0..4 {
            for second in (0..4).filter(|&second| second != first) {
                let expected = p[first] * p[second] / (1.0 - p[first]);
                let deviation = (expected * (1.0 - expected) * draws as f64).sqrt();
                let z = (counts[first][second] - expected * draws as f64) / deviation;
                assert!(z.abs() < 4.5, "{first}, {second}: {z}");
            }
        }
    }
}
