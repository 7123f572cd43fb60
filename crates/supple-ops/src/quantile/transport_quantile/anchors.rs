//! The shares of three anchors in each value of a sample.
//!
//! For potentials $g$ of the anchors and the cost $-x y$ with $y \in \lbrace -1, 0, 1\rbrace$, the shares of one value
//! are the softmax of $(g_j + x y_j) / \varepsilon$. With $g_2 = 0$, the first anchor gives way to the middle
//! one at $x = g_1$, the middle one to the last at $x = -g_3$: two cuts, which are what is solved for.

use crate::quantile::domain::{heaviest, level};
use supple_core::{Fault, Real, Scratch};
use supple_numerics::elementary::exp_slice;

/// The masses of the sample, in a buffer to be given back, and of the anchors.
pub(super) struct Masses<A> {
    pub sample: Vec<A>,
    pub anchors: [A; 3],
    /// The sum of the weights.
    pub total: A,
}

impl<A: Real<Acc = A>> Masses<A> {
    pub fn new<T: Real<Acc = A>>(
        weights: &[T],
        q: T,
        width: f64,
        scratch: &mut Scratch<T>,
    ) -> Result<Self, Fault> {
        let (heaviest, value) = (A::of(heaviest(weights)?), level(q)?);
        let half = A::of(0.5 * width);
        let anchors = [q.widen() - half, A::of(width), A::one() - q.widen() - half];
        if [anchors[0], anchors[2]].iter().any(|b| b.as_f64() <= NO_ROOM) {
            let requirement = "more than half the width away from 0 and 1";
            return Err(Fault::Domain { argument: "q", requirement, value });
        }
        let mut sample = scratch.wide.empty();
        sample.extend(weights.iter().map(|w| w.widen() / heaviest));
        let sum: A = sample.iter().copied().sum();
        sample.iter_mut().for_each(|a| *a /= sum);
        Ok(Self { sample, anchors, total: sum * heaviest })
    }
}

/// Where one anchor gives way to the next: each a fixed value and how far from it, in units of the softness.
/// So the cuts keep their digits where the softness is small.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cuts<A> {
    pub(super) origin: [f64; 2],
    pub(super) shift: [A; 2],
}

impl<A: Real> Cuts<A> {
    /// How far the cut is from its fixed value.
    pub(super) fn moved(&self, j: usize, softness: f64) -> A {
        let shift = A::of(softness) * self.shift[j];
        if j == 0 { shift } else { -shift }
    }

    /// A fixed point between the cuts.
    pub(super) fn centre(&self) -> f64 {
        0.5 * self.origin[0] + 0.5 * self.origin[1]
    }
}

/// Shares of all values in the three anchors, in buffers to be given back.
pub(super) struct Shares<A>([Vec<A>; 3]);

/// Sums over the sample: the masses at the anchors, and how they change with the cuts.
pub(super) struct Sums<A> {
    pub mass: [A; 3],
    /// What the anchors share two by two: `Σ a s₁ s₂`, `Σ a s₁ s₃`, `Σ a s₂ s₃`.
    pub common: [A; 3],
}

/// What rounding may leave of no room beside the band.
const NO_ROOM: f64 = 2.0 * f64::EPSILON;
/// Arguments of the exponential beyond this saturate it.
const FAR: f64 = 1e4;
/// Most iterations of the solver.
const LIMIT: usize = 200;
/// Errors of the masses that are round-off.
const ROUND_OFF: f64 = 4.0 * f64::EPSILON;
/// A Newton step of this size, in units of the softness, leaves an error of its square.
const LAST_STEP: f64 = 1e-8;

impl<A: Real<Acc = A>> Shares<A> {
    pub fn new<T: Real<Acc = A>>(x: &[T], softness: f64, cuts: &Cuts<A>, scratch: &mut Scratch<T>) -> Self {
        let mut shares = Self([(); 3].map(|()| scratch.wide.zeros(x.len())));
        shares.compute(x, softness, cuts);
        shares
    }

    fn compute<T: Real<Acc = A>>(&mut self, x: &[T], softness: f64, cuts: &Cuts<A>) {
        let Self([first, middle, last]) = self;
        let (far, zero, unit) = (A::of(FAR), A::zero(), A::of(softness));
        let origin = cuts.origin.map(A::of);
        for (((first, middle), last), x) in first.iter_mut().zip(&mut *middle).zip(&mut *last).zip(x) {
            let from = origin.map(|origin| (x.widen() - origin) / unit);
            let below = (cuts.shift[0] - from[0]).min(far).max(-far);
            let above = (cuts.shift[1] + from[1]).min(far).max(-far);
            let top = A::of(below.max(above).max(zero).as_f64());
            (*first, *middle, *last) = (below - top, -top, above - top);
        }
        [&mut *first, &mut *middle, &mut *last].into_iter().for_each(|e| exp_slice(e));
        for ((first, middle), last) in first.iter_mut().zip(middle).zip(last) {
            let factor = A::one() / (*first + *middle + *last);
            [first, middle, last].into_iter().for_each(|e| *e *= factor);
        }
    }

