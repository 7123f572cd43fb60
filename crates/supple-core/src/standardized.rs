//! A softness that means the same at any scale of the data.

use crate::dual::Dual;
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
/// function is the operator's own, with noise of its own where it has any.
///
/// * Gradient: exact, the change of σ included, and in proportion to 1/σ: it is large where values differ by
///   little more than round-off. What is infinite does not count for σ and does not move it.
/// * What the operator ignores, such as an entry by its relevance or its weight, counts for σ like any other.
///   Leave it out by [`lengths`](crate::Inputs::lengths), or make it infinite where the operator allows that.
/// * NaN makes σ NaN, and with it whatever scales.
/// * Where all values are equal, or there is one only, σ is one and stays so; and where the largest distance
///   or the inverse of σ is beyond the largest number.
/// * Precision: σ and the operator are computed in double precision, so that `f32` data lose nothing by their
///   offset or their scale. `f64` data that lie 10ᵐ standard deviations from zero lose up to m digits.
/// * Cost: that of the operator in double precision, and a few passes over the inputs more. For derivatives, its
///   outputs are kept in double precision too.
/// * Errors: an operator that does not scale; a softness whose inverse is not finite, in any mode.
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

/// What the operator saved, and its outputs before they are scaled back and rounded.
#[derive(Debug)]
pub struct Unscaled<S, A, const O: usize> {
    saved: S,
    y: [Vec<A>; O],
}

impl<S: Default, A, const O: usize> Default for Unscaled<S, A, O> {
    fn default() -> Self {
        Self { saved: S::default(), y: std::array::from_fn(|_| vec![]) }
    }
}

/// What one item is divided by, in the accumulator's precision.
struct Scale<A> {
    /// Standard deviation to the power 1/p.
    sigma: A,
    /// Which input it is taken of, and p.
    input: usize,
    power: A,
    /// What is there to find its gradient, unless σ is one and stays so.
    spread: Option<Spread<A>>,
}

/// The first number of a row, how far the mean is from it, the standard deviation, and how many numbers.
struct Spread<A> {
    origin: A,
    mean: A,
    deviation: A,
    count: A,
}

impl<A: Real<Acc = A>> Spread<A> {
    /// Of what is finite in a row; `None` where all of it is equal. Distances are taken from the first number:
    /// between numbers near each other they are exact, and a mean of equal ones would be off by round-off.
    fn of<T: Real<Acc = A>>(values: &[T]) -> Option<Self> {
        let finite = || values.iter().filter(|x| x.is_finite()).map(|x| x.widen());
        let origin = finite().next()?;
        let count = A::of(finite().count() as f64);
        let mean = finite().map(|x| x - origin).sum::<A>() / count;
        // In units of the largest deviation, whose square may not be a number.
        let reach = finite().map(|x| (x - origin - mean).abs().as_f64()).fold(0.0, f64::max);
        if !(reach > 0.0 && reach.is_finite()) {
            return None;
        }
        let unit = A::of(reach);
        let squares = finite().map(|x| ((x - origin - mean) / unit).square()).sum::<A>();
        let deviation = unit * (squares / count).sqrt();
        (1.0 / deviation.as_f64()).is_finite().then_some(Self { origin, mean, deviation, count })
    }

    /// How many standard deviations `x` is above the mean.
    fn score(&self, x: A) -> A {
        (x - self.origin - self.mean) / self.deviation
    }
}

impl<P> Standardized<P> {
    fn exponents<const I: usize, const O: usize, const K: usize>(&self) -> Scaling<I, O>
    where
        P: Operator<I, O, K>,
    {
        self.0.scaling().expect("`validate` has refused what does not scale")
    }

