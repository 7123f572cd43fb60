//! Does every item get what is its own?

use crate::problem::{Problem, identical, normals_like, shape, views};
use crate::runner::{Runner, text};
use crate::{Case, Engine, Outcome};
use ndarray::{ArrayD, Axis, IxDyn, Slice};
use supple_core::{Float, Stream};

/// Outputs and gradients of a problem.
struct Both<T> {
    y: Vec<ArrayD<T>>,
    dx: Vec<ArrayD<T>>,
}

fn both<T: Float>(case: &Case, problem: &Problem<T>, dy: &[ArrayD<T>]) -> Result<Both<T>, String> {
    let (y, pullback) = T::calls(&*case.operator).linearize(problem.inputs()).map_err(text)?;
    let dx = pullback.vjp(&problem.inputs().x, &views(&y), &views(dy)).map_err(text)?;
    Ok(Both { y, dx })
}

fn large_sizes(case: &Case) -> Vec<usize> {
    case.operator.test_sizes().pop().unwrap_or_default()
}

/// Memory layout cannot be seen: reversed and transposed arrays give the same bits.
pub(crate) fn strides<T: Float>(case: &Case) -> Outcome {
    let mut random = Stream::new(21, 0, 0);
    let problem = Problem::<T>::sample(&*case.operator, &large_sizes(case), &[3, 2], &mut random)?;
    let dy = normals_like(&Engine.evaluate(&*case.operator, problem.inputs())?, &mut random);
    let expected = both(case, &problem, &dy)?;
    for layout in [transposed::<T> as fn(&_) -> _, backwards] {
        let mut other = problem.clone();
        other.x = problem.x.iter().map(layout).collect();
        let dy: Vec<_> = dy.iter().map(layout).collect();
        let got = both(case, &other, &dy)?;
        identical("output", &got.y, &expected.y)?;
        identical("gradient", &got.dx, &expected.dx)?;
    }
    Ok(())
}

/// The same array in column-major memory.
fn transposed<T: Float>(a: &ArrayD<T>) -> ArrayD<T> {
    a.t().as_standard_layout().into_owned().reversed_axes()
}

/// The same array, stored back to front.
fn backwards<T: Float>(a: &ArrayD<T>) -> ArrayD<T> {
    let flip = |mut a: ArrayD<T>| {
        (0..a.ndim()).for_each(|axis| a.invert_axis(Axis(axis)));
        a
    };
    flip(flip(a.clone()).as_standard_layout().into_owned())
}

/// A core axis in front gives what the same axis gives at the end.
pub(crate) fn axis<T: Float>(case: &Case) -> Outcome {
    let mut random = Stream::new(22, 0, 0);
    let problem = Problem::<T>::sample(&*case.operator, &large_sizes(case), &[3], &mut random)?;
    let signature = problem.signature;
    let dy = normals_like(&Engine.evaluate(&*case.operator, problem.inputs())?, &mut random);
    let expected = both(case, &problem, &dy)?;
    let front = |a: &ArrayD<T>, core: usize| if core == 1 { a.clone().reversed_axes() } else { a.clone() };
    let all_front = |arrays: &[ArrayD<T>], arguments: &[supple_core::Argument]| -> Vec<_> {
        arrays.iter().zip(arguments).map(|(a, argument)| front(a, argument.core.len())).collect()
    };
    let mut moved = problem.clone();
    moved.x = all_front(&problem.x, &signature.inputs);
    for (k, argument) in moved.k.iter_mut().zip(&signature.indices) {
        if argument.core.len() == 1 {
            *k = k.clone().reversed_axes();
        }
    }
    for axis in [0, -2] {
        moved.options.axis = Some(axis);
        let got = both(case, &moved, &all_front(&dy, &signature.outputs))?;
        identical("output", &got.y, &all_front(&expected.y, &signature.outputs))?;
        identical("gradient", &got.dx, &all_front(&expected.dx, &signature.inputs))?;
    }
    Ok(())
}

