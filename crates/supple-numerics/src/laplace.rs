//! Sums over the Laplace kernel $e^{-|s_i - s_j| / \varepsilon}$ of sorted points, in linear time.
//!
//! Between sorted points the kernel is a product of the decays $e^{-(s_{k+1} - s_k) / \varepsilon}$ from
//! neighbour to neighbour. So what a point gets from all points below it is what the one before it
//! got, with that one's own weight added, times one decay. The same from above. No factor exceeds 1, and
//! only distances of neighbours enter, so an offset of the data costs no digits.

use crate::elementary::exp_slice;
use supple_core::{Real, Scratch};

/// Sorted points, by the distances of neighbours in units of the softness.
#[derive(Debug)]
pub struct Line<A> {
    distance: Vec<A>,
    decay: Vec<A>,
    points: usize,
}

/// Where what a point gets comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The points before it.
    Below,
    /// The points after it.
    Above,
}

impl Side {
    /// −1 for below, 1 for above.
    #[inline]
    pub fn sign<A: Real>(self, x: A) -> A {
        if self == Side::Below { -x } else { x }
    }
}

/// What a point gets from one side: sums over the points `j` there, at distances `t` in units of the
/// softness.
#[derive(Debug, Clone, Copy)]
pub struct Share<A> {
    /// `Σ w[j] exp(−t)`.
    pub sum: A,
    /// `Σ w[j] t exp(−t)`.
    pub moment: A,
}

/// The root `v` of `Σ_j F((v − s[j]) / ε) = level`, where `F` is the Laplace distribution function.
#[derive(Debug, Clone, Copy)]
pub struct Quantile<A> {
    /// The root.
    pub value: A,
    /// How many points are at or below it.
    pub place: usize,
    /// `∂v/∂s[j]` is this times the kernel between `s[j]` and the last point below, for `j < place`.
    pub from_below: A,
    /// `∂v/∂s[j]` is this times the kernel between `s[j]` and the first point above, for `j >= place`.
    pub from_above: A,
}

/// Distances beyond this are as good as infinite: `exp(−750)` is 0 in double precision.
const FAR: f64 = 750.0;

/// After so many steps, what has come near the end of the range of numbers is made zero. Its last numbers are
/// slow to compute with, and the smallest one times a decay above ½ rounds to itself, to the end of the line.
const STRETCH: usize = 16;

/// Values and tangents below 1e-293 become zero, each on its own: they leave the range of numbers for a moment.
/// What is above 1e-277 comes back as it was.
#[inline(always)]
fn cleared<A: Real>(x: A) -> A {
    const UP: f64 = (1u128 << 100) as f64;
    x * A::of(1.0 / UP) * A::of(UP)
}

impl<A: Real<Acc = A>> Line<A> {
    /// The line through `sorted` points without NaN. Equal infinities are at distance 0.
    pub fn new<T: Real<Acc = A>>(sorted: &[T], softness: f64, scratch: &mut Scratch<T>) -> Self {
        let (rate, far) = (A::of(1.0 / softness), A::of(FAR));
        let mut distance = scratch.wide.empty();
        distance.extend(sorted.windows(2).map(|pair| {
            let t = (pair[1].widen() - pair[0].widen()) * rate;
            let t = if t >= far { far } else { t };
            if t.is_nan() { A::zero() } else { t }
        }));
        let mut decay = scratch.wide.empty();
        decay.extend(distance.iter().map(|&t| -t));
        exp_slice(&mut decay);
        Self { distance, decay, points: sorted.len() }
    }

    /// The kernel between neighbours.
    pub fn decays(&self) -> &[A] {
        &self.decay
    }

    /// Returns the buffers.
    pub fn give<T: Real<Acc = A>>(self, scratch: &mut Scratch<T>) {
        scratch.wide.give(self.distance);
        scratch.wide.give(self.decay);
    }