    fn scale<T: Real, const I: usize, const O: usize, const K: usize>(&self, x: [&[T]; I]) -> Scale<T::Acc>
    where
        P: Operator<I, O, K>,
    {
        let powers = self.exponents().inputs;
        let input = powers.iter().position(|&power| power != 0).unwrap_or(0);
        let power = T::Acc::of(powers.get(input).copied().unwrap_or(1).into());
        let unknown = x.get(input).is_some_and(|values| values.iter().any(|x| x.is_nan()));
        let spread = x.get(input).filter(|_| !unknown).and_then(|values| Spread::of(values));
        let sigma = match &spread {
            None => {
                if unknown {
                    T::Acc::nan()
                } else {
                    T::Acc::one()
                }
            }
            Some(spread) if power == T::Acc::one() => spread.deviation,
            Some(spread) => (spread.deviation.ln() / power).exp(),
        };
        Scale { sigma, input, power, spread }
    }
}

/// `values · σ^power` in the accumulator's precision, in a buffer to be given back.
fn scaled<T: Real>(values: &[T], sigma: T::Acc, power: i8, scratch: &mut Scratch<T::Acc>) -> Vec<T::Acc> {
    let mut scaled = scratch.reals.empty();
    let factor = raised(sigma, power);
    scaled.extend(values.iter().map(|x| x.widen()));
    if power != 0 {
        scaled.iter_mut().for_each(|x| *x *= factor);
    }
    scaled
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
    type Saved<T: Real> = Unscaled<P::Saved<T::Acc>, T::Acc, O>;

    fn validate(&self, sizes: &[usize]) -> Result<(), Error> {
        self.0.validate(sizes)?;
        match self.0.scaling() {
            Some(Scaling { inputs, softness, .. }) if inputs.iter().any(|&power| power != 0) => {
                check_inverse(P::NAME, softness)
            }
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
        let Unscaled { saved, y: kept } = saved;
        self.run(at, y, kept, scratch, |inner, y, scratch| self.0.forward(inner, y, saved, scratch))
    }

    fn lift<F: Float>(
        &self,
        at: Args<'_, Dual<F>, I, K>,
        values: Point<'_, F, Self::Saved<F>, I, O, K>,
        y: [&mut [Dual<F>]; O],
        saved: &mut Self::Saved<Dual<F>>,
        scratch: &mut Scratch<Dual<F>>,
    ) -> Result<(), Fault> {
        let Scaling { inputs, .. } = self.exponents::<I, O, K>();
        let Scale { sigma, .. } = self.scale(values.x);
        let mut plain = Scratch::default();
        let z = each(|i| scaled(values.x[i], sigma, -inputs[i], &mut plain));
        let Point { k, sizes, item, saved: found, .. } = values;
        let values = Point { x: slices(&z), k, sizes, item, y: slices(&found.y), saved: &found.saved };
        let Unscaled { saved, y: kept } = saved;
        self.run(at, y, kept, scratch, |inner, y, scratch| self.0.lift(inner, values, y, saved, scratch))
    }

    fn vjp<T: Real>(
        &self,
        at: Point<'_, T, Self::Saved<T>, I, O, K>,
        dy: [&[T]; O],
        dx: [&mut [T]; I],
        scratch: &mut Scratch<T>,
    ) {
        let Scaling { inputs, outputs, .. } = self.exponents();
        let Scale { sigma, input, power, spread } = self.scale(at.x);
        let scratch = scratch.accumulator();
        let z = each(|i| scaled(at.x[i], sigma, -inputs[i], scratch));
        let inner_dy = each(|o| scaled(dy[o], sigma, outputs[o], scratch));
        let mut inner_dx = each(|i| scratch.reals.zeros(at.x[i].len()));
        let Point { k, sizes, item, saved: Unscaled { saved, y: inner_y }, .. } = at;
        let point = Point { x: slices(&z), k, sizes, item, y: slices(inner_y), saved };
        self.0.vjp(point, slices(&inner_dy), inner_dx.each_mut().map(|dx| &mut dx[..]), scratch);
        // The derivative to ln σ: Euler's identity, for this very item.
        let mut change = T::Acc::zero();
        for (o, &power) in outputs.iter().enumerate().filter(|(_, power)| **power != 0) {
            change += T::Acc::of(power.into()) * finite_inner(&inner_dy[o], &inner_y[o]);
        }
        for (i, &power) in inputs.iter().enumerate().filter(|(_, power)| **power != 0) {
            change -= T::Acc::of(power.into()) * finite_inner(&inner_dx[i], &z[i]);
        }
        for (inner_dx, &power) in inner_dx.iter_mut().zip(&inputs).filter(|(_, power)| **power != 0) {
            let factor = raised(sigma, -power);
            inner_dx.iter_mut().for_each(|dx| *dx *= factor);
        }
        if let (Some(spread), Some(dx)) = (spread, inner_dx.get_mut(input)) {
            // d ln σ = d ln(deviation) / p, and d deviation = score · dx / n.
            let rate = change / (power * spread.count * spread.deviation);
            let moved = dx.iter_mut().zip(at.x[input]).filter(|(_, x)| x.is_finite());
            moved.for_each(|(dx, x)| *dx += rate * spread.score(x.widen()));
        }
        for (dx, inner) in dx.into_iter().zip(&inner_dx) {
            dx.iter_mut().zip(inner).for_each(|(dx, &inner)| *dx = T::narrow(inner));
        }
        let buffers = z.into_iter().chain(inner_dy).chain(inner_dx);
        buffers.for_each(|buffer| scratch.reals.give(buffer));
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

impl<P> Standardized<P> {
    /// Runs `kernel` on the scaled data, keeps what it puts out, and scales it back.
    fn run<T: Real, const I: usize, const O: usize, const K: usize>(
        &self,
        at: Args<'_, T, I, K>,
        y: [&mut [T]; O],
        kept: &mut [Vec<T::Acc>; O],
        scratch: &mut Scratch<T>,
        kernel: impl FnOnce(Args<'_, T::Acc, I, K>, [&mut [T::Acc]; O], &mut Scratch<T::Acc>) -> Result<(), Fault>,
    ) -> Result<(), Fault>
    where
        P: Operator<I, O, K>,
    {
        let Scaling { inputs, outputs, .. } = self.exponents();
        let Scale { sigma, .. } = self.scale(at.x);
        let scratch = scratch.accumulator();
        let z = each(|i| scaled(at.x[i], sigma, -inputs[i], scratch));
        let mut inner_y = each(|o| scratch.reals.zeros(y[o].len()));
        let Args { k, sizes, item, .. } = at;
        let inner = Args { x: slices(&z), k, sizes, item };
        let result = kernel(inner, inner_y.each_mut().map(|y| &mut y[..]), scratch);
        for ((y, inner), power) in y.into_iter().zip(&inner_y).zip(outputs) {
            let factor = raised(sigma, power);
            y.iter_mut().zip(inner).for_each(|(y, &inner)| *y = T::narrow(inner * factor));
        }
        z.into_iter().for_each(|buffer| scratch.reals.give(buffer));
        *kept = inner_y;
        result
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

/// What the operator promises at the scaled data, with the parameters at which it scales.
impl<P, const I: usize, const O: usize, const K: usize> Contract<I, O, K> for Standardized<P>
where
    P: Contract<I, O, K>,
{
    const SUMMARY: &'static str = P::SUMMARY;
    const PAPER: &'static str = P::PAPER;
    const COST: &'static str = P::COST;
    const ARGUMENTS: &'static [&'static str] = P::ARGUMENTS;

    fn cases() -> Vec<Self> {
        P::cases().into_iter().filter(|operator| operator.scaling().is_some()).map(Self).collect()
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
        let Scaling { inputs, outputs, .. } = self.0.scaling()?;
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

fn slices<T, const N: usize>(buffers: &[Vec<T>; N]) -> [&[T]; N] {
    buffers.each_ref().map(|buffer| &buffer[..])
}

/// The operator runs in double precision, whatever the arrays are.
fn check_inverse(operator: &str, softness: f64) -> Result<(), Error> {
    match (1.0 / softness).is_finite() {
        true => Ok(()),
        false => {
            let requirement = "finite in f64, and its inverse too";
            Err(Error::argument(operator, "softness", requirement, Value::Float(softness)))
        }
    }
}

/// `⟨a, b⟩` without what does not move with the scale: infinities stay what they are.
fn finite_inner<A: Real>(a: &[A], b: &[A]) -> A {
    a.iter().zip(b).filter(|(_, b)| b.is_finite()).map(|(&a, &b)| a * b).sum()
}
