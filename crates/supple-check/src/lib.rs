//! The checks that every Supple operator must pass, as a library.
//!
//! From an operator's [`Contract`](supple_core::Contract) alone, without a word about the operator itself,
//! this makes a list of named checks: the adjoint identity, central differences, second derivatives, the
//! naive definition, the operator's laws, its scaling, the hard limit, precisions, scales, ties, memory
//! layouts, broadcasting, ragged and empty batches, NaN and infinities, noise without a seed, threads, and
//! errors.
//! A check that does not apply is not made, so green always means that it ran.
//!
//! In a unit test of your own operator:
//!
//! ```
//! # use supple_core::{params, Args, Contract, Entry, Fault, Operator, Params, Point, Real, Scratch};
//! # params! {
//! #     /// A multiple.
//! #     pub struct MyOperator {
//! #         /// The factor.
//! #         factor: f64 = 2.0, Positive;
//! #     }
//! # }
//! # impl Operator for MyOperator {
//! #     const NAME: &'static str = "my_operator";
//! #     const SIGNATURE: &'static str = "x(...) -> y(...)";
//! #     type Saved<T: Real> = ();
//! #     fn validate(&self, _: &[usize]) -> Result<(), supple_core::Error> {
//! #         self.check(Self::NAME)
//! #     }
//! #     fn forward<T: Real>(
//! #         &self, at: Args<'_, T>, [y]: [&mut [T]; 1], _: &mut (), _: &mut Scratch<T>,
//! #     ) -> Result<(), Fault> {
//! #         y.iter_mut().zip(at.x[0]).for_each(|(y, &x)| *y = T::of(self.factor) * x);
//! #         Ok(())
//! #     }
//! #     fn vjp<T: Real>(
//! #         &self, _: Point<'_, T, ()>, [dy]: [&[T]; 1], [dx]: [&mut [T]; 1], _: &mut Scratch<T>,
//! #     ) {
//! #         dx.iter_mut().zip(dy).for_each(|(dx, &dy)| *dx = T::of(self.factor) * dy);
//! #     }
//! # }
//! # impl Contract for MyOperator {
//! #     const SUMMARY: &'static str = "a multiple";
//! #     const PAPER: &'static str = "none";
//! #     const COST: &'static str = "O(n)";
//! #     fn cases() -> Vec<Self> {
//! #         vec![Self { factor: 2.0 }, Self { factor: 0.5 }]
//! #     }
//! # }
//! supple_check::assert_contract(&Entry::of::<MyOperator, _, _, _>());
//! ```

mod batches;
mod derivatives;
mod parameters;
mod problem;
mod runner;
mod values;

pub use runner::{Engine, Runner};

use libtest_mimic::{Arguments, Trial};
use std::process::ExitCode;
use supple_core::{AnyContract, Entry, Family, Field, Gradient, Value};

/// What a check says: nothing, or what is wrong.
pub type Outcome = Result<(), String>;

/// An operator with one of its parameter sets.
pub(crate) struct Case {
    operator: Box<dyn AnyContract>,
    fields: &'static [Field],
}

/// A named check of one operator with one of its parameter sets.
pub struct Check {
    /// `operator::case_0::f64::adjoint`
    pub name: String,
    /// The parameters.
    pub parameters: String,
    run: Box<dyn FnOnce() -> Outcome + Send>,
}

impl Check {
    /// Runs it. The message of a failure names the parameters.
    pub fn run(self) -> Outcome {
        let parameters = self.parameters;
        (self.run)().map_err(|message| format!("{parameters}: {message}"))
    }
}

/// Where the checks are collected for one case.
struct List<'a> {
    checks: Vec<Check>,
    entry: &'a Entry,
    place: usize,
}

impl List<'_> {
    fn add(&mut self, name: impl Into<String>, check: impl FnOnce(&Case) -> Outcome + Send + 'static) {
        let (make, fields, place) = (self.entry.cases, self.entry.fields, self.place);
        let case = move || Case { operator: with_seed(make().swap_remove(place)), fields };
        self.checks.push(Check {
            name: format!("{}::case_{place}::{}", self.entry.name, name.into()),
            parameters: case().operator.describe(),
            run: Box::new(move || check(&case())),
        });
    }
}

/// The same noise at every call, so that calls can be compared.
fn with_seed(mut operator: Box<dyn AnyContract>) -> Box<dyn AnyContract> {
    // An operator without a seed refuses the parameter and stays as it was.
    let _ = operator.set("seed", Value::Int(1));
    operator
}

/// Every check that applies to an entry.
pub fn checks(entry: &Entry) -> Vec<Check> {
    let mut all = derivative_checks(entry, "f32", &Engine, "f64", &Engine);
    for place in 0..(entry.cases)().len() {
        let mut list = List { checks: vec![], entry, place };
        let operator = with_seed((entry.cases)().swap_remove(place));
        value_checks(&mut list, &*operator);
        batch_checks(&mut list, &*operator);
        if entry.gradient.is_derivative() {
            list.add("f64::one_call", derivatives::one_call);
        }
        list.add("parameters", parameters::domains);
        list.add("shapes", parameters::shapes);
        all.extend(list.checks);
    }
    all
}

