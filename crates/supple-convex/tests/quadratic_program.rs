//! What a quadratic program owes: optimality, derivatives, and a reason where there is no answer.

use ndarray::{Array1, Array2, ArrayD, IxDyn, array};
use supple_convex::{QuadraticProgram, quadratic_program};
use supple_core::{Args, Contract, Evaluated, Fault, Float, Law, Stream, evaluate_each, linearize};

type Data = [ArrayD<f64>; 6];

/// A problem from rows of numbers.
fn problem(q: &[&[f64]], linear: &[f64], g: &[&[f64]], h: &[f64], a: &[&[f64]], b: &[f64]) -> Data {
    let n = linear.len();
    let matrix = |rows: &[&[f64]]| ArrayD::from_shape_vec(IxDyn(&[rows.len(), n]), rows.concat()).unwrap();
    let vector = |x: &[f64]| ArrayD::from_shape_vec(IxDyn(&[x.len()]), x.to_vec()).unwrap();
    [matrix(q), vector(linear), matrix(g), vector(h), matrix(a), vector(b)]
}

fn views<T>(x: &[ArrayD<T>; 6]) -> [ndarray::ArrayViewD<'_, T>; 6] {
    x.each_ref().map(|x| x.view())
}

/// A sample of the contract, as arrays.
fn sample(sizes: [usize; 3], seed: u64) -> Data {
    let [n, m, p] = sizes;
    let operator = QuadraticProgram::default();
    let sample = operator.sample(&sizes, [n * n, n, m * n, m, p * n, p], &mut Stream::new(seed, 0, 0));
    let shapes = [vec![n, n], vec![n], vec![m, n], vec![m], vec![p, n], vec![p]];
    let mut shapes = shapes.into_iter();
    sample.x.map(|x| ArrayD::from_shape_vec(shapes.next().unwrap(), x).unwrap())
}

fn solve(x: &Data) -> Result<[Vec<f64>; 3], Fault> {
    let (y, faults) = evaluate_each(&QuadraticProgram::default(), views(x)).unwrap();
    match &faults[0] {
        Some(fault) => {
            assert!(y.iter().flatten().all(|y| y.is_nan()));
            Err(fault.clone())
        }
        None => {
            let y = y.map(|y| y.into_raw_vec_and_offset().0);
            let residual = residual(x, &y);
            let size = y.iter().flatten().fold(1.0, |size: f64, y| size.max(y.abs()));
            assert!(residual <= 1e-9 * size, "residual {residual:e} at {y:?}");
            Ok(y)
        }
    }
}

/// The law of the contract.
fn residual(x: &Data, y: &[Vec<f64>; 3]) -> f64 {
    let laws = QuadraticProgram::default().laws();
    let [Law::Vanishes(_, residual)] = &laws[..] else { panic!() };
    let sizes = [x[1].len(), x[3].len(), x[5].len()];
    let x = x.each_ref().map(|x| x.as_slice().unwrap());
    residual(Evaluated { sizes: &sizes, x: &x, k: &[], y: &y.each_ref().map(|y| &y[..]) })
}

#[track_caller]
fn close(x: impl IntoIterator<Item = f64>, y: impl IntoIterator<Item = f64>, tolerance: f64) {
    let (x, y): (Vec<f64>, Vec<f64>) = (x.into_iter().collect(), y.into_iter().collect());
    assert_eq!(x.len(), y.len());
    for (x, y) in x.iter().zip(&y) {
        assert!((x - y).abs() <= tolerance * (1.0 + y.abs()), "{x} against {y}");
    }
}

const SIZES: [[usize; 3]; 12] = [
    [0, 0, 0],
    [1, 0, 0],
    [1, 3, 0],
    [1, 1, 1],
    [2, 0, 1],
    [3, 4, 0],
    [5, 8, 2],
    [8, 8, 3],
    [31, 20, 4],
    [32, 40, 5],
    [45, 90, 7],
    [60, 20, 33],
];

