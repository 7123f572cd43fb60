//! The border to C++: tensors as arrays, arrays as tensors, and pullbacks as autograd nodes.
//!
//! All unsafe code of the crate is here and speaks with `src/node.cpp`.

use crate::error::Error;
use ndarray::{ArrayD, ArrayViewD, Dimension, IxDyn, ShapeBuilder};
use std::any::Any;
use std::ffi::{CStr, CString, c_char, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::{NonNull, null_mut};
use std::slice;
use supple_core::{Float, Pullback};
use tch::{TchError, Tensor};

/// The dtypes that operators compute in.
pub trait Element: Float {
    /// LibTorch's number for it.
    const KIND: i8;
}

impl Element for f32 {
    const KIND: i8 = 6;
}

impl Element for f64 {
    const KIND: i8 = 7;
}

/// An array that somebody else owns.
#[repr(C)]
struct View {
    data: *const c_void,
    shape: *const i64,
    strides: *const i64,
    rank: usize,
}

/// An array that Rust gives away.
#[repr(C)]
struct Array {
    data: *mut c_void,
    shape: *const i64,
    strides: *const i64,
    rank: usize,
    owner: *mut c_void,
    release: unsafe extern "C" fn(*mut c_void),
}

/// A boxed pullback and its methods.
#[repr(C)]
struct Callbacks {
    pullback: *mut c_void,
    vjp: unsafe extern "C" fn(
        *const c_void,
        *const View,
        *const View,
        *const View,
        *mut Array,
        *mut c_void,
    ) -> bool,
    vjp_derivative: unsafe extern "C" fn(
        *const c_void,
        *const View,
        *const View,
        *const View,
        *const View,
        *mut Array,
        *mut Array,
        *mut c_void,
    ) -> bool,
    drop: unsafe extern "C" fn(*mut c_void),
    kind: i8,
}

unsafe extern "C" {
    fn supple_tch_needs_grad(tensors: *const *const c_void, count: usize) -> bool;
    fn supple_tch_read(tensor: *const c_void, keeper: *mut *mut c_void, view: *mut View) -> *const c_char;
    fn supple_tch_adopt(array: *const Array, kind: i8, tensor: *mut *mut c_void) -> *const c_char;
    fn supple_tch_record(
        x: *const *const c_void,
        inputs: usize,
        y: *const *const c_void,
        outputs: usize,
        callbacks: *const Callbacks,
        name: *const c_char,
        refusal: *const c_char,
    ) -> *const c_char;
    fn supple_tch_say(message: *mut c_void, text: *const c_char, length: usize);
}

/// The text that C++ returned, as an error.
///
/// # Safety
/// `message` is null or a C string that lives until the thread calls C++ again.
unsafe fn check(message: *const c_char) -> Result<(), Error> {
    if message.is_null() {
        return Ok(());
    }
    // SAFETY: not null, so the caller promises a C string.
    let text = unsafe { CStr::from_ptr(message) };
    Err(TchError::Torch(text.to_string_lossy().into_owned()).into())
}

fn pointers(tensors: &[Tensor]) -> Vec<*const c_void> {
    tensors.iter().map(|tensor| tensor.as_ptr().cast()).collect()
}

/// Whether a call on these tensors belongs in the graph: one of them requires a gradient, and gradients
/// are not turned off.
pub fn needs_grad(tensors: &[Tensor]) -> bool {
    let tensors = pointers(tensors);
    // SAFETY: as many pointers as said, each to a tensor that outlives the call.
    unsafe { supple_tch_needs_grad(tensors.as_ptr(), tensors.len()) }
}

/// A tensor on the host, open for reading.
pub struct Open {
    _keeper: Tensor,
    view: View,
}

impl Open {
    /// Opens a tensor without a copy where its elements lie dense in memory.
    pub fn new(tensor: &Tensor) -> Result<Self, Error> {
        let mut keeper = null_mut();
        let mut view = View { data: null_mut(), shape: null_mut(), strides: null_mut(), rank: 0 };
        // SAFETY: the tensor outlives the call; the others are written before it returns null.
        unsafe { check(supple_tch_read(tensor.as_ptr().cast(), &mut keeper, &mut view))? };
        // SAFETY: C++ made this tensor with `new` and gives it away.
        Ok(Self { _keeper: unsafe { Tensor::from_ptr(keeper.cast()) }, view })
    }

    /// The elements.
    ///
    /// # Safety
    /// The tensor is on the host and its elements are of type `T`.
    pub unsafe fn array<T>(&self) -> ArrayViewD<'_, T> {
        // SAFETY: the keeper holds the memory as long as `self` lives; the caller answers for `T`.
        unsafe { self.view.array() }
    }
}