    /// Visits each point twice, with what it gets from below and from above of `N` kinds of weights.
    ///
    /// Both directions run in one loop: each step of either has to wait for the one before.
    #[inline(always)]
    pub fn shares<const N: usize>(
        &self,
        weights: impl Fn(usize) -> [A; N],
        mut visit: impl FnMut(usize, Side, [Share<A>; N]),
    ) {
        let nothing = [Share { sum: A::zero(), moment: A::zero() }; N];
        let (mut below, mut above) = (nothing, nothing);
        let Some(last) = self.points.checked_sub(1) else { return };
        visit(0, Side::Below, below);
        visit(last, Side::Above, above);
        for (stretch, start) in (0..last).step_by(STRETCH).enumerate() {
            for up in start..last.min(start + STRETCH) {
                let down = last - 1 - up;
                self.cross(up, &mut below, weights(up));
                visit(up + 1, Side::Below, below);
                self.cross(down, &mut above, weights(down + 1));
                visit(down, Side::Above, above);
            }
            // In turns: together they would be kept in one vector, which makes every step slower.
            for share in below.iter_mut().chain(&mut above) {
                match stretch % 2 {
                    0 => share.sum = cleared(share.sum),
                    _ => share.moment = cleared(share.moment),
                }
            }
        }
    }

    /// Takes shares over the gap after point `i`, with the weights of the point left behind.
    #[inline(always)]
    fn cross<const N: usize>(&self, i: usize, shares: &mut [Share<A>; N], weights: [A; N]) {
        let (t, decay) = (self.distance[i], self.decay[i]);
        for (share, weight) in shares.iter_mut().zip(weights) {
            let sum = share.sum + weight;
            share.moment = decay * (share.moment + t * sum);
            share.sum = decay * sum;
        }
    }

