//! Inputs to check an operator at.

use crate::Outcome;
use ndarray::{ArrayD, ArrayViewD, IxDyn};
use supple_core::{AnyContract, AnyInputs, Argument, Float, Options, Signature, Stream};

/// A batch of inputs that the operator is defined for.
#[derive(Clone)]
pub(crate) struct Problem<T> {
    pub signature: &'static Signature,
    pub x: Vec<ArrayD<T>>,
    pub k: Vec<ArrayD<i64>>,
    pub options: Options,
}

impl<T: Float> Problem<T> {
    /// As many samples of the operator's own as the batch has items.
    pub fn sample(
        operator: &dyn AnyContract,
        sizes: &[usize],
        batch: &[usize],
        random: &mut Stream,
    ) -> Result<Self, String> {
        let signature = operator.signature().map_err(|e| e.to_string())?;
        let items: usize = batch.iter().product();
        let samples: Vec<_> = (0..items).map(|_| operator.sample(sizes, random)).collect();
        let x = signature.inputs.iter().enumerate().map(|(i, argument)| {
            let values = samples.iter().flat_map(|(x, _)| x[i].iter().map(|&x| T::of(x)));
            stack(argument, sizes, batch, values)
        });
        let x = x.collect::<Result<_, _>>()?;
        let k = signature.indices.iter().enumerate().map(|(i, argument)| {
            stack(argument, sizes, batch, samples.iter().flat_map(|(_, k)| k[i].iter().copied()))
        });
        Ok(Self { signature, x, k: k.collect::<Result<_, _>>()?, options: Options::default() })
    }

    /// A direction for every item.
    pub fn direction(&self, operator: &dyn AnyContract, random: &mut Stream) -> Vec<ArrayD<T>> {
        let items = self.items();
        let mut parts: Vec<Vec<T>> = vec![vec![]; self.x.len()];
        for item in 0..items {
            let part = |x: &ArrayD<T>| {
                let len = x.len() / items;
                x.iter().skip(item * len).take(len).map(|x| x.to_f64()).collect::<Vec<f64>>()
            };
            let x: Vec<Vec<f64>> = self.x.iter().map(part).collect();
            for (part, v) in parts.iter_mut().zip(operator.direction(&x, random)) {
                part.extend(v.into_iter().map(T::of));
            }
        }
        let shaped = parts.into_iter().zip(&self.x);
        shaped
            .map(|(part, x)| ArrayD::from_shape_vec(x.raw_dim(), part).expect("one for each entry"))
            .collect()
    }

    /// Items of the batch.
    pub fn items(&self) -> usize {
        match (self.x.first(), self.signature.inputs.first()) {
            (Some(x), Some(argument)) => x.shape()[..x.ndim() - argument.core.len()].iter().product(),
            _ => 1,
        }
    }

    /// The inputs moved by `step` along `v`.
    pub fn moved(&self, step: f64, v: &[ArrayD<T>]) -> Self {
        let x = self.x.iter().zip(v).map(|(x, v)| x + &v.mapv(|v| v * T::of(step))).collect();
        Self { x, ..self.clone() }
    }

    /// In another precision.
    pub fn cast<U: Float>(&self) -> Problem<U> {
        let Self { signature, x, k, options } = self.clone();
        Problem { signature, x: cast(&x), k, options }
    }

    pub fn inputs(&self) -> AnyInputs<'_, T> {
        AnyInputs {
            x: self.x.iter().map(|x| x.view()).collect(),
            k: self.k.iter().map(|k| k.view()).collect(),
            options: self.options.clone(),
        }
    }
}

/// The shape of an argument.
pub(crate) fn shape(argument: &Argument, sizes: &[usize], batch: &[usize]) -> Vec<usize> {
    batch.iter().copied().chain(argument.core.iter().map(|&s| sizes[s])).collect()
}

fn stack<E>(
    argument: &Argument,
    sizes: &[usize],
    batch: &[usize],
    values: impl Iterator<Item = E>,
) -> Result<ArrayD<E>, String> {
    let shape = shape(argument, sizes, batch);
    ArrayD::from_shape_vec(IxDyn(&shape), values.collect())
        .map_err(|e| format!("the sample of `{}` does not fill shape {shape:?}: {e}", argument.name))
}

/// Arrays in another precision.
pub(crate) fn cast<T: Float, U: Float>(arrays: &[ArrayD<T>]) -> Vec<ArrayD<U>> {
    arrays.iter().map(|a| a.mapv(|a| U::of(a.to_f64()))).collect()
}

pub(crate) fn views<T>(arrays: &[ArrayD<T>]) -> Vec<ArrayViewD<'_, T>> {
    arrays.iter().map(|a| a.view()).collect()
}

/// Standard normal arrays of the shapes of others.
pub(crate) fn normals_like<T: Float>(arrays: &[ArrayD<T>], random: &mut Stream) -> Vec<ArrayD<T>> {
    arrays.iter().map(|a| a.mapv(|_| T::of(random.normal()))).collect()
}

/// `⟨a, b⟩` and the sum of the absolute terms.
pub(crate) fn inner<T: Float>(a: &[ArrayD<T>], b: &[ArrayD<T>]) -> (f64, f64) {
    let terms = || a.iter().zip(b).flat_map(|(a, b)| a.iter().zip(b).map(|(a, b)| a.to_f64() * b.to_f64()));
    (terms().sum(), terms().map(f64::abs).sum())
}

/// Largest finite absolute value.
pub(crate) fn largest<T: Float>(arrays: &[ArrayD<T>]) -> f64 {
    let sizes = arrays.iter().flatten().map(|a| a.to_f64().abs());
    sizes.filter(|size| size.is_finite()).fold(0.0, f64::max)
}

/// Compares arrays entry by entry, relative to the largest entry and to one.
pub(crate) fn close<T: Float, U: Float>(
    what: &str,
    got: &[ArrayD<T>],
    expected: &[ArrayD<U>],
    tolerance: f64,
) -> Outcome {
    let scale = 1.0 + largest(got).min(largest(expected));
    close_scaled(what, got, expected, tolerance * scale)
}

/// Compares arrays entry by entry; the bound is absolute.
pub(crate) fn close_scaled<T: Float, U: Float>(
    what: &str,
    got: &[ArrayD<T>],
    expected: &[ArrayD<U>],
    bound: f64,
) -> Outcome {
    if got.len() != expected.len() {
        return Err(format!("{what}: {} arrays for {}", got.len(), expected.len()));
    }
    for (o, (got, expected)) in got.iter().zip(expected).enumerate() {
        if got.shape() != expected.shape() {
            return Err(format!("{what} {o}: shape {:?} for {:?}", got.shape(), expected.shape()));
        }
        for ((place, g), e) in got.indexed_iter().zip(expected) {
            let (g, e) = (g.to_f64(), e.to_f64());
            // Written so that NaN fails, unless both are NaN or the same infinity.
            let same = g == e || g.is_nan() && e.is_nan() || (g - e).abs() <= bound;
            if !same {
                return Err(format!("{what} {o} at {place:?}: {g:e} for {e:e}, bound {bound:e}"));
            }
        }
    }
    Ok(())
}

/// Compares arrays without tolerance; all NaN are alike, and so are both zeros.
pub(crate) fn identical<T: Float>(what: &str, got: &[ArrayD<T>], expected: &[ArrayD<T>]) -> Outcome {
    close_scaled(what, got, expected, 0.0)
}