/// The checks of derivatives, through any [`Runner`]: what a bridge to another framework must pass.
pub fn derivative_checks(
    entry: &Entry,
    single_name: &str,
    single: &'static dyn Runner<f32>,
    double_name: &str,
    double: &'static dyn Runner<f64>,
) -> Vec<Check> {
    let mut all = vec![];
    for place in 0..(entry.cases)().len() {
        let mut list = List { checks: vec![], entry, place };
        let operator = with_seed((entry.cases)().swap_remove(place));
        let double_check = |name: &str| format!("{double_name}::{name}");
        if entry.gradient.is_derivative() {
            list.add(double_check("adjoint"), |case| derivatives::adjoint(case, double));
            list.add(format!("{single_name}::adjoint"), |case| derivatives::adjoint(case, single));
            list.add(double_check("differences"), |case| derivatives::differences(case, double));
            list.add(double_check("second_order"), |case| derivatives::second_order(case, double));
            let name = format!("{single_name}::gradient");
            list.add(name, |case| derivatives::single_precision_gradient(case, single));
        } else {
            let name = double_check("second_order_refused");
            list.add(name, |case| derivatives::second_order_refused(case, double));
        }
        if entry.gradient == Gradient::Stochastic && values::has_oracle(&*operator) {
            list.add(double_check("unbiased"), |case| derivatives::unbiased(case, double));
        }
        if operator.scaling().is_some() {
            list.add(double_check("scales"), |case| derivatives::scales(case, double));
            list.add(format!("{single_name}::scales"), |case| derivatives::scales(case, single));
            if entry.gradient.is_derivative() {
                let name = double_check("softness_gradient");
                list.add(name, |case| derivatives::softness_gradient(case, double));
            }
        }
        all.extend(list.checks);
    }
    all
}

fn value_checks(list: &mut List<'_>, operator: &dyn AnyContract) {
    let stochastic = list.entry.gradient == Gradient::Stochastic;
    if values::has_oracle(operator) && !stochastic {
        list.add("f64::oracle", values::oracle);
    }
    for (i, law) in operator.laws().iter().enumerate() {
        list.add(format!("f64::{}", law.name()), move |case| values::law(case, &case.operator.laws()[i]));
    }
    if values::has_hard(operator) {
        if list.entry.fields.iter().any(|field| field.name == "softness") {
            list.add("f64::hard_limit", values::hard_limit);
        }
        list.add("f32::modes", values::modes::<f32>);
        list.add("f64::modes", values::modes::<f64>);
    }
    list.add("f32::values", values::single_precision);
    list.add("f32::ties", values::ties::<f32>);
    list.add("f64::ties", values::ties::<f64>);
}

fn batch_checks(list: &mut List<'_>, operator: &dyn AnyContract) {
    macro_rules! both {
        ($name:literal, $check:ident) => {
            list.add(concat!("f32::", $name), batches::$check::<f32>);
            list.add(concat!("f64::", $name), batches::$check::<f64>);
        };
    }
    both!("strides", strides);
    both!("empty", empty);
    both!("isolation", isolation);
    both!("nan", nan);
    both!("threads", threads);
    let Ok(signature) = operator.signature() else { return };
    if signature.elementwise {
        return;
    }
    both!("ragged", ragged);
    if signature.inputs.len() + signature.indices.len() > 1 {
        both!("broadcast", broadcast);
    }
    let mut arguments = signature.inputs.iter().chain(&signature.outputs).chain(&signature.indices);
    if arguments.all(|a| a.core.len() <= 1) && signature.inputs.iter().any(|a| a.core.len() == 1) {
        both!("axis", axis);
    }
}

/// Runs every check of an entry and panics with all that failed: for unit tests.
///
/// # Panics
/// If a check fails.
pub fn assert_contract(entry: &Entry) {
    let failed = failures(checks(entry));
    assert!(failed.is_empty(), "{} checks failed:\n{}", failed.len(), failed.join("\n"));
}

/// Runs checks; the names and messages of those that failed.
pub fn failures(checks: Vec<Check>) -> Vec<String> {
    checks
        .into_iter()
        .filter_map(|check| {
            let name = check.name.clone();
            check.run().err().map(|message| format!("{name}: {message}"))
        })
        .collect()
}

/// The main function of a test binary without the standard harness: every check of every entry as a test
/// of its own, with the command line of `cargo test`.
pub fn main(families: &[&'static Family]) -> ExitCode {
    let entries = families.iter().flat_map(|family| family.entries);
    run(entries.flat_map(checks).collect())
}

/// Runs checks as named tests.
pub fn run(checks: Vec<Check>) -> ExitCode {
    let trials = checks.into_iter().map(|check| {
        let name = check.name.clone();
        Trial::test(name, move || check.run().map_err(Into::into))
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
}
