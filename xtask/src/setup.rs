//! `cargo xtask setup`: from a fresh machine to one where every member builds.

use crate::{Result, libtorch, system};

/// Variables for the commands that build or run the members.
pub type Environment = Vec<(String, String)>;

/// Installs what is missing and returns the environment to build in.
///
/// Every step looks before it installs, so the second time takes some milliseconds.
pub fn setup() -> Result<Environment> {
    let mut packages = system::missing();
    if !libtorch::is_chosen_by_user() && !libtorch::is_ready() {
        // Seen now, so that all system packages come with one command.
        packages.extend(system::missing_for_venv());
    }
    system::install(&packages)?;
    libtorch::install()?;
    Ok(environment())
}

/// The variables every child `cargo` gets.
///
/// `LIBTORCH` names a fixed path, also for `.venv` whatever its Python version: torch-sys
/// builds again whenever the variable changes. One BLAS thread: results do not depend on the
/// number of cores.
fn environment() -> Environment {
    let mut env = vec![("OPENBLAS_NUM_THREADS".to_owned(), "1".to_owned())];
    if !libtorch::is_chosen_by_user() {
        env.push(("LIBTORCH".to_owned(), libtorch::link().display().to_string()));
    }
    env
}

/// One line per step of the set-up.
pub fn say(what: &str, state: &str) {
    println!("set-up: {what}: {state}");
}
