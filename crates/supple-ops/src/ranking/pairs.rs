//! Pairs of scores, compared by a logistic function: the smooth ranks of several losses.
//!
//! On descending scores, the share $p = \sigma(-\lvert s_i - s_j \rvert / \varepsilon)$ is what an item has
//! in the place of one above it. An item's rank
//!
//! $$ r_i = 1 + \sum_{j \ne i} \sigma\left(\frac{s_j - s_i}{\varepsilon}\right) $$
//!
//! is its place, plus the shares of those below in it, less its shares in those above: an exponential for
//! each pair that is near, none for the others, and no difference of large numbers.

use std::ops::Range;
use supple_core::{Real, Scratch};
use supple_numerics::argsort::argsort;
use supple_numerics::elementary::{exp_slice, sum_by};

/// Shares below `exp(−50)`, which is 2e-22, are left out.
const WINDOW: f64 = 50.0;

/// Scores in descending order.
pub(super) struct Descending<A> {
    /// Whose score is at each place.
    pub order: Vec<u32>,
    /// The scores.
    pub s: Vec<A>,
}

/// The pairs of one item with others.
pub(super) struct Near<'a, A> {
    /// Its place.
    pub place: usize,
    /// The places of the others.
    pub others: Range<usize>,
    /// The share of the lower of the two in the place of the upper.
    pub shares: &'a [A],
}

impl<A: Real<Acc = A>> Descending<A> {
    /// Sorts scores, which must not be NaN. Nothing where one is infinite.
    pub fn new<T: Real<Acc = A>>(scores: &[T], scratch: &mut Scratch<T>) -> Option<Self> {
        let (order, sorted) = argsort(scores, true, scratch);
        let finite = [sorted.first(), sorted.last()].into_iter().flatten().all(|s| s.is_finite());
        let mut s = scratch.wide.empty();
        s.extend(sorted.iter().map(|s| s.widen()));
        scratch.reals.give(sorted);
        let descending = Self { order, s };
        if finite {
            return Some(descending);
        }
        descending.give(scratch);
        None
    }

    /// Gives the room back.
    pub fn give<T: Real<Acc = A>>(self, scratch: &mut Scratch<T>) {
        scratch.indices.give(self.order);
        scratch.wide.give(self.s);
    }

    /// The items at these ascending places.
    pub fn only<T: Real<Acc = A>>(&self, places: &[u32], scratch: &mut Scratch<T>) -> Self {
        let (mut order, mut s) = (scratch.indices.empty(), scratch.wide.empty());
        order.extend(places.iter().map(|&place| self.order[place as usize]));
        s.extend(places.iter().map(|&place| self.s[place as usize]));
        Self { order, s }
    }

