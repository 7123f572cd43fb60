//! Thresholds of masks: entries in [0, 1] that sum to k.

use super::keep;
use crate::elementary::{exp_slice, sum_by};
use multiversion::multiversion;
use supple_core::{Float, Floats, Real, Stream};

/// τ with `Σ min(max(z[i] − τ, 0), 1) = k`, for `1 <= k < n`.
///
/// `z` is to be centred so that its k-th largest entry is 0; `next <= 0` is the one after:
/// see [`kth_largest`](super::kth_largest). They enclose τ in `[−1, next]`, which decides most entries.
/// Newton's method on the piecewise linear sum of the others, kept in that bracket, ends at the right piece
/// after a few passes; where it does not, random pivots among the points `z[i]` and `z[i] − 1` halve what is
/// left, so that no data make it quadratic.
/// Where the sum is flat (a hard choice), any τ of the piece is returned.
pub fn capped_simplex<T: Real>(z: &[T], k: usize, next: f64, undecided: &mut Vec<T::Acc>) -> T::Acc {
    let mut bracket = Bracket { low: -1.0, high: next.max(-1.0) };
    let lacking = k as f64 - split(z, bracket, undecided);
    let mut tau = bracket.middle();
    let mut last = None;
    for _ in 0..16 {
        let piece = Piece::at(undecided, tau);
        let excess = piece.sum - lacking;
        let counts = (piece.inside, piece.full);
        if last == Some(counts) || piece.inside == 0 && excess == 0.0 {
            return on_piece(undecided, lacking, tau, piece);
        }
        bracket.narrow(tau, excess > 0.0);
        if excess > 0.0 && 4 * (piece.inside + piece.full) < 3 * undecided.len() {
            // What is not above this τ is not above the right one.
            keep(undecided, 0, |c| c.as_f64() > tau);
        }
        let newton = tau + excess / piece.inside as f64;
        if newton == tau {
            return on_piece(undecided, lacking, tau, piece);
        }
        let inside = bracket.holds(newton);
        // Counts that a Newton step leaves as they are say that it stayed on its piece, and was exact.
        last = inside.then_some(counts);
        tau = if inside { newton } else { bracket.middle() };
    }
    let tau = by_pivots(z, k, bracket, undecided);
    split(z, Bracket { low: -1.0, high: next.max(-1.0) }, undecided);
    let piece = Piece::at(undecided, tau);
    on_piece(undecided, lacking, tau, piece)
}

/// Collects the entries that are strictly between 0 and 1 for some τ of the bracket, and counts those at 1
/// for all.
pub(super) fn split<T: Real>(z: &[T], bracket: Bracket, undecided: &mut Vec<T::Acc>) -> f64 {
    let (low, sure) = (bracket.low, bracket.high + 1.0);
    let (low_value, sure_value) = (T::Value::of(low), T::Value::of(sure));
    undecided.clear();
    for row in z.chunks(16) {
        let above = row.iter().fold(0, |count, z| count + (z.value() > low_value) as usize);
        if above > 0 {
            let before = undecided.len();
            undecided.extend(row.iter().map(|z| z.widen()));
            let below = row.iter().fold(0, |count, z| count + (z.value() < sure_value) as usize);
            if above + below < 2 * row.len() {
                keep(undecided, before, |c| (c.as_f64() > low) & (c.as_f64() < sure));
            }
        }
    }
    let full = |z: &&T| z.as_f64() >= sure;
    z.iter().filter(full).count() as f64
}

/// An interval that holds the threshold.
#[derive(Clone, Copy)]
pub(super) struct Bracket {
    pub low: f64,
    pub high: f64,
}

impl Bracket {
    pub fn middle(self) -> f64 {
        0.5 * (self.low + self.high)
    }

    pub fn holds(self, tau: f64) -> bool {
        self.low < tau && tau < self.high
    }

    pub fn narrow(&mut self, tau: f64, threshold_is_above: bool) {
        *(if threshold_is_above { &mut self.low } else { &mut self.high }) = tau;
    }
}

/// What the clamped entries sum to, how many are strictly between 0 and 1, and how many at 1.
struct Piece {
    sum: f64,
    inside: usize,
    full: usize,
}

