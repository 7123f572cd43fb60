//! Knapsacks.

use super::rows;
use crate::perturb::Oracle;
use supple_core::{Error, Fault};

const NAME: &str = "knapsack";
/// The largest table of one bit for each item and capacity, with 128 bits more for each capacity: 1 GiB.
const MOST_BITS: u64 = 1 << 33;

/// Maximises over the sets of items whose weights, which are whole numbers, fit a capacity: `theta` holds the
/// values of the items, and `y` is 1 on those taken.
///
/// Exact, by dynamic programming over items and capacities: O(n W) for a capacity W, after division of all
/// weights by their greatest common divisor, and n W / 8 + 16 W bytes. An item is taken only if that makes the value
/// larger: one of value 0 or less is never taken, nor −∞, and of equally good sets the one without the later
/// items is. With a value of +∞ among those that fit, one such item is taken, and what else is not told.
///
/// Bellman, *Dynamic Programming*, 1957.
///
/// ```
/// use supple_ops::perturb::Oracle;
/// use supple_ops::perturb::oracles::Knapsack;
///
/// let mut y = [0.0; 3];
/// Knapsack::new(&[2, 3, 4], 5)?.solve(&[3.0, 4.0, 5.0], &mut y)?;
/// assert_eq!(y, [1.0, 1.0, 0.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Knapsack {
    /// Divided by their greatest common divisor; more than the capacity where an item does not fit.
    weights: Vec<usize>,
    /// Divided too, and no more than all that fit weigh together.
    capacity: usize,
}

impl Knapsack {
    /// Items of these weights. A weight may be 0, or more than the capacity.
    pub fn new(weights: &[usize], capacity: usize) -> Result<Self, Error> {
        let fitting = || weights.iter().filter(|&&weight| weight <= capacity);
        let divisor = fitting().fold(0, |a, &b| greatest_common_divisor(a, b)).max(1);
        let all = fitting().fold(0, |sum: usize, weight| sum.saturating_add(*weight));
        let reduced = capacity.min(all) / divisor;
        // Two rows of numbers beside a bit for each item.
        if reduced as u64 >= MOST_BITS / (weights.len() as u64 + 128) {
            let most =
                format!("less than 2^33 / (128 + {} items) × {divisor}, the common divisor", weights.len());
            return Err(Error::argument(NAME, "capacity", most, capacity));
        }
        let scaled =
            weights.iter().map(|&weight| if weight <= capacity { weight / divisor } else { usize::MAX });
        Ok(Self { weights: scaled.collect(), capacity: reduced })
    }
}

fn greatest_common_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

impl Oracle for Knapsack {
    fn solve(&self, theta: &[f64], y: &mut [f64]) -> Result<(), Fault> {
        self.solve_many(theta.len(), theta, y)
    }

    fn solve_many(&self, n: usize, thetas: &[f64], ys: &mut [f64]) -> Result<(), Fault> {
        // The largest value from the items so far for each capacity, and for each item where it is taken.
        let mut best = vec![0.0; self.capacity + 1];
        let mut next = best.clone();
        let words = best.len().div_ceil(64);
        let mut taken = vec![0; words * self.weights.len()];
        let items = || self.weights.iter().enumerate().filter(|(_, weight)| **weight <= self.capacity);
        rows::each(self, n, thetas, ys, |theta, y| {
            best.fill(0.0);
            for (item, &weight) in items().filter(|(item, _)| theta[*item] > 0.0) {
                let taken = &mut taken[item * words..][..words];
                add(&best, &mut next, weight, theta[item], taken);
                std::mem::swap(&mut best, &mut next);
            }
            let mut room = self.capacity;
            for (item, &weight) in items().filter(|(item, _)| theta[*item] > 0.0).rev() {
                if weight <= room && taken[item * words + room / 64] >> (room % 64) & 1 == 1 {
                    y[item] = 1.0;
                    room -= weight;
                }
            }
            Ok(())
        })
    }

    fn validate(&self, n: usize) -> Result<(), Error> {
        rows::length(NAME, n, self.weights.len(), "item")
    }

    fn work(&self, n: usize) -> usize {
        n.saturating_mul(self.capacity + 1)
    }
}

