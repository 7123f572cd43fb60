use super::*;
use ndarray::array;
use supple_core::{Inputs, Mode, Stream, evaluate, linearize};

fn all(softness: f64) -> [SoftRank; 4] {
    use Regularization::{Entropic, FourThirds, L2, ThreeHalves};
    let with = |regularization| SoftRank { softness, regularization, descending: false };
    [L2, Entropic, ThreeHalves, FourThirds].map(with)
}

#[test]
fn single_precision_is_right_at_a_million() {
    let mut random = Stream::new(0, 0, 0);
    let x: Vec<f32> = (0..1_000_000).map(|_| random.normal() as f32).collect();
    let wide: Vec<f64> = x.iter().map(|&x| x.into()).collect();
    for softness in [1e-6, 1e-3, 1.0] {
        let single = soft_rank(&x[..], softness).unwrap();
        let double = soft_rank(&wide[..], softness).unwrap();
        for (&single, &double) in single.iter().zip(&double) {
            let half_step = 0.5 * (single.next_up() - single) as f64;
            assert!((single as f64 - double).abs() <= half_step + 1e-4, "{single} {double}");
        }
    }
}

#[test]
fn neither_scale_nor_offset_changes_ranks() {
    let x: Vec<f32> = Stream::new(1, 0, 0).normals(200).iter().map(|&x| (x * 64.0).round() as f32).collect();
    for op in all(3.0) {
        let [expected] = evaluate(&op, [ndarray::aview1(&x).into_dyn()]).unwrap();
        for (scale, offset) in [(f32::exp2(-33.0), 0.0), (f32::exp2(30.0), 0.0), (1.0, 65536.0)] {
            let moved: Vec<f32> = x.iter().map(|x| x * scale + offset).collect();
            let op = SoftRank { softness: 3.0 * scale as f64, ..op.clone() };
            let [ranks] = evaluate(&op, [ndarray::aview1(&moved).into_dyn()]).unwrap();
            assert!(ranks.iter().zip(&expected).all(|(a, b)| (a - b).abs() <= 1e-5 * b), "{op:?}");
        }
    }
}

#[test]
fn infinities_have_ranks_and_nan_spoils() {
    let inf = f64::INFINITY;
    let x = array![-inf, 3.0, inf, -inf, 7.0].into_dyn();
    for op in all(0.1) {
        let at = linearize(&op, [x.view()]).unwrap();
        let ranks = at.outputs()[0].mapv(|rank: f64| (rank * 1e12).round() / 1e12);
        assert_eq!(ranks, array![1.5, 3.0, 5.0, 1.5, 4.0].into_dyn());
        let soft = SoftRank { softness: 30.0, ..op.clone() };
        let wide = linearize(&soft, [x.view()]).unwrap();
        let ranks = wide.outputs()[0].mapv(|rank: f64| (rank * 1e12).round() / 1e12);
        assert_eq!([ranks[0], ranks[2], ranks[3]], [1.5, 5.0, 1.5]);
        assert!(
            (ranks[1] + ranks[4] - 7.0).abs() < 1e-11 && 3.0 < ranks[1] && ranks[1] < 3.5,
            "{op:?} {ranks}"
        );
        let [dx] = wide.vjp([array![1.0, 2.0, 3.0, 4.0, 5.0].into_dyn().view()]).unwrap();
        assert_eq!([dx[0], dx[2], dx[3]], [0.0; 3]);
        assert!((dx[1] + dx[4]).abs() < 1e-15 && dx[4] > 0.01, "{op:?} {dx}");
        let hard = Inputs::from([x.view()]).mode(Mode::Hard);
        let [hard] = evaluate(&op, hard).unwrap();
        assert_eq!(hard, array![1.5, 3.0, 5.0, 1.5, 4.0].into_dyn());

        let rows = array![[1.0, f64::NAN, 0.0], [1.0, 2.0, 0.0]].into_dyn();
        let at = linearize(&op, [rows.view()]).unwrap();
        let [dx] = at.vjp([rows.view()]).unwrap();
        for result in [&at.outputs()[0], &dx] {
            assert_eq!(
                result.mapv(f64::is_nan),
                array![[true, true, true], [false, false, false]].into_dyn()
            );
        }
    }
}

#[test]
fn ties_share_the_mean_of_their_places() {
    let x = array![2.0, 1.0, 2.0, 3.0, 1.0, 2.0];
    let expected = array![4.0, 1.5, 4.0, 6.0, 1.5, 4.0];
    assert_eq!(soft_rank(&x, 1e-9).unwrap(), expected);
    let hard = Inputs::from([x.view().into_dyn()]).mode(Mode::Hard);
    assert_eq!(evaluate(&SoftRank::default(), hard).unwrap(), [expected.into_dyn()]);
}

#[test]
fn p_norms_are_right_at_a_hundred_thousand_in_single_precision() {
    let x: Vec<f32> = Stream::new(3, 0, 0).normals(100_000).iter().map(|&x| x as f32).collect();
    let wide: Vec<f64> = x.iter().map(|&x| x.into()).collect();
    for softness in [1e-6, 1e-3, 0.1, 10.0, 1e6] {
        for op in &all(softness)[2..] {
            let [single] = evaluate(op, [ndarray::aview1(&x).into_dyn()]).unwrap();
            let [double] = evaluate(op, [ndarray::aview1(&wide).into_dyn()]).unwrap();
            let mean = double.sum() / 1e5;
            assert!((mean - 50_000.5).abs() < 1e-8, "{op:?}: {mean}");
            for (&single, &double) in single.iter().zip(&double) {
                let half_step = 0.5 * f64::from(single.next_up() - single);
                assert!((f64::from(single) - double).abs() <= half_step * 1.001, "{single} {double}");
            }
        }
    }
}
