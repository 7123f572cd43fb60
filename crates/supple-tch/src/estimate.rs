//! Estimators whose function is a function of tensors.

use crate::apply;
use crate::error::Error;
use std::sync::Arc;
use supple_core::{Args, Fault, Gradient, Operator, Point, Real, Scratch, Stream};
use supple_estimators::{Asked, Draws, Estimator, Gradients, Told, Values};
use tch::{Device, Kind, Tensor, with_grad};

/// How much an estimate may take, and where its random numbers come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sampling {
    /// Evaluations for each item.
    pub evaluations: usize,
    /// Seed of the random numbers; drawn at each call where there is none.
    pub seed: Option<u64>,
    /// Whether all items take the same random numbers.
    pub common: bool,
}

/// 100 evaluations, a new seed at each call, numbers of its own for each item.
impl Default for Sampling {
    fn default() -> Self {
        Self { evaluations: 100, seed: None, common: false }
    }
}

/// What an estimator [needs](Estimator::Needs) of a function of tensors.
pub trait Needs {
    /// Whether that is its gradient too.
    const GRADIENTS: bool;
}

impl Needs for Values {
    const GRADIENTS: bool = false;
}

impl Needs for Gradients {
    const GRADIENTS: bool = true;
}

/// The mean of a function and the estimate of its gradient, where the function takes tensors. Returns the mean
/// and what the estimator has learnt.
///
/// The function is called once, with the points of all items: `x` is `(…, n)`, the points are `(…, samples, n)`
/// of the same dtype and on the same device, and the function returns a cost for each, `(…, samples)`, or `m`
/// values, `(…, samples, m)`, if the estimator needs no gradients of it. The mean is `(…)` or `(…, m)`.
///
/// The mean has a gradient to `x`, by the estimator, and to whatever else the function depends on, such as the
/// weights of a network, by LibTorch's own autograd. Where the estimator needs the gradient of the costs at the
/// points, it comes from there too. Second derivatives in `x` are refused.
///
/// An estimator that learns is told of one item after the other, and every item's gradient is made with the state
/// that came in. Of several values nothing is learnt.
///
/// # Errors
/// Parameters, lengths and budgets that the estimator refuses; a function whose result has another shape;
/// whatever LibTorch reports.
///
/// ```no_run
/// use supple_estimators::Smoothing;
/// use supple_tch::{Sampling, estimate};
/// use tch::{Kind, Tensor};
///
/// let x = Tensor::from_slice(&[0.5, -0.2]).set_requires_grad(true);
/// let weight = Tensor::from(2.0).set_requires_grad(true);
/// let jump = |points: &Tensor| &weight * points.gt(0.0).to_kind(Kind::Double).prod_dim_int(-1, false, None);
/// let (mean, ()) = estimate(&Smoothing::default(), &x, Sampling::default(), &(), jump)?;
/// mean.backward(); // to `x` and to `weight`
/// # Ok::<(), supple_tch::Error>(())
/// ```
pub fn estimate<E>(
    estimator: &E,
    x: &Tensor,
    sampling: Sampling,
    state: &E::State,
    function: impl FnOnce(&Tensor) -> Tensor,
) -> Result<(Tensor, E::State), Error>
where
    E: Estimator + Clone + 'static,
    E::Needs: Needs,
    E::Plan: 'static,
    E::State: 'static,
{
    let items = Items::new(estimator, x, sampling, state)?;
    let points = items.points(x)?;
    let points = if E::Needs::GRADIENTS { points.f_set_requires_grad(true)? } else { points };
    let values = match E::Needs::GRADIENTS {
        true => with_grad(|| function(&points)),
        false => function(&points),
    };
    let m = items.check_values::<E>(&values)?;
    if m == Some(1) {
        // A cost all the same.
        let (mean, state) = items.scalar(estimator, x, state, &points, &values.f_squeeze_dim(-1)?)?;
        return Ok((mean.f_unsqueeze(-1)?, state));
    }
    if let Some(m) = m {
        let mean = items.mean(&values, true)?;
        let costs = to_host(&values)?;
        let told = Vector {
            estimator: estimator.clone(),
            state: state.clone(),
            asked: items.asked.into(),
            rows: items.rows,
            values: costs.into(),
            m,
        };
        let [y] = apply(&told, [x, &mean])?;
        return Ok((y, state.clone()));
    }
    items.scalar(estimator, x, state, &points, &values)
}

/// A batch on the host, and what the estimator asks of each item.
struct Items<P> {
    x: Vec<f64>,
    n: usize,
    batch: Vec<i64>,
    /// The most points of an item; those with fewer repeat their first, which counts for nothing.
    rows: usize,
    width: usize,
    asked: Vec<Asked<P>>,
}

