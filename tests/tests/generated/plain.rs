//! What the plain functions of every language have in common.

use supple_core::{Entry, Signature};

/// All inputs in the order of the signature.
pub fn input_names(signature: &Signature) -> Vec<&'static str> {
    let (mut real, mut integer) = (signature.inputs.iter(), signature.indices.iter());
    let next = signature.order.iter().filter_map(|&index| if index { integer.next() } else { real.next() });
    next.map(|argument| argument.name).collect()
}

/// Whether the operator works along one axis that the caller may pick.
pub fn has_axis(signature: &Signature) -> bool {
    let Signature { inputs, indices, outputs, elementwise, .. } = signature;
    let most = inputs.iter().chain(indices).chain(outputs).map(|a| a.core.len()).max();
    !elementwise && most == Some(1) && inputs.iter().any(|a| a.core.len() == 1)
}

/// The operator's type without its path.
pub fn operator_name(entry: &Entry) -> String {
    let path = (entry.rust_type)();
    path.split('<').next().and_then(|path| path.rsplit("::").next()).unwrap_or(path).into()
}

/// With a capital at the start and a full stop at the end.
pub fn sentence(text: &str) -> String {
    let mut letters = text.trim().trim_end_matches('.').chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    first.chain(letters).chain(['.']).collect()
}
