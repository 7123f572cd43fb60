//! What all losses of lists share: which entries count, what spoils a list, and the plain functions.
//!
//! * An entry whose relevance is −∞ is ignored: loss and gradients are those of the list without it, and its
//!   own gradient is zero. Its score may be anything but NaN.
//! * A list with nothing left has the loss 0.
//! * A NaN makes the loss and all gradients of its list NaN.

use ndarray::{Array, ArrayView, RemoveAxis};
use supple_core::{Args, Error, Fault, Float, Operator, Point, Real, Scratch, evaluate};

/// Scores and relevances of the entries that count, where others are ignored.
struct Kept<T> {
    places: Vec<u32>,
    x: [Vec<T>; 2],
}

impl<T: Real> Kept<T> {
    /// Nothing where no entry is ignored: then the list is what it is.
    fn new([scores, relevance]: [&[T]; 2], scratch: &mut Scratch<T>) -> Option<Self> {
        let counts = |r: T| r != -T::infinity();
        if relevance.iter().all(|&r| counts(r)) {
            return None;
        }
        let mut places = scratch.indices.empty();
        places.extend((0..).zip(relevance).filter(|(_, r)| counts(**r)).map(|(place, _)| place));
        let x = [scores, relevance].map(|x| {
            let mut kept = scratch.reals.empty();
            kept.extend(places.iter().map(|&place| x[place as usize]));
            kept
        });
        Some(Self { places, x })
    }

    fn x(&self) -> [&[T]; 2] {
        self.x.each_ref().map(|x| &x[..])
    }

    fn give(self, scratch: &mut Scratch<T>) {
        scratch.indices.give(self.places);
        self.x.into_iter().for_each(|x| scratch.reals.give(x));
    }
}

/// Writes the loss that `of` finds for scores and relevances of the entries that count. It is not asked where
/// there are none, or where there is a NaN.
pub(super) fn forward<T: Real>(
    at: Args<'_, T, 2>,
    [loss]: [&mut [T]; 1],
    scratch: &mut Scratch<T>,
    of: impl FnOnce([&[T]; 2], &mut Scratch<T>) -> Result<T::Acc, Fault>,
) -> Result<(), Fault> {
    if at.x.iter().any(|x| x.iter().any(|x| x.is_nan())) {
        loss[0] = T::nan();
        return Ok(());
    }
    let kept = Kept::new(at.x, scratch);
    let x = kept.as_ref().map_or(at.x, Kept::x);
    let value = if x[0].is_empty() { Ok(T::Acc::zero()) } else { of(x, scratch) };
    if let Some(kept) = kept {
        kept.give(scratch);
    }
    loss[0] = T::narrow(value?);
    Ok(())
}

/// Has `of` write the gradients to the entries that count, whose scores and relevances it is given. It is not
/// asked where there are none; where the loss is NaN, so are the gradients.
pub(super) fn backward<T: Real, S>(
    at: &Point<'_, T, S, 2>,
    mut dx: [&mut [T]; 2],
    scratch: &mut Scratch<T>,
    of: impl FnOnce([&[T]; 2], [&mut [T]; 2], &mut Scratch<T>),
) {
    if at.y[0][0].is_nan() {
        return dx.into_iter().for_each(|dx| dx.fill(T::nan()));
    }
    let Some(kept) = Kept::new(at.x, scratch) else {
        if !at.x[0].is_empty() {
            of(at.x, dx, scratch);
        }
        return;
    };
    if !kept.places.is_empty() {
        let mut own = [(); 2].map(|()| scratch.reals.zeros(kept.places.len()));
        of(kept.x(), own.each_mut().map(|own| &mut own[..]), scratch);
        for (dx, own) in dx.iter_mut().zip(&own) {
            kept.places.iter().zip(own).for_each(|(&place, &own)| dx[place as usize] = own);
        }
        own.into_iter().for_each(|own| scratch.reals.give(own));
    }
    kept.give(scratch);
}

