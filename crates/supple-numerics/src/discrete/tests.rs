use super::*;

const OUT: f64 = f64::NEG_INFINITY;

/// Distributions with logits, masks among them.
fn cases() -> Vec<(&'static dyn Discrete, Vec<f64>)> {
    vec![
        (&Categorical { classes: 0 }, vec![0.3, -1.0, OUT, 1.2, 0.5]),
        (&Categorical { classes: 0 }, vec![-4.0]),
        (&Categorical { classes: 3 }, vec![0.3, -1.0, 0.1, 1.2, OUT, 0.5, 2.0, 1.0, 0.0]),
        (&Bernoulli, vec![0.3, -2.0, 1.5, OUT, f64::INFINITY]),
        (&Bernoulli, vec![]),
        (&Subset { k: 2 }, vec![0.3, -1.0, OUT, 1.2, 0.5]),
        (&Subset { k: 3 }, vec![0.3, -1.0, 2.0]),
        (&Subset { k: 0 }, vec![0.3, -1.0]),
        (&Subset { k: 3 }, vec![0.3, -1.0, 0.0, 1.2, 0.5, 0.7]),
        (&PlackettLuce, vec![0.3, -1.0, 1.2, 0.5]),
        (&PlackettLuce, vec![0.3, OUT, 1.2]),
        (&PlackettLuce, vec![0.3]),
        (&PlackettLuce, vec![]),
    ]
}

fn all(distribution: &dyn Discrete, logits: &[f64]) -> Vec<(Vec<f64>, f64)> {
    let mut all = vec![];
    distribution.enumerate(logits, &mut |b, p| all.push((b.to_vec(), p)));
    all
}

fn score(distribution: &dyn Discrete, logits: &[f64], b: &[f64]) -> Vec<f64> {
    let mut score = vec![f64::NAN; b.len()];
    distribution.score(logits, b, &mut score);
    score
}

#[test]
fn probabilities_sum_to_one_with_the_mean_stated_and_mean_score_zero() {
    for (distribution, x) in cases() {
        // Scales at which weights under- and overflow.
        for scale in [1.0, 1e-10, 30.0, 1e4] {
            let x: Vec<f64> = x.iter().map(|x| scale * x).collect();
            distribution.check("test", x.len()).unwrap();
            let all = all(distribution, &x);
            let total: f64 = all.iter().map(|(_, p)| p).sum();
            assert!((total - 1.0).abs() < 1e-11, "{x:?}: {total}");
            let mut mean = vec![f64::NAN; x.len()];
            distribution.mean(&x, &mut mean);
            let scores: Vec<_> = all.iter().map(|(b, _)| score(distribution, &x, b)).collect();
            for i in 0..x.len() {
                let expected: f64 = all.iter().map(|(b, p)| b[i] * p).sum();
                assert!((mean[i] - expected).abs() < 1e-11, "{x:?}: mean {mean:?}, {i} {expected}");
                let score: f64 = all.iter().zip(&scores).map(|((_, p), score)| p * score[i]).sum();
                assert!(score.abs() < 1e-11, "{x:?}: {i} {score}");
            }
        }
    }
}

#[test]
fn values_are_as_many_as_there_are() {
    let count = |distribution: &dyn Discrete, n| {
        let mut seen = std::collections::BTreeSet::new();
        let mut visits = 0;
        distribution.support(n, &mut |b| {
            visits += 1;
            seen.insert(b.iter().map(|b| b.to_bits()).collect::<Vec<_>>());
        });
        assert_eq!(visits, seen.len());
        visits
    };
    assert_eq!(count(&Categorical { classes: 4 }, 12), 64);
    assert_eq!(count(&Categorical { classes: 0 }, 5), 5);
    assert_eq!(count(&Bernoulli, 5), 32);
    assert_eq!(count(&Subset { k: 3 }, 6), 20);
    assert_eq!(count(&PlackettLuce, 5), 120);
}

#[test]
fn probabilities_are_those_of_the_definition() {
    let x: [f64; 3] = [0.2, -0.7, 1.1];
    let w = x.map(f64::exp);
    let sum = w.iter().sum::<f64>();
    let p = |distribution: &dyn Discrete, b: [f64; 3]| distribution.log_probability(&x, &b).exp();
    for (found, expected) in [
        (p(&Categorical::default(), [0.0, 1.0, 0.0]), w[1] / sum),
        (p(&Bernoulli, [1.0, 0.0, 1.0]), w[0] / (1.0 + w[0]) / (1.0 + w[1]) * w[2] / (1.0 + w[2])),
        (p(&Subset { k: 2 }, [1.0, 0.0, 1.0]), w[0] * w[2] / (w[0] * w[1] + w[0] * w[2] + w[1] * w[2])),
        (p(&PlackettLuce, [2.0, 3.0, 1.0]), w[2] / sum * w[0] / (w[0] + w[1])),
    ] {
        assert!((found - expected).abs() < 1e-15, "{found} for {expected}");
    }
    let impossible: [(&dyn Discrete, [f64; 3]); 6] = [
        (&Categorical::default(), [1.0, 1.0, 0.0]),
        (&Categorical::default(), [0.5, 0.5, 0.0]),
        (&Bernoulli, [0.5, 0.0, 0.0]),
        (&Subset { k: 2 }, [1.0, 0.0, 0.0]),
        (&PlackettLuce, [1.0, 1.0, 2.0]),
        (&PlackettLuce, [1.0, 4.0, 2.0]),
    ];
    for (distribution, b) in impossible {
        assert_eq!(distribution.log_probability(&x, &b), OUT, "{b:?}");
    }
}

