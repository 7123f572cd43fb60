//! Trains the same small network on the red-wine quality data with two losses: the mean squared error, and
//! one less a soft Spearman correlation. Which of the two ranks unseen wines better?
//!
//! Both losses get the same splits, initial weights, batches and number of epochs, and the same search for a
//! learning rate: each is trained with every rate, and the rate and the epoch are chosen on validation data.
//! The test data are only looked at to report.

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use plotters::prelude::*;
use std::error::Error;
use std::path::{Path, PathBuf};
use supple::order::SoftRank;
use supple_tch::{Inputs, Mode, apply, soft_rank};
use tch::nn::{self, Adam, Module, OptimizerConfig, VarStore};
use tch::{Device, Kind, Reduction, Tensor, no_grad};

const BATCH: i64 = 128;
const HIDDEN: i64 = 32;
const RATES: [f64; 5] = [0.003, 0.01, 0.03, 0.1, 0.3];
/// In standard deviations of the scores. A batch of 128 scores spreads over about four of them, so that
/// each rank depends on a handful of neighbours.
const SOFTNESS: f64 = 0.03;

#[derive(Parser)]
#[command(about = "Trains a ranking network with squared error and with a soft Spearman loss")]
struct Options {
    /// Random splits of the data; each trains one network per loss and learning rate.
    #[arg(long)]
    seeds: Option<usize>,
    /// Passes over the training data.
    #[arg(long)]
    epochs: Option<usize>,
    /// Where the learning curves go.
    #[arg(long, default_value = "target/demo/train_rank.svg")]
    out: PathBuf,
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let quick = std::env::var_os("SUPPLE_QUICK").is_some_and(|quick| quick == "1");
    let seeds = options.seeds.unwrap_or(if quick { 2 } else { 30 }).max(2);
    let epochs = options.epochs.unwrap_or(if quick { 3 } else { 40 }).max(1);
    tch::set_num_threads(1);

    let (x, quality) = wines();
    println!("red-wine quality: {} wines, {} measurements, marks from tasters", x.size()[0], x.size()[1]);
    println!("{seeds} splits in train, validation and test (60 : 20 : 20), {epochs} epochs");

    let bar = progress(2 * RATES.len() * seeds);
    let mut searches = vec![];
    for loss in [Loss::SquaredError, Loss::SoftSpearman] {
        let mut search = vec![];
        for rate in RATES {
            let mut runs = vec![];
            for seed in 0..seeds {
                runs.push(train(&Split::new(&x, &quality, seed as i64), loss, rate, epochs)?);
                bar.inc(1);
            }
            search.push(Trained { loss, rate, runs });
        }
        searches.push(search);
    }
    bar.finish_and_clear();

    let best: Vec<&Trained> = searches.iter().filter_map(|search| best(search)).collect();
    report(&searches, &best);
    draw(&options.out, &best)?;
    println!("\nlearning curves: {}", options.out.display());
    Ok(())
}

/// A bar on the terminal; nothing where there is none.
fn progress(steps: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("training {bar:40} {pos}/{len} networks, {eta} left");
    ProgressBar::new(steps as u64).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// Measurements and marks.
fn wines() -> (Tensor, Tensor) {
    let data = linfa_datasets::winequality();
    let (rows, columns) = data.records.dim();
    let x: Vec<f32> = data.records.iter().map(|&x| x as f32).collect();
    let quality: Vec<f32> = data.targets.iter().map(|&mark| mark as f32).collect();
    (Tensor::from_slice(&x).view([rows as i64, columns as i64]), Tensor::from_slice(&quality))
}

/// Measurements and marks of some wines.
struct Wines {
    x: Tensor,
    quality: Tensor,
}

struct Split {
    seed: i64,
    train: Wines,
    validation: Wines,
    test: Wines,
}

impl Split {
    /// A random split, standardised by the mean and deviation of the training part.
    fn new(x: &Tensor, quality: &Tensor, seed: i64) -> Self {
        tch::manual_seed(seed);
        let n = x.size()[0];
        let order = Tensor::randperm(n, (Kind::Int64, Device::Cpu));
        let sizes = [n * 6 / 10, n * 2 / 10, n - n * 6 / 10 - n * 2 / 10];
        let parts = order.split_with_sizes(sizes, 0);
        let standard = |all: &Tensor| {
            let train = all.index_select(0, &parts[0]);
            (all - train.mean_dim(0, true, None)) / train.std_dim(0, true, true)
        };
        let (x, quality) = (standard(x), standard(quality));
        let part =
            |i: usize| Wines { x: x.index_select(0, &parts[i]), quality: quality.index_select(0, &parts[i]) };
        Self { seed, train: part(0), validation: part(1), test: part(2) }
    }
}

#[derive(Clone, Copy)]
enum Loss {
    SquaredError,
    SoftSpearman,
}

impl Loss {
    fn name(self) -> &'static str {
        match self {
            Self::SquaredError => "mean squared error",
            Self::SoftSpearman => "soft Spearman",
        }
    }

    fn of(self, scores: &Tensor, quality: &Tensor) -> Result<Tensor, supple_tch::Error> {
        match self {
            Self::SquaredError => Ok(scores.mse_loss(quality, Reduction::Mean)),
            Self::SoftSpearman => {
                let standard = (scores - scores.mean(None)) / (scores.std(true) + 1e-6);
                let ranks = soft_rank(&standard, -1, SOFTNESS);
                Ok(1.0 - correlation(&ranks, &hard_ranks(quality)?))
            }
        }
    }
}

