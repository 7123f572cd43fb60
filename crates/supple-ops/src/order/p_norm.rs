//! Derivatives of ranks in the p-norms 3/2 and 4/3.

use super::permutahedron::block_means;
use super::soft_rank::Saved;
use supple_core::{Real, Scratch};
use supple_numerics::isotonic::Power;

/// With the weights $w_i = |t_i|^{q - 2}$ of the distances $t_i = x_i / \varepsilon - v_B$,
///
/// $$ \frac{\partial r_i}{\partial x_j} = \frac{q - 1}{\varepsilon}
/// \Bigl( w_i \delta_{ij} - \frac{w_i w_j}{\sum_{k \in B} w_k} \Bigr) . $$
///
/// `rate` is ±1/ε.
pub(super) fn ranks_vjp<T: Real>(
    power: Power,
    rate: f64,
    x: &[T],
    saved: &Saved<T::Acc>,
    dy: &[T],
    dx: &mut [T],
    scratch: &mut Scratch<T>,
) {
    let Saved { block, weights: ones, anchors } = saved;
    let mut weights = scratch.wide.empty();
    weights.extend(x.iter().zip(block).map(|(x, &b)| {
        // What is alone may be infinite.
        if b == 0 {
            return T::Acc::zero();
        }
        let [first, level] = anchors[b as usize];
        power.weight((x.widen() - first) * T::Acc::of(rate) + level)
    }));
    let sums = block_means(block, ones, weights.iter().copied(), scratch);
    let products = weights.iter().zip(dy).map(|(&w, dy)| w * dy.widen());
    let products = block_means(block, ones, products, scratch);
    let factor = T::Acc::of(power.degree() * rate);
    for (((dx, &w), &b), dy) in dx.iter_mut().zip(&weights).zip(block).zip(dy) {
        if b != 0 {
            let mean = products[b as usize] / sums[b as usize];
            *dx = T::narrow(factor * w * (dy.widen() - mean));
        }
    }
    [weights, sums, products].into_iter().for_each(|buffer| scratch.wide.give(buffer));
}
