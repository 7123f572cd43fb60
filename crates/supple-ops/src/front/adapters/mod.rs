//! Brings operators of other signatures to that of a front operator.

mod expected;
mod given;
mod interpolated;
mod negated;
mod place;
mod summed;
mod unweighted;

pub(super) use expected::Expected;
pub(super) use given::{Given, Second};
pub(super) use interpolated::Interpolated;
pub(super) use negated::Negated;
pub(super) use summed::Summed;
pub(super) use unweighted::Unweighted;
