//! Passes through a list from both ends, in little memory.

use supple_core::{Pool, Real};

/// What is carried from item to item: a row of numbers for the items before, one for those after.
pub(super) trait Chain<A> {
    fn width(&self) -> usize;
    /// Where the row of no items, which is zero otherwise, has its one, before the first and after the last
    /// item.
    fn ends(&self) -> (usize, usize);
    fn forward(&self, i: usize, from: &[A], to: &mut [A]);
    fn backward(&self, i: usize, row: &mut [A]);
}

/// Rows are all kept where they take no more numbers than this; else only those at every √n-th item.
const KEPT: usize = 1 << 15;

/// Calls `visit(i, all, before, after)` for the items from the last to the first, with the row of all items,
/// of those before i and of those after i.
pub(super) fn walk<A: Real>(
    chain: &impl Chain<A>,
    n: usize,
    pool: &mut Pool<A>,
    visit: impl FnMut(usize, &[A], &[A], &[A]),
) {
    let whole = n * chain.width() <= KEPT;
    let block = if whole { n } else { (n as f64).sqrt().ceil() as usize };
    walk_in_blocks(chain, n, block.max(1), pool, visit);
}

pub(super) fn walk_in_blocks<A: Real>(
    chain: &impl Chain<A>,
    n: usize,
    block: usize,
    pool: &mut Pool<A>,
    mut visit: impl FnMut(usize, &[A], &[A], &[A]),
) {
    let (width, blocks) = (chain.width(), n.div_ceil(block));
    let mut marks = pool.zeros((blocks + 1) * width);
    let mut rows = pool.stale((block + 1) * width);
    let mut after = pool.zeros(width);
    let (start, end) = chain.ends();
    marks[start] = A::one();
    after[end] = A::one();
    let items = |b: usize| b * block..n.min((b + 1) * block);
    let fill = |b: usize, marks: &[A], rows: &mut [A]| {
        rows[..width].copy_from_slice(&marks[b * width..][..width]);
        for (i, place) in items(b).zip(0..) {
            let (done, open) = rows.split_at_mut((place + 1) * width);
            chain.forward(i, &done[place * width..], &mut open[..width]);
        }
    };
    for b in 0..blocks {
        fill(b, &marks, &mut rows);
        let last = &rows[items(b).len() * width..][..width];
        marks[(b + 1) * width..][..width].copy_from_slice(last);
    }
    for b in (0..blocks).rev() {
        if b + 1 < blocks {
            fill(b, &marks, &mut rows);
        }
        for i in items(b).rev() {
            let before = &rows[(i - b * block) * width..][..width];
            visit(i, &marks[blocks * width..], before, &after);
            chain.backward(i, &mut after);
        }
    }
    pool.give(after);
    pool.give(rows);
    pool.give(marks);
}