/// Ranks in which equal values share the mean of their places.
fn hard_ranks(x: &Tensor) -> Result<Tensor, supple_tch::Error> {
    let [ranks] = apply(&SoftRank::default(), Inputs::from([x]).mode(Mode::Hard))?;
    Ok(ranks)
}

/// Pearson's correlation.
fn correlation(a: &Tensor, b: &Tensor) -> Tensor {
    let (a, b) = (a - a.mean(None), b - b.mean(None));
    a.dot(&b) / (a.norm() * b.norm() + 1e-6)
}

/// Spearman's correlation.
fn spearman(a: &Tensor, b: &Tensor) -> Result<f64, supple_tch::Error> {
    Ok(correlation(&hard_ranks(a)?, &hard_ranks(b)?).double_value(&[]))
}

/// Spearman's correlation on unseen wines after each epoch.
#[derive(Default)]
struct Curves {
    validation: Vec<f64>,
    test: Vec<f64>,
}

impl Curves {
    /// The epoch that is best on the validation data.
    fn best(&self) -> usize {
        (0..self.validation.len())
            .max_by(|&a, &b| self.validation[a].total_cmp(&self.validation[b]))
            .unwrap_or(0)
    }
}

fn train(split: &Split, loss: Loss, rate: f64, epochs: usize) -> Result<Curves, Box<dyn Error>> {
    // The same initial weights and the same batches for every loss and rate.
    tch::manual_seed(split.seed);
    let variables = VarStore::new(Device::Cpu);
    let net = network(&variables.root(), split.train.x.size()[1]);
    let score = |x: &Tensor| net.forward(x).squeeze_dim(-1);
    let mut optimizer = Adam::default().build(&variables, rate)?;
    let mut curves = Curves::default();
    for _ in 0..epochs {
        let order = Tensor::randperm(split.train.x.size()[0], (Kind::Int64, Device::Cpu));
        for batch in order.split(BATCH, 0) {
            let scores = score(&split.train.x.index_select(0, &batch));
            let quality = split.train.quality.index_select(0, &batch);
            optimizer.backward_step(&loss.of(&scores, &quality)?);
        }
        let evaluate = |wines: &Wines| no_grad(|| spearman(&score(&wines.x), &wines.quality));
        curves.validation.push(evaluate(&split.validation)?);
        curves.test.push(evaluate(&split.test)?);
    }
    Ok(curves)
}

fn network(root: &nn::Path, inputs: i64) -> nn::Sequential {
    nn::seq()
        .add(nn::linear(root / "hidden", inputs, HIDDEN, Default::default()))
        .add_fn(|x| x.relu())
        .add(nn::linear(root / "score", HIDDEN, 1, Default::default()))
}

/// One loss at one learning rate, over all splits.
struct Trained {
    loss: Loss,
    rate: f64,
    runs: Vec<Curves>,
}

impl Trained {
    /// Validation and test correlation of each run at its best epoch.
    fn scores(&self) -> (Vec<f64>, Vec<f64>) {
        self.runs.iter().map(|run| (run.validation[run.best()], run.test[run.best()])).unzip()
    }
}

/// The learning rate with the best mean on the validation data.
fn best(searched: &[Trained]) -> Option<&Trained> {
    let validation = |trained: &Trained| Summary::of(&trained.scores().0).mean;
    searched.iter().max_by(|a, b| validation(a).total_cmp(&validation(b)))
}

