//! Values and gradients of public implementations. Each file names its source and convention.

mod choice;
mod common;
mod order;
mod sequence;
mod softjax_elementwise;
mod softjax_permutahedron;
mod softjax_rows;
mod transport;
