//! A quantile of a sample whose weights are all the same.

use super::place::Place;
use crate::quantile::{SmoothedQuantile, TransportQuantile};
use std::slice::{from_mut, from_ref};
use supple_core::{Args, Dual, Error, Fault, Float, Gradient, Operator, Point, Real, Scaling, Scratch};

/// The value at place $1 + q (n - 1)$, between two places by linear interpolation, where the value at place
/// $j$ is `f(x, weights, q)` at equal weights and the level $(j - \frac12) / n$: the middle of the share that
/// one of n values has.
///
/// `f` is run in the accumulator's precision: among millions, single precision cannot tell levels apart.
#[derive(Debug, Clone)]
pub struct Unweighted<P>(pub P);

/// A quantile that tends to the value at a place, asked at the place's level.
pub trait AtPlaces: Operator<3> {
    /// As it must be for that among `n` values.
    fn among(&self, n: usize) -> Self;
}

impl AtPlaces for SmoothedQuantile {
    fn among(&self, _: usize) -> Self {
        self.clone()
    }
}

impl AtPlaces for TransportQuantile {
    /// With a band of half the share that one value has, so that it holds no other.
    fn among(&self, n: usize) -> Self {
        Self { width: 0.5 / n as f64, ..self.clone() }
    }
}

/// What was saved at the two places, and the values there.
#[derive(Debug, Default)]
pub struct Saved<T, S> {
    values: [T; 2],
    quantiles: [S; 2],
}

/// The two places' levels.
fn levels<A: Real>(place: &Place<A>, n: usize) -> [A; 2] {
    [place.low, place.high].map(|place| A::of((place as f64 + 0.5) / n as f64))
}

/// The values and their equal weights, in buffers to be given back.
fn sample<T: Real>(x: &[T], scratch: &mut Scratch<T::Acc>) -> [Vec<T::Acc>; 2] {
    let [mut values, mut weights] = [(); 2].map(|()| scratch.reals.empty());
    values.extend(x.iter().map(|x| x.widen()));
    weights.resize(x.len(), T::Acc::of(1.0 / x.len() as f64));
    [values, weights]
}

impl<P: AtPlaces> Operator<2> for Unweighted<P> {
    const NAME: &'static str = P::NAME;
    const SIGNATURE: &'static str = "x(n>=1), q() -> quantile()";
    const GRADIENT: Gradient = Gradient::AlmostEverywhere;
    type Saved<T: Real> = Saved<T::Acc, P::Saved<T::Acc>>;

    fn validate(&self, sizes: &[usize]) -> Result<(), Error> {
        self.0.validate(sizes)
    }

    fn work(&self, sizes: &[usize]) -> usize {
        2 * self.0.work(sizes)
    }

    fn scaling(&self) -> Option<Scaling<2>> {
        let Scaling { softness, power, inputs: [x, _, q], outputs } = self.0.scaling()?;
        Some(Scaling { softness, power, inputs: [x, q], outputs })
    }

    fn forward<T: Real>(
        &self,
        at: Args<'_, T, 2>,
        [y]: [&mut [T]; 1],
        saved: &mut Self::Saved<T>,
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let [x, q] = at.x;
        let (place, operator) = (Place::of(q[0], x.len())?, self.0.among(x.len()));
        let scratch = scratch.accumulator();
        let [x, weights] = sample(x, scratch);
        let Saved { values, quantiles } = saved;
        for ((level, value), own) in levels(&place, x.len()).iter().zip(&mut *values).zip(quantiles) {
            let args = Args { x: [&x, &weights, from_ref(level)], k: [], sizes: at.sizes, item: at.item };
            operator.forward(args, [from_mut(value)], own, scratch)?;
        }
        y[0] = T::narrow(place.value(values[0], values[1]));
        [x, weights].into_iter().for_each(|buffer| scratch.reals.give(buffer));
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
        let [x, q] = at.x;
        let (place, operator) = (Place::of(q[0], x.len())?, self.0.among(x.len()));
        let scratch = scratch.accumulator();
        let [x, weights] = sample(x, scratch);
        let [plain_x, plain_weights] = sample(values.x[0], &mut Scratch::default());
        for (i, level) in levels(&place, x.len()).iter().enumerate() {
            let Args { sizes, item, .. } = at;
            let args = Args { x: [&x, &weights, from_ref(level)], k: [], sizes, item };
            let known = Point {
                x: [&plain_x, &plain_weights, &[level.value()]],
                k: [],
                sizes,
                item,
                y: [from_ref(&values.saved.values[i])],
                saved: &values.saved.quantiles[i],
            };
            let (value, own) = (&mut saved.values[i], &mut saved.quantiles[i]);
            operator.lift(args, known, [from_mut(value)], own, scratch)?;
        }
        y[0] = Dual::narrow(place.value(saved.values[0], saved.values[1]));
        [x, weights].into_iter().for_each(|buffer| scratch.reals.give(buffer));
        Ok(())
    }

    fn vjp<T: Real>(
        &self,
        at: Point<'_, T, Self::Saved<T>, 2>,
        [dy]: [&[T]; 1],
        [dx, dq]: [&mut [T]; 2],
        scratch: &mut Scratch<T>,
    ) {
        let [x, q] = at.x;
        let Ok(place) = Place::of(q[0], x.len()) else { return };
        let (operator, Saved { values, quantiles }) = (self.0.among(x.len()), at.saved);
        let (dy, scratch) = (dy[0].widen(), scratch.accumulator());
        let [x, weights] = sample(x, scratch);
        for (i, (level, dvalue)) in levels(&place, x.len()).iter().zip(place.to_values(dy)).enumerate() {
            if dvalue.is_zero() {
                continue;
            }
            let point = Point {
                x: [&x, &weights, from_ref(level)],
                k: [],
                sizes: at.sizes,
                item: at.item,
                y: [from_ref(&values[i])],
                saved: &quantiles[i],
            };
            let [mut own, mut unused] = [(); 2].map(|()| scratch.reals.zeros(x.len()));
            operator.vjp(point, [&[dvalue]], [&mut own, &mut unused, &mut [T::Acc::zero()]], scratch);
            dx.iter_mut().zip(&own).for_each(|(dx, &own)| *dx += T::narrow(own));
            [own, unused].into_iter().for_each(|buffer| scratch.reals.give(buffer));
        }
        dq[0] = T::narrow(place.to_level(dy, values[0], values[1]));
        [x, weights].into_iter().for_each(|buffer| scratch.reals.give(buffer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quantile::Distribution;
    use ndarray::{Array1, arr0};
    use supple_core::linearize;

    #[test]
    fn single_precision_tells_millions_of_places_apart() {
        let n = 5_000_000;
        let x = Array1::from_shape_fn(n, |i| i as f32).into_dyn();
        let operator = Unweighted(SmoothedQuantile { softness: 0.01, distribution: Distribution::Logistic });
        let q = arr0(1.0).into_dyn();
        let at = linearize(&operator, [x.view(), q.view()]).unwrap();
        assert_eq!(at.outputs()[0].sum(), (n - 1) as f32);
        let [dx, dq] = at.vjp([arr0(1.0).into_dyn().view()]).unwrap();
        assert_eq!((dx[n - 1], dq.sum()), (1.0, (n - 1) as f32));
    }
}
