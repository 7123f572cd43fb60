//! What the samples of one choice share: the draw, and the gradient of softmax.

use supple_core::{Args, Law, Real, Scratch, Stream};
use supple_numerics::discrete::choose;
use supple_numerics::elementary::exp_sum;
use supple_numerics::simplex::largest;
use supple_numerics::softmax::{pull_back, soften};

/// The seed, or a new one at each call.
pub(super) fn seed_of(seed: Option<u64>) -> u64 {
    seed.unwrap_or_else(Stream::fresh_seed)
}

/// Writes one at an exact sample of `softmax(x)` into zeros, or NaN where there is none. By the first
/// number of the item's stream 0.
pub(super) fn draw<T: Real>(at: Args<'_, T>, seed: u64, y: &mut [T], scratch: &mut Scratch<T>) {
    let [x] = at.x;
    let top = largest(x);
    if !top.is_finite() {
        return y.fill(T::nan());
    }
    let mut weights = wide(x, scratch);
    let total = exp_sum(&mut weights, T::constant(top).widen());
    let uniform = Stream::new(seed, at.item, 0).uniform();
    y[choose(&weights, total.as_f64(), uniform)] = T::one();
    scratch.wide.give(weights);
}

/// What [`draw`] chose; `None` where it wrote NaN.
pub(super) fn chosen<T: Real>(y: &[T]) -> Option<usize> {
    y.iter().position(|&y| y == T::one())
}

/// A copy in the accumulator's precision, in a buffer to be given back.
pub(super) fn wide<T: Real>(x: &[T], scratch: &mut Scratch<T>) -> Vec<T::Acc> {
    let mut wide = scratch.wide.empty();
    wide.extend(x.iter().map(|x| x.widen()));
    wide
}

/// Writes `(diag(p) − p pᵀ) dy / softness` with `p = softmax(z / softness)`, and gives `z` back.
pub(super) fn soft_gradient<T: Real>(
    mut z: Vec<T::Acc>,
    softness: f64,
    dy: &[T],
    dx: &mut [T],
    scratch: &mut Scratch<T>,
) {
    let mut sum = scratch.wide.zeros(z.len());
    soften(&mut z, softness);
    pull_back(&z, 1.0 / softness, dy, &mut sum);
    narrow(&sum, dx);
    scratch.wide.give(sum);
    scratch.wide.give(z);
}

/// Back from the accumulator's precision.
pub(super) fn narrow<T: Real>(wide: &[T::Acc], x: &mut [T]) {
    x.iter_mut().zip(wide).for_each(|(x, &wide)| *x = T::narrow(wide));
}