#[test]
fn scores_are_differences_of_the_log_probability() {
    for (distribution, x) in cases() {
        for (b, _) in all(distribution, &x) {
            let score = score(distribution, &x, &b);
            for i in 0..x.len() {
                let at = |step: f64| {
                    let mut x = x.clone();
                    x[i] += step;
                    distribution.log_probability(&x, &b)
                };
                let expected = (at(1e-5) - at(-1e-5)) / 2e-5;
                assert!((score[i] - expected).abs() < 1e-9, "{x:?}, {b:?}: {i} {} {expected}", score[i]);
            }
        }
    }
}

#[test]
fn scores_keep_their_precision_far_out() {
    // ln σ(40) has the slope σ(−40).
    assert!((score(&Bernoulli, &[40.0], &[1.0])[0] / (-40.0f64).exp() - 1.0).abs() < 1e-14);
    let x = [1e9, 1e9 - 1.0, 0.0];
    let shifted = [1.0, 0.0, -1e9];
    for (distribution, b) in [
        (&Categorical::default() as &dyn Discrete, [0.0, 1.0, 0.0]),
        (&Subset { k: 2 }, [1.0, 1.0, 0.0]),
        (&Subset { k: 1 }, [0.0, 1.0, 0.0]),
        (&PlackettLuce, [2.0, 1.0, 3.0]),
    ] {
        assert_eq!(score(distribution, &x, &b), score(distribution, &shifted, &b));
        let gap = distribution.log_probability(&x, &b) - distribution.log_probability(&shifted, &b);
        assert!(gap.abs() < 1e-15, "{gap}");
    }
}

#[test]
fn frequencies_are_the_probabilities() {
    for (case, (distribution, x)) in cases().into_iter().enumerate() {
        let all = all(distribution, &x);
        let draws = 100_000;
        let mut counts = vec![0.0; all.len()];
        let mut b = vec![0.0; x.len()];
        for draw in 0..draws {
            distribution.sample(&x, &mut Stream::new(5, case, draw), &mut b);
            let place = all.iter().position(|(value, _)| *value == b).expect("a value that can be drawn");
            counts[place] += 1.0;
        }
        let (mut square, mut freedom) = (0.0, -1.0);
        for (count, (b, p)) in counts.iter().zip(&all) {
            let expected = p * draws as f64;
            let z = (count - expected) / (expected * (1.0 - p)).sqrt().max(1.0);
            assert!(z.abs() < 4.5, "{x:?}, {b:?}: {count} for {expected}");
            square += (count - expected).powi(2) / expected;
            freedom += 1.0;
        }
        let z = (square - freedom) / f64::sqrt(2.0 * f64::max(freedom, 1.0));
        assert!(z < 4.5, "{x:?}: χ² of {square} with {freedom} degrees of freedom");
    }
}

#[test]
fn without_a_distribution_all_is_nan() {
    let spoilt: [(&dyn Discrete, Vec<f64>); 12] = [
        (&Categorical::default(), vec![OUT, OUT]),
        (&Categorical::default(), vec![0.0, f64::NAN]),
        (&Categorical::default(), vec![0.0, f64::INFINITY]),
        (&Bernoulli, vec![f64::NAN]),
        (&Subset { k: 2 }, vec![0.0, OUT, OUT]),
        (&Subset { k: 1 }, vec![0.0, f64::NAN]),
        (&Subset { k: 1 }, vec![0.0, f64::INFINITY]),
        (&Subset { k: 0 }, vec![f64::NAN]),
        (&PlackettLuce, vec![0.0, OUT, OUT]),
        (&PlackettLuce, vec![0.0, f64::NAN]),
        (&PlackettLuce, vec![f64::INFINITY]),
        (&PlackettLuce, vec![OUT]),
    ];
    for (distribution, x) in spoilt {
        let mut values = vec![];
        distribution.support(x.len(), &mut |b| values.push(b.to_vec()));
        for b in values {
            assert!(distribution.log_probability(&x, &b).is_nan(), "{x:?}, {b:?}");
            let mut out = [b.clone(), b.clone(), b.clone()];
            distribution.sample(&x, &mut Stream::new(1, 0, 0), &mut out[0]);
            distribution.mean(&x, &mut out[1]);
            distribution.score(&x, &b, &mut out[2]);
            assert!(out.iter().flatten().all(|value| value.is_nan()), "{x:?}, {b:?}: {out:?}");
        }
    }
}

#[test]
fn sizes_are_checked() {
    let message = |distribution: &dyn Discrete, n| distribution.check("op", n).unwrap_err().to_string();
    assert_eq!(message(&Categorical { classes: 3 }, 7), "op: `classes` must be a divisor of 7, got 3");
    assert_eq!(message(&Categorical { classes: 0 }, 0), "op: `n` must be at least 1, got 0");
    assert_eq!(message(&Subset { k: 3 }, 2), "op: `k` must be in 0..=2, got 3");
}

#[test]
fn no_value_is_more_probable_than_the_mode() {
    for (distribution, x) in cases() {
        let mut mode = vec![f64::NAN; x.len()];
        distribution.mode(&x, &mut mode);
        let best = all(distribution, &x).iter().map(|(_, p)| *p).fold(0.0, f64::max);
        let p = distribution.log_probability(&x, &mode).exp();
        assert!((p - best).abs() < 1e-14, "{x:?}: {mode:?} has {p}, the best {best}");
    }
}
