//! Supple's operators: one folder a family, one file an operator.
//!
//! Every operator is a struct of parameters that implements [`Operator`](supple_core::Operator), with a plain
//! function beside it for the common case. [`CATALOGUE`] lists them all.

pub mod choice;
pub mod decision;
pub mod elementwise;
pub mod front;
pub mod order;
pub mod path;
pub mod perturb;
pub mod project;
pub mod quantile;
pub mod ranking;
pub mod sample;
pub mod select;
pub mod sequence;
pub mod transport;

/// Every operator, by family.
pub static CATALOGUE: &[&supple_core::Family] = &[
    &front::FAMILY,
    &elementwise::FAMILY,
    &order::FAMILY,
    &select::FAMILY,
    &choice::FAMILY,
    &quantile::FAMILY,
    &project::FAMILY,
    &transport::FAMILY,
    &sequence::FAMILY,
    &path::FAMILY,
    &ranking::FAMILY,
    &sample::FAMILY,
    &perturb::FAMILY,
    &decision::FAMILY,
];
