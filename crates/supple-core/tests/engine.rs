//! What the engine says and does around a kernel. That it gives every item its own (strides, broadcasting,
//! ragged batches, threads) is checked by the harness at every operator.

use ndarray::{ArrayD, IxDyn, array};
use supple_core::*;

/// `y = A x` and its norm, for `A(m,n)`, with row numbers to leave out.
#[derive(Clone)]
struct Product;

impl Operator<2, 2, 1> for Product {
    const NAME: &'static str = "product";
    const SIGNATURE: &'static str = "A(m,n), x(n>=1), skip: index(k) -> y(m), norm()";
    type Saved<T: Real> = ();

    fn forward<T: Real>(
        &self,
        at: Args<'_, T, 2, 1>,
        [y, norm]: [&mut [T]; 2],
        _: &mut (),
        _: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let [m, n, _] = at.sizes();
        Fault::check_indices("skip", at.k[0], m)?;
        for (y, row) in y.iter_mut().zip(at.x[0].chunks_exact(n)) {
            *y = row.iter().zip(at.x[1]).map(|(&a, &x)| a * x).sum();
        }
        at.k[0].iter().for_each(|&i| y[i as usize] = T::zero());
        norm[0] = y.iter().map(|&y| y * y).sum();
        Ok(())
    }

    fn vjp<T: Real>(
        &self,
        at: Point<'_, T, (), 2, 2, 1>,
        [dy, dnorm]: [&[T]; 2],
        [da, dx]: [&mut [T]; 2],
        _: &mut Scratch<T>,
    ) {
        let [m, n, _] = at.sizes();
        for i in (0..m).filter(|&i| !at.k[0].contains(&(i as i64))) {
            let d = dy[i] + dnorm[0] * (at.y[0][i] + at.y[0][i]);
            for j in 0..n {
                da[i * n + j] += d * at.x[1][j];
                dx[j] += d * at.x[0][i * n + j];
            }
        }
    }
}

/// k copies of the same.
struct Copies {
    k: usize,
}

impl Operator for Copies {
    const NAME: &'static str = "copies";
    const SIGNATURE: &'static str = "x(n) -> y(k,n)";
    type Saved<T: Real> = ();

    fn validate(&self, _: &[usize]) -> Result<(), Error> {
        match self.k {
            0..10 => Ok(()),
            k => Err(Error::argument(Self::NAME, "k", "less than 10", k)),
        }
    }

    fn size(&self, symbol: &str) -> Option<usize> {
        (symbol == "k").then_some(self.k)
    }

    fn scaling(&self) -> Option<Scaling> {
        Some(Scaling { softness: 1.0, power: 1, inputs: [1], outputs: [1] })
    }

    fn forward<T: Real>(
        &self,
        at: Args<'_, T>,
        [y]: [&mut [T]; 1],
        _: &mut (),
        _: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        y.chunks_exact_mut(at.x[0].len()).for_each(|copy| copy.copy_from_slice(at.x[0]));
        Ok(())
    }

    fn vjp<T: Real>(&self, _: Point<'_, T, ()>, [dy]: [&[T]; 1], [dx]: [&mut [T]; 1], _: &mut Scratch<T>) {
        for copy in dy.chunks_exact(dx.len()) {
            dx.iter_mut().zip(copy).for_each(|(dx, &dy)| *dx += dy);
        }
    }
}

fn none() -> ArrayD<i64> {
    ArrayD::zeros(IxDyn(&[0]))
}

fn message<R>(result: Result<R, Error>) -> String {
    result.err().expect("an error").to_string()
}