#[test]
fn answers_are_optimal_and_agree_with_brute_force() {
    for sizes in SIZES {
        for seed in 0..10 {
            let x = sample(sizes, seed);
            let y = solve(&x).unwrap_or_else(|fault| panic!("{sizes:?}, seed {seed}: {fault}"));
            assert!(residual(&x, &y) < 1e-9, "{sizes:?}");
            let slices = x.each_ref().map(|x| x.as_slice().unwrap());
            let args = Args { x: slices, k: [], sizes: &sizes, item: 0 };
            if let Some(expected) = QuadraticProgram::default().oracle(args) {
                close(y.concat(), expected.concat(), 1e-11);
            }
        }
    }
}

#[test]
fn derivatives_agree_with_differences() {
    for sizes in [[1, 1, 0], [3, 0, 1], [5, 6, 2], [8, 5, 3], [36, 40, 3]] {
        let operator = QuadraticProgram::default();
        let x = sample(sizes, 7);
        let random = &mut Stream::new(8, 0, 0);
        let mut normal = |like: &ArrayD<f64>| like.mapv(|_| random.normal());
        let v = x.each_ref().map(&mut normal);
        let at = linearize(&operator, views(&x)).unwrap();
        let dy = at.outputs().each_ref().map(&mut normal);
        let dy_views = || dy.each_ref().map(|dy| dy.view());
        let dot =
            |x: &[ArrayD<f64>], y: &[ArrayD<f64>]| x.iter().zip(y).map(|(x, y)| (x * y).sum()).sum::<f64>();

        let dx = at.vjp(dy_views()).unwrap();
        let tangent = at.jvp(views(&v)).unwrap();
        let (left, right) = (dot(&dy, &tangent), dot(&dx, &v));
        assert!((left - right).abs() < 1e-12 * (1.0 + left.abs()) * x[1].len() as f64, "{left} {right}");

        let step = 1e-6;
        let moved = |step: f64| {
            let mut moved = x.clone();
            moved.iter_mut().zip(&v).for_each(|(x, v)| x.scaled_add(step, v));
            moved
        };
        let (ahead, behind) = (moved(step), moved(-step));
        let (ahead, behind) =
            (linearize(&operator, views(&ahead)).unwrap(), linearize(&operator, views(&behind)).unwrap());
        for ((a, b), t) in ahead.outputs().iter().zip(behind.outputs()).zip(&tangent) {
            close((a - b) / (2.0 * step), t.clone(), 1e-6);
        }
        let (first, second) = at.vjp_derivative(dy_views(), views(&v)).unwrap();
        for (first, t) in first.iter().zip(&tangent) {
            close(first.clone(), t.clone(), 1e-12);
        }
        let (ahead, behind) = (ahead.vjp(dy_views()).unwrap(), behind.vjp(dy_views()).unwrap());
        for ((a, b), d) in ahead.iter().zip(&behind).zip(second) {
            close((a - b) / (2.0 * step), d, 1e-5);
        }
    }
}

#[test]
fn single_precision_is_computed_in_double() {
    let x = sample([6, 7, 2], 3);
    let y = solve(&x).unwrap();
    let single = x.each_ref().map(|x| x.mapv(|x| x as f32));
    let operator = QuadraticProgram::default();
    let at = linearize(&operator, views(&single)).unwrap();
    for (single, y) in at.outputs().iter().zip(&y) {
        close(single.mapv(|y| y.to_f64()), y.clone(), 1e-5);
    }
    let ones = at.outputs().each_ref().map(|y| y.mapv(|_| 1.0f32));
    let dx = at.vjp(ones.each_ref().map(|y| y.view())).unwrap();
    let at = linearize(&operator, views(&x)).unwrap();
    let ones = at.outputs().each_ref().map(|y| y.mapv(|_| 1.0));
    for (single, dx) in dx.iter().zip(at.vjp(ones.each_ref().map(|y| y.view())).unwrap()) {
        close(single.mapv(|x| x.to_f64()), dx, 1e-4);
    }
}