impl Piece {
    fn at<A: Real>(z: &mut [A], tau: f64) -> Self {
        let [sum, positive, full] = match A::floats(z) {
            Floats::F64(z) => piece_f64(z, tau),
            _ => piece(z, tau),
        };
        Self { sum, inside: (positive - full) as usize, full: full as usize }
    }
}

/// The sum of the clamped entries, the number of those above 0 and of those at 1.
#[inline(always)]
fn piece<A: Real>(z: &[A], tau: f64) -> [f64; 3] {
    const LANES: usize = 8;
    let (mut sums, mut positive, mut full) = ([0.0; LANES], [0.0; LANES], [0.0; LANES]);
    for row in z.chunks(LANES) {
        let mut y = [0.0; LANES];
        y.iter_mut().zip(row).for_each(|(y, z)| *y = z.as_f64() - tau);
        for i in 0..LANES {
            let above = if y[i] > 0.0 { y[i] } else { 0.0 };
            sums[i] += if above < 1.0 { above } else { 1.0 };
            positive[i] += if y[i] > 0.0 { 1.0 } else { 0.0 };
            full[i] += if y[i] >= 1.0 { 1.0 } else { 0.0 };
        }
    }
    [sums, positive, full].map(|lanes| lanes.into_iter().sum())
}

#[multiversion(targets("x86_64+avx2"))]
fn piece_f64(z: &[f64], tau: f64) -> [f64; 3] {
    piece(z, tau)
}

#[inline]
fn is_inside(y: f64) -> bool {
    (y > 0.0) & (y < 1.0)
}

/// The threshold in closed form, with its tangent, given one on the same linear piece.
fn on_piece<A: Real>(z: &[A], lacking: f64, tau: f64, Piece { inside, full, .. }: Piece) -> A {
    if inside == 0 {
        return A::of(tau);
    }
    let sum = sum_by(z, z, |z, _| if is_inside(z.as_f64() - tau) { z } else { A::zero() });
    (sum + A::of(full as f64 - lacking)) / A::of(inside as f64)
}

fn by_pivots<T: Real>(z: &[T], k: usize, mut bracket: Bracket, undecided: &mut Vec<T::Acc>) -> f64 {
    // What is known of the decided entries: how many are at 1, and number and sum of those in between.
    let (mut full, mut count, mut sum) = (0, 0, 0.0);
    let mut random = Stream::new(1, z.len(), 0);
    undecided.clear();
    undecided.extend(z.iter().map(|z| z.widen()));
    loop {
        keep(undecided, 0, |c| {
            let (leaves, enters) = (c.as_f64() - 1.0, c.as_f64());
            if bracket.holds(leaves) || bracket.holds(enters) {
                return true;
            }
            if leaves >= bracket.high {
                full += 1;
            } else if enters > bracket.low {
                sum += enters;
                count += 1;
            }
            false
        });
        if undecided.is_empty() {
            let in_between = (sum + full as f64 - k as f64) / count as f64;
            return if count == 0 { bracket.middle() } else { in_between };
        }
        let c = undecided[random.below(undecided.len())].as_f64();
        let pivot = if bracket.holds(c) { c } else { c - 1.0 };
        let open = Piece::at(undecided, pivot).sum;
        let excess = full as f64 + (sum - count as f64 * pivot) + open - k as f64;
        bracket.narrow(pivot, excess >= 0.0);
    }
}