/// One input shared by the batch gets the sum of the items' gradients, in its own shape.
pub(crate) fn broadcast<T: Float>(case: &Case) -> Outcome {
    let mut random = Stream::new(23, 0, 0);
    let full = Problem::<T>::sample(&*case.operator, &large_sizes(case), &[3], &mut random)?;
    let inputs = full.x.len() + full.k.len();
    let mut mixtures = 0;
    for one in 0..inputs {
        // Input `one` keeps its three items; the others have a single one.
        let mut shared = full.clone();
        let mut spread = full.clone();
        for (i, (shared, spread)) in shared.x.iter_mut().zip(&mut spread.x).enumerate() {
            if i != one {
                *shared = shared.slice_axis(Axis(0), Slice::from(0..1)).to_owned();
                *spread = shared.broadcast(spread.raw_dim()).ok_or("no broadcast")?.to_owned();
            }
        }
        for (i, (shared, spread)) in shared.k.iter_mut().zip(&mut spread.k).enumerate() {
            if full.x.len() + i != one {
                *shared = shared.slice_axis(Axis(0), Slice::from(0..1)).to_owned();
                *spread = shared.broadcast(spread.raw_dim()).ok_or("no broadcast")?.to_owned();
            }
        }
        // Not every mixture of samples is in the domain: the engine, not the operator, is looked at here.
        let Ok(y) = Engine.evaluate(&*case.operator, spread.inputs()) else { continue };
        mixtures += 1;
        let dy = normals_like(&y, &mut random);
        let (got, expected) = (both(case, &shared, &dy)?, both(case, &spread, &dy)?);
        identical("output", &got.y, &expected.y)?;
        let sums: Vec<_> = shared.x.iter().zip(&expected.dx).map(|(x, dx)| sum_to(dx, x)).collect();
        crate::problem::close("gradient", &got.dx, &sums, 8.0 * T::EPSILON)?;
    }
    if mixtures > 0 { Ok(()) } else { Err("no mixture of three samples is in the domain".into()) }
}

/// Sums the first axis in double precision, where `like` has one entry along it.
fn sum_to<T: Float>(dx: &ArrayD<T>, like: &ArrayD<T>) -> ArrayD<T> {
    if dx.shape() == like.shape() {
        return dx.clone();
    }
    let sum = dx.mapv(|d| d.to_f64()).sum_axis(Axis(0)).insert_axis(Axis(0));
    sum.mapv(T::of)
}