#[test]
fn blocks_may_be_absent_and_problems_may_come_in_batches() {
    let q = Array2::from_diag(&array![2.0, 4.0]);
    let [z, lambda, nu] = quadratic_program(&q, &array![-2.0, -4.0], None, None).unwrap();
    close(z, [1.0, 1.0], 1e-15);
    assert_eq!((lambda.len(), nu.len()), (0, 0));

    // One Q, two linear terms, one constraint: broadcasting as everywhere.
    let linear = array![[-2.0, -4.0], [2.0, 4.0]];
    let q = q.broadcast((2, 2, 2)).unwrap();
    let g = array![[[1.0, 1.0]], [[1.0, 1.0]]];
    let h = array![[1.0], [1.0]];
    let [z, lambda, nu] = quadratic_program(q, &linear, Some((g.view(), h.view())), None).unwrap();
    close(z, [1.0 / 3.0, 2.0 / 3.0, -1.0, -1.0], 1e-14);
    close(lambda, [4.0 / 3.0, 0.0], 1e-14);
    assert_eq!(nu.shape(), [2, 0]);
}

const EYE: &[&[f64]] = &[&[1.0, 0.0], &[0.0, 1.0]];

#[test]
fn constraints_of_every_kind() {
    // Inactive, redundant, all active, and an infinite right-hand side.
    let g: &[&[f64]] = &[&[1.0, 0.0], &[1.0, 0.0], &[2.0, 0.0], &[0.0, 1.0], &[0.0, 0.0], &[1.0, 1.0]];
    let h = [1.0, 1.0, 3.0, 5.0, 0.0, f64::INFINITY];
    let [z, lambda, _] = solve(&problem(EYE, &[-3.0, -2.0], g, &h, &[], &[])).unwrap();
    close(z, [1.0, 2.0], 1e-12);
    close([lambda[0] + lambda[1]], [2.0], 1e-12);
    close(lambda[2..].to_vec(), [0.0; 4], 0.0);

    let [z, lambda, _] = solve(&problem(EYE, &[-3.0, -2.0], EYE, &[1.0, 1.0], &[], &[])).unwrap();
    close(z, [1.0, 1.0], 1e-12);
    close(lambda, [2.0, 1.0], 1e-12);
}

#[test]
fn degenerate_vertices_have_non_negative_multipliers() {
    // Four edges through one vertex of the plane, three of which the gradient may lean on.
    let g: &[&[f64]] = &[&[1.0, 0.0], &[0.0, 1.0], &[1.0, 1.0], &[1.0, -0.5]];
    for linear in [[-3.0, -2.0], [-2.0, -3.0], [-2.5, -2.5], [-4.0, -1.1]] {
        let [z, lambda, _] = solve(&problem(EYE, &linear, g, &[1.0, 1.0, 2.0, 0.5], &[], &[])).unwrap();
        close(z, [1.0, 1.0], 1e-12);
        assert!(lambda.iter().filter(|l| **l > 0.0).count() <= 2);
    }
    // Many copies of one constraint.
    let g = vec![&[1.0, 1.0][..]; 40];
    let [z, lambda, _] = solve(&problem(EYE, &[-1.0, -1.0], &g, &[1.0; 40], &[], &[])).unwrap();
    close(z, [0.5, 0.5], 1e-12);
    close([lambda.iter().sum::<f64>()], [0.5], 1e-12);
}

#[test]
fn weakly_active_inequalities_count_as_inactive() {
    // The unconstrained minimum lies on the boundary.
    let x = problem(EYE, &[-1.0, 0.0], &[&[1.0, 0.0]], &[1.0], &[], &[]);
    let [z, lambda, _] = solve(&x).unwrap();
    close(z, [1.0, 0.0], 1e-12);
    assert_eq!(lambda, [0.0]);
    let operator = QuadraticProgram::default();
    let at = linearize(&operator, views(&x)).unwrap();
    let dy = [array![1.0, 0.0].into_dyn(), array![0.0].into_dyn(), Array1::zeros(0).into_dyn()];
    let [_, dq, _, dh, ..] = at.vjp(dy.each_ref().map(|y| y.view())).unwrap();
    close(dq, [-1.0, 0.0], 1e-12);
    close(dh, [0.0], 0.0);
}

