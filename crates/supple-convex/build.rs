//! Links OpenBLAS, where system libraries are wanted.

fn main() {
    if std::env::var_os("CARGO_FEATURE_SYSTEM").is_some() {
        // The matrix products of `ndarray` call BLAS; its own crates leave the choice of library open.
        println!("cargo:rustc-link-lib=openblas");
    }
    println!("cargo:rerun-if-changed=build.rs");
}
