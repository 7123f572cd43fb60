//! Shortest paths on maps: learning what a terrain costs from paths alone.
//!
//! A map has 10 × 10 cells, each of one of five terrains in patches. What is seen of a cell is six numbers:
//! those of its terrain, and normal noise of scale 0.4. What is not seen is the cost of entering it, which
//! depends on the terrain alone. The label is a cheapest path from corner to corner by steps to the 8
//! neighbours. A network of 6, 16 and 1 units, the same for all cells, predicts costs (ln(1 + eˣ) of its
//! output), and the solver the path.
//!
//! Every [`Method`] but one trains the same network by Adam for the same number of steps on the same maps, 100
//! of them, 10 a step; [`Method::Direct`] is another model. Step size and, where there is one, λ are taken from
//! a grid: those whose network has the fewest wrong cells on the maps it was trained on. What counts then are
//! 100 other maps: on how many the predicted path is a cheapest one, and what it costs in relation to a
//! cheapest one. There are four sets of maps and one training on each: standard errors are over the test maps
//! for these networks, and do not have in them how much another training would differ.

mod net;
mod world;

use super::{Outcome, Verdict, ahead};
use crate::adam::Adam;
use ndarray::{ArrayD, IxDyn};
use net::{Net, logistic, softplus};
use rayon::prelude::*;
use supple_core::{Error, Operator, Stream, linearize};
use supple_ops::decision::{BlackboxInterpolation, IdentityGradient, Imle, ImleNoise, Projection};
use supple_ops::perturb::{FenchelYoung, PerturbedArgmax};
use world::{Map, World, is_optimal, solve};

const SIDE: usize = 10;
const CELLS: usize = SIDE * SIDE;
const FEATURES: usize = 6;
const HIDDEN: usize = 16;
/// Maps to train on, and to test on.
const MAPS: usize = 100;
const BATCH: usize = 10;
const STEPS: usize = 300;
/// Of the terrains.
const COSTS: [f64; 5] = [0.8, 1.7, 3.1, 5.3, 9.2];
/// Sets of maps; each has terrains that look otherwise.
const WORLDS: usize = 4;
/// Step sizes to choose from.
const RATES: [f64; 3] = [0.01, 0.03, 0.1];
/// Steps λ to choose from.
const LAMBDAS: [f64; 3] = [0.01, 0.3, 10.0];

/// How the network is trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// The perturbed Fenchel-Young loss: Gaussian noise of scale 1, 5 samples.
    FenchelYoung,
    /// Interpolation, for the Hamming distance.
    Blackbox,
    /// I-MLE with one sample of the paper's noise, a sum of three terms, for the Hamming distance.
    Imle,
    /// The gradient passed on as it is, scores divided by their length. The Hamming distance is taken as half
    /// of the square of the difference, the same on what is 0 or 1: its own gradient does not depend on the
    /// answer.
    Identity,
    /// No solver in training: the probability that a cell is on the path; its negative logarithm is the cost.
    Cells,
    /// No solver at all: logistic regression of each cell's being on the path on the features of the whole
    /// map.
    Direct,
}

