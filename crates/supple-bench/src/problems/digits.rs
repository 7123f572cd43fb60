//! A variational autoencoder with eight yes-or-no latents on 8 × 8 handwritten digits.
//!
//! A decoder makes of a code $b$ the probability of ink in each pixel, a logistic function of $a(b) = a_0 +
//! W (2 b - 1)$; an encoder gives the logits $x$ of the code of an image $v$. The bound on $-\ln p(v)$ that
//! is trained on is $\mathrm{E}_b \bigl[ -\ln p(v, b) \bigr]$ less the entropy of $b$, which has a gradient
//! in closed form. The problem is the other part: the cost of a code is
//!
//! $$ -\ln p(v, b) = \sum_i \bigl( \ln(1 + e^{a_i(b)}) - v_i a_i(b) \bigr) + 8 \ln 2 $$
//!
//! and gradients are those in $x$, which go on to the encoder's weights. Decoder and encoder are not trained
//! but made of the eight principal components of the images: $W$ has them in its columns, times their
//! spread, times 5, about what turns ink into logits; the encoder's logits are an image's components in
//! units of their spread, times 1.5.
//!
//! Kingma and Welling, *Auto-encoding variational Bayes*, ICLR 2014; the images are the first 300 of the test
//! set of Alpaydin and Kaynak, *Optical recognition of handwritten digits*, 1998 (see `data/README.md`).

use super::posed::{Posed, cost};
use crate::problem::{Cost, Distribution, Exact, Target};
use std::sync::OnceLock;

const PIXELS: usize = 64;
const LATENTS: usize = 8;
/// Ink to logits.
const DECODER_SCALE: f64 = 5.0;
/// Components to logits.
const ENCODER_SCALE: f64 = 1.5;

type Image = [f64; PIXELS];

/// The images, with ink from 0 to 1.
pub(crate) fn images() -> Vec<Image> {
    let text = include_str!("../../data/digits.txt");
    let image = |line: &str| {
        let mut image = [0.0; PIXELS];
        // After the digit and a space.
        let letters = line.bytes().skip(2);
        image
            .iter_mut()
            .zip(letters)
            .for_each(|(pixel, letter)| *pixel = letter.saturating_sub(b'a') as f64 / 16.0);
        image
    };
    text.lines().map(image).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Decoder and encoder.
struct Model {
    images: Vec<Image>,
    mean: Image,
    /// Directions of length 1 with the spread of the images along them, widest first.
    components: Vec<(Image, f64)>,
}

impl Model {
    fn get() -> &'static Self {
        static MODEL: OnceLock<Model> = OnceLock::new();
        MODEL.get_or_init(|| {
            let images = images();
            let count = images.len() as f64;
            let mean: Image =
                std::array::from_fn(|i| images.iter().map(|image| image[i]).sum::<f64>() / count);
            let centred: Vec<Image> =
                images.iter().map(|image| std::array::from_fn(|i| image[i] - mean[i])).collect();
            Self { images, mean, components: components(&centred) }
        })
    }

    /// What the logits of a pixel are without a code.
    fn base(&self) -> Image {
        self.mean.map(|mean| {
            let p = mean.clamp(0.02, 0.98);
            (p / (1.0 - p)).ln()
        })
    }

    /// The logits that the encoder gives an image's code.
    fn encode(&self, image: usize) -> Vec<f64> {
        let centred: Vec<f64> = self.images[image].iter().zip(&self.mean).map(|(v, mean)| v - mean).collect();
        let logit = |(direction, spread): &(Image, f64)| ENCODER_SCALE * dot(direction, &centred) / spread;
        self.components.iter().map(logit).collect()
    }

    /// The cost of codes of some images, one after another.
    fn cost(&'static self, images: std::ops::Range<usize>) -> Cost {
        let base = self.base();
        let logits = move |code: &[f64]| {
            let mut logits = base;
            for ((direction, spread), b) in self.components.iter().zip(code) {
                let factor = DECODER_SCALE * spread * (2.0 * b - 1.0);
                logits.iter_mut().zip(direction).for_each(|(a, d)| *a += factor * d);
            }
            logits
        };
        let own = images.clone();
        cost(
            move |codes| {
                let energy = |(image, code): (usize, &[f64])| {
                    let terms = logits(code).into_iter().zip(self.images[image]);
                    let reconstruction: f64 = terms.map(|(a, v)| softplus(a) - v * a).sum();
                    reconstruction + LATENTS as f64 * std::f64::consts::LN_2
                };
                images.clone().zip(codes.chunks_exact(LATENTS)).map(energy).sum()
            },
            move |codes, slopes| {
                let codes = codes.chunks_exact(LATENTS).zip(slopes.chunks_exact_mut(LATENTS));
                for (image, (code, slopes)) in own.clone().zip(codes) {
                    let mut residual = logits(code);
                    residual.iter_mut().zip(self.images[image]).for_each(|(a, v)| *a = logistic(*a) - v);
                    for (slope, (direction, spread)) in slopes.iter_mut().zip(&self.components) {
                        *slope = 2.0 * DECODER_SCALE * spread * dot(direction, &residual);
                    }
                }
            },
        )
    }
}

/// ln(1 + eᵃ).
fn softplus(a: f64) -> f64 {
    a.max(0.0) + (-a.abs()).exp().ln_1p()
}

fn logistic(a: f64) -> f64 {
    1.0 / (1.0 + (-a).exp())
}

/// The principal components, one after another by power iteration.
fn components(centred: &[Image]) -> Vec<(Image, f64)> {
    let mut found: Vec<(Image, f64)> = vec![];
    for k in 0..LATENTS {
        let mut direction: Image = std::array::from_fn(|i| ((i * (k + 3)) % 7) as f64 - 3.0);
        let mut variance = 0.0;
        for _ in 0..300 {
            let mut next = [0.0; PIXELS];
            for image in centred {
                let along = dot(image, &direction);
                next.iter_mut().zip(image).for_each(|(next, v)| *next += along * v / centred.len() as f64);
            }
            for (other, _) in &found {
                let along = dot(other, &next);
                next.iter_mut().zip(other).for_each(|(next, v)| *next -= along * v);
            }
            variance = dot(&next, &next).sqrt();
            direction = next.map(|v| v / variance);
        }
        found.push((direction, variance.sqrt()));
    }
    found
}

/// The code of one image.
pub fn one() -> Posed {
    let model = Model::get();
    let text = ["digits/one", "the bound of an autoencoder with eight latents, one image"];
    Posed::sampled(text, &model.encode(0), model.cost(0..1), Distribution::Bernoulli)
}

/// The codes of eight images: 64 latents, the reference a sum over images.
pub fn eight() -> Posed {
    let model = Model::get();
    let x: Vec<f64> = (0..8).flat_map(|image| model.encode(image)).collect();
    let target = Target::Sampled { cost: model.cost(0..8), distribution: Distribution::Bernoulli };
    let text = ["digits/eight", "the bound of an autoencoder with eight latents, eight images"];
    let costs: Vec<Cost> = (0..8).map(|image| model.cost(image..image + 1)).collect();
    Posed::new(text, &x, target, move |x| {
        let mut sum = Exact { value: 0.0, gradient: vec![] };
        for (cost, x) in costs.iter().zip(x.chunks_exact(LATENTS)) {
            let exact = Distribution::Bernoulli.exact(cost, x);
            sum.value += exact.value;
            sum.gradient.extend(exact.gradient);
        }
        sum
    })
}
