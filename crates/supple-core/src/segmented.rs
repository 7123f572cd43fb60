//! One array, many groups.

use crate::dual::Dual;
use crate::error::{Error, Fault};
use crate::operator::{Args, Contract, Gradient, Operator, Point, Sample, Scaling};
use crate::params::{Field, Params, Value};
use crate::real::{Float, Real};
use crate::rng::Stream;
use crate::scratch::Scratch;
use crate::signature::Signature;

/// An operator on each group of one array apart: sort within groups, rank within groups, a softmax for each
/// group.
///
/// The second input gives each element the number of its segment, in any order and with any gaps between the
/// numbers. Of an operator with signature `x(n) -> y(n)`, the results of a segment are written to the places
/// of its elements, from the first to the last: a sorted segment ascends in the order of the array.
///
/// * Gradient, hard form, infinities and NaN: those of the operator, for each segment apart. A segment without
///   an answer makes it so for the item.
/// * Noise: each segment has its own, which depends on how many segments have smaller numbers. That of the
///   first is what the operator alone would draw.
/// * Cost: that of the operator for each segment, and a sort of the segment numbers, which costs nothing
///   where they ascend already.
/// * Errors: an operator of another signature.
///
/// ```
/// # use supple_core::{Args, Error, Fault, Operator, Point, Real, Scratch, Segmented, evaluate};
/// # #[derive(Clone)]
/// # struct Running;
/// # impl Operator for Running {
/// #     const NAME: &'static str = "running_sum";
/// #     const SIGNATURE: &'static str = "x(n) -> y(n)";
/// #     type Saved<T: Real> = ();
/// #     fn forward<T: Real>(
/// #         &self, at: Args<'_, T>, [y]: [&mut [T]; 1], _: &mut (), _: &mut Scratch<T>,
/// #     ) -> Result<(), Fault> {
/// #         let mut sum = T::zero();
/// #         y.iter_mut().zip(at.x[0]).for_each(|(y, &x)| { sum += x; *y = sum });
/// #         Ok(())
/// #     }
/// #     fn vjp<T: Real>(
/// #         &self, _: Point<'_, T, ()>, [dy]: [&[T]; 1], [dx]: [&mut [T]; 1], _: &mut Scratch<T>,
/// #     ) {
/// #         let mut sum = T::zero();
/// #         dx.iter_mut().zip(dy).rev().for_each(|(dx, &dy)| { sum += dy; *dx = sum });
/// #     }
/// # }
/// let x = ndarray::array![1.0, 10.0, 2.0, 20.0, 3.0].into_dyn();
/// let segment = ndarray::array![0, 7, 0, 7, 0].into_dyn();
/// let [y] = evaluate(&Segmented(Running), ([x.view()], [segment.view()]))?;
/// assert_eq!(y, ndarray::array![1.0, 10.0, 3.0, 30.0, 6.0].into_dyn());
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Segmented<P>(pub P);

/// Positions by segment, and what the operator saved for each.
#[derive(Debug)]
pub struct Segments<S> {
    order: Vec<u32>,
    ends: Vec<u32>,
    saved: Vec<S>,
}

/// One segment: its place among the others and those of its elements.
struct Segment<'a> {
    number: usize,
    positions: &'a [u32],
}

impl<S> Default for Segments<S> {
    fn default() -> Self {
        Self { order: vec![], ends: vec![], saved: vec![] }
    }
}

impl<S> Segments<S> {
    /// Groups the positions of equal numbers, in the order of the numbers.
    fn of(segment: &[i64]) -> Self {
        let mut order: Vec<u32> = (0..segment.len() as u32).collect();
        order.sort_by_key(|&i| segment[i as usize]);
        let groups = order.chunk_by(|&i, &j| segment[i as usize] == segment[j as usize]);
        let ends = groups.scan(0, |end, group| {
            *end += group.len() as u32;
            Some(*end)
        });
        Self { ends: ends.collect(), order, saved: vec![] }
    }

    /// The positions of each segment.
    fn groups(&self) -> impl Iterator<Item = &[u32]> {
        let starts = [0].into_iter().chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, &end)| &self.order[start as usize..end as usize])
    }
}

