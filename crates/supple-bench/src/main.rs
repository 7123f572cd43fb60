//! Compares gradient estimators and relaxations: see `supple-bench --help`.

use clap::Parser;
use std::io::{self, Write};
use std::process::ExitCode;
use supple_bench::cli::Cli;
use supple_bench::commands::execute;

fn main() -> ExitCode {
    match execute(Cli::parse()) {
        Ok(text) => {
            // A reader that has seen enough, such as `head`, is no error.
            writeln!(io::stdout(), "{}", text.trim_end()).ok();
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("supple-bench: {error}");
            ExitCode::FAILURE
        }
    }
}
