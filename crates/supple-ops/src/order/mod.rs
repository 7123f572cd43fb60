//! Order: sorted values, ranks and relaxed permutations.

mod carried;
mod hard_argsort;
mod laplace_rows;
mod lapsum_permutation;
mod lapsum_rank;
mod lapsum_sort;
mod network;
mod neural_rows;
mod neural_sort;
mod neural_sort_permutation;
mod p_norm;
mod pairwise_rank;
mod permutahedron;
mod plan_products;
mod products;
mod rows;
mod scatter;
mod sinkhorn;
mod sinkhorn_permutation;
mod sinkhorn_rank;
mod sinkhorn_sort;
mod soft_rank;
mod soft_rows;
mod soft_sort;
mod soft_sort_prillo;
mod soft_sort_prillo_permutation;
mod sort_with;
mod sorting_network;
mod sorting_network_permutation;
mod swap;

pub(crate) use carried::{Carrier, Passage};
pub(crate) use neural_rows::{NeuralRows, naive as naive_neural_rows};
pub(crate) use permutahedron::{average_ranks, check_length};
pub(crate) use rows::{Pulled, RowMatrix, Scores, for_each_row, permutation, rows_sum_to_one, to_matrix};
pub(crate) use soft_rows::{SoftRows, naive as naive_soft_rows};
pub(crate) use sorting_network_permutation::naive as naive_network;

pub use hard_argsort::hard_argsort;

supple_core::family! { "order":
    soft_rank::{SoftRank, Regularization, soft_rank};
    soft_sort::{SoftSort, soft_sort};
    soft_sort_prillo::{SoftSortPrillo, soft_sort_prillo};
    pairwise_rank::{PairwiseRank, pairwise_rank};
    lapsum_rank::{LapsumRank, lapsum_rank};
    lapsum_sort::{LapsumSort, lapsum_sort};
    sinkhorn_sort::{SinkhornSort, sinkhorn_sort};
    sinkhorn_rank::{SinkhornRank, sinkhorn_rank};
    sinkhorn_permutation::{SinkhornPermutation, sinkhorn_permutation};
    sorting_network::{SortingNetwork, Network, Distribution, sorting_network};
    sorting_network_permutation::{SortingNetworkPermutation, sorting_network_permutation};
    neural_sort::{NeuralSort, neural_sort};
    neural_sort_permutation::{NeuralSortPermutation, Projection, neural_sort_permutation};
    soft_sort_prillo_permutation::{SoftSortPrilloPermutation, soft_sort_prillo_permutation};
    lapsum_permutation::{LapsumPermutation, lapsum_permutation};
    sort_with::{SortWith, PermutationMethod, sort_with};
}
