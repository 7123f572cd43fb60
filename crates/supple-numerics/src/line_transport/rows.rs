//! The rows of a plan on a line: for each value, the shares of the places.
//!
//! With thresholds $\theta_k$ and the rate $\kappa$, neighbouring shares of the value $x$ are in the ratio
//! $p_{j+1} / p_j = e^{\kappa (x - \theta_j)}$. They rise to the place that $x$ has among the thresholds and
//! fall from there; what is left of a share below [`DEPTH`] is left out.
//!
//! Unnormalised, a share is $e^{\kappa j (x - c)}$ times what does not depend on $x$. Sums over places are
//! therefore entire functions of $x$, and where many values lie close to each other in the sense that their
//! rows overlap, such a sum is interpolated: it is computed at a few Chebyshev nodes, to the last digit.
//! So n rows cost as much as some ten for each width of a row.

use crate::elementary::{exp_slice, sum_by};
use multiversion::multiversion;
use std::ops::Range;
use supple_core::Real;

/// Shares less than `exp(−DEPTH)` of the largest are left out: double precision cannot see them in a sum.
const DEPTH: f64 = 42.0;
/// Half the width of a block may be this many inverse standard deviations of its rows.
const REACH: f64 = 1.5;
/// Shorter runs of values are not interpolated.
const SHORTEST: usize = 16;

/// Rows, each normalised to one.
#[derive(Debug, Default)]
pub(super) struct Rows {
    /// How the values are divided, with the number of nodes for each part, or 0 where each value is one.
    parts: Vec<(Range<usize>, usize)>,
    pub blocks: Vec<Block>,
    /// The rows at the nodes of all blocks, each over the columns of its block.
    kernel: Vec<f64>,
    /// For each value of a block, the weights of the block's nodes.
    weights: Vec<f64>,
    /// The mean place of each row, less the home of its block.
    pub lean: Vec<f64>,
}

/// Values next to each other, with rows from the same nodes.
#[derive(Debug, Clone)]
pub(super) struct Block {
    pub values: Range<usize>,
    pub columns: Range<usize>,
    /// A place in the middle: moments are about it.
    pub home: usize,
    pub nodes: usize,
    kernel: usize,
    /// Where the weights are, unless each value is a node.
    weights: Option<usize>,
}

/// What rows are made of.
#[derive(Clone, Copy)]
pub(super) struct Family<'a> {
    /// The thresholds are the sums of these two. Quantiles are values or between two of them; where rows are
    /// narrow, shifts are small, and may be much smaller than the last digit of the quantile.
    pub quantiles: &'a [f64],
    pub shifts: &'a [f64],
    pub rate: f64,
}

impl Family<'_> {
    /// The place of `x` among the thresholds.
    fn home(&self, x: f64) -> usize {
        // A search by halves, as `partition_point`, over the pairs.
        let (mut below, mut above) = (0, self.quantiles.len());
        while below < above {
            let middle = usize::midpoint(below, above);
            if self.excess(x, middle) > 0.0 { below = middle + 1 } else { above = middle }
        }
        below
    }

    /// By how much `x` is above a threshold.
    #[inline]
    fn excess(&self, x: f64, threshold: usize) -> f64 {
        (x - self.quantiles[threshold]) - self.shifts[threshold]
    }

    /// Visits the logarithms of the shares from `home` down to the first place, relative to that at `home`,
    /// until one is too small. Returns where it stopped.
    fn below(&self, x: f64, home: usize, depth: f64, mut visit: impl FnMut(f64)) -> usize {
        let (mut share, mut top) = (0.0f64, 0.0f64);
        for place in (0..home).rev() {
            share -= self.rate * self.excess(x, place);
            top = top.max(share);
            if share < top - depth {
                return place + 1;
            }
            visit(share);
        }
        0
    }

    /// The same up to the last place.
    fn above(&self, x: f64, home: usize, depth: f64, mut visit: impl FnMut(f64)) -> usize {
        let (mut share, mut top) = (0.0f64, 0.0f64);
        for place in home..self.quantiles.len() {
            share += self.rate * self.excess(x, place);
            top = top.max(share);
            if share < top - depth {
                return place + 1;
            }
            visit(share);
        }
        self.quantiles.len() + 1
    }

    /// Appends the shares of `x`, which sum to one, down to `exp(−depth)` of the largest. Returns the places.
    pub fn row(&self, x: f64, depth: f64, shares: &mut Vec<f64>) -> Range<usize> {
        let (home, start) = (self.home(x), shares.len());
        let first = self.below(x, home, depth, |share| shares.push(share));
        shares[start..].reverse();
        shares.push(0.0);
        let end = self.above(x, home, depth, |share| shares.push(share));
        let row = &mut shares[start..];
        exp_slice(row);
        let sum: f64 = row.iter().sum();
        row.iter_mut().for_each(|share| *share /= sum);
        first..end
    }

    /// The mean place in the row of `x`, and its variance.
    fn moments(&self, x: f64, buffer: &mut Vec<f64>) -> (f64, f64) {
        buffer.clear();
        let places = self.row(x, DEPTH, buffer);
        let moment = |centre: f64, power: i32| -> f64 {
            places.clone().zip(&*buffer).map(|(j, p)| p * (j as f64 - centre).powi(power)).sum()
        };
        let mean = places.start as f64 + moment(places.start as f64, 1);
        (mean, moment(mean, 2))
    }
}