/// A score in units of the softness, relative to the largest one. As far below as a number can be, where it is
/// further: it then counts for nothing, and not as NaN.
pub(super) fn below<T: Real>(score: T, largest: T::Value, rate: f64) -> T::Acc {
    let below = (score.widen() - T::constant(largest).widen()) * T::Acc::of(rate);
    below.max(T::Acc::of(f64::MIN))
}

/// Whether all are equal, so that there is nothing to rank.
pub(super) fn all_equal<T: Real>(relevance: &[T]) -> bool {
    relevance.iter().all(|r| *r == relevance[0])
}

/// Whether no score is infinite: a list with such a one has no loss, soft or hard.
pub(super) fn all_finite<T: Real>(scores: &[T]) -> bool {
    scores.iter().all(|score| score.is_finite())
}

/// Whether an item counts as relevant, where there are no degrees.
pub(super) fn is_relevant<T: Real>(relevance: &T) -> bool {
    *relevance > T::zero()
}

/// At which places of an order the relevant items are.
pub(super) fn relevant<T: Real>(relevance: &[T], order: &[u32], scratch: &mut Scratch<T>) -> Vec<u32> {
    let mut places = scratch.indices.empty();
    let by_place = (0..).zip(order).filter(|(_, i)| is_relevant(&relevance[**i as usize]));
    places.extend(by_place.map(|(place, _)| place));
    places
}

/// One loss for each list of `scores` with its `target`: what the plain functions are made of.
pub(super) fn of_lists<'a, T: Float, P: Operator<2>, D: RemoveAxis>(
    operator: &P,
    scores: impl Into<ArrayView<'a, T, D>>,
    target: impl Into<ArrayView<'a, T, D>>,
) -> Result<Array<T, D::Smaller>, Error> {
    let [loss] = evaluate(operator, [scores.into().into_dyn(), target.into().into_dyn()])?;
    let mismatch = |e| Error::unsupported(P::NAME, "a loss of the input's rank less one", e);
    loss.into_dimensionality().map_err(mismatch)
}

#[cfg(test)]
mod tests {
    use super::super::FAMILY;
    use ndarray::{Array1, ArrayD, ArrayViewD, arr0};
    use supple_core::{AnyContract, AnyInputs, Float, Mode, Options, Stream};

    /// The loss, soft and hard, its gradients, and the derivatives of loss and gradients along ones.
    #[derive(Debug, PartialEq)]
    struct Everything {
        loss: [f64; 2],
        gradients: [Vec<f64>; 2],
        slope: f64,
        curvatures: [Vec<f64>; 2],
    }

    impl Everything {
        fn of(operator: &dyn AnyContract, x: [&[f64]; 2]) -> Self {
            fn views(x: &[ArrayD<f64>]) -> Vec<ArrayViewD<'_, f64>> {
                x.iter().map(|x| x.view()).collect()
            }
            fn flat(x: Vec<ArrayD<f64>>) -> [Vec<f64>; 2] {
                let flat = x.into_iter().map(|x| x.into_iter().collect()).collect::<Vec<_>>();
                flat.try_into().unwrap()
            }
            let x = x.map(|x| Array1::from(x.to_vec()).into_dyn());
            let ones = x.each_ref().map(|x| x.mapv(|_| 1.0));
            let dy = [arr0(1.5).into_dyn()];
            let inputs = |mode| {
                let options = Options { mode, ..Options::default() };
                AnyInputs { x: views(&x), k: vec![], options }
            };
            let (y, pullback) = f64::calls(operator).linearize(inputs(Mode::Soft)).unwrap();
            let hard = f64::calls(operator).evaluate(inputs(Mode::Hard));
            let hard = hard.ok().filter(|(_, faults)| faults.is_empty());
            let gradients = pullback.vjp(&views(&x), &views(&y), &views(&dy)).unwrap();
            let (slope, curvatures) =
                pullback.vjp_derivative(&views(&x), &views(&y), &views(&dy), &views(&ones)).unwrap();
            Self {
                loss: [y[0].sum(), hard.map_or(0.0, |(y, _)| y[0].sum())],
                gradients: flat(gradients),
                slope: slope[0].sum(),
                curvatures: flat(curvatures),
            }
        }

