//! Sums over all subsets of size k, in O(n k): elementary symmetric polynomials, without overflow.
//!
//! For weights $w_i = e^{z_i}$ the sum over subsets $e_k(w) = \sum_{|S| = k} \prod_{i \in S} w_i$ soon
//! overflows. Independent yes-or-no answers with the odds $w_i e^{-\tau}$ turn it into a probability: with
//! $p_i = 1 / (1 + e^{\tau - z_i})$,
//!
//! $$ e_k(w) = e^{k \tau} \prod_i (1 + w_i e^{-\tau}) \cdot \Pr(\text{exactly } k \text{ yes}) $$
//!
//! for any τ. Where τ lets one expect $k - \tfrac12$ times yes, k and k − 1 are the likeliest numbers, by a
//! factor of five at most, so that what underflows is below round-off of the result. All terms are positive:
//! nothing cancels. Given that there are k, the answers are the random subset with
//! $\Pr(S) \propto \prod_{i \in S} w_i$.
//!
//! [`Answers`] holds the probabilities. [`marginals`], [`covariances`] and [`sample`] go through the items
//! with the distribution of the number of yes before and after each, in O(n k) time; memory is O(n k) for
//! small problems and O(k √n) for large ones, which compute half of their rows twice.

#[cfg(test)]
mod tests;
mod walk;

use crate::elementary::{dot, exp_slice};
use supple_core::{Pool, Real};
use walk::{Chain, walk};

/// Less likely numbers of yes are left out, once in [`STRETCH`] items: no sum can tell them from zero. Left
/// alone they would end among the last numbers above zero, which are slow to compute with and never vanish; and
/// so would their products, of one number before an item and one after it.
const NEGLIGIBLE: f64 = 1e-150;
const STRETCH: usize = 8;

/// Probabilities of yes and no.
pub struct Answers<A> {
    /// The weight $e^\tau$ has even odds.
    pub tilt: f64,
    /// `1 / (1 + exp(τ − z[i]))`.
    pub yes: Vec<A>,
    /// `1 / (1 + exp(z[i] − τ))`.
    pub no: Vec<A>,
}

impl<A: Real> Answers<A> {
    /// The answers with `k − ½` times yes to be expected, within a tenth, for `1 <= k <= n`.
    ///
    /// `z` is to be centred so that its k-th largest entry is 0; then τ is between `−ln(2k)` and `ln(2n)`.
    pub fn new<T: Real<Acc = A>>(z: &[T], k: usize, pool: &mut Pool<A>) -> Self {
        let (mut low, mut high) = (-(2.0 * k as f64).ln(), (2.0 * z.len() as f64).ln());
        let (mut yes, mut no) = (pool.empty(), pool.empty());
        let mut tilt = 0.0;
        for _ in 0..60 {
            yes.clear();
            yes.extend(z.iter().map(|z| A::of(-(z.as_f64() - tilt).abs())));
            exp_slice(&mut yes);
            let (mut excess, mut slope) = (0.5 - k as f64, 0.0);
            for (z, e) in z.iter().zip(&yes) {
                let larger = 1.0 / (1.0 + e.as_f64());
                let smaller = 1.0 - larger;
                excess += if z.as_f64() < tilt { smaller } else { larger };
                slope += smaller * larger;
            }
            if excess.abs() < 0.1 {
                break;
            }
            *(if excess > 0.0 { &mut low } else { &mut high }) = tilt;
            let newton = tilt + excess / slope;
            tilt = if low < newton && newton < high { newton } else { 0.5 * (low + high) };
        }
        yes.clear();
        yes.extend(z.iter().map(|z| -(z.widen() - A::of(tilt)).abs()));
        exp_slice(&mut yes);
        for (z, yes) in z.iter().zip(&mut yes) {
            let larger = A::one() / (A::one() + *yes);
            let smaller = *yes * larger;
            let below = z.as_f64() < tilt;
            *yes = if below { smaller } else { larger };
            no.push(if below { larger } else { smaller });
        }
        Self { tilt, yes, no }
    }

    /// Gives the buffers back.
    pub fn give(self, pool: &mut Pool<A>) {
        pool.give(self.yes);
        pool.give(self.no);
    }

    /// The probabilities of `0..=k` times yes, in a buffer to be given back.
    pub fn counts(&self, k: usize, pool: &mut Pool<A>) -> Vec<A> {
        let (mut row, mut next) = (pool.zeros(k + 1), pool.zeros(k + 1));
        row[0] = A::one();
        for i in 0..self.yes.len() {
            self.add_to(i, &row, &mut next);
            leave_out(i, &mut next);
            std::mem::swap(&mut row, &mut next);
        }
        pool.give(next);
        row
    }

    /// The distribution with item `i` added.
    #[inline]
    fn add_to(&self, i: usize, from: &[A], to: &mut [A]) {
        let (yes, no) = (self.yes[i], self.no[i]);
        let Some((&first, others)) = from.split_first() else { return };
        to[0] = no * first;
        for ((to, &same), &less) in to[1..].iter_mut().zip(others).zip(from) {
            *to = no * same + yes * less;
        }
    }

    /// The same for a distribution that is stored by how many are missing to k.
    #[inline]
    fn add_to_missing(&self, i: usize, row: &mut [A]) {
        let (yes, no) = (self.yes[i], self.no[i]);
        for j in 1..row.len() {
            row[j - 1] = no * row[j - 1] + yes * row[j];
        }
        if let Some(last) = row.last_mut() {
            *last *= no;
        }
    }
}

/// Clears what is negligible in a distribution, after every [`STRETCH`]-th item.
#[inline]
fn leave_out<A: Real>(i: usize, counts: &mut [A]) {
    if i.is_multiple_of(STRETCH) {
        let least = A::of(NEGLIGIBLE);
        counts.iter_mut().for_each(|count| *count = if *count < least { A::zero() } else { *count });
    }
}

