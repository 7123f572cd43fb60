//! Compiles the autograd node against the LibTorch that `torch-sys` found, and tells binaries how to link.
//!
//! `torch-sys` reads `LIBTORCH_USE_PYTORCH`, `LIBTORCH` and `LIBTORCH_LIB` and passes on the folder of the
//! libraries. The headers lie beside it, unless `LIBTORCH_INCLUDE` or `LIBTORCH` name another place.

use std::env;
use std::path::{Path, PathBuf};

fn main() {
    println!("cargo::rerun-if-changed=src/node.cpp");
    if env::var_os("CARGO_FEATURE_DOC_ONLY").is_some() {
        return;
    }
    let lib = variable("DEP_TCH_LIBTORCH_LIB").map(PathBuf::from).unwrap_or_else(|| {
        panic!("torch-sys did not say where LibTorch is: this system is not supported");
    });
    compile(&headers(&lib));
    let argument = link_argument(&lib);
    println!("cargo::metadata=LIBTORCH_LIB={}", lib.display());
    println!("cargo::metadata=LINK_ARG={argument}");
    println!("cargo::rustc-link-arg={argument}");
}

fn variable(name: &str) -> Option<String> {
    println!("cargo::rerun-if-env-changed={name}");
    env::var(name).ok()
}

/// The folder that has `include`.
fn headers(lib: &Path) -> PathBuf {
    let from_python = variable("LIBTORCH_USE_PYTORCH").is_some();
    let named = variable("LIBTORCH_INCLUDE").or(variable("LIBTORCH")).filter(|_| !from_python);
    named.map(PathBuf::from).unwrap_or_else(|| lib.join(".."))
}

fn compile(root: &Path) {
    // Every build of LibTorch 2.11 for Linux has the new ABI; the variable is for builds of one's own.
    let abi = variable("LIBTORCH_CXX11_ABI").unwrap_or_else(|| "1".into());
    cc::Build::new()
        .cpp(true)
        .std("c++17")
        .file("src/node.cpp")
        .include(root.join("include"))
        .include(root.join("include/torch/csrc/api/include"))
        .define("_GLIBCXX_USE_CXX11_ABI", abi.as_str())
        .define("GLOG_USE_GLOG_EXPORT", None)
        .warnings(false)
        .compile("supple_tch");
}

/// What a binary passes to its linker to find LibTorch when it runs, and to keep CUDA, which no symbol
/// asks for.
fn link_argument(lib: &Path) -> String {
    let folder = lib.display();
    let cuda = lib.join("libtorch_cuda.so").exists();
    match env::var("CARGO_CFG_TARGET_OS").as_deref() {
        Ok("windows") => format!("/LIBPATH:{folder}"),
        Ok("linux") if cuda => {
            format!("-Wl,-rpath,{folder},-L{folder},--no-as-needed,-ltorch_cuda,-ltorch,--as-needed")
        }
        _ => format!("-Wl,-rpath,{folder}"),
    }
}
