//! Learns what it costs to cross each cell of a map from nothing but shortest paths that others took.
//!
//! Walkers know the true costs and take the cheapest path. We see the map (height, distance to a river,
//! forest) and their paths. A small network gives a cost for each cell; its loss is the Fenchel-Young loss of
//! Dijkstra's algorithm under noise, whose gradient says: cheaper where walkers went, dearer where we would
//! have gone. The costs are then tested on journeys that were not seen.

use plotters::coord::Shift;
use plotters::prelude::*;
use std::error::Error;
use std::path::Path;
use supple::perturb::oracles::ShortestPath;
use supple::perturb::{FenchelYoung, Oracle, PerturbedArgmax};
use supple::{Fault, Stream};
use tch::nn::{self, Adam, Module, OptimizerConfig, VarStore};
use tch::{Device, Tensor, no_grad};

const ROWS: usize = 20;
const COLUMNS: usize = 30;
const PICTURE: &str = "target/demo/grid_path.svg";

fn main() -> Result<(), Box<dyn Error>> {
    let quick = std::env::var_os("SUPPLE_QUICK").is_some_and(|quick| quick == "1");
    let (observed, steps) = if quick { (10, 5) } else { (200, 600) };
    tch::manual_seed(1);
    tch::set_num_threads(1);

    let map = Map::new(7);
    let grid = Grid::new();
    let true_costs = grid.edge_costs(&map.costs);
    let mut random = Stream::new(7, 0, 1);
    let mut journeys = |count| -> Result<Vec<Journey>, Box<dyn Error>> {
        (0..count).map(|_| Journey::new(&grid, &true_costs, &mut random)).collect()
    };
    let (train, test) = (journeys(observed)?, journeys(100)?);
    println!(
        "a map of {ROWS} × {COLUMNS} cells; {observed} observed paths, {} held-out journeys",
        test.len()
    );

    let variables = VarStore::new(Device::Cpu);
    let net = network(&variables.root());
    let cell_costs = || net.forward(&map.features).squeeze_dim(-1).softplus();
    let before = grid.edge_costs(&to_vec(&no_grad(cell_costs))?);

    let mut optimizer = Adam::default().build(&variables, 0.01)?;
    for step in 0..steps {
        let theta = -grid.edge_cost_tensor(&cell_costs());
        let mut loss = Tensor::from(0.0);
        let batch = train.iter().cycle().skip(step * 10).take(10);
        for journey in batch {
            let [of_journey] = supple_tch::apply(&journey.loss, [&theta, &journey.taken])?;
            loss += of_journey / 10.0;
        }
        optimizer.backward_step(&loss);
        optimizer.set_lr(0.01 * (1.0 - step as f64 / steps as f64));
    }

    let learned_cells = to_vec(&no_grad(cell_costs))?;
    let learned = grid.edge_costs(&learned_cells);
    println!("\nheld-out journeys       same path   cost of the path / least cost");
    for (name, costs) in [("before learning", &before), ("after learning", &learned)] {
        let (same, ratio) = test_paths(&test, costs, &true_costs)?;
        println!("{name:20}{:10.0} %   {ratio:.3}", 100.0 * same);
    }

    draw(&grid, &test[..4], [&map.costs, &learned_cells])?;
    println!("\nthe map with the true and the learned paths: {PICTURE}");
    Ok(())
}

/// What the walkers see, and what we see.
struct Map {
    /// The true cost of each cell.
    costs: Vec<f64>,
    /// One row for each cell.
    features: Tensor,
}

impl Map {
    fn new(seed: u64) -> Self {
        let [height, river, forest] = [0, 1, 2].map(|field| smooth_field(&mut Stream::new(seed, field, 0)));
        let cost = |i: usize| {
            let hill = 0.5 * height[i].exp();
            let water = 4.0 * (-(river[i] / 0.2).powi(2)).exp();
            let thicket = if forest[i] > 0.5 { 1.0 } else { 0.0 };
            0.5 + hill + water + thicket
        };
        let features = (0..ROWS * COLUMNS).flat_map(|i| [height[i], river[i], forest[i]].map(|x| x as f32));
        let features = Tensor::from_slice(&features.collect::<Vec<_>>()).view([-1, 3]);
        Self { costs: (0..ROWS * COLUMNS).map(cost).collect(), features }
    }
}

