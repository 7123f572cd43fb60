//! What the operators by entropic transport share: the places, weights, and the way back to the order of `x`.

use supple_core::{Fault, Real, Sample, Stream};
use supple_numerics::line_transport::{Line, Places, naive_plan};

/// n places of equal mass on [0, 1].
pub(super) fn places(n: usize, softness: f64, negate: bool) -> Places {
    let rate = 2.0 / (n.max(2) - 1) as f64 / softness;
    // A rate beyond is as good as infinite, or as zero, and could not be divided by.
    Places { negate, masses: vec![1.0 / n as f64; n], rate: rate.clamp(1e-290, 1e290) }
}

/// A few Newton steps with some products each.
pub(super) fn work(sizes: &[usize]) -> usize {
    sizes.first().map_or(0, |n| 3000 * n)
}

/// Refuses weights that are none.
pub(super) fn check<T: Real>(weights: &[T]) -> Result<(), Fault> {
    let domain = |requirement, value| Err(Fault::Domain { argument: "weights", requirement, value });
    let total: f64 = weights.iter().map(|w| w.as_f64()).sum();
    match weights.iter().map(|w| w.as_f64()).find(|w| !(*w >= 0.0 && w.is_finite())) {
        Some(w) => domain("finite and >= 0", w),
        None if total > 0.0 && total.is_finite() => Ok(()),
        None => domain("of a finite sum above 0", total),
    }
}

/// Writes the changes of sorted values in the order of `x`; infinite ones do not change.
pub(super) fn scatter<T: Real>(
    order: &[u32],
    line: &Line<T::Acc>,
    changes: impl Iterator<Item = T::Acc>,
    dx: &mut [T],
) {
    for (i, (&place, change)) in order.iter().zip(changes).enumerate() {
        if line.finite.contains(&i) {
            dx[place as usize] = T::narrow(change);
        }
    }
}

/// Writes the changes of weights for those of the masses, which are weights over their sum.
pub(super) fn scatter_masses<T: Real>(
    order: &[u32],
    line: &Line<T::Acc>,
    changes: &[T::Acc],
    dweights: &mut [T],
) {
    let mean: T::Acc = line.plan.problem().weights.iter().zip(changes).map(|(&a, &c)| a * c).sum();
    for (&place, &change) in order.iter().zip(changes) {
        dweights[place as usize] = T::narrow((change - mean) / line.total);
    }
}

/// Weights between 0.2 and 1.2.
pub(super) fn sample([n, m]: [usize; 2], random: &mut Stream) -> Sample<2> {
    let x = random.normals(n);
    Sample { x: [x, (0..m).map(|_| 0.2 + random.uniform()).collect()], k: [] }
}

/// The plan from values to ascending places, row-major, by its definition. For oracles.
pub(super) fn naive(x: &[f64], weights: &[f64], softness: f64) -> Vec<f64> {
    let n = x.len();
    let total: f64 = weights.iter().sum();
    let masses: Vec<f64> = weights.iter().map(|w| w / total).collect();
    let places: Vec<f64> = (0..n).map(|j| j as f64 / (n.max(2) - 1) as f64).collect();
    naive_plan(x, &masses, &places, &vec![1.0 / n as f64; n], softness)
}

#[cfg(test)]
mod tests {
    use super::super::sinkhorn_rank::SinkhornRank;
    use super::super::sinkhorn_sort::SinkhornSort;
    use ndarray::{Array1, ArrayD, array, aview1};
    use supple_core::{Inputs, Mode, Stream, evaluate, linearize};

