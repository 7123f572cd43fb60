//! Buffers that kernels borrow.

use crate::real::Real;

/// Buffers for one thread: a kernel takes what it needs and gives it back, so that a batch allocates
/// once and a kernel may call another kernel.
#[derive(Debug)]
pub struct Scratch<T: Real> {
    /// Numbers of the kernel's type.
    pub reals: Pool<T>,
    /// Numbers in the accumulator's precision.
    pub wide: Pool<T::Acc>,
    /// Positions.
    pub indices: Pool<u32>,
    /// Sort keys.
    pub keys: Pool<u64>,
}

impl<T: Real> Default for Scratch<T> {
    fn default() -> Self {
        Self {
            reals: Pool::default(),
            wide: Pool::default(),
            indices: Pool::default(),
            keys: Pool::default(),
        }
    }
}

/// Buffers of one element type.
#[derive(Debug)]
pub struct Pool<E>(Vec<Vec<E>>);

impl<E> Default for Pool<E> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<E: Copy + Default> Pool<E> {
    /// An empty buffer, with whatever room it had before.
    pub fn empty(&mut self) -> Vec<E> {
        let mut buffer = self.0.pop().unwrap_or_default();
        buffer.clear();
        buffer
    }

    /// A buffer of `n` zeros.
    pub fn zeros(&mut self, n: usize) -> Vec<E> {
        let mut buffer = self.empty();
        buffer.resize(n, E::default());
        buffer
    }

    /// A buffer with a copy of `x`.
    pub fn copy(&mut self, x: &[E]) -> Vec<E> {
        let mut buffer = self.empty();
        buffer.extend_from_slice(x);
        buffer
    }

    /// Takes a buffer back.
    pub fn give(&mut self, buffer: Vec<E>) {
        self.0.push(buffer);
    }
}
