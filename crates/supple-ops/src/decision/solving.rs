//! What the operators that hold a solver share.

use crate::perturb::Oracle;
use supple_core::{Error, Fault, Real};

/// `x + step · direction`, or nothing where that is not a number.
pub(super) fn moved(x: &[f64], step: f64, direction: &[f64]) -> Option<Vec<f64>> {
    let moved: Vec<f64> = x.iter().zip(direction).map(|(x, d)| x + step * d).collect();
    moved.iter().all(|x| !x.is_nan()).then_some(moved)
}

/// Writes `(upper − lower) / step`, or NaN where the solver had no answer.
pub(super) fn quotient<T: Real>(upper: Option<&[f64]>, lower: Option<&[f64]>, step: f64, dx: &mut [T]) {
    let (Some(upper), Some(lower)) = (upper, lower) else { return dx.fill(T::nan()) };
    for ((dx, upper), lower) in dx.iter_mut().zip(upper).zip(lower) {
        *dx = T::of((upper - lower) / step);
    }
}

/// The values, without tangents.
pub(super) fn values<T: Real>(x: &[T]) -> Vec<f64> {
    x.iter().map(|x| x.as_f64()).collect()
}

/// The values of an input, all of them finite.
pub(super) fn finite<T: Real>(argument: &'static str, x: &[T]) -> Result<Vec<f64>, Fault> {
    let x = values(x);
    match x.iter().find(|x| !x.is_finite()) {
        Some(&value) => Err(Fault::Domain { argument, requirement: "finite", value }),
        None => Ok(x),
    }
}

/// Refuses a parameter that is not finite and above 0.
pub(super) fn positive(operator: &str, argument: &str, value: f64) -> Result<(), Error> {
    if value > 0.0 && value.is_finite() {
        return Ok(());
    }
    Err(Error::argument(operator, argument, "finite and > 0", value))
}

/// Refuses a solver that is exact for one sign of the scores only, for losses that ask at others than their user's.
pub(super) fn either_sign(operator: &str, oracle: &impl Oracle) -> Result<(), Error> {
    if oracle.takes_either_sign() {
        return Ok(());
    }
    let requirement = "one that maximises for scores of either sign";
    Err(Error::argument(operator, "oracle", requirement, "one that counts negative costs as 0"))
}

#[cfg(test)]
pub(super) mod testing {
    use crate::perturb::Oracle;
    use ndarray::{ArrayD, aview1};
    use supple_core::{Error, Fault, Operator, linearize};

    /// Maximises by trying all.
    #[derive(Debug, Clone)]
    pub struct BruteForce(pub Vec<Vec<f64>>);

    impl BruteForce {
        /// The 0/1 vectors with `k` ones.
        pub fn masks(n: usize, k: u32) -> Self {
            Self::sets(n, |set| set.count_ones() == k)
        }

        /// The 0/1 vectors of the sets that are allowed.
        pub fn sets(n: usize, allowed: impl Fn(u32) -> bool) -> Self {
            let mask = |set: u32| (0..n).map(|i| (set >> i & 1) as f64).collect();
            Self((0..1 << n).filter(|&set| allowed(set)).map(mask).collect())
        }

        /// The largest `⟨theta, y⟩`.
        pub fn value(&self, theta: &[f64]) -> f64 {
            self.0.iter().map(|y| dot(theta, y)).fold(f64::NEG_INFINITY, f64::max)
        }

        pub fn best(&self, theta: &[f64]) -> Vec<f64> {
            let mut y = vec![0.0; theta.len()];
            self.solve(theta, &mut y).unwrap();
            y
        }
    }

    impl Oracle for BruteForce {
        fn solve(&self, theta: &[f64], y: &mut [f64]) -> Result<(), Fault> {
            let best = self.0.iter().max_by(|a, b| dot(theta, a).total_cmp(&dot(theta, b)));
            y.copy_from_slice(best.ok_or(Fault::Infeasible)?);
            Ok(())
        }
    }

    pub fn dot(a: &[f64], b: &[f64]) -> f64 {
        a.iter().zip(b).map(|(a, b)| a * b).sum()
    }

    pub fn plus(a: &[f64], step: f64, b: &[f64]) -> Vec<f64> {
        a.iter().zip(b).map(|(a, b)| a + step * b).collect()
    }

    /// The outputs and the gradients of one item.
    pub fn both<P: Operator<I>, const I: usize>(
        operator: &P,
        x: [&[f64]; I],
        dy: &[f64],
    ) -> Result<(Vec<f64>, [Vec<f64>; I]), Error> {
        let at = linearize(operator, x.map(|x| aview1(x).into_dyn()))?;
        let [y] = at.outputs();
        let dy = ArrayD::from_shape_vec(y.raw_dim(), dy.to_vec()).unwrap();
        let gradients = at.vjp([dy.view()])?;
        Ok((y.iter().copied().collect(), gradients.map(|dx| dx.into_iter().collect())))
    }

    /// A loss, its gradients, and their largest distance from central differences of the loss.
    pub fn checked<P: Operator<2>>(operator: &P, x: [&[f64]; 2]) -> (f64, [Vec<f64>; 2], f64) {
        let loss = |x: [&[f64]; 2]| both(operator, x, &[1.0]).unwrap().0[0];
        let (value, gradients) = both(operator, x, &[1.0]).unwrap();
        let mut worst: f64 = 0.0;
        for (input, gradient) in gradients.iter().enumerate() {
            for (i, d) in gradient.iter().enumerate() {
                let at = |step: f64| {
                    let mut own = x.map(|x| x.to_vec());
                    own[input][i] += step;
                    loss([&own[0], &own[1]])
                };
                worst = worst.max((d - (at(1e-6) - at(-1e-6)) / 2e-6).abs());
            }
        }
        (value[0], gradients, worst)
    }
}
