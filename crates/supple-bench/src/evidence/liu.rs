//! Liu, Dong, Liu, Yu and Gao, *Bridging discrete and backpropagation: straight-through and beyond*, NeurIPS
//! 2023.
//!
//! Gradients are compared on the suite's digits. Training is that of an autoencoder with categorical latents
//! on the 300 images of 8 × 8 pixels: encoder and decoder are linear, its bound is
//!
//! $$ \mathrm{E} \bigl[ -\ln p(v \mid b) \bigr] - H(b) + L \ln C $$
//!
//! for L choices among C with entropy $H$, which has a gradient in closed form. There are few enough codes
//! for the bound to be exact where it is reported.

use super::{Claim, Outcome, Verdict, ahead, mean};
use crate::adam::Adam;
use crate::cell::{Arena, Sampling, measure};
use crate::{entrants, problems};
use ndarray::{ArrayD, IxDyn};
use rayon::prelude::*;
use supple_core::{Error, Operator, Stream, linearize};
use supple_ops::sample::{ReinMax, StraightThrough};

/// These claims.
pub fn claims() -> Vec<Claim> {
    vec![
        Claim {
            paper: "Liu et al. 2023",
            statement: "ReinMax approximates the gradient to second order, straight-through to first: it \
                        has less bias",
            run: gradients,
        },
        Claim {
            paper: "Liu et al. 2023",
            statement: "an autoencoder with discrete latents trained with ReinMax reaches a lower bound \
                        than one trained with straight-through",
            run: training,
        },
    ]
}

fn gradients(seed: u64) -> Result<Outcome, Error> {
    let (mut figures, mut parts) = (vec![], vec![]);
    let entrants = entrants::all();
    for problem in problems::all().into_iter().filter(|problem| problem.name().starts_with("digits/")) {
        let arena = Arena::new(problem);
        let name = arena.problem.name();
        for (samples, replicates) in [(1, 4000), (64, 500)] {
            let sampling = Sampling { seed, replicates, warm_up: 0, time_limit: f64::INFINITY };
            let rows = ["straight_through", "rein_max"].map(|name| {
                let entrant = entrants.iter().find(|entrant| entrant.name == name);
                entrant.map(|entrant| measure(&arena, entrant, samples, sampling))
            });
            let [Some(plain), Some(second)] = rows else { continue };
            for (who, row) in [("straight-through", &plain), ("ReinMax", &second)] {
                if samples == 1 {
                    figures.push((format!("{name}: bias of {who}"), row.number("bias")));
                    figures.push((format!("{name}: what of it may be noise"), row.number("bias_error")));
                }
                let what = format!("{name}: mean squared error of {who}, samples: {samples}");
                figures.push((what, row.number("mse")));
            }
            if samples == 1 {
                let less = plain.number("bias") - second.number("bias");
                let noise = plain.number("bias_error").hypot(second.number("bias_error"));
                figures.push((format!("{name}: how much less that of ReinMax is"), less));
                figures.push((format!("{name}: what of the difference may be noise"), noise));
                parts.push(Verdict::above(0.0, [less, noise], 2.0));
            }
        }
    }
    let said = "the digits of the suite, eight yes-or-no latents, one and eight images; figures in units of \
                the gradient's length and of its square. Rule: on both, less bias by more than twice what may be \
                noise; undecided where the difference is smaller. The mean squared error is for information: it has the variance in it, of which ReinMax has more";
    Ok(Outcome { figures, verdict: Verdict::all(&parts), said: said.into() })
}

/// Choices, and classes of each.
const LATENTS: [[usize; 2]; 2] = [[8, 2], [4, 4]];
const RATES: [f64; 3] = [0.003, 0.01, 0.03];
const RUNS: usize = 4;
/// 95 % of mean differences of 4 runs without a difference are within so many standard errors.
const LEAD: f64 = 3.182;
const STEPS: usize = 300;
const PIXELS: usize = 64;
const BATCH: usize = 50;