    /// Visits the quantile of each of the ascending `levels`, which are between 0 and the number of points.
    /// `sorted` and `softness` are those of the line.
    ///
    /// Between two neighbours the equation is quadratic in $e^{v/\varepsilon}$, so this is a closed form,
    /// and tangents go through it. Where the level is the number of points below the gap and the gap is
    /// too wide for the kernel, any value in it is a root; its middle is taken.
    pub fn quantiles<T: Real<Acc = A>>(
        &self,
        sorted: &[T],
        softness: f64,
        levels: impl IntoIterator<Item = f64>,
        scratch: &mut Scratch<T>,
        mut visit: impl FnMut(Quantile<A>),
    ) {
        let (n, half, softness) = (sorted.len(), A::of(0.5), A::of(softness));
        let (mut below, mut above) = (scratch.wide.zeros(n), scratch.wide.zeros(n));
        self.shares(
            |_| [A::one()],
            |i, side, [share]| *(if side == Side::Below { &mut below[i] } else { &mut above[i] }) = share.sum,
        );
        // `Σ_j F` at a point.
        let reached = |i: usize| A::of(i as f64 + 0.5) + half * (above[i] - below[i]);
        let mut place = 0;
        for level in levels {
            while place < n && reached(place).as_f64() <= level {
                place += 1;
            }
            let (first, last) = (place == 0, place == n);
            let a = if first { A::zero() } else { below[place - 1] + A::one() };
            let b = if last { A::zero() } else { above[place] + A::one() };
            let decay = if first || last { A::zero() } else { self.decay[place - 1] };
            // With `E = exp((v − s[place − 1]) / ε)`, the equation is `b decay E² − 2 excess E − a = 0`.
            let excess = level - place as f64;
            let product = a * b * decay;
            let root = (A::of(excess * excess) + product).sqrt();
            let share = half / root;
            let (value, from_below, from_above) = if excess == 0.0 && product == A::zero() {
                let middle = half * sorted[place - 1].widen() + half * sorted[place].widen();
                (middle + half * softness * (a / b).ln(), half / a, half / b)
            } else if excess > 0.0 {
                let upper = root + A::of(excess);
                let value = sorted[place].widen() - softness * (b / upper).ln();
                (value, share * (b * decay / upper), share * (upper / b))
            } else {
                let lower = root - A::of(excess);
                let value = sorted[place - 1].widen() + softness * (a / lower).ln();
                (value, share * (lower / a), share * (a * decay / lower))
            };
            visit(Quantile { value, place, from_below, from_above });
        }
        scratch.wide.give(below);
        scratch.wide.give(above);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use supple_core::{Dual, Stream};

    fn sorted(n: usize, softness: f64) -> Vec<f64> {
        let mut s = Stream::new(n as u64, 0, 0).normals(n);
        // A tie, and a gap that the kernel does not cross.
        s.extend([0.25, 0.25, 4.0 + 1000.0 * softness]);
        s.sort_by(f64::total_cmp);
        s
    }

    fn assert_close(got: f64, expected: f64) {
        assert!((got - expected).abs() <= 1e-12 * (1.0 + expected.abs()), "{got:e} for {expected:e}");
    }

    #[test]
    fn shares_are_the_sums() {
        let scratch = &mut Scratch::default();
        for (n, softness, offset) in [(0, 1.0, 0.0), (7, 0.3, 0.0), (40, 2.0, 0.0), (40, 1e-3, 65536.0)] {
            let on_grid = |s: &f64| ((s + offset) * 4096.0).round() / 4096.0;
            let s: Vec<f64> = sorted(n, softness).iter().map(on_grid).collect();
            let line = Line::new(&s, softness, scratch);
            let mut visits = 0;
            let weight = |j: usize| [1.0, (j as f64).sin()];
            line.shares(weight, |i, side, shares| {
                visits += 1;
                let others = if side == Side::Below { 0..i } else { i + 1..s.len() };
                for (kind, share) in shares.into_iter().enumerate() {
                    let terms = others.clone().map(|j| {
                        let t = (s[i] - s[j]).abs() / softness;
                        (weight(j)[kind] * (-t).exp(), t)
                    });
                    assert_close(share.sum, terms.clone().map(|(w, _)| w).sum());
                    assert_close(share.moment, terms.map(|(w, t)| w * t).sum());
                }
            });
            assert_eq!(visits, 2 * s.len());
            line.give(scratch);
        }
    }

    #[test]
    fn what_underflows_becomes_zero() {
        let n = 30_000;
        for gap in [0.02, 0.1, 0.6, 5.0] {
            let s: Vec<_> = (0..n).map(|i| Dual::new(i as f64 * gap, 0.0)).collect();
            let scratch = &mut Scratch::default();
            let line = Line::new(&s, 1.0, scratch);
            // A value at one end, and a tangent alone at the other.
            let weight = |i: usize| [Dual::new((i == 0) as u8 as f64, (i == n - 1) as u8 as f64)];
            line.shares(weight, |i, side, [Share { sum, moment }]| {
                let t = if side == Side::Below { i as f64 } else { (n - 1 - i) as f64 } * gap;
                let expected = if t > 620.0 { 0.0 } else { (-t).exp() };
                let (sum, moment) = if side == Side::Below { (sum.v, moment.v) } else { (sum.d, moment.d) };
                if t > 0.0 {
                    assert!((sum - expected).abs() <= 1e-11 * expected + 1e-269, "{sum:e} at {t}");
                    assert!(
                        (moment - t * expected).abs() <= 1e-11 * t * expected + 1e-266,
                        "{moment:e} at {t}"
                    );
                }
                let left = |x: f64| x == 0.0 || x >= f64::MIN_POSITIVE;
                assert!(gap > 1.0 || left(sum) && left(moment), "{sum:e}, {moment:e} at {t}");
            });
            line.give(scratch);
        }
    }

    #[test]
    fn quantiles_solve_their_equation() {
        let cdf = |t: f64| if t < 0.0 { 0.5 * t.exp() } else { 1.0 - 0.5 * (-t).exp() };
        for softness in [1e-3, 0.3, 50.0] {
            let s = sorted(6, softness);
            let n = s.len();
            let levels: Vec<f64> = (1..4 * n).map(|k| k as f64 / 4.0).collect();
            for moved in 0..n {
                let point = |j: usize| Dual::new(s[j], if j == moved { 1.0 } else { 0.0 });
                let points: Vec<_> = (0..n).map(point).collect();
                let scratch = &mut Scratch::default();
                let line = Line::new(&points, softness, scratch);
                let mut found = vec![];
                line.quantiles(&points, softness, levels.clone(), scratch, |q| found.push(q));
                for (q, level) in found.iter().zip(&levels) {
                    let t = |j: usize| (q.value.v - s[j]) / softness;
                    assert_close((0..n).map(|j| cdf(t(j))).sum(), *level);
                    let nearest = (0..n).map(|j| t(j).abs()).fold(f64::INFINITY, f64::min);
                    let density = |j: usize| (nearest - t(j).abs()).exp();
                    let slope = density(moved) / (0..n).map(density).sum::<f64>();
                    assert_close(q.value.d, slope);
                    let (end, share) =
                        if moved < q.place { (q.place - 1, q.from_below) } else { (q.place, q.from_above) };
                    assert_close(share.v * (-(s[end] - s[moved]).abs() / softness).exp(), slope);
                }
            }
        }
    }
}
