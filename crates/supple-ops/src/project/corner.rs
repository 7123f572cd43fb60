//! What moves with the total where nothing is free.
//!
//! Where all entries of a box section are at a bound, the point is a vertex of the set. With a larger total,
//! the entries move that are the next to leave a bound as the multiplier grows; with a smaller one, the next
//! as it falls. The derivative along a change σ of the total is then taken as the mean of the two sides,
//!
//! $$ dy = \frac{\sigma}{2} \left( \frac{c_{F^+}}{\lVert c_{F^+} \rVert^2} +
//! \frac{c_{F^-}}{\lVert c_{F^-} \rVert^2} \right), $$
//!
//! or that of the one side that there is.

use supple_core::Real;

/// Positions of the entries that leave their bounds to either side.
#[derive(Debug, Default)]
pub struct Corner {
    above: Vec<u32>,
    below: Vec<u32>,
}

/// When an entry leaves its bound.
pub(super) enum Leaves {
    /// As the multiplier grows past this.
    Above(f64),
    /// As it falls below this.
    Below(f64),
    /// Never.
    Never,
}

impl Corner {
    /// The first to leave, of entries in order.
    pub(super) fn of(entries: impl Iterator<Item = Leaves>) -> Self {
        let mut this = Self::default();
        let (mut least, mut most) = (f64::INFINITY, f64::NEG_INFINITY);
        for (i, leaves) in (0..).zip(entries) {
            match leaves {
                Leaves::Above(at) if at <= least => {
                    if at < least {
                        this.above.clear();
                    }
                    least = at;
                    this.above.push(i);
                }
                Leaves::Below(at) if at >= most => {
                    if at > most {
                        this.below.clear();
                    }
                    most = at;
                    this.below.push(i);
                }
                _ => {}
            }
        }
        this
    }

    /// The sides that there are.
    fn sides(&self) -> impl Iterator<Item = &[u32]> {
        [&self.above[..], &self.below].into_iter().filter(|side| !side.is_empty())
    }

    /// Visits each entry that moves with its rate of change, for entries of this `weight`.
    pub fn for_each<A: Real>(&self, weight: impl Fn(usize) -> A, mut visit: impl FnMut(usize, A)) {
        let count = A::of(self.sides().count() as f64);
        for side in self.sides() {
            let square: A = side.iter().map(|&i| weight(i as usize).square()).sum();
            side.iter().for_each(|&i| visit(i as usize, weight(i as usize) / (square * count)));
        }
    }
}
