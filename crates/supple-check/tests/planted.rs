//! The harness finds what it is there to find: faults planted in three right operators.

use supple_check::{checks, failures};
use supple_core::*;

choices! {
    /// What is wrong with the operator.
    pub enum Plant {
        /// Nothing.
        Nothing = "nothing",
        /// The backward pass forgets to divide by the softness.
        Softness = "softness",
        /// A block of the backward pass ends one too late.
        Boundary = "boundary",
        /// The backward pass has the wrong sign.
        Sign = "sign",
        /// Forward and backward agree on a wrong function.
        Function = "function",
        /// NaN is a block of its own, and the others do not see it.
        Nan = "nan",
    }
}

params! {
    /// Isotonic regression of `x / softness`.
    pub struct Isotonic {
        /// Unit of the data.
        softness: f64 = 0.5, Positive;
        /// What is wrong.
        plant: Plant = Plant::Nothing, Any;
    }
}

impl Isotonic {
    fn divisor(&self) -> f64 {
        if self.plant == Plant::Function { 1.0 } else { self.softness }
    }
}

impl Operator for Isotonic {
    const NAME: &'static str = "isotonic";
    const SIGNATURE: &'static str = "x(n) -> y(n)";
    const GRADIENT: Gradient = Gradient::AlmostEverywhere;
    type Saved<T: Real> = Vec<usize>;

    fn validate(&self, _: &[usize]) -> Result<(), Error> {
        self.check(Self::NAME)
    }

    fn scaling(&self) -> Option<Scaling> {
        Some(Scaling { softness: self.softness, power: 1, inputs: [1], outputs: [0] })
    }

    fn forward<T: Real>(
        &self,
        at: Args<'_, T>,
        [y]: [&mut [T]; 1],
        ends: &mut Vec<usize>,
        _: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        if self.plant != Plant::Nan && at.x[0].iter().any(|x| x.is_nan()) {
            ends.push(y.len());
            y.fill(T::nan());
            return Ok(());
        }
        let mut blocks: Vec<(T, usize)> = vec![];
        for (i, &x) in at.x[0].iter().enumerate() {
            let mut block = (x / T::of(self.divisor()), 1);
            let mean = |(sum, n): (T, usize)| sum / T::of(n as f64);
            while let Some(last) = blocks.pop_if(|last| mean(*last) > mean(block)) {
                block = (last.0 + block.0, last.1 + block.1);
                ends.pop();
            }
            blocks.push(block);
            ends.push(i + 1);
        }
        let mut start = 0;
        for (&end, (sum, n)) in ends.iter().zip(blocks) {
            y[start..end].fill(sum / T::of(n as f64));
            start = end;
        }
        Ok(())
    }

    fn vjp<T: Real>(
        &self,
        at: Point<'_, T, Vec<usize>>,
        [dy]: [&[T]; 1],
        [dx]: [&mut [T]; 1],
        _: &mut Scratch<T>,
    ) {
        let factor = match self.plant {
            Plant::Softness => 1.0,
            Plant::Sign => -1.0 / self.softness,
            _ => 1.0 / self.divisor(),
        };
        let mut start = 0;
        for &end in at.saved {
            let late = (end + usize::from(self.plant == Plant::Boundary)).min(dy.len());
            let mean = T::sum_wide(dy[start..late].iter().copied()) / T::of((late - start) as f64);
            dx[start..end].fill(mean * T::of(factor));
            start = end;
        }
    }
}

impl Contract for Isotonic {
    const SUMMARY: &'static str = "Isotonic regression";
    const PAPER: &'static str = "Ayer et al., 1955";
    const COST: &'static str = "O(n)";

    fn cases() -> Vec<Self> {
        [Plant::Nothing, Plant::Softness, Plant::Boundary, Plant::Sign, Plant::Function, Plant::Nan]
            .map(|plant| Self { plant, ..Self::default() })
            .into()
    }

    fn oracle(&self, at: Args<'_, f64>) -> Option<[Vec<f64>; 1]> {
        // The min-max formula.
        let [x] = at.x;
        let mean = |i: usize, j: usize| x[i..=j].iter().sum::<f64>() / (j - i + 1) as f64 / self.softness;
        let value = |k: usize| {
            let least = |i: usize| (k..x.len()).map(|j| mean(i, j)).fold(f64::INFINITY, f64::min);
            (0..=k).map(least).fold(f64::NEG_INFINITY, f64::max)
        };
        Some([(0..x.len()).map(value).collect()])
    }
}

