use super::walk::walk_in_blocks;
use super::*;
use supple_core::{Dual, Stream};

fn pool<A: Real>() -> Pool<A> {
    Pool::default()
}

fn centred(mut z: Vec<f64>, k: usize) -> Vec<f64> {
    let mut sorted = z.clone();
    sorted.sort_by(|a, b| b.total_cmp(a));
    z.iter_mut().for_each(|z| *z -= sorted[k - 1]);
    z
}

/// All subsets of size k as bits, with their weights.
fn enumerated(z: &[f64], k: usize) -> Vec<(usize, f64)> {
    let subsets = (0..1usize << z.len()).filter(|s| s.count_ones() as usize == k);
    let sum = |s: usize| z.iter().enumerate().filter(|(i, _)| s >> i & 1 == 1).map(|(_, z)| z).sum::<f64>();
    subsets.map(|s| (s, sum(s).exp())).collect()
}

#[test]
fn sums_are_those_over_all_subsets() {
    for (n, scale) in [(1, 1.0), (4, 0.3), (9, 3.0), (9, 30.0), (7, 0.0)] {
        for k in 1..=n {
            let mut random = Stream::new(9, n, k);
            let z = centred((0..n).map(|_| scale * random.normal()).collect(), k);
            let v = random.normals(n);
            let all = enumerated(&z, k);
            let total: f64 = all.iter().map(|(_, w)| w).sum();
            let answers = Answers::new(&z, k, &mut pool());
            assert!((answers.yes.iter().sum::<f64>() - k as f64 + 0.5).abs() < 0.1001);
            let odds: f64 = z.iter().map(|z| (z - answers.tilt).exp().ln_1p()).sum();
            let log = answers.counts(k, &mut pool())[k].ln() + k as f64 * answers.tilt + odds;
            assert!((log - total.ln()).abs() < 1e-12 * (1.0 + log.abs()), "{log} for {}", total.ln());

            let is_in = |s: usize, i: usize| (s >> i & 1) as f64;
            let sum_of = |s: usize| v.iter().enumerate().map(|(i, v)| v * is_in(s, i)).sum::<f64>();
            let mean = |f: &dyn Fn(usize) -> f64| all.iter().map(|(s, w)| w * f(*s)).sum::<f64>() / total;
            marginals(&answers, k, false, &mut pool(), |i, p| {
                let expected = mean(&|s| is_in(s, i));
                assert!((p - expected).abs() < 1e-13, "{p} for {expected}");
            });
            let fewer = enumerated(&z, k - 1);
            let fewer_total: f64 = fewer.iter().map(|(_, w)| w).sum();
            marginals(&answers, k, true, &mut pool(), |i, p| {
                let less = fewer.iter().map(|(s, w)| w * is_in(*s, i)).sum::<f64>() / fewer_total;
                let expected = mean(&|s| is_in(s, i)) - less;
                assert!((p - expected).abs() < 1e-13, "{p} for {expected}");
            });
            covariances(&answers, k, &v, &mut pool(), |i, c| {
                let expected = mean(&|s| is_in(s, i) * sum_of(s)) - mean(&|s| is_in(s, i)) * mean(&sum_of);
                assert!((c - expected).abs() < 1e-12, "{c} for {expected}");
            });
        }
    }
}

#[test]
fn blocks_change_nothing() {
    let mut random = Stream::new(3, 0, 0);
    let (n, k) = (37, 5);
    let z = centred(random.normals(n), k);
    let v = random.normals(n);
    let answers = Answers::new(&z, k, &mut pool());
    let chain = Sums { counts: Counts { answers: &answers, k }, v: &v };
    let rows = |block: usize| {
        let mut rows = vec![];
        walk_in_blocks(&chain, n, block, &mut pool(), |i, all, before, after| {
            rows.push((i, all.to_vec(), before.to_vec(), after.to_vec()));
        });
        rows
    };
    let whole = rows(n);
    assert_eq!(whole.len(), n);
    for block in [1, 6, 7, 36, 40] {
        assert_eq!(rows(block), whole, "block {block}");
    }
}