#[test]
fn a_singular_q_will_do_where_the_minimiser_is_unique() {
    let line: &[&[f64]] = &[&[1.0, 0.0], &[0.0, 0.0]];
    let [z, ..] = solve(&problem(line, &[-1.0, 0.0], &[], &[], &[&[1.0, 1.0]], &[3.0])).unwrap();
    close(z, [1.0, 2.0], 1e-12);
    let [z, ..] = solve(&problem(line, &[-1.0, 1.0], &[&[0.0, -1.0]], &[2.0], &[], &[])).unwrap();
    close(z, [1.0, -2.0], 1e-12);

    // A linear program with one best vertex.
    let zero: &[&[f64]] = &[&[0.0, 0.0], &[0.0, 0.0]];
    let g: &[&[f64]] = &[&[-1.0, 0.0], &[0.0, -1.0], &[1.0, 2.0]];
    let [z, lambda, _] = solve(&problem(zero, &[-1.0, -1.0], g, &[0.0, 0.0, 4.0], &[], &[])).unwrap();
    close(z, [4.0, 0.0], 1e-12);
    close(lambda, [0.0, 1.0, 1.0], 1e-12);
}

#[test]
fn a_nearly_singular_q_loses_no_answer() {
    let mut random = Stream::new(7, 0, 0);
    for flat in [1e-5, 1e-7, 1e-8, 1e-10] {
        for _ in 0..20 {
            // Q = I − (1 − flat) v vᵀ with |v| = 1, and a constraint across its flat direction.
            let v = random.normals(4);
            let size: f64 = v.iter().map(|x| x * x).sum();
            let entry = |i: usize, j: usize| f64::from(i == j) - (1.0 - flat) * v[i] * v[j] / size;
            let q: Vec<Vec<f64>> = (0..4).map(|i| (0..4).map(|j| entry(i, j)).collect()).collect();
            let q: Vec<&[f64]> = q.iter().map(|row| &row[..]).collect();
            let row = random.normals(4);
            solve(&problem(&q, &random.normals(4), &[], &[], &[&row], &[1.0])).unwrap();
        }
    }
}