#[test]
fn broadcasts_matrices_vectors_and_integer_inputs() {
    let a = array![[[1.0, 2.0], [3.0, 4.0]], [[0.0, 1.0], [1.0, 0.0]]].into_dyn();
    let x = array![1.0, 10.0].into_dyn();
    let skip = array![[0i64], [1]].into_dyn();
    let [y, norm] = evaluate(&Product, ([a.view(), x.view()], [skip.view()])).unwrap();
    assert_eq!(y, array![[0.0, 43.0], [10.0, 0.0]].into_dyn());
    assert_eq!(norm, array![1849.0, 100.0].into_dyn());

    let at = linearize(&Product, ([a.view(), x.view()], [skip.view()])).unwrap();
    let (ones, zeros) = (y.mapv(|_| 1.0), norm.mapv(|_| 0.0));
    let [da, dx] = at.vjp([ones.view(), zeros.view()]).unwrap();
    assert_eq!(da, array![[[0.0, 0.0], [1.0, 10.0]], [[1.0, 10.0], [0.0, 0.0]]].into_dyn());
    assert_eq!(dx, array![3.0, 5.0].into_dyn());
    let [jv, _] = at.jvp([a.mapv(|_| 0.0).view(), x.view()]).unwrap();
    assert_eq!(jv, y);
}

#[test]
fn ragged_items_lie_in_the_corner_of_their_padding() {
    let a = array![
        [[1.0, 2.0, f64::NAN], [3.0, 4.0, f64::NAN]],
        [[5.0, 6.0, 7.0], [f64::NAN, f64::NAN, f64::NAN]]
    ]
    .into_dyn();
    let x = array![[1.0, 1.0, f64::NAN], [1.0, 2.0, 3.0]].into_dyn();
    let none = none();
    let ragged = Inputs::from(([a.view(), x.view()], [none.view()]))
        .lengths("n", array![2, 3].into_dyn())
        .lengths("m", array![2, 1].into_dyn());
    let [y, norm] = evaluate(&Product, ragged).unwrap();
    assert_eq!(y, array![[3.0, 7.0], [38.0, 0.0]].into_dyn());
    assert_eq!(norm, array![58.0, 1444.0].into_dyn());
}

#[test]
fn a_fault_spoils_its_own_item() {
    let a = ArrayD::<f64>::ones(IxDyn(&[3, 2, 2]));
    let x = array![1.0, 1.0].into_dyn();
    let skip = array![[0i64], [7], [1]].into_dyn();
    let inputs = || ([a.view(), x.view()], [skip.view()]);
    assert_eq!(
        message(evaluate(&Product, inputs())),
        "product: item 1: `skip` has 7 at position 0, which must be in 0..2"
    );
    let ([y, norm], status) = evaluate_each(&Product, inputs()).unwrap();
    assert_eq!(status.iter().map(Option::is_some).collect::<Vec<_>>(), [false, true, false]);
    assert!(y.index_axis(ndarray::Axis(0), 1).iter().all(|y| y.is_nan()) && norm[[1]].is_nan());
    assert_eq!((norm[[0]], norm[[2]]), (4.0, 4.0));

    let at = linearize_each(&Product, inputs()).unwrap();
    assert_eq!(at.faults().len(), 1);
    let [da, dx] = at.vjp([y.mapv(|_| 1.0).view(), norm.mapv(|_| 0.0).view()]).unwrap();
    assert!(da.index_axis(ndarray::Axis(0), 1).iter().all(|&d| d == 0.0));
    assert_eq!(dx, array![2.0, 2.0].into_dyn());
}

