//! Choice: a probability for each of n options, as relaxations of the one-hot argmax.

mod softmax;
mod sparsemax;

supple_core::family! { "choice":
    softmax::{Softmax, softmax};
    sparsemax::{Sparsemax, sparsemax};
}