params! {
    /// Softmax that keeps its weights.
    pub struct Weights {
        /// Temperature.
        softness: f64 = 0.7, Positive;
        /// Whether `lift` fills the saved weights with values that have no tangents.
        stale: bool = false, Any;
        /// Whether distances are taken from the first entry and not from the largest.
        first: bool = false, Any;
    }
}

impl Operator for Weights {
    const NAME: &'static str = "weights";
    const SIGNATURE: &'static str = "x(n>=1) -> p(n)";
    type Saved<T: Real> = Vec<T>;

    fn validate(&self, _: &[usize]) -> Result<(), Error> {
        self.check(Self::NAME)
    }

    fn forward<T: Real>(
        &self,
        at: Args<'_, T>,
        [p]: [&mut [T]; 1],
        saved: &mut Vec<T>,
        _: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let others = if self.first { &[] } else { at.x[0] };
        let top = others.iter().copied().fold(at.x[0][0], T::max);
        p.iter_mut().zip(at.x[0]).for_each(|(p, &x)| *p = ((x - top) / T::of(self.softness)).exp());
        let total = T::sum_wide(p.iter().copied());
        p.iter_mut().for_each(|p| *p /= total);
        saved.extend_from_slice(p);
        Ok(())
    }

    fn vjp<T: Real>(
        &self,
        at: Point<'_, T, Vec<T>>,
        [dy]: [&[T]; 1],
        [dx]: [&mut [T]; 1],
        _: &mut Scratch<T>,
    ) {
        let mean: T = at.saved.iter().zip(dy).map(|(&p, &dy)| p * dy).sum();
        for ((dx, &p), &dy) in dx.iter_mut().zip(at.saved).zip(dy) {
            *dx = p * (dy - mean) / T::of(self.softness);
        }
    }

    fn lift<F: Float>(
        &self,
        at: Args<'_, Dual<F>>,
        values: Point<'_, F, Vec<F>>,
        [p]: [&mut [Dual<F>]; 1],
        saved: &mut Vec<Dual<F>>,
        scratch: &mut Scratch<Dual<F>>,
    ) -> Result<(), Fault> {
        self.forward(at, [p], saved, scratch)?;
        if self.stale {
            saved.clear();
            saved.extend(values.saved.iter().map(|&p| Dual::constant(p)));
        }
        Ok(())
    }
}

impl Contract for Weights {
    const SUMMARY: &'static str = "Softmax";
    const PAPER: &'static str = "Boltzmann, 1868";
    const COST: &'static str = "O(n)";

    fn cases() -> Vec<Self> {
        [(false, false), (true, false), (false, true)]
            .map(|(stale, first)| Self { stale, first, ..Self::default() })
            .into()
    }

    fn laws(&self) -> Vec<Law> {
        vec![Law::Masks]
    }
}

params! {
    /// Squares times a random number.
    pub struct Noisy {
        /// Seed of the number; drawn at each call where there is none.
        seed: Option<u64> = None, Any;
        /// Whether `lift` draws again.
        again: bool = false, Any;
        /// Whether the definition is given for one number only.
        small: bool = false, Any;
    }
}

fn drawn(seed: u64, item: usize) -> f64 {
    1.0 + Stream::new(seed, item, 0).uniform()
}

impl Operator for Noisy {
    const NAME: &'static str = "noisy";
    const SIGNATURE: &'static str = "x(n) -> y(n)";
    type Saved<T: Real> = u64;

    fn forward<T: Real>(
        &self,
        at: Args<'_, T>,
        [y]: [&mut [T]; 1],
        seed: &mut u64,
        _: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        *seed = self.seed.unwrap_or_else(Stream::fresh_seed);
        let factor = T::of(drawn(*seed, at.item));
        y.iter_mut().zip(at.x[0]).for_each(|(y, x)| *y = factor * x.square());
        Ok(())
    }

    fn vjp<T: Real>(&self, at: Point<'_, T, u64>, [dy]: [&[T]; 1], [dx]: [&mut [T]; 1], _: &mut Scratch<T>) {
        let factor = T::of(2.0 * drawn(*at.saved, at.item));
        dx.iter_mut().zip(at.x[0]).zip(dy).for_each(|((dx, &x), &dy)| *dx = factor * x * dy);
    }

    fn lift<F: Float>(
        &self,
        at: Args<'_, Dual<F>>,
        values: Point<'_, F, u64>,
        y: [&mut [Dual<F>]; 1],
        seed: &mut u64,
        scratch: &mut Scratch<Dual<F>>,
    ) -> Result<(), Fault> {
        let seeded = Self { seed: Some(*values.saved), ..self.clone() };
        let lifted = if self.again { self } else { &seeded };
        lifted.forward(at, y, seed, scratch)
    }
}

