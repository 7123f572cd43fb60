//! LibTorch: the user's own, or the one inside the `torch` package in `.venv`.

use crate::Result;
use crate::setup::say;
use crate::step::Step;
use std::ffi::OsString;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// The version that `tch` in the root Cargo.toml binds to.
const TORCH: &str = "2.11.0";
const NUMPY: &str = "2.4.6";

/// The Python that makes `.venv`.
pub const PYTHON: &str = "python3";
pub const VENV_PYTHON: &str = ".venv/bin/python";
/// What is installed. Written last, so that an interrupted installation is taken up again.
const STAMP: &str = ".venv/supple-requirements.txt";

fn requirements() -> String {
    format!("torch=={TORCH} numpy=={NUMPY}")
}

/// `.venv/libtorch`, a link to the `torch` folder: a path without a Python version in it.
///
/// With `LIBTORCH` set to it torch-sys asks no Python, so a build needs no activated
/// environment.
pub fn link() -> PathBuf {
    env::current_dir().unwrap_or_default().join(".venv/libtorch")
}

/// Whether the environment names another LibTorch than ours, in the variables of torch-sys.
pub fn is_chosen_by_user() -> bool {
    env::var_os("LIBTORCH_USE_PYTORCH").is_some()
        || variable("LIBTORCH").is_some_and(|dir| Path::new(&dir) != link())
}

fn variable(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}

/// Whether `.venv` holds all it should. Starts no Python: importing torch takes seconds.
pub fn is_ready() -> bool {
    let version = fs::read_to_string(link().join("version.py")).unwrap_or_default();
    let stamp = fs::read_to_string(STAMP).unwrap_or_default();
    stamp == requirements()
        && Path::new(VENV_PYTHON).exists()
        && version.contains(&format!("__version__ = '{TORCH}"))
}

/// Sees to it that there is a LibTorch.
pub fn install() -> Result {
    if is_chosen_by_user() {
        say("LibTorch", "yours, as LIBTORCH or LIBTORCH_USE_PYTORCH says");
        return Ok(());
    }
    install_in_venv()
}

/// Sees to it that `.venv` has PyTorch, which is LibTorch and what the Python package is tested with.
pub fn install_in_venv() -> Result {
    if is_ready() {
        say("LibTorch", &format!("{TORCH}, in .venv"));
        return Ok(());
    }
    if !venv_runs("-m pip --version") {
        say("LibTorch", "creating .venv");
        // A Python that was removed or replaced leaves links to nothing: then start afresh.
        let clear = if venv_runs("--version") { "" } else { "--clear" };
        Step::new("python -m venv", &format!("{PYTHON} -m venv {clear} .venv")).run()?;
    }
    let requirements = requirements();
    say("LibTorch", &format!("pip install {requirements} (up to 3 GB, once)"));
    Step::new(
        "pip install",
        &format!("{VENV_PYTHON} -m pip install --no-input --no-cache-dir {requirements}"),
    )
    .run()
    .map_err(|e| format!("{e}\n{PIP_HINT}"))?;
    link_to_torch().map_err(|e| format!("{}: {e}", link().display()))?;
    fs::write(STAMP, requirements).map_err(|e| format!("{STAMP}: {e}"))?;
    say("LibTorch", "installed");
    Ok(())
}

const PIP_HINT: &str = "\
LibTorch comes from the Python package index and needs a 64-bit Python 3.11 or newer.
 * No network, or a mirror? pip reads PIP_INDEX_URL, PIP_FIND_LINKS and the proxy variables.
 * Little space? PIP_INDEX_URL=https://download.pytorch.org/whl/cpu has a build without CUDA.
 * LibTorch at hand? Set LIBTORCH to its folder, or LIBTORCH_USE_PYTORCH=1 for the torch
   of the python3 on PATH.
Then start again: set-up goes on where it stopped.";

fn venv_runs(args: &str) -> bool {
    Step::new("", &format!("{VENV_PYTHON} {args}")).succeeds()
}

/// Makes `.venv/libtorch` point to `.venv/lib/python3.x/site-packages/torch`.
fn link_to_torch() -> std::io::Result<()> {
    let print =
        "import os, sys, sysconfig; print(os.path.relpath(sysconfig.get_path('platlib'), sys.prefix))";
    let site = Step::new("site-packages", VENV_PYTHON).args(["-c", print]).output();
    let site = site.map_err(std::io::Error::other)?;
    if fs::symlink_metadata(link()).is_ok() {
        fs::remove_file(link())?;
    }
    symlink(Path::new(site.trim()).join("torch"), link())
}

/// The folder with the shared libraries, for programs that cannot find it themselves.
pub fn lib_dir() -> Result<PathBuf> {
    if env::var_os("LIBTORCH_USE_PYTORCH").is_some() {
        // As torch-sys asks; but the package is found, not imported.
        let python = if variable("VIRTUAL_ENV").is_some() { "python" } else { PYTHON };
        let print = "import importlib.util as u; print(u.find_spec('torch').submodule_search_locations[0])";
        let torch = Step::new("the torch package", python).args(["-c", print]).output()?;
        return Ok(Path::new(torch.trim()).join("lib"));
    }
    let base = ["LIBTORCH_LIB", "LIBTORCH"].into_iter().find_map(variable);
    Ok(base.map_or_else(link, PathBuf::from).join("lib"))
}
