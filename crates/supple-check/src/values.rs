//! Is the value right?

use crate::problem::{Problem, close, identical, normals_like, views};
use crate::runner::{Runner, text};
use crate::{Case, Engine, Outcome};
use ndarray::{ArrayD, Axis};
use supple_core::{AnyContract, Evaluated, Float, Law, Mode, Stream, Value};

fn evaluate<T: Float>(operator: &dyn AnyContract, problem: &Problem<T>) -> Result<Vec<ArrayD<T>>, String> {
    Engine.evaluate(operator, problem.inputs())
}

/// Values and, through `k`, integer inputs as the oracle takes them.
fn flat<E: Copy>(arrays: &[ArrayD<E>]) -> Vec<Vec<E>> {
    arrays.iter().map(|a| a.iter().copied().collect()).collect()
}

fn slices<E>(flat: &[Vec<E>]) -> Vec<&[E]> {
    flat.iter().map(Vec::as_slice).collect()
}

fn shaped(like: &[ArrayD<f64>], values: Vec<Vec<f64>>) -> Result<Vec<ArrayD<f64>>, String> {
    let pairs = like.iter().zip(values);
    pairs.map(|(y, v)| ArrayD::from_shape_vec(y.raw_dim(), v).map_err(|e| format!("oracle: {e}"))).collect()
}

/// Whether the operator has a naive definition at any of its sizes.
pub(crate) fn has_oracle(operator: &dyn AnyContract) -> bool {
    operator.test_sizes().iter().any(|sizes| {
        let (x, k) = operator.sample(sizes, &mut Stream::new(0, 0, 0));
        operator.oracle(sizes, &x, &k).is_some()
    })
}

/// The fast kernel against the naive definition, at random points and at ties. Sizes at which the definition is
/// too dear have none; one where there is something to choose between must have it.
pub(crate) fn oracle(case: &Case) -> Outcome {
    let mut compared = false;
    for (seed, tied) in [(11, false), (12, true)] {
        for sizes in case.operator.test_sizes() {
            let mut random = Stream::new(seed, sizes.iter().sum(), 0);
            let mut problem = Problem::<f64>::sample(&*case.operator, &sizes, &[], &mut random)?;
            if tied {
                round(case, &mut problem);
            }
            let y = evaluate(&*case.operator, &problem)?;
            let Some(expected) = case.operator.oracle(&sizes, &flat(&problem.x), &flat(&problem.k)) else {
                continue;
            };
            compared |= problem.x.iter().any(|x| x.len() > 1);
            close("output", &y, &shaped(&y, expected)?, 1e-12)
                .map_err(|e| format!("sizes {sizes:?}, ties {tied}: {e}"))?;
        }
    }
    if compared { Ok(()) } else { Err("only inputs of one entry have a naive definition".into()) }
}

/// Rounds the inputs that may hold any number, so that they tie.
fn round<T: Float>(case: &Case, problem: &mut Problem<T>) {
    for (x, free) in problem.x.iter_mut().zip(case.operator.free()) {
        if free {
            x.mapv_inplace(|x| T::of(x.to_f64().round()));
        }
    }
}

/// Gradients at ties are finite.
pub(crate) fn ties<T: Float>(case: &Case) -> Outcome {
    for sizes in case.operator.test_sizes() {
        let mut random = Stream::new(13, sizes.iter().sum(), 0);
        let mut problem = Problem::<T>::sample(&*case.operator, &sizes, &[3], &mut random)?;
        round(case, &mut problem);
        let y = evaluate(&*case.operator, &problem)?;
        let dy = normals_like(&y, &mut random);
        let dx = Engine.vjp(&*case.operator, problem.inputs(), &dy)?;
        if !y.iter().chain(&dx).flatten().all(|v| v.is_finite()) {
            return Err(format!("sizes {sizes:?}: not finite at {:?}: {y:?}, gradient {dx:?}", problem.x));
        }
    }
    Ok(())
}

/// Single against double precision.
pub(crate) fn single_precision(case: &Case) -> Outcome {
    for sizes in case.operator.test_sizes() {
        let mut random = Stream::new(14, sizes.iter().sum(), 0);
        let problem = Problem::<f32>::sample(&*case.operator, &sizes, &[3], &mut random)?;
        let single = evaluate(&*case.operator, &problem)?;
        let double = evaluate(&*case.operator, &problem.cast::<f64>())?;
        close("output", &single, &double, 1e-4).map_err(|e| format!("sizes {sizes:?}: {e}"))?;
    }
    Ok(())
}

