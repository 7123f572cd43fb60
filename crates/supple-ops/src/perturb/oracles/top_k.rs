//! The `k` largest of `n`.

use super::rows;
use crate::perturb::Oracle;
use supple_core::{Error, Fault};

/// Maximises over the 0/1 vectors with `k` ones: one at the `k` largest scores, of equal ones at the first.
/// `k = 1` is argmax. Expected cost O(n).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TopK {
    /// How many.
    pub k: usize,
}

impl Oracle for TopK {
    fn solve(&self, theta: &[f64], y: &mut [f64]) -> Result<(), Fault> {
        self.solve_many(theta.len(), theta, y)
    }

    fn solve_many(&self, n: usize, thetas: &[f64], ys: &mut [f64]) -> Result<(), Fault> {
        let mut order: Vec<u32> = vec![];
        rows::each(self, n, thetas, ys, |theta, y| {
            order.clear();
            candidates(theta, self.k, &mut order);
            if self.k < order.len() {
                let score = |i: u32| theta[i as usize];
                let larger = |&i: &u32, &j: &u32| score(j).total_cmp(&score(i)).then(i.cmp(&j));
                order.select_nth_unstable_by(self.k - 1, larger);
            }
            order[..self.k].iter().for_each(|&i| y[i as usize] = 1.0);
            Ok(())
        })
    }

    fn validate(&self, n: usize) -> Result<(), Error> {
        if (1..=n).contains(&self.k) {
            return Ok(());
        }
        Err(Error::argument("top_k", "k", format!("in 1..={n}"), self.k))
    }
}

/// The places of the `k` largest, and of few others, in order. The largest of each of 64 interleaved parts are found
/// side by side; no fewer than k numbers are as large as the k-th of those.
fn candidates(theta: &[f64], k: usize, places: &mut Vec<u32>) {
    const PARTS: usize = 64;
    const BLOCK: usize = 16;
    if 2 * k > PARTS || theta.len() < 2 * PARTS {
        return places.extend(0..theta.len() as u32);
    }
    let mut largest = [f64::NEG_INFINITY; PARTS];
    for row in theta.chunks_exact(PARTS) {
        largest
            .iter_mut()
            .zip(row)
            .for_each(|(largest, &x)| *largest = if x > *largest { x } else { *largest });
    }
    let (_, &mut bound, _) = largest.select_nth_unstable_by(k - 1, |a, b| b.total_cmp(a));
    for (block, values) in theta.chunks(BLOCK).enumerate() {
        // A sum of numbers, which the compiler keeps in registers, where bits would be gathered.
        if values.iter().map(|&x| (x >= bound) as u64).sum::<u64>() > 0 {
            let first = (BLOCK * block) as u32;
            places.extend((first..).zip(values).filter(|(_, x)| **x >= bound).map(|(i, _)| i));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::perturb::oracles::rows::testing::{check_refusals, solved};

    #[test]
    fn takes_the_largest_and_of_equal_ones_the_first() {
        let theta = [1.0, 3.0, f64::NEG_INFINITY, 3.0, 2.0, 1.0];
        let mut expected = [0.0; 6];
        for (k, next) in [1, 3, 4, 0, 5, 2].into_iter().enumerate() {
            expected[next] = 1.0;
            let mut y = [0.0; 6];
            TopK { k: k + 1 }.solve(&theta, &mut y).unwrap();
            assert_eq!(y, expected, "k = {}", k + 1);
        }
        let mut random = supple_core::Stream::new(3, 0, 0);
        for n in [65, 70, 200] {
            // Whole numbers, with ties.
            let theta: Vec<f64> = (0..n).map(|_| random.below(20) as f64).collect();
            let mut order: Vec<usize> = (0..n).collect();
            order.sort_by(|&i, &j| theta[j].total_cmp(&theta[i]));
            for k in [1, 2, 17, 63, 64, 65] {
                let y = solved(&TopK { k }, &theta).unwrap();
                assert!((0..n).all(|i| y[i] == order[..k].contains(&i) as u8 as f64), "{k} of {n}");
            }
        }
        assert!(TopK { k: 7 }.validate(6).is_err() && TopK { k: 0 }.validate(6).is_err());
        assert!(matches!(solved(&TopK { k: 3 }, &[1.0, 2.0]), Err(Fault::Oracle(_))));
        check_refusals(&TopK { k: 2 }, 3);
    }
}