    /// Visits every near pair once: each item with those below it.
    pub fn for_each_below<T: Real<Acc = A>>(
        &self,
        softness: f64,
        scratch: &mut Scratch<T>,
        mut visit: impl FnMut(Near<'_, A>),
    ) {
        let mut shares = scratch.wide.empty();
        let mut end = 0;
        for place in 0..self.s.len() {
            end = self.end_of(place, end, softness);
            self.fill(&mut shares, place + 1..end, softness, |s| s - self.s[place]);
            visit(Near { place, others: place + 1..end, shares: &shares });
        }
        scratch.wide.give(shares);
    }

    /// Visits the items at ascending places with those above, and then with those below.
    pub fn for_each_around<T: Real<Acc = A>>(
        &self,
        places: &[u32],
        softness: f64,
        scratch: &mut Scratch<T>,
        mut visit: impl FnMut([Near<'_, A>; 2]),
    ) {
        let [mut above, mut below] = [(); 2].map(|()| scratch.wide.empty());
        let (mut start, mut end) = (0, 0);
        for place in places.iter().map(|&place| place as usize) {
            let own = self.s[place];
            // From item to item, both ends can only move down the list.
            start += self.s[start..place].iter().take_while(|s| is_far(**s - own, softness)).count();
            end = self.end_of(place, end, softness);
            self.fill(&mut above, start..place, softness, |s| own - s);
            self.fill(&mut below, place + 1..end, softness, |s| s - own);
            visit([
                Near { place, others: start..place, shares: &above },
                Near { place, others: place + 1..end, shares: &below },
            ]);
        }
        scratch.wide.give(above);
        scratch.wide.give(below);
    }

    /// The first place below that is not near, at or after `end`.
    fn end_of(&self, place: usize, end: usize, softness: f64) -> usize {
        let end = end.max(place + 1);
        end + self.s[end..].iter().take_while(|s| !is_far(self.s[place] - **s, softness)).count()
    }

    fn fill(&self, shares: &mut Vec<A>, others: Range<usize>, softness: f64, below: impl Fn(A) -> A) {
        let rate = A::of(1.0 / softness);
        shares.clear();
        shares.extend(self.s[others].iter().map(|&s| below(s) * rate));
        exp_slice(shares);
        shares.iter_mut().for_each(|e| *e /= A::one() + *e);
    }

    /// The smooth ranks of all, by place.
    pub fn ranks<T: Real<Acc = A>>(&self, softness: f64, scratch: &mut Scratch<T>) -> Vec<A> {
        let mut ranks = scratch.wide.empty();
        ranks.extend((1..=self.s.len()).map(|rank| A::of(rank as f64)));
        self.for_each_below(softness, scratch, |near| {
            ranks[near.place] += sum(near.shares);
            ranks[near.others].iter_mut().zip(near.shares).for_each(|(rank, &p)| *rank -= p);
        });
        ranks
    }

    /// Adds to `ds` what changes of the [`ranks`](Self::ranks) by `dranks` come from.
    pub fn ranks_adjoint<T: Real<Acc = A>>(
        &self,
        dranks: &[A],
        softness: f64,
        ds: &mut [A],
        scratch: &mut Scratch<T>,
    ) {
        let rate = A::of(1.0 / softness);
        let mut changes = scratch.wide.empty();
        self.for_each_below(softness, scratch, |near| {
            let own = dranks[near.place] * rate;
            changes.clear();
            let pairs = near.shares.iter().zip(&dranks[near.others.clone()]);
            changes.extend(pairs.map(|(&p, &other)| p * (A::one() - p) * (own - other * rate)));
            ds[near.place] -= sum(&changes);
            ds[near.others].iter_mut().zip(&changes).for_each(|(d, &change)| *d += change);
        });
        scratch.wide.give(changes);
    }

    /// The smooth ranks of the items at ascending `places` among all.
    pub fn ranks_of<T: Real<Acc = A>>(
        &self,
        places: &[u32],
        softness: f64,
        scratch: &mut Scratch<T>,
    ) -> Vec<A> {
        let mut ranks = scratch.wide.empty();
        self.for_each_around(places, softness, scratch, |[above, below]| {
            ranks.push(A::of(above.place as f64 + 1.0) + sum(below.shares) - sum(above.shares));
        });
        ranks
    }

    /// Adds to `ds` what changes of [`ranks_of`](Self::ranks_of) by `dranks` come from.
    pub fn ranks_of_adjoint<T: Real<Acc = A>>(
        &self,
        places: &[u32],
        dranks: &[A],
        softness: f64,
        ds: &mut [A],
        scratch: &mut Scratch<T>,
    ) {
        let mut dranks = dranks.iter();
        self.for_each_around(places, softness, scratch, |sides| {
            let rate = dranks.next().map_or(A::zero(), |&d| d * A::of(1.0 / softness));
            for Near { place, others, shares } in sides {
                ds[place] -= rate * sum_by(shares, shares, |p, _| p * (A::one() - p));
                let pairs = ds[others].iter_mut().zip(shares);
                pairs.for_each(|(d, &p)| *d += rate * p * (A::one() - p));
            }
        });
    }
}

fn is_far<A: Real>(distance: A, softness: f64) -> bool {
    distance.as_f64() > WINDOW * softness
}

/// `1 / (1 + e^−u)`, without overflow.
pub(super) fn logistic<A: Real>(u: A) -> A {
    let e = (-u.abs()).exp();
    let p = A::one() / (A::one() + e);
    if u < A::zero() { e * p } else { p }
}

fn sum<A: Real>(x: &[A]) -> A {
    sum_by(x, x, |x, _| x)
}

#[cfg(test)]
mod tests {
    use super::*;
    use supple_core::Stream;

    /// From nearly all pairs far apart to nearly none.
    #[test]
    fn what_is_left_out_cannot_be_seen() {
        let scratch = &mut Scratch::<f64>::default();
        let descending = Descending::new(&Stream::new(0, 0, 0).normals(200), scratch).unwrap();
        let chosen: Vec<u32> = vec![3, 4, 50, 120, 121, 199];
        for softness in [1e-4, 1e-2, 1.0] {
            let rank = |s_i: f64| {
                let above = |s_j: &f64| 1.0 / (1.0 + ((s_i - s_j) / softness).exp());
                0.5 + descending.s.iter().map(above).sum::<f64>()
            };
            let ranks = descending.ranks(softness, scratch);
            for (&rank_found, &s) in ranks.iter().zip(&descending.s) {
                assert!((rank_found - rank(s)).abs() < 1e-11, "{rank_found} for {}", rank(s));
            }
            let some = descending.ranks_of(&chosen, softness, scratch);
            for (&place, &rank_found) in chosen.iter().zip(&some) {
                assert!((rank_found - ranks[place as usize]).abs() < 1e-11, "at {place}");
            }
            // The two adjoints agree where only some ranks change.
            let (mut all, mut dranks) = (vec![0.0; 200], vec![0.0; 200]);
            chosen.iter().for_each(|&place| dranks[place as usize] = f64::from(place) - 70.0);
            descending.ranks_adjoint(&dranks, softness, &mut all, scratch);
            let dranks: Vec<f64> = chosen.iter().map(|&place| dranks[place as usize]).collect();
            let mut some = vec![0.0; 200];
            descending.ranks_of_adjoint(&chosen, &dranks, softness, &mut some, scratch);
            let largest = all.iter().copied().fold(0.0, f64::max);
            assert!(all.iter().zip(&some).all(|(a, b)| (a - b).abs() <= 1e-13 * largest), "{softness}");
        }
    }
}
