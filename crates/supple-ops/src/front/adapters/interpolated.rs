//! A quantile of sorted values.

use supple_core::{Args, Error, Fault, Float, Gradient, Operator, Point, Real, Scaling, Scratch};

/// The value at place $1 + q (n - 1)$ of what `f` sorts, between two places by linear interpolation.
#[derive(Debug, Clone)]
pub struct Interpolated<P>(pub P);

/// What the sort saved, and the sorted values.
#[derive(Debug, Default)]
pub struct Saved<T, S> {
    sorted: Vec<T>,
    sort: S,
}

/// The two places that a quantile lies between, and how far from the first.
struct Place<T> {
    low: usize,
    high: usize,
    share: T,
}

impl<T: Real> Place<T> {
    fn of(q: T, n: usize) -> Result<Self, Fault> {
        let value = q.as_f64();
        if !(0.0..=1.0).contains(&value) {
            return Err(Fault::Domain { argument: "q", requirement: "between 0 and 1", value });
        }
        let steps = (n - 1) as f64;
        let low = ((value * steps).floor() as usize).min(n.saturating_sub(2));
        Ok(Self { low, high: (low + 1).min(n - 1), share: q * T::of(steps) - T::of(low as f64) })
    }

    /// How far the two places are apart; equal infinities are not.
    fn gap(&self, sorted: &[T]) -> T {
        let (low, high) = (sorted[self.low], sorted[self.high]);
        if low == high && !low.is_finite() { T::zero() } else { high - low }
    }

    fn value(&self, sorted: &[T]) -> T {
        let low = sorted[self.low];
        // An infinity without a share must not spoil the other place.
        if self.share.is_zero() { low } else { low + self.share * self.gap(sorted) }
    }
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
        y[0] = place.value(&saved.sorted);
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
        let Place { low, high, share } = place;
        let mut dsorted = scratch.reals.zeros(x.len());
        dsorted[low] += dy[0] * (T::one() - share);
        dsorted[high] += dy[0] * share;
        let point = Point { x: [x], k: [], sizes: at.sizes, item: at.item, y: [sorted], saved: sort };
        self.0.vjp(point, [&dsorted], [dx], scratch);
        dq[0] = dy[0] * place.gap(sorted) * T::of((x.len() - 1) as f64);
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
        y[0] = place.value(&sorted);
        scratch.reals.give(sorted);
        result
    }
}
