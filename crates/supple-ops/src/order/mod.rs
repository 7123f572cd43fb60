//! Order: soft sort and soft rank, by projection onto the permutahedron.

mod lapsum_rank;
mod permutahedron;
mod soft_rank;
mod soft_sort;

supple_core::family! { "order":
    soft_rank::{SoftRank, Regularization, soft_rank};
    soft_sort::{SoftSort, soft_sort};
    lapsum_rank::{LapsumRank, lapsum_rank};
}