/// Items of different sizes in one padded batch give what they give alone; padding may hold anything.
pub(crate) fn ragged<T: Float>(case: &Case) -> Outcome {
    let mut random = Stream::new(24, 0, 0);
    let all_sizes = case.operator.test_sizes();
    let mut alone = vec![];
    for sizes in &all_sizes {
        alone.push(Problem::<T>::sample(&*case.operator, sizes, &[], &mut random)?);
    }
    let signature = alone[0].signature;
    let most = |s: usize| all_sizes.iter().map(|sizes| sizes[s]).max().unwrap_or(0);
    let full: Vec<usize> = (0..signature.symbols.len()).map(most).collect();
    let pad = |i: usize| {
        let mut padded =
            ArrayD::from_elem(IxDyn(&shape(&signature.inputs[i], &full, &[alone.len()])), T::nan());
        alone.iter().enumerate().for_each(|(b, item)| put(&mut padded, b, &item.x[i]));
        padded
    };
    let pad_indices = |i: usize| {
        let mut padded = ArrayD::from_elem(IxDyn(&shape(&signature.indices[i], &full, &[alone.len()])), -1);
        alone.iter().enumerate().for_each(|(b, item)| put(&mut padded, b, &item.k[i]));
        padded
    };
    let mut batch = alone[0].clone();
    batch.x = (0..batch.x.len()).map(pad).collect();
    batch.k = (0..batch.k.len()).map(pad_indices).collect();
    let inputs = || signature.inputs.iter().chain(&signature.indices);
    for (s, symbol) in signature.symbols.iter().enumerate() {
        if inputs().any(|argument| argument.core.contains(&s)) {
            let lengths = ArrayD::from_shape_fn(IxDyn(&[alone.len()]), |b| all_sizes[b[0]][s]);
            batch.options.lengths.push((symbol.name.into(), lengths));
        }
    }
    let y = Engine.evaluate(&*case.operator, batch.inputs())?;
    let dy = normals_like(&y, &mut random);
    let got = both(case, &batch, &dy)?;
    for (b, item) in alone.iter().enumerate() {
        // Noise is a function of the item's number: the item without padding stands at the same place.
        let item = repeated(item, b + 1);
        let y = Engine.evaluate(&*case.operator, item.inputs())?;
        let cut = |(y, dy): (&ArrayD<T>, &ArrayD<T>)| copies(&take(dy, b, &y.shape()[1..]), b + 1);
        let cut: Vec<_> = y.iter().zip(&dy).map(cut).collect();
        let Both { y, dx } = both(case, &item, &cut)?;
        let last = |arrays: Vec<ArrayD<T>>| -> Vec<ArrayD<T>> {
            arrays.iter().map(|array| array.index_axis(Axis(0), b).to_owned()).collect()
        };
        let expected = Both { y: last(y), dx: last(dx) };
        // Padding comes out as zero.
        let own = |whole: &[ArrayD<T>], parts: &[ArrayD<T>]| -> (Vec<_>, Vec<_>) {
            let expected = whole.iter().zip(parts).map(|(whole, part)| {
                let mut item = ArrayD::from_elem(IxDyn(&whole.shape()[1..]), T::zero()).insert_axis(Axis(0));
                put(&mut item, 0, part);
                item.remove_axis(Axis(0))
            });
            (whole.iter().map(|w| w.index_axis(Axis(0), b).to_owned()).collect(), expected.collect())
        };
        let (got_y, expected_y) = own(&got.y, &expected.y);
        let (got_dx, expected_dx) = own(&got.dx, &expected.dx);
        identical(&format!("item {b}: output"), &got_y, &expected_y)?;
        identical(&format!("item {b}: gradient"), &got_dx, &expected_dx)?;
    }
    Ok(())
}

/// A batch of the same item, `count` times over.
fn repeated<T: Float>(item: &Problem<T>, count: usize) -> Problem<T> {
    let mut batch = item.clone();
    batch.x = item.x.iter().map(|x| copies(x, count)).collect();
    batch.k = item.k.iter().map(|k| copies(k, count)).collect();
    batch
}

fn copies<E: Clone>(array: &ArrayD<E>, count: usize) -> ArrayD<E> {
    let shape: Vec<usize> = [count].into_iter().chain(array.shape().iter().copied()).collect();
    array.broadcast(shape).expect("one axis more").to_owned()
}

/// Writes an item into the front corner of a padded batch.
fn put<E: Clone>(batch: &mut ArrayD<E>, b: usize, item: &ArrayD<E>) {
    let mut place = batch.index_axis_mut(Axis(0), b);
    place.slice_each_axis_mut(|axis| Slice::from(0..item.shape()[axis.axis.index()])).assign(item);
}

/// The front corner of an item of a batch.
fn take<E: Clone>(batch: &ArrayD<E>, b: usize, shape: &[usize]) -> ArrayD<E> {
    let item = batch.index_axis(Axis(0), b);
    item.slice_each_axis(|axis| Slice::from(0..shape[axis.axis.index()])).to_owned()
}

/// A batch without items is legal.
pub(crate) fn empty<T: Float>(case: &Case) -> Outcome {
    let mut random = Stream::new(25, 0, 0);
    let problem = Problem::<T>::sample(&*case.operator, &large_sizes(case), &[0, 2], &mut random)?;
    let y = Engine.evaluate(&*case.operator, problem.inputs())?;
    if y.iter().any(|y| y.shape()[..2] != [0, 2]) {
        return Err(format!("output of shape {:?}", y[0].shape()));
    }
    let dx = both(case, &problem, &y)?.dx;
    identical("gradient", &dx, &problem.x)
}