/// Enough Chebyshev nodes for a Gaussian of unit width on an interval of this half width.
fn enough_nodes(half_width: f64) -> usize {
    let error = |n: usize| n as f64 * (0.825 * half_width / (n as f64).sqrt()).ln();
    (1..=40).find(|&n| error(n) < -38.0).unwrap_or(40)
}

impl Rows {
    /// The rows of values in ascending order, in blocks that suit them.
    pub fn new(x: &[f64], family: Family<'_>) -> Self {
        let mut rows = Self::default();
        rows.divide(x, family);
        rows.refresh(x, family);
        rows
    }

    /// Finds blocks.
    pub fn divide(&mut self, x: &[f64], family: Family<'_>) {
        self.parts.clear();
        let mut buffer = vec![];
        let mut todo = vec![(0, x.len())];
        while let Some((start, end)) = todo.pop() {
            let (values, part) = (start..end, &x[start..end]);
            let [first, .., last] = part else {
                // One value has its own row; of none, there is nothing.
                values.for_each(|i| self.parts.push((i..i + 1, 0)));
                continue;
            };
            let length = family.rate * (last - first);
            let split = if part.len() < SHORTEST {
                // The variance of a row is about the distance of the places by that of the values.
                let places = family.home(*last) - family.home(*first) + 1;
                if 0.25 * length * (places as f64) <= REACH * REACH {
                    self.parts.push((values, 0));
                    continue;
                }
                part.len() / 2
            } else {
                let moments = [*first, part[part.len() / 2], *last].map(|x| family.moments(x, &mut buffer));
                // The variance is the derivative of the mean: from both ends, its average follows.
                let average = if length > 0.0 { (moments[2].0 - moments[0].0) / length } else { 0.0 };
                let variance = moments.into_iter().fold(average, |most, (_, variance)| most.max(variance));
                let half_width = 0.5 * length * variance.sqrt();
                if half_width <= REACH && length <= 4.0 * REACH {
                    // A margin, as rows between the three may be wider.
                    let nodes = enough_nodes(1.3 * half_width);
                    self.parts.push(if 3 * nodes <= 2 * part.len() { (values, nodes) } else { (values, 0) });
                    continue;
                }
                part.partition_point(|&x| x <= 0.5 * (first + last)).min(part.len() - 1)
            };
            todo.push((start + split, end));
            todo.push((start, start + split));
        }
    }

    /// Computes the rows, in the blocks that there are.
    pub fn refresh(&mut self, x: &[f64], family: Family<'_>) {
        self.blocks.clear();
        self.kernel.clear();
        self.weights.clear();
        self.lean.clear();
        for part in 0..self.parts.len() {
            let (values, nodes) = self.parts[part].clone();
            match values.len() {
                1 => self.push_single(values.start, x[values.start], family),
                _ => self.push_block(values, x, nodes, family),
            }
        }
    }

    fn push_single(&mut self, i: usize, x: f64, family: Family<'_>) {
        let kernel = self.kernel.len();
        let columns = family.row(x, DEPTH, &mut self.kernel);
        let home = family.home(x);
        let places = columns.clone().map(|j| j as f64 - home as f64);
        self.lean.push(places.zip(&self.kernel[kernel..]).map(|(j, p)| j * p).sum());
        self.blocks.push(Block { values: i..i + 1, columns, home, nodes: 1, kernel, weights: None });
    }

