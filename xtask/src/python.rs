//! The Python package: its wheel and its tests, in `.venv`.

use crate::libtorch::{self, VENV_PYTHON};
use crate::setup::say;
use crate::step::Step;
use crate::{Result, target};
use std::fs;
use std::io::ErrorKind::NotFound;

/// What builds the wheel and runs the tests, beside PyTorch.
const TOOLS: &str = "jax==0.10.2 maturin==1.16.0 pytest==9.2.0";
/// What is installed. Written last, so that an interrupted installation is taken up again.
const STAMP: &str = ".venv/supple-tools.txt";

/// Sees to it that `.venv` has PyTorch, JAX and the tools, and that there is no old wheel: of several, pip takes the
/// highest version.
pub fn install() -> Result {
    let wheels = wheels()?;
    fs::remove_dir_all(&wheels)
        .or_else(|e| if e.kind() == NotFound { Ok(()) } else { Err(format!("{wheels}: {e}")) })?;
    libtorch::install_in_venv()?;
    if fs::read_to_string(STAMP).unwrap_or_default() == TOOLS {
        say("Python tools", "present");
        return Ok(());
    }
    say("Python tools", &format!("pip install {TOOLS}"));
    let pip = format!("{VENV_PYTHON} -m pip install --no-input --no-cache-dir {TOOLS}");
    Step::new("pip install", &pip).run()?;
    fs::write(STAMP, TOOLS).map_err(|e| format!("{STAMP}: {e}"))
}

/// The folder for the wheel.
fn wheels() -> Result<String> {
    Ok(target()?.join("wheels").display().to_string())
}

/// Builds the wheel, installs it and runs the tests against what is installed.
pub fn steps() -> Result<Vec<Step>> {
    let wheels = wheels()?;
    let build = format!("{VENV_PYTHON} -m maturin build --release --out {wheels} --manifest-path");
    let install = format!("{VENV_PYTHON} -m pip install --no-input --no-deps --no-index --force-reinstall");
    Ok(vec![
        Step::new("Python wheel", &format!("{build} python-bindings/Cargo.toml")),
        Step::new("Python wheel, installed", &format!("{install} --find-links {wheels} supple")),
        // One thread: there are as many tests as cores can take.
        Step::new("Python tests", &format!("{VENV_PYTHON} -m pytest -q python-bindings"))
            .env("OMP_NUM_THREADS", "1"),
    ])
}