/// The number by which the noise of a segment is drawn: that of the item in the lower half of the bits, that of
/// the segment in the upper one.
fn stream_number(item: usize, segment: usize) -> usize {
    item.wrapping_add(segment.wrapping_shl(usize::BITS / 2))
}

/// The values at some positions, in a buffer to be given back.
fn gather<T: Real>(values: &[T], positions: &[u32], scratch: &mut Scratch<T>) -> Vec<T> {
    let mut buffer = scratch.reals.empty();
    buffer.extend(positions.iter().map(|&i| values[i as usize]));
    buffer
}

/// Writes values back to their positions and returns the buffer.
fn scatter<T: Real>(buffer: Vec<T>, positions: &[u32], values: &mut [T], scratch: &mut Scratch<T>) {
    buffer.iter().zip(positions).for_each(|(&value, &i)| values[i as usize] = value);
    scratch.reals.give(buffer);
}

impl<P: Operator> Segmented<P> {
    /// Runs `kernel` on each segment, with what is its own of `x` and `y`.
    fn each<T: Real>(
        &self,
        at: Args<'_, T, 1, 1>,
        y: &mut [T],
        segments: &Segments<impl Sized>,
        scratch: &mut Scratch<T>,
        mut kernel: impl FnMut(Segment<'_>, Args<'_, T>, &mut [T], &mut Scratch<T>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        for (number, positions) in segments.groups().enumerate() {
            let (sizes, item) = ([positions.len()], stream_number(at.item, number));
            self.0.validate(&sizes).map_err(|error| Fault::Oracle(error.to_string()))?;
            let x = gather(at.x[0], positions, scratch);
            let mut part = scratch.reals.zeros(x.len());
            let args = Args { x: [&x], k: [], sizes: &sizes, item };
            kernel(Segment { number, positions }, args, &mut part, scratch)?;
            scatter(part, positions, y, scratch);
            scratch.reals.give(x);
        }
        Ok(())
    }
}

impl<P: Operator> Operator<1, 1, 1> for Segmented<P> {
    const NAME: &'static str = P::NAME;
    const SIGNATURE: &'static str = "x(n), segment: index(n) -> y(n)";
    const GRADIENT: Gradient = P::GRADIENT;
    type Saved<T: Real> = Segments<P::Saved<T>>;

    fn validate(&self, sizes: &[usize]) -> Result<(), Error> {
        let signature = Signature::of(P::NAME, P::SIGNATURE)?;
        if signature.elementwise || signature.inputs[0].core != [0] || signature.outputs[0].core != [0] {
            return Err(Error::unsupported(
                P::NAME,
                "work by segments",
                "it is not of the form x(n) -> y(n)",
            ));
        }
        match sizes.first() {
            Some(&n) if u32::try_from(n).is_err() => Err(Error::argument(P::NAME, "n", "at most 2³² − 1", n)),
            _ => self.0.validate(sizes),
        }
    }

    fn work(&self, sizes: &[usize]) -> usize {
        self.0.work(sizes)
    }

    fn scaling(&self) -> Option<Scaling> {
        self.0.scaling()
    }

    fn forward<T: Real>(
        &self,
        at: Args<'_, T, 1, 1>,
        [y]: [&mut [T]; 1],
        saved: &mut Self::Saved<T>,
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let segments = Segments::<()>::of(at.k[0]);
        let mut each = Vec::with_capacity(segments.ends.len());
        let result = self.each(at, y, &segments, scratch, |_, args, part, scratch| {
            let mut own = P::Saved::<T>::default();
            let result = self.0.forward(args, [part], &mut own, scratch);
            each.push(own);
            result
        });
        let Segments { order, ends, .. } = segments;
        *saved = Segments { order, ends, saved: each };
        result
    }

