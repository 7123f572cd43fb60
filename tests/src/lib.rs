//! Tests that look at several crates, and what they share.

pub mod pictures;
