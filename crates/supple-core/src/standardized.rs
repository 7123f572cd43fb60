//! A softness that means the same at any scale of the data.

use crate::error::{Error, Fault};
use crate::operator::{Args, Contract, Gradient, Operator, Point, Sample, Scaling};
use crate::params::{Field, Params, Value};
use crate::real::{Float, Real};
use crate::rng::Stream;
use crate::scratch::Scratch;

/// An operator on data in units of their own standard deviation.
///
/// Of an operator that [scales](Operator::scaling), $f(c^p x, c^s \varepsilon) = c^q f(x, \varepsilon)$, this
/// is
///
/// $$ g(x) = \sigma^q f(x / \sigma^p, \varepsilon) = f(x, \sigma^s \varepsilon), $$
///
/// where σ is, for each item, the standard deviation (divided by n, not n − 1) of the first input that
/// scales, to the power 1/p. So $g(c^p x) = c^q g(x)$: one softness does for data of any scale. The hard
/// function is the operator's own.
///
/// * Gradient: exact, the change of σ included. What is infinite does not count for σ and does not move it.
/// * Where all values are equal, or there is one only, σ is one and stays so.
/// * Cost: a few passes over the inputs more.
/// * Errors: an operator that does not scale.
///
/// ```
/// # use supple_core::{Args, Error, Fault, Operator, Point, Real, Scaling, Scratch, Standardized, map};
/// # #[derive(Clone)]
/// # struct SoftAbs { softness: f64 }
/// # impl Operator for SoftAbs {
/// #     const NAME: &'static str = "soft_abs";
/// #     const SIGNATURE: &'static str = "x(n) -> y(n)";
/// #     type Saved<T: Real> = ();
/// #     fn scaling(&self) -> Option<Scaling> {
/// #         Some(Scaling { softness: self.softness, power: 1, inputs: [1], outputs: [1] })
/// #     }
/// #     fn forward<T: Real>(
/// #         &self, at: Args<'_, T>, [y]: [&mut [T]; 1], _: &mut (), _: &mut Scratch<T>,
/// #     ) -> Result<(), Fault> {
/// #         let corner = T::of(self.softness).square();
/// #         y.iter_mut().zip(at.x[0]).for_each(|(y, x)| *y = (x.square() + corner).sqrt());
/// #         Ok(())
/// #     }
/// #     fn vjp<T: Real>(
/// #         &self, at: Point<'_, T, ()>, [dy]: [&[T]; 1], [dx]: [&mut [T]; 1], _: &mut Scratch<T>,
/// #     ) {
/// #         dx.iter_mut().enumerate().for_each(|(i, dx)| *dx = dy[i] * at.x[0][i] / at.y[0][i]);
/// #     }
/// # }
/// // √(x² + ε²)
/// let soft_abs = Standardized(SoftAbs { softness: 0.75 });
/// assert_eq!(map(&soft_abs, &[1.0, -1.0])?.to_vec(), [1.25, 1.25]);
/// assert_eq!(map(&soft_abs, &[1000.0, -1000.0])?.to_vec(), [1250.0, 1250.0]);
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Standardized<P>(pub P);

/// What one item is divided by.
struct Scale<T> {
    /// Standard deviation to the power 1/p.
    sigma: T,
    /// Which input it is taken of.
    input: usize,
    /// The mean of that input.
    mean: T,
    /// `∂σ/∂x = slope · (x − mean)`.
    slope: T,
}

impl<P> Standardized<P> {
    fn exponents<const I: usize, const O: usize, const K: usize>(&self) -> Scaling<I, O>
    where
        P: Operator<I, O, K>,
    {
        self.0.scaling().expect("`validate` has refused what does not scale")
    }

