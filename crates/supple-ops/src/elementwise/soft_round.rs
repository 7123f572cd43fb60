//! Rounding, smoothed: one smooth step between any two integers.
//!
//! With a smooth step $H$ from [`soft_heaviside`](super::soft_heaviside()) and
//! $f = x - \lfloor x \rfloor$,
//!
//! $$ y = \lfloor x \rfloor + \frac{H\big((f - \tfrac12) / \varepsilon\big) - H\big(-\tfrac12 / \varepsilon\big)}
//! {H\big(\tfrac12 / \varepsilon\big) - H\big(-\tfrac12 / \varepsilon\big)}. $$
//!
//! The step is stretched to go from 0 to 1, so that integers stay what they are at any softness, and
//! $y$ is increasing, continuous and odd, with $y(x + 1) = y(x) + 1$. At half-integers it is the midpoint. With
//! the logistic step this is the soft round of Agustsson and Theis with their $\alpha = 1 / (2 \varepsilon)$.
//! Libraries that add up the tails of neighbouring steps instead differ by about $H(-\tfrac12 / \varepsilon)$.
//!
//! * Softness: the unit of `x`; ε. As it grows, $y \to x$; with the polynomial step, $y$ is flat in a
//!   distance of $\tfrac12 - \varepsilon$ around the integers.
//! * Hard limit: the nearest integer. At half-integers the limit is the midpoint; the hard form rounds half to
//!   even (`numpy.round`).
//! * Gradient: exact and continuous everywhere. The second derivative jumps at the integers, where
//!   neighbouring steps meet, by about $H''(-\tfrac12 / \varepsilon)$; it is that of the right side.
//! * ±∞ stays; NaN gives NaN.
//! * Cost: that of the step.
//!
//! Paper: Agustsson and Theis, *Universally quantized neural compression*, NeurIPS 2020,
//! <https://arxiv.org/abs/2006.09952>.

use super::shape::{Shape, naive_step};
use ndarray::{Array, ArrayView, Dimension};
use supple_core::{
    Args, Contract, Error, Fault, Float, Law, Operator, Params, Point, Real, Sample, Scratch, Stream, map,
    params,
};

params! {
    /// Smooth rounding.
    pub struct SoftRound {
        /// Width of each step; the unit of `x`.
        softness: f64 = 0.1, Positive;
        /// Distribution function of the step.
        shape: Shape = Shape::Logistic, Any;
    }
}

impl Operator for SoftRound {
    const NAME: &'static str = "soft_round";
    const SIGNATURE: &'static str = "x(...) -> y(...)";
    type Saved<T: Real> = ();

    fn validate(&self, _: &[usize]) -> Result<(), Error> {
        self.check(Self::NAME)
    }

    fn forward<T: Real>(
        &self,
        at: Args<'_, T>,
        [y]: [&mut [T]; 1],
        _: &mut (),
        _: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let [x] = at.x;
        self.place_in_step(x, y);
        self.shape.odd(y);
        let stretch = T::of(0.5 / self.height());
        for (y, &x) in y.iter_mut().zip(x) {
            let (nearest, rest) = split(x);
            let rise = T::of(0.5) + *y * stretch;
            *y = nearest + if rest < T::zero() { -rise } else { rise };
        }
        Ok(())
    }

    fn vjp<T: Real>(&self, at: Point<'_, T, ()>, [dy]: [&[T]; 1], [dx]: [&mut [T]; 1], _: &mut Scratch<T>) {
        self.place_in_step(at.x[0], dx);
        self.shape.density(dx);
        let rate = T::of(0.5 / (self.height() * self.softness));
        dx.iter_mut().zip(dy).for_each(|(dx, &dy)| *dx *= rate * dy);
    }

    fn hard<T: Float>(&self, at: Args<'_, T>, [y]: [&mut [T]; 1], _: &mut Scratch<T>) -> Result<(), Fault> {
        y.iter_mut().zip(at.x[0]).for_each(|(y, &x)| *y = split(x).0);
        Ok(())
    }
}

impl SoftRound {
    /// Where in the step each element is: `(|x − nearest| − 1/2) / softness`, from −1 / (2 softness) to 0.
    fn place_in_step<T: Real>(&self, x: &[T], t: &mut [T]) {
        let softness = T::of(self.softness);
        t.iter_mut().zip(x).for_each(|(t, &x)| *t = (split(x).1.abs() - T::of(0.5)) / softness);
    }

