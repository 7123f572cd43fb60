//! What a forward pass leaves for the derivatives, and the passes that use it.

use crate::batch::{Prepared, Rows, restore, slices, views, views_mut, zeros};
use crate::dual::Dual;
use crate::engine::{Item, Pass, fill_item, gather};
use crate::error::{Error, Fault, Shape};
use crate::inputs::{Inputs, Mode};
use crate::operator::{Args, Gradient, Operator, Point, Scaling};
use crate::plan::{Plan, Slot};
use crate::real::{Float, Real};
use crate::scratch::{Kept, Scratch};
use ndarray::{ArrayD, ArrayViewD, CowArray, IxDyn};
use std::borrow::Borrow;
use std::sync::OnceLock;

/// What derivatives need besides the arrays: `x` and `y` come from whoever owns them.
pub(crate) struct State<T, B, P, const I: usize, const O: usize, const K: usize>
where
    T: Float,
    P: Operator<I, O, K>,
{
    operator: B,
    saved: Vec<P::Saved<T>>,
    frame: Frame<T, O, K>,
}

/// What of a [`State`] does not depend on the operator's type: its code is compiled once for each arity.
struct Frame<T, const O: usize, const K: usize> {
    name: &'static str,
    gradient: Gradient,
    plan: Plan,
    work: usize,
    mode: Mode,
    k: [ArrayD<i64>; K],
    faults: Vec<(usize, Fault)>,
    /// The relaxation's outputs, where the caller sees the hard ones.
    soft: Option<[Vec<T>; O]>,
}

/// Outputs with the items that have none.
type Values<T, const O: usize> = ([Vec<T>; O], Vec<(usize, Fault)>);

