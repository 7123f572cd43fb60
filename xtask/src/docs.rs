//! `cargo xtask docs`: the API documentation, and the book with its pictures.

use crate::Result;
use crate::setup::setup;
use crate::step::Step;

const MDBOOK: &str = "0.5.4";
const MDBOOK_BIN: &str = "target/tools/bin/mdbook";

/// Builds both, with warnings denied, and says where they lie.
pub fn docs() -> Result {
    let env = setup()?;
    // The header brings KaTeX, which sets the formulas.
    let flags = "-D warnings --html-in-header docs/katex-header.html";
    Step::new("API documentation", "cargo doc --workspace --no-deps")
        .env("RUSTDOCFLAGS", flags)
        .envs(&env)
        .run()?;
    // A test runs in the folder of its package, so the folder of the book is named from the root.
    let root = std::env::current_dir().map_err(|e| format!("the current folder: {e}"))?;
    let folder = root.join("docs/src/pictures");
    let pictures = "cargo test --quiet --workspace --test pictures -- --write";
    Step::new("pictures", pictures).args([folder.display().to_string().as_str()]).envs(&env).run()?;
    install_mdbook()?;
    Step::new("book", &format!("{MDBOOK_BIN} build docs")).run()?;
    println!("\ntarget/doc/supple/index.html\ndocs/book/index.html");
    Ok(())
}

/// Installs mdBook into `target`, unless it is there.
///
/// Without its web server and unoptimised it compiles in a fraction of the time.
fn install_mdbook() -> Result {
    let version = Step::new("", &format!("{MDBOOK_BIN} --version")).quiet_output();
    if version.is_some_and(|v| v.trim() == format!("mdbook v{MDBOOK}")) {
        return Ok(());
    }
    let options = "--locked --debug --no-default-features --features search --root target/tools";
    Step::new("mdBook", &format!("cargo install mdbook@{MDBOOK} {options}")).run()?;
    Ok(())
}
