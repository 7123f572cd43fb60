//! Wrappers pass every check that an operator passes.

use ndarray::{Array, Array1, arr0, array};
use std::process::ExitCode;
use supple_check::{checks, run};
use supple_core::{Entry, Error, Inputs, Mode, Operator, Segmented, Standardized, evaluate, linearize, map};
use supple_ops::choice::{Entmax15, GumbelSoftmax, Softmax};
use supple_ops::elementwise::SoftRound;
use supple_ops::front::{Argmax, ArgmaxMethod};
use supple_ops::order::{SoftRank, SoftSort};
use supple_ops::ranking::ListNetLoss;
use supple_ops::select::SuccessiveSoftmax;

fn main() -> ExitCode {
    one_softness_does_for_all_scales();
    what_cannot_be_wrapped_says_so();
    straight_through_is_one_draw();
    ignored_entries_count_for_the_scale_unless_infinite();
    let entries = [
        Entry::of::<Standardized<SoftRank>, _, _, _>(),
        Entry::of::<Standardized<Entmax15>, _, _, _>(),
        Entry::of::<Segmented<SoftSort>, _, _, _>(),
        Entry::of::<Segmented<Softmax>, _, _, _>(),
        Entry::of::<Segmented<GumbelSoftmax>, _, _, _>(),
        Entry::of::<Segmented<Standardized<SoftRank>>, _, _, _>(),
        Entry::of::<Standardized<Segmented<SoftSort>>, _, _, _>(),
    ];
    run(entries.iter().flat_map(checks).collect())
}

fn one_softness_does_for_all_scales() {
    let x: Array1<f64> = array![0.3, 2.0, -1.0, 0.4, 0.35, 5.0];
    let rank = Standardized(SoftRank { softness: 0.3, ..SoftRank::default() });
    let sort = Standardized(SoftSort { softness: 0.3, ..SoftSort::default() });
    let [ranks, sorted] = [map(&rank, &x).unwrap(), map(&sort, &x).unwrap()];
    for power in [-90, -30, -1, 30, 90] {
        let c = 2.0f64.powi(power);
        assert!((map(&rank, &(&x * c)).unwrap() - &ranks).iter().all(|d| d.abs() < 1e-12));
        assert!((map(&sort, &(&x * c)).unwrap() / c - &sorted).iter().all(|d| d.abs() < 1e-12));
    }
}

fn what_cannot_be_wrapped_says_so() {
    let x = array![1.0, 2.0].into_dyn();
    let message = |result: Result<_, Error>| result.map(|_: [_; 1]| ()).unwrap_err().to_string();
    assert_eq!(
        message(evaluate(&Standardized(SoftRound::default()), [x.view()])),
        "soft_round: standardisation is not available: its data have no unit"
    );
    let segment = array![0, 0].into_dyn();
    assert_eq!(
        message(evaluate(&Segmented(SoftRound::default()), ([x.view()], [segment.view()]))),
        "soft_round: work by segments is not available: it is not of the form x(n) -> y(n)"
    );
}

/// A loss knows which entries to ignore, its wrapper does not.
fn ignored_entries_count_for_the_scale_unless_infinite() {
    let operator = Standardized(ListNetLoss { softness: 0.3 });
    let all = |padding: f64, lengths: Option<usize>| {
        let (scores, relevance) = (array![0.3, 2.0, -1.0, padding], array![1.0, 2.0, 0.0, f64::NEG_INFINITY]);
        let (scores, relevance) = (scores.into_dyn(), relevance.into_dyn());
        let mut inputs = Inputs::from([scores.view(), relevance.view()]);
        if let Some(n) = lengths {
            inputs = inputs.lengths("n", arr0(n).into_dyn());
        }
        let at = linearize(&operator, inputs).unwrap();
        let gradients = at.vjp([arr0(1.0).into_dyn().view()]).unwrap();
        (at.outputs().clone(), gradients)
    };
    let expected = all(f64::NAN, Some(3));
    assert_eq!(all(f64::NEG_INFINITY, None), expected);
    let (loss, [dscores, _]) = all(100.0, None);
    assert!(loss != expected.0 && dscores[3] != 0.0, "{loss:?} {dscores}");
}

/// Value and gradient of a choice without a seed belong to the same noise, through a front operator and segments
/// too.
fn straight_through_is_one_draw() {
    let argmax = Argmax { method: ArgmaxMethod::GumbelSoftmax, softness: 5.0, seed: None };
    let subset = SuccessiveSoftmax { k: 1, softness: 5.0, gumbel: true, seed: None };
    for _ in 0..20 {
        one_draw(&GumbelSoftmax { softness: 5.0, seed: None }, []);
        one_draw(&argmax, []);
        one_draw(&subset, []);
        one_draw(&Segmented(argmax.clone()), [[2i64; 5]]);
    }
}

fn one_draw<P: Operator<1, 1, K>, const K: usize>(operator: &P, k: [[i64; 5]; K]) {
    let (x, k) = (array![0.3, -1.0, 0.4, 0.2, 0.1].into_dyn(), k.map(|k| Array::from(k.to_vec()).into_dyn()));
    let inputs = Inputs { x: [x.view()], k: k.each_ref().map(|k| k.view()), options: Default::default() };
    let at = linearize(operator, inputs.mode(Mode::StraightThrough)).unwrap();
    let [hard] = at.outputs();
    // The gradient of an entry's own probability is p (1 − p), which below one half grows with p.
    let slope = |i: usize| {
        let own = Array::from_shape_fn(5, |j| f64::from(i == j)).into_dyn();
        at.vjp([own.view()]).unwrap()[0][i]
    };
    let chosen = hard.iter().position(|&p| p == 1.0).expect("one is chosen");
    assert!((0..5).all(|i| slope(i) <= slope(chosen)), "{}: {hard}", P::NAME);
}