/// Mean and its standard error.
struct Summary {
    mean: f64,
    error: f64,
}

impl Summary {
    fn of(x: &[f64]) -> Self {
        let n = x.len() as f64;
        let mean = x.iter().sum::<f64>() / n;
        let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0);
        Self { mean, error: (variance / n).sqrt() }
    }
}

fn report(searches: &[Vec<Trained>], best: &[&Trained]) {
    println!("\nSpearman correlation on validation data, mean over splits, by learning rate:");
    print!("{:20}", "");
    RATES.iter().for_each(|rate| print!("{rate:>8}"));
    for search in searches {
        print!("\n{:20}", search[0].loss.name());
        search.iter().for_each(|trained| print!("{:8.3}", Summary::of(&trained.scores().0).mean));
    }
    println!(
        "\n\nSpearman correlation on test data, mean and standard error over splits, each at the epoch that was"
    );
    println!("best on its validation data:");
    for trained in best {
        let Summary { mean, error } = Summary::of(&trained.scores().1);
        println!("{:20}{mean:8.4} ± {error:.4}   at rate {}", trained.loss.name(), trained.rate);
    }
    if let [squared, spearman] = best {
        let pairs = spearman.scores().1.into_iter().zip(squared.scores().1);
        let Summary { mean, error } = Summary::of(&pairs.map(|(a, b)| a - b).collect::<Vec<_>>());
        println!("{:20}{mean:+8.4} ± {error:.4}   soft Spearman less squared error", "paired difference");
    }
}

/// The test correlation after each epoch, with a band of one standard error.
fn draw(path: &Path, trained: &[&Trained]) -> Result<(), Box<dyn Error>> {
    path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
    let curves: Vec<Vec<Summary>> = trained.iter().map(|t| by_epoch(&t.runs)).collect();
    let ends = |s: &Summary| [s.mean - s.error, s.mean + s.error];
    let all: Vec<f64> = curves.iter().flatten().flat_map(ends).collect();
    let top = all.iter().copied().fold(f64::NEG_INFINITY, f64::max) + 0.01;
    let bottom = all.iter().copied().fold(f64::INFINITY, f64::min).max(top - 0.2) - 0.01;
    let epochs = curves.iter().map(Vec::len).max().unwrap_or(1);

    let canvas = SVGBackend::new(path, (800, 500)).into_drawing_area();
    canvas.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&canvas)
        .caption("Ranking unseen wines by quality", ("sans-serif", 22))
        .margin(16)
        .x_label_area_size(46)
        .y_label_area_size(64)
        .build_cartesian_2d(1.0..epochs.max(2) as f64, bottom..top)?;
    chart
        .configure_mesh()
        .x_desc("epoch")
        .y_desc("Spearman correlation, test data")
        .y_label_formatter(&|y| format!("{y:.2}"))
        .x_label_formatter(&|x| format!("{x:.0}"))
        .label_style(("sans-serif", 15))
        .axis_desc_style(("sans-serif", 16))
        .light_line_style(WHITE)
        .draw()?;
    for ((curve, trained), color) in
        curves.iter().zip(trained).zip([RGBColor(213, 94, 0), RGBColor(0, 114, 178)])
    {
        let points = |at: fn(&Summary) -> f64| {
            curve.iter().enumerate().map(move |(i, s)| (i as f64 + 1.0, at(s).max(bottom)))
        };
        let band = points(|s| s.mean - s.error).chain(points(|s| s.mean + s.error).rev());
        chart.draw_series([Polygon::new(band.collect::<Vec<_>>(), color.mix(0.2))])?;
        chart
            .draw_series(LineSeries::new(points(|s| s.mean), color.stroke_width(2)))?
            .label(format!("{}, learning rate {}", trained.loss.name(), trained.rate))
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], color.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .margin(16)
        .background_style(WHITE)
        .border_style(BLACK.mix(0.3))
        .label_font(("sans-serif", 15))
        .draw()?;
    canvas.present()?;
    Ok(())
}

fn by_epoch(runs: &[Curves]) -> Vec<Summary> {
    let epochs = runs.first().map_or(0, |run| run.test.len());
    (0..epochs).map(|i| Summary::of(&runs.iter().map(|run| run.test[i]).collect::<Vec<_>>())).collect()
}
