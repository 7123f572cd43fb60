//! Order: soft sorts, soft ranks and relaxed permutations.

mod network;
mod neural_rows;
mod neural_sort;
mod neural_sort_permutation;
mod permutahedron;
mod soft_rank;
mod soft_sort;
mod sorting_network;
mod swap;

supple_core::family! { "order":
    soft_rank::{SoftRank, Regularization, soft_rank};
    soft_sort::{SoftSort, soft_sort};
    sorting_network::{SortingNetwork, Network, Distribution, sorting_network};
    neural_sort::{NeuralSort, neural_sort};
    neural_sort_permutation::{NeuralSortPermutation, neural_sort_permutation};
}
