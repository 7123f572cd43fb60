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
        let k = self.k;
        let mut order: Vec<u32> = vec![];
        rows::each(self, n, thetas, ys, |theta, y| {
            if k == 1 {
                y[largest(theta)] = 1.0;
                return Ok(());
            }
            order.clear();
            order.extend(0..n as u32);
            if k < n {
                let score = |i: u32| theta[i as usize];
                order.select_nth_unstable_by(k - 1, |&i, &j| score(j).total_cmp(&score(i)).then(i.cmp(&j)));
            }
            order[..k].iter().for_each(|&i| y[i as usize] = 1.0);
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

/// The first of the largest; 0 if there is none.
fn largest(x: &[f64]) -> usize {
    let mut best = 0;
    for (i, x_i) in x.iter().enumerate() {
        if x_i.total_cmp(&x[best]).is_gt() {
            best = i;
        }
    }
    best
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
        assert!(TopK { k: 7 }.validate(6).is_err() && TopK { k: 0 }.validate(6).is_err());
        assert!(matches!(solved(&TopK { k: 3 }, &[1.0, 2.0]), Err(Fault::Oracle(_))));
        check_refusals(&TopK { k: 2 }, 3);
    }
}
