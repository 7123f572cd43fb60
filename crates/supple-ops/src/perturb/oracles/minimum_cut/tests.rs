use super::super::rows::testing::{check_refusals, check_solve_many, objective, solved};
use super::*;
use supple_core::Stream;

fn capacity(graph: &MinimumCut, theta: &[f64], side: usize) -> f64 {
    let inside = |v: usize| side >> v & 1 == 1;
    let cut = |ends: &[usize]| {
        inside(ends[0]) && !inside(ends[1]) || !graph.directed && inside(ends[1]) && !inside(ends[0])
    };
    graph.ends.chunks_exact(2).zip(theta).filter(|(e, _)| cut(e)).map(|(_, t)| (-t).max(0.0)).sum()
}

fn random_graph(random: &mut Stream) -> MinimumCut {
    let nodes = 2 + random.below(6);
    let edges: Vec<_> = (0..random.below(20)).map(|_| (random.below(nodes), random.below(nodes))).collect();
    let (source, sink) = (random.below(nodes - 1), nodes - 1);
    match random.below(2) {
        0 => MinimumCut::new(nodes, &edges, source, sink).unwrap(),
        _ => MinimumCut::undirected(nodes, &edges, source, sink).unwrap(),
    }
}

/// More of the capacities are above 0 than below.
fn theta(graph: &MinimumCut, random: &mut Stream) -> Vec<f64> {
    let mut theta = objective(random, graph.ends.len() / 2);
    theta.iter_mut().filter(|theta| **theta > 1.0).for_each(|theta| *theta = -*theta);
    theta
}

#[test]
fn finds_the_least_of_all_cuts_next_to_the_source() {
    let mut random = Stream::new(21, 0, 0);
    for case in 0..2000 {
        let graph = random_graph(&mut random);
        let theta = theta(&graph, &mut random);
        let sides = (0..1 << (graph.first.len() - 1))
            .filter(|side| side >> graph.source & 1 == 1 && side >> graph.sink & 1 == 0);
        let values: Vec<(f64, usize)> = sides.map(|side| (capacity(&graph, &theta, side), side)).collect();
        let least = values.iter().map(|v| v.0).fold(f64::INFINITY, f64::min);
        // The nodes that are on the source's side of every least cut make one themselves.
        let least_cuts = values.iter().filter(|v| v.0 <= least + 1e-12);
        let nearest = least_cuts.fold(usize::MAX, |all, (_, side)| all & side);
        match solved(&graph, &theta) {
            Ok(y) => {
                let ones: Vec<f64> = (0..y.len())
                    .map(|e| {
                        let only: Vec<f64> = (0..y.len()).map(|i| -((i == e) as u8 as f64)).collect();
                        capacity(&graph, &only, nearest)
                    })
                    .collect();
                assert_eq!(y, ones, "{graph:?} {theta:?}");
            }
            Err(fault) => assert!(fault == Fault::Infeasible && least == f64::INFINITY),
        }
        let capacities: Vec<f64> = theta.iter().map(|t| -t).collect();
        match graph.maximum_flow(&capacities) {
            Ok((value, flow)) => {
                assert!((value - least).abs() < 1e-12);
                check_flow(&graph, &capacities, value, &flow);
            }
            Err(fault) => assert!(fault == Fault::Unbounded && least == f64::INFINITY),
        }
        if case % 10 == 0 {
            check_solve_many(&graph, theta.len(), &mut random);
        }
    }
}

fn check_flow(graph: &MinimumCut, capacities: &[f64], value: f64, flow: &[f64]) {
    let mut surplus = vec![0.0; graph.first.len() - 1];
    (surplus[graph.source], surplus[graph.sink]) = (-value, value);
    for ((ends, flow), capacity) in graph.ends.chunks_exact(2).zip(flow).zip(capacities) {
        let capacity = capacity.max(0.0) + 1e-12;
        assert!(*flow <= capacity && *flow >= if graph.directed { 0.0 } else { -capacity });
        surplus[ends[0]] += flow;
        surplus[ends[1]] -= flow;
    }
    assert!(surplus.iter().all(|surplus| surplus.abs() < 1e-12), "{graph:?} {flow:?}");
}

#[test]
fn the_flow_through_a_grid_is_as_large_as_the_cut() {
    let mut random = Stream::new(22, 0, 0);
    let (side, mut edges) = (20, vec![]);
    for v in 0..side * side {
        edges.extend((v % side + 1 < side).then_some((v, v + 1)));
        edges.extend((v + side < side * side).then_some((v, v + side)));
    }
    let graph = MinimumCut::undirected(side * side, &edges, 0, side * side - 1).unwrap();
    let capacities: Vec<f64> = edges.iter().map(|_| random.uniform()).collect();
    let theta: Vec<f64> = capacities.iter().map(|c| -c).collect();
    let (value, flow) = graph.maximum_flow(&capacities).unwrap();
    let y = solved(&graph, &theta).unwrap();
    assert!((y.iter().zip(&capacities).map(|(y, c)| y * c).sum::<f64>() - value).abs() < 1e-12);
    check_flow(&graph, &capacities, value, &flow);
}

#[test]
fn extreme_capacities() {
    let inf = f64::INFINITY;
    let line = MinimumCut::new(4, &[(0, 1), (1, 2), (2, 3)], 0, 3).unwrap();
    assert_eq!(solved(&line, &[-inf, -1e308, -inf]).unwrap(), [0.0, 1.0, 0.0]);
    assert_eq!(line.maximum_flow(&[inf, 1e308, inf]).unwrap(), (1e308, vec![1e308; 3]));
    assert_eq!(solved(&line, &[-inf, inf, -3.0]).unwrap(), [0.0, 1.0, 0.0]);
    assert_eq!(solved(&line, &[-inf; 3]), Err(Fault::Infeasible));
    assert_eq!(line.maximum_flow(&[inf; 3]), Err(Fault::Unbounded));
    assert_eq!(line.maximum_flow(&[inf, 5e-324, 1.0]).unwrap().0, 5e-324);
    let double = MinimumCut::undirected(2, &[(0, 1), (1, 0)], 0, 1).unwrap();
    assert_eq!(double.maximum_flow(&[8e307; 2]).unwrap(), (1.6e308, vec![8e307, -8e307]));
}

#[test]
fn bad_graphs_and_objectives_are_refused() {
    let refused =
        |edges: &[_], source, sink| MinimumCut::new(2, edges, source, sink).unwrap_err().to_string();
    assert_eq!(refused(&[(0, 2)], 0, 1), "minimum_cut: `edges` must be in 0..2, got 2");
    assert_eq!(refused(&[(0, 1)], 2, 1), "minimum_cut: `source` must be in 0..2, got 2");
    assert_eq!(refused(&[(0, 1)], 1, 1), "minimum_cut: `sink` must be another node than the source, got 1");
    assert!(MinimumCut::undirected(0, &[], 0, 0).is_err());
    let graph = MinimumCut::new(2, &[(0, 1)], 0, 1).unwrap();
    check_refusals(&graph, 1);
    assert!(matches!(graph.maximum_flow(&[f64::NAN]), Err(Fault::Domain { argument: "capacities", .. })));
    assert!(matches!(graph.maximum_flow(&[]), Err(Fault::Oracle(_))));
    assert_eq!(solved(&MinimumCut::new(2, &[], 0, 1).unwrap(), &[]), Ok(vec![]));
}