impl<P> Items<P> {
    fn new<E: Estimator<Plan = P>>(
        estimator: &E,
        x: &Tensor,
        sampling: Sampling,
        state: &E::State,
    ) -> Result<Self, Error> {
        let refuse = |argument: &str, requirement: &str, value: String| {
            Error::from(supple_core::Error::argument(E::NAME, argument, requirement, value))
        };
        let shape = x.size();
        let Some((&n, batch)) = shape.split_last() else {
            return Err(refuse("x", "a tensor of at least one axis", "a scalar".into()));
        };
        if !x.is_floating_point() {
            return Err(refuse("x", "floating-point", format!("{:?}", x.kind())));
        }
        let (n, batch) = (n as usize, batch.to_vec());
        estimator.validate(n, sampling.evaluations)?;
        let seed = sampling.seed.unwrap_or_else(Stream::fresh_seed);
        let host = to_host(x)?;
        let count = batch.iter().product::<i64>() as usize;
        let ask = |item: usize| {
            let draws = Draws { seed, item: if sampling.common { 0 } else { item } };
            let asked = estimator.points(&host[item * n..][..n], sampling.evaluations, state, draws);
            let operator = E::NAME.to_string();
            asked.map_err(|fault| supple_core::Error::Fault { operator, item, fault })
        };
        let asked: Vec<Asked<P>> = (0..count).map(ask).collect::<Result<_, _>>()?;
        let rows = asked.iter().map(Asked::rows).max().unwrap_or(1);
        Ok(Self { x: host, n, batch, rows, width: estimator.width(n), asked })
    }

    /// All points, of the dtype and on the device of `x`.
    fn points(&self, x: &Tensor) -> Result<Tensor, Error> {
        let mut points = Vec::with_capacity(self.asked.len() * self.rows * self.width);
        for asked in &self.asked {
            points.extend_from_slice(&asked.points);
            for _ in asked.rows()..self.rows {
                points.extend_from_slice(&asked.points[..self.width]);
            }
        }
        let shape = [&self.batch[..], &[self.rows as i64, self.width as i64]].concat();
        let points = Tensor::f_from_slice(&points)?.f_reshape(shape)?;
        Ok(points.f_to_kind(x.kind())?.f_to_device(x.device())?)
    }

    /// The number of values a point has, where there is an axis for it.
    fn check_values<E: Estimator>(&self, values: &Tensor) -> Result<Option<usize>, Error>
    where
        E::Needs: Needs,
    {
        let costs = [&self.batch[..], &[self.rows as i64]].concat();
        let size = values.size();
        match size.strip_prefix(&costs[..]) {
            Some([]) => Ok(None),
            Some(&[m]) if !E::Needs::GRADIENTS => Ok(Some(m as usize)),
            _ => {
                let more = if E::Needs::GRADIENTS { "" } else { ", or with one axis more" };
                let requirement = format!("one value for each point, of shape {costs:?}{more}");
                let error =
                    supple_core::Error::argument(E::NAME, "function", requirement, format!("{size:?}"));
                Err(error.into())
            }
        }
    }

    /// The weighted mean over points, in the graph of the function.
    fn mean(&self, values: &Tensor, vector: bool) -> Result<Tensor, Error> {
        let padded = |asked: &Asked<P>| {
            let mut weights = asked.weights.clone();
            weights.resize(self.rows, 0.0);
            weights
        };
        let weights: Vec<f64> = self.asked.iter().flat_map(padded).collect();
        let shape = [&self.batch[..], &[self.rows as i64]].concat();
        let weights = Tensor::f_from_slice(&weights)?.f_reshape(shape)?;
        let weights = weights.f_to_kind(values.kind())?.f_to_device(values.device())?;
        let weights = if vector { weights.f_unsqueeze(-1)? } else { weights };
        // Points without weight count for nothing, whatever they cost.
        let values = values.f_masked_fill(&weights.f_eq(0.0)?, 0.0)?;
        let axis = if vector { -2 } else { -1 };
        Ok((values * weights).f_sum_dim_intlist(axis, false, None)?)
    }

    /// The mean of costs, with the gradient that the estimator makes of them, and what has been learnt.
    fn scalar<E>(
        &self,
        estimator: &E,
        x: &Tensor,
        state: &E::State,
        points: &Tensor,
        values: &Tensor,
    ) -> Result<(Tensor, E::State), Error>
    where
        E: Estimator<Plan = P>,
        E::Needs: Needs,
    {
        let mean = self.mean(values, false)?;
        let slopes = match E::Needs::GRADIENTS {
            // The points belong to it even where the costs do not depend on them.
            true => {
                let sum = with_grad(|| values.sum(values.kind()) + (points * 0.0).sum(points.kind()));
                to_host(&Tensor::f_run_backward(&[sum], &[points], true, false)?[0])?
            }
            false => vec![],
        };
        let (gradient, state) = self.tell(estimator, state, &to_host(values)?, &slopes);
        let gradient = Tensor::f_from_slice(&gradient)?.f_reshape(x.size())?.f_to_kind(x.kind())?;
        let [y] = apply(&Attached, [x, &gradient.f_to_device(x.device())?, &mean])?;
        Ok((y, state))
    }

