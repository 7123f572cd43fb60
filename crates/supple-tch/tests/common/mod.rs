//! Small operators with known derivatives.
#![allow(dead_code)]

use std::any::type_name;
use std::sync::atomic::{AtomicIsize, Ordering};
use supple_core::{Args, Fault, Float, Gradient, Operator, Point, Real, Scratch};
use tch::Tensor;

/// `y = s x²` with `s = Σ x`: every second derivative is non-zero.
#[derive(Clone)]
pub struct Mix;

impl Operator for Mix {
    const NAME: &'static str = "mix";
    const SIGNATURE: &'static str = "x(n) -> y(n)";
    type Saved<T: Real> = ();

    fn forward<T: Real>(
        &self,
        at: Args<'_, T>,
        [y]: [&mut [T]; 1],
        _: &mut (),
        _: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let s = T::sum_wide(at.x[0].iter().copied());
        y.iter_mut().zip(at.x[0]).for_each(|(y, &x)| *y = s * x * x);
        Ok(())
    }

    fn vjp<T: Real>(&self, at: Point<'_, T, ()>, [dy]: [&[T]; 1], [dx]: [&mut [T]; 1], _: &mut Scratch<T>) {
        let [x] = at.x;
        let s = T::sum_wide(x.iter().copied());
        let common = T::sum_wide(x.iter().zip(dy).map(|(&x, &dy)| dy * x * x));
        for ((dx, &x), &dy) in dx.iter_mut().zip(x).zip(dy) {
            *dx = (x + x) * s * dy + common;
        }
    }

    /// The sign.
    fn hard<T: Float>(&self, at: Args<'_, T>, [y]: [&mut [T]; 1], _: &mut Scratch<T>) -> Result<(), Fault> {
        y.iter_mut().zip(at.x[0]).for_each(|(y, &x)| *y = if x < T::zero() { -T::one() } else { T::one() });
        Ok(())
    }
}

/// What [`Mix`] computes, by LibTorch's own operators.
pub fn mix(x: &Tensor, dim: i64) -> Tensor {
    x.sum_dim_intlist(dim, true, None) * x.square()
}

/// `product = a[pick] b` and `scaled = a b`: two real inputs with an integer one between them, two outputs.
#[derive(Clone)]
pub struct Pick;

impl Operator<2, 2, 1> for Pick {
    const NAME: &'static str = "pick";
    const SIGNATURE: &'static str = "a(n), pick: index(), b() -> product(), scaled(n)";
    type Saved<T: Real> = ();

    fn forward<T: Real>(
        &self,
        Args { x: [a, b], k: [pick], .. }: Args<'_, T, 2, 1>,
        [product, scaled]: [&mut [T]; 2],
        _: &mut (),
        _: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        Fault::check_indices("pick", pick, a.len())?;
        product[0] = a[pick[0] as usize] * b[0];
        scaled.iter_mut().zip(a).for_each(|(y, &a)| *y = a * b[0]);
        Ok(())
    }

    fn vjp<T: Real>(
        &self,
        at: Point<'_, T, (), 2, 2, 1>,
        [product, scaled]: [&[T]; 2],
        [da, db]: [&mut [T]; 2],
        _: &mut Scratch<T>,
    ) {
        let ([a, b], pick) = (at.x, at.k[0][0] as usize);
        da.iter_mut().zip(scaled).for_each(|(da, &dy)| *da = dy * b[0]);
        da[pick] += product[0] * b[0];
        db[0] = product[0] * a[pick] + T::sum_wide(a.iter().zip(scaled).map(|(&a, &dy)| a * dy));
    }
}

/// The sign, with the gradient of the identity.
#[derive(Clone)]
pub struct Sign;

impl Operator for Sign {
    const NAME: &'static str = "sign";
    const SIGNATURE: &'static str = "x(...) -> y(...)";
    const GRADIENT: Gradient = Gradient::Surrogate;
    type Saved<T: Real> = ();

