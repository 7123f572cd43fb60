//! The least by way of the largest.

use supple_core::{Args, Dual, Error, Fault, Float, Gradient, Operator, Point, Real, Scaling, Scratch};

/// `−f(−x)`.
#[derive(Debug, Clone)]
pub struct Negated<P>(pub P);

fn negative<T: Real>(values: &[T], scratch: &mut Scratch<T>) -> Vec<T> {
    let mut negative = scratch.reals.empty();
    negative.extend(values.iter().map(|&x| -x));
    negative
}

impl<P: Operator> Operator for Negated<P> {
    const NAME: &'static str = P::NAME;
    const SIGNATURE: &'static str = P::SIGNATURE;
    const GRADIENT: Gradient = P::GRADIENT;
    type Saved<T: Real> = P::Saved<T>;

    fn validate(&self, sizes: &[usize]) -> Result<(), Error> {
        self.0.validate(sizes)
    }

    fn work(&self, sizes: &[usize]) -> usize {
        self.0.work(sizes)
    }

    fn scaling(&self) -> Option<Scaling> {
        self.0.scaling()
    }

    fn forward<T: Real>(
        &self,
        at: Args<'_, T>,
        [y]: [&mut [T]; 1],
        saved: &mut Self::Saved<T>,
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let x = negative(at.x[0], scratch);
        let result = self.0.forward(Args { x: [&x], ..at }, [y], saved, scratch);
        y.iter_mut().for_each(|y| *y = -*y);
        scratch.reals.give(x);
        result
    }

    fn lift<F: Float>(
        &self,
        at: Args<'_, Dual<F>>,
        values: Point<'_, F, Self::Saved<F>>,
        [y]: [&mut [Dual<F>]; 1],
        saved: &mut Self::Saved<Dual<F>>,
        scratch: &mut Scratch<Dual<F>>,
    ) -> Result<(), Fault> {
        let x = negative(at.x[0], scratch);
        let [plain, found] = [values.x[0], values.y[0]].map(|v| negative(v, &mut Scratch::default()));
        let values = Point { x: [&plain], y: [&found], ..values };
        let result = self.0.lift(Args { x: [&x], ..at }, values, [y], saved, scratch);
        y.iter_mut().for_each(|y| *y = -*y);
        scratch.reals.give(x);
        result
    }

    fn vjp<T: Real>(
        &self,
        at: Point<'_, T, Self::Saved<T>>,
        [dy]: [&[T]; 1],
        dx: [&mut [T]; 1],
        scratch: &mut Scratch<T>,
    ) {
        // The two signs cancel in the gradient.
        let (x, y) = (negative(at.x[0], scratch), negative(at.y[0], scratch));
        self.0.vjp(Point { x: [&x], y: [&y], ..at }, [dy], dx, scratch);
        scratch.reals.give(x);
        scratch.reals.give(y);
    }

    fn hard<T: Float>(
        &self,
        at: Args<'_, T>,
        [y]: [&mut [T]; 1],
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let x = negative(at.x[0], scratch);
        let result = self.0.hard(Args { x: [&x], ..at }, [y], scratch);
        y.iter_mut().for_each(|y| *y = -*y);
        scratch.reals.give(x);
        result
    }
}
