//! Projection onto a box: each element is clipped to its own interval.
//!
//! $$ y = \min(\max(x, l), u) $$
//!
//! * Gradient: to `x` where $l \le x \le u$, its ends included; to the lower bound where $x < l$ and to the
//!   upper where $x > u$. Where $l = u$ nothing goes to `x`, and the lower bound gets it at $x = l = u$. The
//!   second derivative is zero almost everywhere.
//! * An infinite bound is none. ±∞ is clipped like any other number, and NaN in any of the three makes the
//!   element NaN. Bounds that cross are a fault of the block of elements that holds them.
//! * Cost: O(1) per element.

use super::common::twice;
use ndarray::{Array, ArrayView, Dimension, arr0};
use supple_core::{
    Args, Contract, Error, Fault, Float, Gradient, Law, Operator, Params, Point, Real, Sample, Scratch,
    Stream, params,
};

params! {
    /// Elementwise clip.
    pub struct BoxProjection {}
}

impl Operator<3> for BoxProjection {
    const NAME: &'static str = "box_projection";
    const SIGNATURE: &'static str = "x(...), lower(...), upper(...) -> y(...)";
    const GRADIENT: Gradient = Gradient::AlmostEverywhere;
    type Saved<T: Real> = ();

    fn validate(&self, _: &[usize]) -> Result<(), Error> {
        self.check(Self::NAME)
    }

    fn forward<T: Real>(
        &self,
        at: Args<'_, T, 3>,
        [y]: [&mut [T]; 1],
        _: &mut (),
        _: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let [x, lower, upper] = at.x;
        let mut crossed = false;
        for ((y, &x), (&l, &u)) in y.iter_mut().zip(x).zip(lower.iter().zip(upper)) {
            crossed |= l > u;
            *y = match source(x, l, u) {
                Source::Point => x,
                Source::Lower => l,
                Source::Upper => u,
                Source::None => T::nan(),
            };
        }
        match lower.iter().zip(upper).find(|(l, u)| crossed && l > u) {
            Some((l, _)) => {
                Err(Fault::Domain { argument: "lower", requirement: "<= upper", value: l.as_f64() })
            }
            None => Ok(()),
        }
    }

    fn vjp<T: Real>(
        &self,
        at: Point<'_, T, (), 3>,
        [dy]: [&[T]; 1],
        [dx, dlower, dupper]: [&mut [T]; 3],
        _: &mut Scratch<T>,
    ) {
        let [x, lower, upper] = at.x;
        let gradients = dx.iter_mut().zip(dlower.iter_mut().zip(dupper));
        let points = x.iter().zip(lower.iter().zip(upper)).zip(dy);
        for ((dx, (dl, du)), ((&x, (&l, &u)), &dy)) in gradients.zip(points) {
            let source = source(x, l, u);
            let part = |wanted| if source == wanted { dy } else { T::zero() };
            (*dx, *dl, *du) = (part(Source::Point), part(Source::Lower), part(Source::Upper));
            if source == Source::None {
                (*dx, *dl, *du) = (T::nan(), T::nan(), T::nan());
            }
        }
    }
}

/// Which of the three an element comes from.
#[derive(Clone, Copy, PartialEq)]
enum Source {
    Point,
    Lower,
    Upper,
    /// There is a NaN.
    None,
}

#[inline(always)]
fn source<T: Real>(x: T, lower: T, upper: T) -> Source {
    if x < lower || lower == upper && x == lower {
        // The upper bound may be NaN.
        if upper.is_nan() { Source::None } else { Source::Lower }
    } else if x > upper {
        if lower.is_nan() { Source::None } else { Source::Upper }
    } else if lower <= x && x <= upper {
        Source::Point
    } else {
        Source::None
    }
}

