//! Arithmetic of shapes: axes and broadcasting.

use crate::error::{Error, Shape};
use crate::signature::{Argument, Signature};
use ndarray::{ArrayD, IxDyn};

/// Turns the caller's axis into a distance from the end; `None` for the last.
pub(crate) fn axis_from_end(
    operator: &str,
    signature: &Signature,
    x: &[&[usize]],
    axis: Option<isize>,
) -> Result<Option<usize>, Error> {
    let Some(axis) = axis.filter(|_| !signature.elementwise) else { return Ok(None) };
    let refuse = |requirement: String| Err(Error::argument(operator, "axis", requirement, axis));
    let arguments = signature.inputs.iter().chain(&signature.indices).chain(&signature.outputs);
    if arguments.clone().any(|a| a.core.len() > 1) {
        return refuse("left out, because the core has several axes".into());
    }
    let first = signature.inputs.iter().zip(x).find(|(a, _)| a.core.len() == 1);
    let Some((_, shape)) = first else {
        return refuse("left out, because no input has a core axis".into());
    };
    let n = shape.len() as isize;
    if axis < -n || axis >= n {
        return refuse(format!("in {}..{n}", -n));
    }
    let from_end = (if axis < 0 { -axis } else { n - axis }) as usize;
    Ok((from_end > 1).then_some(from_end))
}

/// A shape with the core axis moved to the end.
pub(crate) fn moved(
    operator: &str,
    argument: &Argument,
    shape: &[usize],
    axis: Option<usize>,
) -> Result<Vec<usize>, Error> {
    let least = axis.filter(|_| argument.core.len() == 1).unwrap_or(argument.core.len());
    let mut shape = shape.to_vec();
    if shape.len() < least {
        let requirement = format!("an array of at least {least} axes");
        return Err(Error::argument(operator, argument.name, requirement, Shape(&shape)));
    }
    if let (Some(axis), 1) = (axis, argument.core.len()) {
        let n = shape.remove(shape.len() - axis);
        shape.push(n);
    }
    Ok(shape)
}

/// The common shape of two by NumPy's rules.
pub(crate) fn broadcast(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    let rank = a.len().max(b.len());
    let size = |shape: &[usize], i: usize| (i + shape.len()).checked_sub(rank).map_or(1, |i| shape[i]);
    let pairs = (0..rank).map(|i| (size(a, i), size(b, i)));
    pairs.map(|(m, n)| if n == 1 || m == n { Some(m) } else { (m == 1).then_some(n) }).collect()
}

/// For each position of `full`, the position in `own` that serves it.
pub(crate) fn table(own: &[usize], full: &[usize]) -> Vec<usize> {
    let count = own.iter().product();
    let positions = ArrayD::from_shape_vec(IxDyn(own), (0..count).collect()).expect("as many as its shape");
    positions.broadcast(IxDyn(full)).expect("shapes that broadcast").iter().copied().collect()
}
