//! An operator whose second input is known.

use supple_core::{Args, Dual, Error, Fault, Float, Gradient, Operator, Point, Real, Scaling, Scratch};

/// What the second input is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Second {
    /// `weights(n)`, the same for all.
    Uniform,
    /// `k()`.
    Number(f64),
    /// `payload(n, 1)`: the places 1 to n.
    Places,
}

impl Second {
    /// Its entries.
    fn entries<T: Real>(self, n: usize, scratch: &mut Scratch<T>) -> Vec<T> {
        let mut entries = scratch.reals.empty();
        match self {
            Self::Uniform => entries.resize(n, T::of(1.0 / n as f64)),
            Self::Number(value) => entries.push(T::of(value)),
            Self::Places => entries.extend((1..=n).map(|place| T::of(place as f64))),
        }
        entries
    }

    /// The sizes of the inner signature.
    fn sizes(self, sizes: &[usize]) -> ([usize; 2], usize) {
        let n = sizes.first().copied().unwrap_or(0);
        ([n, 1], if self == Self::Places { 2 } else { 1 })
    }
}

/// `f(x, second)`.
#[derive(Debug, Clone)]
pub struct Given<P> {
    /// f.
    pub operator: P,
    /// The second input.
    pub second: Second,
}

impl<P: Operator<2>> Operator for Given<P> {
    const NAME: &'static str = P::NAME;
    const SIGNATURE: &'static str = "x(n) -> y(n)";
    const GRADIENT: Gradient = P::GRADIENT;
    type Saved<T: Real> = P::Saved<T>;

    fn validate(&self, sizes: &[usize]) -> Result<(), Error> {
        let (sizes, count) = self.second.sizes(sizes);
        self.operator.validate(&sizes[..count])
    }

    fn work(&self, sizes: &[usize]) -> usize {
        let (sizes, count) = self.second.sizes(sizes);
        self.operator.work(&sizes[..count])
    }

    fn scaling(&self) -> Option<Scaling> {
        let Scaling { softness, power, inputs: [x, second], outputs } = self.operator.scaling()?;
        // A payload of places scales the result and is not scaled: what is left of it is the exponent of x.
        let outputs = if self.second == Second::Places { outputs.map(|y| y - second) } else { outputs };
        let free = second == 0 || self.second == Second::Places;
        free.then_some(Scaling { softness, power, inputs: [x], outputs })
    }

    fn forward<T: Real>(
        &self,
        at: Args<'_, T>,
        y: [&mut [T]; 1],
        saved: &mut Self::Saved<T>,
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let second = self.second.entries(at.x[0].len(), scratch);
        let (sizes, count) = self.second.sizes(at.sizes);
        let args = Args { x: [at.x[0], &second], k: [], sizes: &sizes[..count], item: at.item };
        let result = self.operator.forward(args, y, saved, scratch);
        scratch.reals.give(second);
        result
    }

    fn lift<F: Float>(
        &self,
        at: Args<'_, Dual<F>>,
        values: Point<'_, F, Self::Saved<F>>,
        y: [&mut [Dual<F>]; 1],
        saved: &mut Self::Saved<Dual<F>>,
        scratch: &mut Scratch<Dual<F>>,
    ) -> Result<(), Fault> {
        let n = at.x[0].len();
        let second = self.second.entries(n, scratch);
        let plain = self.second.entries(n, &mut Scratch::default());
        let (sizes, count) = self.second.sizes(at.sizes);
        let (sizes, Point { x: [x], item, y: found, saved: own, .. }) = (&sizes[..count], values);
        let args = Args { x: [at.x[0], &second], k: [], sizes, item };
        let values = Point { x: [x, &plain], k: [], sizes, item, y: found, saved: own };
        let result = self.operator.lift(args, values, y, saved, scratch);
        scratch.reals.give(second);
        result
    }

    fn vjp<T: Real>(
        &self,
        at: Point<'_, T, Self::Saved<T>>,
        dy: [&[T]; 1],
        [dx]: [&mut [T]; 1],
        scratch: &mut Scratch<T>,
    ) {
        let second = self.second.entries(at.x[0].len(), scratch);
        let mut unused = scratch.reals.zeros(second.len());
        let (sizes, count) = self.second.sizes(at.sizes);
        let Point { item, y, saved, .. } = at;
        let point = Point { x: [at.x[0], &second], k: [], sizes: &sizes[..count], item, y, saved };
        self.operator.vjp(point, dy, [dx, &mut unused], scratch);
        scratch.reals.give(unused);
        scratch.reals.give(second);
    }

    fn hard<T: Float>(
        &self,
        at: Args<'_, T>,
        y: [&mut [T]; 1],
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let second = self.second.entries(at.x[0].len(), scratch);
        let (sizes, count) = self.second.sizes(at.sizes);
        let args = Args { x: [at.x[0], &second], k: [], sizes: &sizes[..count], item: at.item };
        let result = self.operator.hard(args, y, scratch);
        scratch.reals.give(second);
        result
    }
}
