//! Order: soft sorts and soft ranks.

mod network;
mod permutahedron;
mod soft_rank;
mod soft_sort;
mod sorting_network;
mod swap;

supple_core::family! { "order":
    soft_rank::{SoftRank, Regularization, soft_rank};
    soft_sort::{SoftSort, soft_sort};
    sorting_network::{SortingNetwork, Network, Distribution, sorting_network};
}
