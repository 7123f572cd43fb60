//! `cargo xtask gen`: what is written from the catalogue.

use crate::Result;
use crate::setup::setup;
use crate::step::Step;

/// Brings the generated text up to date; with `check` it only compares, as `cargo xtask test` does.
pub fn generate(check: bool) -> Result {
    let env = setup()?;
    let line = "cargo test --quiet --workspace --test generated --";
    let write = (!check).then_some("--write");
    Step::new("generated files", line).args(write).envs(&env).run()?;
    Ok(())
}
