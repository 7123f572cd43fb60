//! Is the gradient the derivative?

use crate::problem::{Problem, close, close_scaled, inner, largest, normals_like, views};
use crate::runner::{Runner, text};
use crate::{Case, Outcome};
use supple_core::{Float, Stream, Value};

/// The batches to take derivatives at.
const BATCHES: [&[usize]; 2] = [&[], &[2]];

/// Runs a check at every size and batch.
fn everywhere<T: Float>(
    case: &Case,
    seed: u64,
    check: impl Fn(&Problem<T>, &mut Stream) -> Outcome,
) -> Outcome {
    for sizes in case.operator.test_sizes() {
        for (b, batch) in BATCHES.into_iter().enumerate() {
            let mut random = Stream::new(seed, sizes.iter().sum(), b);
            let problem = Problem::sample(&*case.operator, &sizes, batch, &mut random)?;
            check(&problem, &mut random).map_err(|e| format!("sizes {sizes:?}, batch {batch:?}: {e}"))?;
        }
    }
    Ok(())
}

/// `⟨dy, J v⟩ = ⟨Jᵀ dy, v⟩`, with `J v` by duals: exact but for round-off, at 1e-12 for f64.
pub(crate) fn adjoint<T: Float>(case: &Case, runner: &dyn Runner<T>) -> Outcome {
    everywhere(case, 1, |problem: &Problem<T>, random| {
        let v = problem.direction(&*case.operator, random);
        let y = runner.evaluate(&*case.operator, problem.inputs())?;
        let dy = normals_like(&y, random);
        let dx = runner.vjp(&*case.operator, problem.inputs(), &dy)?;
        let (jv, _) = runner.vjp_derivative(&*case.operator, problem.inputs(), &dy, &v)?;
        let ((left, left_size), (right, right_size)) = (inner(&jv, &dy), inner(&dx, &v));
        let bound = 1e-12 / f64::EPSILON * T::EPSILON * (1.0 + left_size.max(right_size));
        if (left - right).abs() <= bound {
            return Ok(());
        }
        Err(format!("<dy, J v> = {left:e}, <J' dy, v> = {right:e}, bound {bound:e}"))
    })
}

/// All derivatives of one call are of the same function. With noise that has no seed, only one call can tell: the
/// adjoint identity for each `J v` that the pullback has, and a second derivative that is symmetric.
pub(crate) fn one_call(case: &Case) -> Outcome {
    let mut operator = case.operator.boxed();
    // An operator without a seed refuses the parameter and stays as it was.
    let _ = operator.set("seed", Value::None);
    everywhere(case, 8, |problem: &Problem<f64>, random| {
        let [v, w] = [(); 2].map(|()| problem.direction(&*operator, random));
        let (y, pullback) = f64::calls(&*operator).linearize(problem.inputs()).map_err(text)?;
        let dy = normals_like(&y, random);
        let (x, y, dy) = (problem.inputs().x, views(&y), views(&dy));
        let dx = pullback.vjp(&x, &y, &dy).map_err(text)?;
        let jv = pullback.jvp(&x, &y, &views(&v)).map_err(text)?;
        let (again, hv) = pullback.vjp_derivative(&x, &y, &dy, &views(&v)).map_err(text)?;
        let (_, hw) = pullback.vjp_derivative(&x, &y, &dy, &views(&w)).map_err(text)?;
        let dy: Vec<_> = dy.iter().map(|dy| dy.to_owned()).collect();
        let agree = |what: &str, (left, a): (f64, f64), (right, b): (f64, f64), tolerance: f64| {
            if (left - right).abs() <= tolerance * (1.0 + a.max(b)) {
                return Ok(());
            }
            Err(format!("{what}: {left:e} for {right:e}"))
        };
        agree("<dy, J v> of jvp", inner(&jv, &dy), inner(&dx, &v), 1e-12)?;
        agree("<dy, J v> of vjp_derivative", inner(&again, &dy), inner(&dx, &v), 1e-12)?;
        agree("<w, H v>", inner(&hv, &w), inner(&hw, &v), 1e-9)
    })
}

/// Step of a central difference: the cube root of the precision.
const STEP: f64 = 6e-6;

