//! A mask from the distributions of who comes first, second, and so on.

use supple_core::{Args, Dual, Error, Fault, Float, Gradient, Operator, Point, Real, Scaling, Scratch};

/// The sum of the `k` rows of `f`.
#[derive(Debug, Clone)]
pub struct Summed<P> {
    /// f, of signature `x(n) -> rows(k, n)`.
    pub rows: P,
    /// How many rows.
    pub k: usize,
}

/// What `f` saved, and its rows.
#[derive(Debug, Default)]
pub struct Saved<T, S> {
    rows: Vec<T>,
    inner: S,
}

impl<P: Operator> Summed<P> {
    fn sizes(&self, n: usize) -> [usize; 2] {
        [n, self.k]
    }
}

fn sum_rows<T: Real>(rows: &[T], y: &mut [T]) {
    for row in rows.chunks_exact(y.len().max(1)) {
        y.iter_mut().zip(row).for_each(|(y, &p)| *y += p);
    }
}

impl<P: Operator> Operator for Summed<P> {
    const NAME: &'static str = P::NAME;
    const SIGNATURE: &'static str = "x(n>=1) -> mask(n)";
    const GRADIENT: Gradient = P::GRADIENT;
    type Saved<T: Real> = Saved<T, P::Saved<T>>;

    fn validate(&self, sizes: &[usize]) -> Result<(), Error> {
        self.rows.validate(&self.sizes(sizes.first().copied().unwrap_or(0)))
    }

    fn work(&self, sizes: &[usize]) -> usize {
        self.rows.work(&self.sizes(sizes.first().copied().unwrap_or(0)))
    }

    fn scaling(&self) -> Option<Scaling> {
        self.rows.scaling()
    }

    fn forward<T: Real>(
        &self,
        at: Args<'_, T>,
        [y]: [&mut [T]; 1],
        saved: &mut Self::Saved<T>,
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        saved.rows = vec![T::zero(); self.k * y.len()];
        let sizes = self.sizes(y.len());
        self.rows.forward(Args { sizes: &sizes, ..at }, [&mut saved.rows], &mut saved.inner, scratch)?;
        sum_rows(&saved.rows, y);
        Ok(())
    }

    fn lift<F: Float>(
        &self,
        at: Args<'_, Dual<F>>,
        values: Point<'_, F, Self::Saved<F>>,
        [y]: [&mut [Dual<F>]; 1],
        saved: &mut Self::Saved<Dual<F>>,
        scratch: &mut Scratch<Dual<F>>,
    ) -> Result<(), Fault> {
        let (Saved { rows, inner }, sizes) = (values.saved, self.sizes(y.len()));
        saved.rows = vec![Dual::zero(); rows.len()];
        let values = Point { sizes: &sizes, y: [rows], ..values.with(inner) };
        let args = Args { sizes: &sizes, ..at };
        self.rows.lift(args, values, [&mut saved.rows], &mut saved.inner, scratch)?;
        sum_rows(&saved.rows, y);
        Ok(())
    }

    fn vjp<T: Real>(
        &self,
        at: Point<'_, T, Self::Saved<T>>,
        [dy]: [&[T]; 1],
        dx: [&mut [T]; 1],
        scratch: &mut Scratch<T>,
    ) {
        let Saved { rows, inner } = at.saved;
        let sizes = self.sizes(dy.len());
        let mut drows = scratch.reals.empty();
        (0..self.k).for_each(|_| drows.extend_from_slice(dy));
        let point = Point { x: at.x, k: [], sizes: &sizes, item: at.item, y: [rows], saved: inner };
        self.rows.vjp(point, [&drows], dx, scratch);
        scratch.reals.give(drows);
    }
}
