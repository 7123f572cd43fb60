//! Values for whole batches.

use crate::engine::{Item, Pass, read};
use crate::error::{Error, Fault};
use crate::inputs::{Inputs, Mode, Options};
use crate::operator::{Args, Operator};
use crate::params::Value;
use crate::plan::{Plan, Slot};
use crate::real::{Float, Real};
use crate::scratch::{Kept, Scratch};
use crate::signature::Signature;
use ndarray::{Array, ArrayD, ArrayView, CowArray, Dimension, IxDyn, RemoveAxis};

/// `y = f(x)` for a batch; the first item without an answer is an error.
///
/// Any leading axes are batch and broadcast, as in NumPy. See [`Inputs`] for the axis, ragged batches and
/// the hard form.
///
/// ```
/// # use supple_core::{evaluate, Args, Error, Fault, Operator, Point, Real, Scratch};
/// struct Square;
/// impl Operator for Square {
///     const NAME: &'static str = "square";
///     const SIGNATURE: &'static str = "x(n) -> y(n)";
///     type Saved<T: Real> = ();
///     fn forward<T: Real>(
///         &self, at: Args<'_, T>, [y]: [&mut [T]; 1], _: &mut (), _: &mut Scratch<T>,
///     ) -> Result<(), Fault> {
///         y.iter_mut().zip(at.x[0]).for_each(|(y, &x)| *y = x * x);
///         Ok(())
///     }
///     fn vjp<T: Real>(
///         &self, at: Point<'_, T, ()>, [dy]: [&[T]; 1], [dx]: [&mut [T]; 1], _: &mut Scratch<T>,
///     ) {
///         for ((dx, &dy), &x) in dx.iter_mut().zip(dy).zip(at.x[0]) {
///             *dx = dy * (x + x);
///         }
///     }
/// }
/// let x = ndarray::array![[1.0, 2.0], [3.0, 4.0]].into_dyn();
/// let [y] = evaluate(&Square, [x.view()])?;
/// assert_eq!(y, ndarray::array![[1.0, 4.0], [9.0, 16.0]].into_dyn());
/// # Ok::<(), Error>(())
/// ```
pub fn evaluate<'a, T: Float, P: Operator<I, O, K>, const I: usize, const O: usize, const K: usize>(
    operator: &P,
    inputs: impl Into<Inputs<'a, T, I, K>>,
) -> Result<[ArrayD<T>; O], Error> {
    let (y, faults) = Prepared::new(operator, inputs.into())?.evaluate(operator)?;
    Error::first(P::NAME, &faults).map(|()| y)
}

/// `y = f(x)` for a batch, with one status for each item: an item without an answer is NaN and spoils no
/// other.
pub fn evaluate_each<'a, T: Float, P: Operator<I, O, K>, const I: usize, const O: usize, const K: usize>(
    operator: &P,
    inputs: impl Into<Inputs<'a, T, I, K>>,
) -> Result<([ArrayD<T>; O], Vec<Option<Fault>>), Error> {
    let prepared = Prepared::new(operator, inputs.into())?;
    let (y, faults) = prepared.evaluate(operator)?;
    let mut each = vec![None; prepared.plan.items];
    faults.into_iter().for_each(|(item, fault)| each[item] = Some(fault));
    Ok((y, each))
}

/// `y = f(x)` for an operator with one input and one output of the same shape, on arrays of any kind:
/// what the plain functions are made of.
pub fn map<'a, T: Float, P: Operator, D: Dimension>(
    operator: &P,
    x: impl Into<ArrayView<'a, T, D>>,
) -> Result<Array<T, D>, Error> {
    let [y] = evaluate(operator, [x.into().into_dyn()])?;
    y.into_dimensionality().map_err(|e| Error::unsupported(P::NAME, "an output of the input's rank", e))
}

/// [`map`] for an operator that takes the last axis away.
pub fn reduce<'a, T: Float, P: Operator, D: RemoveAxis>(
    operator: &P,
    x: impl Into<ArrayView<'a, T, D>>,
) -> Result<Array<T, D::Smaller>, Error> {
    let [y] = evaluate(operator, [x.into().into_dyn()])?;
    let mismatch = |e| Error::unsupported(P::NAME, "an output of the input's rank less one", e);
    y.into_dimensionality().map_err(mismatch)
}