/// What holds for a one-hot sample.
pub(super) fn laws() -> Vec<Law> {
    vec![
        Law::SumsTo(Box::new(|_| 1.0)),
        Law::Within(Box::new(|_| (0.0, 1.0))),
        Law::Vanishes("between_0_and_1", Box::new(|at| at.y[0].iter().map(|y| y * (1.0 - y)).sum())),
        Law::ShiftInvariant,
        Law::Masks,
    ]
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::StraightThrough;
    use crate::choice::softmax;
    use ndarray::{Array2, ArrayD, Axis};
    use supple_core::{Contract, Mode, Options, evaluate, linearize};

    /// A function of one-hot y by its gradient.
    pub type Slope<'a> = &'a dyn Fn(&[f64]) -> Vec<f64>;

    /// Samples of `rows` items with the same logits, and the gradients of a function of each.
    pub fn draws<O: Contract>(operator: &O, x: &[f64], rows: usize, slope: Slope<'_>) -> [ArrayD<f64>; 2] {
        let x = Array2::from_shape_fn((rows, x.len()), |(_, i)| x[i]).into_dyn();
        let at = linearize(operator, [x.view()]).unwrap();
        let [y] = at.outputs();
        let mut dy = y.clone();
        for mut row in dy.rows_mut() {
            let value = row.to_vec();
            row.assign(&ndarray::aview1(&slope(&value)));
        }
        let [dx] = at.vjp([dy.view()]).unwrap();
        [y.clone(), dx]
    }

    /// The exact mean gradient of an operator the gradient of which depends on no more than its sample.
    pub fn mean_gradient<O: Contract>(operator: &O, x: &[f64], slope: Slope<'_>) -> Vec<f64> {
        let [y, dx] = draws(operator, x, 2000, slope);
        let p = softmax(x, 1.0).unwrap();
        let mut mean = vec![0.0; x.len()];
        for i in (0..x.len()).filter(|&i| p[i] > 0.0) {
            let row = y.rows().into_iter().position(|y| y[i] == 1.0).expect("each option is drawn");
            let dx = dx.index_axis(Axis(0), row);
            mean.iter_mut().zip(dx).for_each(|(mean, dx)| *mean += p[i] * dx);
        }
        mean
    }

    /// `f(y) = ½ yᵀ A y + bᵀ y` with a symmetric matrix: its value and its gradient.
    pub fn quadratic(y: &[f64]) -> (f64, Vec<f64>) {
        let n = y.len();
        let a = |i: usize, j: usize| {
            ((3 * i + 2) as f64).sin() * ((3 * j + 2) as f64).sin() + (i + j) as f64 % 3.0
        };
        let b = |i: usize| (7.0 * i as f64).cos();
        let ay: Vec<f64> = (0..n).map(|i| (0..n).map(|j| a(i, j) * y[j]).sum()).collect();
        let value = (0..n).map(|i| y[i] * (0.5 * ay[i] + b(i))).sum();
        (value, (0..n).map(|i| ay[i] + b(i)).collect())
    }

    /// The gradient of `E f(y)` to the logits, for the quadratic.
    pub fn exact(x: &[f64]) -> Vec<f64> {
        let p = softmax(x, 1.0).unwrap();
        let one_hot = |i: usize| (0..x.len()).map(|j| f64::from(u8::from(i == j))).collect::<Vec<_>>();
        let values: Vec<f64> = (0..x.len()).map(|i| quadratic(&one_hot(i)).0).collect();
        let mean: f64 = values.iter().zip(&p).map(|(f, p)| f * p).sum();
        values.iter().zip(&p).map(|(f, p)| p * (f - mean)).collect()
    }

    #[test]
    fn frequencies_are_those_of_softmax_in_all_modes() {
        // In single precision; probabilities of the second are as those of (0, −1, −2).
        for x in [[0.3, -1.0, f32::NEG_INFINITY, 1.2], [16_777_216.0, 16_777_215.0, 16_777_214.0, 0.0]] {
            let rows = Array2::from_shape_fn((100_000, 4), |(_, i)| x[i]).into_dyn();
            let operator = StraightThrough { softness: 0.1, seed: Some(5) };
            let in_mode = |mode| {
                let options = Options { mode, ..Options::default() };
                let [y] =
                    evaluate(&operator, supple_core::Inputs { x: [rows.view()], k: [], options }).unwrap();
                y
            };
            let y = in_mode(Mode::Soft);
            assert_eq!(y, in_mode(Mode::Hard));
            assert_eq!(y, in_mode(Mode::StraightThrough));
            let p = softmax(&x.map(f64::from), 1.0).unwrap();
            for (mean, p) in y.mapv(f64::from).mean_axis(Axis(0)).unwrap().iter().zip(&p) {
                let error = (p * (1.0 - p) / 1e5).sqrt();
                assert!((mean - p).abs() <= 4.5 * error, "{mean} for {p}");
            }
        }
    }

    #[test]
    fn without_a_seed_each_call_draws_anew() {
        let x = ndarray::Array2::<f64>::zeros((50, 8)).into_dyn();
        let draw = || evaluate(&StraightThrough::default(), [x.view()]).unwrap();
        assert_ne!(draw(), draw());
    }
}