    fn forward<T: Real>(
        &self,
        at: Args<'_, T>,
        [y]: [&mut [T]; 1],
        _: &mut (),
        _: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        y.iter_mut().zip(at.x[0]).for_each(|(y, &x)| *y = if x < T::zero() { -T::one() } else { T::one() });
        Ok(())
    }

    fn vjp<T: Real>(&self, _: Point<'_, T, ()>, [dy]: [&[T]; 1], [dx]: [&mut [T]; 1], _: &mut Scratch<T>) {
        dx.copy_from_slice(dy);
    }
}

/// The identity, which fails where it is told to.
#[derive(Clone)]
pub struct Trouble {
    /// A panic in `vjp`.
    pub vjp: bool,
    /// A fault at duals.
    pub duals: bool,
    /// A panic when what was saved is dropped.
    pub drop: bool,
}

#[derive(Default)]
pub struct Bomb(bool);

impl Drop for Bomb {
    fn drop(&mut self) {
        if self.0 {
            panic!("the bomb went off");
        }
    }
}

impl Operator for Trouble {
    const NAME: &'static str = "trouble";
    const SIGNATURE: &'static str = "x(n) -> y(n)";
    type Saved<T: Real> = Bomb;

    fn forward<T: Real>(
        &self,
        at: Args<'_, T>,
        [y]: [&mut [T]; 1],
        saved: &mut Bomb,
        _: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        if self.duals && type_name::<T>().contains("Dual") {
            return Err(Fault::NotConverged { iterations: 7, residual: 0.5 });
        }
        saved.0 = self.drop;
        y.copy_from_slice(at.x[0]);
        Ok(())
    }

    fn vjp<T: Real>(&self, _: Point<'_, T, Bomb>, [dy]: [&[T]; 1], [dx]: [&mut [T]; 1], _: &mut Scratch<T>) {
        assert!(!self.vjp, "vjp was told to fail");
        dx.copy_from_slice(dy);
    }
}

/// The identity, which counts what it has saved and not yet dropped.
#[derive(Clone)]
pub struct Counted(pub &'static AtomicIsize);

#[derive(Default)]
pub struct Token(Option<&'static AtomicIsize>);

impl Drop for Token {
    fn drop(&mut self) {
        if let Some(count) = self.0 {
            count.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

impl Operator for Counted {
    const NAME: &'static str = "counted";
    const SIGNATURE: &'static str = "x(n) -> y(n)";
    type Saved<T: Real> = Token;

    fn forward<T: Real>(
        &self,
        at: Args<'_, T>,
        [y]: [&mut [T]; 1],
        saved: &mut Token,
        _: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        self.0.fetch_add(1, Ordering::SeqCst);
        saved.0 = Some(self.0);
        y.copy_from_slice(at.x[0]);
        Ok(())
    }

    fn vjp<T: Real>(&self, _: Point<'_, T, Token>, [dy]: [&[T]; 1], [dx]: [&mut [T]; 1], _: &mut Scratch<T>) {
        dx.copy_from_slice(dy);
    }
}

/// Fails where two tensors differ in shape or kind, or by more than this relative to their size.
#[track_caller]
pub fn assert_close(a: &Tensor, b: &Tensor, tolerance: f64) {
    assert_eq!((a.size(), a.kind()), (b.size(), b.kind()));
    if a.numel() > 0 {
        let scale = b.abs().max().double_value(&[]).max(1.0);
        let error = (a - b).abs().max().double_value(&[]);
        assert!(error <= tolerance * scale, "differ by {error:e}");
    }
}

/// The gradient of one tensor, with the graph kept.
#[track_caller]
pub fn gradient(y: &Tensor, x: &Tensor) -> Tensor {
    Tensor::run_backward(&[y], &[x], true, true).remove(0)
}

/// A fixed tensor of doubles, spread over (−1, 1).
pub fn values(shape: &[i64]) -> Tensor {
    let count: i64 = shape.iter().product();
    (Tensor::arange(count, (tch::Kind::Double, tch::Device::Cpu)) * 1.7 + 0.3).sin().view(shape)
}

/// The same, requiring a gradient.
pub fn leaf(shape: &[i64]) -> Tensor {
    values(shape).set_requires_grad(true)
}
