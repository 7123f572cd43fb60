//! Solvers to perturb.

mod assignment;
mod bellman_ford;
mod graph;
mod grid_path;
mod knapsack;
mod matching;
mod minimum_cut;
mod ranking;
mod rows;
mod shortest_path;
mod spanning_tree;
mod top_k;
mod tour;

pub use assignment::Assignment;
pub use bellman_ford::BellmanFord;
pub use grid_path::GridPath;
pub use knapsack::Knapsack;
pub use matching::Matching;
pub use minimum_cut::MinimumCut;
pub use ranking::Ranking;
pub use shortest_path::ShortestPath;
pub use spanning_tree::SpanningTree;
pub use top_k::TopK;
pub use tour::Tour;