        /// With entries of zero gradient at `places`.
        fn with_ignored(mut self, places: &[usize]) -> Self {
            for gradient in self.gradients.iter_mut().chain(&mut self.curvatures) {
                places.iter().for_each(|&place| gradient.insert(place, 0.0));
            }
            self
        }
    }

    fn all() -> impl Iterator<Item = (&'static str, Box<dyn AnyContract>)> {
        FAMILY.entries.iter().flat_map(|entry| (entry.cases)().into_iter().map(|case| (entry.name, case)))
    }

    #[test]
    fn ignored_entries_do_not_count() {
        const SCORES: [f64; 6] = [f64::INFINITY, 0.0, f64::NEG_INFINITY, 1e300, -3.0, 0.5];
        for (name, operator) in all() {
            for (n, places) in [(1, &[0, 2][..]), (5, &[3]), (8, &[0, 4, 5, 9, 11, 13])] {
                let (mut x, _) = operator.sample(&[n], &mut Stream::new(1, n, 0));
                let expected = Everything::of(&*operator, [&x[0], &x[1]]).with_ignored(places);
                for (&place, score) in places.iter().zip(SCORES) {
                    x[0].insert(place, score);
                    x[1].insert(place, f64::NEG_INFINITY);
                }
                let got = Everything::of(&*operator, [&x[0], &x[1]]);
                assert_eq!(got, expected, "{name}, {}", operator.describe());
            }
        }
    }

    #[test]
    fn a_list_with_nothing_to_rank_has_no_loss() {
        let zero = |n: usize| Everything {
            loss: [0.0; 2],
            gradients: [vec![0.0; n], vec![0.0; n]],
            slope: 0.0,
            curvatures: [vec![0.0; n], vec![0.0; n]],
        };
        for (name, operator) in all() {
            let of = |scores: &[f64], relevance: &[f64]| Everything::of(&*operator, [scores, relevance]);
            assert_eq!(of(&[], &[]), zero(0), "{name}");
            assert_eq!(of(&[f64::INFINITY, 1.0], &[f64::NEG_INFINITY; 2]), zero(2), "{name}");
            // These two are likelihoods: they have something to say about equal items too.
            if !["list_net_loss", "list_mle_loss"].contains(&name) {
                assert_eq!(of(&[3.0, 1.0, 2.0], &[0.0; 3]), zero(3), "{name}");
            }
        }
    }

    #[test]
    fn an_infinite_score_leaves_no_loss_soft_or_hard() {
        let losses = ["kendall_loss", "smooth_ap_loss", "neural_ndcg_loss", "approx_ndcg_loss"];
        for (name, operator) in all().filter(|(name, _)| losses.contains(name)) {
            for score in [f64::INFINITY, f64::NEG_INFINITY] {
                let got = Everything::of(&*operator, [&[0.5, score, 1.0], &[0.0, 1.0, 2.0]]);
                assert!(got.loss.iter().all(|loss| loss.is_nan()), "{name}: {got:?}");
                assert!(got.gradients.iter().flatten().all(|d| d.is_nan()), "{name}: {got:?}");
            }
        }
    }

    #[test]
    fn nan_spoils_its_list_even_where_it_is_ignored() {
        for (name, operator) in all() {
            for relevance in [1.0, f64::NEG_INFINITY] {
                let got = Everything::of(&*operator, [&[0.5, f64::NAN, 1.0], &[0.0, relevance, 2.0]]);
                let mut numbers = got.gradients.iter().flatten().chain([&got.loss[0]]);
                assert!(numbers.all(|d| d.is_nan()), "{name}: {got:?}");
            }
        }
    }
}