    fn vjp<T: Real>(
        &self,
        at: Point<'_, T, Self::Saved<T>, 1, 1, 1>,
        [dy]: [&[T]; 1],
        [dx]: [&mut [T]; 1],
        scratch: &mut Scratch<T>,
    ) {
        for (number, (positions, saved)) in at.saved.groups().zip(&at.saved.saved).enumerate() {
            let [x, y, dy] = [at.x[0], at.y[0], dy].map(|values| gather(values, positions, scratch));
            let mut part = scratch.reals.zeros(x.len());
            let (sizes, item) = ([positions.len()], stream_number(at.item, number));
            let point = Point { x: [&x], k: [], sizes: &sizes, item, y: [&y], saved };
            self.0.vjp(point, [&dy], [&mut part], scratch);
            scatter(part, positions, dx, scratch);
            for buffer in [x, y, dy] {
                scratch.reals.give(buffer);
            }
        }
    }

    fn hard<T: Float>(
        &self,
        at: Args<'_, T, 1, 1>,
        [y]: [&mut [T]; 1],
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let segments = Segments::<()>::of(at.k[0]);
        self.each(at, y, &segments, scratch, |_, args, part, scratch| self.0.hard(args, [part], scratch))
    }

    fn hard_at<T: Float>(
        &self,
        at: Args<'_, T, 1, 1>,
        saved: &Self::Saved<T>,
        [y]: [&mut [T]; 1],
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        self.each(at, y, saved, scratch, |segment, args, part, scratch| {
            self.0.hard_at(args, &saved.saved[segment.number], [part], scratch)
        })
    }

    fn lift<F: Float>(
        &self,
        at: Args<'_, Dual<F>, 1, 1>,
        values: Point<'_, F, Self::Saved<F>, 1, 1, 1>,
        [y]: [&mut [Dual<F>]; 1],
        saved: &mut Self::Saved<Dual<F>>,
        scratch: &mut Scratch<Dual<F>>,
    ) -> Result<(), Fault> {
        let Segments { order, ends, saved: found } = values.saved;
        (saved.order, saved.ends) = (order.clone(), ends.clone());
        let mut plain = Scratch::default();
        self.each(at, y, values.saved, scratch, |Segment { number, positions }, args, part, scratch| {
            let [x, y] = [values.x[0], values.y[0]].map(|values| gather(values, positions, &mut plain));
            let Args { k, sizes, item, .. } = args;
            let point = Point { x: [&x], k, sizes, item, y: [&y], saved: &found[number] };
            let mut own = P::Saved::<Dual<F>>::default();
            let result = self.0.lift(args, point, [part], &mut own, scratch);
            saved.saved.push(own);
            [x, y].into_iter().for_each(|buffer| plain.reals.give(buffer));
            result
        })
    }
}

impl<P: Params> Params for Segmented<P> {
    const FIELDS: &'static [Field] = P::FIELDS;
    fn get(&self, field: usize) -> Value {
        self.0.get(field)
    }
    fn put(&mut self, field: usize, value: &Value) -> bool {
        self.0.put(field, value)
    }
}

/// What the operator promises, it promises for each segment.
impl<P: Contract> Contract<1, 1, 1> for Segmented<P> {
    const SUMMARY: &'static str = P::SUMMARY;
    const PAPER: &'static str = P::PAPER;
    const COST: &'static str = P::COST;
    const ARGUMENTS: &'static [&'static str] = P::ARGUMENTS;

    fn cases() -> Vec<Self> {
        P::cases().into_iter().map(Self).collect()
    }

    fn sample(&self, sizes: &[usize], lengths: [usize; 1], random: &mut Stream) -> Sample<1, 1> {
        let Sample { x, .. } = self.0.sample(sizes, lengths, random);
        // Three segments, whose elements lie between each other's.
        let segment = random.normals(lengths[0]).into_iter().map(|u| (u.abs().min(1.5) * 2.0) as i64 - 1);
        Sample { x, k: [segment.collect()] }
    }

    fn oracle(&self, at: Args<'_, f64, 1, 1>) -> Option<[Vec<f64>; 1]> {
        let mut y = vec![0.0; at.x[0].len()];
        for (number, positions) in Segments::<()>::of(at.k[0]).groups().enumerate() {
            let x: Vec<f64> = positions.iter().map(|&i| at.x[0][i as usize]).collect();
            let item = stream_number(at.item, number);
            let [part] = self.0.oracle(Args { x: [&x], k: [], sizes: &[x.len()], item })?;
            positions.iter().zip(part).for_each(|(&i, value)| y[i as usize] = value);
        }
        Some([y])
    }
}
