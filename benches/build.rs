//! Lets the benches find LibTorch.

fn main() {
    println!("cargo::rustc-link-arg={}", std::env::var("DEP_SUPPLE_TCH_LINK_ARG").unwrap_or_default());
}
