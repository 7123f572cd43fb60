//! What a forward pass leaves for the derivatives, and the passes that use it.

use crate::batch::{Prepared, Rows, restore, slices, zeros};
use crate::dual::Dual;
use crate::engine::{Item, Pass, fill_item, gather};
use crate::error::{Error, Fault, Shape};
use crate::inputs::{Inputs, Mode};
use crate::operator::{Args, Operator, Point};
use crate::plan::{Plan, Slot};
use crate::real::{Float, Real};
use crate::scratch::{Kept, Scratch};
use ndarray::{ArrayD, ArrayViewD, CowArray, IxDyn};
use std::borrow::Borrow;

/// What derivatives need besides the arrays: `x` and `y` come from whoever owns them.
pub(crate) struct State<T, B, P, const I: usize, const O: usize, const K: usize>
where
    T: Float,
    P: Operator<I, O, K>,
{
    operator: B,
    plan: Plan,
    work: usize,
    mode: Mode,
    k: [ArrayD<i64>; K],
    saved: Vec<P::Saved<T>>,
    pub faults: Vec<(usize, Fault)>,
    /// The relaxation's outputs, where the caller sees the hard ones.
    soft: Option<[Vec<T>; O]>,
}

impl<T, B, P, const I: usize, const O: usize, const K: usize> State<T, B, P, I, O, K>
where
    T: Float,
    B: Borrow<P> + Send + Sync,
    P: Operator<I, O, K>,
{
    pub fn new(operator: B, inputs: Inputs<'_, T, I, K>) -> Result<([ArrayD<T>; O], Self), Error> {
        let op: &P = operator.borrow();
        let prepared = Prepared::new(op, inputs)?;
        let mode = prepared.mode;
        let hard = if mode == Mode::Soft { None } else { Some(prepared.values(op)?) };
        let mut saved: Vec<P::Saved<T>> = (0..prepared.plan.items).map(|_| Default::default()).collect();
        let mut soft = || prepared.forward(&mut saved, |args, y, saved, s| op.forward(args, y, saved, s));
        let (y, faults, soft) = match hard {
            None => {
                let (y, faults) = soft();
                (y, faults, None)
            }
            Some((y, faults)) if mode == Mode::Hard => (y, faults, Some(std::array::from_fn(|_| vec![]))),
            Some((mut y, mut faults)) => {
                let (soft, more) = soft();
                more.iter().for_each(|(item, _)| {
                    fill_item(&prepared.plan, &prepared.plan.y, &mut y, *item, T::nan())
                });
                faults.extend(more);
                faults.sort_by_key(|(item, _)| *item);
                faults.dedup_by_key(|(item, _)| *item);
                (y, faults, Some(soft))
            }
        };
        let Prepared { plan, k, work, .. } = prepared;
        let k = k.map(CowArray::into_owned);
        Ok((restore(&plan, &plan.y, y), Self { operator, plan, work, mode, k, saved, faults, soft }))
    }

    pub fn vjp(
        &self,
        x: [ArrayViewD<'_, T>; I],
        y: [ArrayViewD<'_, T>; O],
        dy: [ArrayViewD<'_, T>; O],
    ) -> Result<[ArrayD<T>; I], Error> {
        let at = At::new(self, x, y)?;
        let dy = self.lay("dy", dy, &self.plan.y)?;
        let dy = slices(&dy);
        let mut dx: [Vec<T>; I] = zeros(&self.plan, &self.plan.x);
        if self.mode != Mode::Hard {
            self.pass().run(
                (dx.each_mut().map(|dx| &mut dx[..]), &self.plan.x),
                ([] as [&mut [T]; 0], &[]),
                &mut self.units(),
                || (Kept::new(), Readers::default(), Rows::default()),
                |(scratch, readers, dy_rows): &mut (Kept<T>, Readers<T, I, O, K>, Rows<T, O>), item| {
                    let Item { number, sizes, .. } = item;
                    if let Some(point) = at.point(readers, number, sizes) {
                        let dy = dy_rows.read(&self.plan, &self.plan.y, &dy, number, sizes);
                        self.operator.borrow().vjp(point, dy, item.a, scratch);
                    }
                    Ok(())
                },
            );
        }
        Ok(self.gradients(dx))
    }

    pub fn jvp(
        &self,
        x: [ArrayViewD<'_, T>; I],
        y: [ArrayViewD<'_, T>; O],
        v: [ArrayViewD<'_, T>; I],
    ) -> Result<[ArrayD<T>; O], Error> {
        self.refuse_unless_derivative("jvp")?;
        let at = At::new(self, x, y)?;
        let v = self.lay("v", v, &self.plan.x)?;
        let v = slices(&v);
        let mut jv: [Vec<T>; O] = zeros(&self.plan, &self.plan.y);
        let faults = self.pass().run(
            (jv.each_mut().map(|jv| &mut jv[..]), &self.plan.y),
            ([] as [&mut [T]; 0], &[]),
            &mut self.units(),
            || (Lift::default(), Scratch::default()),
            |(lift, scratch): &mut (Lift<T, I, O, K>, _), item| {
                if let Some((_, _, yd)) = lift.run(self, &at, &v, item.number, item.sizes, scratch)? {
                    copy_tangents(&yd, item.a);
                }
                Ok(())
            },
        );
        Error::first(P::NAME, &faults)?;
        Ok(restore(&self.plan, &self.plan.y, jv))
    }

    pub fn vjp_derivative(
        &self,
        x: [ArrayViewD<'_, T>; I],
        y: [ArrayViewD<'_, T>; O],
        dy: [ArrayViewD<'_, T>; O],
        v: [ArrayViewD<'_, T>; I],
    ) -> Result<([ArrayD<T>; O], [ArrayD<T>; I]), Error> {
        self.refuse_unless_derivative("a second derivative")?;
        let at = At::new(self, x, y)?;
        let (dy, v) = (self.lay("dy", dy, &self.plan.y)?, self.lay("v", v, &self.plan.x)?);
        let (dy, v) = (slices(&dy), slices(&v));
        let mut hv: [Vec<T>; I] = zeros(&self.plan, &self.plan.x);
        let mut jv: [Vec<T>; O] = zeros(&self.plan, &self.plan.y);
        let faults = self.pass().run(
            (hv.each_mut().map(|hv| &mut hv[..]), &self.plan.x),
            (jv.each_mut().map(|jv| &mut jv[..]), &self.plan.y),
            &mut self.units(),
            || (Lift::default(), Rows::default(), Scratch::default()),
            |(lift, dy_rows, scratch): &mut (Lift<T, I, O, K>, Rows<T, O>, _), item| {
                let Item { number, sizes, .. } = item;
                let dy = dy_rows.read(&self.plan, &self.plan.y, &dy, number, sizes);
                let Some((args, saved, yd)) = lift.run(self, &at, &v, number, sizes, scratch)? else {
                    return Ok(());
                };
                let dy = dy.map(|dy| dy.iter().map(|&dy| Dual::constant(dy)).collect::<Vec<_>>());
                let mut dx = args.x.map(|x| vec![Dual::zero(); x.len()]);
                let Args { x, k, sizes, item: number } = args;
                let point =
                    Point { x, k, sizes, item: number, y: yd.each_ref().map(|y| &y[..]), saved: &saved };
                let dy = dy.each_ref().map(|dy| &dy[..]);
                self.operator.borrow().vjp(point, dy, dx.each_mut().map(|dx| &mut dx[..]), scratch);
                copy_tangents(&dx, item.a);
                copy_tangents(&yd, item.b);
                Ok(())
            },
        );
        Error::first(P::NAME, &faults)?;
        Ok((restore(&self.plan, &self.plan.y, jv), self.gradients(hv)))
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
        if self.mode == Mode::Hard {
            return Ok(0.0);
        }
        let dx = self.vjp(x.clone(), y.clone(), dy.clone())?;
        let y = self.lay("y", y, &self.plan.y)?;
        let y = match &self.soft {
            Some(soft) => soft.each_ref().map(|y| &y[..]),
            None => slices(&y),
        };
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

    fn pass(&self) -> Pass<'_> {
        Pass { plan: &self.plan, work: self.work }
    }

    fn units(&self) -> Vec<()> {
        vec![(); self.plan.items]
    }

    fn gradients(&self, full: [Vec<T>; I]) -> [ArrayD<T>; I] {
        let mut slots = self.plan.x.iter();
        let own = full.map(|full| gather(&self.plan, slots.next().expect("one slot for each input"), full));
        restore(&self.plan, &self.plan.x, own)
    }

    fn refuse_unless_derivative(&self, what: &str) -> Result<(), Error> {
        if P::GRADIENT.is_derivative() {
            return Ok(());
        }
        let reason = format!("its gradient is {}, not the derivative of its output", P::GRADIENT.name());
        Err(Error::unsupported(P::NAME, what, reason))
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
                    P::NAME,
                    what,
                    format!("of {}", Shape(&expected)),
                    Shape(array.shape()),
                ));
            }
        }
        Ok(self.plan.lay_all(arrays, slots))
    }
}

/// The arrays at which a derivative is taken.
struct At<'s, 'x, T, B, P, const I: usize, const O: usize, const K: usize>
where
    T: Float,
    P: Operator<I, O, K>,
{
    state: &'s State<T, B, P, I, O, K>,
    x: [CowArray<'x, T, IxDyn>; I],
    y: [CowArray<'x, T, IxDyn>; O],
}

/// Buffers for reading a point of a ragged batch.
struct Readers<T, const I: usize, const O: usize, const K: usize> {
    x: Rows<T, I>,
    k: Rows<i64, K>,
    y: Rows<T, O>,
}

impl<T, const I: usize, const O: usize, const K: usize> Default for Readers<T, I, O, K> {
    fn default() -> Self {
        Self { x: Rows::default(), k: Rows::default(), y: Rows::default() }
    }
}

impl<'s, 'x, T, B, P, const I: usize, const O: usize, const K: usize> At<'s, 'x, T, B, P, I, O, K>
where
    T: Float,
    B: Borrow<P> + Send + Sync,
    P: Operator<I, O, K>,
{
    fn new(
        state: &'s State<T, B, P, I, O, K>,
        x: [ArrayViewD<'x, T>; I],
        y: [ArrayViewD<'x, T>; O],
    ) -> Result<Self, Error> {
        let x = state.lay("x", x, &state.plan.x)?;
        let y = state.lay("y", y, &state.plan.y)?;
        Ok(Self { state, x, y })
    }

    /// The point of one item; `None` where the item has no answer.
    fn point<'m>(
        &'m self,
        readers: &'m mut Readers<T, I, O, K>,
        item: usize,
        sizes: &'m [usize],
    ) -> Option<Point<'m, T, P::Saved<T>, I, O, K>> {
        let State { plan, k, saved, faults, soft, .. } = self.state;
        if faults.binary_search_by_key(&item, |(item, _)| *item).is_ok() {
            return None;
        }
        let k = k.each_ref().map(|k| k.as_slice().expect("laid out when prepared"));
        let y = match soft {
            Some(soft) => soft.each_ref().map(|y| &y[..]),
            None => slices(&self.y),
        };
        Some(Point {
            x: readers.x.read(plan, &plan.x, &slices(&self.x), item, sizes),
            k: readers.k.read(plan, &plan.k, &k, item, sizes),
            y: readers.y.read(plan, &plan.y, &y, item, sizes),
            sizes,
            item,
            saved: &saved[item],
        })
    }
}

/// Runs an item at duals.
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
    /// Arguments, saved state and outputs of `f(x + ε v)`; `None` where the item has no answer.
    fn run<'m, B, P>(
        &'m mut self,
        state: &State<T, B, P, I, O, K>,
        at: &'m At<'_, '_, T, B, P, I, O, K>,
        v: &[&'m [T]; I],
        item: usize,
        sizes: &'m [usize],
        scratch: &mut Scratch<Dual<T>>,
    ) -> Result<Option<(Args<'m, Dual<T>, I, K>, P::Saved<Dual<T>>, [Vec<Dual<T>>; O])>, Fault>
    where
        B: Borrow<P> + Send + Sync,
        P: Operator<I, O, K>,
    {
        if state.mode == Mode::Hard {
            return Ok(None);
        }
        let Some(point) = at.point(&mut self.readers, item, sizes) else { return Ok(None) };
        let v = self.v.read(&state.plan, &state.plan.x, v, item, sizes);
        for ((dual, x), v) in self.x.iter_mut().zip(point.x).zip(v) {
            dual.clear();
            dual.extend(x.iter().zip(v).map(|(&x, &v)| Dual::new(x, v)));
        }
        let args = Args { x: self.x.each_ref().map(|x| &x[..]), k: point.k, sizes, item };
        let mut y = point.y.map(|y| vec![Dual::zero(); y.len()]);
        let mut saved = P::Saved::<Dual<T>>::default();
        let y_slices = y.each_mut().map(|y| &mut y[..]);
        state.operator.borrow().lift(args, point, y_slices, &mut saved, scratch)?;
        Ok(Some((args, saved, y)))
    }
}

fn copy_tangents<T: Float, const N: usize>(duals: &[Vec<Dual<T>>; N], out: [&mut [T]; N]) {
    for (duals, out) in duals.iter().zip(out) {
        out.iter_mut().zip(duals).for_each(|(out, dual)| *out = dual.d);
    }
}

/// `⟨g, x⟩`, where a zero gradient hides whatever padding or a masked entry holds.
fn inner<'a, T: Float>(g: impl IntoIterator<Item = &'a T>, x: impl IntoIterator<Item = &'a T>) -> f64 {
    g.into_iter().zip(x).filter(|(g, _)| !g.is_zero()).map(|(g, x)| g.to_f64() * x.to_f64()).sum()
}
