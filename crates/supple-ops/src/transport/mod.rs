//! Transport: plans that move one histogram to another.

mod sinkhorn;

supple_core::family! { "transport":
    sinkhorn::{Sinkhorn, sinkhorn};
}