impl Method {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::FenchelYoung, Self::Blackbox, Self::Imle, Self::Identity, Self::Cells, Self::Direct];

    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Self::FenchelYoung => "perturbed Fenchel-Young loss",
            Self::Blackbox => "black-box interpolation",
            Self::Imle => "I-MLE",
            Self::Identity => "identity",
            Self::Cells => "no solver in training",
            Self::Direct => "no solver at all",
        }
    }

    fn lambdas(self) -> &'static [f64] {
        if matches!(self, Self::Blackbox | Self::Imle) { &LAMBDAS } else { &[1.0] }
    }

    /// The gradient of a step in the outputs of the network, for the maps of its batch.
    fn slopes(
        self,
        world: &World,
        maps: &[&Map],
        outputs: &[f64],
        lambda: f64,
        seed: u64,
    ) -> Result<Vec<f64>, Error> {
        let paths = || maps.iter().flat_map(|map| &map.path);
        if self == Self::Cells {
            return Ok(outputs.iter().zip(paths()).map(|(x, t)| logistic(*x) - t).collect());
        }
        let array = |numbers: Vec<f64>| {
            ArrayD::from_shape_fn(IxDyn(&[maps.len(), CELLS]), |i| numbers[i[0] * CELLS + i[1]])
        };
        let theta = array(outputs.iter().map(|x| -softplus(*x)).collect());
        let target = array(paths().copied().collect());
        // Of y (1 − t) + t (1 − y), cell by cell.
        let hamming = target.mapv(|t: f64| 1.0 - 2.0 * t);
        let oracle = world.solver.clone();
        let seed = Some(seed);
        let slopes = match self {
            Self::FenchelYoung => {
                let argmax = PerturbedArgmax { samples: 5, seed, ..PerturbedArgmax::new(oracle) };
                loss(&FenchelYoung(argmax), theta, target)?
            }
            Self::Blackbox => behind(&BlackboxInterpolation { oracle, lambda }, theta, |_| hamming)?,
            Self::Imle => {
                let noise = ImleNoise::SumOfGamma { k: SIDE, terms: 3 };
                behind(&Imle { noise, lambda, seed, ..Imle::new(oracle) }, theta, |_| hamming)?
            }
            _ => behind(&IdentityGradient { oracle, projection: Projection::Norm }, theta, |y| y - target)?,
        };
        // θ = −softplus(x).
        Ok(slopes.iter().zip(outputs).map(|(slope, x)| -slope * logistic(*x)).collect())
    }
}

/// The gradient in θ of a loss.
fn loss<P: Operator<2>>(operator: &P, theta: ArrayD<f64>, target: ArrayD<f64>) -> Result<ArrayD<f64>, Error> {
    let ones = ArrayD::from_elem(IxDyn(&[theta.shape()[0]]), 1.0);
    let at = linearize(operator, [theta.view(), target.view()])?;
    let [slopes, _] = at.vjp([ones.view()])?;
    Ok(slopes)
}

/// The gradient in θ of a loss of an operator's answer, whose own gradient is `slope`.
fn behind<P: Operator>(
    operator: &P,
    theta: ArrayD<f64>,
    slope: impl FnOnce(ArrayD<f64>) -> ArrayD<f64>,
) -> Result<ArrayD<f64>, Error> {
    let at = linearize(operator, [theta.view()])?;
    let [y] = at.outputs();
    let slope = slope(y.to_owned());
    let [slopes] = at.vjp([slope.view()])?;
    Ok(slopes)
}

/// What a method reaches on the test maps, one number for each.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Score {
    /// 1 where the path is a cheapest one.
    pub optimal: Vec<f64>,
    /// Its cost in relation to a cheapest one; nothing where no paths are predicted.
    pub ratios: Vec<f64>,
}

/// Trains networks in every world, and scores them on its test maps.
///
/// # Errors
/// Those of the operators.
pub fn score(method: Method, seed: u64) -> Result<Score, Error> {
    let worlds = (0..WORLDS).into_par_iter().map(|number| {
        let seed = Stream::new(seed, number, 3).bits();
        let world = World::new(seed)?;
        if method == Method::Direct { direct(&world) } else { trained(method, &world, seed) }
    });
    let scores = worlds.collect::<Result<Vec<_>, Error>>()?;
    let mut all = Score::default();
    scores.into_iter().for_each(|score| {
        all.optimal.extend(score.optimal);
        all.ratios.extend(score.ratios);
    });
    Ok(all)
}

