//! What wrapping does to noise, offsets and scales. That a wrapped operator keeps the contract is checked by the
//! harness.

use ndarray::{Array, ArrayD, Ix1, array};
use supple_core::*;

/// `y = u x` for one random number u of each item; the hard form is u.
#[derive(Clone, Debug, Default)]
struct Noisy {
    seed: Option<u64>,
}

impl Noisy {
    fn draw(seed: u64, item: usize) -> f64 {
        Stream::new(seed, item, 0).uniform()
    }
}

impl Operator for Noisy {
    const NAME: &'static str = "noisy";
    const SIGNATURE: &'static str = "x(n) -> y(n)";
    type Saved<T: Real> = u64;

    fn forward<T: Real>(
        &self,
        at: Args<'_, T>,
        [y]: [&mut [T]; 1],
        seed: &mut u64,
        _: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        *seed = self.seed.unwrap_or_else(Stream::fresh_seed);
        let u = T::of(Self::draw(*seed, at.item));
        y.iter_mut().zip(at.x[0]).for_each(|(y, &x)| *y = u * x);
        Ok(())
    }

    fn vjp<T: Real>(&self, at: Point<'_, T, u64>, [dy]: [&[T]; 1], [dx]: [&mut [T]; 1], _: &mut Scratch<T>) {
        let u = T::of(Self::draw(*at.saved, at.item));
        dx.iter_mut().zip(dy).for_each(|(dx, &dy)| *dx = u * dy);
    }

    fn lift<F: Float>(
        &self,
        at: Args<'_, Dual<F>>,
        values: Point<'_, F, u64>,
        y: [&mut [Dual<F>]; 1],
        seed: &mut u64,
        scratch: &mut Scratch<Dual<F>>,
    ) -> Result<(), Fault> {
        Self { seed: Some(*values.saved) }.forward(at, y, seed, scratch)
    }

    fn hard<T: Float>(&self, at: Args<'_, T>, [y]: [&mut [T]; 1], _: &mut Scratch<T>) -> Result<(), Fault> {
        let seed = self.seed.unwrap_or_else(Stream::fresh_seed);
        y.fill(T::of(Self::draw(seed, at.item)));
        Ok(())
    }

    fn hard_at<T: Float>(
        &self,
        at: Args<'_, T>,
        seed: &u64,
        y: [&mut [T]; 1],
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        Self { seed: Some(*seed) }.hard(at, y, scratch)
    }

    fn scaling(&self) -> Option<Scaling> {
        Some(Scaling { softness: 1.0, power: 1, inputs: [1], outputs: [1] })
    }
}

/// Value, gradient and tangent of a call in a mode.
fn all<P: Operator<1, 1, K>, const K: usize>(
    operator: &P,
    inputs: Inputs<'_, f64, 1, K>,
) -> [Array<f64, Ix1>; 4] {
    let Inputs { x: [x], k, options } = inputs;
    let at =
        linearize(operator, Inputs { x: [x.view()], k: k.each_ref().map(|k| k.view()), options }).unwrap();
    let [y] = at.outputs();
    let ones = ArrayD::ones(y.raw_dim());
    let [dx] = at.vjp([ones.view()]).unwrap();
    let [jv] = at.jvp([ones.view()]).unwrap();
    let ([again], _) = at.vjp_derivative([ones.view()], [ones.view()]).unwrap();
    [y.clone(), dx, jv, again].map(|array| array.into_dimensionality().unwrap())
}

#[test]
fn value_and_derivatives_belong_to_one_draw() {
    let (noisy, segmented) = (Noisy::default(), Segmented(Noisy::default()));
    let standardized = Standardized(segmented.clone());
    let [ones, spread] = [array![1.0, 1.0, 1.0, 1.0], array![3.0, -1.0, 1.0, 4.0]].map(Array::into_dyn);
    let segment = array![3i64, 1, 1, 3].into_dyn();
    for mode in [Mode::Soft, Mode::StraightThrough] {
        let plain = all(&noisy, Inputs::from([ones.view()]).mode(mode));
        let segments = |x: &ArrayD<f64>| {
            let inputs = Inputs::from(([x.view()], [segment.view()])).mode(mode);
            [all(&segmented, inputs.clone()), all(&standardized, inputs)]
        };
        let [[a, b], [c, d]] = [segments(&ones), segments(&spread)];
        // What is standardised has a hard form with noise of its own.
        for ([y, dx, jv, again], own) in [(plain, false), (a, false), (b, true), (c, false), (d, true)] {
            let near = |a: &Array<f64, Ix1>, b: &Array<f64, Ix1>| (a - b).iter().all(|gap| gap.abs() < 1e-14);
            // The derivative of what scales as x does is the operator's own, whatever σ.
            assert!(near(&dx, &jv) && near(&jv, &again), "{dx} {jv} {again}");
            assert!(mode == Mode::Soft || own || near(&y, &dx), "{y} {dx}");
        }
    }
}

#[test]
fn each_segment_draws_for_itself() {
    let x = ArrayD::<f64>::ones(ndarray::IxDyn(&[3, 6]));
    let segment = array![0i64, 5, 0, 5, 9, 9].into_dyn();
    let operator = Segmented(Noisy { seed: Some(7) });
    let [y] = evaluate(&operator, ([x.view()], [segment.view()])).unwrap();
    let mut drawn: Vec<f64> = y.iter().copied().collect();
    drawn.sort_by(f64::total_cmp);
    drawn.dedup();
    assert_eq!(drawn.len(), 9, "{y}");
    // The first segment draws what the operator alone would.
    let [alone] = evaluate(&operator.0, [x.view()]).unwrap();
    assert!((0..3).all(|item| y[[item, 0]] == alone[[item, 0]] && y[[item, 2]] == alone[[item, 2]]));
}

