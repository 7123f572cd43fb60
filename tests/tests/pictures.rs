//! Every relaxation has a picture.
//!
//! As a test it draws them into a folder that it removes again; `cargo xtask docs` gives it the folder of the
//! book.

use std::path::PathBuf;
use std::process::ExitCode;
use std::{env, fs};
use supple_core::Family;

fn main() -> ExitCode {
    let families: Vec<&Family> =
        supple_ops::CATALOGUE.iter().copied().chain([&supple_convex::FAMILY]).collect();
    let mut arguments = env::args().skip(1).skip_while(|argument| argument != "--write");
    let kept = arguments.nth(1).map(PathBuf::from);
    let folder =
        kept.clone().unwrap_or_else(|| env::temp_dir().join(format!("pictures-{}", std::process::id())));
    let drawn = supple_tests::pictures::draw(&families, &folder);
    if kept.is_none() {
        let _ = fs::remove_dir_all(&folder);
    }
    match drawn {
        Ok(count) => {
            println!("{count} pictures");
            ExitCode::SUCCESS
        }
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}