    fn push_block(&mut self, values: Range<usize>, x: &[f64], nodes: usize, family: Family<'_>) {
        let x = &x[values.clone()];
        let (first, last) = (x[0], x[x.len() - 1]);
        let (centre, half_width) = (0.5 * (first + last), 0.5 * (last - first));
        let home = family.home(centre);
        let start = family.below(first, family.home(first), DEPTH, |_| {}).min(home);
        let end = family.above(last, family.home(last), DEPTH, |_| {}).max(home + 1);
        let mut base = vec![0.0; end - start];
        for place in (start..home).rev() {
            base[place - start] = base[place + 1 - start] - family.rate * family.excess(centre, place);
        }
        for place in home..end - 1 {
            base[place + 1 - start] = base[place - start] + family.rate * family.excess(centre, place);
        }
        exp_slice(&mut base);
        let places: Vec<f64> = (start..end).map(|j| j as f64 - home as f64).collect();

        let kernel = self.kernel.len();
        let mut block = Block { values, columns: start..end, home, nodes: x.len(), kernel, weights: None };
        let tilted = |gap: f64, kernel: &mut Vec<f64>| {
            push_tilted(&base, family.rate * gap, (home - start) as f64, kernel);
        };
        if nodes == 0 {
            for &x in x {
                let at = self.kernel.len();
                tilted(x - centre, &mut self.kernel);
                let row = &mut self.kernel[at..];
                let share = 1.0 / sum_by(row, row, |e, _| e);
                row.iter_mut().for_each(|p| *p *= share);
                self.lean.push(sum_by(row, &places, |p, j| p * j));
            }
            return self.blocks.push(block);
        }
        let angles = (0..nodes).map(|q| (q as f64 + 0.5) * std::f64::consts::PI / nodes as f64);
        // The nodes of [−1, 1], and their weights in the barycentric formula.
        let signs = [1.0, -1.0].into_iter().cycle();
        let chebyshev: Vec<(f64, f64)> =
            angles.zip(signs).map(|(angle, sign)| (angle.cos(), sign * angle.sin())).collect();
        chebyshev.iter().for_each(|(node, _)| tilted(half_width * node, &mut self.kernel));
        let rows = self.kernel[kernel..].chunks_exact(base.len());
        let sums: Vec<(f64, f64)> =
            rows.map(|row| (sum_by(row, row, |e, _| e), sum_by(row, &places, |e, j| e * j))).collect();
        (block.nodes, block.weights) = (nodes, Some(self.weights.len()));
        for &x in x {
            let at = self.weights.len();
            let u = if half_width > 0.0 { (x - centre) / half_width } else { 0.0 };
            self.weights.extend(chebyshev.iter().map(|(node, weight)| weight / (u - node)));
            let weights = &mut self.weights[at..];
            if let Some(hit) = chebyshev.iter().position(|&(node, _)| node == u) {
                weights.fill(0.0);
                weights[hit] = 1.0;
            }
            let norm: f64 = weights.iter().zip(&sums).map(|(w, (sum, _))| w * sum).sum();
            weights.iter_mut().for_each(|w| *w /= norm);
            self.lean.push(weights.iter().zip(&sums).map(|(w, (_, moment))| w * moment).sum());
        }
        self.blocks.push(block);
    }

    /// The rows at a block's nodes, one after the other.
    pub fn kernel(&self, block: &Block) -> &[f64] {
        &self.kernel[block.kernel..][..block.nodes * block.columns.len()]
    }

    /// `Σ_i g[i] weights[i]`: what values hand to their nodes.
    pub fn gather<A: Real<Acc = A>>(&self, block: &Block, g: impl Iterator<Item = A>, nodes: &mut Vec<A>) {
        nodes.clear();
        let Some(weights) = block.weights else { return nodes.extend(g) };
        nodes.resize(block.nodes, A::zero());
        for (weights, g) in self.weights[weights..].chunks_exact(block.nodes).zip(g) {
            nodes.iter_mut().zip(weights).for_each(|(node, &w)| *node += A::of(w) * g);
        }
    }

    /// Hands the nodes' `sums` back: visits the values with what they get.
    pub fn hand_out<A: Real<Acc = A>>(&self, block: &Block, sums: &[A], mut visit: impl FnMut(usize, A)) {
        let values = block.values.clone();
        let Some(weights) = block.weights else { return values.zip(sums).for_each(|(i, &s)| visit(i, s)) };
        for (i, weights) in values.zip(self.weights[weights..].chunks_exact(block.nodes)) {
            visit(i, dot(weights, sums));
        }
    }