/// NaN or infinity in one item leaves the others as they were.
pub(crate) fn isolation<T: Float>(case: &Case) -> Outcome {
    let mut random = Stream::new(26, 0, 0);
    for sizes in case.operator.test_sizes() {
        let clean = Problem::<T>::sample(&*case.operator, &sizes, &[3], &mut random)?;
        let (clean_y, _) = T::calls(&*case.operator).evaluate(clean.inputs()).map_err(text)?;
        let dy = normals_like(&clean_y, &mut random);
        let expected = both(case, &clean, &dy)?;
        for (i, free) in case.operator.free().into_iter().enumerate() {
            for poison in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
                let mut spoilt = clean.clone();
                let item = spoilt.x[i].len() / 3;
                if !free || item == 0 {
                    continue;
                }
                let place = item + random.below(item);
                spoilt.x[i].as_slice_mut().ok_or("not contiguous")?[place] = T::of(poison);
                let got = both(case, &spoilt, &dy)?;
                for (what, got, expected) in
                    [("output", &got.y, &expected.y), ("gradient", &got.dx, &expected.dx)]
                {
                    for item in [0, 2] {
                        let pick = |a: &[ArrayD<T>]| -> Vec<_> {
                            a.iter().map(|a| a.index_axis(Axis(0), item).to_owned()).collect()
                        };
                        identical(
                            &format!("{poison} beside item {item}: {what}"),
                            &pick(got),
                            &pick(expected),
                        )?;
                    }
                }
            }
        }
    }
    Ok(())
}

/// NaN in gives NaN out: an output that has none does not depend on the entry, nor on how large it is.
pub(crate) fn nan<T: Float>(case: &Case) -> Outcome {
    let mut random = Stream::new(28, 0, 0);
    for sizes in case.operator.test_sizes() {
        let clean = Problem::<T>::sample(&*case.operator, &sizes, &[], &mut random)?;
        for (i, free) in case.operator.free().into_iter().enumerate() {
            if !free || clean.x[i].is_empty() {
                continue;
            }
            let place = random.below(clean.x[i].len());
            let with = |value: T| {
                let mut problem = clean.clone();
                problem.x[i].iter_mut().skip(place).take(1).for_each(|x| *x = value);
                let (y, faults) = T::calls(&*case.operator).evaluate(problem.inputs()).map_err(text)?;
                Ok::<_, String>((y, faults.is_empty()))
            };
            let (spoilt, _) = with(T::nan())?;
            let beyond = 1.0 + 2.0 * crate::problem::largest(&clean.x[i..=i]);
            let own = clean.x[i].iter().nth(place).map_or(0.0, |x| x.to_f64());
            for value in [own, beyond, -beyond] {
                let (y, answered) = with(T::of(value))?;
                for (o, (y, spoilt)) in y.iter().zip(&spoilt).enumerate().filter(|_| answered) {
                    let mut pairs = spoilt.indexed_iter().zip(y);
                    let bad = pairs.find(|((_, spoilt), y)| !spoilt.is_nan() && spoilt != y);
                    if let Some(((at, spoilt), y)) = bad {
                        let (spoilt, y) = (spoilt.to_f64(), y.to_f64());
                        return Err(format!(
                            "sizes {sizes:?}: output {o} at {at:?} is {spoilt:e} where input {i} has NaN at \
                             {place}, and {y:e} where it has {value:e}"
                        ));
                    }
                }
            }
        }
    }
    Ok(())
}

/// The number of threads cannot be seen.
pub(crate) fn threads<T: Float>(case: &Case) -> Outcome {
    let mut random = Stream::new(27, 0, 0);
    let sizes = large_sizes(case);
    let one = Problem::<T>::sample(&*case.operator, &sizes, &[], &mut random)?;
    // More elements than the engine gives to one thread.
    let elements: usize = one.x.iter().map(ArrayD::len).sum();
    let items = 70_000 / elements.max(1) + 2;
    let problem = Problem::<T>::sample(&*case.operator, &sizes, &[items], &mut random)?;
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().map_err(|e| e.to_string())?;
        pool.install(|| {
            let y = Engine.evaluate(&*case.operator, problem.inputs())?;
            both(case, &problem, &y)
        })
    };
    let (one, three) = (run(1)?, run(3)?);
    identical("output", &three.y, &one.y)?;
    identical("gradient", &three.dx, &one.dx)
}