impl Contract<3> for BoxProjection {
    const SUMMARY: &'static str = "nearest point of a box: elementwise clip";
    const PAPER: &'static str = "Boyd and Vandenberghe, Convex Optimization, 2004, section 8.1";
    const COST: &'static str = "O(1) per element";
    const ARGUMENTS: &'static [&'static str] = &[];

    fn cases() -> Vec<Self> {
        vec![Self {}]
    }

    fn laws(&self) -> Vec<Law> {
        let outside = |y: f64, l: f64, u: f64| (l - y).max(y - u).max(0.0);
        let most = move |y: &[f64], l: &[f64], u: &[f64]| {
            y.iter().zip(l.iter().zip(u)).map(|(&y, (&l, &u))| outside(y, l, u)).fold(0.0, f64::max)
        };
        vec![
            Law::Vanishes("outside_of_the_box", Box::new(move |at| most(at.y[0], at.x[1], at.x[2]))),
            twice(self),
        ]
    }

    /// The middle of the three.
    fn oracle(&self, at: Args<'_, f64, 3>) -> Option<[Vec<f64>; 1]> {
        let [x, lower, upper] = at.x;
        let middle = |i: usize| {
            let mut three = [x[i], lower[i], upper[i]];
            three.sort_by(f64::total_cmp);
            three[1]
        };
        Some([(0..x.len()).map(middle).collect()])
    }

    /// Boxes of which some are open to one side.
    fn sample(&self, _: &[usize], [n, ..]: [usize; 3], random: &mut Stream) -> Sample<3> {
        let lower: Vec<f64> = (0..n).map(|_| 0.5 * random.normal() - 0.5).collect();
        let upper: Vec<f64> = lower.iter().map(|lower| lower + 0.1 + random.normal().abs()).collect();
        let open = |i: usize, wanted: usize, bound: f64, at: f64| if i % 5 == wanted { at } else { bound };
        let lower = lower.into_iter().enumerate().map(|(i, l)| open(i, 3, l, f64::NEG_INFINITY)).collect();
        let upper = upper.into_iter().enumerate().map(|(i, u)| open(i, 4, u, f64::INFINITY)).collect();
        Sample { x: [random.normals(n), lower, upper], k: [] }
    }

    fn free(&self) -> [bool; 3] {
        [true, false, false]
    }
}

/// Each element of `x` clipped to the interval from `lower` to `upper`: the nearest point of a box.
///
/// $$ y = \min(\max(x, l), u) $$
///
/// * Shapes: any, to the same.
/// * Gradient: to `x` from $l$ to $u$, the ends included, zero outside. Second derivatives are zero almost
///   everywhere.
/// * An infinite bound is none. ±∞ is clipped; NaN gives NaN.
/// * Cost: O(1) per element.
/// * Errors: `lower` above `upper`.
///
/// For bounds that are arrays, of any shape that broadcasts, and for their gradients, call
/// [`evaluate`](supple_core::evaluate) or [`linearize`](supple_core::linearize) with a [`BoxProjection`].
///
/// ```
/// use ndarray::array;
/// use supple_ops::project::box_projection;
/// assert_eq!(box_projection(&array![-2.0, 0.5, 3.0], -1.0, 1.0)?, array![-1.0, 0.5, 1.0]);
/// # Ok::<(), supple_core::Error>(())
/// ```
pub fn box_projection<'a, T: Float, D: Dimension>(
    x: impl Into<ArrayView<'a, T, D>>,
    lower: f64,
    upper: f64,
) -> Result<Array<T, D>, Error> {
    let [lower, upper] = [lower, upper].map(|bound| arr0(T::of(bound)).into_dyn());
    super::common::project(&BoxProjection {}, [x.into().into_dyn(), lower.view(), upper.view()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;
    use supple_core::linearize;

    #[test]
    fn each_element_has_one_source() {
        let (inf, nan) = (f64::INFINITY, f64::NAN);
        let x = array![-1.0, 0.0, 0.5, 1.0, 2.0, 1.0, 0.0, 3.0, -inf, inf, 5.0, nan, 0.0].into_dyn();
        let lower = array![0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 0.0, 0.0, -inf, 0.0, nan].into_dyn();
        let upper = array![1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, inf, 1.0, 1.0].into_dyn();
        let at = linearize(&BoxProjection {}, [x.view(), lower.view(), upper.view()]).unwrap();
        let y = at.outputs()[0].clone().into_raw_vec_and_offset().0;
        assert_eq!(y[..11], [0.0, 0.0, 0.5, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 1.0, 5.0]);
        assert!(y[11].is_nan() && y[12].is_nan());
        let [dx, dl, du] = at.vjp([ndarray::ArrayD::ones(x.raw_dim()).view()]).unwrap();
        let places = |d: &ndarray::ArrayD<f64>| (0..11).filter(|&i| d[i] == 1.0).collect::<Vec<_>>();
        assert_eq!(places(&dx), [1, 2, 3, 10]);
        assert_eq!(places(&dl), [0, 5, 6, 8]);
        assert_eq!(places(&du), [4, 7, 9]);
    }

    #[test]
    fn bounds_that_cross_are_refused() {
        let error = box_projection(&array![0.0], 1.0, -1.0).unwrap_err().to_string();
        assert!(error.contains("`lower` must be <= upper, got 1"), "{error}");
    }
}