    /// Half the height of the step between two integers, before it is stretched.
    fn height(&self) -> f64 {
        let mut t = [0.5 / self.softness];
        self.shape.odd(&mut t);
        t[0]
    }
}

/// The nearest integer (half to even) and what is left.
#[inline]
fn split<T: Real>(x: T) -> (T, T) {
    // Adding and taking away this number rounds to an integer.
    const SHIFT: f64 = 1.5 / f64::EPSILON;
    let v = x.as_f64();
    let nearest = if v.abs() < 1e15 { (v + SHIFT) - SHIFT } else { v };
    let nearest = T::of(nearest);
    (nearest, if v.is_infinite() { T::zero() } else { x - nearest })
}

impl Contract for SoftRound {
    const SUMMARY: &'static str = "nearest integer";
    const PAPER: &'static str = "Agustsson and Theis, NeurIPS 2020, arXiv:2006.09952";
    const COST: &'static str = "O(1) per element";

    fn cases() -> Vec<Self> {
        let case = |softness, shape| Self { softness, shape };
        vec![
            case(0.1, Shape::Logistic),
            case(3.0, Shape::Logistic),
            case(0.2, Shape::Gaussian),
            case(0.05, Shape::Cauchy),
            case(0.4, Shape::Polynomial),
            case(1.0, Shape::Polynomial),
        ]
    }

    fn laws(&self) -> Vec<Law> {
        vec![Law::Reversal(Box::new(|y, _| -y))]
    }

    /// Some distance from half-integers, where a Cauchy step comes to its hard limit slowly.
    fn sample(&self, _: &[usize], [n]: [usize; 1], random: &mut Stream) -> Sample {
        let away = |x: f64| x - 0.04 * split(x).1;
        Sample { x: [random.normals(n).into_iter().map(away).collect()], k: [] }
    }

    fn oracle(&self, at: Args<'_, f64>) -> Option<[Vec<f64>; 1]> {
        let step = |t: f64| naive_step(self.shape, t / self.softness);
        let (bottom, top) = (step(-0.5), step(0.5));
        let round = |x: &f64| x.floor() + (step(x - x.floor() - 0.5) - bottom) / (top - bottom);
        Some([at.x[0].iter().map(round).collect()])
    }
}

/// Smooth rounding of each element, with a logistic step between any two integers.
///
/// $$ y = \lfloor x \rfloor + \frac12 + \frac{\tanh\big((x - \lfloor x \rfloor - \tfrac12) / (2 \varepsilon)\big)}{2 \tanh(1 / (4 \varepsilon))} $$
///
/// * Shapes: any, to the same.
/// * Softness: ε, in the unit of `x`; the paper's α is 1 / (2 ε). As it grows, `y` approaches `x`.
/// * Hard limit: the nearest integer, the midpoint at half-integers. Integers stay at any softness.
/// * Gradient: exact and continuous everywhere; the second derivative jumps at the integers.
/// * ±∞ stays; NaN gives NaN.
/// * Cost: about one exponential per element.
/// * Errors: a softness that is not finite and above zero.
///
/// For the Gaussian, Cauchy and polynomial [shapes](Shape), call [`evaluate`](supple_core::evaluate) with
/// a [`SoftRound`]; for gradients, [`linearize`](supple_core::linearize).
///
/// ```
/// use supple_ops::elementwise::soft_round;
/// let y = soft_round(&[2.0f64, 2.5, 2.9], 0.05)?;
/// assert!(y[0] == 2.0 && y[1] == 2.5 && (y[2] - 2.9997).abs() < 1e-4);
/// # Ok::<(), supple_core::Error>(())
/// ```
///
/// Agustsson and Theis, *Universally quantized neural compression*, NeurIPS 2020,
/// <https://arxiv.org/abs/2006.09952>.
pub fn soft_round<'a, T: Float, D: Dimension>(
    x: impl Into<ArrayView<'a, T, D>>,
    softness: f64,
) -> Result<Array<T, D>, Error> {
    map(&SoftRound { softness, ..SoftRound::default() }, x)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_stay_and_half_integers_are_midpoints() {
        for rounding in SoftRound::cases() {
            let x = [-2.0, -1.5, -0.5, 0.0, 0.5, 1e6, 1e6 + 0.5, 1e300, f64::INFINITY];
            assert_eq!(map(&rounding, &x).unwrap().to_vec(), x);
        }
    }
}