/// `J v` against central differences of the outputs.
pub(crate) fn differences(case: &Case, runner: &dyn Runner<f64>) -> Outcome {
    everywhere(case, 2, |problem: &Problem<f64>, random| {
        let v = problem.direction(&*case.operator, random);
        let y = runner.evaluate(&*case.operator, problem.inputs())?;
        let dy = normals_like(&y, random);
        let (jv, _) = runner.vjp_derivative(&*case.operator, problem.inputs(), &dy, &v)?;
        let step = STEP * (1.0 + largest(&problem.x)) / (1.0 + largest(&v));
        let at = |step| runner.evaluate(&*case.operator, problem.moved(step, &v).inputs());
        let quotient: Vec<_> =
            at(step)?.into_iter().zip(at(-step)?).map(|(p, m)| (p - m) / (2.0 * step)).collect();
        close("output", &jv, &quotient, 1e-6)
    })
}

/// The derivative of the gradient along `v` against central differences of the gradient.
pub(crate) fn second_order(case: &Case, runner: &dyn Runner<f64>) -> Outcome {
    everywhere(case, 3, |problem: &Problem<f64>, random| {
        let v = problem.direction(&*case.operator, random);
        let y = runner.evaluate(&*case.operator, problem.inputs())?;
        let dy = normals_like(&y, random);
        let (_, hv) = runner.vjp_derivative(&*case.operator, problem.inputs(), &dy, &v)?;
        let step = STEP * (1.0 + largest(&problem.x)) / (1.0 + largest(&v));
        let at = |step| runner.vjp(&*case.operator, problem.moved(step, &v).inputs(), &dy);
        let quotient: Vec<_> =
            at(step)?.into_iter().zip(at(-step)?).map(|(p, m)| (p - m) / (2.0 * step)).collect();
        close("gradient of input", &hv, &quotient, 1e-5)
    })
}

/// A stochastic or surrogate gradient must not pretend to have a derivative.
pub(crate) fn second_order_refused(case: &Case, runner: &dyn Runner<f64>) -> Outcome {
    everywhere(case, 3, |problem: &Problem<f64>, random| {
        let y = runner.evaluate(&*case.operator, problem.inputs())?;
        let dy = normals_like(&y, random);
        match runner.vjp_derivative(&*case.operator, problem.inputs(), &dy, &problem.x) {
            Err(message) if message.contains("not available") => Ok(()),
            Err(message) => Err(format!("refused for another reason: {message}")),
            Ok(_) => Err("a second derivative was given".into()),
        }
    })
}

/// Gradients in single precision against those in double.
pub(crate) fn single_precision_gradient(case: &Case, runner: &dyn Runner<f32>) -> Outcome {
    everywhere(case, 4, |problem: &Problem<f32>, random| {
        let y = runner.evaluate(&*case.operator, problem.inputs())?;
        let dy = normals_like(&y, random);
        let single = runner.vjp(&*case.operator, problem.inputs(), &dy)?;
        let double = problem.cast::<f64>();
        let dy = crate::problem::cast::<f32, f64>(&dy);
        let double = Runner::<f64>::vjp(&crate::Engine, &*case.operator, double.inputs(), &dy)?;
        close("gradient of input", &single, &double, 1e-3)
    })
}

/// The gradient to the softness against central differences.
pub(crate) fn softness_gradient(case: &Case, runner: &dyn Runner<f64>) -> Outcome {
    let Some(scaling) = case.operator.scaling() else { return Ok(()) };
    everywhere(case, 5, |problem: &Problem<f64>, random| {
        let y = runner.evaluate(&*case.operator, problem.inputs())?;
        let dy = normals_like(&y, random);
        let (y, pullback) = f64::calls(&*case.operator).linearize(problem.inputs()).map_err(text)?;
        let inputs = problem.inputs();
        let got = pullback.softness_gradient(&inputs.x, &views(&y), &views(&dy)).map_err(text)?;
        let step = STEP * scaling.softness;
        let at = |step: f64| {
            let mut operator = case.operator.boxed();
            operator.set("softness", Value::Float(scaling.softness + step)).map_err(text)?;
            Ok::<f64, String>(inner(&runner.evaluate(&*operator, problem.inputs())?, &dy).0)
        };
        let quotient = (at(step)? - at(-step)?) / (2.0 * step);
        let bound = 1e-6 * (1.0 + quotient.abs() + inner(&y, &dy).1 / scaling.softness);
        if (got - quotient).abs() <= bound {
            return Ok(());
        }
        Err(format!("{got:e} for {quotient:e}"))
    })
}

