//! `cargo xtask demo`: the main job, from nothing to the picture.

use crate::Result;
use crate::setup::setup;
use crate::step::Step;

/// Trains with mean squared error and with a soft Spearman loss; `args` go to the example.
pub fn demo(args: &[&str]) -> Result {
    let env = setup()?;
    let example = "cargo run --release -p supple-examples --example train_rank --";
    Step::new("demo", example).args(args.iter().copied()).envs(&env).run()?;
    Ok(())
}
