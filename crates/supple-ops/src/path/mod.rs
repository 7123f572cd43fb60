//! Paths through graphs without cycles.

mod dag;
mod grid;
mod oracle;
mod soft_shortest_path;

pub use grid::Grid;

supple_core::family! { "path":
    soft_shortest_path::{SoftShortestPath, Regularization, soft_shortest_path};
}
