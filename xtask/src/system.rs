//! System packages: what the members with native code need, and how to get it.

use crate::setup::say;
use crate::step::Step;
use crate::{Result, libtorch};
use std::fs;
use std::path::Path;

/// Something the build needs from the system.
pub struct Need {
    apt: &'static str,
    brew: &'static str,
    /// Judged by what the package provides: it may have come in another way.
    met: fn() -> bool,
}

const NEEDS: [Need; 6] = [
    Need { apt: "g++", brew: "llvm", met: || std::env::var_os("CXX").is_some() || runs("c++ --version") },
    Need { apt: "make", brew: "make", met: || runs("make --version") },
    Need { apt: "cmake", brew: "cmake", met: || runs("cmake --version") },
    Need { apt: "pkg-config", brew: "pkgconf", met: || runs("pkg-config --version") },
    // LAPACK for supple-convex. Homebrew keeps it out of pkg-config's sight.
    Need {
        apt: "libopenblas-dev",
        brew: "openblas libomp",
        met: || runs("pkg-config --exists openblas") || brewed("openblas") && brewed("libomp"),
    },
    // Reads the C header of the LP solver when its bindings are generated.
    Need { apt: "libclang-dev", brew: "llvm", met: has_libclang },
];

/// Debian and Ubuntu keep the part of `venv` that installs pip in a package of its own.
const VENV: Need = Need {
    apt: "python3-venv",
    brew: "python",
    met: || Step::new("", libtorch::PYTHON).args(["-c", "import ensurepip, venv"]).succeeds(),
};

pub fn missing() -> Vec<&'static Need> {
    NEEDS.iter().filter(|need| !(need.met)()).collect()
}

pub fn missing_for_venv() -> Option<&'static Need> {
    (!(VENV.met)()).then_some(&VENV)
}

/// Installs `needs` with apt-get where that works without a question, else says how to.
pub fn install(needs: &[&Need]) -> Result {
    if needs.is_empty() {
        say("system packages", "present");
        return Ok(());
    }
    let mac = cfg!(target_os = "macos");
    let names: Vec<_> = needs.iter().map(|n| if mac { n.brew } else { n.apt }).collect();
    let names = names.join(" ");
    if mac {
        return Err(ask(&names, &format!("brew install {names}")));
    }
    let by_hand = |sudo: &str| {
        format!("{sudo}apt-get update && {sudo}apt-get install -y --no-install-recommends {names}")
    };
    if !runs("apt-get --version") {
        let ask = ask(&names, &by_hand("sudo "));
        return Err(format!("{ask}\n(or the like: there is no apt-get here)"));
    }
    let Some(sudo) = rights() else {
        return Err(ask(&names, &by_hand("sudo ")));
    };
    say("system packages", &format!("installing {names}"));
    let apt_get = |args: &str| {
        Step::new("apt-get", &format!("{sudo}env DEBIAN_FRONTEND=noninteractive apt-get {args}"))
    };
    let update = apt_get("update -qq").run();
    let install = apt_get(&format!("install -qq -y --no-install-recommends {names}"));
    // A stale index is no obstacle when the packages can be had all the same.
    install.run().map(drop).map_err(|e| match update {
        Ok(_) => e,
        Err(update) => format!("{update}\n{e}"),
    })
}

fn ask(names: &str, command: &str) -> String {
    format!("set-up needs {names} and may not install here. Please run\n\n    {command}\n\nand start again.")
}

/// What to put before apt-get: nothing for root, sudo if it does not ask for a password.
fn rights() -> Option<&'static str> {
    let id = Step::new("", "id -u").output().unwrap_or_default();
    if id.trim() == "0" { Some("") } else { runs("sudo -n true").then_some("sudo -n ") }
}

fn runs(line: &str) -> bool {
    Step::new("", line).succeeds()
}

fn brewed(formula: &str) -> bool {
    ["/opt/homebrew/opt", "/usr/local/opt"].iter().any(|prefix| Path::new(prefix).join(formula).exists())
}

/// Looks where bindgen looks: `$LIBCLANG_PATH`, `/usr/lib/*`, `/usr/lib/llvm-*/lib`.
fn has_libclang() -> bool {
    let entries = |dir: &Path| fs::read_dir(dir).into_iter().flatten().flatten();
    let holds = |dir: &Path| entries(dir).any(|e| is_libclang(&e.file_name().to_string_lossy()));
    std::env::var_os("LIBCLANG_PATH").is_some()
        || brewed("llvm")
        || ["/usr/lib", "/usr/lib64", "/usr/local/lib"].iter().any(|lib| {
            let lib = Path::new(lib);
            holds(lib) || entries(lib).any(|e| holds(&e.path()) || holds(&e.path().join("lib")))
        })
        || holds(Path::new("/Library/Developer/CommandLineTools/usr/lib"))
}

/// `libclang.so`, `libclang-14.so` or `libclang.dylib`. Not `libclang-14.so.1`: without the
/// development package clang's own headers are missing.
fn is_libclang(file: &str) -> bool {
    let Some(rest) = file.strip_prefix("libclang") else {
        return false;
    };
    let version = rest.strip_prefix('-').unwrap_or(rest);
    let kind = version.trim_start_matches(|c: char| c.is_ascii_digit());
    kind == ".so" || kind == ".dylib"
}

#[cfg(test)]
mod tests {
    use super::is_libclang;

    #[test]
    fn libclang_by_its_names() {
        for name in ["libclang.so", "libclang-14.so", "libclang.dylib"] {
            assert!(is_libclang(name), "{name}");
        }
        for name in ["libclang-cpp.so", "libclang-14.so.1", "libclang_rt.asan-x86_64.so", "libc.so"] {
            assert!(!is_libclang(name), "{name}");
        }
    }
}
