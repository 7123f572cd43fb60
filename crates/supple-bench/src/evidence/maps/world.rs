//! The maps.

use super::{CELLS, COSTS, FEATURES, MAPS, SIDE};
use supple_core::{Error, Fault, Stream};
use supple_ops::perturb::Oracle;
use supple_ops::perturb::oracles::GridPath;

/// One map.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Map {
    /// What is seen, cell by cell.
    pub features: Vec<f64>,
    /// Of entering each cell.
    pub costs: Vec<f64>,
    /// A cheapest path.
    pub path: Vec<f64>,
}

impl Map {
    pub(super) fn cost(&self, path: &[f64]) -> f64 {
        self.costs.iter().zip(path).map(|(cost, y)| cost * y).sum()
    }
}

/// Maps to train on and to test on, with the solver.
pub(super) struct World {
    pub solver: GridPath,
    pub train: Vec<Map>,
    pub test: Vec<Map>,
}

fn fault(fault: Fault) -> Error {
    Error::Fault { operator: "maps".into(), item: 0, fault }
}

impl World {
    pub(super) fn new(seed: u64) -> Result<Self, Error> {
        let solver = GridPath::new(SIDE, SIDE, 8)?;
        let looks: Vec<_> =
            (0..COSTS.len()).map(|terrain| Stream::new(seed, terrain, 0).normals(FEATURES)).collect();
        let map = |number: usize| {
            let mut random = Stream::new(seed, number, 1);
            let terrains = patches(&mut random);
            let seen = |terrain: &usize| {
                let noise = random.normals(FEATURES);
                looks[*terrain].iter().zip(noise).map(|(look, z)| look + 0.4 * z).collect::<Vec<_>>()
            };
            let features = terrains.iter().flat_map(seen).collect();
            let costs: Vec<f64> = terrains.iter().map(|terrain| COSTS[*terrain]).collect();
            let path = solve(&solver, &costs)?;
            Ok(Map { features, costs, path })
        };
        let mut train = (0..2 * MAPS).map(map).collect::<Result<Vec<_>, Error>>()?;
        let test = train.split_off(MAPS);
        Ok(Self { solver, train, test })
    }
}

/// Terrains at random; then, a hundred times, a cell takes that of a cell beside it.
fn patches(random: &mut Stream) -> Vec<usize> {
    let mut terrains: Vec<usize> = (0..CELLS).map(|_| random.below(COSTS.len())).collect();
    for _ in 0..CELLS {
        let cell = random.below(CELLS);
        let (row, column) = (cell / SIDE + random.below(3), cell % SIDE + random.below(3));
        let near = row.clamp(1, SIDE) * SIDE + column.clamp(1, SIDE) - SIDE - 1;
        terrains[cell] = terrains[near];
    }
    terrains
}

/// A cheapest path.
pub(super) fn solve(solver: &GridPath, costs: &[f64]) -> Result<Vec<f64>, Error> {
    let theta: Vec<f64> = costs.iter().map(|cost| -cost).collect();
    let mut path = vec![0.0; costs.len()];
    solver.solve(&theta, &mut path).map_err(fault)?;
    Ok(path)
}

/// Whether cells are those of a cheapest path, and no others.
pub(super) fn is_optimal(world: &World, map: &Map, cells: &[f64]) -> bool {
    let open: Vec<f64> =
        map.costs.iter().zip(cells).map(|(cost, y)| if *y > 0.0 { *cost } else { f64::INFINITY }).collect();
    solve(&world.solver, &open)
        .is_ok_and(|path| path == cells && map.cost(&path) < map.cost(&map.path) + 1e-9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_cheapest_paths() {
        let world = World::new(1).unwrap();
        assert_eq!((world.train.len(), world.test.len()), (MAPS, MAPS));
        for map in &world.train {
            // Bellman and Ford: costs from the first cell, until nothing changes.
            let mut reach = vec![f64::INFINITY; CELLS];
            reach[0] = map.costs[0];
            for _ in 0..CELLS {
                for cell in 0..CELLS {
                    let (row, column) = (cell / SIDE, cell % SIDE);
                    for near in 0..CELLS {
                        let apart = (near / SIDE).abs_diff(row).max((near % SIDE).abs_diff(column));
                        if apart == 1 {
                            reach[cell] = reach[cell].min(reach[near] + map.costs[cell]);
                        }
                    }
                }
            }
            assert!((map.cost(&map.path) - reach[CELLS - 1]).abs() < 1e-9);
            assert!(is_optimal(&world, map, &map.path));
            let mut more = map.path.clone();
            more[SIDE - 1] = 1.0 - more[SIDE - 1];
            assert!(!is_optimal(&world, map, &more));
        }
        assert_eq!(World::new(1).unwrap().train, world.train);
        assert_ne!(World::new(2).unwrap().train, world.train);
    }
}
