//! Choice: a probability for each of n options, as relaxations of the one-hot argmax.

mod entmax;
mod entmax15;
mod softmax;
mod sparsemax;

supple_core::family! { "choice":
    softmax::{Softmax, softmax};
    entmax15::{Entmax15, entmax15};
    sparsemax::{Sparsemax, sparsemax};
    entmax::{Entmax, entmax};
}