fn training(seed: u64) -> Result<Outcome, Error> {
    let images = images();
    let (mut figures, mut parts) = (vec![], vec![]);
    for [choices, classes] in LATENTS {
        let bounds = |reinmax: bool| {
            let grid: Vec<_> = RATES.iter().flat_map(|rate| (0..RUNS).map(move |run| (*rate, run))).collect();
            let bound = |(rate, run): (f64, usize)| {
                let seed = Stream::new(seed, run, 0).bits();
                let mut model = Model::new([choices, classes], seed);
                if reinmax {
                    let operator = |seed| ReinMax { seed: Some(seed), ..Default::default() };
                    model.train(&images, operator, rate, seed)?;
                } else {
                    let operator = |seed| StraightThrough { seed: Some(seed), ..Default::default() };
                    model.train(&images, operator, rate, seed)?;
                }
                Ok(model.bound(&images))
            };
            let bounds = grid.into_par_iter().map(bound).collect::<Result<Vec<f64>, Error>>()?;
            let of_rate = |bounds: &&[f64]| mean(bounds)[0];
            let best = bounds.chunks(RUNS).min_by(|a, b| of_rate(a).total_cmp(&of_rate(b)));
            Ok::<_, Error>(best.unwrap_or_default().to_vec())
        };
        let (plain, second) = (bounds(false)?, bounds(true)?);
        let [lead, error] = ahead(&plain, &second);
        let name = format!("{choices} choices among {classes}");
        figures.push((format!("{name}: bound with straight-through"), mean(&plain)[0]));
        figures.push((format!("{name}: bound with ReinMax"), mean(&second)[0]));
        figures.push((format!("{name}: lead of ReinMax"), lead));
        figures.push((format!("{name}: standard error of the lead"), error));
        parts.push(Verdict::above(0.0, [lead, error], LEAD));
    }
    let said = format!(
        "linear encoder and decoder, {STEPS} steps of Adam on {BATCH} images, one sample each, {RUNS} runs \
         with the same starts; the step size with the least bound out of {RATES:?}; bounds are exact, in \
         nats per image; standard errors are over the runs. Rule: in both shapes a lead of more than {LEAD} \
         standard errors, which 4 runs without a difference pass one way or the other in 1 of 20; undecided \
         where it is smaller"
    );
    Ok(Outcome { figures, verdict: Verdict::all(&parts), said })
}

/// The images of the suite.
fn images() -> Vec<Vec<f64>> {
    problems::digits::images().iter().map(|image| image.to_vec()).collect()
}

/// Rows of weights with their bias last: a linear map.
fn linear(weights: &[f64], x: &[f64]) -> Vec<f64> {
    let row = |row: &[f64]| row[x.len()] + row.iter().zip(x).map(|(w, x)| w * x).sum::<f64>();
    weights.chunks_exact(x.len() + 1).map(row).collect()
}

/// Adds the gradient of a linear map's weights, and returns that of what goes in.
fn pull(weights: &[f64], x: &[f64], slopes: &[f64], gradient: &mut [f64]) -> Vec<f64> {
    let mut back = vec![0.0; x.len()];
    let width = x.len() + 1;
    for ((row, gradient), slope) in
        weights.chunks_exact(width).zip(gradient.chunks_exact_mut(width)).zip(slopes)
    {
        back.iter_mut().zip(row).for_each(|(back, w)| *back += slope * w);
        gradient.iter_mut().zip(x).for_each(|(g, x)| *g += slope * x);
        gradient[x.len()] += slope;
    }
    back
}

/// Probabilities of choices.
fn probabilities(logits: &[f64], classes: usize) -> Vec<f64> {
    let choice = |logits: &[f64]| {
        let top = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let exps: Vec<f64> = logits.iter().map(|x| (x - top).exp()).collect();
        let sum: f64 = exps.iter().sum();
        exps.into_iter().map(move |e| e / sum)
    };
    logits.chunks_exact(classes).flat_map(choice).collect()
}

/// −ln p(v | b) for the logits of the pixels.
fn reconstruction(logits: &[f64], image: &[f64]) -> f64 {
    let pixel = |(a, v): (&f64, &f64)| a.max(0.0) + (-a.abs()).exp().ln_1p() - v * a;
    logits.iter().zip(image).map(pixel).sum()
}

/// An autoencoder: the weights of the encoder, then those of the decoder.
struct Model {
    choices: usize,
    classes: usize,
    weights: Vec<f64>,
}

impl Model {
    fn new([choices, classes]: [usize; 2], seed: u64) -> Self {
        let width = choices * classes;
        let count = width * (PIXELS + 1) + PIXELS * (width + 1);
        let weights = Stream::new(seed, 0, 1).normals(count).iter().map(|z| 0.1 * z).collect();
        Self { choices, classes, weights }
    }

    fn width(&self) -> usize {
        self.choices * self.classes
    }

    fn parts(&self) -> (&[f64], &[f64]) {
        self.weights.split_at(self.width() * (PIXELS + 1))
    }

    fn train<P: Operator>(
        &mut self,
        images: &[Vec<f64>],
        operator: impl Fn(u64) -> P,
        rate: f64,
        seed: u64,
    ) -> Result<(), Error> {
        let mut adam = Adam::new(rate, self.weights.len());
        for step in 0..STEPS {
            let batch: Vec<&Vec<f64>> =
                (0..BATCH).map(|i| &images[(step * BATCH + i) % images.len()]).collect();
            let gradient = self.gradient(&batch, &operator(Stream::new(seed, step, 2).bits()))?;
            adam.descend(&mut self.weights, &gradient);
        }
        Ok(())
    }

