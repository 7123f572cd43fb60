//! What the losses that are made of the discounted cumulative gain share.
//!
//! An item of relevance $t$ gains $2^t - 1$, discounted by $1 / \log_2(1 + r)$ at rank $r$. The ideal is the
//! sum of the best order, of its first $k$ places where a loss is cut off.

use std::f64::consts::LN_2;
use supple_core::{Fault, Real, Sample, Scratch, Stream};
use supple_numerics::argsort::argsort;
use supple_numerics::elementary::{dot, ln_slice};

/// What the items gain.
pub(super) struct Gains<A> {
    /// `2^relevance − 1`.
    pub each: Vec<A>,
    /// The discount of each item's place in the best order, 0 past the cut-off.
    best: Vec<A>,
    /// The sum of the best order.
    pub ideal: A,
}

impl<A: Real<Acc = A>> Gains<A> {
    /// The gains, with the ideal of the first `k` places. Nothing where there is nothing to gain, and so
    /// nothing to rank; a fault where a relevance is negative.
    pub fn of<T: Real<Acc = A>>(
        relevance: &[T],
        k: usize,
        scratch: &mut Scratch<T>,
    ) -> Result<Option<Self>, Fault> {
        let value = relevance.iter().map(|r| r.as_f64()).fold(0.0, f64::min);
        if value < 0.0 {
            let requirement = "at least 0, or -inf to be ignored";
            return Err(Fault::Domain { argument: "relevance", requirement, value });
        }
        let gains = Self::new(relevance, k, scratch);
        if gains.ideal.as_f64() == 0.0 {
            gains.give(scratch);
            return Ok(None);
        }
        Ok(Some(gains))
    }

    /// The gains of relevances that [`of`](Self::of) took.
    pub fn new<T: Real<Acc = A>>(relevance: &[T], k: usize, scratch: &mut Scratch<T>) -> Self {
        let mut each = scratch.wide.empty();
        each.extend(relevance.iter().map(|r| (r.widen() * A::of(LN_2)).exp_m1()));
        let (order, sorted) = argsort(relevance, true, scratch);
        let discounts = discounts(k.min(each.len()), scratch);
        let mut best = scratch.wide.zeros(each.len());
        order.iter().zip(&discounts).for_each(|(&i, &discount)| best[i as usize] = discount);
        let ideal = dot(&each, &best);
        scratch.wide.give(discounts);
        scratch.indices.give(order);
        scratch.reals.give(sorted);
        Self { each, best, ideal }
    }

    /// The gradient to the relevance of item `i`, from those to its gain and to the ideal.
    pub fn to_relevance(&self, i: usize, to_gain: A, to_ideal: A) -> A {
        A::of(LN_2) * (self.each[i] + A::one()) * (to_gain + to_ideal * self.best[i])
    }

    /// Gives the room back.
    pub fn give<T: Real<Acc = A>>(self, scratch: &mut Scratch<T>) {
        scratch.wide.give(self.each);
        scratch.wide.give(self.best);
    }
}

/// `1 / log₂(1 + rank)`.
pub(super) fn discount<A: Real>(rank: A) -> A {
    A::of(LN_2) / (A::one() + rank).ln()
}

/// The discounts of the first `k` places.
pub(super) fn discounts<A: Real<Acc = A>, T: Real<Acc = A>>(k: usize, scratch: &mut Scratch<T>) -> Vec<A> {
    let mut discounts = scratch.wide.empty();
    discounts.extend((0..k).map(|place| A::of(place as f64 + 2.0)));
    ln_slice(&mut discounts);
    discounts.iter_mut().for_each(|d| *d = A::of(LN_2) / *d);
    discounts
}

/// How many places count: `k`, or all.
pub(super) fn cut_off(k: Option<u64>, n: usize) -> usize {
    k.and_then(|k| usize::try_from(k).ok()).map_or(n, |k| k.min(n))
}

/// Relevances to test at: positive, because the derivative at 0 has one side only.
pub(super) fn sample(n: usize, random: &mut Stream) -> Sample<2> {
    let relevance = (0..n).map(|_| 0.1 + 3.0 * random.uniform()).collect();
    Sample { x: [random.normals(n), relevance], k: [] }
}
