//! The threshold of magnitudes: how many places each of n entries gets of k, by the p-norms of Sander et al.

use supple_core::{Real, choices};
use supple_numerics::elementary::sum_by;

choices! {
    /// The p-norm that smooths a selection.
    pub enum Norm {
        /// p = 2: piecewise linear.
        L2 = "l2",
        /// p = 3/2: smooth at 0.
        ThreeHalves = "p3/2",
        /// p = 4/3: smoother at 0.
        FourThirds = "p4/3",
    }
}

/// What is left of an entry.
pub(super) enum Part<A> {
    Nothing,
    All,
    /// What is above the threshold, `h = (excess / ε)^r`, and h′.
    Some {
        excess: A,
        share: A,
        slope: A,
    },
}

/// −1 or 1.
pub(super) fn sign<T: Real>(x: T) -> T {
    T::of(if x < T::zero() { -1.0 } else { 1.0 })
}

impl Norm {
    /// r = 1 / (p − 1).
    pub(super) fn power(self) -> i32 {
        match self {
            Norm::L2 => 1,
            Norm::ThreeHalves => 2,
            Norm::FourThirds => 3,
        }
    }
}

/// k places to share, by `h(t) = (t / ε)^r`.
pub(super) struct Shares {
    pub k: usize,
    pub softness: f64,
    pub norm: Norm,
}

impl Shares {
    /// `(t / ε)^r` and its derivative.
    #[inline(always)]
    fn share<A: Real>(&self, excess: A) -> (A, A) {
        let rate = A::of(1.0 / self.softness);
        let ratio = excess * rate;
        match self.norm {
            Norm::L2 => (ratio, rate),
            Norm::ThreeHalves => (ratio.square(), A::of(2.0) * rate * ratio),
            Norm::FourThirds => (ratio * ratio.square(), A::of(3.0) * rate * ratio.square()),
        }
    }

    /// How an entry stands to the threshold.
    #[inline]
    pub fn part<T: Real>(&self, x: T, threshold: T::Acc) -> Part<T::Acc> {
        let excess = x.abs().widen() - threshold;
        if excess > T::Acc::zero() {
            let (share, slope) = self.share(excess);
            if share < threshold { Part::Some { excess, share, slope } } else { Part::All }
        } else {
            Part::Nothing
        }
    }

    /// The slope of an entry that is zero where fewer than k are not: those k places that are left, over the
    /// number of zeros.
    pub fn spare_slope<T: Real>(&self, x: &[T], threshold: T::Acc) -> T {
        let zeros = x.iter().filter(|&&x| x == T::zero()).count();
        let places = (self.k + zeros).saturating_sub(x.len());
        let any = threshold == T::Acc::zero() && places > 0;
        if any { T::of(places as f64 / zeros as f64) } else { T::zero() }
    }

    /// c, given the k-th largest magnitude and the one after. `Σ min(h(s_i − c), c) = k c` is the equation,
    /// by Newton's method between the point where the k-th entry is chosen for certain, below which all k
    /// are, and the next magnitude.
    pub fn threshold<T: Real>(&self, size: &[T], kth: f64, next: f64, undecided: &mut Vec<T::Acc>) -> T::Acc {
        if !kth.is_finite() {
            return if next.is_finite() { T::Acc::of(next) } else { T::Acc::nan() };
        }
        let next = next.max(0.0);
        let mut low = self.certain_below(kth);
        if low >= next {
            return T::Acc::of(next);
        }
        let mut high = next;
        let (mut full, sure) = (0.0, high);
        undecided.clear();
        for s in size.iter().map(|s| s.widen()).filter(|s| s.as_f64() > low) {
            if self.share(s.as_f64() - sure).0 >= sure && s.as_f64() > sure {
                full += 1.0;
            } else {
                undecided.push(s);
            }
        }
        let places = self.k as f64 - full;
        let mut at = low;
        for _ in 0..100 {
            let (excess, slope) = self.excess(undecided, at, places);
            if excess == 0.0 {
                break;
            }
            if excess > 0.0 {
                low = at
            } else {
                high = at
            }
            let newton = at - excess / slope;
            if (newton - at).abs() <= 1e-13 * at {
                break;
            }
            at = if low < newton && newton < high { newton } else { 0.5 * (low + high) };
            if !(low < at && at < high) {
                break;
            }
        }
        let value = T::Acc::of(at);
        let (mut excess, mut slope, mut inside) = (T::Acc::zero(), 0.0, places);
        for t in undecided.iter().map(|&s| s - value).filter(|t| *t > T::Acc::zero()) {
            let (share, rise) = self.share(t);
            if share < value {
                excess += share;
                slope += rise.as_f64();
            } else {
                inside -= 1.0;
            }
        }
        value + (excess - T::Acc::of(inside * at)) / T::Acc::of(slope + inside)
    }

    /// `Σ min(h(s_i − c), c) − places · c` and its slope in c.
    fn excess<A: Real>(&self, size: &[A], c: f64, places: f64) -> (f64, f64) {
        let above = |s: A| if s.as_f64() > c { s.as_f64() - c } else { 0.0 };
        let sum = sum_by(size, size, |s, _| {
            let (share, _) = self.share(above(s));
            if share < c { share } else { c }
        });
        let slope = sum_by(size, size, |s, _| {
            let t = above(s);
            let (share, rise) = self.share(t);
            let slope = if share < c { -rise } else { 1.0 };
            if t > 0.0 { slope } else { 0.0 }
        });
        (sum - places * c, slope - places)
    }

    /// The c with `h(s − c) = c`: from the left of the root, where h is convex.
    fn certain_below(&self, s: f64) -> f64 {
        // c = s (1 − d): d = (s^{1 − r} ε^r (1 − d))^{1 / r} is below its value without the last factor.
        let power = self.norm.power();
        let ratio = (self.softness.powi(power) * s.powi(1 - power)).powf(1.0 / f64::from(power));
        let mut at = s * (1.0 - ratio).max(0.0);
        for _ in 0..100 {
            let (share, slope) = self.share(s - at);
            let to = at + (share - at) / (slope + 1.0);
            if to.is_nan() || to <= at {
                break;
            }
            at = to;
        }
        at
    }
}
