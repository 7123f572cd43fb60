//! The step to a hyperplane, which two projections share.

use supple_core::{Fault, Real};
use supple_numerics::elementary::{dot, sum_by};

/// The step from `x` to $\lbrace \langle a, y \rangle = b\rbrace$ along its normal: $y = x - t a$ with
/// $t = (\langle a, x \rangle - b) / \lVert a \rVert^2$.
///
/// The equation is scaled by the largest entry of `a`, which changes nothing but keeps the squares in range.
pub(super) struct Step<A> {
    /// The largest size of an entry of `a`.
    largest: f64,
    /// What a scaled `a` is multiplied by. Positive where `x` is above the plane.
    length: A,
    /// The squared norm of the scaled `a`.
    square: A,
}

impl<A: Real<Acc = A>> Step<A> {
    pub fn new<T: Real<Acc = A>>(x: &[T], normal: &[T], offset: T) -> Result<Self, Fault> {
        let largest = normal.iter().fold(0.0, |most: f64, a| {
            let size = a.as_f64().abs();
            if size > most || size.is_nan() { size } else { most }
        });
        if largest == 0.0 {
            return Err(Fault::Domain { argument: "normal", requirement: "other than zero", value: 0.0 });
        }
        let mut step = Self { largest, length: A::zero(), square: A::zero() };
        step.square = sum_by(normal, normal, |a, _| step.scaled(a).square());
        let product = sum_by(normal, x, |a, x| step.scaled(a) * x.widen());
        step.length = (product - step.scaled(offset)) / step.square;
        Ok(step)
    }

    /// Whether `x` is in the half-space below the plane, or on the plane.
    pub fn is_inside(&self) -> bool {
        self.length <= A::zero()
    }

    #[inline(always)]
    fn scaled<T: Real<Acc = A>>(&self, a: T) -> A {
        a.widen() / A::of(self.largest)
    }

    pub fn take<T: Real<Acc = A>>(&self, x: &[T], normal: &[T], y: &mut [T]) {
        if !self.length.is_finite() || self.square.is_nan() {
            return y.fill(T::nan());
        }
        for ((y, x), &a) in y.iter_mut().zip(x).zip(normal) {
            *y = T::narrow(x.widen() - self.length * self.scaled(a));
        }
    }

    /// With $q = \langle a, \bar y \rangle / \lVert a \rVert^2$: $\bar x = \bar y - q a$, $\bar b = q$ and
    /// $\bar a = -t \bar x - q y$.
    pub fn pull_back<T: Real<Acc = A>>(
        &self,
        [normal, y, dy]: [&[T]; 3],
        [dx, dnormal, doffset]: [&mut [T]; 3],
    ) {
        if y.iter().any(|y| y.is_nan()) {
            return [dx, dnormal, doffset].into_iter().for_each(|d| d.fill(T::nan()));
        }
        let scale = A::of(1.0 / self.largest);
        let along = dot(normal, dy) * scale / self.square;
        let (q, t) = (along * scale, self.length * scale);
        doffset.fill(T::narrow(q));
        let places = normal.iter().zip(y).zip(dy);
        for (((&a, y), dy), (dx, dnormal)) in places.zip(dx.iter_mut().zip(dnormal)) {
            let across = dy.widen() - along * self.scaled(a);
            *dx = T::narrow(across);
            *dnormal = -T::narrow(t * across + q * y.widen());
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::project::{half_space_projection, hyperplane_projection};
    use ndarray::array;

    #[test]
    fn normals_of_any_size() {
        for scale in [1e-250, 1e-10, 1.0, 1e9, 1e250] {
            let (x, a) = (array![3.0, 1.0], array![3.0, 4.0] * scale);
            let y = hyperplane_projection(&x, &a, 38.0 * scale).unwrap();
            assert!((y - array![6.0, 5.0]).iter().all(|gap: &f64| gap.abs() < 1e-14), "{scale:e}");
            assert_eq!(half_space_projection(&x, &a, 38.0 * scale).unwrap(), x);
        }
    }

    #[test]
    fn what_is_not_finite() {
        let (inf, nan) = (f64::INFINITY, f64::NAN);
        let (x, a) = (array![1.0, 2.0], array![1.0, 0.0]);
        assert_eq!(half_space_projection(&x, &a, inf).unwrap(), x);
        assert_eq!(half_space_projection(&array![-inf, 2.0], &a, 0.0).unwrap(), array![-inf, 2.0]);
        for x in [array![inf, 2.0], array![nan, 2.0]] {
            assert!(half_space_projection(&x, &a, 0.0).unwrap().iter().all(|y| y.is_nan()));
            assert!(hyperplane_projection(&x, &a, 0.0).unwrap().iter().all(|y| y.is_nan()));
        }
        let refused =
            |error: supple_core::Error, name: &str| assert!(error.to_string().contains(name), "{error}");
        refused(half_space_projection(&x, &array![0.0, 0.0], 1.0).unwrap_err(), "`normal`");
        refused(hyperplane_projection(&x, &array![0.0, 0.0], 1.0).unwrap_err(), "`normal`");
        refused(half_space_projection(&x, &a, -inf).unwrap_err(), "`offset`");
        refused(hyperplane_projection(&x, &a, inf).unwrap_err(), "`offset`");
    }
}