impl Contract for Noisy {
    const SUMMARY: &'static str = "Squares times a random number";
    const PAPER: &'static str = "none";
    const COST: &'static str = "O(n)";

    fn cases() -> Vec<Self> {
        [(false, false), (true, false), (false, true)]
            .map(|(again, small)| Self { again, small, seed: None })
            .into()
    }

    fn oracle(&self, at: Args<'_, f64>) -> Option<[Vec<f64>; 1]> {
        let factor = drawn(self.seed?, at.item);
        let defined = !self.small || at.x[0].len() == 1;
        defined.then(|| [at.x[0].iter().map(|x| factor * x * x).collect()])
    }
}

/// The names of the checks that fail for one case, without the operator's.
fn failing(entry: &Entry, case: usize) -> Vec<String> {
    let prefix = format!("{}::case_{case}::", entry.name);
    let of_case = checks(entry).into_iter().filter(|check| check.name.starts_with(&prefix)).collect();
    let name = |line: String| line[prefix.len()..].split(": ").next().map(str::to_string);
    failures(of_case).into_iter().filter_map(name).collect()
}

const ISOTONIC: Entry = Entry::of::<Isotonic, _, _, _>();
const WEIGHTS: Entry = Entry::of::<Weights, _, _, _>();
const NOISY: Entry = Entry::of::<Noisy, _, _, _>();

#[test]
fn right_operators_pass_everything() {
    assert_eq!(failing(&ISOTONIC, 0), [""; 0]);
    assert_eq!(failing(&WEIGHTS, 0), [""; 0]);
    assert_eq!(failing(&NOISY, 0), [""; 0]);
}

#[test]
fn a_right_operator_is_checked_in_every_way() {
    let names: Vec<String> = checks(&ISOTONIC).into_iter().map(|c| c.name).collect();
    for check in [
        "f64::adjoint",
        "f32::adjoint",
        "f64::differences",
        "f64::second_order",
        "f32::gradient",
        "f64::scales",
        "f64::softness_gradient",
        "f64::oracle",
        "f32::values",
        "f64::ties",
        "f32::strides",
        "f64::empty",
        "f64::isolation",
        "f64::nan",
        "f64::one_call",
        "f64::threads",
        "f64::ragged",
        "f64::axis",
        "parameters",
        "shapes",
    ] {
        assert!(names.contains(&format!("isotonic::case_0::{check}")), "{check} is missing");
    }
}

#[test]
fn finds_a_forgotten_softness() {
    let failing = failing(&ISOTONIC, 1);
    assert!(
        failing.contains(&"f64::adjoint".into()) && failing.contains(&"f32::adjoint".into()),
        "{failing:?}"
    );
    assert!(failing.contains(&"f64::scales".into()), "{failing:?}");
}

#[test]
fn finds_a_block_that_ends_one_too_late() {
    let failing = failing(&ISOTONIC, 2);
    assert!(failing.contains(&"f64::adjoint".into()), "{failing:?}");
}

#[test]
fn finds_a_wrong_sign() {
    let failing = failing(&ISOTONIC, 3);
    assert!(failing.contains(&"f64::adjoint".into()), "{failing:?}");
}

#[test]
fn finds_a_wrong_function_with_the_right_gradient() {
    let failing = failing(&ISOTONIC, 4);
    assert!(!failing.contains(&"f64::adjoint".into()), "{failing:?}");
    for check in ["f64::oracle", "f64::scales", "f64::softness_gradient"] {
        assert!(failing.contains(&check.into()), "{check} passes; failing are {failing:?}");
    }
}

#[test]
fn finds_a_lift_that_leaves_the_saved_state_without_tangents() {
    let failing = failing(&WEIGHTS, 1);
    assert_eq!(failing, ["f64::second_order"]);
}

#[test]
fn finds_a_masked_entry_that_is_not_left_out() {
    assert_eq!(failing(&WEIGHTS, 2), ["f64::masks"]);
}

#[test]
fn finds_nan_that_the_other_outputs_do_not_see() {
    assert_eq!(failing(&ISOTONIC, 5), ["f32::nan", "f64::nan"]);
}

#[test]
fn finds_derivatives_of_other_noise() {
    assert_eq!(failing(&NOISY, 1), ["f64::one_call"]);
}

#[test]
fn finds_a_definition_of_next_to_nothing() {
    assert_eq!(failing(&NOISY, 2), ["f64::oracle"]);
}
