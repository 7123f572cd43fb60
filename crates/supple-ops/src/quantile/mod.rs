//! Quantiles: one value of a weighted sample, at a level that has a gradient.

mod domain;
mod smoothed_quantile;
mod split;
mod transport_quantile;

supple_core::family! { "quantile":
    smoothed_quantile::{SmoothedQuantile, Distribution, smoothed_quantile};
    transport_quantile::{TransportQuantile, transport_quantile};
}