    /// The gradient of the bound of some images, with that of the codes as the operator has it.
    fn gradient<P: Operator>(&self, images: &[&Vec<f64>], operator: &P) -> Result<Vec<f64>, Error> {
        let (encoder, decoder) = self.parts();
        let width = self.width();
        let array = |rows: &[Vec<f64>]| {
            let shape = IxDyn(&[rows.len(), self.choices, self.classes]);
            ArrayD::from_shape_fn(shape, |i| rows[i[0]][i[1] * self.classes + i[2]])
        };
        let logits: Vec<Vec<f64>> = images.iter().map(|image| linear(encoder, image)).collect();
        let stacked = array(&logits);
        let at = linearize(operator, [stacked.view()])?;
        let [codes] = at.outputs();
        let codes: Vec<f64> = codes.iter().copied().collect();
        let mut gradient = vec![0.0; self.weights.len()];
        let (of_encoder, of_decoder) = gradient.split_at_mut(encoder.len());
        let back: Vec<Vec<f64>> = images
            .iter()
            .zip(codes.chunks_exact(width))
            .map(|(image, code)| {
                let pixels = linear(decoder, code).into_iter().zip(*image);
                let slopes: Vec<f64> = pixels.map(|(a, v)| 1.0 / (1.0 + (-a).exp()) - v).collect();
                pull(decoder, code, &slopes, of_decoder)
            })
            .collect();
        let [slopes] = at.vjp([array(&back).view()])?;
        let slopes: Vec<f64> = slopes.into_iter().collect();
        for ((image, logits), slopes) in images.iter().zip(&logits).zip(slopes.chunks_exact(width)) {
            let p = probabilities(logits, self.classes);
            let mut slopes = slopes.to_vec();
            for (slopes, p) in slopes.chunks_exact_mut(self.classes).zip(p.chunks_exact(self.classes)) {
                // −∂H = p (ln p + H).
                let entropy = entropy(p);
                slopes
                    .iter_mut()
                    .zip(p)
                    .filter(|(_, p)| **p > 0.0)
                    .for_each(|(s, p)| *s += p * (p.ln() + entropy));
            }
            pull(encoder, image, &slopes, of_encoder);
        }
        gradient.iter_mut().for_each(|g| *g /= images.len() as f64);
        Ok(gradient)
    }

    /// The exact bound, mean over images.
    fn bound(&self, images: &[Vec<f64>]) -> f64 {
        let (encoder, decoder) = self.parts();
        let count = self.classes.pow(self.choices as u32);
        // Of each code: which entries are 1, and what it decodes to.
        let codes: Vec<_> = (0..count)
            .map(|code| {
                let places: Vec<usize> = (0..self.choices)
                    .map(|choice| {
                        choice * self.classes + code / self.classes.pow(choice as u32) % self.classes
                    })
                    .collect();
                let mut one_hot = vec![0.0; self.width()];
                places.iter().for_each(|place| one_hot[*place] = 1.0);
                (places, linear(decoder, &one_hot))
            })
            .collect();
        let bound = |image: &Vec<f64>| {
            let p = probabilities(&linear(encoder, image), self.classes);
            let expected: f64 = codes
                .iter()
                .map(|(places, pixels)| {
                    places.iter().map(|place| p[*place]).product::<f64>() * reconstruction(pixels, image)
                })
                .sum();
            let entropy: f64 = p.chunks_exact(self.classes).map(entropy).sum();
            expected - entropy + self.choices as f64 * (self.classes as f64).ln()
        };
        mean(&images.iter().map(bound).collect::<Vec<_>>())[0]
    }
}

fn entropy(p: &[f64]) -> f64 {
    -p.iter().filter(|p| **p > 0.0).map(|p| p * p.ln()).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gradient_is_that_of_the_bound_where_the_cost_is_linear_in_the_code() {
        // One choice: straight-through is exact in the mean for a linear cost only, so the encoder's gradient
        // is compared where the decoder ignores the code: entropy alone. The decoder's is right for any.
        let images = images();
        let some: Vec<Vec<f64>> = images[..3].to_vec();
        let mut model = Model::new([2, 3], 7);
        let cut = model.parts().0.len();
        for row in model.weights[cut..].chunks_exact_mut(7) {
            row[..6].fill(0.0);
        }
        let operator = StraightThrough { seed: Some(1), ..Default::default() };
        let gradient = model.gradient(&some.iter().collect::<Vec<_>>(), &operator).unwrap();
        let bias = cut + 6;
        for i in [0, 10, 64, 200, cut - 1, bias] {
            let here = model.weights[i];
            let [up, down] = [1e-5, -1e-5].map(|step| {
                model.weights[i] = here + step;
                model.bound(&some)
            });
            model.weights[i] = here;
            assert!(
                (gradient[i] - (up - down) / 2e-5).abs() < 1e-6,
                "{i}: {} {}",
                gradient[i],
                (up - down) / 2e-5
            );
        }
    }

    #[test]
    fn training_lowers_the_bound_and_is_a_function_of_the_seed() {
        let images = images();
        let run = || {
            let mut model = Model::new([4, 4], 3);
            let before = model.bound(&images);
            let operator = |seed| ReinMax { seed: Some(seed), ..Default::default() };
            model.train(&images, operator, 0.01, 3).unwrap();
            (before, model.bound(&images))
        };
        let (before, after) = run();
        assert!(after < 0.8 * before, "{before} to {after}");
        assert_eq!(run(), (before, after));
    }
}
