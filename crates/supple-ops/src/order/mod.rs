//! Order: sorted values, ranks and relaxed permutations.

mod lapsum_rank;
mod lapsum_sort;
mod network;
mod neural_rows;
mod neural_sort;
mod neural_sort_permutation;
mod permutahedron;
mod scatter;
mod soft_rank;
mod soft_sort;
mod soft_sort_prillo;
mod sorting_network;
mod swap;

pub(crate) use permutahedron::average_ranks;

supple_core::family! { "order":
    soft_rank::{SoftRank, Regularization, soft_rank};
    soft_sort::{SoftSort, soft_sort};
    soft_sort_prillo::{SoftSortPrillo, soft_sort_prillo};
    lapsum_rank::{LapsumRank, lapsum_rank};
    lapsum_sort::{LapsumSort, lapsum_sort};
    sorting_network::{SortingNetwork, Network, Distribution, sorting_network};
    neural_sort::{NeuralSort, neural_sort};
    neural_sort_permutation::{NeuralSortPermutation, neural_sort_permutation};
}
