//! Alignment of sequences: dynamic time warping and what is built on it.

mod alignment;
mod classic;
mod diagonals;
mod series;
mod single;
mod soft_dtw;
mod soft_dtw_divergence;
mod soft_dtw_series;

supple_core::family! { "sequence":
    soft_dtw::{SoftDtw, soft_dtw};
    soft_dtw_series::{SoftDtwSeries, soft_dtw_series};
    soft_dtw_divergence::{SoftDtwDivergence, soft_dtw_divergence};
}
