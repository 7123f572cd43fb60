//! Runnable examples: `cargo run --release -p supple-examples --example quickstart`.
//!
//! This library is empty. Its doctests are all snippets of the README, those with tensors included.

#[cfg(doctest)]
#[doc = include_str!(concat!(env!("OUT_DIR"), "/readme.md"))]
mod readme {}