#[test]
fn errors_name_operator_argument_requirement_and_value() {
    let ones = |shape: &[usize]| ArrayD::<f64>::ones(IxDyn(shape));
    let call = |a: &[usize], x: &[usize]| {
        message(evaluate(&Product, ([ones(a).view(), ones(x).view()], [none().view()])))
    };
    assert_eq!(call(&[2], &[2]), "product: `A` must be an array of at least 2 axes, got shape (2)");
    assert_eq!(call(&[2, 3], &[2]), "product: `x` must be an array with n = 3, got shape (2)");
    assert_eq!(call(&[2, 0], &[0]), "product: `A` must be an array with n >= 1, got shape (2, 0)");
    assert_eq!(
        call(&[4, 2, 3], &[5, 3]),
        "product: `x` must be broadcastable to batch shape (4), got shape (5, 3)"
    );
    let ragged = |symbol, n| {
        let (a, x, none) = (ones(&[2, 3]), ones(&[3]), none());
        let inputs = Inputs::from(([a.view(), x.view()], [none.view()]));
        message(evaluate(&Product, inputs.lengths(symbol, ArrayD::from_elem(IxDyn(&[]), n))))
    };
    assert_eq!(ragged("q", 1), "product: `lengths` must be for one of the sizes m, n, k, got q");
    assert_eq!(ragged("n", 4), "product: `lengths of n` must be in 1..=3, got 4");
    let (a, x, none) = (ones(&[2, 3]), ones(&[3]), none());
    let inputs = Inputs::from(([a.view(), x.view()], [none.view()]));
    assert_eq!(
        message(evaluate(&Product, inputs.clone().axis(0))),
        "product: `axis` must be left out, because the core has several axes, got 0"
    );
    assert_eq!(
        message(evaluate(&Product, inputs.clone().mode(Mode::Hard))),
        "product: the hard mode is not available: this operator has no hard form"
    );
    let at = linearize(&Product, inputs).unwrap();
    assert_eq!(
        message(at.vjp([ones(&[3]).view(), ones(&[]).view()])),
        "product: `dy` must be of shape (2), got shape (3)"
    );
    assert_eq!(
        message(at.softness_gradient([ones(&[2]).view(), ones(&[]).view()])),
        "product: the gradient to the softness is not available: the operator does not scale with its softness"
    );
}

#[test]
fn sizes_of_outputs_are_the_operators_word() {
    let x = array![[1.0, 2.0], [3.0, 4.0]].into_dyn();
    let inputs = || Inputs::from([x.view()]);
    assert_eq!(
        message(evaluate(&Copies { k: 3 }, inputs().lengths("k", array![2, 3].into_dyn()))),
        "copies: `lengths` must be for one of the sizes n, got k"
    );
    // Refused before it is multiplied.
    assert_eq!(
        message(evaluate(&Copies { k: 1 << 62 }, inputs())),
        "copies: `k` must be less than 10, got 4611686018427387904"
    );
}

#[test]
fn cotangents_of_padding_are_not_read() {
    let x = array![[1.0, 2.0], [3.0, f64::NAN]].into_dyn();
    let inputs = Inputs::from([x.view()]).lengths("n", array![2, 1].into_dyn());
    let at = linearize(&Copies { k: 2 }, inputs).unwrap();
    let (nan, inf) = (f64::NAN, f64::INFINITY);
    let dy = array![[[1.0, 2.0], [3.0, 4.0]], [[5.0, nan], [6.0, inf]]].into_dyn();
    assert_eq!(at.vjp([dy.view()]).unwrap(), [array![[4.0, 6.0], [11.0, 0.0]].into_dyn()]);
    assert_eq!(at.softness_gradient([dy.view()]).unwrap(), 0.0);
}

#[test]
fn sizes_of_zero_are_legal_unless_the_signature_says_otherwise() {
    let (a, x) = (ArrayD::<f64>::ones(IxDyn(&[0, 2])), ArrayD::ones(IxDyn(&[2])));
    let [y, norm] = evaluate(&Product, ([a.view(), x.view()], [none().view()])).unwrap();
    assert_eq!((y.shape(), norm), (&[0][..], ndarray::arr0(0.0).into_dyn()));
}

#[test]
fn erased_calls_count_their_arrays() {
    let operator = erase(Product);
    let x = ArrayD::<f64>::ones(IxDyn(&[2]));
    let inputs = AnyInputs { x: vec![x.view()], k: vec![], options: Options::default() };
    assert_eq!(
        message(Erased::<f64>::evaluate(&operator, inputs)),
        "product: `real inputs` must be 2 in number, got 1"
    );
}
