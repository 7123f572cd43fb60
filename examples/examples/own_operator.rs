//! An operator of your own: written once for one item, it becomes an autograd operator of LibTorch, and the
//! checks of the catalogue apply to it.
//!
//! The operator is a smooth absolute value. It is used to fit a line to points of which some are far off:
//! the sum of absolute residuals does not mind them, the sum of squares does.

use std::error::Error as StdError;
use supple::{
    Args, Contract, Entry, Error, Fault, Float, Law, Operator, Params, Point, Real, Reversed, Scaling,
    Scratch, params,
};
use supple_check::{checks, failures};
use tch::nn::{Adam, Init, OptimizerConfig, VarStore};
use tch::{Device, Kind, Tensor, no_grad};

params! {
    /// The absolute value with a round corner: `sqrt(x² + softness²)`.
    pub struct SoftAbs {
        /// The height of the corner, in the unit of `x`.
        softness: f64 = 0.1, Positive;
    }
}

impl Operator for SoftAbs {
    const NAME: &'static str = "soft_abs";
    const SIGNATURE: &'static str = "x(...) -> y(...)";
    type Saved<T: Real> = ();

    fn validate(&self, _: &[usize]) -> Result<(), Error> {
        self.check(Self::NAME)
    }

    fn scaling(&self) -> Option<Scaling> {
        Some(Scaling { softness: self.softness, power: 1, inputs: [1], outputs: [1] })
    }

    fn forward<T: Real>(
        &self,
        at: Args<'_, T>,
        [y]: [&mut [T]; 1],
        _: &mut (),
        _: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let corner = T::of(self.softness).square();
        y.iter_mut().zip(at.x[0]).for_each(|(y, x)| *y = (x.square() + corner).sqrt());
        Ok(())
    }

    fn vjp<T: Real>(&self, at: Point<'_, T, ()>, [dy]: [&[T]; 1], [dx]: [&mut [T]; 1], _: &mut Scratch<T>) {
        for (i, dx) in dx.iter_mut().enumerate() {
            *dx = dy[i] * at.x[0][i] / at.y[0][i];
        }
    }

    fn hard<T: Float>(&self, at: Args<'_, T>, [y]: [&mut [T]; 1], _: &mut Scratch<T>) -> Result<(), Fault> {
        y.iter_mut().zip(at.x[0]).for_each(|(y, x)| *y = x.abs());
        Ok(())
    }
}

/// What the checks compare it with. The library needs none of this.
impl Contract for SoftAbs {
    const SUMMARY: &'static str = "absolute value with a round corner";
    const PAPER: &'static str = "Charbonnier et al., ICIP 1994";
    const COST: &'static str = "O(n)";

    fn cases() -> Vec<Self> {
        [0.1, 3.0].map(|softness| Self { softness }).into()
    }

    fn laws(&self) -> Vec<Law> {
        let even: Box<Reversed> = Box::new(|y, _| y);
        vec![Law::Reversal(even), Law::PermutationEquivariant]
    }

    fn oracle(&self, at: Args<'_, f64>) -> Option<[Vec<f64>; 1]> {
        Some([at.x[0].iter().map(|x| x.hypot(self.softness)).collect()])
    }
}

fn main() -> Result<(), Box<dyn StdError>> {
    let quick = std::env::var_os("SUPPLE_QUICK").is_some_and(|quick| quick == "1");
    let steps = if quick { 200 } else { 2000 };

    let (x, y) = points();
    println!("a line through 100 points, of which 20 are far off");
    println!("                         slope   offset");
    println!("truth                    2.000    1.000");
    let [slope, offset] = fit(&x, &y, steps, |residuals| Ok(residuals.square()))?;
    println!("sum of squares          {slope:6.3}   {offset:6.3}");
    let [slope, offset] = fit(&x, &y, steps, |residuals| {
        let [y] = supple_tch::apply(&SoftAbs { softness: 0.05 }, [residuals])?;
        Ok(y)
    })?;
    println!("sum of soft_abs         {slope:6.3}   {offset:6.3}");

    let checks = checks(&Entry::of::<SoftAbs, _, _, _>());
    let count = checks.len();
    let failures = failures(checks);
    println!("\nsupple-check: {count} checks ran, {} passed", count - failures.len());
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n").into()) }
}

/// Points on `2 x + 1` with a little noise; every fifth is 5 too high where x is large.
fn points() -> (Tensor, Tensor) {
    tch::manual_seed(1);
    let x = Tensor::linspace(0.0, 1.0, 100, (Kind::Double, Device::Cpu));
    let fifth = Tensor::arange(100, (Kind::Int64, Device::Cpu)).remainder(5).eq(0);
    let y: Tensor = 2.0 * &x + 1.0 + 0.1 * x.randn_like() + 5.0 * fifth * &x;
    (x, y)
}

/// Slope and offset of the line with the least mean loss.
fn fit(
    x: &Tensor,
    y: &Tensor,
    steps: usize,
    loss: impl Fn(&Tensor) -> Result<Tensor, supple_tch::Error>,
) -> Result<[f64; 2], supple_tch::Error> {
    let variables = VarStore::new(Device::Cpu);
    let [slope, offset] = ["slope", "offset"].map(|name| variables.root().var(name, &[], Init::Const(0.0)));
    let mut optimizer = Adam::default().build(&variables, 0.1)?;
    for step in 0..steps {
        optimizer.set_lr(0.1 * (1.0 - step as f64 / steps as f64));
        optimizer.backward_step(&loss(&(&slope * x + &offset - y))?.mean(None));
    }
    Ok(no_grad(|| [slope.double_value(&[]), offset.double_value(&[])]))
}