/// Distributions of the number of yes.
struct Counts<'a, A> {
    answers: &'a Answers<A>,
    k: usize,
}

impl<A: Real> Chain<A> for Counts<'_, A> {
    fn width(&self) -> usize {
        self.k + 1
    }
    fn ends(&self) -> (usize, usize) {
        (0, self.k)
    }
    fn forward(&self, i: usize, from: &[A], to: &mut [A]) {
        self.answers.add_to(i, from, to);
        leave_out(i, to);
    }
    fn backward(&self, i: usize, row: &mut [A]) {
        self.answers.add_to_missing(i, row);
        leave_out(i, row);
    }
}

/// Calls `each(i, p)` with the probability that item i is in a random subset of size k. With `difference`,
/// what it is more than in one of size k − 1.
pub fn marginals<A: Real<Acc = A>>(
    answers: &Answers<A>,
    k: usize,
    difference: bool,
    pool: &mut Pool<A>,
    mut each: impl FnMut(usize, A),
) {
    let n = answers.yes.len();
    walk(&Counts { answers, k }, n, pool, |i, all, before, after| {
        // That the others have k less `taken`: some are before, and the rest of these after.
        let others = |taken: usize| dot(&before[..=k - taken], &after[taken..]);
        let mut p = others(1) / all[k];
        if difference {
            p -= if k > 1 { others(2) / all[k - 1] } else { A::zero() };
        }
        each(i, answers.yes[i] * p);
    });
}

/// As [`Counts`], and behind them the same with each subset weighted by its sum of `v`.
struct Sums<'a, A> {
    counts: Counts<'a, A>,
    v: &'a [A],
}

impl<A: Real> Sums<'_, A> {
    /// A sum goes with its count, whatever the scale of `v`.
    fn leave_out(i: usize, counts: &[A], sums: &mut [A]) {
        if i.is_multiple_of(STRETCH) {
            let each = sums.iter_mut().zip(counts);
            each.for_each(|(sum, count)| *sum = if count.is_zero() { A::zero() } else { *sum });
        }
    }
}

impl<A: Real> Chain<A> for Sums<'_, A> {
    fn width(&self) -> usize {
        2 * self.counts.width()
    }
    fn ends(&self) -> (usize, usize) {
        self.counts.ends()
    }
    fn forward(&self, i: usize, from: &[A], to: &mut [A]) {
        let (count, sum) = from.split_at(self.counts.width());
        let (to_count, to_sum) = to.split_at_mut(self.counts.width());
        self.counts.forward(i, count, to_count);
        self.counts.answers.add_to(i, sum, to_sum);
        let more = self.counts.answers.yes[i] * self.v[i];
        to_sum[1..].iter_mut().zip(count).for_each(|(to, &count)| *to += more * count);
        Self::leave_out(i, to_count, to_sum);
    }
    fn backward(&self, i: usize, row: &mut [A]) {
        let (count, sum) = row.split_at_mut(self.counts.width());
        self.counts.answers.add_to_missing(i, sum);
        let more = self.counts.answers.yes[i] * self.v[i];
        sum.iter_mut().zip(&count[1..]).for_each(|(sum, &count)| *sum += more * count);
        self.counts.backward(i, count);
        Self::leave_out(i, count, sum);
    }
}

/// Calls `each(i, c)` with the covariance of item i's being in a random subset of size k and the subset's sum
/// of `v`: the derivative of the [`marginals`] along `v`, and its own transpose.
///
/// A constant added to `v` changes nothing but rounding: best is the one that makes the expected sum zero.
pub fn covariances<A: Real<Acc = A>>(
    answers: &Answers<A>,
    k: usize,
    v: &[A],
    pool: &mut Pool<A>,
    mut each: impl FnMut(usize, A),
) {
    let counts = Counts { answers, k };
    walk(&Sums { counts, v }, answers.yes.len(), pool, |i, all, before, after| {
        let ((before, sum_before), (after, sum_after)) = (before.split_at(k + 1), after.split_at(k + 1));
        let others = |before: &[A], after: &[A]| dot(&before[..k], &after[1..]);
        let mean = all[2 * k + 1] / all[k];
        let with_i =
            others(before, after) * (v[i] - mean) + others(sum_before, after) + others(before, sum_after);
        each(i, answers.yes[i] * with_i / all[k]);
    });
}

/// [`Counts`] without a look ahead.
struct Before<'a, A>(Counts<'a, A>);

impl<A: Real> Chain<A> for Before<'_, A> {
    fn width(&self) -> usize {
        self.0.width()
    }
    fn ends(&self) -> (usize, usize) {
        self.0.ends()
    }
    fn forward(&self, i: usize, from: &[A], to: &mut [A]) {
        self.0.forward(i, from, to);
    }
    fn backward(&self, _: usize, _: &mut [A]) {}
}

/// Calls `chosen(i)` for the items of one random subset of size k. Uniform numbers in (0, 1) are asked for by
/// item.
pub fn sample<A: Real>(
    answers: &Answers<A>,
    k: usize,
    uniform: impl Fn(usize) -> f64,
    pool: &mut Pool<A>,
    mut chosen: impl FnMut(usize),
) {
    let mut missing = k;
    walk(&Before(Counts { answers, k }), answers.yes.len(), pool, |i, _, before, _| {
        if missing == 0 {
            return;
        }
        // What is missing is to be had by this item and those before: with it, and without it.
        let with = (answers.yes[i] * before[missing - 1]).as_f64();
        let without = (answers.no[i] * before[missing]).as_f64();
        if uniform(i) * (with + without) < with {
            missing -= 1;
            chosen(i);
        }
    });
}
