//! Runs a kernel over the items of a batch.

use crate::error::Fault;
use crate::plan::{Place, Plan, Slot};
use crate::real::Real;
use rayon::prelude::*;
use std::sync::{Mutex, PoisonError};

/// Elementary steps worth a thread: entering the pool costs about 5 µs.
const GRAIN: usize = 32 * 1024;

/// Calls `run` with 0, 1, …, n − 1 from the pool's threads. It knows no types, so that the pool's code is
/// compiled once and not for every operator.
fn in_parallel(n: usize, run: &(dyn Fn(usize) + Sync)) {
    (0..n).into_par_iter().for_each(run);
}

/// One pass over the batch: the plan and the work of one item.
pub(crate) struct Pass<'a> {
    pub plan: &'a Plan,
    pub work: usize,
}

/// A run of items with the memory they write.
struct Job<'m, A, B, const N: usize, const M: usize> {
    first: usize,
    items: usize,
    a: [&'m mut [A]; N],
    b: [&'m mut [B]; M],
}

/// What a kernel is given for one item.
pub(crate) struct Item<'m, A, B, const N: usize, const M: usize> {
    pub number: usize,
    pub sizes: &'m [usize],
    pub a: [&'m mut [A]; N],
    pub b: [&'m mut [B]; M],
}

/// What is done with each item of a job, with buffers of its own. It is a trait object so that the engine is
/// compiled once for each number of arrays, and not for each operator.
pub(crate) type Kernel<'k, A, B, const N: usize, const M: usize> =
    Box<dyn FnMut(Item<'_, A, B, N, M>) -> Result<(), Fault> + 'k>;

impl Pass<'_> {
    /// Calls a kernel once per item with the parts of `a` and `b` that are the item's own; `kernel` makes one for
    /// each job.
    ///
    /// Items that fault are set to NaN and reported in order. Neither the order of the work nor the
    /// number of threads can be seen in the result.
    pub fn run<'k, A: Real, B: Real, const N: usize, const M: usize>(
        &self,
        (a, a_slots): ([&mut [A]; N], &[Slot]),
        (b, b_slots): ([&mut [B]; M], &[Slot]),
        kernel: &(dyn Fn() -> Kernel<'k, A, B, N, M> + Sync),
    ) -> Vec<(usize, Fault)> {
        let items = self.plan.items;
        let work = self.work.max(self.plan.elements()).max(1);
        let run = |job: Job<'_, A, B, N, M>| self.run_job(job, a_slots, b_slots, &mut kernel());
        let all = Job { first: 0, items, a, b };
        if items.saturating_mul(work) <= GRAIN || items <= 1 || rayon::current_num_threads() == 1 {
            return run(all);
        }
        let chunk = GRAIN.div_ceil(work);
        let mut jobs = Vec::with_capacity(items.div_ceil(chunk));
        let mut rest = all;
        while rest.items > chunk {
            let (job, tail) = rest.split(chunk, a_slots, b_slots);
            jobs.push(job);
            rest = tail;
        }
        jobs.push(rest);
        let jobs: Vec<_> = jobs.into_iter().map(|job| Mutex::new((Some(job), vec![]))).collect();
        in_parallel(jobs.len(), &|number| {
            let mut slot = jobs[number].lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(job) = slot.0.take() {
                slot.1 = run(job);
            }
        });
        let faults = jobs.into_iter().map(|job| job.into_inner().unwrap_or_else(PoisonError::into_inner).1);
        faults.flatten().collect()
    }

    fn run_job<A: Real, B: Real, const N: usize, const M: usize>(
        &self,
        mut job: Job<'_, A, B, N, M>,
        a_slots: &[Slot],
        b_slots: &[Slot],
        kernel: &mut Kernel<'_, A, B, N, M>,
    ) -> Vec<(usize, Fault)> {
        let mut faults = vec![];
        let mut sizes = vec![];
        let mut a_rows: [Vec<A>; N] = std::array::from_fn(|_| vec![]);
        let mut b_rows: [Vec<B>; M] = std::array::from_fn(|_| vec![]);
        for place in 0..job.items {
            let number = job.first + place;
            self.plan.sizes_of(number, &mut sizes);
            let full = self.plan.sizes();
            let a_places = std::array::from_fn(|i| a_slots[i].place_of(place, &sizes, full));
            let b_places = std::array::from_fn(|i| b_slots[i].place_of(place, &sizes, full));
            let mut a = open(&mut job.a, &a_places, &mut a_rows);
            let mut b = open(&mut job.b, &b_places, &mut b_rows);
            let item = Item {
                number,
                sizes: &sizes,
                a: a.each_mut().map(|a| &mut **a),
                b: b.each_mut().map(|b| &mut **b),
            };
            if let Err(fault) = kernel(item) {
                a.into_iter().for_each(|a| a.fill(A::nan()));
                b.into_iter().for_each(|b| b.fill(B::nan()));
                faults.push((number, fault));
            }
            close(&mut job.a, &a_places, &a_rows);
            close(&mut job.b, &b_places, &b_rows);
        }
        faults
    }
}

impl<'m, A, B, const N: usize, const M: usize> Job<'m, A, B, N, M> {
    fn split(self, items: usize, a_slots: &[Slot], b_slots: &[Slot]) -> (Self, Self) {
        let (a, a_rest) = split_all(self.a, a_slots, items);
        let (b, b_rest) = split_all(self.b, b_slots, items);
        let rest = Job { first: self.first + items, items: self.items - items, a: a_rest, b: b_rest };
        (Job { first: self.first, items, a, b }, rest)
    }
}

fn split_all<'m, T, const N: usize>(
    arrays: [&'m mut [T]; N],
    slots: &[Slot],
    items: usize,
) -> ([&'m mut [T]; N], [&'m mut [T]; N]) {
    let mut heads = [const { None }; N];
    let mut i = 0;
    let tails = arrays.map(|array| {
        let (head, tail) = array.split_at_mut(items * slots[i].len);
        heads[i] = Some(head);
        i += 1;
        tail
    });
    (heads.map(Option::unwrap_or_default), tails)
}

/// An item's part of each array to write to: in place, or a buffer where it is not in one piece.
fn open<'m, T: Real, const N: usize>(
    arrays: &'m mut [&mut [T]; N],
    places: &[Place; N],
    rows: &'m mut [Vec<T>; N],
) -> [&'m mut [T]; N] {
    let mut rest = rows.each_mut().into_iter().zip(places);
    arrays.each_mut().map(|array| match rest.next() {
        Some((_, Place::Piece(range))) => &mut array[range.clone()],
        Some((buffer, Place::Rows(_, len))) => {
            buffer.clear();
            buffer.resize(*len, T::zero());
            &mut buffer[..]
        }
        None => &mut [],
    })
}

/// Writes back what [`open`] put into buffers.
fn close<T: Copy, const N: usize>(arrays: &mut [&mut [T]; N], places: &[Place; N], rows: &[Vec<T>; N]) {
    for ((array, place), buffer) in arrays.iter_mut().zip(places).zip(rows) {
        if let Place::Rows(rows, _) = place {
            for &(from, to, len) in rows {
                array[from..from + len].copy_from_slice(&buffer[to..to + len]);
            }
        }
    }
}

/// An item's part of each array to read from.
pub(crate) fn read<'m, T: Copy, const N: usize>(
    arrays: &[&'m [T]; N],
    places: &[Place; N],
    rows: &'m mut [Vec<T>; N],
) -> [&'m [T]; N] {
    let mut rest = rows.each_mut().into_iter().zip(places);
    arrays.map(|array| match rest.next() {
        Some((_, Place::Piece(range))) => &array[range.clone()],
        Some((buffer, Place::Rows(rows, _))) => {
            buffer.clear();
            for &(from, _, len) in rows {
                buffer.extend_from_slice(&array[from..from + len]);
            }
            &buffer[..]
        }
        None => &[],
    })
}

/// Sets one item of each array to a number.
pub(crate) fn fill_item<T: Real, const N: usize>(
    plan: &Plan,
    slots: &[Slot],
    arrays: &mut [Vec<T>; N],
    item: usize,
    value: T,
) {
    let mut sizes = vec![];
    plan.sizes_of(item, &mut sizes);
    for (array, slot) in arrays.iter_mut().zip(slots) {
        match slot.place_of(item, &sizes, plan.sizes()) {
            Place::Piece(range) => array[range].fill(value),
            Place::Rows(rows, _) => {
                rows.into_iter().for_each(|(from, _, len)| array[from..from + len].fill(value));
            }
        }
    }
}

/// Sums a gradient that has one part for each item of the batch into the shape of a shared input, in the
/// order of the items.
pub(crate) fn gather<T: Real>(plan: &Plan, slot: &Slot, full: Vec<T>) -> Vec<T> {
    if !plan.is_shared(slot) {
        return full;
    }
    let (origins, len) = plan.origins(slot);
    let mut sums = vec![T::Acc::zero(); slot.shape.iter().product()];
    for (unit, origin) in origins.into_iter().enumerate() {
        let part = &full[unit * len..(unit + 1) * len];
        for (sum, &x) in sums[origin * len..(origin + 1) * len].iter_mut().zip(part) {
            *sum += x.widen();
        }
    }
    sums.into_iter().map(T::narrow).collect()
}
