//! Ranks.

use super::rows;
use crate::perturb::Oracle;
use supple_core::{Fault, Scratch};
use supple_numerics::argsort::argsort;

/// Maximises over the permutations of 1, 2, …, n: `theta` holds scores, and `y` their ranks, 1 for the least
/// and n for the largest.
///
/// It sorts, O(n log n) or less. Of equal scores the first has the lower rank; −0 is below 0, and infinities
/// are numbers like any other. For rank 1 at the largest score, hand in the negated scores.
///
/// Hardy, Littlewood and Pólya, *Inequalities*, 1934: a sum of products is largest where both are in the same
/// order.
///
/// ```
/// use supple_core::Fault;
/// use supple_ops::perturb::Oracle;
/// use supple_ops::perturb::oracles::Ranking;
///
/// let mut y = [0.0; 4];
/// Ranking.solve(&[0.5, 3.0, -1.0, 0.5], &mut y)?;
/// assert_eq!(y, [2.0, 4.0, 1.0, 3.0]);
/// # Ok::<(), Fault>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ranking;

impl Oracle for Ranking {
    fn solve(&self, theta: &[f64], y: &mut [f64]) -> Result<(), Fault> {
        self.solve_many(theta.len(), theta, y)
    }

    fn solve_many(&self, n: usize, thetas: &[f64], ys: &mut [f64]) -> Result<(), Fault> {
        let mut scratch = Scratch::default();
        rows::each(self, n, thetas, ys, |theta, y| {
            let (order, sorted) = argsort(theta, false, &mut scratch);
            order.iter().zip(1..).for_each(|(&i, rank)| y[i as usize] = rank as f64);
            scratch.indices.give(order);
            scratch.reals.give(sorted);
            Ok(())
        })
    }

    fn work(&self, n: usize) -> usize {
        10 * n
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::perturb::oracles::rows::testing::{
        check_refusals, check_solve_many, objective, solved, value,
    };
    use supple_core::Stream;

    /// The largest sum over all permutations, by trying them.
    fn largest(theta: &[f64], ranks: &mut [f64], from: usize) -> f64 {
        if from == ranks.len() {
            return value(theta, ranks);
        }
        let mut best = f64::NEG_INFINITY;
        for i in from..ranks.len() {
            ranks.swap(from, i);
            best = best.max(largest(theta, ranks, from + 1));
            ranks.swap(from, i);
        }
        best
    }

    #[test]
    fn finds_the_best_of_all_permutations() {
        let mut random = Stream::new(11, 0, 0);
        for _ in 0..300 {
            let n = 1 + random.below(6);
            let mut theta = objective(&mut random, n);
            theta.iter_mut().for_each(|theta| *theta = theta.max(-9.0));
            let mut ranks: Vec<f64> = (1..=n).map(|rank| rank as f64).collect();
            let best = largest(&theta, &mut ranks, 0);
            let mut y = solved(&Ranking, &theta).unwrap();
            assert!((value(&theta, &y) - best).abs() < 1e-12);
            y.sort_by(f64::total_cmp);
            assert_eq!(y, ranks);
        }
    }

    #[test]
    fn counts_what_is_less_or_equal_and_earlier() {
        let mut random = Stream::new(12, 0, 0);
        for _ in 0..200 {
            let n = 1 + random.below(700);
            let theta = objective(&mut random, n);
            let before = |i: usize, j: usize| theta[j] < theta[i] || theta[j] == theta[i] && j <= i;
            let expected = (0..n).map(|i| (0..n).filter(|&j| before(i, j)).count() as f64);
            assert_eq!(solved(&Ranking, &theta), Ok(expected.collect()));
        }
        for n in [1, 2, 30, 500] {
            check_solve_many(&Ranking, n, &mut random);
            check_refusals(&Ranking, n);
        }
    }

    #[test]
    fn zeros_are_told_apart_and_infinities_have_ranks() {
        assert_eq!(solved(&Ranking, &[]), Ok(vec![]));
        let theta = [0.0, f64::INFINITY, -0.0, f64::NEG_INFINITY, f64::INFINITY];
        assert_eq!(solved(&Ranking, &theta), Ok(vec![3.0, 4.0, 2.0, 1.0, 5.0]));
    }
}