    /// For each row, the mean of `f` and its covariance with the place.
    pub fn means<A: Real<Acc = A>>(&self, f: &[A]) -> (Vec<A>, Vec<A>) {
        let (mut means, mut slopes) = (vec![A::zero(); self.lean.len()], vec![A::zero(); self.lean.len()]);
        let (mut rise, mut turn) = (vec![], vec![]);
        let [mut sums, mut moments] = [vec![], vec![]];
        for block in &self.blocks {
            let at_home = f[block.home];
            rise.clear();
            rise.extend(f[block.columns.clone()].iter().map(|&f| f - at_home));
            turn.clear();
            let from_home = block.columns.clone().map(|j| A::of(j as f64 - block.home as f64));
            turn.extend(rise.iter().zip(from_home).map(|(&f, j)| f * j));
            for (f, sums) in [(&rise, &mut sums), (&turn, &mut moments)] {
                sums.clear();
                sums.extend(self.kernel(block).chunks_exact(f.len()).map(|row| dot(row, f)));
            }
            self.hand_out(block, &sums, |i, mean| means[i] = at_home + mean);
            self.hand_out(block, &moments, |i, moment| {
                slopes[i] = moment - A::of(self.lean[i]) * (means[i] - at_home);
            });
        }
        (means, slopes)
    }

    /// For each of `m` places, the sum of `g` over the rows.
    pub fn totals<A: Real<Acc = A>>(&self, g: &[A], m: usize) -> Vec<A> {
        let (mut totals, mut nodes) = (vec![A::zero(); m], vec![]);
        for block in &self.blocks {
            self.gather(block, g[block.values.clone()].iter().copied(), &mut nodes);
            let totals = &mut totals[block.columns.clone()];
            for (row, &g) in self.kernel(block).chunks_exact(totals.len()).zip(&nodes) {
                totals.iter_mut().zip(row).for_each(|(total, &e)| *total += A::of(e) * g);
            }
        }
        totals
    }
}

/// `Σ row[j] f[j]` in four partial sums.
fn dot<A: Real>(row: &[f64], f: &[A]) -> A {
    crate::factor::dot(row, f, A::of)
}

/// Appends `base[j] exp(tilt (j − home))`: the exponential as a product of two from short tables.
fn push_tilted(base: &[f64], tilt: f64, home: f64, row: &mut Vec<f64>) {
    const STEP: usize = 16;
    let fine: [f64; STEP] = std::array::from_fn(|j| (tilt * j as f64).exp());
    for (start, base) in (0..).step_by(STEP).zip(base.chunks(STEP)) {
        let coarse = (tilt * (start as f64 - home)).exp();
        row.extend(base.iter().zip(&fine).map(|(b, f)| b * (coarse * f)));
    }
}

/// `sums[q] = Σ_j kernel[q][j] f[j]`.
#[multiversion(targets("x86_64+avx2"))]
pub(super) fn multiply(kernel: &[f64], f: &[f64], sums: &mut [f64]) {
    for (sum, row) in sums.iter_mut().zip(kernel.chunks_exact(f.len())) {
        *sum = sum_by(row, f, |e, f| e * f);
    }
}

/// `totals[j] −= Σ_q kernel[q][j] g[q]`.
#[multiversion(targets("x86_64+avx2"))]
pub(super) fn subtract_transposed(kernel: &[f64], g: &[f64], totals: &mut [f64]) {
    let n = totals.len();
    let (rows, factors) = (kernel.chunks_exact(4 * n), g.chunks_exact(4));
    let rest = rows.remainder().chunks_exact(n).zip(factors.remainder());
    for (rows, g) in rows.zip(factors) {
        let (first, second) = rows.split_at(2 * n);
        let ((p0, p1), (p2, p3)) = (first.split_at(n), second.split_at(n));
        let pairs = p0.iter().zip(p1).zip(p2.iter().zip(p3));
        for (total, ((p0, p1), (p2, p3))) in totals.iter_mut().zip(pairs) {
            *total -= (g[0] * p0 + g[1] * p1) + (g[2] * p2 + g[3] * p3);
        }
    }
    for (row, g) in rest {
        totals.iter_mut().zip(row).for_each(|(total, p)| *total -= g * p);
    }
}
