//! Elementwise: steps made smooth.

pub(crate) mod shape;
mod soft_heaviside;
mod soft_round;

supple_core::family! { "elementwise":
    soft_heaviside::{SoftHeaviside, Shape, soft_heaviside};
    soft_round::{SoftRound, soft_round};
}