impl View {
    /// The elements.
    ///
    /// # Safety
    /// Describes memory of `T`s that lives and is not written for `'a`. As everywhere in LibTorch, that
    /// nobody writes to a tensor in another thread is up to the program.
    unsafe fn array<'a, T>(&self) -> ArrayViewD<'a, T> {
        let data = if self.data.is_null() { NonNull::dangling().as_ptr() } else { self.data.cast::<T>() };
        if self.rank == 0 {
            // SAFETY: one element.
            return unsafe { ArrayViewD::from_shape_ptr(IxDyn(&[]), data) };
        }
        // SAFETY: `rank` sizes and as many strides.
        let (shape, strides) = unsafe {
            (slice::from_raw_parts(self.shape, self.rank), slice::from_raw_parts(self.strides, self.rank))
        };
        let axes = |sizes: &[i64]| {
            let mut axes = IxDyn::zeros(sizes.len());
            axes.slice_mut().iter_mut().zip(sizes).for_each(|(axis, &size)| *axis = size as usize);
            axes
        };
        // SAFETY: LibTorch's sizes and strides are not negative and stay within the memory.
        unsafe { ArrayViewD::from_shape_ptr(axes(shape).strides(axes(strides)), data) }
    }
}

/// What an [`Array`] frees when its tensor dies.
struct Owner<T> {
    array: ArrayD<T>,
    axes: Vec<i64>,
}

unsafe extern "C" fn release<T>(owner: *mut c_void) {
    // SAFETY: `give_away` made it from a box, and C++ calls this once.
    drop(unsafe { Box::from_raw(owner.cast::<Owner<T>>()) });
}

fn give_away<T: Element>(array: ArrayD<T>) -> Array {
    let sizes = array.shape().iter().map(|&size| size as i64);
    let axes = sizes.chain(array.strides().iter().map(|&stride| stride as i64)).collect();
    let rank = array.ndim();
    let owner = Box::leak(Box::new(Owner { array, axes }));
    let data = owner.array.as_mut_ptr().cast();
    let (shape, strides) = (owner.axes.as_ptr(), owner.axes[rank..].as_ptr());
    Array { data, shape, strides, rank, owner: (&raw mut *owner).cast(), release: release::<T> }
}

/// Turns an array into a tensor without a copy.
pub fn tensor<T: Element>(array: ArrayD<T>) -> Result<Tensor, Error> {
    let array = give_away(array);
    let mut tensor = null_mut();
    // SAFETY: the array is whole and given away here; C++ writes a new tensor before it returns null.
    unsafe {
        check(supple_tch_adopt(&array, T::KIND, &mut tensor))?;
        Ok(Tensor::from_ptr(tensor.cast()))
    }
}

/// A pullback in the hands of C++.
struct Context<T: Float> {
    name: &'static str,
    pullback: Box<dyn Pullback<T>>,
    inputs: usize,
    outputs: usize,
}

