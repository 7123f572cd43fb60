//! Buffers that kernels borrow.

use crate::real::{Float, Real};
use std::ops::{Deref, DerefMut};

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
    accumulator: Option<Box<Scratch<T::Acc>>>,
}

impl<T: Real> Scratch<T> {
    /// Buffers for a kernel that is called in the accumulator's precision.
    pub fn accumulator(&mut self) -> &mut Scratch<T::Acc> {
        self.accumulator.get_or_insert_default()
    }

    fn bytes(&self) -> usize {
        let Self { reals, wide, indices, keys, accumulator } = self;
        let own = reals.bytes() + wide.bytes() + indices.bytes() + keys.bytes();
        own + accumulator.as_ref().map_or(0, |inner| inner.bytes())
    }
}

impl<T: Real> Default for Scratch<T> {
    fn default() -> Self {
        Self {
            reals: Pool::default(),
            wide: Pool::default(),
            indices: Pool::default(),
            keys: Pool::default(),
            accumulator: None,
        }
    }
}

/// A thread keeps its buffers from call to call up to this size: fresh memory costs a page fault for each
/// 4 KiB, which is as much as the work of a linear-time kernel.
const KEPT_BYTES: usize = 64 << 20;

/// The thread's own [`Scratch`], which goes back to the thread when dropped.
pub(crate) struct Kept<T: Float>(Scratch<T>);

impl<T: Float> Kept<T> {
    pub fn new() -> Self {
        Self(T::kept_scratch().take())
    }
}

impl<T: Float> Deref for Kept<T> {
    type Target = Scratch<T>;
    fn deref(&self) -> &Scratch<T> {
        &self.0
    }
}

impl<T: Float> DerefMut for Kept<T> {
    fn deref_mut(&mut self) -> &mut Scratch<T> {
        &mut self.0
    }
}

impl<T: Float> Drop for Kept<T> {
    fn drop(&mut self) {
        if self.0.bytes() <= KEPT_BYTES {
            T::kept_scratch().set(std::mem::take(&mut self.0));
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
        let buffer = self.empty();
        Self::resized(buffer, n)
    }

    /// A buffer of `n` elements that hold whatever they held before: for a kernel that writes each of them
    /// before it reads it.
    pub fn stale(&mut self, n: usize) -> Vec<E> {
        let buffer = self.0.pop().unwrap_or_default();
        Self::resized(buffer, n)
    }

    fn resized(mut buffer: Vec<E>, n: usize) -> Vec<E> {
        if buffer.capacity() < n {
            // Not grown: that would copy, and take more than needed.
            return vec![E::default(); n];
        }
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

    fn bytes(&self) -> usize {
        self.0.iter().map(|buffer| buffer.capacity() * size_of::<E>()).sum()
    }
}