#[test]
fn every_fault_is_named_and_spoils_its_item_only() {
    let zero: &[&[f64]] = &[&[0.0, 0.0], &[0.0, 0.0]];
    let line: &[&[f64]] = &[&[1.0, 0.0], &[0.0, 0.0]];
    let saddle: &[&[f64]] = &[&[1.0, 0.0], &[0.0, -1.0]];
    let none: &[&[f64]] = &[];
    let rank = |matrix| Fault::RankDeficient { matrix };
    let (a, kkt) = (rank("A"), rank("the KKT matrix"));
    let (q, box_): (&[f64], &[&[f64]]) =
        (&[-1.0, -1.0], &[&[1.0, 0.0], &[-1.0, 0.0], &[0.0, 1.0], &[0.0, -1.0]]);
    let cases: [(Data, Fault); 14] = [
        (problem(EYE, q, &[&[1.0, 0.0], &[-1.0, 0.0]], &[0.0, -1.0], none, &[]), Fault::Infeasible),
        (problem(EYE, q, &[&[0.0, 0.0]], &[-1.0], none, &[]), Fault::Infeasible),
        (problem(EYE, q, &[&[1.0, 0.0]], &[f64::NEG_INFINITY], none, &[]), Fault::Infeasible),
        (problem(EYE, q, box_, &[1.0; 4], &[&[1.0, 1.0]], &[3.0]), Fault::Infeasible),
        (problem(EYE, q, none, &[], &[&[1.0, 1.0], &[2.0, 2.0]], &[1.0, 3.0]), Fault::Infeasible),
        (problem(EYE, q, none, &[], &[&[0.0, 0.0]], &[1.0]), Fault::Infeasible),
        (problem(EYE, q, none, &[], &[&[1.0, 1.0], &[2.0, 2.0]], &[1.0, 2.0]), a.clone()),
        (problem(EYE, q, none, &[], &[&[0.0, 0.0]], &[0.0]), a.clone()),
        (problem(EYE, q, none, &[], &[&[1.0, 1.0], &[1.0, 2.0], &[1.0, 3.0]], &[1.0, 2.0, 3.0]), a),
        (problem(zero, q, &[&[-1.0, 0.0], &[0.0, -1.0]], &[0.0; 2], none, &[]), Fault::Unbounded),
        (problem(line, q, none, &[], none, &[]), Fault::Unbounded),
        (problem(line, &[-1.0, 0.0], none, &[], none, &[]), kkt.clone()),
        (problem(line, &[-1.0, 0.0], box_, &[2.0; 4], none, &[]), kkt.clone()),
        (problem(zero, &[0.0, -1.0], box_, &[1.0; 4], none, &[]), kkt),
    ];
    for (i, (x, fault)) in cases.iter().enumerate() {
        assert_eq!(solve(x), Err(fault.clone()), "case {i}");
    }
    let domain = |x: Data, name: &str| match solve(&x) {
        Err(Fault::Domain { argument, .. }) => assert_eq!(argument, name),
        other => panic!("{name}: {other:?}"),
    };
    domain(problem(saddle, q, box_, &[1.0; 4], none, &[]), "Q");
    for (i, name) in ["Q", "q", "G", "h", "A", "b"].into_iter().enumerate() {
        let mut x = sample([4, 3, 2], 1);
        x[i].as_slice_mut().unwrap()[0] = f64::NAN;
        domain(x, name);
    }
    let one_step = QuadraticProgram { max_iterations: 1, ..QuadraticProgram::default() };
    // Many constraints compete to be active.
    let (n, m, random) = (30, 60, &mut Stream::new(2, 0, 0));
    let mut x = sample([n, m, 0], 2);
    x[1].mapv_inplace(|_| 10.0 * random.normal());
    x[2].mapv_inplace(|_| random.normal());
    x[3].fill(1.0);
    assert!(solve(&x).is_ok());
    let (_, faults) = evaluate_each(&one_step, views(&x)).unwrap();
    assert!(matches!(faults[0], Some(Fault::NotConverged { iterations: 1, .. })), "{faults:?}");

    let linear = array![[-1.0, -1.0], [f64::NAN, 0.0], [-1.0, -1.0]].into_dyn();
    let [q, _, g, h, a, b] = problem(EYE, q, EYE, &[0.5, 2.0], none, &[]);
    let inputs = [q.view(), linear.view(), g.view(), h.view(), a.view(), b.view()];
    let ([z, ..], faults) = evaluate_each(&QuadraticProgram::default(), inputs).unwrap();
    assert_eq!(faults.iter().map(Option::is_some).collect::<Vec<_>>(), [false, true, false]);
    close(z.outer_iter().step_by(2).flatten().copied(), [0.5, 1.0, 0.5, 1.0], 1e-12);
    assert!(z.outer_iter().nth(1).unwrap().iter().all(|z| z.is_nan()));
}

#[test]
fn units_do_not_matter() {
    let x = sample([7, 9, 2], 5);
    let [z, lambda, _] = solve(&x).unwrap();
    for scale in [1e-10, 1e-3, 1e4, 1e9] {
        // The objective in other units, and z in other units.
        let mut y = x.clone();
        y[0] *= scale;
        y[1] *= scale;
        let scaled = evaluate(&y);
        close(scaled[0].clone(), z.clone(), 1e-9);
        close(scaled[1].iter().map(|l| l / scale), lambda.clone(), 1e-9);
        let mut y = x.clone();
        for i in [1, 3, 5] {
            y[i] *= scale;
        }
        let scaled = evaluate(&y);
        close(scaled[0].iter().map(|z| z / scale), z.clone(), 1e-9);
        close(scaled[1].iter().map(|l| l / scale), lambda.clone(), 1e-9);
    }
}

fn evaluate(x: &Data) -> [ArrayD<f64>; 3] {
    supple_core::evaluate(&QuadraticProgram::default(), views(x)).unwrap()
}