fn trained(method: Method, world: &World, seed: u64) -> Result<Score, Error> {
    let grid: Vec<_> =
        RATES.iter().flat_map(|rate| method.lambdas().iter().map(move |l| (*rate, *l))).collect();
    let nets = grid.into_par_iter().map(|(rate, lambda)| {
        let net = train(method, world, rate, lambda, seed)?;
        let wrong = world.train.iter().map(|map| {
            let path = predicted(method, world, &net, map)?;
            Ok(path.iter().zip(&map.path).filter(|(y, t)| y != t).count())
        });
        Ok((wrong.sum::<Result<usize, Error>>()?, net))
    });
    let nets = nets.collect::<Result<Vec<_>, Error>>()?;
    let Some((_, net)) = nets.into_iter().min_by_key(|(wrong, _)| *wrong) else {
        return Ok(Score::default());
    };
    let mut score = Score::default();
    for map in &world.test {
        let ratio = map.cost(&predicted(method, world, &net, map)?) / map.cost(&map.path);
        score.optimal.push((ratio < 1.0 + 1e-9) as u8 as f64);
        score.ratios.push(ratio);
    }
    Ok(score)
}

fn train(method: Method, world: &World, rate: f64, lambda: f64, seed: u64) -> Result<Net, Error> {
    let mut net = Net::new(seed);
    let mut adam = Adam::new(rate, Net::SIZE);
    for step in 0..STEPS {
        let batch: Vec<&Map> = (0..BATCH).map(|i| &world.train[(step * BATCH + i) % MAPS]).collect();
        let features: Vec<f64> = batch.iter().flat_map(|map| map.features.iter().copied()).collect();
        let seed = Stream::new(seed, step, 4).bits();
        let slopes = method.slopes(world, &batch, &net.outputs(&features), lambda, seed)?;
        let mut gradient = vec![0.0; Net::SIZE];
        net.pull(&features, &slopes, &mut gradient);
        adam.descend(&mut net.weights, &gradient);
    }
    Ok(net)
}

/// The cheapest path for the costs that a network predicts.
fn predicted(method: Method, world: &World, net: &Net, map: &Map) -> Result<Vec<f64>, Error> {
    // −ln of the probability with logit x is softplus(−x).
    let sign = if method == Method::Cells { -1.0 } else { 1.0 };
    let costs: Vec<f64> = net.outputs(&map.features).iter().map(|x| softplus(sign * x)).collect();
    solve(&world.solver, &costs)
}

/// Logistic regression on whole maps: all step sizes, the one with the fewest wrong cells in training.
fn direct(world: &World) -> Result<Score, Error> {
    const INPUTS: usize = CELLS * FEATURES;
    let predict = |weights: &[f64], map: &Map| -> Vec<f64> {
        let logit =
            |row: &[f64]| row[INPUTS] + row.iter().zip(&map.features).map(|(w, x)| w * x).sum::<f64>();
        weights.chunks_exact(INPUTS + 1).map(logit).collect()
    };
    let on = |logits: Vec<f64>| -> Vec<f64> { logits.iter().map(|x| (*x > 0.0) as u8 as f64).collect() };
    let fits = RATES.par_iter().map(|rate| {
        let mut weights = vec![0.0; CELLS * (INPUTS + 1)];
        let mut adam = Adam::new(*rate, weights.len());
        let mut gradient = vec![0.0; weights.len()];
        for step in 0..STEPS {
            gradient.fill(0.0);
            for i in 0..BATCH {
                let map = &world.train[(step * BATCH + i) % MAPS];
                let slopes = predict(&weights, map).into_iter().zip(&map.path).map(|(x, t)| logistic(x) - t);
                for (row, slope) in gradient.chunks_exact_mut(INPUTS + 1).zip(slopes) {
                    row.iter_mut().zip(&map.features).for_each(|(g, x)| *g += slope * x);
                    row[INPUTS] += slope;
                }
            }
            adam.descend(&mut weights, &gradient);
        }
        let wrong =
            |map: &Map| on(predict(&weights, map)).iter().zip(&map.path).filter(|(y, t)| y != t).count();
        (world.train.iter().map(wrong).sum::<usize>(), weights)
    });
    let best = fits.min_by_key(|(wrong, _)| *wrong);
    let Some((_, weights)) = best else { return Ok(Score::default()) };
    let optimal =
        world.test.iter().map(|map| is_optimal(world, map, &on(predict(&weights, map))) as u8 as f64);
    Ok(Score { optimal: optimal.collect(), ratios: vec![] })
}

