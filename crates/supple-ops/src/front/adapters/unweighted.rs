//! A quantile whose weights are all the same.

use supple_core::{Args, Error, Fault, Float, Gradient, Operator, Point, Real, Scaling, Scratch};

/// `f(x, weights, q)` at equal weights.
#[derive(Debug, Clone)]
pub struct Unweighted<P>(pub P);

fn equal<T: Real>(n: usize, scratch: &mut Scratch<T>) -> Vec<T> {
    let mut weights = scratch.reals.empty();
    weights.resize(n, T::of(1.0 / n as f64));
    weights
}

impl<P: Operator<3>> Operator<2> for Unweighted<P> {
    const NAME: &'static str = P::NAME;
    const SIGNATURE: &'static str = "x(n>=1), q() -> quantile()";
    const GRADIENT: Gradient = P::GRADIENT;
    type Saved<T: Real> = P::Saved<T>;

    fn validate(&self, sizes: &[usize]) -> Result<(), Error> {
        self.0.validate(sizes)
    }

    fn work(&self, sizes: &[usize]) -> usize {
        self.0.work(sizes)
    }

    fn scaling(&self) -> Option<Scaling<2>> {
        let Scaling { softness, power, inputs: [x, _, q], outputs } = self.0.scaling()?;
        Some(Scaling { softness, power, inputs: [x, q], outputs })
    }

    fn forward<T: Real>(
        &self,
        at: Args<'_, T, 2>,
        y: [&mut [T]; 1],
        saved: &mut Self::Saved<T>,
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let ([x, q], weights) = (at.x, equal(at.x[0].len(), scratch));
        let args = Args { x: [x, &weights, q], k: [], sizes: at.sizes, item: at.item };
        let result = self.0.forward(args, y, saved, scratch);
        scratch.reals.give(weights);
        result
    }

    fn vjp<T: Real>(
        &self,
        at: Point<'_, T, Self::Saved<T>, 2>,
        dy: [&[T]; 1],
        [dx, dq]: [&mut [T]; 2],
        scratch: &mut Scratch<T>,
    ) {
        let Point { x: [x, q], sizes, item, y, saved, .. } = at;
        let weights = equal(x.len(), scratch);
        let mut unused = scratch.reals.zeros(x.len());
        let point = Point { x: [x, &weights, q], k: [], sizes, item, y, saved };
        self.0.vjp(point, dy, [dx, &mut unused, dq], scratch);
        scratch.reals.give(unused);
        scratch.reals.give(weights);
    }

    fn hard<T: Float>(
        &self,
        at: Args<'_, T, 2>,
        y: [&mut [T]; 1],
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let ([x, q], weights) = (at.x, equal(at.x[0].len(), scratch));
        let args = Args { x: [x, &weights, q], k: [], sizes: at.sizes, item: at.item };
        let result = self.0.hard(args, y, scratch);
        scratch.reals.give(weights);
        result
    }
}
