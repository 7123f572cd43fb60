//! Solutions and gradients of a public implementation; the file names its source and convention.

use ndarray::{ArrayD, Axis, IxDyn};
use serde_json::Value;
use std::path::Path;
use supple_convex::QuadraticProgram;
use supple_core::linearize;

type Data = [ArrayD<f64>; 6];

fn array(value: &Value) -> ArrayD<f64> {
    let (mut shape, mut flat) = (vec![], vec![]);
    flatten(value, 0, &mut shape, &mut flat);
    ArrayD::from_shape_vec(IxDyn(&shape), flat).expect("a rectangular array")
}

fn flatten(value: &Value, depth: usize, shape: &mut Vec<usize>, flat: &mut Vec<f64>) {
    match value {
        Value::Array(items) => {
            if shape.len() == depth {
                shape.push(items.len());
            }
            items.iter().for_each(|item| flatten(item, depth + 1, shape, flat));
        }
        number => flat.push(number.as_f64().expect("a number")),
    }
}

#[track_caller]
fn close(name: &str, x: impl IntoIterator<Item = f64>, y: &ArrayD<f64>, tolerance: f64) {
    let x: Vec<f64> = x.into_iter().collect();
    assert_eq!(x.len(), y.len(), "{name}");
    for (x, y) in x.iter().zip(y) {
        assert!((x - y).abs() <= tolerance, "{name}: {x} against {y}");
    }
}

#[test]
fn qpth() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/quadratic_program.json");
    let golden: Value = serde_json::from_str(&std::fs::read_to_string(path).expect("a file")).expect("JSON");
    let names = ["Q", "q", "G", "h", "A", "b"];
    let cases = golden["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 3);
    for case in cases {
        let n = array(&case["q"]).shape()[1];
        let x: Data = names.map(|name| match (array(&case[name]), name) {
            (x, "A") if x.is_empty() => ArrayD::zeros(IxDyn(&[0, n])),
            (x, "b") if x.is_empty() => ArrayD::zeros(IxDyn(&[0])),
            (x, _) => x,
        });
        let operator = QuadraticProgram::default();
        let at = linearize(&operator, x.each_ref().map(|x| x.view())).expect("solutions");
        let [z, lambda, nu] = at.outputs();
        close("z", z.clone(), &array(&case["z"]), 1e-8);
        let dz = array(&case["dz"]);
        let (dl, dn) = (ArrayD::zeros(lambda.shape()), ArrayD::zeros(nu.shape()));
        let dx = at.vjp([dz.view(), dl.view(), dn.view()]).unwrap();
        let clamped = clamped_gradients(&x, at.outputs(), &dz);
        for (i, name) in names.iter().enumerate().filter(|(_, name)| !case["grads"][name].is_null()) {
            let published = array(&case["grads"][name]);
            // qpth's backward pass raises multipliers and slacks to 1e-8, and its gradients are that far
            // from exact. With the same clamp, the solution found here gives them back.
            close(name, clamped[i].clone(), &published, 1e-8);
            close(name, dx[i].clone(), &published, 1e-7);
        }
    }
}

/// The gradients of `⟨dz, z⟩` by qpth's formula, at a solution found here.
fn clamped_gradients(x: &Data, y: &[ArrayD<f64>; 3], dz: &ArrayD<f64>) -> [Vec<f64>; 6] {
    let mut gradients: [Vec<f64>; 6] = Default::default();
    let [n, m, p] = [x[1].shape()[1], y[1].shape()[1], y[2].shape()[1]];
    for item in 0..x[1].shape()[0] {
        let part = |x: &ArrayD<f64>, rank: usize| match x.ndim() > rank {
            true => x.index_axis(Axis(0), item).iter().copied().collect(),
            false => x.iter().copied().collect::<Vec<f64>>(),
        };
        let [q, g, h, a] = [(0, 2), (2, 2), (3, 1), (4, 2)].map(|(i, rank)| part(&x[i], rank));
        let [z, lambda, nu, dz] = [&y[0], &y[1], &y[2], dz].map(|y| part(y, 1));
        let lambda: Vec<f64> = lambda.into_iter().map(|l| l.max(1e-8)).collect();
        let size = n + m + p;
        let mut system = vec![vec![0.0; size + 1]; size];
        for j in 0..n {
            (0..n).for_each(|k| system[j][k] = q[j * n + k]);
            (0..m).for_each(|i| (system[n + i][j], system[j][n + i]) = (g[i * n + j], g[i * n + j]));
            (0..p).for_each(|i| (system[n + m + i][j], system[j][n + m + i]) = (a[i * n + j], a[i * n + j]));
            system[j][size] = dz[j];
        }
        for i in 0..m {
            let slack = h[i] - (0..n).map(|j| g[i * n + j] * z[j]).sum::<f64>();
            system[n + i][n + i] = -slack.max(1e-8) / lambda[i];
        }
        let u = eliminate(system);
        let (u, ul, un) = (&u[..n], &u[n..n + m], &u[n + m..]);
        let outer = |a: &[f64], x: &[f64], b: &[f64], y: &[f64]| -> Vec<f64> {
            let entry = |(i, j): (usize, usize)| -(a[i] * x[j] + b[i] * y[j]);
            (0..a.len()).flat_map(|i| (0..n).map(move |j| (i, j))).map(entry).collect()
        };
        gradients[0].extend(outer(u, &z, &z, u).into_iter().map(|x| 0.5 * x));
        gradients[1].extend(u.iter().map(|u| -u));
        gradients[2].extend(outer(&lambda, u, ul, &z));
        gradients[3].extend(ul);
        gradients[4].extend(outer(&nu, u, un, &z));
        gradients[5].extend(un);
    }
    gradients
}

/// Gauss's elimination with partial pivoting; the right-hand side is the last column.
fn eliminate(mut m: Vec<Vec<f64>>) -> Vec<f64> {
    let n = m.len();
    for k in 0..n {
        let pivot = (k..n).max_by(|&i, &j| m[i][k].abs().total_cmp(&m[j][k].abs())).unwrap();
        m.swap(k, pivot);
        let (head, below) = m.split_at_mut(k + 1);
        for row in below {
            let factor = row[k] / head[k][k];
            row.iter_mut().zip(&head[k]).for_each(|(x, y)| *x -= factor * y);
        }
    }
    let mut x = vec![0.0; n];
    for i in (0..n).rev() {
        x[i] = (m[i][n] - (i + 1..n).map(|j| m[i][j] * x[j]).sum::<f64>()) / m[i][i];
    }
    x
}