/// Share of cheapest paths with its error, and mean cost, as figures.
pub fn figures(method: Method, score: &Score) -> Vec<(String, f64)> {
    let name = method.name();
    let [share, error] = super::mean(&score.optimal);
    let mut figures = vec![
        (format!("{name}: share of test maps with a cheapest path"), share),
        (format!("{name}: standard error of that"), error),
    ];
    if !score.ratios.is_empty() {
        figures.push((
            format!("{name}: mean cost in relation to a cheapest path"),
            super::mean(&score.ratios)[0],
        ));
    }
    figures
}

/// How far behind still counts as keeping up, as a share of the test maps.
const MARGIN: f64 = 0.05;

/// Whether a method is not behind black-box interpolation, which is stated for `who`.
pub(super) fn keeps_up(who: &str, mut figures: Vec<(String, f64)>, own: &Score, blackbox: &Score) -> Outcome {
    let [lead, error] = ahead(&own.optimal, &blackbox.optimal);
    figures.push((format!("lead of {who} in that share"), lead));
    figures.push(("standard error of the lead".into(), error));
    let rule = format!(
        "the lead of {who} less 2 standard errors is above −{MARGIN}; not reproduced if the lead and 2 standard \
         errors are below that; else undecided"
    );
    Outcome { figures, verdict: Verdict::above(-MARGIN, [lead, error], 2.0), said: said(&rule) }
}

/// What all claims about maps were tried on.
pub fn said(rule: &str) -> String {
    let settings = RATES.len() * LAMBDAS.len();
    format!(
        "maps of 10 × 10 cells made here, {WORLDS} sets of {MAPS} to train on and {MAPS} to test on; methods \
         train the same small network for {STEPS} steps of Adam on {BATCH} maps, but for no solver at all, \
         which is another model: logistic regression of {} weights. Settings are those with the fewest wrong \
         cells in training: of {settings} for black-box interpolation and I-MLE (step size and λ), of {} for \
         the others (step size). The identity has the squared form of the loss, the others that need one the \
         linear form. Standard errors are over the test maps for the given networks, one training in each \
         set: how much another training would differ is not in them. Rule: {rule}",
        CELLS * (CELLS * FEATURES + 1),
        RATES.len(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slopes_vanish_at_a_network_that_knows_and_point_the_right_way() {
        let world = World::new(3).unwrap();
        let maps: Vec<&Map> = world.train.iter().take(4).collect();
        let known = |factor: f64| -> Vec<f64> {
            maps.iter().flat_map(|map| map.costs.iter().map(|c| (factor * c).exp_m1().ln())).collect()
        };
        let slopes = Method::Blackbox.slopes(&world, &maps, &known(1.0), 5.0, 1).unwrap();
        assert!(slopes.iter().all(|s| *s == 0.0));
        // Where all costs are alike, cells of the path should become cheaper.
        let flat = vec![1.0; maps.len() * CELLS];
        let text = said("none");
        assert!(text.contains("of 60100 weights") && text.contains("of 9 for") && text.contains("of 3 for"));
        for method in Method::ALL.into_iter().filter(|m| *m != Method::Direct) {
            let slopes = method.slopes(&world, &maps, &flat, 5.0, 1).unwrap();
            let along: f64 =
                slopes.iter().zip(maps.iter().flat_map(|map| &map.path)).map(|(s, t)| s * t).sum();
            let cheaper = if method == Method::Cells { -along } else { along };
            assert!(cheaper > 0.0, "{method:?}: {along}");
        }
    }
}
