//! Berthet, Blondel, Teboul, Cuturi, Vert and Bach, *Learning with differentiable perturbed optimizers*,
//! NeurIPS 2020.

use super::maps::{Method, figures, said, score};
use super::{Claim, Outcome, Verdict, lead, mean};
use ndarray::aview1;
use supple_core::{Error, Stream, linearize};
use supple_numerics::noise::Noise;
use supple_ops::perturb::PerturbedArgmax;
use supple_ops::perturb::oracles::TopK;

/// These claims.
pub fn claims() -> Vec<Claim> {
    vec![
        Claim {
            paper: "Berthet et al. 2020",
            statement: "the argmax perturbed by Gumbel noise is softmax, and its gradient that of softmax",
            run: softmax,
        },
        Claim {
            paper: "Berthet et al. 2020",
            statement: "the perturbed Fenchel-Young loss learns to find cheapest paths from examples of them",
            run: paths,
        },
    ]
}

const SAMPLES: usize = 200_000;
const SOFTNESS: f64 = 0.5;

fn softmax(seed: u64) -> Result<Outcome, Error> {
    let theta = Stream::new(seed, 0, 0).normals(6);
    let direction = Stream::new(seed, 1, 0).normals(6);
    let exps: Vec<f64> = theta.iter().map(|x| (x / SOFTNESS).exp()).collect();
    let p: Vec<f64> = exps.iter().map(|e| e / exps.iter().sum::<f64>()).collect();
    let level: f64 = p.iter().zip(&direction).map(|(p, d)| p * d).sum();
    // Runs with noise of their own tell the error of both.
    const RUNS: usize = 20;
    let run = |run: usize| {
        let argmax = PerturbedArgmax {
            noise: Noise::Gumbel,
            softness: SOFTNESS,
            samples: SAMPLES / RUNS,
            seed: Some(Stream::new(seed, run, 1).bits()),
            ..PerturbedArgmax::new(TopK { k: 1 })
        };
        let at = linearize(&argmax, [aview1(&theta).into_dyn()])?;
        let [y] = at.outputs();
        let value: Vec<f64> = y.iter().copied().collect();
        let [slopes] = at.vjp([aview1(&direction).into_dyn()])?;
        Ok([value, slopes.into_iter().collect()])
    };
    let runs = (0..RUNS).map(run).collect::<Result<Vec<_>, Error>>()?;
    let exact = [p.clone(), p.iter().zip(&direction).map(|(p, d)| p * (d - level) / SOFTNESS).collect()];
    let worst = [0, 1].map(|part: usize| {
        let off = (0..6).map(|i| {
            let [mean, error] = mean(&runs.iter().map(|run| run[part][i]).collect::<Vec<_>>());
            let off = (mean - exact[part][i]).abs();
            [off, off / error]
        });
        off.fold([0.0, 0.0], |[a, b]: [f64; 2], [c, d]| [a.max(c), b.max(d)])
    });
    let figures = vec![
        ("largest difference of the value".into(), worst[0][0]),
        ("the same in standard errors".into(), worst[0][1]),
        ("largest difference of the gradient".into(), worst[1][0]),
        ("the same in standard errors".into(), worst[1][1]),
    ];
    let said = format!(
        "six scores, {SAMPLES} samples in {RUNS} runs. Rule: no entry is off by more than 5 standard \
         errors, which {RUNS} runs estimate"
    );
    Ok(Outcome { figures, verdict: Verdict::of(&worst.map(|[_, z]| z < 5.0)), said })
}

fn paths(seed: u64) -> Result<Outcome, Error> {
    let methods = [Method::FenchelYoung, Method::Cells];
    let [learnt, without] = methods.map(|method| score(method, seed));
    let scores = [learnt?, without?];
    let ahead = lead(&scores[0].optimal, &scores[1].optimal);
    let mut figures: Vec<_> = methods.iter().zip(&scores).flat_map(|(m, score)| figures(*m, score)).collect();
    figures.push(("lead over no solver in training, in standard errors".into(), ahead));
    let rule = "the lead over the same network trained without a solver is more than 5 standard errors";
    Ok(Outcome { figures, verdict: Verdict::of(&[ahead > 5.0]), said: said(rule) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_is_a_function_of_the_seed() {
        let outcome = softmax(3).unwrap();
        assert_eq!(outcome, softmax(3).unwrap());
        assert_ne!(outcome.figures, softmax(4).unwrap().figures);
        assert_eq!(outcome.verdict, Verdict::Reproduced, "{outcome:?}");
    }
}