/// A sum of random bumps, with mean 0 and variance 1 over the cells.
fn smooth_field(random: &mut Stream) -> Vec<f64> {
    let bumps: Vec<[f64; 3]> = (0..40)
        .map(|_| [random.uniform() * ROWS as f64, random.uniform() * COLUMNS as f64, random.normal()])
        .collect();
    let value = |cell: usize| -> f64 {
        let (row, column) = ((cell / COLUMNS) as f64, (cell % COLUMNS) as f64);
        let bump =
            |&[r, c, weight]: &[f64; 3]| weight * (-((row - r).powi(2) + (column - c).powi(2)) / 18.0).exp();
        bumps.iter().map(bump).sum()
    };
    let field: Vec<f64> = (0..ROWS * COLUMNS).map(value).collect();
    let n = field.len() as f64;
    let mean = field.iter().sum::<f64>() / n;
    let deviation = (field.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n).sqrt();
    field.iter().map(|x| (x - mean) / deviation).collect()
}

/// The cells as nodes, with edges to all eight neighbours.
struct Grid {
    edges: Vec<(usize, usize)>,
    /// Half the distance between the ends of each edge.
    half_lengths: Vec<f64>,
}

impl Grid {
    fn new() -> Self {
        let (mut edges, mut half_lengths) = (vec![], vec![]);
        for a in 0..ROWS * COLUMNS {
            for b in 0..ROWS * COLUMNS {
                let rows = (a / COLUMNS).abs_diff(b / COLUMNS);
                let columns = (a % COLUMNS).abs_diff(b % COLUMNS);
                if a != b && rows <= 1 && columns <= 1 {
                    edges.push((a, b));
                    half_lengths.push(0.5 * ((rows + columns) as f64).sqrt());
                }
            }
        }
        Self { edges, half_lengths }
    }

    /// The cost of an edge: the mean of its cells' times its length.
    fn edge_costs(&self, cells: &[f64]) -> Vec<f64> {
        let edges = self.edges.iter().zip(&self.half_lengths);
        edges.map(|(&(a, b), half)| half * (cells[a] + cells[b])).collect()
    }

    fn edge_cost_tensor(&self, cells: &Tensor) -> Tensor {
        let ends = |end: fn(&(usize, usize)) -> usize| {
            Tensor::from_slice(&self.edges.iter().map(|edge| end(edge) as i64).collect::<Vec<_>>())
        };
        let half_lengths: Vec<f32> = self.half_lengths.iter().map(|&half| half as f32).collect();
        let sum = cells.index_select(0, &ends(|edge| edge.0)) + cells.index_select(0, &ends(|edge| edge.1));
        sum * Tensor::from_slice(&half_lengths)
    }

    /// The cells that a path visits, in order.
    fn cells_along(&self, path: &[f64], start: usize) -> Vec<usize> {
        let taken: Vec<_> =
            self.edges.iter().zip(path).filter(|(_, y)| **y > 0.5).map(|(edge, _)| *edge).collect();
        let next = |cell: &usize| taken.iter().find(|edge| edge.0 == *cell).map(|edge| edge.1);
        std::iter::successors(Some(start), next).collect()
    }
}

/// A walk from the west of the map to the east.
struct Journey {
    loss: FenchelYoung<ShortestPath>,
    /// 1 on the edges that the walker took.
    taken: Tensor,
    start: usize,
}

impl Journey {
    fn new(grid: &Grid, true_costs: &[f64], random: &mut Stream) -> Result<Self, Box<dyn Error>> {
        let mut cell = |from: usize| random.below(ROWS) * COLUMNS + from + random.below(COLUMNS / 4);
        let (start, goal) = (cell(0), cell(COLUMNS - COLUMNS / 4));
        let oracle = ShortestPath::new(ROWS * COLUMNS, &grid.edges, start, goal)?;
        let taken: Vec<f32> = shortest(&oracle, true_costs)?.iter().map(|&y| y as f32).collect();
        let noise = PerturbedArgmax { softness: 0.1, samples: 8, ..PerturbedArgmax::new(oracle) };
        Ok(Self { loss: FenchelYoung(noise), taken: Tensor::from_slice(&taken), start })
    }

    fn oracle(&self) -> &ShortestPath {
        &self.loss.0.oracle
    }
}

/// 1 on the edges of the cheapest path.
fn shortest(oracle: &ShortestPath, costs: &[f64]) -> Result<Vec<f64>, Fault> {
    let theta: Vec<f64> = costs.iter().map(|cost| -cost).collect();
    let mut path = vec![0.0; costs.len()];
    oracle.solve(&theta, &mut path)?;
    Ok(path)
}

