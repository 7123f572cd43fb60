//! Naive definitions of the smoothed shortest path, for small graphs, and what they have in common.

use super::soft_shortest_path::SoftShortestPath;
use supple_core::{Args, Evaluated, Law};

/// Numbers of the edges with this end, one of `from` and `to`.
fn with_end(ends: &[i64], node: usize) -> impl Iterator<Item = usize> {
    (0..ends.len()).filter(move |&edge| ends[edge] == node as i64)
}

/// Value and usage as sums over all paths.
pub(super) fn sum_over_paths(operator: &SoftShortestPath, at: Args<'_, f64, 1, 2>) -> [Vec<f64>; 2] {
    let ([cost], [from, to]) = (at.x, at.k);
    let mut paths = vec![];
    let mut open = vec![(operator.source, vec![])];
    while let Some((node, path)) = open.pop() {
        if node == operator.target() {
            paths.push(path);
            continue;
        }
        for edge in with_end(from, node) {
            open.push((to[edge] as usize, [&path[..], &[edge]].concat()));
        }
    }
    let lengths: Vec<f64> = paths.iter().map(|path| path.iter().map(|&edge| cost[edge]).sum()).collect();
    let least = lengths.iter().fold(f64::INFINITY, |a, &b| a.min(b));
    let mut usage = vec![0.0; cost.len()];
    if least == f64::INFINITY {
        return [vec![least], usage];
    }
    let weights: Vec<f64> = lengths.iter().map(|l| (-(l - least) / operator.softness).exp()).collect();
    let sum: f64 = weights.iter().sum();
    for (path, weight) in paths.iter().zip(weights) {
        path.iter().for_each(|&edge| usage[edge] += weight / sum);
    }
    [vec![least - operator.softness * sum.ln()], usage]
}

/// Value and usage by the recursion over nodes with the squared norm, without memory of what was computed.
pub(super) fn recursion(operator: &SoftShortestPath, at: Args<'_, f64, 1, 2>) -> [Vec<f64>; 2] {
    let mut usage = vec![0.0; at.x[0].len()];
    flow(operator, at, operator.target(), 1.0, &mut usage);
    [vec![value(operator, at, operator.target()).0], usage]
}

/// The value of a node, and the edges into it with their weights.
fn value(operator: &SoftShortestPath, at: Args<'_, f64, 1, 2>, node: usize) -> (f64, Vec<(usize, f64)>) {
    if node == operator.source {
        return (0.0, vec![]);
    }
    let ([cost], [from, to]) = (at.x, at.k);
    let through = |edge: usize| (value(operator, at, from[edge] as usize).0 + cost[edge], edge);
    let mut choices: Vec<(f64, usize)> =
        with_end(to, node).map(through).filter(|c| c.0.is_finite()).collect();
    choices.sort_by(|a, b| a.0.total_cmp(&b.0));
    // The most choices whose common threshold leaves the worst of them a positive weight.
    let gamma = operator.softness;
    let threshold = |k: usize| (gamma + choices[..k].iter().map(|c| c.0).sum::<f64>()) / k as f64;
    let Some(k) = (1..=choices.len()).rev().find(|&k| choices[k - 1].0 < threshold(k)) else {
        return (f64::INFINITY, vec![]);
    };
    let weights: Vec<f64> = choices[..k].iter().map(|c| (threshold(k) - c.0) / gamma).collect();
    let expected: f64 = choices.iter().zip(&weights).map(|(c, p)| c.0 * p).sum();
    let omega = 0.5 * (weights.iter().map(|p| p * p).sum::<f64>() - 1.0);
    (expected + gamma * omega, choices.iter().map(|c| c.1).zip(weights).collect())
}

fn flow(operator: &SoftShortestPath, at: Args<'_, f64, 1, 2>, node: usize, amount: f64, usage: &mut [f64]) {
    for (edge, weight) in value(operator, at, node).1 {
        usage[edge] += amount * weight;
        flow(operator, at, at.k[0][edge] as usize, amount * weight, usage);
    }
}

/// A unit flow, and a value below what it costs.
pub(super) fn laws(operator: &SoftShortestPath) -> Vec<Law> {
    let (nodes, ends) = (operator.nodes, (operator.source, operator.target()));
    let conserved = move |Evaluated { k, y, .. }: Evaluated<'_>| {
        let mut balance = vec![0.0; nodes];
        (balance[ends.0], balance[ends.1]) = (1.0, -1.0);
        for ((&from, &to), usage) in k[0].iter().zip(k[1]).zip(y[1]) {
            balance[from as usize] -= usage;
            balance[to as usize] += usage;
        }
        // A sum, so that NaN stays.
        balance.iter().map(|b| b.abs()).sum()
    };
    let within =
        |Evaluated { y, .. }: Evaluated<'_>| y[1].iter().map(|u| u - u.clamp(0.0, 1.0)).map(f64::abs).sum();
    let below = |Evaluated { x, y, .. }: Evaluated<'_>| {
        let expected: f64 = x[0].iter().zip(y[1]).map(|(c, u)| c * u).sum();
        if y[0][0] <= expected { 0.0 } else { y[0][0] - expected }
    };
    vec![
        Law::Vanishes("flow_is_conserved", Box::new(conserved)),
        Law::Vanishes("usage_within_0_and_1", Box::new(within)),
        Law::Vanishes("value_at_most_expected_cost", Box::new(below)),
    ]
}
