//! Quantiles, by any method.

use super::adapters::{Interpolated, Unweighted};
use super::methods::front;
use super::sort::{Sort, SortMethod};
use crate::quantile::{Distribution, SmoothedQuantile, TransportQuantile};
use ndarray::{Array, ArrayView, RemoveAxis, arr0};
use supple_core::{Contract, Error, Float, Inputs, Law, Mode, Sample, Stream, evaluate};

front! {
    /// A quantile.
    pub struct Quantile("quantile", "x(n>=1), q() -> quantile()", 2) {
        /// What the method's own operator calls so, with the unit that the method has.
        softness: f64 = 0.1, Positive;
    }
    /// How to relax a quantile.
    pub enum QuantileMethod {
        /// Of values sorted by [`SortMethod::L2`], with its unit: one over that of `x`.
        L2 = "l2", Interpolated<Sort>: |front| sorted(front, SortMethod::L2);
        /// Of values sorted by [`SortMethod::Entropic`]: `x` and softness without a unit.
        Entropic = "entropic", Interpolated<Sort>: |front| sorted(front, SortMethod::Entropic);
        /// Of values sorted by [`SortMethod::ThreeHalves`], with its unit: one over the root of that of `x`.
        ThreeHalves = "p3/2", Interpolated<Sort>: |front| sorted(front, SortMethod::ThreeHalves);
        /// Of values sorted by [`SortMethod::FourThirds`], with its unit: one over the cube root of that of `x`.
        FourThirds = "p4/3", Interpolated<Sort>: |front| sorted(front, SortMethod::FourThirds);
        /// Of values sorted by [`SortMethod::NeuralSort`]; softness in the unit of `x`, as in all that follow.
        NeuralSort = "neural_sort", Interpolated<Sort>: |front| sorted(front, SortMethod::NeuralSort);
        /// Of values sorted by [`SortMethod::SoftSortPrillo`].
        SoftSortPrillo = "soft_sort_prillo", Interpolated<Sort>:
            |front| sorted(front, SortMethod::SoftSortPrillo);
        /// Of values sorted by [`SortMethod::Sinkhorn`].
        Sinkhorn = "sinkhorn", Interpolated<Sort>: |front| sorted(front, SortMethod::Sinkhorn);
        /// Of values sorted by [`SortMethod::SortingNetwork`].
        SortingNetwork = "sorting_network", Interpolated<Sort>:
            |front| sorted(front, SortMethod::SortingNetwork);
        /// Of values sorted by [`SortMethod::Lapsum`].
        Lapsum = "lapsum", Interpolated<Sort>: |front| sorted(front, SortMethod::Lapsum);
        /// Where a distribution smoothed by the logistic one reaches the levels of two places.
        Logistic = "logistic", Unweighted<SmoothedQuantile>: |front| smoothed(front, Distribution::Logistic);
        /// Where a distribution smoothed by Gauss's reaches the levels of two places.
        Gaussian = "gaussian", Unweighted<SmoothedQuantile>: |front| smoothed(front, Distribution::Gaussian);
        /// Where a distribution smoothed by Laplace's reaches the levels of two places: the value of
        /// [`Lapsum`](Self::Lapsum), without a sort.
        Laplace = "laplace", Unweighted<SmoothedQuantile>: |front| smoothed(front, Distribution::Laplace);
        /// Entropic transport to three anchors, at the levels of two places.
        Transport = "transport", Unweighted<TransportQuantile>: |front| Unweighted(TransportQuantile {
            softness: front.softness,
            ..TransportQuantile::default()
        });
    }
    hard Interpolated<Sort>: |front| sorted(front, SortMethod::L2);
}

fn sorted(front: &Quantile, method: SortMethod) -> Interpolated<Sort> {
    Interpolated(Sort { method, softness: front.softness, descending: false })
}

fn smoothed(front: &Quantile, distribution: Distribution) -> Unweighted<SmoothedQuantile> {
    Unweighted(SmoothedQuantile { softness: front.softness, distribution })
}

