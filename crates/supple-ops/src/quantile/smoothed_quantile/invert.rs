//! Where a smoothed sample reaches its level: values only.

use super::distribution::Distribution;
use crate::quantile::split::Split;
use supple_core::{Real, Scratch};
use supple_numerics::elementary::{dot, exp_slice};

/// The root, with the sign of the split's points.
pub(super) struct Root {
    pub value: f64,
    /// Whether it lies in a gap that no tail crosses, where the equation alone does not say where.
    pub in_gap: bool,
}

/// Most iterations of the solver.
const LIMIT: usize = 100;
/// A Newton step of this size, in units of the softness, leaves an error of its square.
const LAST_STEP: f64 = 1e-8;

/// Solves the equation in the form in which no sum cancels: what the lower part of the sample lacks at the
/// root, and the excess of the level, are what the upper part has already.
pub(super) fn invert<T: Real>(
    distribution: Distribution,
    softness: f64,
    split: &mut Split<T::Acc>,
    scratch: &mut Scratch<T>,
) -> Root {
    let centre = split.centre();
    if !centre.is_finite() {
        return Root { value: centre, in_gap: false };
    }
    let (origin, unit) = (T::Acc::of(centre), T::Acc::of(softness));
    split.points.iter_mut().for_each(|z| *z = (*z - origin) / unit);
    let n = split.points.len();
    let mut balance =
        Balance { distribution, split, tails: scratch.wide.zeros(n), densities: scratch.wide.zeros(n) };
    let between = balance.split.excess == 0.0 && balance.split.ends.0 < balance.split.ends.1;
    let crossing = |at: Sides| at.mass[0] + at.mass[1];
    let in_gap = between && crossing(balance.at(0.0)) <= balance.split.resolution;
    let shift = if in_gap { balance.pure(centre, softness) } else { balance.root() };
    scratch.wide.give(balance.tails);
    scratch.wide.give(balance.densities);
    Root { value: centre + softness * shift, in_gap }
}

/// The two sides of the equation. Points are counted from the centre, in units of the softness.
struct Balance<'a, A> {
    distribution: Distribution,
    split: &'a Split<A>,
    tails: Vec<A>,
    densities: Vec<A>,
}

/// What the lower part lacks and the upper part has, and how fast that changes.
struct Sides {
    mass: [f64; 2],
    slope: [f64; 2],
}

impl<A: Real<Acc = A>> Balance<'_, A> {
    fn at(&mut self, s: f64) -> Sides {
        let Split { points, masses, below, .. } = self.split;
        let at = A::of(s);
        self.tails.iter_mut().zip(points).for_each(|(t, &z)| *t = at - z);
        self.tails[..*below].iter_mut().for_each(|t| *t = -*t);
        self.distribution.evaluate(&mut self.tails, &mut self.densities);
        let sums = |of: &[A]| {
            let part = |range: std::ops::Range<usize>| dot(&masses[range.clone()], &of[range]).as_f64();
            [part(0..*below), part(*below..of.len())]
        };
        Sides { mass: sums(&self.tails), slope: sums(&self.densities) }
    }

    /// Newton's method on the logarithm of the quotient of the two sides, which rises and is close to linear,
    /// between bounds.
    fn root(&mut self) -> f64 {
        let excess = self.split.excess;
        let (mut low, mut high) = self.bounds();
        let mut s = 0.0;
        for _ in 0..LIMIT {
            let Sides { mass, slope } = self.at(s);
            let (lacks, has) = (mass[0] + excess.max(0.0), mass[1] + (-excess).max(0.0));
            *(if has > lacks { &mut high } else { &mut low }) = s;
            let newton = s - (has / lacks).ln() / (slope[0] / lacks + slope[1] / has);
            let inside = low <= newton && newton <= high;
            let next = if inside { newton } else { 0.5 * (low + high) };
            let step = (next - s).abs();
            s = next;
            if step <= LAST_STEP + f64::EPSILON * s.abs() {
                break;
            }
        }
        s
    }

    /// The root if all finite points were at the lowest of them, and if all were at the highest, or beyond.
    fn bounds(&self) -> (f64, f64) {
        let Split { points, masses, below, excess, .. } = self.split;
        let (mut low, mut high, mut total, mut level) = (f64::INFINITY, f64::NEG_INFINITY, 0.0, *excess);
        for (i, (z, mass)) in points.iter().zip(masses).enumerate() {
            let (z, mass) = (z.as_f64(), mass.as_f64());
            if z.is_finite() {
                (low, high) = (low.min(z), high.max(z));
                total += mass;
                level += if i < *below { mass } else { 0.0 };
            }
        }
        let share = (level / total).clamp(f64::MIN_POSITIVE, 1.0 - f64::EPSILON);
        let reach = 1.0 - share.min(1.0 - share).ln();
        (low - reach, high + reach)
    }

    /// Where the tails into the gap would balance if they were no more than tails. Each side falls off from its
    /// end.
    fn pure(&mut self, centre: f64, softness: f64) -> f64 {
        let Split { points, masses, below, ends, .. } = self.split;
        let (low, high) = ((centre - ends.0) / softness, (ends.1 - centre) / softness);
        for (i, (t, z)) in self.tails.iter_mut().zip(points).enumerate() {
            let end = A::of(if i < *below { low } else { high });
            *t = -self.distribution.decay(end, z.abs() - end);
        }
        exp_slice(&mut self.tails);
        let [below, above] = [0..*below, *below..points.len()]
            .map(|range| dot(&masses[range.clone()], &self.tails[range]).as_f64());
        let shift = 0.5 * (below / above).ln() / self.distribution.steepness(high);
        shift.clamp(-low, high)
    }
}
