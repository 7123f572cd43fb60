use super::*;
use ndarray::{array, aview1};
use supple_core::{Stream, evaluate, linearize};

#[test]
fn single_precision_is_right_at_a_million() {
    let mut random = Stream::new(0, 0, 0);
    let x: Vec<f32> = (0..1_000_000).map(|_| random.normal() as f32).collect();
    let wide: Vec<f64> = x.iter().map(|&x| x.into()).collect();
    for softness in [1e-6, 3e5, 1e9] {
        let single = soft_sort(&x[..], softness).unwrap();
        let double = soft_sort(&wide[..], softness).unwrap();
        assert!(single.iter().zip(&double).all(|(&a, &b)| (a as f64 - b).abs() <= 1e-6 * (1.0 + b.abs())));
    }
}

#[test]
fn entropic_weights_do_not_overflow() {
    let op = SoftSort { softness: 100.0, regularization: Regularization::Entropic, descending: false };
    let x = array![1e4, -1e4, 0.0, 1e4].into_dyn();
    let at = linearize(&op, [x.view()]).unwrap();
    assert!(at.outputs()[0].iter().all(|y| (y + 1e4).abs() < 10.0), "{}", at.outputs()[0]);
    let [dx] = at.vjp([array![1.0, 1.0, 1.0, 1.0].into_dyn().view()]).unwrap();
    assert_eq!(dx, array![0.0, 4.0, 0.0, 0.0].into_dyn());
}

const ALL: [Regularization; 4] =
    [Regularization::L2, Regularization::Entropic, Regularization::ThreeHalves, Regularization::FourThirds];

#[test]
fn infinities_come_first_and_last_and_the_rest_is_sorted_alone() {
    let inf = f64::INFINITY;
    let x = array![2.0, inf, -1.0, -inf, 2.5, -inf, 0.5].into_dyn();
    let finite = array![2.0, -1.0, 2.5, 0.5].into_dyn();
    for (regularization, descending) in ALL.into_iter().flat_map(|r| [(r, false), (r, true)]) {
        let op = SoftSort { softness: 0.8, regularization, descending };
        let (at, alone) = (linearize(&op, [x.view()]).unwrap(), linearize(&op, [finite.view()]).unwrap());
        let dy = array![1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0].into_dyn();
        let (first, ends) = if descending { (1, [6.0, 1.0, 7.0]) } else { (2, [1.0, 7.0, 2.0]) };
        let middle = first..first + 4;
        let (y, part) = (&at.outputs()[0], dy.slice_axis(ndarray::Axis(0), middle.clone().into()));
        let [dx] = at.vjp([dy.view()]).unwrap();
        let [dx_alone] = alone.vjp([part]).unwrap();
        let expected_ends = if descending { [inf, -inf, -inf] } else { [-inf, -inf, inf] };
        let outside: Vec<f64> = (0..7).filter(|k| !middle.contains(k)).map(|k| y[k]).collect();
        assert_eq!(outside, expected_ends, "{op:?}");
        assert!(y.iter().skip(first).zip(&alone.outputs()[0]).all(|(a, b)| a == b), "{op:?}");
        assert_eq!([dx[3], dx[1], dx[5]], ends, "{op:?}");
        assert_eq!([dx[0], dx[2], dx[4], dx[6]], [dx_alone[0], dx_alone[1], dx_alone[2], dx_alone[3]]);
        assert!(alone.outputs()[0].iter().zip(&finite).any(|(y, x)| y != x), "{op:?} pools nothing");
    }
    for x in [vec![inf], vec![-inf, inf], vec![inf, inf, -inf]] {
        for regularization in ALL {
            let op = SoftSort { regularization, ..SoftSort::default() };
            let at = linearize(&op, [aview1(&x).into_dyn()]).unwrap();
            let mut sorted = x.clone();
            sorted.sort_by(f64::total_cmp);
            assert_eq!(at.outputs()[0].as_slice(), Some(&sorted[..]));
            let [dx] = at.vjp([aview1(&vec![1.0; x.len()]).into_dyn()]).unwrap();
            assert!(dx.iter().all(|&dx| dx == 1.0));
        }
    }
}

#[test]
fn nan_spoils_its_item_only() {
    let rows = array![[2.0, f64::NAN, 1.0], [2.0, 1.0, 3.0]].into_dyn();
    for regularization in ALL {
        let op = SoftSort { regularization, ..SoftSort::default() };
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
fn p_norms_do_not_break_at_scales() {
    let x = Stream::new(3, 0, 0).normals(100_000);
    for (regularization, power) in [(Regularization::ThreeHalves, 2), (Regularization::FourThirds, 3)] {
        for softness in [1e-6, 1.0, 300.0, 3e4, 1e9] {
            let op = SoftSort { softness, regularization, descending: false };
            let single: Vec<f32> = x.iter().map(|&x| x as f32).collect();
            let wide: Vec<f64> = single.iter().map(|&x| x.into()).collect();
            let [single] = evaluate(&op, [aview1(&single).into_dyn()]).unwrap();
            let [double] = evaluate(&op, [aview1(&wide).into_dyn()]).unwrap();
            let total: f64 = wide.iter().sum();
            assert!((double.sum() - total).abs() < 1e-7, "{op:?}: {} for {total}", double.sum());
            assert!(double.iter().is_sorted());
            assert!(
                single.iter().zip(&double).all(|(&a, &b)| (f64::from(a) - b).abs() <= 1e-6 * b.abs() + 1e-9)
            );
            // Values 2ᵖ as large at half the softness have outputs 2ᵖ as large, bit by bit.
            let scaled: Vec<f64> = wide.iter().map(|x| x * f64::powi(2.0, -10 * power)).collect();
            let op = SoftSort { softness: softness * 1024.0, ..op };
            let [scaled] = evaluate(&op, [aview1(&scaled).into_dyn()]).unwrap();
            assert!(scaled.iter().zip(&double).all(|(a, b)| a * f64::powi(2.0, 10 * power) == *b), "{op:?}");
        }
    }
}
