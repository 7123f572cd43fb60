//! `cargo xtask test`: every check there is.
//!
//! LibTorch's bindings and HiGHS take minutes to build, so they are built three times and not more: in the
//! dev profile (clippy, tests and docs share it), in the release profile (benches and examples share it), and
//! for the crate outside the workspace, which has a target folder of its own, as a user's has. For the
//! first two that means `--workspace` everywhere: with `-p`, cargo picks other features and builds again.
//! The wheel of the Python package is built apart, with what it needs and no more, as a user's is.
//! That the generated files are current is one of the tests.

use crate::setup::{Environment, setup};
use crate::step::Step;
use crate::{Result, libtorch, python, target};
use std::fs;
use std::time::Instant;

/// Runs the checks in turn and stops at the first that fails.
pub fn check() -> Result {
    let start = Instant::now();
    let env = setup()?;
    python::install()?;
    let steps = steps(&env)?;
    let count = steps.len();
    for (i, step) in steps.iter().enumerate() {
        println!("\n[{}/{count}] {}\n  $ {}", i + 1, step.title, step.line());
        let time = step.run()?;
        println!("[{}/{count}] {}: passed in {:.1} s", i + 1, step.title, time.as_secs_f64());
    }
    println!("\n{count} checks passed in {:.1} min", start.elapsed().as_secs_f64() / 60.0);
    Ok(())
}

/// A few cells of the suite.
const SUITE: &str =
    "run -p supple-bench -- estimators --problem step/* --estimator smoothing/* --budget 4 --replicates 20";

/// All checks: quick ones first, and those that need the release profile one after the other.
fn steps(env: &Environment) -> Result<Vec<Step>> {
    let cargo = |title: &str, line: &str| Step::new(title, &format!("cargo {line}")).envs(env);
    let outside = |title: &str, command: &str| {
        cargo(title, &format!("{command} --manifest-path tests/downstream/Cargo.toml"))
    };

    let mut steps = vec![
        Step::new("format", "cargo fmt --all --check"),
        Step::new(
            "format, downstream crate",
            "cargo fmt --check --manifest-path tests/downstream/Cargo.toml",
        ),
        // Without our variables: it must work in a fresh clone with nothing but cargo.
        Step::new("tests of the default members", "cargo test"),
        cargo("clippy", "clippy --workspace --all-targets -- -D warnings"),
        cargo("tests", "test --workspace --no-fail-fast --tests"),
        doctests(env)?,
        cargo("documentation", "xtask docs"),
        cargo(
            "benches compile",
            "bench --workspace --no-run --bench catalogue --bench order --bench perturb",
        ),
        cargo("suite, a small run", SUITE),
        cargo("examples compile", "build --release --workspace --examples"),
    ];
    for name in examples()? {
        let program = target()?.join("release/examples").join(&name);
        // The examples read this and make a short run.
        let step = Step::new(format!("example {name}"), &program.display().to_string());
        steps.push(step.envs(env).env("SUPPLE_QUICK", "1"));
    }
    steps.extend(python::steps()?);
    steps.push(outside("downstream crate, tests", "test"));
    steps.push(outside("downstream crate, run", "run"));
    Ok(steps)
}

/// The examples in the documentation.
///
/// Build scripts tell tests and programs where LibTorch lies; cargo passes that on to all
/// of them but doctests, which rustdoc links, so the loader is told here.
fn doctests(env: &Environment) -> Result<Step> {
    let mac = cfg!(target_os = "macos");
    let name = if mac { "DYLD_LIBRARY_PATH" } else { "LD_LIBRARY_PATH" };
    let step = Step::new("doctests", "cargo test --workspace --no-fail-fast --doc").envs(env);
    Ok(step.env(name, libtorch::lib_dir()?.display().to_string()))
}

/// The names of `examples/examples/*.rs`, in order.
fn examples() -> Result<Vec<String>> {
    let folder = "examples/examples";
    let entries = fs::read_dir(folder).map_err(|e| format!("{folder}: {e}"))?;
    let files = entries.flatten().map(|e| e.path());
    let rust = files.filter(|path| path.extension().is_some_and(|ext| ext == "rs"));
    let mut names: Vec<_> = rust.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned())).collect();
    names.sort();
    Ok(names)
}
