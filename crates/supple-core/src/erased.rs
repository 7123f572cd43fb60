//! Operators with their arity and type forgotten, for catalogues and bindings.

use crate::batch::Prepared;
use crate::error::{Error, Fault};
use crate::inputs::{Inputs, Options};
use crate::operator::{Args, Contract, Gradient, Law, Operator};
use crate::params::{Field, Params, Value};
use crate::pullback::State;
use crate::real::Float;
use crate::rng::Stream;
use crate::signature::Signature;
use ndarray::{ArrayD, ArrayViewD};

/// The arrays of one call, with the arity forgotten.
#[derive(Debug, Clone)]
pub struct AnyInputs<'a, T> {
    /// Real inputs.
    pub x: Vec<ArrayViewD<'a, T>>,
    /// Integer inputs.
    pub k: Vec<ArrayViewD<'a, i64>>,
    /// How to read them.
    pub options: Options,
}

/// Derivatives of a batch, with the operator forgotten. The arrays stay with the caller, who hands in the
/// same `x` and `y` each time.
pub trait Pullback<T: Float>: Send + Sync {
    /// The items that have no answer: NaN in the outputs, zero in the gradients.
    fn faults(&self) -> &[(usize, Fault)];
    /// `Jᵀ dy`.
    fn vjp(
        &self,
        x: &[ArrayViewD<'_, T>],
        y: &[ArrayViewD<'_, T>],
        dy: &[ArrayViewD<'_, T>],
    ) -> Result<Vec<ArrayD<T>>, Error>;
    /// `J v`.
    fn jvp(
        &self,
        x: &[ArrayViewD<'_, T>],
        y: &[ArrayViewD<'_, T>],
        v: &[ArrayViewD<'_, T>],
    ) -> Result<Vec<ArrayD<T>>, Error>;
    /// The derivative of `vjp` along `v`: the cotangents of `dy` and of `x`.
    fn vjp_derivative(
        &self,
        x: &[ArrayViewD<'_, T>],
        y: &[ArrayViewD<'_, T>],
        dy: &[ArrayViewD<'_, T>],
        v: &[ArrayViewD<'_, T>],
    ) -> Result<(Vec<ArrayD<T>>, Vec<ArrayD<T>>), Error>;
    /// `⟨dy, ∂y/∂softness⟩`.
    fn softness_gradient(
        &self,
        x: &[ArrayViewD<'_, T>],
        y: &[ArrayViewD<'_, T>],
        dy: &[ArrayViewD<'_, T>],
    ) -> Result<f64, Error>;
}

/// Calls for one dtype, with the arity forgotten.
pub trait Erased<T: Float>: Send + Sync {
    /// Outputs, and the items that have none.
    fn evaluate(&self, inputs: AnyInputs<'_, T>) -> Result<(Vec<ArrayD<T>>, Vec<(usize, Fault)>), Error>;
    /// Outputs, and their derivatives.
    fn linearize(&self, inputs: AnyInputs<'_, T>) -> Result<(Vec<ArrayD<T>>, Box<dyn Pullback<T>>), Error>;
}

/// An operator with its arity and type forgotten, for both dtypes.
pub trait AnyOperator: Erased<f32> + Erased<f64> {
    /// [`Operator::NAME`].
    fn name(&self) -> &'static str;
    /// [`Operator::SIGNATURE`], parsed.
    fn signature(&self) -> Result<&'static Signature, Error>;
    /// [`Operator::GRADIENT`].
    fn gradient(&self) -> Gradient;
    /// [`Operator::size`].
    fn size(&self, symbol: &str) -> Option<usize>;
}

/// A catalogue operator with its arity and type forgotten.
pub trait AnyContract: AnyOperator {
    /// Reads a parameter by its position in the schema.
    fn get(&self, field: usize) -> Value;
    /// Writes a parameter by name.
    fn set(&mut self, name: &str, value: Value) -> Result<(), Error>;
    /// The parameters as text.
    fn describe(&self) -> String;
    /// [`Operator::validate`].
    fn validate(&self, sizes: &[usize]) -> Result<(), Error>;
    /// [`Operator::scaling`].
    fn scaling(&self) -> Option<AnyScaling>;
    /// [`Contract::laws`].
    fn laws(&self) -> Vec<Law>;
    /// [`Contract::oracle`].
    fn oracle(&self, sizes: &[usize], x: &[Vec<f64>], k: &[Vec<i64>]) -> Option<Vec<Vec<f64>>>;
    /// [`Contract::test_sizes`].
    fn test_sizes(&self) -> Vec<Vec<usize>>;
    /// [`Contract::bench_sizes`].
    fn bench_sizes(&self) -> Vec<Vec<usize>>;
    /// [`Contract::sample`]: real and integer inputs.
    fn sample(&self, sizes: &[usize], random: &mut Stream) -> (Vec<Vec<f64>>, Vec<Vec<i64>>);
    /// [`Contract::free`].
    fn free(&self) -> Vec<bool>;
    /// [`Contract::direction`].
    fn direction(&self, x: &[Vec<f64>], random: &mut Stream) -> Vec<Vec<f64>>;
    /// A copy.
    fn boxed(&self) -> Box<dyn AnyContract>;
}

/// [`Scaling`](crate::Scaling) with the arity forgotten.
#[derive(Debug, Clone, PartialEq)]
pub struct AnyScaling {
    /// The operator's softness.
    pub softness: f64,
    /// The exponent of the softness.
    pub power: i8,
    /// The exponent of each input.
    pub inputs: Vec<i8>,
    /// The exponent of each output.
    pub outputs: Vec<i8>,
}

/// Forgets an operator's arity and type.
pub fn erase<P, const I: usize, const O: usize, const K: usize>(operator: P) -> impl AnyOperator + 'static
where
    P: Operator<I, O, K> + Clone + 'static,
{
    Dyn(operator)
}

struct Dyn<P, const I: usize, const O: usize, const K: usize>(P);

/// As many as the operator has.
fn arity<X: Clone, const N: usize>(operator: &str, what: &str, given: &[X]) -> Result<[X; N], Error> {
    let given: Result<[X; N], _> = given.to_vec().try_into();
    given.map_err(|g| Error::argument(operator, what, format!("{N} in number"), g.len()))
}

fn inputs<'a, T: Clone, const I: usize, const K: usize>(
    operator: &str,
    given: AnyInputs<'a, T>,
) -> Result<Inputs<'a, T, I, K>, Error> {
    let x = arity(operator, "real inputs", &given.x)?;
    let k = arity(operator, "integer inputs", &given.k)?;
    Ok(Inputs { x, k, options: given.options })
}

impl<T, P, const I: usize, const O: usize, const K: usize> Pullback<T> for State<T, P, P, I, O, K>
where
    T: Float,
    P: Operator<I, O, K>,
{
    fn faults(&self) -> &[(usize, Fault)] {
        State::faults(self)
    }
    fn vjp(
        &self,
        x: &[ArrayViewD<'_, T>],
        y: &[ArrayViewD<'_, T>],
        dy: &[ArrayViewD<'_, T>],
    ) -> Result<Vec<ArrayD<T>>, Error> {
        Ok(State::vjp(self, arity(P::NAME, "x", x)?, arity(P::NAME, "y", y)?, arity(P::NAME, "dy", dy)?)?
            .into())
    }
    fn jvp(
        &self,
        x: &[ArrayViewD<'_, T>],
        y: &[ArrayViewD<'_, T>],
        v: &[ArrayViewD<'_, T>],
    ) -> Result<Vec<ArrayD<T>>, Error> {
        Ok(State::jvp(self, arity(P::NAME, "x", x)?, arity(P::NAME, "y", y)?, arity(P::NAME, "v", v)?)?
            .into())
    }
    fn vjp_derivative(
        &self,
        x: &[ArrayViewD<'_, T>],
        y: &[ArrayViewD<'_, T>],
        dy: &[ArrayViewD<'_, T>],
        v: &[ArrayViewD<'_, T>],
    ) -> Result<(Vec<ArrayD<T>>, Vec<ArrayD<T>>), Error> {
        let (x, y) = (arity(P::NAME, "x", x)?, arity(P::NAME, "y", y)?);
        let (dy, v) = (arity(P::NAME, "dy", dy)?, arity(P::NAME, "v", v)?);
        let (jv, hv) = State::vjp_derivative(self, x, y, dy, v)?;
        Ok((jv.into(), hv.into()))
    }
    fn softness_gradient(
        &self,
        x: &[ArrayViewD<'_, T>],
        y: &[ArrayViewD<'_, T>],
        dy: &[ArrayViewD<'_, T>],
    ) -> Result<f64, Error> {
        State::softness_gradient(
            self,
            arity(P::NAME, "x", x)?,
            arity(P::NAME, "y", y)?,
            arity(P::NAME, "dy", dy)?,
        )
    }
}

impl<T, P, const I: usize, const O: usize, const K: usize> Erased<T> for Dyn<P, I, O, K>
where
    T: Float,
    P: Operator<I, O, K> + Clone + 'static,
{
    fn evaluate(&self, given: AnyInputs<'_, T>) -> Result<(Vec<ArrayD<T>>, Vec<(usize, Fault)>), Error> {
        let prepared = Prepared::new(&self.0, inputs(P::NAME, given)?)?;
        let (y, faults) = prepared.evaluate(&self.0)?;
        Ok((y.into(), faults))
    }
    fn linearize(&self, given: AnyInputs<'_, T>) -> Result<(Vec<ArrayD<T>>, Box<dyn Pullback<T>>), Error> {
        let (y, state) = State::<T, P, P, I, O, K>::new(self.0.clone(), inputs(P::NAME, given)?)?;
        Ok((y.into(), Box::new(state)))
    }
}

impl<P, const I: usize, const O: usize, const K: usize> AnyOperator for Dyn<P, I, O, K>
where
    P: Operator<I, O, K> + Clone + 'static,
{
    fn name(&self) -> &'static str {
        P::NAME
    }
    fn signature(&self) -> Result<&'static Signature, Error> {
        Signature::of(P::NAME, P::SIGNATURE)
    }
    fn gradient(&self) -> Gradient {
        P::GRADIENT
    }
    fn size(&self, symbol: &str) -> Option<usize> {
        Operator::size(&self.0, symbol)
    }
}

impl<P, const I: usize, const O: usize, const K: usize> AnyContract for Dyn<P, I, O, K>
where
    P: Contract<I, O, K>,
{
    fn get(&self, field: usize) -> Value {
        self.0.get(field)
    }
    fn set(&mut self, name: &str, value: Value) -> Result<(), Error> {
        self.0.set(P::NAME, name, value)
    }
    fn describe(&self) -> String {
        format!("{:?}", self.0)
    }
    fn validate(&self, sizes: &[usize]) -> Result<(), Error> {
        self.0.validate(sizes)
    }
    fn scaling(&self) -> Option<AnyScaling> {
        self.0.scaling().map(|s| AnyScaling {
            softness: s.softness,
            power: s.power,
            inputs: s.inputs.into(),
            outputs: s.outputs.into(),
        })
    }
    fn laws(&self) -> Vec<Law> {
        self.0.laws()
    }
    fn oracle(&self, sizes: &[usize], x: &[Vec<f64>], k: &[Vec<i64>]) -> Option<Vec<Vec<f64>>> {
        let x = std::array::from_fn(|i| &x[i][..]);
        let k = std::array::from_fn(|i| &k[i][..]);
        self.0.oracle(Args { x, k, sizes, item: 0 }).map(Into::into)
    }
    fn test_sizes(&self) -> Vec<Vec<usize>> {
        self.0.test_sizes()
    }
    fn bench_sizes(&self) -> Vec<Vec<usize>> {
        self.0.bench_sizes()
    }
    fn sample(&self, sizes: &[usize], random: &mut Stream) -> (Vec<Vec<f64>>, Vec<Vec<i64>>) {
        let lengths = Signature::of(P::NAME, P::SIGNATURE).map_or([0; I], |signature| {
            std::array::from_fn(|i| signature.inputs[i].core.iter().map(|&s| sizes[s]).product())
        });
        let sample = self.0.sample(sizes, lengths, random);
        (sample.x.into(), sample.k.into())
    }
    fn free(&self) -> Vec<bool> {
        self.0.free().into()
    }
    fn direction(&self, x: &[Vec<f64>], random: &mut Stream) -> Vec<Vec<f64>> {
        self.0.direction(std::array::from_fn(|i| &x[i][..]), random).into()
    }
    fn boxed(&self) -> Box<dyn AnyContract> {
        Box::new(Dyn::<P, I, O, K>(self.0.clone()))
    }
}

/// One line of the catalogue: all that harnesses, bindings and docs know of an operator.
pub struct Entry {
    /// Name everywhere.
    pub name: &'static str,
    /// Arguments and core sizes.
    pub signature: &'static str,
    /// Kind of gradient.
    pub gradient: Gradient,
    /// What it does.
    pub summary: &'static str,
    /// Where the definition comes from.
    pub paper: &'static str,
    /// Time and memory.
    pub cost: &'static str,
    /// Parameters of the plain function.
    pub arguments: &'static [&'static str],
    /// Parameter schema.
    pub fields: &'static [Field],
    /// Path of the operator's Rust type.
    pub rust_type: fn() -> &'static str,
    /// An operator with default parameters.
    pub make: fn() -> Box<dyn AnyContract>,
    /// Operators worth testing.
    pub cases: fn() -> Vec<Box<dyn AnyContract>>,
}

impl Entry {
    /// Collects what the operator's own file declares.
    pub const fn of<P: Contract<I, O, K>, const I: usize, const O: usize, const K: usize>() -> Self {
        Self {
            name: P::NAME,
            signature: P::SIGNATURE,
            gradient: P::GRADIENT,
            summary: P::SUMMARY,
            paper: P::PAPER,
            cost: P::COST,
            arguments: P::ARGUMENTS,
            fields: <P as Params>::FIELDS,
            rust_type: || std::any::type_name::<P>(),
            make: || Box::new(Dyn::<P, I, O, K>(P::default())),
            cases: || P::cases().into_iter().map(|p| Box::new(Dyn::<P, I, O, K>(p)) as _).collect(),
        }
    }
}

/// The operators of one folder.
pub struct Family {
    /// Name of the folder.
    pub name: &'static str,
    /// Its operators, in reading order.
    pub entries: &'static [Entry],
}

/// Declares a family: re-exports what each operator's module offers, and lists the operator, whose type is
/// named first. With the module's own `mod` line this makes the two lines that an operator costs.
///
/// ```text
/// mod soft_rank;
/// mod soft_sort;
///
/// supple_core::family! { "order":
///     soft_rank::{SoftRank, soft_rank};
///     soft_sort::{SoftSort, soft_sort};
/// }
/// ```
#[macro_export]
macro_rules! family {
    ($name:literal: $($module:ident::{$operator:ident $(, $item:ident)* $(,)?};)*) => {
        $(pub use self::$module::{$operator $(, $item)*};)*

        /// The family's catalogue.
        pub static FAMILY: $crate::Family =
            $crate::Family { name: $name, entries: &[$($crate::Entry::of::<$operator, _, _, _>()),*] };
    };
}
