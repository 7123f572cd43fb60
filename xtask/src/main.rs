//! The commands of this repository: `cargo xtask setup | demo | test | gen | docs`.

mod check;
mod demo;
mod docs;
mod generate;
mod libtorch;
mod python;
mod setup;
mod step;
mod system;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What a command reports: nothing, or one message for the person at the terminal.
type Result<T = ()> = std::result::Result<T, String>;

const HELP: &str = "\
cargo xtask <command>

  setup          install what the build needs: system packages, and LibTorch in .venv
  demo [args]    set up, then train a ranking network on the red-wine data (args go to the example)
  test           set up, then run every check there is
  gen [--check]  write the generated parts of the documents; with --check, only compare
  docs           build the API documentation and the book

`setup` takes LibTorch from elsewhere if LIBTORCH or LIBTORCH_USE_PYTORCH=1 says so.";

fn main() -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let args: Vec<String> = std::env::args().skip(1).collect();
    let done = std::env::set_current_dir(&root)
        .map_err(|e| format!("cannot enter {}: {e}", root.display()))
        .and_then(|()| dispatch(&args));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("\n{message}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(args: &[String]) -> Result {
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        [] | ["help" | "-h" | "--help"] => {
            println!("{HELP}");
            Ok(())
        }
        ["setup"] => setup::setup().map(drop),
        ["demo", args @ ..] => demo::demo(args),
        ["test"] => check::check(),
        ["gen"] => generate::generate(false),
        ["gen", "--check"] => generate::generate(true),
        ["docs"] => docs::docs(),
        _ => Err(format!("`cargo xtask {}` is not a command.\n\n{HELP}", args.join(" "))),
    }
}

/// Cargo's target folder, from the root of the repository: this program lies in `target/debug`.
fn target() -> Result<PathBuf> {
    let here = |e| format!("where this program lies: {e}");
    let (program, root) = (std::env::current_exe().map_err(here)?, std::env::current_dir().map_err(here)?);
    let folder = program.ancestors().nth(2).unwrap_or(&program);
    Ok(folder.strip_prefix(&root).unwrap_or(folder).to_path_buf())
}