/// Whether the operator has a discrete function.
pub(crate) fn has_hard(operator: &dyn AnyContract) -> bool {
    let Some(sizes) = operator.test_sizes().pop() else { return false };
    let problem = Problem::<f64>::sample(operator, &sizes, &[], &mut Stream::new(0, 0, 0));
    problem.is_ok_and(|mut problem| {
        problem.options.mode = Mode::Hard;
        evaluate(operator, &problem).is_ok()
    })
}

/// As the softness goes to zero, the relaxation becomes the discrete function.
pub(crate) fn hard_limit(case: &Case) -> Outcome {
    for sizes in case.operator.test_sizes() {
        let mut random = Stream::new(15, sizes.iter().sum(), 0);
        let mut problem = Problem::<f64>::sample(&*case.operator, &sizes, &[2], &mut random)?;
        let mut operator = case.operator.boxed();
        let distance = |operator: &dyn AnyContract, problem: &Problem<f64>, hard: &[ArrayD<f64>]| {
            let soft = evaluate(operator, problem)?;
            let pairs = soft.iter().zip(hard).flat_map(|(s, h)| s.iter().zip(h));
            // Written so that NaN stays: `f64::max` would drop it.
            let larger = |worst: f64, d: f64| if worst.is_nan() || d <= worst { worst } else { d };
            Ok::<f64, String>(pairs.map(|(s, h)| (s - h).abs()).fold(0.0, larger))
        };
        problem.options.mode = Mode::Hard;
        let hard = evaluate(&*operator, &problem)?;
        problem.options.mode = Mode::Soft;
        operator.set("softness", Value::Float(1e-6)).map_err(text)?;
        let near = distance(&*operator, &problem, &hard)?;
        if near.is_nan() || near > 1e-4 {
            return Err(format!("sizes {sizes:?}: {near:e} away at softness 1e-6"));
        }
    }
    Ok(())
}

/// Hard values come with a zero gradient; straight-through with the relaxation's.
pub(crate) fn modes<T: Float>(case: &Case) -> Outcome {
    let sizes = case.operator.test_sizes().pop().unwrap_or_default();
    let mut random = Stream::new(16, 0, 0);
    let soft = Problem::<T>::sample(&*case.operator, &sizes, &[3], &mut random)?;
    let dy = normals_like(&evaluate(&*case.operator, &soft)?, &mut random);
    let in_mode = |mode| {
        let mut problem = soft.clone();
        problem.options.mode = mode;
        let y = evaluate(&*case.operator, &problem)?;
        Ok::<_, String>((y, Engine.vjp(&*case.operator, problem.inputs(), &dy)?))
    };
    let (_, dx) = in_mode(Mode::Soft)?;
    let (hard, zero) = in_mode(Mode::Hard)?;
    let (through, same) = in_mode(Mode::StraightThrough)?;
    identical("straight-through output", &through, &hard)?;
    identical("straight-through gradient", &same, &dx)?;
    let zeros: Vec<_> = dx.iter().map(|dx| dx.mapv(|_| T::zero())).collect();
    identical("gradient of the hard form", &zero, &zeros)
}

/// The operator's own properties.
pub(crate) fn law(case: &Case, law: &Law) -> Outcome {
    for sizes in case.operator.test_sizes() {
        let mut random = Stream::new(17, sizes.iter().sum(), 0);
        let problem = Problem::<f64>::sample(&*case.operator, &sizes, &[], &mut random)?;
        holds(&*case.operator, law, &sizes, &problem, &mut random)
            .map_err(|e| format!("sizes {sizes:?}: {e}"))?;
    }
    Ok(())
}

const LAW_TOLERANCE: f64 = 1e-9;

