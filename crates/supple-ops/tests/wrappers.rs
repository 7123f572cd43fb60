//! Wrappers pass every check that an operator passes.

use ndarray::{Array1, array};
use std::process::ExitCode;
use supple_check::{checks, run};
use supple_core::{Entry, Error, Segmented, Standardized, evaluate, map};
use supple_ops::choice::{Entmax15, Softmax};
use supple_ops::elementwise::SoftRound;
use supple_ops::order::{SoftRank, SoftSort};

fn main() -> ExitCode {
    one_softness_does_for_all_scales();
    what_cannot_be_wrapped_says_so();
    let entries = [
        Entry::of::<Standardized<SoftRank>, _, _, _>(),
        Entry::of::<Standardized<Entmax15>, _, _, _>(),
        Entry::of::<Segmented<SoftSort>, _, _, _>(),
        Entry::of::<Segmented<Softmax>, _, _, _>(),
        Entry::of::<Segmented<Standardized<SoftRank>>, _, _, _>(),
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