/// A call whose shapes and parameters have been found right.
pub(crate) struct Prepared<'a, T, const I: usize, const K: usize> {
    pub plan: Plan,
    pub x: [CowArray<'a, T, IxDyn>; I],
    pub k: [CowArray<'a, i64, IxDyn>; K],
    pub mode: Mode,
    pub work: usize,
}

impl<'a, T: Float, const I: usize, const K: usize> Prepared<'a, T, I, K> {
    pub fn new<P: Operator<I, O, K>, const O: usize>(
        operator: &P,
        inputs: Inputs<'a, T, I, K>,
    ) -> Result<Self, Error> {
        let about = About {
            name: P::NAME,
            signature: P::SIGNATURE,
            outputs: O,
            validate: &|sizes| operator.validate(sizes),
            size: &|symbol| operator.size(symbol),
            work: &|sizes| operator.work(sizes),
            softness: operator.scaling().map(|scaling| scaling.softness),
        };
        Self::checked(about, inputs)
    }

    /// [`new`](Self::new), compiled once for all operators of the same arity.
    fn checked(about: About<'_>, inputs: Inputs<'a, T, I, K>) -> Result<Self, Error> {
        let Inputs { x, k, options } = inputs;
        let plan = plan(&about, x.each_ref().map(|x| x.shape()), k.each_ref().map(|k| k.shape()), &options)?;
        let x = plan.lay_all(x, &plan.x);
        let k = plan.lay_all(k, &plan.k);
        let work = (about.work)(plan.sizes());
        if let Some(given) = about.softness.filter(|_| options.mode != Mode::Hard) {
            let softness = T::of(given);
            if !(softness.is_finite() && (T::one() / softness).is_finite()) {
                let requirement = format!("finite in {}, and its inverse too", T::NAME);
                return Err(Error::argument(about.name, "softness", requirement, Value::Float(given)));
            }
        }
        Ok(Self { plan, x, k, mode: options.mode, work })
    }

    /// The values in the caller's layout, keeping nothing.
    pub fn evaluate<P: Operator<I, O, K>, const O: usize>(
        &self,
        operator: &P,
    ) -> Result<([ArrayD<T>; O], Vec<(usize, Fault)>), Error> {
        let (y, faults) = self.values(operator)?;
        Ok((restore(&self.plan, &self.plan.y, y), faults))
    }

    /// The values, keeping nothing.
    pub fn values<P: Operator<I, O, K>, const O: usize>(
        &self,
        operator: &P,
    ) -> Result<([Vec<T>; O], Vec<(usize, Fault)>), Error> {
        if self.mode == Mode::Soft {
            return Ok(
                self.forward(&|args, y, scratch| operator.forward(args, y, &mut Default::default(), scratch))
            );
        }
        self.hard(P::NAME, &|args, y, scratch| operator.hard(args, y, scratch))
    }

    /// Runs a kernel of discrete values over the batch.
    pub fn hard<const O: usize>(
        &self,
        name: &str,
        kernel: &Forward<'_, T, I, O, K>,
    ) -> Result<([Vec<T>; O], Vec<(usize, Fault)>), Error> {
        let (y, faults) = self.forward(kernel);
        if faults.iter().any(|(_, fault)| *fault == Fault::NoHardForm) {
            return Err(Error::unsupported(name, "the hard mode", "this operator has no hard form"));
        }
        Ok((y, faults))
    }

    /// Runs a forward kernel over the batch.
    pub fn forward<const O: usize>(
        &self,
        kernel: &Forward<'_, T, I, O, K>,
    ) -> ([Vec<T>; O], Vec<(usize, Fault)>) {
        let Self { plan, work, .. } = self;
        let (x, k) = (&slices(&self.x), &slices(&self.k));
        let mut y: [Vec<T>; O] = zeros(plan, &plan.y);
        let faults =
            Pass { plan, work: *work }.run((views_mut(&mut y), &plan.y), ([] as [&mut [T]; 0], &[]), &|| {
                let (mut scratch, mut x_rows, mut k_rows) = (Kept::new(), Rows::default(), Rows::default());
                Box::new(move |item| {
                    let Item { number, sizes, a: y, .. } = item;
                    let x = x_rows.read(plan, &plan.x, x, number, sizes);
                    let k = k_rows.read(plan, &plan.k, k, number, sizes);
                    kernel(Args { x, k, sizes, item: number }, y, &mut scratch)
                })
            });
        (y, faults)
    }
}

/// A forward kernel with its operator forgotten.
pub(crate) type Forward<'k, T, const I: usize, const O: usize, const K: usize> =
    dyn Fn(Args<'_, T, I, K>, [&mut [T]; O], &mut Scratch<T>) -> Result<(), Fault> + Sync + 'k;

/// What is asked of an operator before any work is done, with its type forgotten.
struct About<'a> {
    name: &'static str,
    signature: &'static str,
    outputs: usize,
    validate: &'a dyn Fn(&[usize]) -> Result<(), Error>,
    size: &'a dyn Fn(&str) -> Option<usize>,
    work: &'a dyn Fn(&[usize]) -> usize,
    softness: Option<f64>,
}

/// Buffers for the items of several arguments that do not lie in one piece.
pub(crate) struct Rows<T, const N: usize>([Vec<T>; N]);

impl<T, const N: usize> Default for Rows<T, N> {
    fn default() -> Self {
        Self(std::array::from_fn(|_| vec![]))
    }
}

impl<T: Copy, const N: usize> Rows<T, N> {
    /// One item of every argument.
    pub fn read<'m>(
        &'m mut self,
        plan: &Plan,
        slots: &[Slot],
        arrays: &[&'m [T]; N],
        item: usize,
        sizes: &[usize],
    ) -> [&'m [T]; N] {
        let places = std::array::from_fn(|i| slots[i].place(item, sizes, plan.sizes()));
        read(arrays, &places, &mut self.0)
    }
}

/// Binds shapes to the signature and asks the operator whether the parameters are right.
fn plan<const I: usize, const K: usize>(
    about: &About<'_>,
    x: [&[usize]; I],
    k: [&[usize]; K],
    options: &Options,
) -> Result<Plan, Error> {
    let &About { name, signature: text, outputs, validate, size, .. } = about;
    let signature = Signature::of(name, text)?;
    if (signature.inputs.len(), signature.outputs.len(), signature.indices.len()) != (I, outputs, K) {
        let requirement = format!("of {I} real inputs, {outputs} outputs and {K} integer inputs");
        return Err(Error::argument(name, "SIGNATURE", requirement, text));
    }
    let plan = Plan::new(name, signature, &x, &k, options, size, validate)?;
    if plan.is_ragged() {
        let mut sizes = vec![];
        for item in 0..plan.items {
            plan.sizes_of(item, &mut sizes);
            validate(&sizes)?;
        }
    }
    Ok(plan)
}

/// Vectors as slices. This and its like are functions and not closures, which would be compiled for every
/// operator that they stand in.
pub(crate) fn views<T, const N: usize>(arrays: &[Vec<T>; N]) -> [&[T]; N] {
    arrays.each_ref().map(|array| &array[..])
}

/// Vectors as slices to write to.
pub(crate) fn views_mut<T, const N: usize>(arrays: &mut [Vec<T>; N]) -> [&mut [T]; N] {
    arrays.each_mut().map(|array| &mut array[..])
}

/// Arrays in standard layout as slices.
pub(crate) fn slices<'m, T, const N: usize>(arrays: &'m [CowArray<'_, T, IxDyn>; N]) -> [&'m [T]; N] {
    arrays.each_ref().map(|array| array.as_slice().expect("laid out when prepared"))
}

/// Zeros for arguments that have one item for each of the batch.
pub(crate) fn zeros<T: Real, const N: usize>(plan: &Plan, slots: &[Slot]) -> [Vec<T>; N] {
    std::array::from_fn(|i| vec![T::zero(); plan.full_len(&slots[i])])
}

/// Arrays in the caller's layout, with the shapes of their slots.
pub(crate) fn restore<T, const N: usize>(plan: &Plan, slots: &[Slot], arrays: [Vec<T>; N]) -> [ArrayD<T>; N] {
    let mut slots = slots.iter();
    arrays.map(|array| {
        let slot = slots.next().expect("one slot for each array");
        let array = ArrayD::from_shape_vec(IxDyn(&slot.shape), array).expect("as many as its shape");
        plan.restore(array, slot.core_rank())
    })
}
