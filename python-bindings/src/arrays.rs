//! NumPy arrays as the engine's, without a copy where their memory allows.

use crate::catalogue::written;
use crate::error::raise;
use ndarray::{ArrayD, ArrayViewD};
use numpy::npyffi::NPY_ARRAY_ALIGNED;
use numpy::{
    Element, PyArray, PyArrayDyn, PyArrayMethods, PyReadonlyArrayDyn, PyUntypedArray, PyUntypedArrayMethods,
};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyTuple};
use supple_core::{AnyInputs, Error, Float, Mode, Options, Signature};

/// The most axes of an array that can be read.
const MAX_AXES: usize = 32;

/// The inputs of a call, all real ones of one dtype.
pub enum Given<'py> {
    /// All real inputs are `float32`.
    Single(Typed<'py, f32>),
    /// All real inputs are `float64`.
    Double(Typed<'py, f64>),
}

/// Real and integer inputs.
pub struct Typed<'py, T: Element> {
    x: Vec<PyReadonlyArrayDyn<'py, T>>,
    k: Vec<PyReadonlyArrayDyn<'py, i64>>,
}

impl<T: Element + Float> Typed<'_, T> {
    /// What the engine takes.
    pub fn inputs(&self, options: Options) -> AnyInputs<'_, T> {
        AnyInputs { x: views(&self.x), k: views(&self.k), options }
    }
}

/// Arrays as views.
pub fn views<'a, T: Element>(arrays: &'a [PyReadonlyArrayDyn<'_, T>]) -> Vec<ArrayViewD<'a, T>> {
    arrays.iter().map(|array| array.as_array()).collect()
}

/// The inputs in the order of the signature. What is not an array that the engine can read as it is, a list or
/// integers where real numbers are due, is converted by Python.
pub fn read<'py>(
    operator: &str,
    signature: &Signature,
    inputs: &Bound<'py, PyTuple>,
) -> PyResult<Given<'py>> {
    if inputs.len() != signature.order.len() {
        let requirement = format!("{} in number", signature.order.len());
        return Err(raise(Error::argument(operator, "inputs", requirement, inputs.len())));
    }
    if let Some(given) = as_they_are(signature, inputs) {
        return Ok(given);
    }
    static PROMOTE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = inputs.py();
    let (mut real, mut integer) = (signature.inputs.iter(), signature.indices.iter());
    let next = |&index: &bool| if index { integer.next() } else { real.next() };
    let names: Vec<&str> = signature.order.iter().filter_map(next).map(|a| a.name).collect();
    let arguments = (operator, PyTuple::new(py, names)?, PyTuple::new(py, &signature.order)?, inputs);
    let promoted = PROMOTE.import(py, "supple._arrays", "promote")?.call1(arguments)?;
    as_they_are(signature, promoted.cast::<PyTuple>()?)
        .ok_or_else(|| PyTypeError::new_err(format!("{operator}: these arrays cannot be read")))
}

fn as_they_are<'py>(signature: &Signature, inputs: &Bound<'py, PyTuple>) -> Option<Given<'py>> {
    let first = signature.order.iter().position(|index| !index);
    let single = first.is_some_and(|i| inputs.get_item(i).is_ok_and(|x| x.cast::<PyArrayDyn<f32>>().is_ok()));
    if single {
        Some(Given::Single(typed(signature, inputs)?))
    } else {
        Some(Given::Double(typed(signature, inputs)?))
    }
}

fn typed<'py, T: Element>(signature: &Signature, inputs: &Bound<'py, PyTuple>) -> Option<Typed<'py, T>> {
    let mut typed = Typed { x: vec![], k: vec![] };
    for (input, &index) in inputs.iter().zip(&signature.order) {
        if index { typed.k.push(readable(&input)?) } else { typed.x.push(readable(&input)?) }
    }
    Some(typed)
}

/// An array of the dtype, if that is what it is and its memory is aligned.
fn readable<'py, T: Element>(input: &Bound<'py, PyAny>) -> Option<PyReadonlyArrayDyn<'py, T>> {
    // Not a subclass, which may mean more than its memory.
    let array = input.cast_exact::<PyArrayDyn<T>>().ok()?;
    // SAFETY: a NumPy array has flags.
    let flags = unsafe { (*array.as_array_ptr()).fields.flags };
    (flags & NPY_ARRAY_ALIGNED != 0 && array.ndim() <= MAX_AXES).then(|| array.try_readonly().ok()).flatten()
}

/// A tuple of arrays of the dtype, for derivatives: what was computed before comes back.
pub fn same<'py, T: Element>(
    operator: &str,
    argument: &str,
    arrays: &Bound<'py, PyTuple>,
) -> PyResult<Vec<PyReadonlyArrayDyn<'py, T>>> {
    let each = arrays.iter().map(|array| readable(&array));
    each.collect::<Option<_>>().ok_or_else(|| {
        let requirement = format!("arrays of dtype {}, as in the forward pass", T::get_dtype(arrays.py()));
        let found = |array: Bound<'_, PyAny>| match array.cast::<PyUntypedArray>() {
            Ok(array) => format!("{} of shape {:?}", array.dtype(), array.shape()),
            Err(_) => array.get_type().to_string(),
        };
        let found: Vec<_> = arrays.iter().map(found).collect();
        raise(Error::argument(operator, argument, requirement, found.join(", ")))
    })
}

/// Arrays of the engine as a tuple of NumPy's, which own them.
pub fn tuple<T: Element>(py: Python<'_>, arrays: Vec<ArrayD<T>>) -> PyResult<Bound<'_, PyTuple>> {
    PyTuple::new(py, arrays.into_iter().map(|array| PyArray::from_owned_array(py, array)))
}

/// An output as the caller gets it: a number where there are no axes, as from NumPy's own functions.
pub fn plain<'py, T: Element>(array: ArrayD<T>, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
    let scalar = array.ndim() == 0;
    let array = PyArray::from_owned_array(py, array).into_any();
    if scalar { array.get_item(PyTuple::empty(py)) } else { Ok(array) }
}

/// The options of a call: `axis`, `mode` and `lengths`, a dict of sizes by symbol.
pub fn options(
    operator: &str,
    axis: Option<&Bound<'_, PyAny>>,
    mode: Option<&Bound<'_, PyAny>>,
    lengths: Option<&Bound<'_, PyAny>>,
) -> PyResult<Options> {
    let refuse = |argument: &str, requirement: &str, got: &Bound<'_, PyAny>| {
        raise(Error::argument(operator, argument, requirement, written(got)))
    };
    let axis = match axis {
        Some(axis) => axis.extract().map(Some).map_err(|_| refuse("axis", "a whole number", axis))?,
        None => None,
    };
    let mut options = Options { axis: axis.filter(|&axis: &isize| axis != -1), ..Options::default() };
    if let Some(mode) = mode {
        options.mode = match mode.extract::<String>().as_deref() {
            Ok("soft") => Mode::Soft,
            Ok("hard") => Mode::Hard,
            Ok("straight_through") => Mode::StraightThrough,
            _ => return Err(refuse("mode", "one of soft, hard, straight_through", mode)),
        };
    }
    let Some(lengths) = lengths else { return Ok(options) };
    static SIZES: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let sizes = SIZES.import(lengths.py(), "supple._arrays", "sizes")?.call1((operator, lengths))?;
    for (symbol, sizes) in sizes.cast::<PyDict>()? {
        let sizes = sizes.cast::<PyArrayDyn<i64>>()?.try_readonly()?;
        options.lengths.push((symbol.extract()?, sizes.as_array().mapv(|size| size as usize)));
    }
    Ok(options)
}