#[test]
fn what_is_negligible_is_left_out() {
    let (n, k) = (2000, 900);
    let z = centred(Stream::new(6, 0, 0).normals(n), k);
    let answers = Answers::new(&z, k, &mut pool());
    let sound = |x: f64| x == 0.0 || x >= f64::MIN_POSITIVE;
    let (mut left_out, mut total) = (0, 0.0);
    walk(&Counts { answers: &answers, k }, n, &mut pool(), |i, all, before, after| {
        for (j, (&before, &after)) in before[..k].iter().zip(&after[1..]).enumerate() {
            assert!(sound(before) && sound(after) && sound(before * after), "item {i}, {j} before");
            left_out += (j <= i && before == 0.0) as usize;
        }
        total += answers.yes[i] * dot(&before[..k], &after[1..]) / all[k];
    });
    assert!(left_out > 0 && (total / k as f64 - 1.0).abs() < 1e-12, "{left_out} left out, {total}");
}

#[test]
fn covariances_scale() {
    let (n, k, scale) = (1500, 600, (-500f64).exp2());
    let mut random = Stream::new(7, 0, 0);
    let z = centred(random.normals(n), k);
    let v = random.normals(n);
    let answers = Answers::new(&z, k, &mut pool());
    let mut expected = vec![0.0; n];
    covariances(&answers, k, &v, &mut pool(), |i, c| expected[i] = scale * c);
    let small: Vec<f64> = v.iter().map(|v| scale * v).collect();
    covariances(&answers, k, &small, &mut pool(), |i, c| {
        assert!((c - expected[i]).abs() <= 1e-12 * scale, "{c:e} for {:e}", expected[i]);
    });
}

#[test]
fn large_and_far_apart() {
    // Equal weights, enough of them to be walked through in blocks.
    let (n, k) = (20_000, 40);
    let answers = Answers::new(&vec![0.0; n], k, &mut pool());
    marginals(&answers, k, false, &mut pool(), |_, p: f64| {
        assert!((p * n as f64 / k as f64 - 1.0).abs() < 1e-11)
    });
    // A choice without doubt, and half of the items without a chance.
    let z: Vec<f64> =
        (0..2000).map(|i| if i % 2 == 0 { -1e4 * i as f64 } else { f64::NEG_INFINITY }).collect();
    let z = centred(z, 300);
    let answers = Answers::new(&z, 300, &mut pool());
    marginals(&answers, 300, false, &mut pool(), |i, p| {
        let chosen = (i % 2 == 0 && i < 600) as u8 as f64;
        assert!((p - chosen).abs() < 1e-12, "{i}: {p}");
    });
}

#[test]
fn marginals_carry_tangents() {
    let (z, k) = (centred(vec![0.3, -1.0, 2.0, 0.4, 0.0, -3.0], 3), 3);
    let v: Vec<f64> = (0..z.len()).map(|i| (i as f64).cos()).collect();
    let duals: Vec<_> = z.iter().zip(&v).map(|(&z, &v)| Dual::new(z, v)).collect();
    let mut tangents = vec![0.0; z.len()];
    let answers = Answers::new(&duals, k, &mut pool());
    marginals(&answers, k, false, &mut pool(), |i, p| tangents[i] = p.d);
    let answers = Answers::new(&z, k, &mut pool());
    covariances(&answers, k, &v, &mut pool(), |i, c| assert!((c - tangents[i]).abs() < 1e-14));
}

#[test]
fn samples_have_the_right_frequencies() {
    let (z, k, count) = (centred(vec![0.5, -1.0, 1.5, 0.0, 0.2], 2), 2, 100_000);
    let answers = Answers::new(&z, k, &mut pool());
    let mut found = vec![0.0; 1 << z.len()];
    for sample_number in 0..count {
        let uniform = |i: usize| Stream::new(5, sample_number, i).uniform();
        let mut subset = 0;
        sample(&answers, k, uniform, &mut pool(), |i| subset |= 1 << i);
        found[subset] += 1.0;
    }
    let all = enumerated(&z, k);
    let total: f64 = all.iter().map(|(_, w)| w).sum();
    assert_eq!(found.iter().sum::<f64>(), all.iter().map(|(s, _)| found[*s]).sum::<f64>());
    for (subset, weight) in all {
        let expected = weight / total * count as f64;
        let off = (found[subset] - expected) / expected.sqrt();
        assert!(off.abs() < 4.5, "{subset:b}: {} of {expected}", found[subset]);
    }
}
