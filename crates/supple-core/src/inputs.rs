//! What a call is made of.

use ndarray::{ArrayD, ArrayViewD};

/// The arrays of one call and how to read them.
///
/// Arrays alone convert by themselves; the rest is said in words:
///
/// ```
/// # use supple_core::{Inputs, Mode};
/// # let x = ndarray::Array2::<f64>::zeros((3, 4)).into_dyn();
/// let inputs: Inputs<_, 1, 0> = Inputs::from([x.view()]).axis(0).mode(Mode::Hard);
/// ```
#[derive(Debug, Clone)]
pub struct Inputs<'a, T, const I: usize = 1, const K: usize = 0> {
    /// Real inputs: any leading batch axes, then the core axes.
    pub x: [ArrayViewD<'a, T>; I],
    /// Integer inputs.
    pub k: [ArrayViewD<'a, i64>; K],
    /// How to read them.
    pub options: Options,
}

/// How to read the arrays of a call.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Which function to compute.
    pub mode: Mode,
    /// The core axis, where it is not the last; negative counts from the end.
    pub axis: Option<isize>,
    /// Sizes that differ from item to item, by symbol: arrays that broadcast to the batch shape.
    pub lengths: Vec<(String, ArrayD<usize>)>,
}

/// Which function a call computes and differentiates.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mode {
    /// The relaxation and its gradient.
    #[default]
    Soft,
    /// The discrete function; its gradient is zero.
    Hard,
    /// The discrete function with the relaxation's gradient.
    ///
    /// [`evaluate`](crate::evaluate) computes the discrete function alone. [`linearize`](crate::linearize) needs
    /// both: there, an item whose relaxation has no answer has none, even where its discrete function has one.
    StraightThrough,
}

impl<'a, T, const I: usize> From<[ArrayViewD<'a, T>; I]> for Inputs<'a, T, I, 0> {
    fn from(x: [ArrayViewD<'a, T>; I]) -> Self {
        Self { x, k: [], options: Options::default() }
    }
}

impl<'a, T, const I: usize, const K: usize> From<([ArrayViewD<'a, T>; I], [ArrayViewD<'a, i64>; K])>
    for Inputs<'a, T, I, K>
{
    fn from((x, k): ([ArrayViewD<'a, T>; I], [ArrayViewD<'a, i64>; K])) -> Self {
        Self { x, k, options: Options::default() }
    }
}

impl<T, const I: usize, const K: usize> Inputs<'_, T, I, K> {
    /// Picks the core axis of arguments that have one; negative counts from the end.
    pub fn axis(mut self, axis: isize) -> Self {
        self.options.axis = Some(axis);
        self
    }

    /// Makes the batch ragged: item `b` has size `lengths[b]` along `symbol`, which an input must have. The
    /// kernel sees the smaller item; padding may hold anything, comes out as zero and gets a zero gradient.
    pub fn lengths(mut self, symbol: &str, lengths: ArrayD<usize>) -> Self {
        self.options.lengths.push((symbol.into(), lengths));
        self
    }

    /// Picks the soft, the hard or the straight-through function.
    pub fn mode(mut self, mode: Mode) -> Self {
        self.options.mode = mode;
        self
    }
}