impl Quantile {
    pub(super) fn parameter_sets() -> [(QuantileMethod, f64); 13] {
        use QuantileMethod::*;
        [
            (L2, 2.0),
            (Entropic, 0.5),
            (ThreeHalves, 2.0),
            (FourThirds, 2.0),
            (NeuralSort, 0.5),
            (SoftSortPrillo, 0.5),
            (Sinkhorn, 0.5),
            (SortingNetwork, 0.5),
            (Lapsum, 0.5),
            (Logistic, 0.5),
            (Gaussian, 0.5),
            (Laplace, 0.5),
            (Transport, 0.5),
        ]
    }
}

impl Contract<2> for Quantile {
    const SUMMARY: &'static str = "quantile, by any method";
    const PAPER: &'static str = "that of the method";
    const COST: &'static str = "that of the method";
    const ARGUMENTS: &'static [&'static str] = &["method", "softness"];

    fn cases() -> Vec<Self> {
        Self::parameter_sets().map(|(method, softness)| Self { method, softness }).to_vec()
    }

    fn laws(&self) -> Vec<Law> {
        // Which wires of a network meet depends on where the values stand.
        if self.method == QuantileMethod::SortingNetwork { vec![] } else { vec![Law::PermutationInvariant] }
    }

    fn sample(&self, _: &[usize], [n, _]: [usize; 2], random: &mut Stream) -> Sample<2> {
        Sample { x: [random.normals(n), vec![1.0 / (1.0 + random.normal().exp())]], k: [] }
    }

    fn free(&self) -> [bool; 2] {
        [true, false]
    }
}

/// The quantile at `q` along the last axis, by the method of your choice.
///
/// * Shapes: `(…, n)` to `(…)`, n ≥ 1; 0 ≤ q ≤ 1.
/// * Softness: as the [method](QuantileMethod) has it; its unit differs.
/// * Hard form and limit: the value at place $1 + q (n - 1)$, between two places by linear interpolation,
///   which is what NumPy and LibTorch do unasked. Each method relaxes the values at the two places: those
///   that sort take them from the sorted values; the last four ask their operators for the levels
///   $(j - \frac12) / n$ of the places j, the transport with a band of half the share of one value. For other
///   conventions, weights or a wider band, call [`SmoothedQuantile`] or [`TransportQuantile`].
/// * Cost, gradient, infinities: those of the method. There is a gradient to q.
/// * Errors: a softness that is not finite and above zero; n = 0; q out of range.
///
/// For another axis, ragged batches, or a q for each item, call [`evaluate`](supple_core::evaluate) with a
/// [`Quantile`]; for gradients, [`linearize`](supple_core::linearize).
///
/// ```
/// use ndarray::{arr0, array};
/// use supple_core::Mode;
/// use supple_ops::front::{QuantileMethod, quantile};
/// let x = array![4.0, 1.0, 3.0, 2.0, 5.0];
/// assert_eq!(quantile(&x, 0.25, QuantileMethod::L2, 0.1, Mode::Soft)?, arr0(2.0));
/// assert_eq!(quantile(&x, 0.3, QuantileMethod::NeuralSort, 0.1, Mode::Hard)?, arr0(2.2));
/// # Ok::<(), supple_core::Error>(())
/// ```
pub fn quantile<'a, T: Float, D: RemoveAxis>(
    x: impl Into<ArrayView<'a, T, D>>,
    q: f64,
    method: QuantileMethod,
    softness: f64,
    mode: Mode,
) -> Result<Array<T, D::Smaller>, Error> {
    let q = arr0(T::of(q)).into_dyn();
    let inputs = Inputs::from([x.into().into_dyn(), q.view()]).mode(mode);
    let [y] = evaluate(&Quantile { method, softness }, inputs)?;
    y.into_dimensionality().map_err(|e| Error::unsupported("quantile", "an output of another rank", e))
}