/// The mean of a stochastic gradient against the exact one, by a z-test of 4.5 standard errors.
///
/// The exact value is the operator's oracle; the exact gradient is its central difference.
pub(crate) fn unbiased(case: &Case, runner: &dyn Runner<f64>) -> Outcome {
    const REPLICATES: usize = 400;
    let mut compared = false;
    for sizes in case.operator.test_sizes() {
        let mut random = Stream::new(6, sizes.iter().sum(), 0);
        let problem = Problem::<f64>::sample(&*case.operator, &sizes, &[], &mut random)?;
        let v = problem.direction(&*case.operator, &mut random);
        let exact = |step: f64| {
            let moved = problem.moved(step, &v);
            let x: Vec<_> = moved.x.iter().map(|x| x.iter().copied().collect()).collect();
            let k: Vec<_> = moved.k.iter().map(|k| k.iter().copied().collect()).collect();
            case.operator.oracle(&sizes, &x, &k)
        };
        let (Some(value), Some(p), Some(m)) = (exact(0.0), exact(STEP), exact(-STEP)) else { continue };
        compared = true;
        let dy = normals_like(&runner.evaluate(&*case.operator, problem.inputs())?, &mut random);
        let against = |y: &[Vec<f64>]| -> f64 {
            y.iter().zip(&dy).flat_map(|(y, dy)| y.iter().zip(dy)).map(|(y, dy)| y * dy).sum()
        };
        let (mut values, mut slopes) = (vec![], vec![]);
        for replicate in 0..REPLICATES {
            let mut operator = case.operator.boxed();
            operator.set("seed", Value::Int(replicate as u64)).map_err(text)?;
            values.push(inner(&runner.evaluate(&*operator, problem.inputs())?, &dy).0);
            slopes.push(inner(&runner.vjp(&*operator, problem.inputs(), &dy)?, &v).0);
        }
        z_test("value", &values, against(&value))?;
        z_test("gradient", &slopes, (against(&p) - against(&m)) / (2.0 * STEP))
            .map_err(|e| format!("sizes {sizes:?}: {e}"))?;
    }
    if compared { Ok(()) } else { Err("no size has a naive definition".into()) }
}

fn z_test(what: &str, samples: &[f64], exact: f64) -> Outcome {
    let n = samples.len() as f64;
    let mean = samples.iter().sum::<f64>() / n;
    let variance = samples.iter().map(|s| (s - mean).powi(2)).sum::<f64>() / (n - 1.0);
    let error = (variance / n).sqrt() + 1e-9 * (1.0 + exact.abs());
    let z = (mean - exact) / error;
    if z.abs() <= 4.5 { Ok(()) } else { Err(format!("{what}: mean {mean:e} for {exact:e}, z = {z:.1}")) }
}

/// Under the scaling law the gradient scales too, down to data at 1e-10 and up to 1e9.
pub(crate) fn scales<T: Float>(case: &Case, runner: &dyn Runner<T>) -> Outcome {
    let Some(scaling) = case.operator.scaling() else { return Ok(()) };
    let tolerance = if T::NAME == "f32" { 1e-3 } else { 1e-9 };
    everywhere(case, 7, |problem: &Problem<T>, random| {
        let y = runner.evaluate(&*case.operator, problem.inputs())?;
        let dy = normals_like(&y, random);
        let dx = runner.vjp(&*case.operator, problem.inputs(), &dy)?;
        for c in [0.5, 3.0, 1e-10, 1e9] {
            let factor = |p: i8| T::of(f64::powi(c, p.into()));
            let mut scaled = problem.clone();
            scaled.x.iter_mut().zip(&scaling.inputs).for_each(|(x, &p)| x.mapv_inplace(|x| x * factor(p)));
            let mut operator = case.operator.boxed();
            let softness = scaling.softness * f64::powi(c, scaling.power.into());
            operator.set("softness", Value::Float(softness)).map_err(text)?;
            // Cotangents that make the weighted output, and with it dx up to its own factor, the same.
            let weighted = dy.iter().zip(&scaling.outputs);
            let weighted: Vec<_> = weighted.map(|(dy, &q)| dy.mapv(|dy| dy / factor(q))).collect();
            let undo = |arrays: Vec<ndarray::ArrayD<T>>, powers: &[i8], sign: i8| -> Vec<_> {
                let pairs = arrays.into_iter().zip(powers);
                pairs.map(|(a, &p)| a.mapv(|a| a * factor(sign * p))).collect()
            };
            let got = undo(runner.evaluate(&*operator, scaled.inputs())?, &scaling.outputs, -1);
            close(&format!("scale {c:e}: output"), &got, &y, tolerance)?;
            let got = undo(runner.vjp(&*operator, scaled.inputs(), &weighted)?, &scaling.inputs, 1);
            let bound = tolerance * (1.0 + largest(&dx));
            close_scaled(&format!("scale {c:e}: gradient"), &got, &dx, bound)?;
        }
        Ok(())
    })
}