/// τ with `Σ 1 / (1 + exp(τ − z[i])) = k`, for `1 <= k < n`, to round-off.
///
/// `z` is to be centred as for [`capped_simplex`]. What the k largest lack of 1 is balanced against what
/// the others have, `Σ_top σ(τ − z) = Σ_rest σ(z − τ)`: no sum cancels, and the logarithm of
/// the quotient is close to linear in τ, so that a few Newton steps do, kept in a bracket. A last
/// step in `T` gives the tangent.
pub fn logistic<T: Real>(z: &[T], k: usize, next: f64, buffer: &mut Vec<T>) -> T {
    let ahead = z.iter().filter(|&&z| z > T::zero()).count();
    let ties = z.iter().filter(|&&z| z == T::zero()).count();
    let top_ties = (k - ahead.min(k)) as f64;
    let shares = Shares { z, top_ties, rest_ties: ties as f64 - top_ties };
    let reach = (z.len() as f64).ln() + 1.0;
    let mut bracket = Bracket { low: 0.5 * next - reach, high: 0.5 * next + reach };
    let mut tau = 0.5 * next;
    for _ in 0..64 {
        let (imbalance, slope) = shares.balance(tau, buffer);
        if imbalance.is_nan() {
            // Both sides have underflowed: any τ in the gap will do.
            break;
        }
        let newton = tau - imbalance / slope;
        let step = newton - tau;
        if step * step <= T::Value::EPSILON {
            // The slope is at least 1/2 and changes slowly: what is left is less than the square of the step.
            tau = newton;
            break;
        }
        bracket.narrow(tau, imbalance < 0.0);
        tau = if bracket.holds(newton) { newton } else { bracket.middle() };
    }
    tangent_step(z, T::Value::of(tau))
}

/// Entries around their k-th largest, 0, which may be tied.
struct Shares<'a, T> {
    z: &'a [T],
    /// How many of the ties are among the k largest.
    top_ties: f64,
    rest_ties: f64,
}

impl<T: Real> Shares<'_, T> {
    /// `ln Σ_top σ(τ − z) − ln Σ_rest σ(z − τ)` and its slope.
    fn balance(&self, tau: f64, share: &mut Vec<T>) -> (f64, f64) {
        let (z, tau) = (self.z, T::constant(T::Value::of(tau)));
        share.clear();
        share.extend(z.iter().map(|&z| T::constant((-(z - tau).abs()).value())));
        exp_slice(share);
        // An entry between 0 and τ is on the other side of τ than it should be: its share is the larger part.
        let (low, high) = if tau > T::zero() { (T::zero(), tau) } else { (tau, T::zero()) };
        for (share, &z) in share.iter_mut().zip(z) {
            let misplaced = (z > low) & (z <= high);
            *share = (if misplaced { T::one() } else { *share }) / (T::one() + *share);
        }
        let (top, top_slope) = self.sums(share, |z| z > T::zero());
        let (rest, rest_slope) = self.sums(share, |z| z < T::zero());
        let below = 1.0 / (1.0 + (-tau.as_f64()).exp());
        let above = 1.0 / (1.0 + tau.as_f64().exp());
        let (top, rest) = (top + self.top_ties * below, rest + self.rest_ties * above);
        let top_slope = top_slope + self.top_ties * below * above;
        let rest_slope = rest_slope + self.rest_ties * below * above;
        (top.ln() - rest.ln(), top_slope / top + rest_slope / rest)
    }

    /// The shares of those counted and their derivatives, summed.
    fn sums(&self, share: &[T], counted: impl Fn(T) -> bool) -> (f64, f64) {
        let masked = |z: T, share: T| if counted(z) { share } else { T::zero() }.as_f64();
        let sum = sum_by(self.z, share, masked);
        let slope = sum_by(self.z, share, |z, share| {
            let share = masked(z, share);
            share * (1.0 - share)
        });
        (sum, slope)
    }
}

/// τ with the tangent that keeps the sum: the mean of those of `z`, weighted by the densities.
fn tangent_step<T: Real>(z: &[T], tau: T::Value) -> T {
    let tau = T::constant(tau);
    // Only duals have something to do: the values of the numerator are zero.
    let mut z_again = [tau];
    if !matches!(T::floats(&mut z_again), Floats::Dual) {
        return tau;
    }
    let (mut weights, mut moved) = (T::Acc::zero(), T::Acc::zero());
    for &z in z.iter().filter(|z| z.is_finite()) {
        let e = (z - tau).abs().as_f64().exp();
        let weight = T::Acc::of(1.0 / ((1.0 + e) * (1.0 + 1.0 / e)));
        weights += weight;
        moved += weight * (z.widen() - T::Acc::of(z.as_f64()));
    }
    let step = if weights == T::Acc::zero() { weights } else { moved / weights };
    tau + T::narrow(step)
}
