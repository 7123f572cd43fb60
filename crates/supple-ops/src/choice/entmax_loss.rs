//! The loss that belongs to entmax: cross entropy at α = 1, the sparsemax loss at α = 2.
//!
//! $$ L(x, j) = \varepsilon \max_{p \in \Delta} \Bigl( \Bigl\langle p, \frac{x}{\varepsilon} \Bigr\rangle + H(p) \Bigr) - x_j,
//! \qquad H(p) = \frac{1 - \sum_i p_i^\alpha}{\alpha (\alpha - 1)} $$
//!
//! for scores $x$ and the number $j$ of the right option: a Fenchel-Young loss. Its least value is 0, reached
//! where [entmax](super::entmax()) gives $j$ all; for α > 1, at a finite lead of $x_j$.
//!
//! * Softness: the unit of `x`; ε. The papers have ε = 1, which is the default.
//! * α ≥ 1, here a parameter: a loss that could choose its α would shrink to nothing. 1.5 if not said.
//! * Hard limit: $\max_i x_i - x_j$, the structured perceptron's.
//! * Gradient: exact everywhere, $p - e_j$ with the entmax $p$; the loss is convex.
//! * −∞ masks an option, which must not be $j$. An item of −∞ only, with NaN or +∞, or with a masked $j$, is
//!   NaN. A $j$ outside `0..n` is a fault. So is, above α of about 4, an item with an option so near the
//!   edge of the support that double precision cannot resolve its share in entmax: the loss is finite there, but
//!   its gradient would be lost.
//! * Cost: that of entmax; O(n) backward.
//!
//! Papers: Blondel, Martins and Niculae, *Learning with Fenchel-Young losses*, JMLR 2020,
//! <https://arxiv.org/abs/1901.02324>; Peters, Niculae and Martins, *Sparse sequence-to-sequence models*, ACL
//! 2019, <https://arxiv.org/abs/1905.05702>.

use super::entmax::Entmax;
use ndarray::{Array, ArrayView, RemoveAxis};
use supple_core::{
    Args, Contract, Error, Fault, Float, Inputs, Law, Operator, Params, Point, Real, Sample, Scaling,
    Scratch, Stream, evaluate, params,
};
use supple_numerics::simplex::largest;

params! {
    /// The Fenchel-Young loss of entmax.
    pub struct EntmaxLoss {
        /// Temperature; the unit of `x`.
        softness: f64 = 1.0, Positive;
        /// α: 1 for cross entropy, 2 for the sparsemax loss.
        alpha: f64 = 1.5, AtLeast(1.0);
    }
}

impl EntmaxLoss {
    fn entmax(&self) -> Entmax {
        Entmax { softness: self.softness }
    }

    /// `H(p)`, with the limit at α = 1.
    fn entropy<T: Real>(&self, p: &[T]) -> T::Acc {
        let t = self.alpha - 1.0;
        let term = |p: T::Acc| {
            let log = p.ln();
            // (p^t − 1) / t
            p * if t == 0.0 { log } else { (T::Acc::of(t) * log).exp_m1() / T::Acc::of(t) }
        };
        let sum: T::Acc = p.iter().filter(|p| **p > T::zero()).map(|p| term(p.widen())).sum();
        -sum / T::Acc::of(self.alpha)
    }
}

impl Operator<1, 1, 1> for EntmaxLoss {
    const NAME: &'static str = "entmax_loss";
    const SIGNATURE: &'static str = "x(n>=1), label: index() -> loss()";
    /// The entmax of `x`.
    type Saved<T: Real> = Vec<T>;

    fn validate(&self, _: &[usize]) -> Result<(), Error> {
        self.check(Self::NAME)
    }

    fn work(&self, sizes: &[usize]) -> usize {
        self.entmax().work(sizes)
    }

    fn scaling(&self) -> Option<Scaling> {
        Some(Scaling { softness: self.softness, power: 1, inputs: [1], outputs: [1] })
    }

    fn forward<T: Real>(
        &self,
        at: Args<'_, T, 1, 1>,
        [loss]: [&mut [T]; 1],
        p: &mut Vec<T>,
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let [x] = at.x;
        let label = Fault::check_indices("label", at.k[0], x.len()).map(|()| at.k[0][0] as usize)?;
        p.resize(x.len(), T::zero());
        let alpha = [T::of(self.alpha)];
        let inputs = Args { x: [x, &alpha], k: [], sizes: at.sizes, item: at.item };
        self.entmax().forward(inputs, [p], &mut T::Acc::zero(), scratch)?;
        let right = x[label].widen();
        if !right.is_finite() || p[label].is_nan() {
            p.fill(T::nan());
            loss[0] = T::nan();
            return Ok(());
        }
        // Counted from the right option, so that nothing is lost where the scores are large.
        let chosen = p.iter().zip(x).filter(|(p, _)| **p > T::zero());
        let lead: T::Acc = chosen.map(|(p, x)| p.widen() * (x.widen() - right)).sum();
        loss[0] = T::narrow(lead + T::Acc::of(self.softness) * self.entropy(p));
        Ok(())
    }

    fn vjp<T: Real>(
        &self,
        at: Point<'_, T, Vec<T>, 1, 1, 1>,
        [dloss]: [&[T]; 1],
        [dx]: [&mut [T]; 1],
        _: &mut Scratch<T>,
    ) {
        dx.iter_mut().zip(at.saved).for_each(|(dx, &p)| *dx = dloss[0] * p);
        let label = at.k[0][0] as usize;
        dx[label] = dloss[0] * (at.saved[label] - T::one());
    }