fn holds(
    operator: &dyn AnyContract,
    law: &Law,
    sizes: &[usize],
    problem: &Problem<f64>,
    random: &mut Stream,
) -> Outcome {
    let y = evaluate(operator, problem)?;
    // The first input changed by `f`, and what the first output then is.
    let changed = |f: &dyn Fn(&ArrayD<f64>) -> ArrayD<f64>| {
        let mut problem = problem.clone();
        problem.x[0] = f(&problem.x[0]);
        Ok::<_, String>(evaluate(operator, &problem)?.swap_remove(0))
    };
    let same = |got: ArrayD<f64>, expected: ArrayD<f64>| close("output", &[got], &[expected], LAW_TOLERANCE);
    let require = |what: &str, ok: bool| if ok { Ok(()) } else { Err(format!("not {what}: {}", y[0])) };
    match law {
        Law::SumsTo(total) => {
            let (sum, total) = (y[0].sum(), total(sizes));
            require(&format!("of sum {total}"), (sum - total).abs() <= LAW_TOLERANCE * (1.0 + total.abs()))
        }
        Law::Within(interval) => {
            let (low, high) = interval(sizes);
            require("within", y[0].iter().all(|&y| y >= low - LAW_TOLERANCE && y <= high + LAW_TOLERANCE))
        }
        Law::Ascending => require("ascending", steps(&y[0]).all(|step| step >= -LAW_TOLERANCE)),
        Law::Descending => require("descending", steps(&y[0]).all(|step| step <= LAW_TOLERANCE)),
        Law::PermutationEquivariant | Law::PermutationInvariant => {
            let order = permutation(problem.x[0].len(), random);
            let permuted = changed(&|x| x.select(Axis(0), &order))?;
            let invariant = matches!(law, Law::PermutationInvariant);
            same(permuted, if invariant { y[0].clone() } else { y[0].select(Axis(0), &order) })
        }
        Law::ShiftInvariant => same(changed(&|x| x + 3.0)?, y[0].clone()),
        Law::ShiftEquivariant => same(changed(&|x| x + 3.0)?, &y[0] + 3.0),
        Law::Reversal(reversed) => same(changed(&|x| -x)?, y[0].mapv(|y| reversed(y, sizes))),
        Law::Masks => masks(operator, problem, random),
        Law::Vanishes(name, residual) => {
            let (x, k, y) = (flat(&problem.x), flat(&problem.k), flat(&y));
            let left = residual(Evaluated { sizes, x: &slices(&x), k: &slices(&k), y: &slices(&y) });
            require(&format!("zero: {name} is {left:e}"), left.abs() <= LAW_TOLERANCE)
        }
    }
}

/// Each entry in turn at −∞, where two at least are left.
fn masks(operator: &dyn AnyContract, problem: &Problem<f64>, random: &mut Stream) -> Outcome {
    let n = problem.x[0].len();
    for place in (0..n).filter(|_| n > 2) {
        let mut masked = problem.clone();
        let mut v = problem.direction(operator, random);
        masked.x[0].iter_mut().skip(place).take(1).for_each(|x| *x = f64::NEG_INFINITY);
        v[0].iter_mut().skip(place).take(1).for_each(|v| *v = 0.0);
        let (y, pullback) = f64::calls(operator).linearize(masked.inputs()).map_err(text)?;
        if !pullback.faults().is_empty() {
            // Not enough is left to choose from.
            continue;
        }
        let dy = normals_like(&y, random);
        let (x, y_views, dy) = (masked.inputs().x, views(&y), views(&dy));
        let dx = pullback.vjp(&x, &y_views, &dy).map_err(text)?;
        let mut all = vec![&y, &dx];
        let (jv, hv);
        if operator.gradient().is_derivative() {
            (jv, hv) = pullback.vjp_derivative(&x, &y_views, &dy, &views(&v)).map_err(text)?;
            all.extend([&jv, &hv]);
        }
        if !all.iter().copied().flatten().flatten().all(|value| value.is_finite()) {
            return Err(format!("not finite without {place} at {:?}: {y:?}, gradient {dx:?}", problem.x));
        }
        let own = |array: &ArrayD<f64>| array.iter().nth(place).copied();
        if own(&dx[0]) != Some(0.0) || y[0].len() == n && own(&y[0]) != Some(0.0) {
            return Err(format!("{place} is not out at {:?}: {y:?}, gradient {dx:?}", problem.x));
        }
    }
    Ok(())
}

/// Differences of neighbours.
fn steps(y: &ArrayD<f64>) -> impl Iterator<Item = f64> {
    y.iter().zip(y.iter().skip(1)).map(|(a, b)| b - a)
}

fn permutation(n: usize, random: &mut Stream) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    for i in (1..n).rev() {
        order.swap(i, random.below(i + 1));
    }
    order
}
