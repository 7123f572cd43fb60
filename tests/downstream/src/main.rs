//! Fits the line with the least largest error, by gradient descent on a maximum made smooth.

use supple_core::{Args, Error, Fault, Operator, Point, Real, Scratch};
use tch::nn::{Adam, Init, OptimizerConfig, VarStore};
use tch::{Device, Kind, Tensor, no_grad};

/// `softness · ln Σ exp(x / softness)`: the largest entry, made smooth.
#[derive(Clone)]
struct SmoothMaximum {
    softness: f64,
}

impl Operator for SmoothMaximum {
    const NAME: &'static str = "smooth_maximum";
    const SIGNATURE: &'static str = "x(n>=1) -> maximum()";
    type Saved<T: Real> = ();

    fn validate(&self, _: &[usize]) -> Result<(), Error> {
        if self.softness > 0.0 {
            return Ok(());
        }
        Err(Error::argument(Self::NAME, "softness", "> 0", self.softness))
    }

    fn forward<T: Real>(
        &self,
        at: Args<'_, T>,
        [y]: [&mut [T]; 1],
        _: &mut (),
        _: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let [x] = at.x;
        let (top, softness) = (x.iter().copied().fold(x[0], T::max), T::of(self.softness));
        y[0] = top + softness * T::sum_wide(x.iter().map(|&x| ((x - top) / softness).exp())).ln();
        Ok(())
    }

    fn vjp<T: Real>(&self, at: Point<'_, T, ()>, [dy]: [&[T]; 1], [dx]: [&mut [T]; 1], _: &mut Scratch<T>) {
        let ([x], [maximum]) = (at.x, at.y);
        for (dx, &x) in dx.iter_mut().zip(x) {
            *dx = dy[0] * ((x - maximum[0]) / T::of(self.softness)).exp();
        }
    }
}

/// The line `slope · x + offset` nearest to x² on [0, 1], and its largest error.
fn fit(steps: usize) -> Result<[f64; 3], supple_tch::Error> {
    let x = Tensor::linspace(0.0, 1.0, 101, (Kind::Float, Device::Cpu));
    let target = x.square();
    let parameters = VarStore::new(Device::Cpu);
    let [slope, offset] = ["slope", "offset"].map(|name| parameters.root().var(name, &[], Init::Const(0.0)));
    let mut optimizer = Adam::default().build(&parameters, 0.02)?;
    let errors = || (&slope * &x + &offset - &target).abs();
    for step in 0..steps {
        let [loss] = supple_tch::apply(&SmoothMaximum { softness: 1e-3 }, [&errors()])?;
        optimizer.backward_step(&loss);
        optimizer.set_lr(0.02 * (1.0 - step as f64 / steps as f64));
    }
    let worst = no_grad(|| errors().max());
    Ok([&slope, &offset, &worst].map(|value| value.double_value(&[])))
}

fn main() -> Result<(), supple_tch::Error> {
    let [slope, offset, error] = fit(500)?;
    println!("{slope:.3} x {offset:+.3}: largest error {error:.4}; the best line is x - 0.125 with 0.1250");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fitted_line_is_the_best_one() {
        let [slope, offset, error] = fit(500).unwrap();
        assert!((slope - 1.0).abs() < 0.01, "{slope}");
        assert!((offset + 0.125).abs() < 0.01, "{offset}");
        assert!(error < 0.13, "{error}");
    }

    #[test]
    fn double_backward_comes_free() {
        let x = Tensor::from_slice(&[0.1, 0.3, 0.2]).set_requires_grad(true);
        let gradient = |y: &Tensor| Tensor::run_backward(&[y], &[&x], true, true).remove(0);
        let [y] = supple_tch::apply(&SmoothMaximum { softness: 0.1 }, [&x]).unwrap();
        let by_us = gradient(&gradient(&y).square().sum(None));
        let by_torch = gradient(&gradient(&((&x / 0.1).logsumexp([0], false) * 0.1)).square().sum(None));
        assert!((by_us - by_torch).abs().max().double_value(&[]) < 1e-12);
    }

    #[test]
    fn a_bad_parameter_is_named() {
        let error = supple_tch::apply(&SmoothMaximum { softness: -1.0 }, [&Tensor::from(1.0).view(1)]);
        let message = error.map(|_| ()).unwrap_err().to_string();
        assert_eq!(message, "smooth_maximum: `softness` must be > 0, got -1");
    }
}
