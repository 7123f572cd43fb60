//! The command line.

use crate::run::Shard;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// Compares gradient estimators and relaxations before you choose one.
#[derive(Debug, Parser)]
#[command(name = "supple-bench", version, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// List problems, estimators and relaxations, and stop.
    #[arg(long, global = true)]
    pub list: bool,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Compare gradients with the exact ones: bias, variance, cosine, mean squared error, evaluations, time.
    Estimators(Estimators),
    /// Minimise with each estimator, and compare the losses reached for the same evaluations.
    Optimise(Optimise),
    /// Compare relaxations with their hard operators: distance, gradient, time, over softness.
    Relaxations(Relaxations),
    /// Try what papers say of estimators again, and print the figures beside the statements.
    Evidence(Evidence),
    /// Put the results of shards together.
    Merge(Merge),
    /// Compare two runs cell by cell, and say which differ by more than 4 standard errors.
    Compare(Compare),
    /// Write the table, the CSV file and the page of a directory again.
    Report(Report),
}

/// Where results go, and which part of them.
#[derive(Debug, Args)]
pub struct Output {
    /// Directory for the results. What is there already is taken up, so an interrupted run goes on. Without it,
    /// there is a table in the terminal and nothing else.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Measure every n-th cell from the i-th on: `--shard 2/4`. See `merge`.
    #[arg(long, value_name = "I/N", default_value = "1/1")]
    pub shard: Shard,
    /// Cells at a time; 0 for one to each core. Results depend on it only where `--time-limit` cuts a cell short,
    /// which the results say under `cut`; times are better on 1.
    #[arg(long, default_value_t = 0)]
    pub threads: usize,
    /// Seed of all random numbers.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

/// Which problems and estimators.
#[derive(Debug, Args)]
pub struct Choice {
    /// Problems: names, folders of names such as `digits/*`, or `all`.
    #[arg(long, value_delimiter = ',', default_value = "all", value_name = "NAME")]
    pub problem: Vec<String>,
    /// Estimators: names, folders of names such as `smoothing/*`, or `all`.
    #[arg(long, value_delimiter = ',', default_value = "all", value_name = "NAME")]
    pub estimator: Vec<String>,
}

/// `supple-bench estimators`.
#[derive(Debug, Args)]
pub struct Estimators {
    /// What to compare.
    #[command(flatten)]
    pub choice: Choice,
    /// Evaluations that one estimate may take.
    #[arg(long, value_delimiter = ',', default_value = "1,4,16,64,256", value_name = "N")]
    pub budget: Vec<usize>,
    /// Estimates of each cell.
    #[arg(long, default_value_t = 200, value_name = "N", value_parser = at_least::<2>)]
    pub replicates: usize,
    /// Estimates before those, not counted, for what learns to learn.
    #[arg(long, default_value_t = 20, value_name = "N")]
    pub warm_up: usize,
    /// Seconds that a cell may take: the dearest end with fewer estimates, which the results say. How many
    /// depends on the machine.
    #[arg(long, default_value_t = 5.0, value_name = "SECONDS")]
    pub time_limit: f64,
    /// Where to.
    #[command(flatten)]
    pub output: Output,
}

/// `supple-bench optimise`.
#[derive(Debug, Args)]
pub struct Optimise {
    /// What to compare.
    #[command(flatten)]
    pub choice: Choice,
    /// Evaluations that one step may take.
    #[arg(long, value_delimiter = ',', default_value = "16", value_name = "N")]
    pub budget: Vec<usize>,
    /// Evaluations that all steps may take.
    #[arg(long, default_value_t = 4096, value_name = "N", value_parser = at_least::<1>)]
    pub evaluations: usize,
    /// Runs with noise of their own; the mean loss is reported.
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = at_least::<1>)]
    pub runs: usize,
    /// Step sizes of Adam; the best is reported.
    #[arg(long, value_delimiter = ',', default_value = "0.01,0.03,0.1,0.3", value_name = "X")]
    pub rate: Vec<f64>,
    /// Where to.
    #[command(flatten)]
    pub output: Output,
}

/// `supple-bench relaxations`.
#[derive(Debug, Args)]
pub struct Relaxations {
    /// Operators: names, families such as `order/*`, or `all`.
    #[arg(long, value_delimiter = ',', default_value = "all", value_name = "NAME")]
    pub operator: Vec<String>,
    /// Values of the softness.
    #[arg(long, value_delimiter = ',', default_value = "0.01,0.03,0.1,0.3,1,3,10,30,100", value_name = "X")]
    pub softness: Vec<f64>,
    /// Inputs to take the mean over.
    #[arg(long, default_value_t = 64, value_name = "N", value_parser = at_least::<1>)]
    pub items: usize,
    /// Where to.
    #[command(flatten)]
    pub output: Output,
}

/// `supple-bench evidence`.
#[derive(Debug, Args)]
pub struct Evidence {
    /// Papers to try: words of their authors or year, such as `petersen`; all without it.
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    pub paper: Vec<String>,
    /// Directory for evidence.json and evidence.html. Without it, there is the text in the terminal.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Claims at a time; 0 for one to each core. Results do not depend on it.
    #[arg(long, default_value_t = 0)]
    pub threads: usize,
    /// Seed of all random numbers.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

/// `supple-bench merge`.
#[derive(Debug, Args)]
pub struct Merge {
    /// Directories with results of the same settings.
    #[arg(required = true, value_name = "DIR")]
    pub dirs: Vec<PathBuf>,
    /// Where to.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

/// `supple-bench compare`.
#[derive(Debug, Args)]
pub struct Compare {
    /// A directory with results.
    pub a: PathBuf,
    /// Another one.
    pub b: PathBuf,
    /// Show all cells, not only those that differ.
    #[arg(long)]
    pub all: bool,
}

/// `supple-bench report`.
#[derive(Debug, Args)]
pub struct Report {
    /// A directory with results.
    pub dir: PathBuf,
}

fn at_least<const N: usize>(text: &str) -> Result<usize, String> {
    let number: usize = text.parse().map_err(|_| format!("must be a whole number, got {text}"))?;
    if number < N { Err(format!("must be at least {N}, got {number}")) } else { Ok(number) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split(' '))
    }

    #[test]
    fn lists_defaults_and_flags() {
        let line = "supple-bench estimators --problem a,b/* --budget 1,4 --out dir --shard 2/3 --threads 1";
        let Ok(Cli { command: Some(Command::Estimators(args)), list: false }) = parse(line) else {
            panic!("estimators")
        };
        assert_eq!(args.choice.problem, ["a", "b/*"]);
        assert_eq!(args.choice.estimator, ["all"]);
        assert_eq!((args.budget, args.replicates, args.output.seed), (vec![1, 4], 200, 1));
        assert_eq!(args.output.shard, "2/3".parse().unwrap());
        assert_eq!(args.output.out, Some(PathBuf::from("dir")));
        assert!(parse("supple-bench estimators --list").is_ok_and(|cli| cli.list));
        assert!(parse("supple-bench --list").is_ok_and(|cli| cli.list));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for line in [
            "estimators --shard 0/3",
            "estimators --shard 4/3",
            "estimators --shard 3",
            "estimators --replicates 1",
            "estimators --budget x",
            "relaxations --items 0",
            "merge a b",
            "compare a",
        ] {
            assert!(parse(&format!("supple-bench {line}")).is_err(), "{line}");
        }
    }

    #[test]
    fn the_definition_is_sound() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }
}
