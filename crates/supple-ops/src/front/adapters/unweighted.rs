//! A quantile of a sample whose weights are all the same.

use super::place::Place;
use crate::quantile::{SmoothedQuantile, TransportQuantile};
use std::slice::{from_mut, from_ref};
use supple_core::{Args, Dual, Error, Fault, Float, Gradient, Operator, Point, Real, Scaling, Scratch};

/// The value at place $1 + q (n - 1)$, between two places by linear interpolation, where the value at place
/// $j$ is `f(x, weights, q)` at equal weights and the level $(j - \frac12) / n$: the middle of the share that
/// one of n values has.
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
fn levels<T: Real>(place: &Place<T::Acc>, n: usize) -> [T; 2] {
    [place.low, place.high].map(|place| T::of((place as f64 + 0.5) / n as f64))
}

fn equal<T: Real>(n: usize, scratch: &mut Scratch<T>) -> Vec<T> {
    let mut weights = scratch.reals.empty();
    weights.resize(n, T::of(1.0 / n as f64));
    weights
}

impl<P: AtPlaces> Operator<2> for Unweighted<P> {
    const NAME: &'static str = P::NAME;
    const SIGNATURE: &'static str = "x(n>=1), q() -> quantile()";
    const GRADIENT: Gradient = Gradient::AlmostEverywhere;
    type Saved<T: Real> = Saved<T, P::Saved<T>>;

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
        let weights = equal(x.len(), scratch);
        let Saved { values, quantiles } = saved;
        for ((level, value), own) in levels(&place, x.len()).iter().zip(&mut *values).zip(quantiles) {
            let args = Args { x: [x, &weights, from_ref(level)], k: [], sizes: at.sizes, item: at.item };
            operator.forward(args, [from_mut(value)], own, scratch)?;
        }
        y[0] = place.value(values[0], values[1]);
        scratch.reals.give(weights);
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
        let weights = equal(x.len(), scratch);
        let plain: Vec<F> = weights.iter().map(|w| w.value()).collect();
        for (i, level) in levels(&place, x.len()).iter().enumerate() {
            let Args { sizes, item, .. } = at;
            let args = Args { x: [x, &weights, from_ref(level)], k: [], sizes, item };
            let known = Point {
                x: [values.x[0], &plain, &[level.value()]],
                k: [],
                sizes,
                item,
                y: [from_ref(&values.saved.values[i])],
                saved: &values.saved.quantiles[i],
            };
            let (value, own) = (&mut saved.values[i], &mut saved.quantiles[i]);
            operator.lift(args, known, [from_mut(value)], own, scratch)?;
        }
        y[0] = place.value(saved.values[0], saved.values[1]);
        scratch.reals.give(weights);
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
        let weights = equal(x.len(), scratch);
        for (i, (level, dvalue)) in levels(&place, x.len()).iter().zip(place.to_values(dy[0])).enumerate() {
            if dvalue.is_zero() {
                continue;
            }
            let point = Point {
                x: [x, &weights, from_ref(level)],
                k: [],
                sizes: at.sizes,
                item: at.item,
                y: [from_ref(&values[i])],
                saved: &quantiles[i],
            };
            let [mut own, mut unused] = [(); 2].map(|()| scratch.reals.zeros(x.len()));
            operator.vjp(point, [&[dvalue]], [&mut own, &mut unused, &mut [T::zero()]], scratch);
            dx.iter_mut().zip(&own).for_each(|(dx, &own)| *dx += own);
            [own, unused].into_iter().for_each(|buffer| scratch.reals.give(buffer));
        }
        dq[0] = place.to_level(dy[0], values[0], values[1]);
        scratch.reals.give(weights);
    }
}