    #[test]
    fn infinities_stay_and_nan_spoils() {
        let inf = f64::INFINITY;
        let x = array![[inf, 3.0, inf, -inf, 7.0], [1.0, f64::NAN, 0.0, 2.0, inf]].into_dyn();
        let ones = ArrayD::ones(x.raw_dim());
        let at =
            linearize(&SinkhornSort { softness: 0.01, descending: false }, [x.view(), ones.view()]).unwrap();
        let dy = array![[1.0, 2.0, 3.0, 4.0, 5.0], [1.0, 2.0, 3.0, 4.0, 5.0]].into_dyn();
        let [dx, dweights] = at.vjp([dy.view()]).unwrap();
        let y: Vec<f64> = at.outputs()[0].iter().copied().collect();
        assert_eq!((y[0], y[3], y[4]), (-inf, inf, inf));
        assert!((y[1] - 3.0).abs() < 1e-12 && (y[2] - 7.0).abs() < 1e-12, "{y:?}");
        assert!(dx.iter().chain(&dweights).take(5).all(|dx| dx.is_finite()), "{dx} {dweights}");
        assert!(y.iter().chain(&dx).enumerate().all(|(i, v)| v.is_nan() == (i % 10 >= 5)));
        let rank = SinkhornRank { softness: 0.01, descending: true };
        let [ranks] = evaluate(&rank, [x.view(), ones.view()]).unwrap();
        for (rank, expected) in ranks.iter().zip([1.5, 4.0, 1.5, 5.0, 3.0]) {
            assert!((rank - expected).abs() < 1e-12, "{ranks}");
        }
        // However far out the finite values are.
        let far = array![-inf, -1e300, 1.0, 9.0, 1e300, inf].into_dyn();
        let [ranks] = evaluate(&rank, [far.view(), ArrayD::ones(far.raw_dim()).view()]).unwrap();
        assert_eq!(ranks, array![6.0, 5.0, 4.0, 3.0, 2.0, 1.0].into_dyn());
    }

    #[test]
    fn a_value_without_weight_is_not_there() {
        let x = array![4.0, -3.0, 0.5, 100.0, 2.0].into_dyn();
        let weights = array![1.0, 1.0, 1.0, 0.0, 1.0].into_dyn();
        let op = SinkhornSort { softness: 0.3, descending: false };
        let at = linearize(&op, [x.view(), weights.view()]).unwrap();
        let [dx, _] = at.vjp([array![1.0, -2.0, 3.0, 0.5, 1.0].into_dyn().view()]).unwrap();
        let largest = at.outputs()[0].iter().copied().fold(0.0, f64::max);
        assert!(dx[3] == 0.0 && largest < 4.0, "{dx} {largest}");
    }

    #[test]
    fn the_hard_form_is_the_limit_with_weights_and_ties() {
        let x = array![4.0, -3.0, 0.5, 4.0, 2.0, 0.5, 0.25].into_dyn();
        for weights in [[1.0; 7], [0.7, 2.0, 0.3, 0.9, 1.0, 0.1, 5.5]] {
            let weights = Array1::from(weights.to_vec()).into_dyn();
            let gap = |soft: &ArrayD<f64>, hard: &ArrayD<f64>| {
                (soft - hard).iter().fold(0.0, |most: f64, gap| most.max(gap.abs()))
            };
            for descending in [false, true] {
                let inputs = |mode| Inputs::from([x.view(), weights.view()]).mode(mode);
                let op = SinkhornSort { softness: 1e-4, descending };
                let [soft] = evaluate(&op, inputs(Mode::Soft)).unwrap();
                let [limit] = evaluate(&op, inputs(Mode::Hard)).unwrap();
                assert!(gap(&soft, &limit) < 1e-9, "{soft} for {limit}");
                let op = SinkhornRank { softness: 1e-4, descending };
                let [soft] = evaluate(&op, inputs(Mode::Soft)).unwrap();
                let [limit] = evaluate(&op, inputs(Mode::Hard)).unwrap();
                assert!(gap(&soft, &limit) < 1e-9, "{soft} for {limit}");
            }
        }
    }

    #[test]
    fn long_items_keep_their_digits() {
        let n = 5000;
        let x: Vec<f32> = Stream::new(3, 0, 0).normals(n).iter().map(|&x| x as f32).collect();
        let ones = vec![1f32; n];
        for softness in [1e-6, 1e-2, 10.0] {
            let inputs = || [aview1(&x).into_dyn(), aview1(&ones).into_dyn()];
            let rank = SinkhornRank { softness, descending: false };
            let at = linearize(&rank, inputs()).unwrap();
            let total: f64 = at.outputs()[0].iter().map(|&rank| f64::from(rank)).sum();
            let expected = (n * (n + 1)) as f64 / 2.0;
            assert!((total / expected - 1.0).abs() < 1e-7, "softness {softness}: {total}");
            // A shift of all values changes no rank.
            let dy = aview1(&x).into_dyn();
            let [dx, _] = at.vjp([dy]).unwrap();
            let (sum, size) =
                dx.iter().fold((0.0, 0.0), |(sum, size), &d| (sum + f64::from(d), size + f64::from(d).abs()));
            assert!(sum.abs() <= 1e-5 * size, "softness {softness}: {sum} of {size}");
        }
    }
}
