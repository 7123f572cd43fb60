//! From the inputs of an operator to a plan: sorted, centred, with infinities in their place.

use super::{LineTransport, Problem};
use crate::argsort::argsort;
use std::ops::Range;
use supple_core::{Dual, Fault, Float, Real, Scratch};

/// What an operator keeps for its derivatives. Without an order, the item has a NaN.
#[derive(Debug, Default)]
pub struct Saved<T: Real> {
    /// The sorting permutation.
    pub order: Vec<u32>,
    /// See [`LineTransport::shifts`].
    pub shifts: Vec<T::Acc>,
}

/// Where values go.
#[derive(Debug, Clone)]
pub struct Places {
    /// Whether the values are taken with the other sign.
    pub negate: bool,
    /// The masses of the places: see [`Problem::masses`].
    pub masses: Vec<f64>,
    /// See [`Problem::rate`].
    pub rate: f64,
}

/// The values of an item and their plan.
#[derive(Debug)]
pub struct Line<A> {
    /// The plan of the sorted values. Its values are less `centre`, and infinities are so far out that they
    /// share no place with finite values unless the masses make them.
    pub plan: LineTransport<A>,
    /// One of the values, as a constant.
    pub centre: A,
    /// The sum of the weights.
    pub total: A,
    /// Which of the sorted values are finite.
    pub finite: Range<usize>,
}

/// Values this far apart, in units of the inverse rate, have no place in common: the threshold between them is
/// halfway, where the shares beyond it are left out of a row.
const APART: f64 = 128.0;

impl Places {
    /// Sorts, and finds the plan; `None` if there is a NaN. All weights are 1 if there are none.
    pub fn solve<T: Real>(
        self,
        x: &[T],
        weights: Option<&[T]>,
        saved: &mut Saved<T>,
        scratch: &mut Scratch<T>,
    ) -> Result<Option<Line<T::Acc>>, Fault> {
        let (order, sorted) = argsort(x, self.negate, scratch);
        let spoilt = [sorted.first(), sorted.last()].into_iter().flatten().any(|x| x.is_nan());
        scratch.reals.give(sorted);
        if spoilt {
            scratch.indices.give(order);
            return Ok(None);
        }
        let (problem, line) = self.arrange(&order, x, weights);
        let plan = problem.solve()?;
        saved.shifts.extend_from_slice(plan.shifts());
        saved.order = order;
        Ok(Some(Line { plan, ..line }))
    }

    /// The plan at duals when that of the values is known.
    pub fn lift<F: Float>(
        self,
        x: &[Dual<F>],
        weights: Option<&[Dual<F>]>,
        values: &Saved<F>,
        saved: &mut Saved<Dual<F>>,
    ) -> Option<Line<Dual<f64>>> {
        saved.order.clone_from(&values.order);
        if values.order.is_empty() {
            return None;
        }
        let (problem, line) = self.arrange(&values.order, x, weights);
        let shifts: Vec<f64> = values.shifts.iter().map(|s| s.as_f64()).collect();
        let plan = problem.solved(&shifts);
        saved.shifts.extend_from_slice(plan.shifts());
        Some(Line { plan, ..line })
    }

    /// The plan again; `None` if there is a NaN.
    pub fn at<T: Real>(self, x: &[T], weights: Option<&[T]>, saved: &Saved<T>) -> Option<Line<T::Acc>> {
        if saved.order.is_empty() {
            return None;
        }
        let (problem, line) = self.arrange(&saved.order, x, weights);
        Some(Line { plan: problem.at(&saved.shifts), ..line })
    }

    fn arrange<T: Real>(
        self,
        order: &[u32],
        x: &[T],
        weights: Option<&[T]>,
    ) -> (Problem<T::Acc>, Line<T::Acc>) {
        let at = |i: &u32| {
            let x = x[*i as usize].widen();
            if self.negate { -x } else { x }
        };
        let below = order.iter().take_while(|i| at(i) == -T::Acc::infinity()).count();
        let above = order.iter().rev().take_while(|i| at(i) == T::Acc::infinity()).count();
        let finite = below..order.len() - above;
        let centre = order[finite.clone()].get(finite.len() / 2).map_or(0.0, |i| at(i).as_f64());
        let edge = |i: Option<usize>| i.map_or(0.0, |i| at(&order[i]).as_f64() - centre);
        let (first, last) = (edge(finite.clone().next()), edge(finite.clone().last()));
        // Not less than rounding would leave of it.
        let beyond = |edge: f64| f64::max(APART / self.rate, edge.abs());
        let centre = T::Acc::of(centre);
        let value = |(i, place): (usize, &u32)| match i {
            i if i < finite.start => T::Acc::of((first - beyond(first)).max(f64::MIN)),
            i if i >= finite.end => T::Acc::of((last + beyond(last)).min(f64::MAX)),
            _ => at(place) - centre,
        };
        let values = order.iter().enumerate().map(value).collect();
        let mass = |i: &u32| weights.map_or(T::Acc::one(), |w| w[*i as usize].widen());
        let mut weights: Vec<T::Acc> = order.iter().map(mass).collect();
        let total: T::Acc = weights.iter().copied().sum();
        weights.iter_mut().for_each(|w| *w /= total);
        let problem = Problem { values, weights, masses: self.masses, rate: self.rate };
        (problem, Line { plan: LineTransport::default(), centre, total, finite })
    }
}

/// The plan between values `x` of masses `a` and places `y` of masses `b`, by Sinkhorn's iteration on the
/// squared distances: the definition, for oracles.
pub fn naive_plan(x: &[f64], a: &[f64], y: &[f64], b: &[f64], softness: f64) -> Vec<f64> {
    let cost = |i: usize, j: usize| (x[i] - y[j]).powi(2) / softness;
    let log_sum = |terms: &dyn Fn(usize) -> f64, n: usize| {
        let top = (0..n).map(terms).fold(f64::NEG_INFINITY, f64::max);
        top + (0..n).map(|i| (terms(i) - top).exp()).sum::<f64>().ln()
    };
    let (mut u, mut v) = (vec![0.0; x.len()], vec![0.0; y.len()]);
    for _ in 0..100_000 {
        let before = v.clone();
        (0..x.len()).for_each(|i| u[i] = a[i].ln() - log_sum(&|j| v[j] - cost(i, j), y.len()));
        (0..y.len()).for_each(|j| v[j] = b[j].ln() - log_sum(&|i| u[i] - cost(i, j), x.len()));
        if before.iter().zip(&v).all(|(x, y)| (x - y).abs() < 1e-15 * (1.0 + x.abs())) {
            break;
        }
    }
    (0..x.len())
        .flat_map(|i| (0..y.len()).map(move |j| (i, j)))
        .map(|(i, j)| (u[i] + v[j] - cost(i, j)).exp())
        .collect()
}
