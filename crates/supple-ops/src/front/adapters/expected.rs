//! What a soft choice is worth.

use supple_core::{Args, Dual, Error, Fault, Float, Gradient, Operator, Point, Real, Scaling, Scratch};

/// $\sum_i p_i x_i$ for the probabilities `p(x)` of a choice.
#[derive(Debug, Clone)]
pub struct Expected<P>(pub P);

/// What the choice saved, and its probabilities.
#[derive(Debug, Default)]
pub struct Saved<T, S> {
    p: Vec<T>,
    choice: S,
}

/// Of values, by their probabilities. What is never chosen may be −∞.
fn worth<T: Real>(x: &[T], p: &[T]) -> T {
    let chosen = x.iter().zip(p).filter(|(_, p)| !p.is_zero());
    T::narrow(chosen.map(|(&x, &p)| x.widen() * p.widen()).sum())
}

impl<P: Operator> Operator for Expected<P> {
    const NAME: &'static str = P::NAME;
    const SIGNATURE: &'static str = "x(n>=1) -> value()";
    const GRADIENT: Gradient = P::GRADIENT;
    type Saved<T: Real> = Saved<T, P::Saved<T>>;

    fn validate(&self, sizes: &[usize]) -> Result<(), Error> {
        self.0.validate(sizes)
    }

    fn work(&self, sizes: &[usize]) -> usize {
        self.0.work(sizes)
    }

    fn scaling(&self) -> Option<Scaling> {
        let Scaling { softness, power, inputs: [x], outputs: [p] } = self.0.scaling()?;
        Some(Scaling { softness, power, inputs: [x], outputs: [p + x] })
    }

    fn forward<T: Real>(
        &self,
        at: Args<'_, T>,
        [y]: [&mut [T]; 1],
        saved: &mut Self::Saved<T>,
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        saved.p = vec![T::zero(); at.x[0].len()];
        self.0.forward(at, [&mut saved.p], &mut saved.choice, scratch)?;
        y[0] = worth(at.x[0], &saved.p);
        Ok(())
    }

    fn lift<F: Float>(
        &self,
        at: Args<'_, Dual<F>>,
        values: Point<'_, F, Self::Saved<F>>,
        [y]: [&mut [Dual<F>]; 1],
        saved: &mut Self::Saved<Dual<F>>,
        scratch: &mut Scratch<Dual<F>>,
    ) -> Result<(), Fault> {
        let Saved { p, choice } = values.saved;
        saved.p = vec![Dual::zero(); p.len()];
        let values = Point { y: [p], ..values.with(choice) };
        self.0.lift(at, values, [&mut saved.p], &mut saved.choice, scratch)?;
        y[0] = worth(at.x[0], &saved.p);
        Ok(())
    }

    fn vjp<T: Real>(
        &self,
        at: Point<'_, T, Self::Saved<T>>,
        [dy]: [&[T]; 1],
        [dx]: [&mut [T]; 1],
        scratch: &mut Scratch<T>,
    ) {
        let Saved { p, choice } = at.saved;
        let x = at.x[0];
        // Less the result, which changes nothing where the probabilities sum to one, and saves digits.
        let mut dp = scratch.reals.empty();
        dp.extend(x.iter().map(|&x| if x.is_finite() { dy[0] * (x - at.y[0][0]) } else { T::zero() }));
        self.0.vjp(Point { y: [p], ..at.with(choice) }, [&dp], [dx], scratch);
        dx.iter_mut().zip(p).for_each(|(dx, &p)| *dx += dy[0] * p);
        scratch.reals.give(dp);
    }
}