/// Offers one more item to every capacity that it fits, and says in the bits of `taken` where it is worth its
/// room.
fn add(best: &[f64], next: &mut [f64], weight: usize, value: f64, taken: &mut [u64]) {
    taken.fill(0);
    next[..weight].copy_from_slice(&best[..weight]);
    for (word, taken) in taken.iter_mut().enumerate().skip(weight / 64) {
        let (start, end) = (weight.max(64 * word), best.len().min(64 * word + 64));
        let (next, without) = (&mut next[start..end], &best[start..end]);
        let less = &best[start - weight..end - weight];
        let mut bits = 0;
        for (bit, ((next, &without), less)) in next.iter_mut().zip(without).zip(less).enumerate() {
            let with = less + value;
            *next = if with > without { with } else { without };
            bits |= ((with > without) as u64) << bit;
        }
        *taken = bits << (start % 64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::perturb::oracles::rows::testing::{
        check_refusals, check_solve_many, objective, solved, value,
    };
    use supple_core::Stream;

    #[test]
    fn finds_the_best_of_all_sets() {
        let mut random = Stream::new(16, 0, 0);
        for case in 0..800 {
            let n = random.below(10);
            // By turns within one word of bits, and over several.
            let (unit, most) = [(1, 12), (1, 150), (7, 12), (60, 40)][random.below(4)];
            let weights: Vec<usize> = (0..n).map(|_| unit * random.below(most)).collect();
            let capacity = random.below(unit * most * 3);
            let knapsack = Knapsack::new(&weights, capacity).unwrap();
            let mut theta = objective(&mut random, n);
            if case % 2 == 0 {
                theta.iter_mut().for_each(|theta| *theta = theta.abs());
            }
            let among = |set: usize| (0..n).filter(move |item| set >> item & 1 == 1);
            let sets = (0..1 << n).filter(|&set| among(set).map(|i| weights[i]).sum::<usize>() <= capacity);
            let sum = |set| among(set).map(|i| theta[i]).sum::<f64>();
            let best = sets.map(sum).fold(f64::NEG_INFINITY, f64::max);
            let y = solved(&knapsack, &theta).unwrap();
            let weight: f64 = weights.iter().zip(&y).map(|(weight, y)| *weight as f64 * y).sum();
            assert!(weight <= capacity as f64 && y.iter().all(|&y| y == 0.0 || y == 1.0));
            let total = value(&theta, &y);
            assert!(total == best || (total - best).abs() < 1e-12, "{weights:?} {capacity} {theta:?}");
            assert!(theta.iter().zip(&y).all(|(theta, y)| *y == 0.0 || *theta > 0.0));
            if n > 0 {
                check_solve_many(&knapsack, n, &mut random);
                check_refusals(&knapsack, n);
            }
        }
    }

    #[test]
    fn ties_infinities_and_extreme_weights() {
        assert_eq!(solved(&Knapsack::new(&[], 3).unwrap(), &[]), Ok(vec![]));
        let two = Knapsack::new(&[1, 1], 1).unwrap();
        assert_eq!(solved(&two, &[2.0, 2.0]), Ok(vec![1.0, 0.0]));
        assert_eq!(solved(&two, &[2.0, f64::INFINITY]), Ok(vec![0.0, 1.0]));
        assert_eq!(solved(&two, &[0.0, f64::NEG_INFINITY]), Ok(vec![0.0, 0.0]));
        // All fit, whatever the capacity; nothing does.
        let light = Knapsack::new(&[5, 0, 3], usize::MAX).unwrap();
        assert_eq!(solved(&light, &[1.0, 1.0, 1.0]), Ok(vec![1.0; 3]));
        assert_eq!(solved(&Knapsack::new(&[0, 1], 0).unwrap(), &[1.0, 1.0]), Ok(vec![1.0, 0.0]));
        let heavy = Knapsack::new(&[usize::MAX - 1, usize::MAX - 1], usize::MAX).unwrap();
        assert_eq!(solved(&heavy, &[1.0, 2.0]), Ok(vec![0.0, 1.0]));
        let error = Knapsack::new(&[1 << 40, 1 << 40 | 1], 1 << 40).unwrap().validate(3).unwrap_err();
        assert_eq!(error.to_string(), "knapsack: `theta` must be of 2 numbers, one for each item, got 3");
        let error = Knapsack::new(&[1 << 40, (1 << 40) - 1], 1 << 40).unwrap_err().to_string();
        let expected = "less than 2^33 / (128 + 2 items) × 1, the common divisor, got 1099511627776";
        assert_eq!(error, format!("knapsack: `capacity` must be {expected}"));
    }

    #[test]
    fn finite_values_do_not_overflow() {
        let knapsack = Knapsack::new(&[1, 1, 1], 3).unwrap();
        assert_eq!(solved(&knapsack, &[1e308; 3]), Ok(vec![1.0; 3]));
        let whole_limit = Knapsack::new(&[1 << 31, (1 << 31) + 1], (1 << 32) - 1);
        assert!(whole_limit.unwrap_err().to_string().contains("capacity"));
    }
}