    fn scale<T: Real, const I: usize, const O: usize, const K: usize>(&self, x: [&[T]; I]) -> Scale<T>
    where
        P: Operator<I, O, K>,
    {
        let powers = self.exponents().inputs;
        let input = powers.iter().position(|&p| p != 0).unwrap_or(0);
        let constant = Scale { sigma: T::one(), input, mean: T::zero(), slope: T::zero() };
        let Some((&values, &power)) = x.get(input).zip(powers.get(input)) else { return constant };
        let finite = || values.iter().filter(|x| x.is_finite()).map(|x| x.widen());
        let count = T::Acc::of(finite().count() as f64);
        let mean = finite().sum::<T::Acc>() / count;
        // In units of the largest deviation, whose square may not be a number.
        let reach = finite().map(|x| (x - mean).abs().as_f64()).fold(0.0, f64::max);
        let usual = reach > 0.0 && reach.is_finite() && (1.0 / reach).is_finite();
        if !usual {
            return constant;
        }
        let unit = T::Acc::of(reach);
        let deviation =
            unit * (finite().map(|x| ((x - mean) / unit).square()).sum::<T::Acc>() / count).sqrt();
        let sigma = match power {
            1 => deviation,
            p => (deviation.ln() / T::Acc::of(p.into())).exp(),
        };
        // dσ = σ / (p · deviation) · d deviation, and d deviation = (x − mean) / (n · deviation) dx.
        let slope = sigma / (T::Acc::of(power.into()) * deviation * deviation * count);
        Scale { sigma: T::narrow(sigma), input, mean: T::narrow(mean), slope: T::narrow(slope) }
    }

    /// `values · σ^power`, in a buffer to be given back.
    fn scaled<T: Real>(&self, values: &[T], sigma: T, power: i8, scratch: &mut Scratch<T>) -> Vec<T> {
        let mut scaled = scratch.reals.copy(values);
        if power != 0 {
            let factor = raised(sigma, power);
            scaled.iter_mut().for_each(|x| *x *= factor);
        }
        scaled
    }
}

/// `σ^power`.
fn raised<T: Real>(sigma: T, power: i8) -> T {
    let magnitude = (0..power.unsigned_abs()).fold(T::one(), |product, _| product * sigma);
    if power < 0 { T::one() / magnitude } else { magnitude }
}

impl<P, const I: usize, const O: usize, const K: usize> Operator<I, O, K> for Standardized<P>
where
    P: Operator<I, O, K>,
{
    const NAME: &'static str = P::NAME;
    const SIGNATURE: &'static str = P::SIGNATURE;
    const GRADIENT: Gradient = P::GRADIENT;
    type Saved<T: Real> = P::Saved<T>;

    fn validate(&self, sizes: &[usize]) -> Result<(), Error> {
        self.0.validate(sizes)?;
        match self.0.scaling() {
            Some(scaling) if scaling.inputs.iter().any(|&power| power != 0) => Ok(()),
            _ => Err(Error::unsupported(P::NAME, "standardisation", "its data have no unit")),
        }
    }

    fn size(&self, symbol: &str) -> Option<usize> {
        self.0.size(symbol)
    }

    fn work(&self, sizes: &[usize]) -> usize {
        self.0.work(sizes)
    }

    fn forward<T: Real>(
        &self,
        at: Args<'_, T, I, K>,
        y: [&mut [T]; O],
        saved: &mut Self::Saved<T>,
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let scaling = self.exponents();
        let Scale { sigma, .. } = self.scale(at.x);
        let z = each(|i| self.scaled(at.x[i], sigma, -scaling.inputs[i], scratch));
        let inner = Args { x: z.each_ref().map(|z| &z[..]), k: at.k, sizes: at.sizes, item: at.item };
        let mut y = y;
        let result = self.0.forward(inner, y.each_mut().map(|y| &mut **y), saved, scratch);
        for (y, &power) in y.iter_mut().zip(&scaling.outputs).filter(|(_, power)| **power != 0) {
            let factor = raised(sigma, power);
            y.iter_mut().for_each(|y| *y *= factor);
        }
        z.into_iter().for_each(|z| scratch.reals.give(z));
        result
    }

    fn vjp<T: Real>(
        &self,
        at: Point<'_, T, Self::Saved<T>, I, O, K>,
        dy: [&[T]; O],
        mut dx: [&mut [T]; I],
        scratch: &mut Scratch<T>,
    ) {
        let scaling = self.exponents();
        let Scale { sigma, input, mean, slope } = self.scale(at.x);
        let z = each(|i| self.scaled(at.x[i], sigma, -scaling.inputs[i], scratch));
        let inner_y = each(|o| self.scaled(at.y[o], sigma, -scaling.outputs[o], scratch));
        let inner_dy = each(|o| self.scaled(dy[o], sigma, scaling.outputs[o], scratch));
        let point = Point {
            x: z.each_ref().map(|z| &z[..]),
            k: at.k,
            sizes: at.sizes,
            item: at.item,
            y: inner_y.each_ref().map(|y| &y[..]),
            saved: at.saved,
        };
        let cotangents = inner_dy.each_ref().map(|dy| &dy[..]);
        self.0.vjp(point, cotangents, dx.each_mut().map(|dx| &mut **dx), scratch);
        // σ² times the derivative to ln σ: Euler's identity, for this very item.
        let inner = |a: &[T], b: &[T]| a.iter().zip(b).map(|(&a, &b)| finite_product(a, b)).sum::<T::Acc>();
        let mut change = T::Acc::zero();
        for (o, &power) in scaling.outputs.iter().enumerate().filter(|(_, power)| **power != 0) {
            change += T::Acc::of(power.into()) * inner(&inner_dy[o], &inner_y[o]);
        }
        for (i, &power) in scaling.inputs.iter().enumerate().filter(|(_, power)| **power != 0) {
            change -= T::Acc::of(power.into()) * inner(dx[i], &z[i]);
        }
        for (dx, &power) in dx.iter_mut().zip(&scaling.inputs).filter(|(_, power)| **power != 0) {
            let factor = raised(sigma, -power);
            dx.iter_mut().for_each(|dx| *dx *= factor);
        }
        let rate = T::narrow(change / sigma.widen()) * slope;
        if let Some(dx) = dx.get_mut(input) {
            let moved = dx.iter_mut().zip(at.x[input]).filter(|(_, x)| x.is_finite());
            moved.for_each(|(dx, &x)| *dx += rate * (x - mean));
        }
        z.into_iter().chain(inner_y).chain(inner_dy).for_each(|buffer| scratch.reals.give(buffer));
    }

    fn hard<T: Float>(
        &self,
        at: Args<'_, T, I, K>,
        y: [&mut [T]; O],
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        self.0.hard(at, y, scratch)
    }
}

