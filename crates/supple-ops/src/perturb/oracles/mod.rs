//! Solvers to perturb.

mod shortest_path;
mod top_k;

pub use shortest_path::ShortestPath;
pub use top_k::TopK;
