//! Order: sorted values and ranks, by projection onto the permutahedron or by the Laplace kernel of all pairs.

mod lapsum_rank;
mod lapsum_sort;
mod permutahedron;
mod soft_rank;
mod soft_sort;
mod soft_sort_prillo;

pub(crate) use permutahedron::average_ranks;

supple_core::family! { "order":
    soft_rank::{SoftRank, Regularization, soft_rank};
    soft_sort::{SoftSort, soft_sort};
    soft_sort_prillo::{SoftSortPrillo, soft_sort_prillo};
    lapsum_rank::{LapsumRank, lapsum_rank};
    lapsum_sort::{LapsumSort, lapsum_sort};
}
