//! A quantile of sorted values.

use super::place::Place;
use supple_core::{Args, Dual, Error, Fault, Float, Gradient, Operator, Point, Real, Scaling, Scratch};

/// The value at place $1 + q (n - 1)$ of what `f` sorts, between two places by linear interpolation.
#[derive(Debug, Clone)]
pub struct Interpolated<P>(pub P);

/// What the sort saved, and the sorted values.
#[derive(Debug, Default)]
pub struct Saved<T, S> {
    sorted: Vec<T>,
    sort: S,
}

impl<P: Operator> Operator<2> for Interpolated<P> {
    const NAME: &'static str = P::NAME;
    const SIGNATURE: &'static str = "x(n>=1), q() -> quantile()";
    const GRADIENT: Gradient = Gradient::AlmostEverywhere;
    type Saved<T: Real> = Saved<T, P::Saved<T>>;

    fn validate(&self, sizes: &[usize]) -> Result<(), Error> {
        self.0.validate(sizes)
    }

    fn work(&self, sizes: &[usize]) -> usize {
        self.0.work(sizes)
    }

    fn scaling(&self) -> Option<Scaling<2>> {
        let Scaling { softness, power, inputs: [x], outputs } = self.0.scaling()?;
        Some(Scaling { softness, power, inputs: [x, 0], outputs })
    }

    fn forward<T: Real>(
        &self,
        at: Args<'_, T, 2>,
        [y]: [&mut [T]; 1],
        saved: &mut Self::Saved<T>,
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let [x, q] = at.x;
        let place = Place::of(q[0], x.len())?;
        saved.sorted = vec![T::zero(); x.len()];
        let args = Args { x: [x], k: [], sizes: at.sizes, item: at.item };
        self.0.forward(args, [&mut saved.sorted], &mut saved.sort, scratch)?;
        y[0] = place.value(saved.sorted[place.low], saved.sorted[place.high]);
        Ok(())
    }

    fn lift<F: Float>(
        &self,
        at: Args<'_, Dual<F>, 2>,
        values: Point<'_, F, Self::Saved<F>, 2>,
        [y]: [&mut [Dual<F>]; 1],
        saved: &mut Self::Saved<Dual<F>>,
        scratch: &mut Scratch<Dual<F>>,
    ) -> Result<(), Fault> {
        let (place, [x, _]) = (Place::of(at.x[1][0], at.x[0].len())?, at.x);
        let Saved { sorted, sort } = values.saved;
        saved.sorted = vec![Dual::zero(); x.len()];
        let Point { x: [plain, _], sizes, item, .. } = values;
        let args = Args { x: [x], k: [], sizes, item };
        let values = Point { x: [plain], k: [], sizes, item, y: [sorted], saved: sort };
        self.0.lift(args, values, [&mut saved.sorted], &mut saved.sort, scratch)?;
        y[0] = place.value(saved.sorted[place.low], saved.sorted[place.high]);
        Ok(())
    }

    fn vjp<T: Real>(
        &self,
        at: Point<'_, T, Self::Saved<T>, 2>,
        [dy]: [&[T]; 1],
        [dx, dq]: [&mut [T]; 2],
        scratch: &mut Scratch<T>,
    ) {
        let Saved { sorted, sort } = at.saved;
        let [x, q] = at.x;
        let Ok(place) = Place::of(q[0], x.len()) else { return };
        let mut dsorted = scratch.reals.zeros(x.len());
        for (place, share) in [place.low, place.high].into_iter().zip(place.to_values(dy[0])) {
            dsorted[place] += share;
        }
        let point = Point { x: [x], k: [], sizes: at.sizes, item: at.item, y: [sorted], saved: sort };
        self.0.vjp(point, [&dsorted], [dx], scratch);
        dq[0] = place.to_level(dy[0], sorted[place.low], sorted[place.high]);
        scratch.reals.give(dsorted);
    }

    fn hard<T: Float>(
        &self,
        at: Args<'_, T, 2>,
        [y]: [&mut [T]; 1],
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let [x, q] = at.x;
        let place = Place::of(q[0], x.len())?;
        let mut sorted = scratch.reals.zeros(x.len());
        let args = Args { x: [x], k: [], sizes: at.sizes, item: at.item };
        let result = self.0.hard(args, [&mut sorted], scratch);
        y[0] = place.value(sorted[place.low], sorted[place.high]);
        scratch.reals.give(sorted);
        result
    }
}