fn network(root: &nn::Path) -> nn::Sequential {
    nn::seq()
        .add(nn::linear(root / "first", 3, 32, Default::default()))
        .add_fn(|x| x.tanh())
        .add(nn::linear(root / "second", 32, 32, Default::default()))
        .add_fn(|x| x.tanh())
        .add(nn::linear(root / "cost", 32, 1, Default::default()))
}

/// The share of journeys on which the costs lead along the true path, and the mean of what their paths truly
/// cost over the least.
fn test_paths(journeys: &[Journey], costs: &[f64], true_costs: &[f64]) -> Result<(f64, f64), Fault> {
    let total = |path: &[f64]| path.iter().zip(true_costs).map(|(y, cost)| y * cost).sum::<f64>();
    let (mut same, mut ratio) = (0.0, 0.0);
    for journey in journeys {
        let oracle = journey.oracle();
        let (ours, theirs) = (shortest(oracle, costs)?, shortest(oracle, true_costs)?);
        same += f64::from(ours == theirs);
        ratio += total(&ours) / total(&theirs);
    }
    let count = journeys.len() as f64;
    Ok((same / count, ratio / count))
}

fn to_vec(cells: &Tensor) -> Result<Vec<f64>, tch::TchError> {
    Vec::try_from(cells.to_kind(tch::Kind::Double))
}

const CELL: i32 = 15;
const TRUE_PATH: RGBColor = RGBColor(0, 0, 0);
const LEARNED_PATH: RGBColor = RGBColor(255, 92, 0);

/// Both maps, dark where a cell is dear, with the true and the learned paths.
fn draw(
    grid: &Grid,
    journeys: &[Journey],
    [true_cells, learned_cells]: [&[f64]; 2],
) -> Result<(), Box<dyn Error>> {
    Path::new(PICTURE).parent().map_or(Ok(()), std::fs::create_dir_all)?;
    let (width, height) = (COLUMNS as i32 * CELL, ROWS as i32 * CELL);
    let canvas = SVGBackend::new(PICTURE, (2 * width as u32 + 60, height as u32 + 84)).into_drawing_area();
    canvas.fill(&WHITE)?;
    let panels =
        [("true costs: dark cells are dear", true_cells, 20), ("learned costs", learned_cells, width + 40)];
    for (title, cells, left) in panels {
        canvas.draw(&Text::new(title, (left, 14), ("sans-serif", 18)))?;
        let panel = canvas.clone().shrink((left, 40), (width, height));
        draw_cells(&panel, cells)?;
        for journey in journeys {
            let paths = [(true_cells, TRUE_PATH, 6), (learned_cells, LEARNED_PATH, 2)];
            for (cells, color, stroke) in paths {
                let path = shortest(journey.oracle(), &grid.edge_costs(cells))?;
                let points = grid.cells_along(&path, journey.start).into_iter().map(centre);
                panel.draw(&PathElement::new(points.collect::<Vec<_>>(), color.stroke_width(stroke)))?;
            }
        }
    }
    for (i, (name, color, stroke)) in
        [("true path", TRUE_PATH, 6), ("path by the learned costs", LEARNED_PATH, 2)].into_iter().enumerate()
    {
        let (x, y) = (20 + 160 * i as i32, height + 62);
        canvas.draw(&PathElement::new([(x, y), (x + 30, y)], color.stroke_width(stroke)))?;
        canvas.draw(&Text::new(name, (x + 38, y - 8), ("sans-serif", 15)))?;
    }
    canvas.present()?;
    Ok(())
}

/// Colours by rank among the cells: learned costs have a unit of their own.
fn draw_cells(panel: &DrawingArea<SVGBackend<'_>, Shift>, cells: &[f64]) -> Result<(), Box<dyn Error>> {
    let ranks = supple::order::soft_rank(cells, 1e-9)?;
    for (cell, rank) in ranks.iter().enumerate() {
        let shade = |light: f64, dark: f64| (light + (dark - light) * rank / cells.len() as f64) as u8;
        let color = RGBColor(shade(247.0, 35.0), shade(247.0, 110.0), shade(225.0, 130.0));
        let (x, y) = centre(cell);
        let corners = [(x - CELL / 2, y - CELL / 2), (x - CELL / 2 + CELL, y - CELL / 2 + CELL)];
        panel.draw(&Rectangle::new(corners, color.filled()))?;
    }
    Ok(())
}

fn centre(cell: usize) -> (i32, i32) {
    ((cell % COLUMNS) as i32 * CELL + CELL / 2, (cell / COLUMNS) as i32 * CELL + CELL / 2)
}
