//! Where a plan may have mass.

use supple_core::Real;
use supple_numerics::bipartite::Laplacian;

/// The entries with mass, and the factor of the dual's Hessian there.
///
/// Of the two histograms, the one with more such entries is `long`. All of it is values: derivatives
/// get their tangents from inputs and plan.
#[derive(Debug, Clone, Default)]
pub struct Saved {
    /// Offsets of the entries of the longer histogram in the plan, the heaviest last: what rounding leaves of
    /// the total ends up there, where it matters least.
    pub(super) long: Vec<u32>,
    pub(super) short: Vec<u32>,
    /// Whether `long` is `b`.
    pub(super) swapped: bool,
    pub(super) factor: Laplacian,
}

impl Saved {
    pub(super) fn of_support<T: Real>(a: &[T], b: &[T], total: f64) -> Self {
        let width = b.len() as u32;
        let support = |x: &[T], stride: u32| -> Vec<u32> {
            let has_mass = |&(_, x): &(u32, &T)| x.as_f64() > 1e-100 * total;
            let mut entries: Vec<_> = (0..).zip(x).filter(has_mass).collect();
            if let Some(heaviest) = (0..entries.len()).max_by(|&i, &j| entries[i].1.order(entries[j].1)) {
                entries[heaviest..].rotate_left(1);
            }
            entries.into_iter().map(|(i, _)| i * stride).collect()
        };
        let (rows, columns) = (support(a, width), support(b, 1));
        let swapped = rows.len() < columns.len();
        let (long, short) = if swapped { (columns, rows) } else { (rows, columns) };
        Self { long, short, swapped, factor: Laplacian::default() }
    }

    /// Positions in the plan, with the longer histogram along the rows.
    pub(super) fn offsets(&self) -> impl Iterator<Item = usize> {
        self.long.iter().flat_map(|&i| self.short.iter().map(move |&j| (i + j) as usize))
    }

    /// Positions in the two histograms, whose full lengths are given.
    pub(super) fn entries(
        &self,
        long: usize,
        short: usize,
    ) -> (impl Iterator<Item = usize>, impl Iterator<Item = usize>) {
        let strides = if self.swapped { (1, long) } else { (short, 1) };
        let divided = |by: usize| move |&i: &u32| i as usize / by.max(1);
        (self.long.iter().map(divided(strides.0)), self.short.iter().map(divided(strides.1)))
    }

    pub(super) fn scatter<T>(&self, values: impl Iterator<Item = T>, plan: &mut [T]) {
        self.offsets().zip(values).for_each(|(i, value)| plan[i] = value);
    }
}
