//! Numerical pieces that several of Supple's operators share. Each module stands alone.

pub mod argsort;
mod bitonic;
pub mod elementary;
pub mod factor;
pub mod isotonic;
pub mod laplace;
pub mod noise;
pub mod simplex;
pub mod smooth_max;
