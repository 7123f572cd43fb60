//! Derivatives of whole batches.

use crate::error::{Error, Fault};
use crate::inputs::Inputs;
use crate::operator::Operator;
use crate::pullback::State;
use crate::real::Float;
use ndarray::{ArrayD, ArrayViewD};

/// `y = f(x)` for a batch, kept ready for derivatives; the first item without an answer is an error.
///
/// ```
/// # use supple_core::{linearize, Args, Error, Fault, Operator, Point, Real, Scratch};
/// # struct Square;
/// # impl Operator for Square {
/// #     const NAME: &'static str = "square";
/// #     const SIGNATURE: &'static str = "x(n) -> y(n)";
/// #     type Saved<T: Real> = ();
/// #     fn forward<T: Real>(
/// #         &self, at: Args<'_, T>, [y]: [&mut [T]; 1], _: &mut (), _: &mut Scratch<T>,
/// #     ) -> Result<(), Fault> {
/// #         y.iter_mut().zip(at.x[0]).for_each(|(y, &x)| *y = x * x);
/// #         Ok(())
/// #     }
/// #     fn vjp<T: Real>(
/// #         &self, at: Point<'_, T, ()>, [dy]: [&[T]; 1], [dx]: [&mut [T]; 1], _: &mut Scratch<T>,
/// #     ) {
/// #         for ((dx, &dy), &x) in dx.iter_mut().zip(dy).zip(at.x[0]) {
/// #             *dx = dy * (x + x);
/// #         }
/// #     }
/// # }
/// let x = ndarray::array![1.0, 2.0, 3.0].into_dyn();
/// let ones = ndarray::array![1.0, 1.0, 1.0].into_dyn();
/// let square = linearize(&Square, [x.view()])?;
/// assert_eq!(square.vjp([ones.view()])?, [ndarray::array![2.0, 4.0, 6.0].into_dyn()]);
/// assert_eq!(square.jvp([x.view()])?, [ndarray::array![2.0, 8.0, 18.0].into_dyn()]);
/// let ([jv], [hv]) = square.vjp_derivative([ones.view()], [x.view()])?;
/// assert_eq!(jv, ndarray::array![2.0, 8.0, 18.0].into_dyn());
/// assert_eq!(hv, ndarray::array![2.0, 4.0, 6.0].into_dyn());
/// # Ok::<(), Error>(())
/// ```
pub fn linearize<'a, T: Float, P: Operator<I, O, K>, const I: usize, const O: usize, const K: usize>(
    operator: &'a P,
    inputs: impl Into<Inputs<'a, T, I, K>>,
) -> Result<Linearized<'a, T, P, I, O, K>, Error> {
    let linearized = linearize_each(operator, inputs)?;
    Error::first(P::NAME, linearized.faults()).map(|()| linearized)
}

/// As [`linearize`], with one status for each item: an item without an answer is NaN and its gradient is
/// zero.
pub fn linearize_each<'a, T: Float, P: Operator<I, O, K>, const I: usize, const O: usize, const K: usize>(
    operator: &'a P,
    inputs: impl Into<Inputs<'a, T, I, K>>,
) -> Result<Linearized<'a, T, P, I, O, K>, Error> {
    let inputs = inputs.into();
    let x = inputs.x.clone();
    let (y, state) = State::new(operator, inputs)?;
    Ok(Linearized { state, x, y })
}

/// A batch at which derivatives can be taken any number of times.
pub struct Linearized<'a, T: Float, P: Operator<I, O, K>, const I: usize, const O: usize, const K: usize> {
    state: State<T, &'a P, P, I, O, K>,
    x: [ArrayViewD<'a, T>; I],
    y: [ArrayD<T>; O],
}

impl<T: Float, P: Operator<I, O, K>, const I: usize, const O: usize, const K: usize>
    Linearized<'_, T, P, I, O, K>
{
    /// The outputs.
    pub fn outputs(&self) -> &[ArrayD<T>; O] {
        &self.y
    }

    /// The items that have no answer, in order.
    pub fn faults(&self) -> &[(usize, Fault)] {
        self.state.faults()
    }

    /// `Jᵀ dy`.
    pub fn vjp(&self, dy: [ArrayViewD<'_, T>; O]) -> Result<[ArrayD<T>; I], Error> {
        self.state.vjp(self.x.clone(), self.y(), dy)
    }

    /// `J v`.
    pub fn jvp(&self, v: [ArrayViewD<'_, T>; I]) -> Result<[ArrayD<T>; O], Error> {
        self.state.jvp(self.x.clone(), self.y(), v)
    }

    /// The derivative of [`vjp`](Self::vjp) along `v`: `(J v, d/dε J(x + ε v)ᵀ dy)`. The first is the
    /// cotangent of `dy`, the second that of `x`, when a gradient is differentiated again.
    pub fn vjp_derivative(
        &self,
        dy: [ArrayViewD<'_, T>; O],
        v: [ArrayViewD<'_, T>; I],
    ) -> Result<([ArrayD<T>; O], [ArrayD<T>; I]), Error> {
        self.state.vjp_derivative(self.x.clone(), self.y(), dy, v)
    }

    /// `⟨dy, ∂y/∂softness⟩`, where the operator [scales](Operator::scaling).
    pub fn softness_gradient(&self, dy: [ArrayViewD<'_, T>; O]) -> Result<f64, Error> {
        self.state.softness_gradient(self.x.clone(), self.y(), dy)
    }

    fn y(&self) -> [ArrayViewD<'_, T>; O] {
        self.y.each_ref().map(|y| y.view())
    }
}
