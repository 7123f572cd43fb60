//! Benches of all operators; see `benches/`.