    /// The gradients of all items, each with the state that came in, and what has been learnt of one after the
    /// other.
    fn tell<E: Estimator<Plan = P>>(
        &self,
        estimator: &E,
        state: &E::State,
        costs: &[f64],
        slopes: &[f64],
    ) -> (Vec<f64>, E::State) {
        let (mut gradients, mut learnt) = (vec![0.0; self.x.len()], state.clone());
        let mut scrap = vec![0.0; self.n];
        let width = if slopes.is_empty() { 0 } else { self.width };
        for (item, asked) in self.asked.iter().enumerate() {
            let (first, rows) = (item * self.rows, asked.rows());
            let told =
                Told { costs: &costs[first..][..rows], slopes: &slopes[first * width..][..rows * width] };
            let range = item * self.n..(item + 1) * self.n;
            let x = &self.x[range.clone()];
            let next = estimator.tell(x, asked, told, state, &mut gradients[range]);
            learnt = if item == 0 {
                next
            } else if size_of::<E::State>() > 0 {
                scrap.fill(0.0);
                estimator.tell(x, asked, told, &learnt, &mut scrap)
            } else {
                learnt
            };
        }
        (gradients, learnt)
    }
}

/// The elements in double precision, off the graph.
fn to_host(tensor: &Tensor) -> Result<Vec<f64>, Error> {
    let host = tensor.f_detach()?.f_to_device(Device::Cpu)?.f_to_kind(Kind::Double)?;
    Ok(Vec::try_from(host.f_contiguous()?.f_reshape([-1])?)?)
}

/// `value`, with a gradient to `x` that is known.
#[derive(Clone)]
struct Attached;

impl Operator<3> for Attached {
    const NAME: &'static str = "estimate";
    const SIGNATURE: &'static str = "x(n), gradient(n), value() -> y()";
    const GRADIENT: Gradient = Gradient::Stochastic;
    type Saved<T: Real> = ();

    fn forward<T: Real>(
        &self,
        at: Args<'_, T, 3>,
        [y]: [&mut [T]; 1],
        _: &mut (),
        _: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        y.copy_from_slice(at.x[2]);
        Ok(())
    }

    fn vjp<T: Real>(
        &self,
        at: Point<'_, T, (), 3>,
        [dy]: [&[T]; 1],
        [dx, _, dvalue]: [&mut [T]; 3],
        _: &mut Scratch<T>,
    ) {
        dx.iter_mut().zip(at.x[1]).for_each(|(dx, &g)| *dx = dy[0] * g);
        dvalue.copy_from_slice(dy);
    }
}

/// Several values, whose gradient to `x` is made when their cotangents are known.
struct Vector<E: Estimator> {
    estimator: E,
    state: E::State,
    asked: Arc<[Asked<E::Plan>]>,
    /// Rows of values for each item, with those that count for nothing.
    rows: usize,
    values: Arc<[f64]>,
    m: usize,
}

impl<E: Estimator + Clone> Clone for Vector<E> {
    fn clone(&self) -> Self {
        let Self { estimator, state, asked, rows, values, m } = self;
        Self {
            estimator: estimator.clone(),
            state: state.clone(),
            asked: asked.clone(),
            rows: *rows,
            values: values.clone(),
            m: *m,
        }
    }
}

impl<E: Estimator> Operator<2> for Vector<E> {
    const NAME: &'static str = "estimate";
    const SIGNATURE: &'static str = "x(n), value(m) -> y(m)";
    const GRADIENT: Gradient = Gradient::Stochastic;
    type Saved<T: Real> = ();

    fn forward<T: Real>(
        &self,
        at: Args<'_, T, 2>,
        [y]: [&mut [T]; 1],
        _: &mut (),
        _: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        y.copy_from_slice(at.x[1]);
        Ok(())
    }

    fn vjp<T: Real>(
        &self,
        at: Point<'_, T, (), 2>,
        [dy]: [&[T]; 1],
        [dx, dvalue]: [&mut [T]; 2],
        _: &mut Scratch<T>,
    ) {
        dvalue.copy_from_slice(dy);
        let numbers = |x: &[T]| x.iter().map(|x| x.as_f64()).collect::<Vec<_>>();
        let (x, dy, asked) = (numbers(at.x[0]), numbers(dy), &self.asked[at.item]);
        let product = |row: usize| {
            let value = &self.values[(at.item * self.rows + row) * self.m..][..self.m];
            value.iter().zip(&dy).map(|(v, dy)| v * dy).sum()
        };
        let costs: Vec<f64> = (0..asked.rows()).map(product).collect();
        let mut gradient = vec![0.0; x.len()];
        self.estimator.tell(&x, asked, Told { costs: &costs, slopes: &[] }, &self.state, &mut gradient);
        dx.iter_mut().zip(gradient).for_each(|(dx, g)| *dx = T::of(g));
    }
}