impl<P: Params> Params for Standardized<P> {
    const FIELDS: &'static [Field] = P::FIELDS;
    fn get(&self, field: usize) -> Value {
        self.0.get(field)
    }
    fn put(&mut self, field: usize, value: &Value) -> bool {
        self.0.put(field, value)
    }
}

/// What the operator promises at the scaled data.
impl<P, const I: usize, const O: usize, const K: usize> Contract<I, O, K> for Standardized<P>
where
    P: Contract<I, O, K>,
{
    const SUMMARY: &'static str = P::SUMMARY;
    const PAPER: &'static str = P::PAPER;
    const COST: &'static str = P::COST;
    const ARGUMENTS: &'static [&'static str] = P::ARGUMENTS;

    fn cases() -> Vec<Self> {
        P::cases().into_iter().map(Self).collect()
    }

    fn test_sizes(&self) -> Vec<Vec<usize>> {
        self.0.test_sizes()
    }

    fn sample(&self, sizes: &[usize], lengths: [usize; I], random: &mut Stream) -> Sample<I, K> {
        self.0.sample(sizes, lengths, random)
    }

    fn free(&self) -> [bool; I] {
        self.0.free()
    }

    fn direction(&self, x: [&[f64]; I], random: &mut Stream) -> [Vec<f64>; I] {
        self.0.direction(x, random)
    }

    fn oracle(&self, at: Args<'_, f64, I, K>) -> Option<[Vec<f64>; O]> {
        let Scaling { inputs, outputs, .. } = self.exponents();
        let input = inputs.iter().position(|&power| power != 0)?;
        let x = at.x[input];
        let mean = x.iter().sum::<f64>() / x.len() as f64;
        let deviation = (x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / x.len() as f64).sqrt();
        let sigma = if deviation > 0.0 { deviation.powf(1.0 / f64::from(inputs[input])) } else { 1.0 };
        let scaled = |values: &[f64], power: i8| -> Vec<f64> {
            values.iter().map(|x| x * sigma.powi(power.into())).collect()
        };
        let z: [Vec<f64>; I] = std::array::from_fn(|i| scaled(at.x[i], -inputs[i]));
        let y = self.0.oracle(Args {
            x: z.each_ref().map(|z| &z[..]),
            k: at.k,
            sizes: at.sizes,
            item: at.item,
        })?;
        Some(std::array::from_fn(|o| scaled(&y[o], outputs[o])))
    }
}

/// An array of buffers; one after the other, because all come from the same scratch.
fn each<T, const N: usize>(mut make: impl FnMut(usize) -> Vec<T>) -> [Vec<T>; N] {
    std::array::from_fn(&mut make)
}

/// `a · b`, or zero where the value does not move with the scale: infinities stay what they are.
fn finite_product<T: Real>(a: T, b: T) -> T::Acc {
    if b.is_finite() { a.widen() * b.widen() } else { T::Acc::zero() }
}