    /// The shares in each value.
    pub fn iter(&self) -> impl Iterator<Item = [A; 3]> {
        let Self([first, middle, last]) = self;
        first.iter().zip(middle).zip(last).map(|((&first, &middle), &last)| [first, middle, last])
    }

    pub fn sums(&self, a: &[A]) -> Sums<A> {
        let mut sums = Sums { mass: [A::zero(); 3], common: [A::zero(); 3] };
        for ([first, middle, last], &a) in self.iter().zip(a) {
            sums.mass[0] += a * first;
            sums.mass[1] += a * middle;
            sums.mass[2] += a * last;
            sums.common[0] += a * first * middle;
            sums.common[1] += a * first * last;
            sums.common[2] += a * middle * last;
        }
        sums
    }

    /// Returns the buffers.
    pub fn give<T: Real<Acc = A>>(self, scratch: &mut Scratch<T>) {
        self.0.into_iter().for_each(|buffer| scratch.wide.give(buffer));
    }
}

/// Solves for the cuts at which the anchors get the masses `b`, from cuts at the quantiles: values
/// only. `resolution` is the mass that is as good as none.
///
/// The dual is concave and self-concordant in the generalised sense of Sun and Tran-Dinh (2019), so that
/// Newton's method with their step length converges from anywhere without a search.
pub(super) fn solve<T: Real>(
    x: &[T],
    a: &[T::Acc],
    b: [f64; 3],
    softness: f64,
    mut cuts: Cuts<T::Acc>,
    resolution: f64,
    scratch: &mut Scratch<T>,
) -> Result<Cuts<T::Acc>, Fault> {
    // Without tangents: those of the arguments are not wanted here.
    let mut values = scratch.reals.empty();
    values.extend(x.iter().map(|&x| T::constant(x.value())));
    let mut masses = scratch.wide.empty();
    masses.extend(a.iter().map(|a| T::Acc::of(a.as_f64())));
    let mut shares = Shares::new(&values, softness, &cuts, scratch);
    let mut residual = f64::INFINITY;
    let mut converged = false;
    for _ in 0..LIMIT {
        let sums = shares.sums(&masses);
        let gap = [0, 1, 2].map(|j| b[j] - sums.mass[j].as_f64());
        residual = gap.into_iter().fold(0.0, |most: f64, gap| most.max(gap.abs()));
        let flat = sums.flat(resolution);
        let stays = [0, 1].map(|j| flat[j] && gap[2 * j].abs() <= resolution);
        let [first, last] = sums.solve(gap.map(T::Acc::of), stays).map(|step| step.as_f64());
        let range = first.max(last).max(0.0) - first.min(last).min(0.0);
        let length = if range > 0.0 { range.ln_1p() / range } else { 1.0 };
        cuts.shift[0] += T::Acc::of(length * first);
        cuts.shift[1] += T::Acc::of(length * last);
        converged = residual <= ROUND_OFF || range <= LAST_STEP;
        if converged || range.is_nan() {
            break;
        }
        shares.compute(&values, softness, &cuts);
    }
    shares.give(scratch);
    scratch.reals.give(values);
    scratch.wide.give(masses);
    if converged { Ok(cuts) } else { Err(Fault::NotConverged { iterations: LIMIT, residual }) }
}

impl<A: Real<Acc = A>> Sums<A> {
    /// Whether a cut lies in a gap of the data, where moving it changes nothing.
    pub fn flat(&self, resolution: f64) -> [bool; 2] {
        let [first, outer, last] = self.common;
        [first, last].map(|inner| (inner + outer).as_f64() <= resolution)
    }

    /// The motion of the cuts that closes the gaps of the masses, for the cuts that do not stay as they are.
    /// That of the middle mass, minus the sum of the others, is given apart because it may be much smaller.
    pub fn solve(&self, [first, middle, last]: [A; 3], stays: [bool; 2]) -> [A; 2] {
        let [with_first, outer, with_last] = self.common;
        match stays {
            [true, true] => [A::zero(); 2],
            [true, false] => [A::zero(), last / (outer + with_last)],
            [false, true] => [first / (outer + with_first), A::zero()],
            [false, false] => {
                let determinant = outer * (with_first + with_last) + with_first * with_last;
                let both = -outer * middle;
                [(both + with_last * first) / determinant, (both + with_first * last) / determinant]
            }
        }
    }
}
