//! Order: soft sort and soft rank, by projection onto the permutahedron.

mod permutahedron;
mod soft_rank;
mod soft_sort;

pub(crate) use permutahedron::average_ranks;

supple_core::family! { "order":
    soft_rank::{SoftRank, Regularization, soft_rank};
    soft_sort::{SoftSort, soft_sort};
}
