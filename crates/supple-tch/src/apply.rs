//! Operators on tensors.

use crate::bridge::{self, Element, Open};
use crate::error::Error;
use crate::inputs::{Host, Inputs};
use ndarray::ArrayD;
use supple_core::{AnyInputs, AnyOperator, Erased, Fault, Mode, Operator, erase};
use tch::{Device, Kind, Tensor};

/// `y = f(x)`, recorded in the graph where an input requires a gradient. The first item without an answer
/// is an error.
///
/// Tensors come in the order of the operator's signature, integer inputs as int64. Any leading axes are
/// batch and broadcast. See [`Inputs`] for the axis, ragged batches and the hard form.
///
/// ```no_run
/// use supple_ops::order::SoftRank;
/// use supple_tch::{Inputs, Mode, apply};
///
/// let x = tch::Tensor::from_slice(&[3.0, 1.0, 2.0]).set_requires_grad(true);
/// let operator = SoftRank { softness: 0.5, ..Default::default() };
/// let [ranks] = apply(&operator, [&x])?;
/// ranks.square().sum(None).backward();
/// let columns = Inputs::from([&x]).dim(0).mode(Mode::StraightThrough);
/// let [hard] = apply(&operator, columns)?;
/// # Ok::<(), supple_tch::Error>(())
/// ```
pub fn apply<'a, P, const I: usize, const O: usize, const K: usize>(
    operator: &P,
    inputs: impl Into<Inputs<'a>>,
) -> Result<[Tensor; O], Error>
where
    P: Operator<I, O, K> + Clone + 'static,
{
    Ok(exactly(apply_any(&erase(operator.clone()), inputs)?))
}

/// As [`apply`], with the items that have no answer beside the outputs: such an item is NaN, its gradient
/// is zero, and it spoils no other.
pub fn apply_each<'a, P, const I: usize, const O: usize, const K: usize>(
    operator: &P,
    inputs: impl Into<Inputs<'a>>,
) -> Result<([Tensor; O], Vec<(usize, Fault)>), Error>
where
    P: Operator<I, O, K> + Clone + 'static,
{
    let (outputs, faults) = apply_any_each(&erase(operator.clone()), inputs)?;
    Ok((exactly(outputs), faults))
}

/// [`apply`] for an operator whose arity is known at run time only, such as a catalogue entry.
pub fn apply_any<'a>(
    operator: &dyn AnyOperator,
    inputs: impl Into<Inputs<'a>>,
) -> Result<Vec<Tensor>, Error> {
    let (outputs, faults) = apply_any_each(operator, inputs)?;
    supple_core::Error::first(operator.name(), &faults)?;
    Ok(outputs)
}

/// [`apply_each`] for an operator whose arity is known at run time only.
pub fn apply_any_each<'a>(
    operator: &dyn AnyOperator,
    inputs: impl Into<Inputs<'a>>,
) -> Result<(Vec<Tensor>, Vec<(usize, Fault)>), Error> {
    let host = Host::new(operator.name(), operator.signature()?, &inputs.into())?;
    let device = host.device;
    let (mut outputs, faults) = match host.kind {
        Kind::Double => run::<f64>(operator, operator, host)?,
        _ => run::<f32>(operator, operator, host)?,
    };
    if device != Device::Cpu {
        outputs = outputs.iter().map(|y| y.f_to_device(device)).collect::<Result<_, _>>()?;
    }
    Ok((outputs, faults))
}

/// As many outputs as the signature has: the engine has counted them.
fn exactly<const O: usize>(outputs: Vec<Tensor>) -> [Tensor; O] {
    outputs.try_into().unwrap_or_else(|_| unreachable!("the engine counts outputs"))
}

fn run<T: Element>(
    operator: &dyn AnyOperator,
    kernel: &dyn Erased<T>,
    host: Host,
) -> Result<(Vec<Tensor>, Vec<(usize, Fault)>), Error> {
    let Host { x, k, options, .. } = host;
    let differentiable = options.mode != Mode::Hard && bridge::needs_grad(&x);
    let (open_x, open_k) = (open(&x)?, open(&k)?);
    // SAFETY: `Host` has brought real inputs to the host as `T`s and integer inputs as `i64`s.
    let (real, integer) =
        unsafe { (open_x.iter().map(|x| x.array()).collect(), open_k.iter().map(|k| k.array()).collect()) };
    let inputs = AnyInputs { x: real, k: integer, options };
    if !differentiable {
        let (y, faults) = kernel.evaluate(inputs)?;
        return Ok((tensors(y)?, faults));
    }
    let (y, pullback) = kernel.linearize(inputs)?;
    let (y, faults) = (tensors(y)?, pullback.faults().to_vec());
    bridge::record(operator.name(), &refusal(operator), &x, &y, pullback)?;
    Ok((y, faults))
}

fn open(tensors: &[Tensor]) -> Result<Vec<Open>, Error> {
    tensors.iter().map(Open::new).collect()
}

fn tensors<T: Element>(arrays: Vec<ArrayD<T>>) -> Result<Vec<Tensor>, Error> {
    arrays.into_iter().map(bridge::tensor).collect()
}

/// Why the operator has no second derivatives; empty where it has.
fn refusal(operator: &dyn AnyOperator) -> String {
    let gradient = operator.gradient();
    if gradient.is_derivative() {
        return String::new();
    }
    let reason = format!("its gradient is {}, not the derivative of its output", gradient.name());
    supple_core::Error::unsupported(operator.name(), "a second derivative", reason).to_string()
}
