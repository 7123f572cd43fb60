//! The harness's checks of derivatives, through LibTorch's autograd: gradient and double backward of every
//! operator, with the names `torch_f64::…` and `torch_f32::…`.

use ndarray::{ArrayD, ArrayViewD, IxDyn};
use std::process::ExitCode;
use supple_check::{Runner, derivative_checks, run};
use supple_core::{AnyContract, AnyInputs, Float, Signature};
use supple_tch::{Inputs, apply_any};
use tch::{Tensor, kind::Element};

fn main() -> ExitCode {
    let families = supple_ops::CATALOGUE.iter().copied().chain([&supple_convex::FAMILY]);
    let entries = families.flat_map(|family| family.entries);
    let checks =
        entries.flat_map(|entry| derivative_checks(entry, "torch_f32", &LibTorch, "torch_f64", &LibTorch));
    run(checks.collect())
}

/// Runs operators as autograd operators.
struct LibTorch;

impl<T: Float + Element> Runner<T> for LibTorch {
    fn evaluate(
        &self,
        operator: &dyn AnyContract,
        inputs: AnyInputs<'_, T>,
    ) -> Result<Vec<ArrayD<T>>, String> {
        let (outputs, _) = apply(operator, &inputs)?;
        outputs.iter().map(array).collect()
    }

    fn vjp(
        &self,
        operator: &dyn AnyContract,
        inputs: AnyInputs<'_, T>,
        dy: &[ArrayD<T>],
    ) -> Result<Vec<ArrayD<T>>, String> {
        let (outputs, x) = apply(operator, &inputs)?;
        let dy: Vec<Tensor> = dy.iter().map(|dy| tensor(&dy.view())).collect();
        gradients(&inner(&outputs, &dy), &x, false)?.iter().map(array).collect()
    }

    /// Differentiates `⟨v, Jᵀ dy⟩` to `dy` and to `x`.
    fn vjp_derivative(
        &self,
        operator: &dyn AnyContract,
        inputs: AnyInputs<'_, T>,
        dy: &[ArrayD<T>],
        v: &[ArrayD<T>],
    ) -> Result<(Vec<ArrayD<T>>, Vec<ArrayD<T>>), String> {
        let (outputs, x) = apply(operator, &inputs)?;
        let dy: Vec<Tensor> = dy.iter().map(|dy| tensor(&dy.view()).set_requires_grad(true)).collect();
        let v: Vec<Tensor> = v.iter().map(|v| tensor(&v.view())).collect();
        let dx = gradients(&inner(&outputs, &dy), &x, true)?;
        let along = inner(&dx, &v);
        let mut second = gradients(&along, &[dy, x].concat_shallow(), false)?;
        let hv = second.split_off(outputs.len());
        Ok((
            second.iter().map(array).collect::<Result<_, _>>()?,
            hv.iter().map(array).collect::<Result<_, _>>()?,
        ))
    }
}

trait ConcatShallow {
    fn concat_shallow(&self) -> Vec<Tensor>;
}
impl ConcatShallow for [Vec<Tensor>; 2] {
    fn concat_shallow(&self) -> Vec<Tensor> {
        self.iter().flatten().map(Tensor::shallow_clone).collect()
    }
}

/// Outputs, and the leaves they came from.
fn apply<T: Float + Element>(
    operator: &dyn AnyContract,
    inputs: &AnyInputs<'_, T>,
) -> Result<(Vec<Tensor>, Vec<Tensor>), String> {
    let signature: &Signature = operator.signature().map_err(|e| e.to_string())?;
    let x: Vec<Tensor> = inputs.x.iter().map(|x| tensor(x).set_requires_grad(true)).collect();
    let k: Vec<Tensor> = inputs.k.iter().map(tensor).collect();
    let (mut real, mut integer) = (x.iter(), k.iter());
    let order = signature.order.iter();
    let all: Vec<&Tensor> =
        order.filter_map(|&index| if index { integer.next() } else { real.next() }).collect();
    let outputs = apply_any(operator, Inputs::from(&all[..])).map_err(|e| e.to_string())?;
    Ok((outputs, x))
}

fn gradients(of: &Tensor, to: &[Tensor], keep: bool) -> Result<Vec<Tensor>, String> {
    let gradients = Tensor::f_run_backward(&[of], to, keep, keep).map_err(|e| e.to_string())?;
    // What the function does not depend on has no gradient.
    let defined = gradients.into_iter().zip(to);
    Ok(defined.map(|(g, x)| if g.defined() { g } else { x.zeros_like() }).collect())
}

fn inner(a: &[Tensor], b: &[Tensor]) -> Tensor {
    let terms: Vec<Tensor> = a.iter().zip(b).map(|(a, b)| (a * b).sum(None)).collect();
    Tensor::stack(&terms, 0).sum(None)
}

fn tensor<E: Element + Copy>(array: &ArrayViewD<'_, E>) -> Tensor {
    let flat: Vec<E> = array.iter().copied().collect();
    let shape: Vec<i64> = array.shape().iter().map(|&n| n as i64).collect();
    Tensor::from_slice(&flat).reshape(shape)
}

fn array<E: Element + Copy + Default>(tensor: &Tensor) -> Result<ArrayD<E>, String> {
    let shape: Vec<usize> = tensor.size().iter().map(|&n| n as usize).collect();
    let mut flat = vec![E::default(); tensor.numel()];
    tensor.detach().contiguous().f_copy_data(&mut flat, tensor.numel()).map_err(|e| e.to_string())?;
    ArrayD::from_shape_vec(IxDyn(&shape), flat).map_err(|e| e.to_string())
}