/// Gaps to the first entry, in units of the softness.
#[derive(Clone)]
struct Gaps {
    softness: f64,
}

impl Operator for Gaps {
    const NAME: &'static str = "gaps";
    const SIGNATURE: &'static str = "x(n>=1) -> y(n)";
    type Saved<T: Real> = ();

    fn forward<T: Real>(
        &self,
        at: Args<'_, T>,
        [y]: [&mut [T]; 1],
        _: &mut (),
        _: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let softness = T::of(self.softness);
        y.iter_mut().zip(at.x[0]).for_each(|(y, &x)| *y = (x - at.x[0][0]) / softness);
        Ok(())
    }

    fn vjp<T: Real>(&self, _: Point<'_, T, ()>, [dy]: [&[T]; 1], [dx]: [&mut [T]; 1], _: &mut Scratch<T>) {
        let softness = T::of(self.softness);
        dx.iter_mut().zip(dy).for_each(|(dx, &dy)| *dx = dy / softness);
        dx[0] -= T::sum_wide(dy.iter().copied()) / softness;
    }

    fn scaling(&self) -> Option<Scaling> {
        Some(Scaling { softness: self.softness, power: 1, inputs: [1], outputs: [0] })
    }
}

/// Values and the gradient for the cotangent `1, 2, 3, …` of standardised gaps.
fn gaps<T: Float>(x: &[T]) -> [Vec<f64>; 2] {
    let x = Array::from(x.to_vec()).into_dyn();
    let at = linearize(&Standardized(Gaps { softness: 1.0 }), [x.view()]).unwrap();
    let dy = Array::from_shape_fn(x.len(), |i| T::of(1.0 + i as f64)).into_dyn();
    let [dx] = at.vjp([dy.view()]).unwrap();
    [&at.outputs()[0], &dx].map(|values| values.iter().map(|v| v.to_f64()).collect())
}

#[test]
fn equal_values_are_divided_by_one() {
    fn check<T: Float>() {
        let constants = [0.1, 0.3, 1e-30, 3.3e9, -7.7, 1.0 / 3.0, 1e-3];
        for (c, n) in constants.into_iter().flat_map(|c| (1..40).map(move |n| (c, n))) {
            let [y, dx] = gaps(&vec![T::of(c); n]);
            let expected = (2..=n).map(|i| i as f64);
            assert!(y.iter().all(|&y| y == 0.0));
            assert!(dx[1..].iter().copied().eq(expected.clone()), "{n} times {c}: {dx:?}");
            assert_eq!(dx[0], -expected.sum::<f64>());
        }
    }
    check::<f32>();
    check::<f64>();
}

#[test]
fn single_precision_loses_nothing_by_an_offset() {
    let [y, dx] = gaps(&[16_777_216.0f32, 16_777_218.0, 16_777_220.0]);
    let [expected, slope] = gaps(&[0.0f64, 2.0, 4.0]);
    assert!(y.iter().zip(&expected).all(|(y, e)| (y - e).abs() < 1e-6), "{y:?}");
    assert!(dx.iter().zip(&slope).all(|(y, e)| (y - e).abs() < 1e-5), "{dx:?} {slope:?}");
    // What scales as x does is not read after it was rounded: here the gradient is that of `y = u x`.
    let x = array![16_777_216.0f32, 16_777_218.0, 16_777_220.0].into_dyn();
    for seed in 0..20 {
        let noisy = Standardized(Noisy { seed: Some(seed) });
        let [dx] = linearize(&noisy, [x.view()]).unwrap().vjp([x.mapv(|_| 1.0).view()]).unwrap();
        let u = Noisy::draw(seed, 0) as f32;
        assert!(dx.iter().all(|dx| (dx - u).abs() < 1e-6), "{dx} {u}");
    }
}

#[test]
fn a_softness_without_an_inverse_is_refused() {
    let x = array![1.0f32, 2.0].into_dyn();
    assert_eq!(
        evaluate(&Standardized(Gaps { softness: 1e-310 }), [x.view()]).unwrap_err().to_string(),
        "gaps: `softness` must be finite in f64, and its inverse too, got 1e-310"
    );
    // In single precision the operator alone would refuse this one.
    assert!(evaluate(&Standardized(Gaps { softness: 1e-300 }), [x.view()]).is_ok());
}

#[test]
fn gradients_scale_to_the_ends_of_the_range() {
    fn check<T: Float>(powers: &[i32], tolerance: f64) {
        let x = [0.3, 2.0, -1.0, 0.4].map(T::of);
        let [y, dx] = gaps(&x);
        for &power in powers {
            let c = 2f64.powi(power);
            let [scaled_y, scaled_dx] = gaps(&x.map(|x| x * T::of(c)));
            let near = |a: f64, b: f64| (a - b).abs() <= tolerance;
            assert!(scaled_y.iter().zip(&y).all(|(a, b)| near(*a, *b)), "2^{power}: {scaled_y:?}");
            assert!(scaled_dx.iter().zip(&dx).all(|(a, b)| near(a * c, *b)), "2^{power}: {scaled_dx:?}");
        }
    }
    check::<f32>(&[-100, -66, 66, 120], 1e-5);
    check::<f64>(&[-1000, -565, 565, 1000], 1e-13);
}