impl<T, B, P, const I: usize, const O: usize, const K: usize> State<T, B, P, I, O, K>
where
    T: Float,
    B: Borrow<P> + Send + Sync,
    P: Operator<I, O, K>,
{
    pub fn new(operator: B, inputs: Inputs<'_, T, I, K>) -> Result<([ArrayD<T>; O], Self), Error> {
        let op: &P = operator.borrow();
        let prepared = Prepared::new(op, inputs)?;
        // Each item writes its own, once, from whatever thread.
        let saved: Vec<OnceLock<P::Saved<T>>> = (0..prepared.plan.items).map(|_| OnceLock::new()).collect();
        let soft = (prepared.mode != Mode::Hard).then(|| {
            prepared.forward(&|args, y, scratch| {
                let (item, mut own) = (args.item, Default::default());
                let result = op.forward(args, y, &mut own, scratch);
                let _ = saved[item].set(own);
                result
            })
        });
        let saved: Vec<_> = saved.into_iter().map(|own| own.into_inner().unwrap_or_default()).collect();
        let hard = match &soft {
            _ if prepared.mode == Mode::Soft => None,
            None => Some(prepared.values(op)?),
            // Beside the relaxation, so that noise is drawn once. What has no relaxation has no answer.
            Some((_, faults)) => Some(prepared.hard(P::NAME, &|args, y, scratch| {
                match faults.binary_search_by_key(&args.item, |(item, _)| *item) {
                    Ok(place) => Err(faults[place].1.clone()),
                    Err(_) => op.hard_at(args, &saved[args.item], y, scratch),
                }
            })?),
        };
        let (y, frame) = Frame::new(P::NAME, P::GRADIENT, prepared, hard, soft);
        Ok((y, Self { operator, saved, frame }))
    }

    /// The items that have no answer, in order.
    pub fn faults(&self) -> &[(usize, Fault)] {
        &self.frame.faults
    }

    pub fn vjp(
        &self,
        x: [ArrayViewD<'_, T>; I],
        y: [ArrayViewD<'_, T>; O],
        dy: [ArrayViewD<'_, T>; O],
    ) -> Result<[ArrayD<T>; I], Error> {
        let frame = &self.frame;
        let at = &At::new(frame, x, y)?;
        let dy = frame.lay("dy", dy, &frame.plan.y)?;
        let dy = &slices(&dy);
        let mut dx: [Vec<T>; I] = zeros(&frame.plan, &frame.plan.x);
        if frame.mode != Mode::Hard {
            frame.pass().run((views_mut(&mut dx), &frame.plan.x), ([] as [&mut [T]; 0], &[]), &|| {
                let (mut scratch, mut readers, mut dy_rows) =
                    (Kept::new(), Readers::default(), Rows::default());
                Box::new(move |item| {
                    let Item { number, sizes, a: dx, .. } = item;
                    if let Some(point) = at.point(&mut readers, number, sizes) {
                        let dy = dy_rows.read(&frame.plan, &frame.plan.y, dy, number, sizes);
                        let point = point.with(&self.saved[number]);
                        self.operator.borrow().vjp(point, dy, dx, &mut scratch);
                    }
                    Ok(())
                })
            });
        }
        Ok(frame.gradients(dx))
    }

    pub fn jvp(
        &self,
        x: [ArrayViewD<'_, T>; I],
        y: [ArrayViewD<'_, T>; O],
        v: [ArrayViewD<'_, T>; I],
    ) -> Result<[ArrayD<T>; O], Error> {
        let frame = &self.frame;
        frame.refuse_unless_derivative("jvp")?;
        let at = &At::new(frame, x, y)?;
        let v = frame.lay("v", v, &frame.plan.x)?;
        let v = &slices(&v);
        let mut jv: [Vec<T>; O] = zeros(&frame.plan, &frame.plan.y);
        let faults =
            frame.pass().run((views_mut(&mut jv), &frame.plan.y), ([] as [&mut [T]; 0], &[]), &|| {
                let (mut lift, mut scratch) = (Lift::default(), Scratch::default());
                Box::new(move |item| {
                    let Item { number, sizes, a: jv, .. } = item;
                    if let Some((args, point)) = lift.arguments(at, v, number, sizes) {
                        let (_, yd) = self.lifted(args, point, &mut scratch)?;
                        copy_tangents(&yd, jv);
                    }
                    Ok(())
                })
            });
        Error::first(P::NAME, &faults)?;
        Ok(restore(&frame.plan, &frame.plan.y, jv))
    }

    pub fn vjp_derivative(
        &self,
        x: [ArrayViewD<'_, T>; I],
        y: [ArrayViewD<'_, T>; O],
        dy: [ArrayViewD<'_, T>; O],
        v: [ArrayViewD<'_, T>; I],
    ) -> Result<([ArrayD<T>; O], [ArrayD<T>; I]), Error> {
        let frame = &self.frame;
        frame.refuse_unless_derivative("a second derivative")?;
        let at = &At::new(frame, x, y)?;
        let (dy, v) = (frame.lay("dy", dy, &frame.plan.y)?, frame.lay("v", v, &frame.plan.x)?);
        let (dy, v) = (&slices(&dy), &slices(&v));
        let mut hv: [Vec<T>; I] = zeros(&frame.plan, &frame.plan.x);
        let mut jv: [Vec<T>; O] = zeros(&frame.plan, &frame.plan.y);
        let faults = frame.pass().run(
            (views_mut(&mut hv), &frame.plan.x),
            (views_mut(&mut jv), &frame.plan.y),
            &|| {
                let (mut lift, mut dy_rows, mut scratch) =
                    (Lift::default(), Rows::default(), Scratch::default());
                Box::new(move |item| {
                    let Item { number, sizes, a: hv, b: jv } = item;
                    let dy = dy_rows.read(&frame.plan, &frame.plan.y, dy, number, sizes);
                    let Some((args, point)) = lift.arguments(at, v, number, sizes) else { return Ok(()) };
                    let (saved, yd) = self.lifted(args, point, &mut scratch)?;
                    let (dy, mut dx) = (constants(dy), zero_duals(args.x));
                    let Args { x, k, sizes, item } = args;
                    let point = Point { x, k, sizes, item, y: views(&yd), saved: &saved };
                    self.operator.borrow().vjp(point, views(&dy), views_mut(&mut dx), &mut scratch);
                    copy_tangents(&dx, hv);
                    copy_tangents(&yd, jv);
                    Ok(())
                })
            },
        );
        Error::first(P::NAME, &faults)?;
        Ok((restore(&frame.plan, &frame.plan.y, jv), frame.gradients(hv)))
    }

    pub fn softness_gradient(
        &self,
        x: [ArrayViewD<'_, T>; I],
        y: [ArrayViewD<'_, T>; O],
        dy: [ArrayViewD<'_, T>; O],
    ) -> Result<f64, Error> {
        let Some(scaling) = self.operator.borrow().scaling() else {
            let reason = "the operator does not scale with its softness";
            return Err(Error::unsupported(P::NAME, "the gradient to the softness", reason));
        };
        if self.frame.mode == Mode::Hard {
            return Ok(0.0);
        }
        let dx = self.vjp(x.clone(), y.clone(), dy.clone())?;
        self.frame.euler(scaling, x, dx, y, dy)
    }

    /// What is saved and put out at `x + ε v`.
    fn lifted(
        &self,
        args: Args<'_, Dual<T>, I, K>,
        point: Point<'_, T, (), I, O, K>,
        scratch: &mut Scratch<Dual<T>>,
    ) -> Result<(P::Saved<Dual<T>>, [Vec<Dual<T>>; O]), Fault> {
        let mut y = zero_duals(point.y);
        let mut saved = P::Saved::<Dual<T>>::default();
        let point = point.with(&self.saved[args.item]);
        self.operator.borrow().lift(args, point, views_mut(&mut y), &mut saved, scratch)?;
        Ok((saved, y))
    }
}

impl<T: Float, const O: usize, const K: usize> Frame<T, O, K> {
    /// From the hard values, the soft ones, or both, of which the hard ones are put out.
    fn new<const I: usize>(
        name: &'static str,
        gradient: Gradient,
        prepared: Prepared<'_, T, I, K>,
        hard: Option<Values<T, O>>,
        soft: Option<Values<T, O>>,
    ) -> ([ArrayD<T>; O], Self) {
        let Prepared { plan, k, work, mode, .. } = prepared;
        let (y, faults, soft) = match (hard, soft) {
            (None, Some((y, faults))) => (y, faults, None),
            (Some((y, faults)), None) => (y, faults, Some(std::array::from_fn(|_| vec![]))),
            // The hard values have the faults of the soft ones among their own.
            (Some((y, faults)), Some((soft, _))) => (y, faults, Some(soft)),
            (None, None) => unreachable!("every mode has values"),
        };
        let k = k.map(CowArray::into_owned);
        (restore(&plan, &plan.y, y), Self { name, gradient, plan, work, mode, k, faults, soft })
    }

    fn pass(&self) -> Pass<'_> {
        Pass { plan: &self.plan, work: self.work }
    }

    fn gradients<const I: usize>(&self, full: [Vec<T>; I]) -> [ArrayD<T>; I] {
        let mut slots = self.plan.x.iter();
        let own = full.map(|full| gather(&self.plan, slots.next().expect("one slot for each input"), full));
        restore(&self.plan, &self.plan.x, own)
    }

    fn refuse_unless_derivative(&self, what: &str) -> Result<(), Error> {
        if self.gradient.is_derivative() {
            return Ok(());
        }
        let reason = format!("its gradient is {}, not the derivative of its output", self.gradient.name());
        Err(Error::unsupported(self.name, what, reason))
    }

    /// Arrays of a derivative call, checked against the shapes of the forward call.
    fn lay<'x, const N: usize>(
        &self,
        what: &str,
        arrays: [ArrayViewD<'x, T>; N],
        slots: &[Slot],
    ) -> Result<[CowArray<'x, T, IxDyn>; N], Error> {
        for (array, slot) in arrays.iter().zip(slots) {
            let expected = self.plan.outer_shape(slot);
            if array.shape() != expected {
                return Err(Error::argument(
                    self.name,
                    what,
                    format!("of {}", Shape(&expected)),
                    Shape(array.shape()),
                ));
            }
        }
        Ok(self.plan.lay_all(arrays, slots))
    }

    /// The gradient to the softness, by Euler's identity.
    fn euler<const I: usize>(
        &self,
        scaling: Scaling<I, O>,
        x: [ArrayViewD<'_, T>; I],
        dx: [ArrayD<T>; I],
        y: [ArrayViewD<'_, T>; O],
        dy: [ArrayViewD<'_, T>; O],
    ) -> Result<f64, Error> {
        let y = self.lay("y", y, &self.plan.y)?;
        let y = self.soft.as_ref().map_or_else(|| slices(&y), views);
        // An item without an answer has a zero gradient.
        let mut dy = self.lay("dy", dy, &self.plan.y)?.map(|dy| dy.into_owned().into_raw_vec_and_offset().0);
        self.faults.iter().for_each(|(item, _)| {
            fill_item(&self.plan, &self.plan.y, &mut dy, *item, T::zero());
        });
        let outputs = dy.iter().zip(y).map(|(dy, y)| inner(dy, y)).zip(scaling.outputs);
        let inputs = dx.iter().zip(&x).map(|(dx, x)| inner(dx, x)).zip(scaling.inputs);
        let sum = |terms: &mut dyn Iterator<Item = (f64, i8)>| {
            terms.filter(|(_, p)| *p != 0).map(|(t, p)| t * p as f64).sum::<f64>()
        };
        let euler = sum(&mut { outputs }) - sum(&mut { inputs });
        Ok(euler / (scaling.power as f64 * scaling.softness))
    }
}

/// The arrays at which a derivative is taken.
struct At<'s, 'x, T, const I: usize, const O: usize, const K: usize> {
    frame: &'s Frame<T, O, K>,
    x: [CowArray<'x, T, IxDyn>; I],
    y: [CowArray<'x, T, IxDyn>; O],
}

/// Buffers for reading a point of a ragged batch.
#[derive(Default)]
struct Readers<T, const I: usize, const O: usize, const K: usize> {
    x: Rows<T, I>,
    k: Rows<i64, K>,
    y: Rows<T, O>,
}

impl<'s, 'x, T: Float, const I: usize, const O: usize, const K: usize> At<'s, 'x, T, I, O, K> {
    fn new(
        frame: &'s Frame<T, O, K>,
        x: [ArrayViewD<'x, T>; I],
        y: [ArrayViewD<'x, T>; O],
    ) -> Result<Self, Error> {
        let x = frame.lay("x", x, &frame.plan.x)?;
        let y = frame.lay("y", y, &frame.plan.y)?;
        Ok(Self { frame, x, y })
    }

    /// The point of one item, without what was saved; `None` where the item has no answer.
    fn point<'m>(
        &'m self,
        readers: &'m mut Readers<T, I, O, K>,
        item: usize,
        sizes: &'m [usize],
    ) -> Option<Point<'m, T, (), I, O, K>> {
        let Frame { plan, k, faults, soft, .. } = self.frame;
        if faults.binary_search_by_key(&item, |(item, _)| *item).is_ok() {
            return None;
        }
        let k = k.each_ref().map(|k| k.as_slice().expect("laid out when prepared"));
        let y = soft.as_ref().map_or_else(|| slices(&self.y), views);
        Some(Point {
            x: readers.x.read(plan, &plan.x, &slices(&self.x), item, sizes),
            k: readers.k.read(plan, &plan.k, &k, item, sizes),
            y: readers.y.read(plan, &plan.y, &y, item, sizes),
            sizes,
            item,
            saved: &(),
        })
    }
}

/// Arguments of an item at duals.
struct Lift<T: Float, const I: usize, const O: usize, const K: usize> {
    readers: Readers<T, I, O, K>,
    v: Rows<T, I>,
    x: [Vec<Dual<T>>; I],
}

impl<T: Float, const I: usize, const O: usize, const K: usize> Default for Lift<T, I, O, K> {
    fn default() -> Self {
        Self { readers: Readers::default(), v: Rows::default(), x: std::array::from_fn(|_| vec![]) }
    }
}

impl<T: Float, const I: usize, const O: usize, const K: usize> Lift<T, I, O, K> {
    /// `x + ε v`, and the point at `x`; `None` where the item has no answer.
    fn arguments<'m>(
        &'m mut self,
        at: &'m At<'_, '_, T, I, O, K>,
        v: &[&'m [T]; I],
        item: usize,
        sizes: &'m [usize],
    ) -> Option<(Args<'m, Dual<T>, I, K>, Point<'m, T, (), I, O, K>)> {
        if at.frame.mode == Mode::Hard {
            return None;
        }
        let point = at.point(&mut self.readers, item, sizes)?;
        let v = self.v.read(&at.frame.plan, &at.frame.plan.x, v, item, sizes);
        for ((dual, x), v) in self.x.iter_mut().zip(point.x).zip(v) {
            dual.clear();
            dual.extend(x.iter().zip(v).map(|(&x, &v)| Dual::new(x, v)));
        }
        Some((Args { x: views(&self.x), k: point.k, sizes, item }, point))
    }
}

fn constants<T: Float, const N: usize>(values: [&[T]; N]) -> [Vec<Dual<T>>; N] {
    values.map(|values| values.iter().map(|&value| Dual::constant(value)).collect())
}

/// Zeros of the lengths of others.
fn zero_duals<T: Float, E, const N: usize>(like: [&[E]; N]) -> [Vec<Dual<T>>; N] {
    like.map(|like| vec![Dual::zero(); like.len()])
}

fn copy_tangents<T: Float, const N: usize>(duals: &[Vec<Dual<T>>; N], out: [&mut [T]; N]) {
    for (duals, out) in duals.iter().zip(out) {
        out.iter_mut().zip(duals).for_each(|(out, dual)| *out = dual.d);
    }
}

/// `⟨g, x⟩`, where a zero in one hides whatever padding or a masked entry holds in the other.
fn inner<'a, T: Float>(g: impl IntoIterator<Item = &'a T>, x: impl IntoIterator<Item = &'a T>) -> f64 {
    let terms = g.into_iter().zip(x).filter(|(g, x)| !g.is_zero() && !x.is_zero());
    terms.map(|(g, x)| g.to_f64() * x.to_f64()).sum()
}
