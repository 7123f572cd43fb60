//! Numerical pieces that several of Supple's operators share. Each module stands alone.

pub mod argsort;
pub mod bipartite;
mod bitonic;
pub mod box_section;
pub mod discrete;
pub mod elementary;
pub mod factor;
pub mod isotonic;
pub mod laplace;
pub mod line_transport;
pub mod noise;
pub mod pooling;
pub mod quasi;
pub mod simplex;
pub mod smooth_max;
pub mod softmax;
pub mod subsets;
