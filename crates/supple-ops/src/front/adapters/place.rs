//! Where a quantile is among sorted values.

use supple_core::{Fault, Real};

/// The two places that place $1 + q (n - 1)$ lies between, and how far from the first.
pub struct Place<A> {
    /// The first, counted from 0.
    pub low: usize,
    /// The next, the same one where there is but one.
    pub high: usize,
    /// How far from the first, as a share of the way.
    pub share: A,
    /// How fast the place moves with q: n − 1.
    steps: f64,
}

impl<A: Real<Acc = A>> Place<A> {
    /// That of the level `q` among `n`.
    pub fn of<T: Real<Acc = A>>(q: T, n: usize) -> Result<Self, Fault> {
        let value = q.as_f64();
        if !(0.0..=1.0).contains(&value) {
            return Err(Fault::Domain { argument: "q", requirement: "between 0 and 1", value });
        }
        let steps = (n - 1) as f64;
        let low = ((value * steps).floor() as usize).min(n.saturating_sub(2));
        // Among many values, single precision has no digits left for the share.
        let share = q.widen() * A::of(steps) - A::of(low as f64);
        Ok(Self { low, high: (low + 1).min(n - 1), share, steps })
    }

    /// The value between the two.
    pub fn value<T: Real<Acc = A>>(&self, low: T, high: T) -> T {
        // An infinity without a share must not spoil the other place.
        if self.share.is_zero() {
            low
        } else if (A::one() - self.share).is_zero() {
            high
        } else {
            T::narrow(low.widen() + self.share * gap(low, high))
        }
    }

    /// Its gradient to the two.
    pub fn to_values<T: Real<Acc = A>>(&self, dy: T) -> [T; 2] {
        [A::one() - self.share, self.share].map(|share| T::narrow(dy.widen() * share))
    }

    /// Its gradient to q.
    pub fn to_level<T: Real<Acc = A>>(&self, dy: T, low: T, high: T) -> T {
        T::narrow(dy.widen() * gap(low, high) * A::of(self.steps))
    }
}

/// How far two values are apart; equal infinities are not.
fn gap<T: Real>(low: T, high: T) -> T::Acc {
    if low == high && !low.is_finite() { T::Acc::zero() } else { high.widen() - low.widen() }
}

#[cfg(test)]
mod tests {
    use super::Place;

    #[test]
    fn the_share_has_its_digits_among_many() {
        let place = Place::of(0.3f32, 2_000_001).unwrap();
        assert_eq!(place.low, 600_000);
        assert!((place.share - (f64::from(0.3f32) * 2e6 - 6e5)).abs() < 1e-9, "{}", place.share);
        let value = place.value(0.0f32, 1.0);
        assert!((value - 0.023_842).abs() < 1e-6, "{value}");
    }

    #[test]
    fn the_ends_are_the_least_and_the_largest() {
        for n in [1, 2, 5] {
            let ends = [0.0, 1.0].map(|q| Place::of(q, n).unwrap());
            assert_eq!(ends[0].value(0.0, f64::INFINITY), 0.0);
            assert_eq!(ends[1].value(if n == 1 { 0.0 } else { f64::NEG_INFINITY }, 0.0), 0.0);
            assert_eq!((ends[0].low, ends[1].high), (0, n - 1));
            assert_eq!(ends[1].share, if n == 1 { 0.0 } else { 1.0 });
        }
    }
}