/// Makes `y` the differentiable function of `x` whose derivatives the pullback knows. `refusal` says why
/// there are no second ones; empty where there are.
pub fn record<T: Element>(
    name: &'static str,
    refusal: &str,
    x: &[Tensor],
    y: &[Tensor],
    pullback: Box<dyn Pullback<T>>,
) -> Result<(), Error> {
    let context = Box::new(Context { name, pullback, inputs: x.len(), outputs: y.len() });
    let text = |text: &str| CString::new(text).unwrap_or_default();
    let (name, refusal) = (text(name), text(refusal));
    let (x, y) = (pointers(x), pointers(y));
    let callbacks = Callbacks {
        pullback: Box::into_raw(context).cast(),
        vjp: vjp::<T>,
        vjp_derivative: vjp_derivative::<T>,
        drop: drop_context::<T>,
        kind: T::KIND,
    };
    // SAFETY: as many tensors and texts as said, all alive during the call. C++ takes the context, calls
    // its methods with `inputs` and `outputs` arrays of `T`, from any thread, and drops it once.
    unsafe {
        check(supple_tch_record(
            x.as_ptr(),
            x.len(),
            y.as_ptr(),
            y.len(),
            &callbacks,
            name.as_ptr(),
            refusal.as_ptr(),
        ))
    }
}

unsafe extern "C" fn vjp<T: Element>(
    context: *const c_void,
    x: *const View,
    y: *const View,
    dy: *const View,
    dx: *mut Array,
    message: *mut c_void,
) -> bool {
    // SAFETY: see `record`.
    unsafe {
        let context = &*context.cast::<Context<T>>();
        let (i, o) = (context.inputs, context.outputs);
        let gradients = || context.pullback.vjp(&arrays(x, i), &arrays(y, o), &arrays(dy, o));
        context.answer(message, gradients, |gradients| write(gradients, dx))
    }
}

unsafe extern "C" fn vjp_derivative<T: Element>(
    context: *const c_void,
    x: *const View,
    y: *const View,
    dy: *const View,
    v: *const View,
    jv: *mut Array,
    hv: *mut Array,
    message: *mut c_void,
) -> bool {
    // SAFETY: see `record`.
    unsafe {
        let context = &*context.cast::<Context<T>>();
        let (i, o) = (context.inputs, context.outputs);
        let gradients = || {
            let (x, y, dy, v) = (arrays(x, i), arrays(y, o), arrays(dy, o), arrays(v, i));
            context.pullback.vjp_derivative(&x, &y, &dy, &v)
        };
        context.answer(message, gradients, |(to_dy, to_x)| {
            write(to_dy, jv);
            write(to_x, hv);
        })
    }
}

unsafe extern "C" fn drop_context<T: Element>(context: *mut c_void) {
    // SAFETY: `record` made it from a box, and C++ calls this once.
    let context = unsafe { Box::from_raw(context.cast::<Context<T>>()) };
    // A panic must not enter C++, and nobody is left to hear of it.
    let _ = catch_unwind(AssertUnwindSafe(|| drop(context)));
}

/// # Safety
/// `count` views of `T`s that live and are not written for `'a`.
unsafe fn arrays<'a, T>(views: *const View, count: usize) -> Vec<ArrayViewD<'a, T>> {
    // SAFETY: the caller's promise.
    unsafe { slice::from_raw_parts(views, count).iter().map(|view| view.array()).collect() }
}

/// # Safety
/// `out` has room for as many.
unsafe fn write<T: Element>(arrays: Vec<ArrayD<T>>, out: *mut Array) {
    for (i, array) in arrays.into_iter().enumerate() {
        // SAFETY: the caller's promise.
        unsafe { out.add(i).write(give_away(array)) };
    }
}

impl<T: Float> Context<T> {
    /// Hands the answer on, or writes why there is none; keeps panics on this side.
    ///
    /// # Safety
    /// `message` is the string that C++ passed.
    unsafe fn answer<A>(
        &self,
        message: *mut c_void,
        question: impl FnOnce() -> Result<A, supple_core::Error>,
        on: impl FnOnce(A),
    ) -> bool {
        let text = match catch_unwind(AssertUnwindSafe(|| question().map(on))) {
            Ok(Ok(())) => return true,
            Ok(Err(error)) => error.to_string(),
            Err(panic) => format!("{}: panicked: {}", self.name, said(&*panic)),
        };
        // SAFETY: the caller's promise, and `length` bytes.
        unsafe { supple_tch_say(message, text.as_ptr().cast(), text.len()) };
        false
    }
}

/// What a panic said.
fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or(panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}