    fn hard<T: Float>(
        &self,
        at: Args<'_, T, 1, 1>,
        [loss]: [&mut [T]; 1],
        _: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let [x] = at.x;
        Fault::check_indices("label", at.k[0], x.len())?;
        let lead = largest(x) - x[at.k[0][0] as usize];
        loss[0] = if lead.is_finite() { lead } else { T::nan() };
        Ok(())
    }
}

impl Contract<1, 1, 1> for EntmaxLoss {
    const SUMMARY: &'static str = "Fenchel-Young loss of entmax, from cross entropy to the sparsemax loss";
    const PAPER: &'static str = "Blondel et al., JMLR 2020, arXiv:1901.02324";
    const COST: &'static str = "O(n) and two to twenty passes over the support, O(n) backward, O(n) memory";
    const ARGUMENTS: &'static [&'static str] = &["alpha", "softness"];

    fn cases() -> Vec<Self> {
        let case = |softness, alpha| Self { softness, alpha };
        vec![case(1.0, 1.5), case(0.3, 2.0), case(2.0, 1.0), case(5.0, 1.2)]
    }

    fn laws(&self) -> Vec<Law> {
        vec![Law::Within(Box::new(|_| (0.0, f64::INFINITY))), Law::ShiftInvariant]
    }

    /// The maximum over p by bisection on the threshold, in the paper's form.
    fn oracle(&self, at: Args<'_, f64, 1, 1>) -> Option<[Vec<f64>; 1]> {
        let [x] = at.x;
        let z: Vec<f64> = x.iter().map(|x| x / self.softness).collect();
        let label = at.k[0][0] as usize;
        if self.alpha == 1.0 {
            let sum: f64 = z.iter().map(|z| z.exp()).sum();
            return Some([vec![self.softness * (sum.ln() - z[label])]]);
        }
        let alpha = [self.alpha];
        let inputs = Args { x: [x, &alpha], k: [], sizes: at.sizes, item: at.item };
        let [p] = self.entmax().oracle(inputs)?;
        let tsallis: f64 =
            p.iter().map(|p| p - p.powf(self.alpha)).sum::<f64>() / (self.alpha * (self.alpha - 1.0));
        let product: f64 = p.iter().zip(&z).map(|(p, z)| p * z).sum();
        Some([vec![self.softness * (product + tsallis - z[label])]])
    }

    fn sample(&self, _: &[usize], [n]: [usize; 1], random: &mut Stream) -> Sample<1, 1> {
        Sample { x: [random.normals(n)], k: [vec![random.below(n) as i64]] }
    }
}

/// The Fenchel-Young loss of [`entmax`](super::entmax()) for scores `x` `(…, n)` and the number `label` `(…)`
/// of the right option: cross entropy at α = 1, the sparsemax loss at α = 2.
///
/// $$ L(x, j) = \varepsilon \max_{p \in \Delta} \Bigl( \Bigl\langle p, \frac{x}{\varepsilon} \Bigr\rangle +
/// \frac{1 - \sum_i p_i^\alpha}{\alpha (\alpha - 1)} \Bigr) - x_j $$
///
/// * Shapes: `(…, n)` and `(…)` to `(…)`, n ≥ 1; labels count from 0.
/// * Softness: ε, in the unit of `x`; 1 in the papers.
/// * Hard limit: $\max_i x_i - x_j$.
/// * Gradient: exact everywhere, $p - e_j$ with the entmax $p$. The loss is convex and at least 0; for α > 1
///   it is 0 once $x_j$ leads by $\varepsilon / (\alpha - 1)$.
/// * −∞ masks an option, which must not be $j$. An item of −∞ only, with NaN or +∞, or with a masked $j$, is
///   NaN.
/// * Cost: that of entmax; O(n) backward.
/// * Errors: a softness that is not finite and above zero; α below 1, or so large that entmax cannot resolve
///   the share of an option at the edge of the support (not below about 4); a label outside `0..n`; n = 0.
///
/// ```
/// use ndarray::{arr0, array};
/// use supple_ops::choice::entmax_loss;
/// let x = array![2.0, 0.0];
/// assert_eq!(entmax_loss(&x, &arr0(0), 2.0, 1.0)?.into_scalar(), 0.0);
/// let cross_entropy = entmax_loss(&x, &arr0(1), 1.0, 1.0)?.into_scalar();
/// assert!((cross_entropy - (1.0 + 2f64.exp()).ln()).abs() < 1e-12);
/// # Ok::<(), supple_core::Error>(())
/// ```
///
/// Blondel, Martins and Niculae, *Learning with Fenchel-Young losses*, JMLR 2020,
/// <https://arxiv.org/abs/1901.02324>.
pub fn entmax_loss<'a, T: Float, D: RemoveAxis>(
    x: impl Into<ArrayView<'a, T, D>>,
    label: impl Into<ArrayView<'a, i64, D::Smaller>>,
    alpha: f64,
    softness: f64,
) -> Result<Array<T, D::Smaller>, Error> {
    let operator = EntmaxLoss { softness, alpha };
    let inputs = Inputs::from(([x.into().into_dyn()], [label.into().into_dyn()]));
    let [loss] = evaluate(&operator, inputs)?;
    let mismatch = |e| Error::unsupported(EntmaxLoss::NAME, "a loss of the input's rank less one", e);
    loss.into_dimensionality().map_err(mismatch)
}
