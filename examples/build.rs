//! Lets the examples find LibTorch, and prepares the README for its doctests.

use std::path::Path;
use std::{env, fs};

fn main() {
    println!("cargo::rustc-link-arg={}", env::var("DEP_SUPPLE_TCH_LINK_ARG").unwrap_or_default());

    // The README is also the documentation of `supple`, which has no LibTorch, so that there the snippets
    // with tensors are ignored. Here they are not.
    println!("cargo::rerun-if-changed=../README.md");
    let readme = fs::read_to_string("../README.md").expect("the workspace has a README");
    let out = env::var("OUT_DIR").expect("cargo sets it");
    fs::write(Path::new(&out).join("readme.md"), readme.replace("```rust,ignore", "```rust"))
        .expect("OUT_DIR can be written to");
}
