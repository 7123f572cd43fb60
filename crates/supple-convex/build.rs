//! Links OpenBLAS.

fn main() {
    // The matrix products of `ndarray` call BLAS; its own crates leave the choice of library open.
    println!("cargo:rustc-link-lib=openblas");
    println!("cargo:rerun-if-changed=build.rs");
}
