//! Samples: exact draws of discrete variables from logits, with stand-in gradients.
//!
//! A sample has no derivative. Each of these operators puts out a sample as it is drawn, and pulls its
//! cotangent back to the logits by a rule of its own. The straight-through Gumbel-softmax is one more:
//! [`GumbelSoftmax`](crate::choice::GumbelSoftmax) in the mode
//! [`StraightThrough`](supple_core::Mode::StraightThrough). Subsets of size k are with
//! [`SubsetSample`](crate::select::SubsetSample).

mod bernoulli_sample;
mod gapped_straight_through;
mod gumbel_rao;
mod one_hot;
mod rein_max;
mod straight_through;

supple_core::family! { "sample":
    straight_through::{StraightThrough, straight_through};
    rein_max::{ReinMax, rein_max};
    gumbel_rao::{GumbelRao, gumbel_rao};
    gapped_straight_through::{GappedStraightThrough, gapped_straight_through};
    bernoulli_sample::{BernoulliSample, bernoulli_sample};
}
