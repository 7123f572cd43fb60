//! What a call is made of.

use crate::bridge::Open;
use crate::error::Error;
use ndarray::ArrayD;
use supple_core::{Mode, Options, Signature};
use tch::{Device, Kind, Tensor};

/// The tensors of one call, in the order of the operator's signature, and how to read them.
///
/// Tensors alone convert by themselves; the rest is said in words:
///
/// ```no_run
/// # use supple_tch::{Inputs, Mode};
/// # fn inputs(x: &tch::Tensor) {
/// let inputs = Inputs::from([x]).dim(0).mode(Mode::Hard);
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Inputs<'a> {
    tensors: Vec<&'a Tensor>,
    mode: Mode,
    dim: Option<i64>,
    lengths: Vec<(String, &'a Tensor)>,
}

impl<'a> From<&[&'a Tensor]> for Inputs<'a> {
    fn from(tensors: &[&'a Tensor]) -> Self {
        Self { tensors: tensors.to_vec(), mode: Mode::default(), dim: None, lengths: vec![] }
    }
}

impl<'a, const N: usize> From<[&'a Tensor; N]> for Inputs<'a> {
    fn from(tensors: [&'a Tensor; N]) -> Self {
        Self::from(&tensors[..])
    }
}

impl<'a, const N: usize> From<&[&'a Tensor; N]> for Inputs<'a> {
    fn from(tensors: &[&'a Tensor; N]) -> Self {
        Self::from(&tensors[..])
    }
}

impl<'a> Inputs<'a> {
    /// Picks the core axis of arguments that have one; negative counts from the end.
    pub fn dim(mut self, dim: i64) -> Self {
        self.dim = Some(dim);
        self
    }

    /// Picks the soft, the hard or the straight-through function. Outputs of the hard one require no
    /// gradient.
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Makes the batch ragged: item `b` has size `lengths[b]` along `symbol`. The lengths are an int64
    /// tensor that broadcasts to the batch shape. Padding may hold anything, comes out as zero and gets a
    /// zero gradient.
    pub fn lengths(mut self, symbol: &str, lengths: &'a Tensor) -> Self {
        self.lengths.push((symbol.into(), lengths));
        self
    }
}

/// Inputs on the host, in the dtype of the computation.
pub(crate) struct Host {
    /// Real inputs, of kind `kind`, still in the graph.
    pub x: Vec<Tensor>,
    /// Integer inputs, of kind int64.
    pub k: Vec<Tensor>,
    /// f32 or f64.
    pub kind: Kind,
    /// Where the inputs came from and the outputs go.
    pub device: Device,
    pub options: Options,
}

impl Host {
    /// Checks dtypes and devices and brings everything to the host. The graph sees the conversions, so
    /// that gradients find their way back.
    pub fn new(operator: &str, signature: &Signature, inputs: &Inputs<'_>) -> Result<Self, Error> {
        let (x, k) = sort_out(operator, signature, inputs)?;
        let mut kind = Kind::Float;
        let mut device = None;
        for (name, x) in &x {
            kind = if real(operator, name, x)? == Kind::Double { Kind::Double } else { kind };
            let first = *device.get_or_insert(x.device());
            if x.device() != first {
                let requirement = format!("on the device of the first input, {first:?}");
                let found = format!("{:?}", x.device());
                return Err(supple_core::Error::argument(operator, name, requirement, found).into());
            }
        }
        let options = Options {
            mode: inputs.mode,
            axis: inputs.dim.map(|dim| dim as isize),
            lengths: inputs.lengths.iter().map(|(s, n)| lengths(operator, s, n)).collect::<Result<_, _>>()?,
        };
        Ok(Self {
            x: x.iter().map(|(_, x)| to_host(x, kind)).collect::<Result<_, _>>()?,
            k: k.iter().map(|(name, k)| indices(operator, name, k)).collect::<Result<_, _>>()?,
            kind,
            device: device.unwrap_or(Device::Cpu),
            options,
        })
    }
}

type Named<'a> = Vec<(&'static str, &'a Tensor)>;

/// Parts real from integer inputs.
fn sort_out<'a>(
    operator: &str,
    signature: &Signature,
    inputs: &Inputs<'a>,
) -> Result<(Named<'a>, Named<'a>), Error> {
    let (given, expected) = (inputs.tensors.len(), signature.order.len());
    if given != expected {
        let requirement = format!("{expected} in number");
        return Err(supple_core::Error::argument(operator, "inputs", requirement, given).into());
    }
    let (mut x, mut k) = (vec![], vec![]);
    for (&tensor, &integer) in inputs.tensors.iter().zip(&signature.order) {
        let (list, arguments) =
            if integer { (&mut k, &signature.indices) } else { (&mut x, &signature.inputs) };
        let name = arguments[list.len()].name;
        if !tensor.defined() {
            return Err(supple_core::Error::argument(operator, name, "a tensor", "an undefined one").into());
        }
        list.push((name, tensor));
    }
    Ok((x, k))
}

fn real(operator: &str, name: &str, x: &Tensor) -> Result<Kind, Error> {
    match x.f_kind()? {
        kind @ (Kind::Float | Kind::Double | Kind::Half | Kind::BFloat16) => Ok(kind),
        other => {
            let requirement = "of kind Float, Double, Half or BFloat16";
            Err(supple_core::Error::argument(operator, name, requirement, format!("{other:?}")).into())
        }
    }
}

fn indices(operator: &str, name: &str, k: &Tensor) -> Result<Tensor, Error> {
    match k.f_kind()? {
        Kind::Int64 => to_host(k, Kind::Int64),
        other => {
            let found = format!("{other:?}");
            Err(supple_core::Error::argument(operator, name, "of kind Int64", found).into())
        }
    }
}

fn to_host(tensor: &Tensor, kind: Kind) -> Result<Tensor, Error> {
    let mut tensor = tensor.shallow_clone();
    if tensor.device() != Device::Cpu {
        tensor = tensor.f_to_device(Device::Cpu)?;
    }
    if tensor.f_kind()? != kind {
        tensor = tensor.f_to_kind(kind)?;
    }
    Ok(tensor)
}

fn lengths(operator: &str, symbol: &str, lengths: &Tensor) -> Result<(String, ArrayD<usize>), Error> {
    let name = format!("lengths of {symbol}");
    let open = Open::new(&indices(operator, &name, lengths)?)?;
    // SAFETY: `indices` made it int64 on the host.
    let array = unsafe { open.array::<i64>() };
    if let Some(negative) = array.iter().find(|&&n| n < 0) {
        return Err(supple_core::Error::argument(operator, name, "0 or more", negative).into());
    }
    Ok((symbol.into(), array.mapv(|n| n as usize)))
}
