//! Sums of exponentials as power series.

use supple_core::Real;

/// Terms of a series, at most.
pub(super) const TERMS: usize = 64;

/// `Σ w e^{u t}` over given `w` and `t`: its power series in `u`.
pub(super) struct Series<A> {
    /// Σ w tᵏ / k!.
    coefficients: [A; TERMS],
    terms: usize,
}

impl<A: Real<Acc = A>> Series<A> {
    /// With so many terms. `powers` is room to work in.
    pub fn new(w: &[A], t: &[A], terms: usize, powers: &mut Vec<A>) -> Self {
        powers.clear();
        powers.extend_from_slice(w);
        let (mut coefficients, mut factor) = ([A::zero(); TERMS], 1.0);
        for (pair, two) in coefficients[..terms.next_multiple_of(2)].chunks_exact_mut(2).enumerate() {
            let sums = next_moments(powers, t);
            for (i, (to, sum)) in two.iter_mut().zip(sums).enumerate() {
                *to = sum * A::of(factor);
                factor /= (2 * pair + i + 1) as f64;
            }
        }
        Self { coefficients, terms }
    }
}

/// `Σ p` and `Σ p t`; `p` becomes `p t²`.
fn next_moments<A: Real>(p: &mut [A], t: &[A]) -> [A; 2] {
    let mut sums = [[A::zero(); 4]; 2];
    let mut add = |p: &mut [A], t: &[A]| {
        let [even, odd] = &mut sums;
        for (((p, &t), even), odd) in p.iter_mut().zip(t).zip(even).zip(odd) {
            *even += *p;
            let next = *p * t;
            *odd += next;
            *p = next * t;
        }
    };
    let ((p_rows, p_rest), (t_rows, t_rest)) = (p.as_chunks_mut::<4>(), t.as_chunks::<4>());
    p_rows.iter_mut().zip(t_rows).for_each(|(p, t)| add(p, t));
    add(p_rest, t_rest);
    sums.map(|sums| sums.into_iter().sum())
}

/// Visits each of the arguments with the values and the derivatives of series there.
pub(super) fn evaluate<A: Real<Acc = A>, const N: usize>(
    series: [&Series<A>; N],
    arguments: &[A],
    mut visit: impl FnMut(usize, [(A, A); N]),
) {
    const LANES: usize = 4;
    for (row, chunk) in arguments.chunks(LANES).enumerate() {
        let mut x = [A::zero(); LANES];
        x[..chunk.len()].copy_from_slice(chunk);
        let mut values = [[(A::zero(), A::zero()); LANES]; N];
        for k in (0..series[0].terms).rev() {
            for (values, series) in values.iter_mut().zip(series) {
                for ((value, slope), &x) in values.iter_mut().zip(&x) {
                    *slope = *slope * x + *value;
                    *value = *value * x + series.coefficients[k];
                }
            }
        }
        for lane in 0..chunk.len() {
            visit(row * LANES + lane, values.map(|values| values[lane]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_their_sums() {
        let points = |n: usize| (0..n).map(|i| 2.0 * (i as f64 * 0.7).sin()).collect::<Vec<f64>>();
        let (w, t, u) = (points(13), points(13), points(7));
        let series = Series::new(&w, &t, 41, &mut Vec::new());
        let mut visits = 0;
        evaluate([&series, &series], &u, |i, both| {
            let terms = || w.iter().zip(&t).map(|(w, t)| (t, w * (u[i] * t).exp()));
            let (sum, slope): (f64, f64) =
                (terms().map(|(_, term)| term).sum(), terms().map(|(t, term)| t * term).sum());
            for (value, derivative) in both {
                assert!((value - sum).abs() < 1e-13 * 60.0, "{value} for {sum}");
                assert!((derivative - slope).abs() < 1e-13 * 120.0, "{derivative} for {slope}");
            }
            visits += 1;
        });
        assert_eq!(visits, 7);
    }
}
