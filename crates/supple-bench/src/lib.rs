//! The benchmark suite: compare gradient estimators and relaxations before you choose one.
//!
//! ```text
//! cargo run --release -p supple-bench -- estimators --problem all --estimator all --out results
//! cargo run --release -p supple-bench -- optimise --problem 'digits/*' --budget 4,16 --out losses
//! cargo run --release -p supple-bench -- relaxations --operator 'order/*' --out relaxed
//! ```
//!
//! A [`Problem`](problem::Problem) is a mean with an exact gradient, an [`Entrant`](entrant::Entrant) an estimator
//! with its parameters. Each pair with a budget is a [`cell`]; results are rows of named values in a [`store`],
//! from which come the tables, the CSV file and the page. A run can be interrupted and goes on where it was left,
//! be split into shards and merged, and be compared with another.

mod adam;
pub mod cell;
pub mod cli;
pub mod commands;
pub mod compare;
pub mod entrant;
pub mod entrants;
pub mod estimators;
pub mod evidence;
pub mod optimise;
pub mod page;
pub mod plot;
pub mod problem;
pub mod problems;
mod reference;
pub mod relaxations;
pub mod report;
pub mod row;
pub mod run;
pub mod select;
pub mod store;
pub mod table;
