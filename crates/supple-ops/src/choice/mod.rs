//! Choice: a probability for each of n options, as relaxations of the one-hot argmax, and smooth maxima.

mod boltzmann_max;
mod entmax;
mod entmax15;
mod entmax_loss;
mod gumbel_softmax;
mod log_sum_exp;
mod mellowmax;
mod normmax;
mod softmax;
mod sparsemax;
mod support;

supple_core::family! { "choice":
    softmax::{Softmax, softmax};
    entmax15::{Entmax15, entmax15};
    sparsemax::{Sparsemax, sparsemax};
    entmax::{Entmax, entmax};
    normmax::{Normmax, normmax};
    gumbel_softmax::{GumbelSoftmax, gumbel_softmax};
    entmax_loss::{EntmaxLoss, entmax_loss};
    log_sum_exp::{LogSumExp, log_sum_exp};
    mellowmax::{Mellowmax, mellowmax};
    boltzmann_max::{BoltzmannMax, boltzmann_max};
}
